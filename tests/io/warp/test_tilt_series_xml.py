import io
from pathlib import Path

import lxml.etree as etree
import numpy as np
import pytest

from mlit.errors import InputError
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from tests.support import shared_path

REAL = [
    ("golden", "00254.xml"),
    ("golden", "TS_1.xml"),
    *(("data", "ribosome5", "warp_tiltseries", f"TS_0{i}.xml") for i in (1, 2, 3)),
    ("data", "empiar10499", "warp_tiltseries", "00254.xml"),
]
STRANGE = """<?xml version="1.0" encoding="utf-8"?>
<!-- before -->
<TiltSeries xmlns:a="urn:a" DataDirectory="tomostar" Future="1" a:mark="2">
\t<Angles>-3
0
3</Angles>
\t<Dose>6
0
3</Dose>
\t<AxisAngle>85
85
85</AxisAngle>
\t<MoviePath>..\\f\\a.tif
..\\f\\b.tif
..\\f\\c.tif</MoviePath>
\t<a:Unknown deep="yes"><Child>text &amp; more</Child></a:Unknown>
\t<GridCTF Width="1" Height="1" Depth="3" Extra="kept">
\t\t<Node X="0" Y="0" Z="2" Value="3.30" />
\t\t<Node X="0" Y="0" Z="0" Value="1.10" />
\t\t<Node X="0" Y="0" Z="1" Value="2.20" />
\t</GridCTF>
\t<GridVolumeWarpX Width="2" Height="1" Depth="1" Duration="2">
\t\t<Node X="1" Y="0" Z="0" W="1" Value="4" />
\t\t<Node X="0" Y="0" Z="0" W="1" Value="3" />
\t\t<Node X="1" Y="0" Z="0" W="0" Value="2" />
\t\t<Node X="0" Y="0" Z="0" W="0" Value="1" />
\t</GridVolumeWarpX>
</TiltSeries>"""


def canonical(path: Path) -> bytes:
    buffer = io.BytesIO()
    etree.parse(str(path)).write_c14n(buffer)
    return buffer.getvalue()


@pytest.fixture
def strange(tmp_path) -> TiltSeriesXml:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "S.xml").write_bytes(b"\xef\xbb\xbf" + STRANGE.encode())
    return TiltSeriesXml.read(tmp_path / "in" / "S.xml")


def faulty(tmp_path: Path, old: str, new: str) -> TiltSeriesXml:
    assert old in STRANGE
    (tmp_path / "S.xml").write_text(STRANGE.replace(old, new))
    return TiltSeriesXml.read(tmp_path / "S.xml")


@pytest.mark.parametrize("parts", REAL, ids=lambda parts: "-".join(parts[-2:]))
def test_real_files_survive_reading_and_writing(tmp_path, parts):
    path = shared_path(*parts)
    TiltSeriesXml.read(path).write(tmp_path / "out.xml")
    assert canonical(tmp_path / "out.xml") == canonical(path)
    assert (tmp_path / "out.xml").read_bytes()[:50] == path.read_bytes()[:50]


def test_strange_content_survives_a_change_elsewhere(strange, tmp_path):
    strange.with_lists({"Dose": [6.5, 0, 3]}).write(tmp_path / "out.xml")
    expected = STRANGE.replace("<Dose>6\n", "<Dose>6.5\n")
    (tmp_path / "expected.xml").write_text(expected)
    assert canonical(tmp_path / "out.xml") == canonical(tmp_path / "expected.xml")
    assert (tmp_path / "out.xml").read_bytes().startswith(b"\xef\xbb\xbf<?xml")
    assert b"<!-- before -->" in (tmp_path / "out.xml").read_bytes()


def test_getters(strange):
    assert strange.name == "S"
    assert strange.tilts == 3
    np.testing.assert_array_equal(strange.angle_deg, [-3, 0, 3])
    np.testing.assert_array_equal(strange.use_tilt, [True, True, True])
    np.testing.assert_array_equal(strange.axis_offset_angstrom, np.zeros((3, 2)))
    assert strange.movie_paths == ("../f/a.tif", "../f/b.tif", "../f/c.tif")
    assert strange.volume_size_angstrom is None
    assert not strange.is_deselected
    np.testing.assert_array_equal(strange.magnification, np.eye(2))


