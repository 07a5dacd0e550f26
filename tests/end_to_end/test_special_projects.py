"""Symmetry, few tilts, few particles, tilts that are switched off."""

import numpy as np

from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.star import read_star, write_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml

QUICK = ("schedule=quick", "model=coarse")
ONCE = ("schedule.iterations=[{resolution_angstrom: null, blocks: [poses, image_warp]}]", "model=coarse")


def use_tilts(project, name, used):
    xml = TiltSeriesXml.read(project.xml(name))
    xml.with_lists({"UseTilt": [bool(u) for u in used]}).write(project.xml(name))


def set_halves(project, halves):
    blocks = read_star(project.particles)
    table = blocks["particles"].assign(rlnRandomSubset=halves)
    write_star(project.particles, blocks | {"particles": table})


def test_symmetric_molecule_is_refined(make_project, refine):
    project = make_project({"structure": {"symmetry": "D2"}}, words=("species.symmetry=D2",))
    run = refine(project, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    start, refined = project.start(), project.refined(run.output)
    assert refined.position_rms_angstrom < start.position_rms_angstrom / 3
    assert refined.orientation_rms_deg < start.orientation_rms_deg / 3
    volume, _ = read_mrc(run.output / "particle" / "map.mrc")
    turned = volume[:, :0:-1, :0:-1]  # about z by half a turn, the centre being at n // 2
    assert np.corrcoef(turned.ravel(), volume[:, 1:, 1:].ravel())[0, 1] > 0.99


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
    for name in ("particle/particles.star", "warp_tiltseries/TS_01.xml", "particle/map.mrc", "particle/half1.mrc"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
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
