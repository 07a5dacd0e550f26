from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
import torch

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_euler
from mlit.io.particles import ParticleTable, read_particles, write_particles
from mlit.io.star import write_star
from tests.support import shared_path

WARP_M = ("data", "metadata", "warp_m")


def relion(**changes: list[str] | None) -> pd.DataFrame:
    columns: dict[str, list[str] | None] = {
        "rlnTomoName": ["TS_01", "TS_01", "TS_02"],
        "rlnCoordinateX": ["10", "20", "30"],
        "rlnCoordinateY": ["11", "21", "31"],
        "rlnCoordinateZ": ["12", "22", "32"],
        "rlnAngleRot": ["5", "6", "7"],
        "rlnAngleTilt": ["15", "16", "17"],
        "rlnAnglePsi": ["25", "26", "27"],
        **changes,
    }
    return pd.DataFrame({k: v for k, v in columns.items() if v is not None}, dtype=object)


def optics(**columns: str) -> pd.DataFrame:
    return pd.DataFrame({"rlnOpticsGroup": ["1"], **{k: [v] for k, v in columns.items()}}, dtype=object)


def stored(folder: Path, table: pd.DataFrame, groups: pd.DataFrame | None = None) -> Path:
    write_star(folder / "p.star", {"particles": table} | ({} if groups is None else {"optics": groups}))
    return folder / "p.star"


def m_table(samples: int = 1, **changes: list[str]) -> pd.DataFrame:
    columns = {
        f"wrp{kind}{axis}{k}": [f"{100 * k + i}.5", f"{200 * k + i}.25"]
        for k in range(1, samples + 1)
        for kind, axes in (("Coordinate", "XYZ"), ("Angle", ("Rot", "Tilt", "Psi")))
        for i, axis in enumerate(axes)
    }
    columns["wrpSourceName"] = ["TS_01.tomostar", "TS_02.tomostar"]
    return pd.DataFrame(columns | changes, dtype=object)


def test_import_gives_the_species_table_that_m_made_of_it():
    ours = read_particles(shared_path(*WARP_M, "m_import_run_data.star"), 1.54)
    native = read_particles(shared_path(*WARP_M, "m_species_particles.star"))
    np.testing.assert_allclose(ours.position_angstrom, native.position_angstrom, atol=5e-4)
    np.testing.assert_allclose(ours.euler_deg, native.euler_deg, atol=2e-5)
    np.testing.assert_array_equal(ours.half_set, native.half_set)
    np.testing.assert_array_equal(ours.series_name, native.series_name)


def test_coordinates_are_in_pixels_of_the_tilt_series_for_relion_and_of_the_images_for_warp(tmp_path):
    groups = optics(rlnTomoTiltSeriesPixelSize="1.5", rlnImagePixelSize="6")
    names = ["TS_01", "TS_01.tomostar", "TS_02"]
    path = stored(tmp_path, relion(rlnTomoName=names, rlnOpticsGroup=["1"] * 3), groups)
    np.testing.assert_allclose(read_particles(path).position_angstrom[:, 0, 0], [15, 120, 45])
    told = read_particles(path, coordinate_pixel_size_angstrom=2.0)
    np.testing.assert_allclose(told.position_angstrom[:, 0, 0], [20, 40, 60])


def test_pixel_size_of_older_files(tmp_path):
    old = relion(rlnDetectorPixelSize=["5"] * 3, rlnMagnification=["25000"] * 3, rlnOriginX=["1", "0", "0"])
    old = old.assign(rlnOriginY="0", rlnOriginZ="0").rename(columns={"rlnTomoName": "rlnMicrographName"})
    table = read_particles(stored(tmp_path, old))
    np.testing.assert_allclose(table.position_angstrom[:, 0, 0], [18, 40, 60])
    np.testing.assert_allclose(read_particles(stored(tmp_path, relion()), 3.0).position_angstrom[0, 0, 0], 30)


def test_offsets_are_subtracted(tmp_path):
    shifted = relion(**{f"rlnOrigin{axis}Angst": ["1.5", "0", "-2"] for axis in "XYZ"})
    table = read_particles(stored(tmp_path, shifted), 1.0)
    np.testing.assert_allclose(table.position_angstrom[:, 0], [[8.5, 9.5, 10.5], [20, 21, 22], [32, 33, 34]])


def test_centred_coordinates_count_from_half_the_volume(tmp_path):
    centred = {f"rlnCenteredCoordinate{axis}Angst": ["-10", "0", "10"] for axis in "XYZ"}
    table = relion(**centred, rlnCoordinateX=None, rlnCoordinateY=None, rlnCoordinateZ=None)
    path = stored(tmp_path, table)
    read = read_particles(path, None, (100, 201, 300), {"TS_02": (20, 20, 20)})
    np.testing.assert_allclose(read.position_angstrom[:, 0], [[40, 90.5, 140], [50, 100.5, 150], [20, 20, 20]])
    with pytest.raises(InputError, match=r"row 1: .* volume of TS_01, whose size is not known"):
        read_particles(path)


