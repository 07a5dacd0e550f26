"""A run goes on from the results of another one, with more parameters."""

import pytest
import torch

from mlit.io.fsc_star import read_fsc_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml

SPECIES = ("species.symmetry=C1", "species.name=particle")


def fsc(folder, iteration):
    return read_fsc_star(folder / "fsc" / "particle" / f"iteration_{iteration}.star").unmasked


def goes_on_from(folder):
    return f"data.processing={folder}/warp_tiltseries", f"data.particles={folder}/particle/particles.star"


@pytest.fixture(scope="module")
def rungs(project, refine):
    """Two rungs of the ladder, the second from the results of the first."""
    first = refine(project, "experiment=empiar_10491_1_warp", *SPECIES)
    assert first.outcome.code == 0, first.outcome.stderr
    second = refine(project, "experiment=empiar_10491_3_stage", *SPECIES, *goes_on_from(first.output))
    assert second.outcome.code == 0, second.outcome.stderr
    return first.output, second.output


def test_a_rung_starts_where_the_one_before_ended(rungs):
    first, second = rungs
    start, reached, begun = fsc(first, 0), fsc(first, 2), fsc(second, 0)
    gain = (reached - start).square().mean().sqrt()
    assert gain > 0.1
    assert (begun - reached).square().mean().sqrt() < 0.15 * gain


def test_it_keeps_what_it_does_not_refine_anew_and_adds_its_own(rungs, project):
    first, second = rungs
    for name in ("TS_01", "TS_02"):
        before, after = (TiltSeriesXml.read(run / "warp_tiltseries" / f"{name}.xml") for run in rungs)
        assert not before.grid("GridAngleX").any()
        assert after.grid("GridAngleX").any()
        assert after.grid("GridMovementX").shape == before.grid("GridMovementX").shape
    errors = [project.start(), project.refined(first), project.refined(second)]
    assert errors[1].position_rms_angstrom < 0.7 * errors[0].position_rms_angstrom
    assert errors[2].position_rms_angstrom < 1.05 * errors[1].position_rms_angstrom


def test_the_results_of_a_run_can_be_inspected(rungs, project, mlit):
    words = [f"data.settings={project.settings}", *goes_on_from(rungs[0])]
    outcome = mlit("inspect", *words)
    assert outcome.code == 0
    assert "2 series can be used" in outcome.stdout
    assert torch.isfinite(fsc(rungs[0], 0)).all()
