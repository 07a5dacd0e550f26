"""Memory shared out over what a run may hold, and runs refused that cannot fit."""

import itertools
import logging
import math
from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from mlit.errors import InputError
from mlit.training import memory_plan
from mlit.training.memory import GIB, USUAL, Holding, MemoryEstimate, Place, RunSize, estimate_together
from mlit.training.memory_plan import (
    LEAST_BATCH_BYTES,
    check_gpu_memory,
    check_memory,
    plan_memory,
    processes_here,
)
from mlit.training.run import refine

# 8 GiB of tilt images, 1 GiB in each series; 3 GiB of particle images
LARGE = RunSize(GIB, GIB, 8 * GIB, 20000, 256, 4, 2.0, 320.0, fits=True)


ESTIMATE = MemoryEstimate(program=0.8 * GIB, images=GIB, sums=2 * GIB, fit=GIB, maps=4 * GIB, least=3 * GIB)


def test_the_plan_names_every_stage_with_all_that_is_there(monkeypatch, caplog):
    monkeypatch.setattr(memory_plan, "memory_here", lambda: 16 * GIB)
    with caplog.at_level(logging.INFO, "mlit"):
        check_memory(ESTIMATE, None)
    assert "at least 3.0 GiB, at most 7.8 GiB: fitting 4.8, making maps 7.8; in each of them program 0.8" in caplog.text
    assert [r.levelname for r in caplog.records] == ["INFO"]


def test_what_may_not_fit_is_warned_of_and_what_cannot_is_refused(monkeypatch, caplog):
    monkeypatch.setattr(memory_plan, "memory_here", lambda: 5 * GIB)
    check_memory(ESTIMATE, None)
    assert "5.0 GiB" in caplog.text
    with pytest.raises(InputError, match=r"at least 3\.0 GiB.* has 2\.0.*species\.pixel_size.*memory_gib"):
        check_memory(ESTIMATE, 2.0)
    caplog.clear()
    check_memory(ESTIMATE, 16.0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_processes_share_the_computer_but_only_the_first_makes_maps(monkeypatch, caplog):
    monkeypatch.setattr(memory_plan, "memory_here", lambda: 13 * GIB)
    check_memory(ESTIMATE, None, 2)  # 7.8 and 4.8
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    check_memory(ESTIMATE, None, 3)
    assert "13.0 GiB of memory may be too little" in caplog.text


@pytest.mark.parametrize("gib", [4, 6, 8, 10, 12, 16, 20, 40])
@pytest.mark.parametrize("sizes", [[LARGE], [LARGE, replace(LARGE, particle_images=4000)]])
def test_what_is_held_fits_in_and_is_as_much_as_fits_in(gib, sizes):
    held = plan_memory(sizes, gib)
    peak = estimate_together(sizes, held).peak
    least = estimate_together(sizes, Holding(0, LEAST_BATCH_BYTES, False)).peak
    assert peak <= max(gib * GIB, least)
    if held.cache_bytes < LARGE.all_series_bytes and least < gib * GIB:
        assert peak > gib * GIB - 2, "all of the memory is used"


def test_more_memory_is_used_in_the_order_of_what_it_saves():
    plans = [plan_memory([LARGE], gib) for gib in range(3, 40)]
    assert plans[0] == Holding(0, LEAST_BATCH_BYTES, False)
    assert plans[-1] == Holding(LARGE.all_series_bytes, math.ceil(LARGE.premultiplied_bytes), True)
    for less, more in itertools.pairwise(plans):
        assert more.ahead >= less.ahead
        assert more.cache_bytes >= less.cache_bytes or more.ahead > less.ahead
        assert more.batch_bytes >= less.batch_bytes
        assert not less.ahead or less.batch_bytes >= USUAL.batch_bytes
        assert less.ahead or less.cache_bytes < 2 * LARGE.series_bytes
        assert not less.cache_bytes or less.batch_bytes >= LARGE.premultiplied_bytes


def test_processes_on_a_computer_share_what_is_free(monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 40 * GIB)
    assert plan_memory([LARGE], None, 2) == plan_memory([LARGE], 0.8 * 40 / 2)
    monkeypatch.setattr(memory_plan, "free_memory", lambda: math.inf)
    assert plan_memory([LARGE], None) == USUAL


@pytest.mark.parametrize("gib", [6, 9, 12, 24])
@pytest.mark.parametrize("sizes", [[LARGE], [LARGE, replace(LARGE, particle_images=4000)]])
def test_batches_are_as_large_as_the_gpu_allows_whatever_the_computer_has(gib, sizes):
    for allowed in (4, 40, math.inf):
        held = plan_memory(sizes, allowed, gpu_bytes=gib * GIB)
        peak = estimate_together(sizes, held, Place.GPU).stages["fitting"]
        assert peak <= 0.8 * gib * GIB or held.batch_bytes == LEAST_BATCH_BYTES
        if held.batch_bytes < len(sizes) * LARGE.premultiplied_bytes:
            assert peak > 0.8 * gib * GIB - 8, "all of it is used"
    assert plan_memory(sizes, 4, gpu_bytes=gib * GIB).batch_bytes == held.batch_bytes


def test_beside_a_gpu_the_computer_holds_images_and_no_batches():
    plans = [plan_memory([LARGE], gib, gpu_bytes=40 * GIB) for gib in range(1, 40)]
    assert plans[0] == Holding(0, math.ceil(LARGE.premultiplied_bytes), ahead=False)
    assert plans[-1] == Holding(LARGE.all_series_bytes, math.ceil(LARGE.premultiplied_bytes), ahead=True, pinned=True)
    for gib, held in enumerate(plans[6:], 7):
        assert estimate_together([LARGE], held, Place.HOST).peak <= gib * GIB
    small, large = (estimate_together([LARGE], replace(plans[-1], batch_bytes=b), Place.HOST).peak for b in (1, 10**12))
    assert small == large
    assert estimate_together([LARGE], plans[-1], Place.HOST).least < estimate_together([LARGE], plans[-1]).least


def test_what_no_gpu_can_hold_is_refused():
    check_gpu_memory(ESTIMATE, 3 * GIB)
    with pytest.raises(InputError, match=r"at least 3\.0 GiB of a GPU's memory, 2\.0 are free.*trainer=cpu"):
        check_gpu_memory(ESTIMATE, 2 * GIB)


@pytest.mark.parametrize(("devices", "count"), [(1, 1), (4, 4), ("auto", 1), (-1, 1)])
def test_processes_are_those_of_the_trainer(devices, count):
    assert processes_here(OmegaConf.create({"accelerator": "cpu", "devices": devices})) == count


def test_a_run_that_cannot_fit_ends_before_images_are_read(config, monkeypatch):
    monkeypatch.setattr("mlit.training.data.load_tilt_images", lambda series: pytest.fail("it read images"))
    with pytest.raises(InputError, match="memory_gib"):
        refine(config("memory_gib=0.001"))
