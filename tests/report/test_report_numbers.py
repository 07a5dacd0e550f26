"""The numbers of each figure against the files that they are worked out from."""

import math

import numpy as np
import pytest
import torch

from mlit.io.mrc import read_mrc
from mlit.io.star import write_star
from mlit.report import map_figures
from mlit.report.convergence import blocks_of, convergence_numbers
from mlit.report.figures import iteration_curves
from mlit.report.headline import duration, facts, warnings
from mlit.report.map_figures import central_sections, local_numbers, read_halves
from mlit.report.orientations import distribution, view_directions, write_bild
from mlit.report.pose_figures import draw_poses, pose_numbers
from mlit.report.resolution_figures import growth_numbers, guinier_numbers, steps
from mlit.report.run_folder import RunFolder
from mlit.report.series_table import series_rows
from mlit.report.tilt_numbers import tilt_numbers
from mlit.report.warp_fields import warp_fields


@pytest.fixture
def run(fake):
    return RunFolder(fake.write())


def test_steps_are_differences_to_the_iteration_before(run):
    curves = iteration_curves(run.path, "molecule")
    changes = steps(curves)
    assert list(changes) == [1, 2]
    np.testing.assert_allclose(changes[2][1], curves[2][1] - curves[1][1])


def test_steps_stop_where_the_coarser_of_two_curves_ends():
    fine, coarse = np.linspace(0, 0.1, 11), np.linspace(0, 0.06, 4)
    changes = steps({0: (coarse, 1 - 5 * coarse), 1: (fine, 1 - 2 * fine)})
    np.testing.assert_allclose(changes[1][0], fine[:7])
    np.testing.assert_allclose(changes[1][1], 3 * fine[:7], atol=1e-12)


def test_growth_is_a_line_to_twice_the_particles(run):
    found = growth_numbers(run, "molecule")
    np.testing.assert_array_equal(found.particles, [3, 6, 12])
    assert found.line_particles[-1] == pytest.approx(24)
    x, y = np.log(found.particles), found.resolution_angstrom**-2.0
    slope, intercept = np.polyfit(x, y, 1)
    np.testing.assert_allclose(found.line_angstrom**-2.0, intercept + slope * np.log(found.line_particles))


def test_no_line_where_more_particles_are_no_better(fake):
    folder = fake.write()
    (folder / "molecule" / "subsets.csv").write_text(
        "particles,resolution_angstrom,line_angstrom\n3,9,\n6,9,\n12,10,\n"
    )
    assert len(growth_numbers(RunFolder(folder), "molecule").line_particles) == 0
    (folder / "molecule" / "subsets.csv").unlink()
    assert growth_numbers(RunFolder(folder), "molecule") is None


def test_guinier_plot_is_that_of_the_masked_average(run):
    folder = run.path / "molecule"
    found = guinier_numbers(folder)
    volume, mask = read_mrc(folder / "map.mrc")[0], read_mrc(folder / "mask.mrc")[0]
    power = np.abs(np.fft.fftn(volume * mask)) ** 2
    k = np.fft.fftfreq(24, 1 / 24)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2).round().astype(int)
    fsc = 1 - (4 / 12) ** 3
    expected = 0.5 * math.log(power[radius == 4].mean() * 2 * fsc / (1 + fsc))
    at = int(np.argmin(np.abs(found.frequency_squared - (4 / 84) ** 2)))
    assert found.log_amplitude[at] == pytest.approx(expected, rel=1e-4)
    assert found.frequency_squared.min() > 0


def test_iterations_are_summed_up(run):
    found = convergence_numbers(run)
    assert found.reached["molecule"]["resolution_angstrom"].tolist() == [15, 12, 9]
    assert found.table["fitted"].tolist() == [0, 2, 2]
    assert math.isnan(found.table["gain"][0])
    assert found.table["gain"][1] == pytest.approx(90 + 45)
    assert found.spread["gain"].loc[1].tolist() == pytest.approx([45, 67.5, 90])
    assert found.spread["change_position_angstrom"]["median"].tolist() == [4, 2]
    assert found.spread["expected_error_position_angstrom"].loc[2].tolist() == [1, 1.5, 2]
    assert [blocks_of(run, i) for i in range(4)] == ["", "poses", "poses, image_warp", ""]


