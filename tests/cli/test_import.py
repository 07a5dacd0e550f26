"""`mlit import`, as a person would type it."""

import numpy as np
import pytest

from mlit.io.imod.angles import write_angles
from mlit.io.imod.transforms import transforms_from_rows, write_transforms
from mlit.io.warp.settings import WarpSettings, write_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import Tomostar, write_tomostar

ANGLES = np.array([-20.0, 0.0, 20.0])


@pytest.fixture
def project(tmp_path):
    """Write a project of two series, of which one has been imported only, and alignments."""
    root = tmp_path / "project"
    settings = WarpSettings(root / "x", root / "tomostar", root / "xml", "*.tomostar", 5.0, 0.0, (100, 80, 40))
    write_settings(root / "warp_tiltseries.settings", settings)
    for name in ("A", "B"):
        movies = tuple(f"{name}{i}.tif" for i in range(3))
        write_tomostar(root / "tomostar" / f"{name}.tomostar", Tomostar(movies, ANGLES, np.array([6.0, 0, 3])))
    lists = {"Angles": ANGLES, "Dose": [6, 0, 3], "AxisAngle": [0, 0, 0], "MoviePath": movies}
    xml = TiltSeriesXml.new("B", lists, {"ImageDimensionsAngstrom": (500, 400), "Unknown": "kept"})
    xml.write(root / "xml" / "B.xml")
    folder = tmp_path / "alignments" / "B"
    rows = np.array([[0.0, -1.0, 1.0, 0.0, 4.0, -3.0]] * 3)
    write_transforms(folder / "B.xf", transforms_from_rows(rows))
    write_angles(folder / "B.tlt", ANGLES + 0.25)
    return root


def words(project, *more):
    return (
        "import",
        f"data.settings={project}/warp_tiltseries.settings",
        f"import.alignments={project.parent}/alignments",
        "import.pixel_size_angstrom=5",
        f"output={project.parent}/out",
        *more,
    )


def test_series_are_aligned_and_others_named(call, project, capsys):
    assert call(*words(project)) == 0
    log = capsys.readouterr()
    assert "A is left out" in log.out + log.err
    xml = TiltSeriesXml.read(project.parent / "out" / "warp_tiltseries" / "B.xml")
    np.testing.assert_allclose(xml.angle_deg, ANGLES + 0.25)
    np.testing.assert_allclose(xml.axis_angle_deg, -90)
    np.testing.assert_allclose(xml.axis_offset_angstrom, [[15, 20]] * 3, atol=1e-9)  # Rt (-4, 3) px
    assert xml.document.root.get("Unknown") == "kept"
    assert not (project.parent / "out" / "warp_tiltseries" / "A.xml").exists()
    assert TiltSeriesXml.read(project / "xml" / "B.xml").angle_deg.tolist() == ANGLES.tolist()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("data.series=A",), "no series could be aligned"),
        (("import.pixel_size_angstrom=0",), "must be above zero"),
        (("import.image_warp=[1,4]",), "two numbers from 2 to 32"),
        (("import.min_fov=2",), "a share from 0 to 1"),
        (("import.alignments=nowhere",), "is not a folder"),
        (("data.settings=nowhere/x",), "not found"),
    ],
)
def test_wrong_input_is_refused(call, project, capsys, more, message):
    assert call(*words(project, *more)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("mlit: ") == 1