def test_subtomogram_angles_turn_offset_and_orientation(tmp_path):
    sub = {f"rlnTomoSubtomogram{a}": [v] * 3 for a, v in zip(("Rot", "Tilt", "Psi"), ("30", "60", "-45"), strict=True)}
    origin = {f"rlnOrigin{axis}Angst": [v] * 3 for axis, v in zip("XYZ", ("1", "2", "3"), strict=True)}
    table = read_particles(stored(tmp_path, relion(**sub, **origin)), 1.0)
    turn = matrix_from_euler(torch.deg2rad(torch.tensor([30.0, 60.0, -45.0], dtype=torch.float64)))
    own = matrix_from_euler(torch.deg2rad(torch.tensor([5.0, 15.0, 25.0], dtype=torch.float64)))
    got = matrix_from_euler(torch.deg2rad(torch.from_numpy(table.euler_deg[0, 0])))
    torch.testing.assert_close(got, turn @ own, atol=1e-12, rtol=0)
    offset = turn.numpy() @ [1.0, 2.0, 3.0]
    np.testing.assert_allclose(table.position_angstrom[0, 0], [10, 11, 12] - offset)


def test_relion5_project_reads():
    path = shared_path("data", "metadata", "relion5_empiar10164", "Polish_job030", "particles.first400.star")
    table = read_particles(path, 1.35, (5400, 5400, 2700))
    assert table.particles == len(starfile.read(path, always_dict=True)["particles"])
    assert set(table.half_set) == {1, 2}
    assert (table.position_angstrom > 0).all()
    assert (table.position_angstrom < 5400).all()


def test_samples_in_time_and_repeated_last_angle(tmp_path):
    table = m_table(3).drop(columns=["wrpAngleRot3", "wrpAngleTilt3", "wrpAnglePsi3"])
    read = read_particles(stored(tmp_path, table))
    assert read.samples == 3
    np.testing.assert_array_equal(read.position_angstrom[1, :, 2], [202.25, 402.25, 602.25])
    np.testing.assert_array_equal(read.euler_deg[0, :, 0], [100.5, 200.5, 200.5])


@pytest.mark.parametrize("name", ["m_import_run_data.star", "m_species_particles.star", "mtools_example.excerpt.star"])
def test_writing_keeps_order_rows_and_unknown_columns(tmp_path, name):
    table = read_particles(shared_path(*WARP_M, name), 1.54)
    moved = replace(table, position_angstrom=table.position_angstrom + 1.23456)
    write_particles(tmp_path / "out.star", moved)
    again = read_particles(tmp_path / "out.star")
    np.testing.assert_allclose(again.position_angstrom, moved.position_angstrom, atol=1e-6)
    np.testing.assert_allclose(again.euler_deg, table.euler_deg, atol=1e-6)
    np.testing.assert_array_equal(again.half_set, table.half_set)
    np.testing.assert_array_equal(again.series_name, table.series_name)
    poses = ("rlnCoordinate", "rlnOrigin", "rlnAngle", "rlnRandomSubset", "wrpCoordinate", "wrpAngle")
    for column in table.source.columns:
        if not column.startswith(poses) and column != "wrpRandomSubset":
            assert again.source[column].tolist() == table.source[column].tolist()
    assert not any(column.startswith("rlnCoordinate") for column in again.source.columns)


def test_written_table_has_the_columns_of_m(tmp_path):
    table = read_particles(stored(tmp_path, relion(rlnNote=["a b", "", "007"])), 1.0)
    write_particles(tmp_path / "out.star", replace(table, weight=np.array([1.0, 0.0, 0.5])))
    blocks = starfile.read(tmp_path / "out.star", always_dict=True)
    assert list(blocks) == [""]
    assert list(blocks[""].columns) == [
        *(
            "wrpCoordinateX1",
            "wrpCoordinateY1",
            "wrpCoordinateZ1",
            "wrpAngleRot1",
            "wrpAngleTilt1",
            "wrpAnglePsi1",
        ),
        *("wrpRandomSubset", "wrpSourceName", "mlitWeight", "rlnTomoName", "rlnNote"),
    ]
    assert blocks[""]["wrpSourceName"].tolist() == ["TS_01.tomostar", "TS_01.tomostar", "TS_02.tomostar"]
    assert blocks[""]["wrpRandomSubset"].tolist() == [1, 2, 1]
    assert "10.000000" in (tmp_path / "out.star").read_text()
    again = read_particles(tmp_path / "out.star")
    np.testing.assert_array_equal(again.weight, [1.0, 0.0, 0.5])
    assert again.source["rlnNote"].tolist() == ["a b", "", "007"]


