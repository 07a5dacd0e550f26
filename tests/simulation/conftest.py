"""A small molecule and small projects for the simulation's tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mlit.simulation.config import SimulationConfig
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.globular import generate_globular
from mlit.simulation.structure import Structure

SMALL: dict[str, dict[str, Any]] = {
    "structure": {"diameter_angstrom": 90.0, "bead_spacing_angstrom": 7.0},
    "tilts": {"max_angle_deg": [45.0, 30.0], "step_deg": [15.0]},
    "microscope": {"width": 64, "height": 72, "pixel_size_angstrom": 8.0, "defocus_um": [1.0, 2.0]},
    "sample": {
        "particles": 6,
        "thickness_angstrom": 400.0,
        "crowding": 0.02,
        "crowd_diameter_angstrom": 60.0,
    },
    "deformation": {"offset_angstrom": 10.0},
}


@pytest.fixture(scope="session")
def molecule() -> Structure:
    """Some three hundred beads."""
    return generate_globular(90.0, "C1", 7.0, np.random.default_rng(5))


@pytest.fixture(scope="session")
def small_config():
    """Return a function that makes the small config with changes to its sections."""

    def make(changes: Mapping[str, Any] | None = None) -> SimulationConfig:
        changes = changes or {}
        sections = {
            name: SMALL.get(name, {}) | changes.get(name, {})
            for name in {*SMALL, *changes}
            if isinstance(changes.get(name, {}), Mapping)
        }
        plain = {name: value for name, value in changes.items() if not isinstance(value, Mapping)}
        return config_from_mapping({**sections, **plain})

    return make