def test_tilts_have_the_values_of_the_tables(run):
    found = tilt_numbers(run)
    assert found.names == ("TS_1", "TS_2")
    assert found.signal[0, 1] == pytest.approx(1.1)
    assert found.signal[1, 1] == pytest.approx(0.02)
    assert found.signal[0, 3] == pytest.approx(1.3 * 0.4)
    assert np.isnan(found.signal[:, 4]).all()
    np.testing.assert_allclose(found.shift_angstrom[0, :4], [0, 5, 10, 15])
    np.testing.assert_allclose(found.angle_deg[1, :4], 0.1 * math.sqrt(2) * np.arange(4))
    assert np.isnan(found.shift_angstrom[:, 4]).all()
    assert found.exists.all()
    assert found.used.sum(1).tolist() == [4, 4]
    assert set(found.marks) == {(1, 1, "weak tilt"), (0, 3, "shaded tilt")}
    assert found.doubted.tolist() == [2, 0]
    assert found.picks.tolist() == [6, 6]
    np.testing.assert_allclose(found.faults, [1 / 5 + 2 / 6, 1 / 5])


def test_marks_follow_their_series_when_rows_are_picked(run):
    found = tilt_numbers(run).rows(np.array([1]))
    assert found.names == ("TS_2",)
    assert found.marks == ((0, 1, "weak tilt"),)
    assert found.signal.shape == (1, 5)


def test_runs_without_a_table_of_tilts_still_have_shifts_and_marks(fake):
    folder = fake.write()
    (folder / "tilts.csv").unlink()
    found = tilt_numbers(RunFolder(folder))
    assert np.isnan(found.signal).all()
    assert found.shift_angstrom[1, 4] == pytest.approx(20)
    assert len(found.marks) == 2


def test_series_have_the_values_of_their_last_fit(run):
    first, second, lost = series_rows(run)
    assert (first.picks, first.doubted, first.suspect_tilts, first.status) == (6, 2, 1, "improved")
    assert (second.before, second.after) == (2200, pytest.approx(2230))
    assert second.gain == pytest.approx(45 + 30)
    assert second.held_out_per_image == pytest.approx(4.0)
    assert (second.first_moved_angstrom, second.last_moved_angstrom, second.error_angstrom) == (4, 2, 2)
    assert second.defocus_change_nm == pytest.approx(30)
    assert lost.name == "TS_9"
    assert lost.status == "left out: blank <images>"
    assert math.isnan(lost.gain)
    assert all(row.bad for row in (first, second, lost))


