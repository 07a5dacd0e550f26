"""The LightningModule on a very small project: solvers, faults, checkpoints."""

import csv
import dataclasses
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.map_symmetry import Helix
from mlit.maps.helical import wind
from mlit.maps.mask import spherical_mask
from mlit.optim.levenberg_marquardt import Outcome
from mlit.optim.solvers import GaussNewton
from mlit.training import fit_batches, model_selection
from mlit.training.assembly import make_module
from mlit.training.data import TiltSeriesDataModule
from mlit.training.ledger import SeriesLedger
from mlit.training.run import fit

ONE = "schedule.iterations=[{resolution_angstrom: 25, blocks: [poses, image_warp]}]"


def run(project, cfg, module=None, data=None):
    module = module or make_module([project], cfg)
    fit(module, data or TiltSeriesDataModule([project], cfg.species.diameter), cfg)
    return module


def raw(module, name):
    return module.model(name).poses.raw.detach()


@dataclass(frozen=True)
class Breaks:
    """A solver that spoils the parameters of one problem and then fails; all others it solves."""

    count: int
    how: str

    def solve(self, problem):
        if problem.model.poses.raw.shape[0] != self.count:
            return GaussNewton(2).solve(problem)
        with torch.no_grad():
            for parameter in problem.parameters():
                parameter += 1.0
        if self.how == "raises":
            raise torch.linalg.LinAlgError("not positive definite\nat all")
        return Outcome("failed", 1, float("nan"), float("nan"))


@pytest.fixture
def uneven(small):
    """The project with one particle less in its second series, to tell the two apart."""
    second = small.series[1]
    shorter = dataclasses.replace(second, particle_index=second.particle_index[:-1])
    return dataclasses.replace(small, series=(small.series[0], shorter))


@pytest.mark.parametrize(
    "words",
    [
        ["optimizer=gauss_newton"],
        ["optimizer=lbfgs", "optimizer.passes=8"],
        ["optimizer=adam", "optimizer.passes=8", "optimizer.learning_rate=0.05"],
    ],
)
def test_every_optimiser_improves_every_series(small, config, words):
    module = run(small, config(ONE, *words))
    for name, record in module.records.items():
        status = record.status
        assert status.status in ("improved", "converged")
        assert status.log_posterior_end > status.log_posterior_start + 5
        assert raw(module, name).abs().max() > 0.05
        assert not module.model(name).blocks["defocus"].raw.any()


def test_a_helical_species_has_helical_references(small, config):
    helix = ("species.helical_units=4", "species.helical_twist=-30", "species.helical_rise=12.5")
    module = run(small, config("schedule.iterations=[{resolution_angstrom: 25, blocks: [poses]}]", *helix))
    assert module.molecules[0].references is not None
    assert module.molecules[0].maps.settings.symmetry.helix == Helix(4, math.radians(-30), 12.5)
    halves = module.molecules[0].maps.halves
    volume, pixel = halves.first, halves.pixel_size_angstrom
    wound = wind(volume, module.molecules[0].maps.settings.symmetry.helix, pixel)
    core = spherical_mask(volume.shape[-1], pixel, 80.0, 1.0) > 0.5
    assert float((wound - volume)[core].norm() / volume[core].norm()) < 0.1
    assert halves.independent_fraction < 0.5 * halves.mask.volume_fraction


def test_blocks_that_are_not_named_keep_still(small, config):
    module = run(small, config("schedule.iterations=[{resolution_angstrom: 25, blocks: [image_warp]}]"))
    for name in module.names:
        assert not raw(module, name).any()
        assert module.model(name).blocks["image_warp"].raw.abs().max() > 0.05
        assert not module.model(name).blocks["stage_angles"].raw.any()


@pytest.mark.parametrize(("how", "reason"), [("raises", "not positive definite"), ("fails", "not finite")])
def test_rejected_fit_gives_the_parameters_back(uneven, config, caplog, how, reason):
    module = make_module([uneven], config(ONE))
    module.solver = Breaks(7, how)
    with caplog.at_level(logging.WARNING, logger="mlit"):
        run(uneven, config(ONE), module)
    good, bad = module.names
    assert module.records[bad].status.status.startswith("rejected")
    assert reason in module.records[bad].status.status
    assert not raw(module, bad).any()
    assert module.records[good].status.status == "improved"
    assert raw(module, good).abs().max() > 0.05
    assert all(record.status.reason_left_out is None for record in module.records.values())
    assert f"{bad} keeps the parameters it had" in caplog.text


