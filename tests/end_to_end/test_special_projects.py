"""Symmetry, the sign of depth, few or missing tilts, few particles, tilts that are switched off."""

import json

import numpy as np
import pytest

from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.particles import read_particles
from mlit.io.star import read_star, write_star
from mlit.io.warp.settings import read_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml

QUICK = ("schedule=quick", "model=coarse")
ONCE = ("schedule.iterations=[{resolution_angstrom: null, blocks: [poses, image_warp]}]", "model=coarse")

TIMED = (".hydra", ".mlit", "checkpoints", "mlit.log", "summary.json", "figures", "report.html")
"""Files that hold paths, hashes of the input or seconds, and drawings."""


def use_tilts(project, name, used):
    xml = TiltSeriesXml.read(project.xml(name))
    xml.with_lists({"UseTilt": [bool(u) for u in used]}).write(project.xml(name))


def set_halves(project, halves):
    blocks = read_star(project.particles)
    table = blocks["particles"].assign(rlnRandomSubset=halves)
    write_star(project.particles, blocks | {"particles": table})


def keep_movies(project, name, kept):
    """Let the tomostar of a series list some of its tilts only."""
    path = project.root / "tomostar" / f"{name}.tomostar"
    write_star(path, {key: table[kept].reset_index(drop=True) for key, table in read_star(path).items()})


def positions(project, path):
    """Where the particles of a file are, x y z in Å."""
    settings = read_settings(project.root / "warp_tiltseries.settings")
    pixels = (settings.pixel_size_angstrom, settings.binned_pixel_size_angstrom)
    return read_particles(path, pixels, settings.tomogram_size_angstrom).position_angstrom[:, 0]


