import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.io.mrc import write_mrc
from mlit.io.particles import read_particles, write_particles
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.images import load_tilt_images
from mlit.project.project import Project
from mlit.project.warp_project import load_warp_project
from tests.support import shared_path


def load(tiny, *args, **options) -> Project:
    return load_warp_project(tiny.settings, tiny.particles, *args, **options)


def failure(tiny, name: str = "B") -> str:
    """Reason for which one series is set aside while all others load."""
    project = load(tiny)
    assert sorted(series.name for series in project.series) == sorted({"A", "B", "C"} - {name})
    assert list(project.failures) == [name]
    assert "\n" not in project.failures[name]
    return project.failures[name]


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(root.rglob("*"))}


def test_whole_project(tiny):
    project = load(tiny)
    assert [series.name for series in project.series] == ["A", "B", "C"]
    assert project.failures == {}
    assert project.pixel_size_angstrom == 4.0
    assert project.particles.series_name.tolist() == ["A", "A", "B", "B", "B", "C", "C"]
    series = project.series[1]
    assert series.particle_index.tolist() == [2, 3, 4]
    assert series.use_tilt.tolist() == [True, True, True, False]
    assert series.image_size_px == (24, 16)
    assert series.optics.voltage_kv == 200
    assert series.geometry.depth_inverted
    assert series.geometry.defocus_um.tolist() == [2.0, 2.1, 2.2, 2.3]
    assert series.geometry.volume_size_angstrom.tolist() == [96, 64, 40]
    assert series.geometry.image_size_angstrom.tolist() == [96, 64]
    assert series.weights == SignalWeights()


def test_assigned_half_sets_are_balanced_and_written(tiny, tmp_path):
    table = load(tiny).particles
    assert abs((table.half_set == 1).sum() - (table.half_set == 2).sum()) <= 1
    write_particles(tmp_path / "out" / "particles.star", table)
    np.testing.assert_array_equal(read_particles(tmp_path / "out" / "particles.star").half_set, table.half_set)


def test_inputs_are_never_written_to(tiny):
    before = snapshot(tiny.root)
    project = load(tiny)
    load_tilt_images(project.series[0])
    assert snapshot(tiny.root) == before


def test_moved_project_and_other_working_directory(tiny, tmp_path, monkeypatch):
    tiny.edit(tiny.xml("A"), 'DataDirectory="tomostar"', 'DataDirectory="/gone/tomostar"')
    moved = tmp_path / "elsewhere" / "again"
    shutil.move(tiny.root, moved)
    monkeypatch.chdir(moved)
    project = load_warp_project("warp_tiltseries.settings", "particles.star")
    assert len(project.series) == 3
    monkeypatch.chdir(tmp_path)
    settings = Path(os.path.relpath(moved / "warp_tiltseries.settings"))
    assert len(load_warp_project(settings, moved / "particles.star").series) == 3


def test_movie_paths_of_another_computer(tiny):
    tiny.edit(tiny.xml("A"), "../warp_frameseries/", "D:\\data\\warp_frameseries\\")
    assert [path.is_file() for path in load(tiny).series[0].image_paths] == [True] * 4


def test_selection(tiny):
    assert [s.name for s in load(tiny, "[AB]").series] == ["A", "B"]
    assert [s.name for s in load(tiny, ["A", "C"]).series] == ["A", "C"]
    project = load(tiny, exclude=("B.tomostar",))
    assert [s.name for s in project.series] == ["A", "C"]
    assert project.failures == {}
    assert project.particles.particles == 7


@pytest.mark.parametrize(
    ("glob", "exclude", "message"),
    [
        ("Z*", (), r"series 'Z\*': fits none of A, B, C"),
        ("*", ("TS_9",), "series 'TS_9': fits none of A, B, C"),
        ("A", ("A",), "leaves no series of A, B, C"),
    ],
)
def test_selection_that_fits_nothing(tiny, glob, exclude, message):
    with pytest.raises(InputError, match=message):
        load(tiny, glob, exclude)


def test_results_of_a_run_stand_in_for_the_xml_files_of_the_project(tiny, tmp_path):
    results = tmp_path / "run" / "warp_tiltseries"
    for name in ("A", "B"):
        xml = TiltSeriesXml.read(tiny.xml(name)).with_lists({"AxisAngle": [80.0, 81.0, 82.0, 83.0]})
        xml.write(results / f"{name}.xml")
    project = load(tiny, processing=results)
    assert [series.name for series in project.series] == ["A", "B"]
    for series in project.series:
        assert series.geometry.axis_angle_rad.rad2deg().tolist() == pytest.approx([80, 81, 82, 83])
        assert all(path.is_file() for path in series.image_paths)
    assert list(project.failures) == ["C"], "a run that left a series out has no results of it"
    with pytest.raises(InputError, match=r"data\.processing=none: is not a folder"):
        load(tiny, processing="none")


