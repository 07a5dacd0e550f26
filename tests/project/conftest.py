"""A tiny project of Warp on disk, made anew for every test that breaks it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlit.io.mrc import write_mrc
from mlit.io.star import write_star
from mlit.io.warp.settings import WarpSettings, write_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import Tomostar, write_tomostar

ANGLES = np.array([-40.0, 0.0, 40.0, 50.0])
DOSE = np.array([6.0, 0.0, 3.0, 9.0])
PIXEL = 4.0
IMAGE = (24, 16)  # x, y


@dataclass(frozen=True)
class TinyProject:
    """Paths of the project and helpers to break it."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "warp_tiltseries.settings"

    @property
    def particles(self) -> Path:
        return self.root / "particles.star"

    def xml(self, name: str) -> Path:
        return self.root / "warp_tiltseries" / f"{name}.xml"

    def tomostar(self, name: str) -> Path:
        return self.root / "tomostar" / f"{name}.tomostar"

    def image(self, name: str, tilt: int) -> Path:
        return self.root / "warp_frameseries" / "average" / f"{name}_{tilt}_0.0.mrc"

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def set_particles(self, **columns: list[str]) -> None:
        write_star(self.particles, {"particles": pd.DataFrame(columns, dtype=object)})


def particle_columns(names: list[str]) -> dict[str, list[str]]:
    count = len(names)
    place = {f"rlnCoordinate{axis}": [str(4 + i % 3) for i in range(count)] for axis in "XYZ"}
    angles = {f"rlnAngle{angle}": ["10"] * count for angle in ("Rot", "Tilt", "Psi")}
    return {"rlnTomoName": names, **place, **angles}


def write_series(root: Path, name: str) -> None:
    movies = tuple(f"../warp_frameseries/{name}_{tilt}_0.0.tif" for tilt in range(len(ANGLES)))
    write_tomostar(root / "tomostar" / f"{name}.tomostar", Tomostar(movies, ANGLES, DOSE, np.full(4, 85.0)))
    lists = {"Angles": ANGLES, "Dose": DOSE, "UseTilt": [True, True, True, False], "AxisAngle": [85.0] * 4}
    xml = TiltSeriesXml.new(name, {**lists, "MoviePath": movies}, {"AreAnglesInverted": True}, {"Voltage": 200})
    xml = xml.with_grids({"GridCTF": np.array([2.0, 2.1, 2.2, 2.3]).reshape(4, 1, 1)})
    xml.write(root / "warp_tiltseries" / f"{name}.xml")
    rng = np.random.default_rng(abs(hash(name)) % 1000)
    for movie in movies:
        image = rng.normal(5, 1, size=IMAGE[::-1]).astype(np.float16)
        write_mrc(root / "warp_frameseries" / "average" / f"{Path(movie).stem}.mrc", image, PIXEL)


@pytest.fixture
def tiny(tmp_path) -> TinyProject:
    root = tmp_path / "project"
    project = TinyProject(root)
    folders = (root / "tomostar", root / "warp_tiltseries")
    write_settings(project.settings, WarpSettings(project.settings, *folders, "*.tomostar", 2.0, 1.0, (48, 32, 20)))
    for name in ("A", "B", "C"):
        write_series(root, name)
    project.set_particles(**particle_columns(["A", "A.tomostar", "B", "B", "B", "x/C.tomostar", "C"]))
    return project


@pytest.fixture
def columns_of():
    return particle_columns