@pytest.mark.parametrize("group", ["D2", "O", "I"])
def test_symmetric_molecule_is_refined(make_project, refine, group):
    few = {"sample": {"particles": 6}, "tilts": {"step_deg": [12.0]}}
    project = make_project({"structure": {"symmetry": group}}, few, words=(f"species.symmetry={group}",))
    run = refine(project, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    start, refined = project.start(), project.refined(run.output)
    assert refined.position_rms_angstrom < start.position_rms_angstrom / 3
    assert refined.orientation_rms_deg < start.orientation_rms_deg / 3
    volume, _ = read_mrc(run.output / "particle" / "map.mrc")
    turned = volume[:, :0:-1, :0:-1]  # about z by half a turn, the centre being at n // 2
    assert np.corrcoef(turned.ravel(), volume[:, 1:, 1:].ravel())[0, 1] > 0.99


def test_the_sign_of_depth_is_that_of_the_file_and_the_wrong_one_predicts_worse(make_project, refine):
    """Depth that is not inverted, as it is in all other tests; in ice of 3000 Å it is up to 0.15 µm of defocus."""
    thick = {
        "sample": {"thickness_angstrom": 3000.0},
        "microscope": {"mean_free_path_angstrom": 20000.0, "contrast": 1.0},
    }
    held_out = []
    for wrong, nearest, farthest in ((False, 0.0, 5.0), (True, 100.0, 300.0)):
        depth = {"depth_inverted": False, "defocus_error_um": 0.0, "wrong_hand": wrong}
        project = make_project(thick, {"deformation": depth})
        run = refine(project, *QUICK, "model.defocus.enabled=false")
        assert run.outcome.code == 0, run.outcome.stderr
        start, refined = project.start(), project.refined(run.output)
        assert refined.position_median_angstrom < start.position_median_angstrom / 3
        assert refined.orientation_rms_deg < start.orientation_rms_deg / 3
        assert nearest < refined.defocus_rms_nm < farthest
        written = TiltSeriesXml.read(run.output / "warp_tiltseries" / "TS_01.xml")
        assert written.are_angles_inverted == wrong
        held_out.append(run.summary["held_out_log_likelihood"] * refined.observations)
    assert held_out[0] > held_out[1] + 20


def test_series_that_lost_tilts_are_refined(make_project, refine):
    project = make_project({"tilts": {"missing": 4}})
    assert TiltSeriesXml.read(project.xml("TS_01")).tilts == 9
    run = refine(project, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    assert project.refined(run.output).position_rms_angstrom < project.start().position_rms_angstrom / 3


def test_tomostar_and_xml_of_other_tilts_are_told_apart(broken, tmp_path, mlit):
    """The series is set aside; where nothing is left, the run is refused."""
    keep_movies(broken, "TS_02", np.arange(13) != 5)
    outcome = mlit(*broken.command(tmp_path / "run", *ONCE))
    assert outcome.code == 0, outcome.stderr
    left_out = json.loads((tmp_path / "run" / "summary.json").read_text())["left_out"]
    assert list(left_out) == ["TS_02"]
    assert "lists 12 tilts, but TS_02.xml has 13" in left_out["TS_02"]
    keep_movies(broken, "TS_01", np.arange(13) != 0)
    assert "lists 12 tilts" in mlit(*broken.command(tmp_path / "none", *ONCE)).refusal()


def test_no_tilt_in_use_is_refused(broken, tmp_path, mlit):
    for name in ("TS_01", "TS_02"):
        use_tilts(broken, name, np.zeros(13))
    assert "UseTilt switches all tilts off" in mlit(*broken.command(tmp_path / "run", *ONCE)).refusal()


@pytest.mark.parametrize("tilt", [0, 6])
def test_one_tilt_moves_nothing_that_it_does_not_show(broken, tmp_path, mlit, tilt):
    for name in ("TS_01", "TS_02"):
        use_tilts(broken, name, np.arange(13) == tilt)
    outcome = mlit(*broken.command(tmp_path / "run", *ONCE))
    assert outcome.code == 0, outcome.stderr
    start, refined = broken.start(), broken.refined(tmp_path / "run")
    assert refined.position_rms_angstrom < 1.2 * start.position_rms_angstrom
    assert refined.orientation_rms_deg < 1.3 * start.orientation_rms_deg
    before = positions(broken, broken.particles)
    after = positions(broken, tmp_path / "run" / "particle" / "particles.star")
    most, _, least = np.linalg.svd(after - before, compute_uv=False)
    assert most > 1.0
    assert least < 0.02 * most  # all shifts lie in one plane, that of the image


def test_two_tilts_are_enough_to_run(broken, tmp_path, mlit):
    for name in ("TS_01", "TS_02"):
        use_tilts(broken, name, np.isin(np.arange(13), (3, 9)))
    outcome = mlit(*broken.command(tmp_path / "run", *ONCE))
    assert outcome.code == 0, outcome.stderr
    assert broken.refined(tmp_path / "run").position_rms_angstrom < 1.1 * broken.start().position_rms_angstrom


def test_one_particle_in_a_half_set_is_enough_to_run(broken, tmp_path, mlit):
    set_halves(broken, [2] + [1] * 23)
    outcome = mlit(*broken.command(tmp_path / "run", *ONCE))
    assert outcome.code == 0, outcome.stderr
    assert broken.refined(tmp_path / "run").position_rms_angstrom < 1.1 * broken.start().position_rms_angstrom


def test_one_particle_in_all_and_one_series(broken, tmp_path, mlit):
    blocks = read_star(broken.particles)
    table = blocks["particles"]
    mine = table[table["rlnTomoName"] == "TS_01"].iloc[:2].assign(rlnRandomSubset=[1, 2])
    write_star(broken.particles, blocks | {"particles": mine})
    outcome = mlit(*broken.command(tmp_path / "run", *ONCE))
    assert outcome.code == 0, outcome.stderr


def test_half_sets_are_assigned_where_there_are_none(broken, tmp_path, mlit):
    blocks = read_star(broken.particles)
    table = blocks["particles"].drop(columns="rlnRandomSubset")
    write_star(broken.particles, blocks | {"particles": table})
    outcome = mlit(*broken.command(tmp_path / "run", "schedule=none"))
    assert outcome.code == 0, outcome.stderr
    written = next(iter(read_star(tmp_path / "run" / "particle" / "particles.star").values()))
    counts = written["wrpRandomSubset"].astype(int).value_counts()
    assert set(counts.index) == {1, 2}
    assert counts.min() >= 8


def test_tilts_that_are_switched_off_have_no_influence(broken, tmp_path, mlit):
    """Neither what their images show nor whether these exist at all."""
    used = ~np.isin(np.arange(13), (0, 7))
    for name in ("TS_01", "TS_02"):
        use_tilts(broken, name, used)
    assert mlit(*broken.command(tmp_path / "first", *ONCE)).code == 0
    rng = np.random.default_rng(0)
    for name in ("TS_01", "TS_02"):
        paths = broken.images(name)
        write_mrc(paths[0], rng.normal(1e4, 1e4, (128, 128)).astype(np.float32), 8.0)
        paths[7].unlink()
    outcome = mlit(*broken.command(tmp_path / "second", *ONCE))
    assert outcome.code == 0, outcome.stderr
    names = [str(path.relative_to(tmp_path / "first")) for path in (tmp_path / "first").rglob("*") if path.is_file()]
    results = [name for name in names if not name.startswith(TIMED)]
    assert {"metrics.csv", "suspects.csv", "parameters/TS_01.csv", "particle/half2.mrc"} <= set(results)
    for name in results:
        first, second = ((tmp_path / run / name).read_bytes() for run in ("first", "second"))
        assert first.replace(b"/first/", b"/second/") == second, name  # files for RELION name others of the run
    written = TiltSeriesXml.read(tmp_path / "first" / "warp_tiltseries" / "TS_01.xml")
    assert written.use_tilt.tolist() == used.tolist()


def test_particles_of_no_weight_have_no_influence_and_move_with_the_frame_only(broken, tmp_path, mlit):
    blocks = read_star(broken.particles)
    table = blocks["particles"]
    weight = np.where(np.arange(len(table)) < 4, 0.0, 1.0)
    for shift, folder in ((0.0, "first"), (3.0, "second")):
        moved = table.assign(
            mlitWeight=weight,
            rlnCoordinateX=table["rlnCoordinateX"].astype(float) + shift * (weight == 0),
        )
        write_star(broken.particles, blocks | {"particles": moved})
        outcome = mlit(*broken.command(tmp_path / folder, *ONCE))
        assert outcome.code == 0, outcome.stderr
    first, second = (
        next(iter(read_star(tmp_path / f / "particle" / "particles.star").values())) for f in ("first", "second")
    )
    used = weight > 0
    names = [f"wrpCoordinate{axis}1" for axis in "XYZ"]
    np.testing.assert_allclose(first.loc[used, names].astype(float), second.loc[used, names].astype(float), atol=1e-3)
    moved = first.loc[:, "wrpCoordinateY1"].astype(float) - table["rlnCoordinateY"].astype(float) * 8.0
    assert moved[~used].abs().max() < 2.0
    assert moved[used].abs().max() > 4.0
    assert first["mlitWeight"].astype(float).tolist() == weight.tolist()