# ---- faults of the whole project


def test_missing_settings_and_particles(tiny):
    with pytest.raises(InputError, match=r"none\.settings: settings file not found"):
        load_warp_project(tiny.root / "none.settings", tiny.particles)
    with pytest.raises(InputError, match=r"none\.star: particle file not found"):
        load_warp_project(tiny.settings, tiny.root / "none.star")


def test_project_without_series(tiny):
    shutil.rmtree(tiny.root / "tomostar")
    shutil.rmtree(tiny.root / "warp_tiltseries")
    with pytest.raises(InputError, match=r"no tilt series: neither \.tomostar files in .* check DataFolder"):
        load(tiny)


def test_no_particle_fits_any_series(tiny, columns_of):
    tiny.set_particles(**columns_of(["TS_7", "TS_8.tomostar"]))
    with pytest.raises(InputError, match=r"particles name TS_7, TS_8, the project has A, B, C"):
        load(tiny)


def test_pixel_size_that_contradicts_the_settings(tiny, columns_of):
    tiny.set_particles(**columns_of(["A", "B"]), rlnTomoTiltSeriesPixelSize=["2", "3.3"])
    with pytest.raises(
        InputError, match=r"row 2: rlnTomoTiltSeriesPixelSize is 3.3 Å but the settings say PixelSize 2 Å"
    ):
        load(tiny)


def test_half_that_is_empty_in_the_series_in_use(tiny, columns_of):
    tiny.set_particles(**columns_of(["A", "A", "B"]), rlnRandomSubset=["1", "1", "2"])
    assert len(load(tiny).series) == 2
    with pytest.raises(InputError, match="no particle of A is in half set 2"):
        load(tiny, "A")


def test_nothing_left_says_why(tiny):
    for name in ("A", "B", "C"):
        tiny.xml(name).write_text("<TiltSeries")
    with pytest.raises(InputError, match=r"no series can be used; A: .*A\.xml: tilt-series XML is damaged .* B: "):
        load(tiny)


# ---- faults of one series


def test_series_without_particles(tiny, columns_of):
    tiny.set_particles(**columns_of(["A", "C", "C"]))
    assert failure(tiny) == "has no particles"


def test_particles_of_a_series_that_the_project_lacks(tiny, columns_of):
    tiny.set_particles(**columns_of(["A", "B", "C", "D", "D"]))
    project = load(tiny)
    assert len(project.series) == 3
    assert project.failures == {"D": "2 particles name this series, but the project has none of that name"}


@pytest.mark.parametrize("file", ["xml", "tomostar"])
def test_missing_file(tiny, file):
    path = getattr(tiny, file)("B")
    path.unlink()
    assert failure(tiny).startswith(f"{path}: ")


def test_deselected_series(tiny):
    tiny.edit(tiny.xml("B"), 'UnselectManual=""', 'UnselectManual="True"')
    assert "is deselected" in failure(tiny)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<Dose>6", "<Dose>nan", "Dose of tilt 1 is 'nan'"),
        ("<Angles>-40\n", "<Angles>", "UseTilt has 4 values but Angles has 3"),
        ("<AxisAngle>85", "<AxisAngle>x", "AxisAngle of tilt 1 is 'x'"),
        ('Depth="4"', 'Depth="5"', "GridCTF announces 1 × 1 × 5 nodes but holds 4"),
        ('Width="1"', 'Width="1000000000"', "GridCTF announces 1000000000"),
        ('Value="2.1"', 'Value="NaN"', "GridCTF: value of node"),
        ("True\nTrue\nTrue\nFalse", "False\nFalse\nFalse\nFalse", "switches all tilts off"),
        ('Value="200"', 'Value="0"', "CTF/Voltage is 0 kV"),
        ("B_1_0.0.tif", "B_9_0.0.tif", "tilt 2 is B_1_0.0.tif, but B.xml has B_9_0.0.tif"),
        (
            'Weight="1"',
            'Weight="1" ImageDimensionsAngstrom="480, 320"',
            "ImageDimensionsAngstrom is 480 along x",
        ),
        ('Weight="1"', 'Weight="1" VolumeDimensionsAngstrom="96, 64, -1"', "sizes must be above zero"),
        ('MagnificationCorrection="1, 0, 0, 1"', 'MagnificationCorrection="1, 0, 0"', "4 numbers"),
    ],
)
def test_fault_in_the_xml(tiny, old, new, message):
    tiny.edit(tiny.xml("B"), old, new)
    reason = failure(tiny)
    assert message in reason
    assert "B.xml" in reason


@pytest.mark.parametrize("grid", ["GridCTF", "GridMovementX", "GridAngleZ", "GridDoseWeights", "GridCTFPhase"])
def test_grids_for_another_number_of_tilts(tiny, grid):
    xml = TiltSeriesXml.read(tiny.xml("B")).with_grids({grid: np.ones((3, 1, 1))})
    xml.write(tiny.xml("B"))
    assert f"B.xml: {grid} has" in failure(tiny)


