import shutil

import numpy as np
import pandas as pd
import pytest

from mlit.errors import InputError
from mlit.io.mrc import read_mrc_section, write_mrc
from mlit.io.star import read_star, write_star
from mlit.project.images import load_tilt_images
from mlit.project.relion_files import find_files
from mlit.project.relion_project import load_relion_project
from tests.project.relion_support import IMAGE, PARTICLES, PIXEL, write_relion_project

JOB = ("Polish", "job030")


@pytest.fixture
def chosen(tmp_path):
    return write_relion_project(tmp_path / "project")


def load(chosen, **options):
    return load_relion_project(find_files(chosen), **options)


def edit(path, change):
    """Change the tables of a STAR file in place."""
    blocks = read_star(path)
    for name, table in blocks.items():
        changed = change(name, table)
        blocks[name] = table if changed is None else changed
    write_star(path, blocks)


def tilts_of(chosen):
    return chosen.parent / "tilt_series" / "TS_01.star"


def test_whole_project(chosen):
    project = load(chosen)
    (series,) = project.series
    assert project.failures == {}
    assert project.pixel_size_angstrom == PIXEL
    assert series.image_size_px == IMAGE
    assert len(series.particle_index) == PARTICLES
    assert project.particles.half_set.tolist() == [1, 2] * (PARTICLES // 2)
    assert [path.name for path in project.input_paths] == [
        "optimisation_set.star",
        "tomograms.star",
        "particles.star",
        "motion.star",
    ]
    assert series.geometry.depth_inverted
    assert series.optics.amplitude_contrast == 0.1
    table = read_star(tilts_of(chosen))["TS_01"].astype({"rlnTomoYTilt": float}).sort_values("rlnTomoYTilt")[::-1]
    defocus = (table["rlnDefocusU"].astype(float) + table["rlnDefocusV"].astype(float)).to_numpy() / 2e4
    np.testing.assert_allclose(series.geometry.defocus_um, defocus)
    np.testing.assert_allclose(series.weights.tilt_amplitude, table["rlnCtfScalefactor"].astype(float))
    assert series.weights.tilt_bfactor_angstrom2 is None


def test_aberrations_have_the_signs_of_warp(chosen):
    optics = load(chosen).series[0].optics
    assert optics.zernike_odd_rad[:6].tolist() == [-1, -2, -30, 0, 40, -12]
    assert optics.zernike_even_rad.tolist() == [0, 3, 0, 20, 0, 0, 5, 0]
    np.testing.assert_allclose(optics.phase_shift_rad, np.deg2rad(12.5) - 0.1)  # the constant is a phase shift


def test_images_of_a_stack_go_with_their_tilts(chosen, tmp_path):
    series = load(chosen).series[0]
    images = load_tilt_images(series).numpy()
    names = read_star(tilts_of(chosen))["TS_01"]
    order = np.argsort(-names["rlnTomoYTilt"].astype(float).to_numpy())
    for tilt, row in enumerate(order):
        section = int(names["rlnMicrographName"].iloc[row].split("@")[0]) - 1
        np.testing.assert_array_equal(images[tilt], read_mrc_section(tmp_path / "project/stacks/TS_01.mrcs", section))


def test_a_stack_named_in_the_tomograms_comes_first(chosen, tmp_path):
    edit(chosen.parent / "tomograms.star", lambda _, t: t.assign(rlnTomoTiltSeriesName="stacks/TS_01.mrcs"))
    edit(tilts_of(chosen), lambda _, t: t.drop(columns="rlnMicrographName"))
    series = load(chosen).series[0]
    assert set(series.image_sections) == set(range(7))
    assert np.isfinite(load_tilt_images(series).numpy()).all()


def test_tomograms_and_particles_without_a_set(chosen, tmp_path, monkeypatch):
    files = find_files(tomograms=chosen.parent / "tomograms.star", particles=chosen.parent / "particles.star")
    assert load_relion_project(files).particles.samples == 1
    assert load(chosen).particles.samples == 7
    with pytest.raises(InputError, match=r"give a value for data\.optimisation_set=…, or for data\.tomograms=…"):
        find_files(particles=chosen.parent / "particles.star")
    moved = tmp_path / "moved"
    shutil.copytree(chosen.parent, moved)
    monkeypatch.chdir(tmp_path)
    assert len(load_relion_project(find_files(moved / "optimisation_set.star", folder="project")).series) == 1


def test_corner_coordinates(chosen):
    before = load(chosen).particles.position_angstrom

    def change(name, table):
        if name != "particles":
            return table
        size = np.array([66, 50, 30])
        for i, axis in enumerate("XYZ"):
            centred = table.pop(f"rlnCenteredCoordinate{axis}Angst").astype(float)
            table[f"rlnCoordinate{axis}"] = centred / PIXEL + size[i] / 2
        return table

    edit(chosen.parent / "particles.star", change)
    np.testing.assert_allclose(load(chosen).particles.position_angstrom, before, atol=1e-4)


def test_references_of_the_set_are_offered(chosen, tmp_path):
    for name in ("half1.mrc", "half2.mrc", "mask.mrc"):
        write_mrc(tmp_path / "project" / "rec" / name, np.ones((4, 4, 4)), PIXEL)
    maps = {"rlnTomoReferenceMap1File": "rec/half1.mrc", "rlnTomoReferenceMap2File": "rec/half2.mrc"}
    edit(chosen, lambda _, table: keep_list(table.assign(**maps, rlnTomoReferenceMaskFile="rec/mask.mrc")))
    project = load(chosen)
    assert [path.name for path in project.half_maps] == ["half1.mrc", "half2.mrc"]
    assert all(path.is_file() for path in (*project.half_maps, project.mask))
    assert load(chosen, references=False).half_maps is None


def keep_list(table):
    table.attrs["star_list"] = True
    return table


def reason(chosen):
    with pytest.raises(InputError) as refusal:
        load(chosen)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_missing_images(chosen, tmp_path):
    (tmp_path / "project" / "stacks" / "TS_01.mrcs").unlink()
    assert "stacks/TS_01.mrcs: image of tilt 1 of TS_01 not found; copy the images" in reason(chosen)


def test_sections_that_the_stack_lacks(chosen):
    edit(tilts_of(chosen), lambda _, t: t.assign(rlnMicrographName="000009@stacks/TS_01.mrcs"))
    assert "has 7 sections, but 9 is named" in reason(chosen)


@pytest.mark.parametrize("column", ["rlnTomoYTilt", "rlnDefocusU", "rlnMicrographPreExposure"])
def test_missing_columns(chosen, column):
    edit(tilts_of(chosen), lambda _, t: t.drop(columns=column))
    assert f"has no column {column}; " in reason(chosen)


def test_another_pixel_size_in_the_optics(chosen):
    def change(name, table):
        return table.assign(rlnTomoTiltSeriesPixelSize="8.1") if name == "optics" else table

    edit(chosen.parent / "particles.star", change)
    assert "group 1: rlnTomoTiltSeriesPixelSize is 8.1 Å, but tomograms.star gives 8 Å" in reason(chosen)


def test_another_pixel_size_in_the_images(chosen, tmp_path):
    write_mrc(tmp_path / "project" / "stacks" / "TS_01.mrcs", np.zeros((7, *IMAGE[::-1])), 4.0)
    assert "has a pixel size of 4 Å, but tomograms.star gives 8 Å" in reason(chosen)


def test_trajectories_of_other_tilts(chosen):
    def change(name, table):
        return table.iloc[:-1] if name == "TS_01/5" else table

    edit(chosen.parent / "motion.star", change)
    assert "trajectory of particle TS_01/5 has 6 rows, but its series has 7 tilts" in reason(chosen)


def test_deformation_of_another_kind(chosen):
    edit(chosen.parent / "tomograms.star", lambda _, t: t.assign(rlnTomoDeformationType="spline"))
    assert "has 12 numbers, but a deformation of kind spline on 3 × 3 has 72" in reason(chosen)


def test_no_orientations(chosen):
    def change(name, table):
        drop = [c for c in table if "Angle" in c or "Subtomogram" in c]
        return table.drop(columns=drop) if name == "particles" else table

    edit(chosen.parent / "particles.star", change)
    assert "has no orientations" in reason(chosen)


def test_bfactors_replace_the_critical_exposure_where_they_differ(chosen, caplog):
    tilts = read_star(tilts_of(chosen))["TS_01"]
    bfactor = np.arange(7.0)
    edit(tilts_of(chosen), lambda _, t: t.assign(rlnCtfBfactor=[str(b) for b in bfactor]))
    edit(chosen.parent / "tomograms.star", lambda _, t: t.assign(rlnCtfBfactorPerElectronDose="3.5"))
    weights = load(chosen).series[0].weights
    expected = -(bfactor + 3.5 * tilts["rlnMicrographPreExposure"].astype(float))
    order = np.argsort(-tilts["rlnTomoYTilt"].astype(float).to_numpy())
    np.testing.assert_allclose(weights.tilt_bfactor_angstrom2, expected.to_numpy()[order])
    edit(chosen.parent / "tomograms.star", lambda _, t: t.drop(columns="rlnCtfBfactorPerElectronDose"))
    load(chosen)
    assert "the critical exposure is replaced by a decay of 4 Å²" in caplog.text


def test_a_slope_of_defocus_is_warned_of(chosen, caplog):
    edit(chosen.parent / "tomograms.star", lambda _, t: t.assign(rlnTomoDefocusSlope="-1.02"))
    assert not load(chosen).series[0].geometry.depth_inverted
    assert "it differs by 20 Å at 1000 Å from the centre" in caplog.text


def test_unknown_columns_reach_the_export(chosen, tmp_path):
    from mlit.project.relion_export import write_relion

    project = load(chosen)
    write_relion(tmp_path / "out", project, project.particles)
    for file, block, column in (
        ("tomograms.star", "global", "rlnEtomoDirectiveFile"),
        ("tilt_series/TS_01.star", "TS_01", "rlnMicrographMovieName"),
        ("particles.star", "particles", "rlnLogLikeliContribution"),
        ("particles.star", "optics", "rlnImageSize"),
        ("particles.star", "particles", "rlnTomoSubtomogramRot"),
    ):
        before, after = (pd.Series(read_star(root / file)[block][column]) for root in (chosen.parent, tmp_path / "out"))
        assert after.tolist() == before.tolist(), column
    optics = read_star(tmp_path / "out" / "particles.star")["optics"]
    assert optics["rlnOddZernike"].tolist() == ["[1,2,30,0,-40,12,0,0,0,0,0,0]"]
    assert "rlnTomoDeformationCoefficients" not in read_star(tmp_path / "out" / "tilt_series" / "TS_01.star")["TS_01"]
