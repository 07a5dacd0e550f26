"""A forecast for GPUs: what must follow from its own numbers."""

import json
from dataclasses import replace

import pytest
import torch

from mlit.benchmark.forecast import (
    BYTES_PER_PASS,
    EMPIAR_10499,
    ON_THE_HOST,
    Gpu,
    Measured,
    Surroundings,
    bytes_of_maps,
    bytes_of_series,
    forecast,
    shares_of_bandwidth,
)
from mlit.benchmark.forecast_report import forecast_table, measured_case
from mlit.benchmark.machine import copy_bytes_per_second
from mlit.benchmark.main import main

STAGES = ("images", "premultiply", "evaluate", "insertion", "references")
FULL = Measured(dict.fromkeys(STAGES, 1.0), 0.0, 0.0)
BUSY = replace(FULL, seconds_per_series=1.0, host_seconds_per_image=2e-4)
NO_WAIT = Surroundings(1e30, 1e30)
EVEN = replace(EMPIAR_10499, series=64, particles=64 * 277)


def test_what_was_measured_is_foretold_again():
    """A GPU as fast as the core that was measured takes as long."""
    seconds = {name: 0.5 + number for number, name in enumerate(STAGES)}
    shares = shares_of_bandwidth(EVEN, seconds, 2e13)
    found = forecast(EVEN, 1, Measured(shares, 0.0, 0.0), Gpu(2e13), NO_WAIT).seconds
    assert all(max(shares.values()) <= 1 and found[name] == pytest.approx(seconds[name]) for name in STAGES)


def test_bytes_of_a_pass_follow_from_its_pixels():
    pixels = 3.14159265 / 2 * (1.15 * 290.0 / 3.5) ** 2
    images = 18000 / 65 * 41
    assert bytes_of_series(EMPIAR_10499)["evaluate"] == pytest.approx(BYTES_PER_PASS * images * 4 * pixels, rel=1e-6)


def test_no_stage_is_faster_than_memory():
    twice = dict.fromkeys(STAGES, 2.0)
    assert forecast(EVEN, 1, Measured(twice, 0.0, 0.0)) == forecast(EVEN, 1, FULL)


def test_gpus_share_whole_series():
    one, eight, all_of_them, more = (forecast(EVEN, gpus, BUSY, around=NO_WAIT) for gpus in (1, 8, 64, 1000))
    for name in ("images", "premultiply", "evaluate", "insertion", "small operations", "float64 on the CPU"):
        assert one.seconds[name] == pytest.approx(8 * eight.seconds[name])
        assert one.seconds[name] == pytest.approx(64 * all_of_them.seconds[name])
    assert more.seconds == all_of_them.seconds
    assert forecast(EMPIAR_10499, 64, BUSY).seconds["evaluate"] == pytest.approx(
        forecast(EMPIAR_10499, 33, BUSY).seconds["evaluate"]
    ), "65 series on 64 GPUs: one of them has two"


def test_what_stays_on_the_cpu_is_shared_out_over_its_cores():
    one, four = (forecast(EVEN, 1, BUSY, around=Surroundings(cores=cores)) for cores in (1, 4))
    assert one.seconds["float64 on the CPU"] == pytest.approx(64 * 277 * 41 * 2e-4)
    assert one.seconds["float64 on the CPU"] == pytest.approx(4 * four.seconds["float64 on the CPU"])


def test_what_is_shared_by_all_gets_no_faster():
    one, many = (forecast(EVEN, gpus, FULL) for gpus in (1, 64))
    assert (
        many.seconds["reading files"] == one.seconds["reading files"] == pytest.approx(64 * 41 * 3838 * 3710 * 4 / 5e9)
    )
    assert many.seconds["references"] == one.seconds["references"] == pytest.approx(bytes_of_maps(EVEN) / 3.35e12)
    assert one.seconds["adding up sums"] == 0.0 < many.seconds["adding up sums"]


def test_the_bottleneck_is_the_longest_stage():
    assert forecast(EVEN, 1, Measured({**FULL.shares, "insertion": 1e-4}, 0.0, 0.0)).bottleneck == "insertion"
    assert forecast(EVEN, 64, FULL, around=Surroundings(1e6)).bottleneck == "reading files"


def test_a_run_is_one_reconstruction_and_its_iterations():
    none, four = (forecast(replace(EVEN, iterations=count), 1, BUSY) for count in (0, 4))
    fitting = sum(none.seconds[name] for name in ("premultiply", "evaluate", "small operations", "float64 on the CPU"))
    assert none.run_seconds == pytest.approx(sum(none.seconds.values()) - fitting)
    assert four.run_seconds == pytest.approx(none.run_seconds + 4 * sum(four.seconds.values()))


def test_memory_is_judged_by_that_of_the_gpu():
    assert forecast(EVEN, 1, FULL).memory_suffices
    assert not forecast(EVEN, 1, FULL, Gpu(memory_bytes=8e9)).memory_suffices


def size(particles, seconds):
    return {
        "size": {"particles": particles, "tilts": 41, "series": 1, "diameter_angstrom": None},
        "images": 41 * particles,
        "passes": 3,
        "stage_seconds": dict.fromkeys((*STAGES, *ON_THE_HOST), seconds),
        "growing_seconds": 0.5 + particles * 0.01,
    }


def test_the_command_goes_from_a_measurement_to_a_table(tmp_path, capsys):
    path = tmp_path / "scale.json"
    content = {"resolution_angstrom": 25.0, "width": 480, "copy_bytes_per_second": 1e10}
    rows = {"particles": {"sizes": [size(50, 1.0), size(100, 2.0)]}}
    path.write_text(json.dumps(content | {"rows": rows}), encoding="utf-8")
    assert main(["forecast", str(path), "--gpus", "2", "5", "--output", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert "0.50 s a series do not depend on its images" in printed
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    expected = bytes_of_series(measured_case(size(100, 2.0), 25.0, 480))["evaluate"] / (2.0 * 1e10)
    assert written["measured"]["shares"]["evaluate"] == pytest.approx(expected)
    assert written["measured"]["host_seconds_per_image"] == pytest.approx(3 * 2.0 / 4100)
    assert [one["gpus"] for one in written["forecasts"]] == [2, 5]
    path.write_text(json.dumps(content | {"rows": {"particles": {"sizes": [size(50, 1.0)]}}}), encoding="utf-8")
    assert main(["forecast", str(path)]) == 2
    assert "no two sizes" in capsys.readouterr().err


def test_the_table_names_the_bottleneck_of_each_number_of_gpus():
    lines = forecast_table([forecast(EVEN, gpus, BUSY) for gpus in (1, 64)]).splitlines()
    assert lines[0].split() == ["GPUs", "1", "64"]
    assert lines[-1].startswith("bottleneck")
    assert "reading files" in lines[-1]


def test_memory_is_copied_at_a_possible_speed():
    assert 1e8 < copy_bytes_per_second(torch.device("cpu")) < 1e13
