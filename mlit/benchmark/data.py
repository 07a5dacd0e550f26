"""Projects to measure with, and the configs of their runs."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mlit.cli.composer import Composer
from mlit.cli.validation import validated_overrides
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate

MAX_ANGLE_DEG = 60.0
TOTAL_DOSE = 120.0  # e/Å², whatever the number of tilts
PIXEL_SIZE_ANGSTROM = 5.0
DIAMETER_ANGSTROM = 230.0
DEFOCUS_UM = (2.0, 4.0)  # of the series, at random
LARGEST_DEFOCUS_UM = max(DEFOCUS_UM)


def simulated_project(
    folder: Path,
    particles: int,
    tilts: int,
    width: int = 480,
    diameter_angstrom: float = DIAMETER_ANGSTROM,
    seed: int = 1,
    series: int = 1,
) -> list[str]:
    """Simulate tilt series, each with so many particles, and return the config words that name them.

    The field, the molecule and the total dose are the same for any number of particles and tilts, so that two sizes
    differ in nothing else.
    """
    values = {
        "seed": seed,
        "series": series,
        "structure": {"diameter_angstrom": diameter_angstrom, "bead_spacing_angstrom": 7.0, "seed": 1},
        "tilts": {
            "max_angle_deg": [MAX_ANGLE_DEG],
            "step_deg": [2 * MAX_ANGLE_DEG / (tilts - 1)],
            "dose_per_tilt": TOTAL_DOSE / tilts,
        },
        "microscope": {
            "width": width,
            "height": width,
            "pixel_size_angstrom": PIXEL_SIZE_ANGSTROM,
            "defocus_um": list(DEFOCUS_UM),
        },
        "sample": {"particles": particles, "crowding": 0.0},
    }
    settings = simulate(config_from_mapping(values), folder)
    return [
        f"data.settings={settings}",
        f"data.particles={folder / 'particles.star'}",
        f"species.diameter={diameter_angstrom}",
    ]


def refinement_config(words: Sequence[str], output: Path) -> DictConfig:
    """Compose the config of a refinement from words as they follow ``mlit refine``."""
    composer = Composer("refine")
    checked = validated_overrides(composer, [*words, f"output={output}"], multirun=False)
    with composer.ready():
        return OmegaConf.create(composer.compose(checked).values)
