"""A small tilted series for the tests of parameter blocks."""

import pytest
import torch

from mlit.geometry.series_geometry import SeriesGeometry
from tests.brute_force import rotations


def small_geometry(tilts=4, seed=0):
    """A geometry in which everything that can be set is set."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return SeriesGeometry(
        tilt_angle_rad=torch.linspace(-0.9, 0.8, tilts, dtype=torch.float64),
        axis_angle_rad=1.48 + 0.01 * random(tilts),
        axis_offset_angstrom=20 * random(tilts, 2),
        dose=torch.linspace(3, 90, tilts, dtype=torch.float64),
        defocus_um=3 + 0.1 * random(tilts),
        volume_size_angstrom=torch.tensor([2000.0, 1800.0, 900.0], dtype=torch.float64),
        image_size_angstrom=torch.tensor([2000.0, 1800.0], dtype=torch.float64),
        level_angle_y_rad=torch.tensor(0.05, dtype=torch.float64),
        image_warp=5 * random(tilts, 3, 2, 2),
        stage_angles_rad=0.01 * random(tilts, 1, 1, 3),
        volume_warp=4 * random(2, 2, 2, 2, 3),
    )


@pytest.fixture
def geometry():
    return small_geometry()


@pytest.fixture
def particles():
    """Positions and orientations of five particles."""
    uniform = torch.rand(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    place = (0.1 + 0.8 * uniform) * torch.tensor([2000.0, 1800.0, 900.0])
    return place, rotations(5, seed=2)
