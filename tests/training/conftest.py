"""A very small simulated project, read, and the module that refines it."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from mlit.cli.composer import Composer
from mlit.project.project import Project
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate
from mlit.training.assembly import load_projects

DIAMETER = 150.0
SMALL = {
    "seed": 4,
    "structure": {"diameter_angstrom": DIAMETER, "bead_spacing_angstrom": 9.0, "seed": 2},
    "tilts": {"max_angle_deg": [45.0], "step_deg": [15.0], "dose_per_tilt": 4.0},
    "microscope": {"width": 96, "height": 104, "pixel_size_angstrom": 9.0, "defocus_um": [2.0, 2.5], "contrast": 1.0},
    "sample": {"particles": 8, "thickness_angstrom": 400.0, "crowding": 0.0},
    "deformation": {"volume_warp": [1, 1, 1, 1], "volume_warp_error_angstrom": 0.0, "offset_angstrom": 10.0},
}


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory) -> Path:
    """The project on disk; not to be changed."""
    root = tmp_path_factory.mktemp("small") / "project"
    simulate(config_from_mapping(SMALL), root)
    return root


def compose(folder: Path, output: Path, *words: str) -> DictConfig:
    """The config of a short refinement of a project."""
    composer = Composer("refine")
    given = [
        f"data.settings={folder}/warp_tiltseries.settings",
        f"data.particles={folder}/particles.star",
        f"species.diameter={DIAMETER}",
        f"output={output}",
        "logger=none",
        "trainer=cpu",
        "schedule=quick",
        "model=coarse",
        *words,
    ]
    with composer.ready():
        return OmegaConf.create(composer.compose(given).values)


@pytest.fixture
def config(small_folder, tmp_path):
    """Return a function that composes the config with further words."""
    return lambda *words: compose(small_folder, tmp_path / "run", *words)


@pytest.fixture(scope="session")
def small(small_folder, tmp_path_factory) -> Project:
    """The project, read."""
    return load_projects(compose(small_folder, tmp_path_factory.mktemp("nothing")))[0]