@pytest.mark.parametrize("name", ["3", "001", "1e5", "nan", "True"])
def test_names_that_look_like_numbers_stay_names(tmp_path, name):
    table = read_particles(stored(tmp_path, relion(rlnTomoName=[name, f"x/{name}.tomostar", "b"])), 1.0)
    assert table.series_name.tolist() == [name, name, "b"]
    write_particles(tmp_path / "out.star", table)
    assert read_particles(tmp_path / "out.star").series_name.tolist() == [name, name, "b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rlnCoordinateY": ["1", "nan", "3"]}, "row 2: rlnCoordinateY is 'nan'"),
        ({"rlnAnglePsi": ["1", "2", "x"]}, "row 3: rlnAnglePsi is 'x'"),
        ({"rlnCoordinateZ": None}, "has no column rlnCoordinateZ"),
        ({"rlnAngleRot": None}, "has no orientations"),
        ({"rlnTomoName": None}, "neither rlnTomoName nor rlnMicrographName"),
        ({"rlnRandomSubset": ["1", "2", "4"]}, "row 3: rlnRandomSubset is 4"),
        ({"rlnRandomSubset": ["1", "1", "1"]}, "no particle is in half set 2"),
        ({"mlitWeight": ["1", "-1", "1"]}, "row 2: mlitWeight is -1; it cannot be negative"),
        ({f"rlnCoordinate{a}": ["0.1", "0.5", "0.9"] for a in "XYZ"}, "lie between 0 and 1"),
        (
            {"rlnImagePixelSize": ["1", "0", "1"]},
            "row 2: rlnImagePixelSize is 0; a pixel size must be above zero",
        ),
        (
            {"rlnOriginX": ["1"] * 3, "rlnOriginY": ["1"] * 3, "rlnOriginZ": ["1"] * 3},
            "rlnOriginX is in pixels",
        ),
    ],
)
def test_faults_name_file_and_row(tmp_path, changes, message):
    path = stored(tmp_path, relion(**changes))
    with pytest.raises(InputError, match=message) as caught:
        read_particles(path, 2.0)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pixel_size_is_checked_against_the_project(tmp_path):
    path = stored(tmp_path, relion(rlnOpticsGroup=["1"] * 3), optics(rlnTomoTiltSeriesPixelSize="1.35"))
    assert read_particles(path, 1.35).particles == 3
    assert read_particles(path, (0.675, 1.35)).particles == 3
    with pytest.raises(
        InputError, match=r"row 1: rlnTomoTiltSeriesPixelSize is 1.35 Å but the settings say PixelSize 1.54"
    ):
        read_particles(path, 1.54)
    with pytest.raises(InputError, match="row 2: optics group 7 is not in data_optics"):
        read_particles(
            stored(tmp_path, relion(rlnOpticsGroup=["1", "7", "1"]), optics(rlnTomoTiltSeriesPixelSize="1.35"))
        )
    with pytest.raises(InputError, match="does not say the pixel size of its coordinates"):
        read_particles(stored(tmp_path, relion()))


def test_files_without_particles(tmp_path):
    with pytest.raises(InputError, match="particle file not found"):
        read_particles(tmp_path / "p.star")
    with pytest.raises(InputError, match="no table has particle coordinates"):
        read_particles(stored(tmp_path, pd.DataFrame({"rlnTomoName": ["a"]})))
    with pytest.raises(InputError, match="holds no particles"):
        read_particles(stored(tmp_path, relion().iloc[:0]))
    with pytest.raises(InputError, match="has no column wrpSourceName"):
        read_particles(stored(tmp_path, m_table().drop(columns="wrpSourceName")))


def test_tables_that_do_not_fit_are_refused(tmp_path):
    table = read_particles(stored(tmp_path, m_table()))
    with pytest.raises(ValueError, match="do not fit"):
        replace(table, half_set=np.array([1]))
    with pytest.raises(ValueError, match="do not fit"):
        replace(table, euler_deg=np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="1 rows for 2 particles"):
        replace(table, source=table.source.iloc[:1])
    with pytest.raises(ValueError, match="not finite"):
        write_particles(tmp_path / "o.star", replace(table, euler_deg=np.full((2, 1, 3), np.nan)))
    made = ParticleTable(table.series_name, table.position_angstrom, table.euler_deg, table.half_set, table.weight)
    write_particles(tmp_path / "o.star", made)
    np.testing.assert_array_equal(read_particles(tmp_path / "o.star").half_set, [1, 2])
