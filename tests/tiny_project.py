"""What the smallest project is simulated from that a refinement still gains from."""

from collections.abc import Mapping
from typing import Any

DIAMETER = 170.0  # Å

TINY: dict[str, Any] = {
    "seed": 3,
    "series": 2,
    "structure": {"diameter_angstrom": DIAMETER, "bead_spacing_angstrom": 8.0, "seed": 5},
    "tilts": {"max_angle_deg": [48.0], "step_deg": [8.0], "dose_per_tilt": 4.0},
    "microscope": {
        "width": 128,
        "height": 128,
        "pixel_size_angstrom": 8.0,
        "defocus_um": [2.0, 3.0],
        "contrast": 0.6,
    },
    "sample": {"particles": 12, "thickness_angstrom": 400.0, "crowding": 0.0},
    "deformation": {"volume_warp": [1, 1, 1, 1], "volume_warp_error_angstrom": 0.0},
}


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mappings over each other, the last winning."""
    out: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            out[key] = merged(out.get(key, {}), value) if isinstance(value, Mapping) else value
    return out