def test_magnification_is_listed_column_by_column():
    xml = TiltSeriesXml.read(shared_path("golden", "TS_1.xml"))
    np.testing.assert_allclose(xml.magnification, [[1.0062196, 0.004283654], [0.00422745, 1.0009562]])
    assert xml.image_size_angstrom == (4803.83984, 3412.72803)


def test_nodes_are_placed_by_their_attributes_not_their_order(strange):
    np.testing.assert_array_equal(strange.grid("GridCTF")[:, 0, 0], [1.1, 2.2, 3.3])
    np.testing.assert_array_equal(strange.volume_grid("GridVolumeWarpX")[:, 0, 0], [[1, 2], [3, 4]])


def test_missing_grid_is_one_neutral_node(strange):
    np.testing.assert_array_equal(strange.grid("GridMovementX"), np.zeros((1, 1, 1)))
    np.testing.assert_array_equal(strange.grid("GridDoseWeights", 1.0), np.ones((1, 1, 1)))
    np.testing.assert_array_equal(strange.volume_grid("GridVolumeWarpY"), np.zeros((1, 1, 1, 1)))


def test_set_grids_read_back_exactly_and_others_keep_their_text(strange, tmp_path):
    rng = np.random.default_rng(1)
    movement, warp = rng.normal(size=(3, 4, 2)) * 1e-7, rng.normal(size=(2, 3, 4, 5)) * 1e7
    strange.with_grids({"GridMovementX": movement, "GridVolumeWarpX": warp}).write(tmp_path / "out.xml")
    again = TiltSeriesXml.read(tmp_path / "out.xml")
    np.testing.assert_array_equal(again.grid("GridMovementX"), movement)
    np.testing.assert_array_equal(again.volume_grid("GridVolumeWarpX"), warp)
    text = (tmp_path / "out.xml").read_text("utf-8-sig")
    assert 'Value="3.30"' in text
    assert 'Extra="kept"' in text
    root = etree.parse(str(tmp_path / "out.xml")).getroot()
    assert root.find("GridMovementX").attrib["Width"] == "2"
    nodes = [[node.get(key) for key in "XYZ"] for node in root.find("GridMovementX")][:3]
    assert nodes == [["0", "0", "0"], ["1", "0", "0"], ["0", "1", "0"]]


def test_setting_equal_values_changes_nothing(strange, tmp_path):
    same = strange.with_grids({"GridCTF": strange.grid("GridCTF")}).with_lists({"Angles": ["-3", "0", "3"]})
    same.write(tmp_path / "out.xml")
    assert canonical(tmp_path / "out.xml") == canonical(strange.path)


def test_setters_do_not_change_the_original(strange, tmp_path):
    before = etree.tostring(strange.document.tree)
    strange.with_grids({"GridCTF": np.ones((3, 1, 1))}).with_attributes({"LevelAngleX": 1.5}).with_ctf({"Cs": 2.0})
    assert etree.tostring(strange.document.tree) == before


def test_wrong_arrays_are_refused(strange):
    for values in (np.full((1, 1, 1), np.nan), np.ones((2, 2)), np.ones((0, 1, 1))):
        with pytest.raises(ValueError, match="GridCTF"):
            strange.with_grids({"GridCTF": values})


def test_new_file_holds_what_was_given(tmp_path):
    xml = TiltSeriesXml.new(
        "TS",
        {
            "Angles": [-1.5, 1.5],
            "Dose": [3, 0],
            "UseTilt": [True, False],
            "AxisAngle": [84, 84],
            "MoviePath": ["a", "b"],
        },
        {"AreAnglesInverted": True, "VolumeDimensionsAngstrom": (100.5, 200, 300)},
        {"Voltage": 200, "ZernikeCoeffsOdd": ""},
    ).with_grids({"GridCTF": np.array([2.5, 2.6]).reshape(2, 1, 1)})
    xml.write(tmp_path / "TS.xml")
    again = TiltSeriesXml.read(tmp_path / "TS.xml")
    assert again.name == "TS"
    assert again.are_angles_inverted
    assert again.volume_size_angstrom == (100.5, 200, 300)
    assert again.ctf_number("Voltage", 300.0) == 200
    np.testing.assert_array_equal(again.use_tilt, [True, False])
    np.testing.assert_array_equal(again.grid("GridCTF")[:, 0, 0], [2.5, 2.6])