def test_sister_grids_of_other_size(tiny):
    grids = {"GridMovementX": np.ones((4, 2, 2)), "GridMovementY": np.ones((4, 3, 2))}
    TiltSeriesXml.read(tiny.xml("B")).with_grids(grids).write(tiny.xml("B"))
    assert "has another size than its sister grids" in failure(tiny)


def test_tomostar_with_another_number_of_tilts(tiny):
    lines = tiny.tomostar("B").read_text().splitlines()
    tiny.tomostar("B").write_text("\n".join(line for line in lines if "B_3" not in line) + "\n")
    assert "B.tomostar: lists 3 tilts, but B.xml has 4" in failure(tiny)


def test_missing_image_names_the_tilt(tiny):
    tiny.image("B", 1).unlink()
    tiny.image("B", 2).unlink()
    reason = failure(tiny)
    assert "B_1_0.0.mrc: image of tilt 2 not found (nor 1 more)" in reason


def test_image_of_a_tilt_that_is_not_used_may_be_missing_or_broken(tiny):
    tiny.image("A", 3).unlink()
    tiny.image("B", 3).write_bytes(b"junk")
    project = load(tiny)
    assert project.failures == {}
    assert load_tilt_images(project.series[1])[3].abs().max() == 0


def test_truncated_image(tiny):
    content = tiny.image("B", 1).read_bytes()
    tiny.image("B", 1).write_bytes(content[:-10])
    assert "B_1_0.0.mrc: is cut short" in failure(tiny)


@pytest.mark.parametrize(
    ("array", "pixel", "message"),
    [
        (
            np.ones((16, 22)),
            4.0,
            "B_1_0.0.mrc: is 22 × 16 px, but the first image of the series is 24 × 16 px",
        ),
        (np.ones((2, 16, 24)), 4.0, "holds 2 sections"),
        (np.ones((16, 24)), 2.0, "has a pixel size of 2 Å, but the settings give 4 Å (PixelSize·2^BinTimes)"),
    ],
)
def test_image_that_does_not_fit(tiny, array, pixel, message):
    write_mrc(tiny.image("B", 1), array, pixel)
    assert message in failure(tiny)


def test_particles_far_outside_the_volume(tiny, columns_of):
    columns = columns_of(["A", "A", "B", "B", "C"])
    columns["rlnCoordinateX"][3] = "60"
    tiny.set_particles(**columns)
    reason = failure(tiny)
    assert "row 4: position (120, " in reason
    assert "outside the volume of 96 × 64 × 40 Å (1 of 2 particles of the series do); check pixel size" in reason
    assert load(tiny, particle_diameter_angstrom=30.0).failures == {}


def test_wrong_binning_of_all_coordinates(tiny):
    assert load(tiny, coordinate_pixel_size_angstrom=1.0).failures == {}
    with pytest.raises(InputError, match=r"no series can be used; A: .* row 1: position"):
        load(tiny, coordinate_pixel_size_angstrom=200.0)


# ---- real data


def test_simulated_ribosomes():
    root = shared_path("data", "ribosome5")
    project = load_warp_project(root / "warp_tiltseries.settings", root / "particles.star")
    assert [series.name for series in project.series] == ["TS_01", "TS_02", "TS_03"]
    assert [len(series.particle_index) for series in project.series] == [40, 40, 40]
    series = project.series[0]
    images = load_tilt_images(series)
    assert images.shape == (41, 464, 480)
    assert torch.isfinite(images).all()
    positions = torch.from_numpy(project.particles.position_angstrom[series.particle_index.numpy(), 0])
    xy = series.geometry.project(positions).xy_angstrom
    inside = ((xy > 0) & (xy < series.geometry.image_size_angstrom)).all(-1)
    assert inside.double().mean() > 0.95


def test_real_series_without_sizes_in_its_xml(tmp_path, columns_of):
    root = shared_path("data", "empiar10499")
    columns = columns_of(["00254.tomostar", "00254"])
    lines = [f"_{name} #{i}" for i, name in enumerate(columns, start=1)]
    rows = [" ".join(values) for values in zip(*columns.values(), strict=True)]
    (tmp_path / "p.star").write_text("\n".join(["data_particles", "loop_", *lines, *rows]) + "\n")
    project = load_warp_project(root / "warp_tiltseries.settings", tmp_path / "p.star")
    series = project.series[0]
    assert series.geometry.volume_size_angstrom.tolist() == [6520, 6300, 2400]
    assert series.geometry.image_size_angstrom.tolist() == [6520, 6300]
    assert series.optics.amplitude_contrast == pytest.approx(0.1)
    assert load_tilt_images(series).shape == (41, 630, 652)