@dataclass(frozen=True)
class Narrow:
    """A solver that spoils the parameters and finds too little memory where a batch has more than four particles."""

    tried: list[int]

    def solve(self, problem):
        self.tried.append(len(next(iter(problem.matches)).particles))
        if self.tried[-1] > 4:
            with torch.no_grad():
                for parameter in problem.parameters():
                    parameter += 1.0
            raise torch.OutOfMemoryError("out of memory")
        return GaussNewton(4).solve(problem)


def test_a_fit_for_which_memory_runs_out_is_tried_again_with_smaller_batches(
    small, config, tmp_path, caplog, monkeypatch
):
    """What the failed attempt has done is undone; the next series starts with the size that worked."""
    monkeypatch.setattr(fit_batches, "LEAST_BYTES", 1)
    cfg = config(ONE, "optimizer.passes=4")
    undisturbed, narrow, given = (make_module([small], cfg) for _ in range(3))
    narrow.solver = Narrow([])
    with caplog.at_level(logging.WARNING, "mlit"):
        for name, module in {"undisturbed": undisturbed, "narrow": narrow, "given": given}.items():
            cfg.output = cfg.trainer.default_root_dir = str(tmp_path / name)
            module.ledger = SeriesLedger(tmp_path / name)
            module.batches.at_once = narrow.batches.at_once
            run(small, cfg, module)
    assert caplog.text.count("TS_01: memory ran out; trying again") == 1
    assert caplog.text.count("memory ran out") == 1
    assert narrow.solver.tried == [8, 4, 4]
    for name in narrow.names:
        assert narrow.records[name].status.status in ("improved", "converged")
        torch.testing.assert_close(raw(narrow, name), raw(given, name), rtol=0, atol=5e-4)  # but for rounding
        torch.testing.assert_close(raw(narrow, name), raw(undisturbed, name), rtol=0, atol=0.02)


def faulty(project, names):
    """Data whose named series cannot be read."""
    data = TiltSeriesDataModule([project], 150.0)
    nowhere = (Path("gone.mrc"),) * project.series[0].geometry.tilts
    data.dataset.series = [
        dataclasses.replace(series, image_paths=nowhere) if series.name in names else series
        for series in project.series
    ]
    return data


def test_series_without_images_is_left_out_and_named_once(small, config, caplog):
    bad, good = (series.name for series in small.series)
    with caplog.at_level(logging.WARNING, logger="mlit"):
        module = run(small, config(), data=faulty(small, [bad]))
    reasons = {name: record.status.reason_left_out for name, record in module.records.items()}
    assert [name for name, reason in reasons.items() if reason] == [bad]
    assert "gone.mrc" in reasons[bad]
    assert module.records[good].status.status == "improved"
    assert caplog.text.count("is left out") == 1
    assert module.molecules[0].maps.halves is not None


def test_no_series_at_all_is_refused(small, config):
    with pytest.raises(InputError, match=r"no tilt series could be used.*gone\.mrc"):
        run(small, config(), data=faulty(small, [series.name for series in small.series]))


def test_epoch_zero_fits_nothing(small, config):
    module = run(small, config("schedule=none"))
    assert all(record.status.status == "not fitted" for record in module.records.values())
    assert module.fit_resolution_angstrom is None
    assert module.molecules[0].maps.halves is not None
    assert module.molecules[0].maps.halves.first.isfinite().all()


