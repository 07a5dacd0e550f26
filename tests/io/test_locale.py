"""Decimal points are read and written whatever the locale of the computer says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROUND_TRIP = """
import locale, sys
from pathlib import Path
import pandas as pd
import torch  # libraries may look at the locale
from mlit.io.star import column_numbers, read_star, write_star
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.project.bad_tilts import read_bad_tilts
locale.setlocale(locale.LC_ALL, "")
print(locale.localeconv()["decimal_point"], locale.str(1.5))
folder = Path(sys.argv[1])
lists = {"Angles": [-1.25, 2.5], "Dose": [0.0, 3.125], "AxisAngle": [85.5, 85.5], "MoviePath": ["a.tif", "b.tif"]}
TiltSeriesXml.new("TS", lists, {"LevelAngleX": 0.75}, {"Voltage": 300.5}).write(folder / "TS.xml")
xml = TiltSeriesXml.read(folder / "TS.xml")
assert xml.angle_deg.tolist() == [-1.25, 2.5]
assert xml.level_angle_deg[0] == 0.75 and xml.ctf_number("Voltage", 0.0) == 300.5
write_star(folder / "t.star", {"t": pd.DataFrame({"x": [0.125, -1.5e-3]})})
assert column_numbers(read_star(folder / "t.star")["t"], "x", "t").tolist() == [0.125, -0.0015]
(folder / "bad.csv").write_text("series;tilt;reason\\nTS;1;dark\\n")
assert read_bad_tilts(folder / "bad.csv").rows[0].tilt == "1"
"""


@pytest.fixture(scope="session")
def comma(tmp_path_factory) -> dict[str, str]:
    """Environment of a locale that writes 1,5: that of the computer, or one that is made here."""
    folder = tmp_path_factory.mktemp("locales")
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    try:
        subprocess.run(made, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {"LC_ALL": "de_DE.UTF-8"}
    return {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(folder)}


def run(environment, folder):
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(folder)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unsupported locale" in done.stderr:
        pytest.skip("no locale with decimal commas here, and none can be made")
    assert done.returncode == 0, done.stderr
    return done.stdout, {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_the_same_under_a_locale_with_decimal_commas(comma, tmp_path):
    german, files = run(comma, tmp_path / "german")
    plain, same = run({"LC_ALL": "C"}, tmp_path / "plain")
    assert german.split() == [",", "1,5"]
    assert plain.split() == [".", "1.5"]
    assert files == same
    assert b"0.75" in files["TS.xml"]
