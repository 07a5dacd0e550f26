"""A run on another device than the CPU: on one that is none but as strict as a GPU, and on a GPU where there is one."""

import contextlib
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch

from mlit.denoising import train
from mlit.io.mrc import read_mrc
from mlit.io.star import read_star
from tests.other_device import OTHER, WITHOUT_DOUBLE, OtherStrategy, other_device

BLOCKS = (
    "poses,image_warp,volume_warp,stage_angles,defocus,astigmatism,phase_shift,"
    "spherical_aberration,even_aberrations,odd_aberrations,magnification"
)
EVERYTHING = (
    "model=fine",
    "model.phase_shift.enabled=true",
    "model.defocus.search_um=0.5",
    "model.poses.temporal_samples=2",
    "species.symmetry=C2",
    "species.ewald=normal",
    "weights.grid=[2,2]",
    "weights.anisotropic=true",
    "denoiser.network.steps=6",
    f"schedule.iterations=[{{resolution_angstrom:null,learn_priors:true,weights:true,blocks:[{BLOCKS}]}}]",
)
POSES = [f"wrp{name}{sample}" for sample in (1, 2) for name in ("CoordinateX", "CoordinateY", "CoordinateZ")]
POSES += [f"wrpAngle{name}{sample}" for sample in (1, 2) for name in ("Rot", "Tilt", "Psi")]


@contextlib.contextmanager
def on_the_other_device(monkeypatch, place=OTHER):
    """Let the network train there, too."""

    def trainer(**options):
        assert options["accelerator"] == "gpu"
        return lightning.Trainer(
            accelerator="cpu", strategy=OtherStrategy(), max_epochs=options["max_epochs"], barebones=True
        )

    monkeypatch.setattr(train, "lightning", SimpleNamespace(Trainer=trainer))
    with other_device(place):
        yield ("+trainer.strategy={_target_: tests.other_device.OtherStrategy}",)


def without_double_precision(monkeypatch):
    """As strict as a GPU that has none, too."""
    return on_the_other_device(monkeypatch, WITHOUT_DOUBLE)


@contextlib.contextmanager
def on_a_gpu(monkeypatch):
    """Nothing is special about a real one."""
    yield ("trainer=gpu",)


@pytest.fixture(scope="module")
def one_series(make_project):
    return make_project({"series": 1, "sample": {"particles": 16}})


@pytest.fixture(scope="module")
def on_the_cpu(one_series, refine):
    run = refine(one_series, *EVERYTHING)
    assert run.outcome.code == 0, run.outcome.stderr
    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:at..frobenius_norm")  # what PyTorch takes for norms there
@pytest.mark.parametrize(
    "place",
    [
        on_the_other_device,
        without_double_precision,
        pytest.param(on_a_gpu, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")),
    ],
)
def test_a_run_on_a_device_is_that_on_the_cpu(place, one_series, refine, on_the_cpu, monkeypatch):
    """All blocks, motion, weights, curvature, search and network at once."""
    with place(monkeypatch) as words:
        run = refine(one_series, *EVERYTHING, *words)
    assert run.outcome.code == 0, run.outcome.stderr
    found, expected = (
        next(iter(read_star(one.output / "particle" / "particles.star").values()))[POSES].astype(float).to_numpy()
        for one in (run, on_the_cpu)
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    for name in ("half1", "half2", "map_denoised"):
        volume, wanted = (read_mrc(one.output / "particle" / f"{name}.mrc")[0] for one in (run, on_the_cpu))
        assert np.abs(volume - wanted).max() < 1e-4 * np.abs(wanted).max()
    for key in ("series", "suspects", "settled"):
        assert run.summary.get(key) == on_the_cpu.summary.get(key)


def test_a_gpu_that_is_not_there_is_refused_in_one_line(project, refine):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    line = refine(project, "trainer=gpu").outcome.refusal()
    assert "trainer: " in line
    assert "give trainer=cpu" in line