def test_metrics_hold_every_epoch(small, config):
    cfg = config()
    run(small, cfg)
    with open(f"{cfg.output}/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [0, 0, 1, 1, 2, 2]
    assert all(float(row["fsc_0.143_angstrom"]) > 17 for row in rows)
    assert [row["status"] for row in rows[:2]] == ["not fitted"] * 2


def test_checkpoint_holds_tensors_and_plain_values_only(small, config):
    cfg = config()
    module = run(small, cfg)
    checkpoint = torch.load(f"{cfg.output}/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1
    fresh = make_module([small], cfg)
    fresh.load_state_dict(checkpoint["state_dict"])
    fresh.on_load_checkpoint(checkpoint)
    assert fresh.molecules[0].references is not None
    assert torch.equal(fresh.molecules[0].references.maps, module.molecules[0].references.maps)
    assert fresh.molecules[0].references.resolution_angstrom == module.molecules[0].references.resolution_angstrom
    assert fresh.records.keys() == module.records.keys()
    assert raw(fresh, fresh.names[0]).abs().max() > 0.05


def test_run_goes_on_from_checkpoint_and_ledger(small, config):
    """What is in the ledger is taken from there: no solver is called for it again."""
    cfg = config()
    first = run(small, cfg)
    again = make_module([small], cfg)
    again.solver = Breaks(8, "raises")  # would reject every fit
    run(small, cfg, again)
    for name in first.names:
        assert torch.equal(raw(again, name), raw(first, name))
        assert again.records[name].status == first.records[name].status
    assert torch.equal(again.molecules[0].maps.halves.first, first.molecules[0].maps.halves.first)


def test_defocus_is_searched_in_the_first_iteration_that_refines_it(small, config, tmp_path, caplog):
    words = [f"{{resolution_angstrom: 25, blocks: {blocks}}}" for blocks in ("[poses]", *2 * ["[poses, defocus]"])]
    with caplog.at_level(logging.INFO, "mlit"):
        module = run(small, config(f"schedule.iterations=[{', '.join(words)}]", "model.defocus.search_um=0.3"))
    for name in module.names:
        table = (tmp_path / "run" / "defocus_search" / f"{name}.csv").read_text()
        assert table.startswith("tilt,offset_um,log_likelihood,jump_um,accepted\n0,-0.3000,")
        assert caplog.text.count(f"{name} defocus searched") == 1
    lines = [r.message for r in caplog.records if r.message.startswith("iteration") or "searched" in r.message]
    assert ["searched" in line for line in lines[:4]] == [False, False, True, True]


TWICE = (
    "schedule.iterations=[{resolution_angstrom: 30, blocks: [poses, image_warp, stage_angles]}, "
    "{resolution_angstrom: 25, blocks: [poses, image_warp, stage_angles]}]"
)
CANDIDATES = "model.candidates=[{image_warp: {grid: [3, 2]}}, {stage_angles: {enabled: false}}]"


def test_other_models_are_compared_and_the_better_one_is_taken(small, config, monkeypatch):
    """Whatever the evidence says: here it is made to say that the finer warp is better."""
    fine, seen = "image_warp.grid=[3, 2]", {}

    def choose(total, candidates):
        seen.update(total)
        return [candidate for candidate in candidates if candidate.label == fine]

    monkeypatch.setattr(model_selection, "decide", choose)
    module = run(small, config(TWICE, CANDIDATES, "model.compared_in_iteration=1"))
    assert set(seen) == {fine, "stage_angles.enabled=False"}
    assert all(evidence.images > 0 and evidence.error > 0 for evidence in seen.values())
    for name in module.names:
        assert module.model(name).blocks["image_warp"].shape[1:3] == (2, 3)
        assert module.records[name].status.status in ("improved", "converged")
    assert [candidate.label for candidate in module.chosen] == [fine]


def test_a_resumed_run_has_the_chosen_model(small, config, monkeypatch):
    without = "stage_angles.enabled=False"
    monkeypatch.setattr(
        model_selection, "decide", lambda total, candidates: [c for c in candidates if c.label == without]
    )
    words = (TWICE, CANDIDATES, "model.compared_in_iteration=1")
    first = run(small, config(*words))
    again = run(small, config(*words))  # from the checkpoint after the comparison
    for module in (first, again):
        assert all("stage_angles" not in module.model(name).blocks for name in module.names)
    name = first.names[0]
    torch.testing.assert_close(raw(again, name), raw(first, name))


def test_no_candidates_no_comparison(small, config):
    module = run(small, config(TWICE))
    assert module.selection is None
    assert module.chosen == []