@pytest.mark.parametrize(
    ("old", "new", "read", "message"),
    [
        ("<Dose>6\n", "<Dose>x\n", "dose", "Dose of tilt 1 is 'x', which is not a number"),
        ("<Dose>6\n", "<Dose>NaN\n", "dose", "Dose of tilt 1 is 'NaN', which is not a finite number"),
        ("<Dose>6\n", "<Dose>-6\n", "dose", "Dose of tilt 1 is -6; it cannot be negative"),
        ("<Dose>6\n", "<Dose>", "dose", "Dose has 2 values but Angles has 3"),
        ("<Angles>-3\n", "<Angles>NaN\n", "angle_deg", "Angles of tilt 1 is 'NaN'"),
        ("<Angles>-3\n0\n3</Angles>", "<Angles></Angles>", "angle_deg", "Angles is empty"),
        ("AxisAngle", "Axis", "axis_angle_deg", "has no AxisAngle"),
        ("Future=", "VolumeDimensionsAngstrom=", "volume_size_angstrom", "3 numbers separated by commas"),
        ('Future="1"', 'ImageDimensionsAngstrom="1, -1"', "image_size_angstrom", "sizes must be above zero"),
        ('Future="1"', 'AreAnglesInverted="perhaps"', "are_angles_inverted", "True or False is expected"),
        (
            'Width="1"',
            'Width="1000000000"',
            "GridCTF",
            r"GridCTF announces 1000000000 × 1 × 3 nodes but holds 3",
        ),
        ('Width="1"', 'Width="0"', "GridCTF", "announces 0 × 1 × 3 nodes"),
        ('Width="1"', 'Width="one"', "GridCTF", "Width is 'one'"),
        ('Depth="3"', 'Depth="4"', "GridCTF", "announces 1 × 1 × 4 nodes but holds 3"),
        ('Z="2" Value', 'Z="1" Value', "GridCTF", r"node \(0, 0, 1\) is there twice"),
        ('Z="2" Value', 'Z="3" Value', "GridCTF", r"node \(0, 0, 3\) lies outside"),
        ('Value="3.30"', 'Value="NaN"', "GridCTF", r"value of node \(0, 0, 2\) is 'NaN'"),
        ('Depth="3"', 'Depth="3" MarginZ="0.5"', "GridCTF", "MarginZ is not 0"),
        ("GridVolumeWarpX", "GridCTF", "GridCTF", "element GridCTF is there 2 times"),
    ],
)
def test_faults_name_file_and_element(tmp_path, old, new, read, message):
    xml = faulty(tmp_path, old, new)
    with pytest.raises(InputError, match=message) as caught:
        xml.grid(read) if read.startswith("Grid") else getattr(xml, read)
    assert str(tmp_path / "S.xml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [1, 60, 400, len(STRANGE) - 5])
def test_truncated_file(tmp_path, length):
    (tmp_path / "S.xml").write_text(STRANGE[:length])
    with pytest.raises(InputError, match=r"S\.xml: tilt-series XML is damaged") as caught:
        TiltSeriesXml.read(tmp_path / "S.xml")
    assert "\n" not in str(caught.value)


def test_missing_empty_and_alien_files(tmp_path):
    with pytest.raises(InputError, match=r"S\.xml: tilt-series XML not found"):
        TiltSeriesXml.read(tmp_path / "S.xml")
    (tmp_path / "S.xml").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        TiltSeriesXml.read(tmp_path / "S.xml")
    (tmp_path / "S.xml").write_text("<Movie/>")
    with pytest.raises(InputError, match="its root is <Movie>"):
        TiltSeriesXml.read(tmp_path / "S.xml")


def test_entities_are_never_resolved(tmp_path):
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY l0 "ha">{levels}]><TiltSeries>&l11;</TiltSeries>'
    secret = '<!DOCTYPE b [<!ENTITY s SYSTEM "file:///etc/passwd">]><TiltSeries><Angles>&s;</Angles></TiltSeries>'
    for content in (
        bomb.encode(),
        secret.encode(),
        bomb.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"),
    ):
        (tmp_path / "S.xml").write_bytes(content)
        with pytest.raises(InputError, match=r"declares a document type or entities|is damaged"):
            TiltSeriesXml.read(tmp_path / "S.xml")
