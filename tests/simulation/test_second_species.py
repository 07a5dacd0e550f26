"""A second species in the same tilt series."""

import numpy as np
import pytest

from mlit.errors import InputError
from mlit.io.mrc import read_mrc
from mlit.io.star import read_star, write_star
from mlit.simulation.simulate import simulate
from mlit.simulation.truth import compare_to_truth

QUIET = {"microscope": {"noise": False, "float16": False}, "sample": {"crowding": 0.0, "particles": 6}}
SECOND = {"share": 0.5, "structure": {"diameter_angstrom": 70.0, "symmetry": "C2", "bead_spacing_angstrom": 7.0}}
SAME = {"share": 0.5, "structure": {"diameter_angstrom": 90.0, "bead_spacing_angstrom": 7.0}}


@pytest.fixture(scope="module")
def together(tmp_path_factory, small_config):
    return simulate(small_config({**QUIET, "second_species": SECOND}), tmp_path_factory.mktemp("two") / "p").parent


@pytest.fixture(scope="module")
def alone(tmp_path_factory, small_config):
    return simulate(small_config(QUIET), tmp_path_factory.mktemp("one") / "p").parent


def rows(path):
    return read_star(path)["particles"]


def test_each_species_has_its_table_and_truth(together):
    for end in ("", "_2"):
        start, true = rows(together / f"particles{end}.star"), rows(together / "truth" / f"particles{end}.star")
        assert len(start) == len(true) == 6  # half of six in each of two series
        assert (start["rlnTomoName"] == true["rlnTomoName"]).all()
        assert (together / "truth" / f"structure{end}.npz").is_file()
    sizes = [len(read_mrc(together / "truth" / f"map{end}.mrc")[0]) for end in ("", "_2")]
    assert sizes[0] > sizes[1]


def test_the_molecules_lie_where_those_of_one_species_would(together, alone):
    """Nothing else is drawn otherwise: which molecule stands at a place is all that changes."""
    tables = [rows(together / f"particles{end}.star") for end in ("", "_2")]
    joined = np.concatenate([table["rlnCoordinateX"].astype(float) for table in tables])
    single = rows(alone / "particles.star")["rlnCoordinateX"].astype(float)
    np.testing.assert_allclose(np.sort(joined), np.sort(single))


def test_images_show_both(together, alone, tmp_path, small_config):
    """Where the second molecule is the first one, images are those of one species; else they differ."""
    changed = small_config({**QUIET, "second_species": SAME | {"structure": SAME["structure"] | {"seed": 8}}})
    other = simulate(changed, tmp_path / "other").parent
    name = sorted((alone / "warp_frameseries" / "average").iterdir())[0].name
    images = [read_mrc(p / "warp_frameseries" / "average" / name)[0] for p in (alone, together, other)]
    assert all(np.abs(image - images[0]).max() > 0.1 * images[0].std() for image in images[1:])
    half = simulate(small_config({**QUIET, "second_species": SAME | {"share": 0.01}}), tmp_path / "none").parent
    np.testing.assert_array_equal(read_mrc(half / "warp_frameseries" / "average" / name)[0], images[0])


def test_each_is_judged_by_its_own_truth(together):
    for species, end in enumerate(("", "_2")):
        truth = together / "truth"
        same = compare_to_truth(together, truth / "warp", truth / f"particles{end}.star", species)
        assert same.position_rms_angstrom < 1e-6
    few = rows(together / "particles_2.star").iloc[:-1]
    write_star(together.parent / "few.star", {**read_star(together / "particles_2.star"), "particles": few})
    with pytest.raises(InputError, match="rows are not those"):
        compare_to_truth(together, together / "truth" / "warp", together.parent / "few.star", 1)


def test_share_must_leave_a_first_species(small_config):
    with pytest.raises(InputError, match=r"second_species\.share"):
        small_config({"second_species": {"share": 1.0}})