def test_warp_fields_are_the_local_part(run):
    fields, total = warp_fields(run)
    assert total == 2
    assert [(f.series, f.tilt) for f in fields] == [(n, t) for n in ("TS_1", "TS_2") for t in (1, 3, 5)]
    last = fields[-1]
    np.testing.assert_allclose(last.mean_angstrom, [12, 16])
    np.testing.assert_allclose(last.shift_angstrom[:, 0], np.where(last.x > 0.5, 2.0, -2.0))
    np.testing.assert_allclose(last.shift_angstrom[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(last.error_angstrom, 0.2)


def test_errors_of_poses_are_lengths_of_vectors(run):
    found = pose_numbers(run, "molecule")
    assert len(found.position_angstrom) == len(found.rotation_deg) == 12 - 2
    np.testing.assert_allclose(found.position_angstrom, math.sqrt(1 + 1 + 4))
    np.testing.assert_allclose(found.rotation_deg, 0.3 * math.sqrt(3))
    np.testing.assert_allclose(found.along_z, 2)
    assert len(found.probability) == 12
    assert (found.probability < 0.5).sum() == 2
    assert len(found.drift_angstrom) == 0


def test_views_are_the_axis_of_the_microscope_in_the_frame_of_the_map(run):
    """At a tilt angle of 90° they lie in the equator, at the angle rot; a twofold adds those opposite in x and y."""
    seen = view_directions(run, "molecule")
    assert len(seen) == 2 * 10
    np.testing.assert_allclose(seen[:, 2], 0, atol=1e-9)
    rot = np.deg2rad(np.linspace(-170, 170, 12)[2:])
    along = np.stack([np.cos(rot), np.sin(rot)], -1)
    angles = (seen[:10, :2].numpy() @ along.T).max(1)
    np.testing.assert_allclose(angles, 1, atol=1e-9)
    np.testing.assert_allclose(seen[:10, :2] + seen[10:, :2], 0, atol=1e-9)


def test_even_directions_fill_cells_evenly():
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(200_000, 3, generator=generator, dtype=torch.float64)
    found = distribution(directions / directions.norm(dim=1, keepdim=True))
    assert found.ratio.shape == (18, 36)
    assert np.abs(found.ratio - 1).max() < 0.35
    one_sided = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(50, 3)
    ratio = distribution(one_sided).ratio
    assert ratio[-1].sum() == ratio.sum()
    assert distribution(torch.zeros(0, 3, dtype=torch.float64)) is None


def test_cylinders_stand_on_a_sphere_about_the_middle_of_the_map(run):
    directions = torch.tensor([[0.0, 0, 1]] * 4 + [[1.0, 0, 0]] * 2, dtype=torch.float64)
    path = run.path / "molecule" / "views.bild"
    write_bild(path, directions, 20.0, run.path / "molecule" / "map.mrc")
    lines = [line.split() for line in path.read_text().splitlines() if line.startswith(".cylinder")]
    ends = np.array([line[1:7] for line in lines], float).reshape(-1, 2, 3) - 12 * 3.5
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(ends[:, 0], axis=1), 21, atol=0.02)
    np.testing.assert_allclose(sorted(lengths), [5, 10], atol=0.02)
    assert ends[lengths.argmax(), 1] / 31 == pytest.approx([0, 0, 1], abs=0.15)


def test_sections_are_central_and_thinned(monkeypatch):
    volume = np.arange(6**3).reshape(6, 6, 6)
    for axis, section in enumerate(central_sections(volume)):
        np.testing.assert_array_equal(section, volume.take(3, axis))
    monkeypatch.setattr(map_figures, "MOST_PIXELS", 4)
    for axis, section in enumerate(central_sections(volume)):
        np.testing.assert_array_equal(section, volume.take(3, axis)[::2, ::2])


def test_local_resolution_is_kept_beside_the_maps(run):
    halves = read_halves(run, "molecule")
    path = run.path / "molecule" / "local_resolution.mrc"
    inside = local_numbers(halves, path)
    volume, pixel = read_mrc(path)
    assert pixel == pytest.approx(3.5)
    np.testing.assert_array_equal(inside, volume[halves.mask.numpy() > 0.5])
    assert (inside >= 2 * 3.5 * 0.9).all()


def test_headline_has_results_and_warnings(run):
    shown = dict((name, figure) for figure, name in facts(run))
    assert shown["molecule, FSC 0.143"] == "9 Å"
    assert shown["at the start"] == "15 Å"
    assert shown["wall time"] == "3 min"
    text = "\n".join(warnings(run))
    assert "TS_9 was left out: blank <images>" in text
    assert "2 picks are most likely no particles" in text
    assert "1 tilts show next to no signal" in text
    assert "shade" not in text
    assert "1 of 2 series still moved" in text
    assert [duration(s) for s in (9.4, 130, 7300)] == ["9 s", "2 min", "2 h 02 min"]


def test_further_species_have_settings_and_resolutions_of_their_own(fake):
    fake.species = ("molecule", "other")
    run = RunFolder(fake.write())
    assert len(run.symmetry("molecule").point_group) == 2
    assert len(run.symmetry("other").point_group) == 1
    assert run.of_species("other", "diameter", None) == 30
    assert run.of_species("unknown", "diameter", 7) == 7
    metrics = run.metrics.assign(**{"other/fsc_0.143_angstrom": run.metrics["fsc_0.143_angstrom"] + 1})
    metrics.to_csv(run.path / "metrics.csv", index=False)
    found = convergence_numbers(RunFolder(run.path))
    assert found.reached["molecule"]["resolution_angstrom"].tolist() == [15, 12, 9]
    assert found.reached["other"]["resolution_angstrom"].tolist() == [16, 13, 10]


def test_drift_is_from_the_first_to_the_last_pose(fake):
    folder = fake.write()
    assert len(pose_numbers(RunFolder(folder), "molecule").drift_angstrom) == 0
    table = fake.particles()
    for k, step in ((2, 100.0), (3, 4.0)):
        table = table.assign(**{f"wrpCoordinate{a}{k}": table[f"wrpCoordinate{a}1"] for a in "XYZ"})
        table[f"wrpCoordinateX{k}"] += step
    write_star(folder / "molecule" / "particles.star", {"": table})
    found = pose_numbers(RunFolder(folder), "molecule")
    np.testing.assert_allclose(found.drift_angstrom, np.full(10, 4.0))
    assert any(part.name == "drift-molecule" for part in draw_poses(found, "molecule"))
