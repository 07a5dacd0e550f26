"""Blocks by name."""

from mlit.deformation.registry import BLOCKS, make_blocks
from tests.brute_force import imaging_of


def test_enabled_blocks_are_made_in_a_fixed_order(geometry):
    options = {
        "defocus": {"enabled": True, "prior_um": 0.1},
        "stage_angles": {"enabled": False, "prior_deg": 0.3},
        "image_warp": {
            "enabled": True,
            "grid": (2, 2),
            "shift_prior_angstrom": 5.0,
            "warp_prior_angstrom": 2.0,
            "smoothness": 0.5,
        },
    }
    assert [block.name for block in make_blocks(imaging_of(geometry), options)] == ["image_warp", "defocus"]
    assert make_blocks(imaging_of(geometry), {}) == []
    assert options["defocus"]["enabled"] is True


def test_names_are_those_of_the_blocks():
    assert all(name == block.name for name, block in BLOCKS.items())
