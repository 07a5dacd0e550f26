"""Two species refined together, against each alone."""

import pytest

from mlit.simulation.truth import compare_to_truth

FEW = {
    "series": 1,
    "tilts": {"max_angle_deg": [48.0], "step_deg": [6.0]},
    "sample": {"particles": 48, "thickness_angstrom": 600.0},
    "microscope": {"width": 192, "height": 192},
    "deformation": {"image_warp_error_angstrom": 5.0, "shift_error_angstrom": 5.0},
    "second_species": {
        "share": 0.5,
        "structure": {"diameter_angstrom": 150.0, "symmetry": "C2", "bead_spacing_angstrom": 8.0, "seed": 9},
    },
}
SECOND = "diameter: 150, symmetry: C2"
WORDS = ("denoiser=wiener", "history.record=false")


@pytest.fixture(scope="module")
def project(make_project):
    return make_project(FEW)


def judged(project, run, name, species):
    assert run.outcome.code == 0, run.outcome.stderr
    folder = run.output
    return compare_to_truth(project.root, folder / "warp_tiltseries", folder / name / "particles.star", species)


def test_each_gains_from_the_geometry_that_the_other_helps_to_find(project, refine):
    second = f"{project.root}/particles_2.star"
    first_alone = judged(project, refine(project, *WORDS), "particle", 0)
    words = f"data.particles={second}", "species.diameter=150", "species.symmetry=C2"
    second_alone = judged(project, refine(project, *WORDS, *words), "particle", 1)
    both = refine(project, *WORDS, f"more_species=[{{name: second, particles: {second}, {SECOND}}}]")
    together = [judged(project, both, name, k) for k, name in enumerate(("particle", "second"))]
    for alone, shared in zip((first_alone, second_alone), together, strict=True):
        assert shared.position_rms_angstrom < 0.95 * alone.position_rms_angstrom
    assert set(both.summary["species"]) == {"particle", "second"}
    assert both.summary["particles"] == 48
    assert both.inputs_before == both.inputs_after  # inputs are as they were
