"""From a project of RELION to a refined one, and on from its result."""

import json

import pytest

from mlit.io.star import read_star


@pytest.fixture(scope="module")
def refined(mlit, project, tmp_path_factory):
    """The simulated project, exported for RELION and refined from there."""
    folder = tmp_path_factory.mktemp("relion")
    exported = ["export", f"data.settings={project.settings}", f"data.particles={project.particles}"]
    outcome = mlit(*exported, "to=relion", f"output={folder / 'project'}")
    assert outcome.code == 0, outcome.stderr
    chosen = folder / "project" / "optimisation_set.star"
    words = ["data=relion", f"species.diameter={project.diameter}", "logger=none", "denoiser=wiener"]
    outcome = mlit("refine", *words, f"data.optimisation_set={chosen}", "schedule=quick", f"output={folder / 'run'}")
    assert outcome.code == 0, outcome.stderr
    return folder / "run", words


def resolution(run):
    return json.loads((run / "summary.json").read_text())["species"]["particle"]["resolution_angstrom"]


def test_it_comes_near_the_truth(project, refined):
    run, _ = refined
    start, end = project.start(), project.refined(run)
    assert end.position_rms_angstrom < start.position_rms_angstrom / 4
    assert end.orientation_rms_deg < start.orientation_rms_deg / 3
    inputs = json.loads((run / "summary.json").read_text())["input_sha256"]
    assert {name.rsplit("/", 1)[-1] for name in inputs} == {
        "optimisation_set.star",
        "tomograms.star",
        "particles.star",
        "motion.star",
    }


def test_the_result_for_relion_gives_the_same_map(mlit, refined, tmp_path):
    run, words = refined
    assert "mlitProbability" in read_star(run / "relion" / "particles.star")["particles"]
    chosen = f"data.optimisation_set={run / 'relion' / 'optimisation_set.star'}"
    outcome = mlit("reconstruct", *words, chosen, f"output={tmp_path / 'again'}")
    assert outcome.code == 0, outcome.stderr
    assert "trajectories of RELION are now 13 positions" in outcome.stdout
    assert resolution(tmp_path / "again") == pytest.approx(resolution(run), rel=0.03)


def test_a_result_is_not_written_over_its_input(mlit, refined):
    run, words = refined
    chosen = f"data.optimisation_set={run / 'relion' / 'optimisation_set.star'}"
    outcome = mlit("reconstruct", *words, chosen, f"output={run}")
    assert "another data" in outcome.refusal()
