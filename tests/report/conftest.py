"""The folder of a small run, written file by file with known values."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mlit.fourier.shells import shell_frequencies
from mlit.io.fsc_star import write_fsc_star
from mlit.io.mrc import write_mrc
from mlit.io.star import write_star
from mlit.maps.fsc import FscCurves
from mlit.project.tilts_table import COLUMNS as TILT_COLUMNS
from mlit.training.callbacks import EpochReport

BOX, PIXEL = 24, 3.5
METRICS = (*EpochReport.FIELDS, *EpochReport.FURTHER)


@dataclass
class FakeRun:
    """A run of two iterations; series and tilts that are bad can be named before it is written."""

    path: Path
    series: tuple[str, ...] = ("TS_1", "TS_2")
    tilts: int = 5
    picks: int = 6
    species: tuple[str, ...] = ("molecule",)
    suspects: list[tuple] = field(default_factory=list)
    box: int = BOX

    def write(self) -> Path:
        """Write all files."""
        summary = {"resolution_angstrom": 9.0}
        self.write_json(
            "summary.json",
            {
                "species": dict.fromkeys(self.species, summary),
                "series": len(self.series),
                "particles": self.picks * len(self.series),
                "wall_seconds": 200.0,
                "suspects": {"false pick": 2, "weak tilt": 1, "shaded tilt": 0},
                "left_out": {"TS_9": "blank <images>"},
                "versions": {"mlit": "0.1.0"},
                "input_sha256": {"/in/particles.star": "ab" * 32},
            },
        )
        settings = {
            "species": {"name": "molecule", "diameter": 40.0, "symmetry": "C2"},
            "more_species": [{"name": name, "diameter": 30.0, "symmetry": "C1"} for name in self.species[1:]],
            "model": {"poses": {}, "image_warp": {"enabled": True}, "defocus": {"enabled": False}},
            "schedule": {"iterations": [{"blocks": ["poses", "defocus"]}, {"blocks": ["poses", "image_warp"]}]},
        }
        self.write_json("checkpoints/config.json", {"settings": settings})
        more = tuple(f"{species}/{name}" for species in self.species[1:] for name in METRICS[-2:])
        self.write_csv("metrics.csv", METRICS + more, [row + row[-2:] * (len(more) // 2) for row in self.metrics()])
        self.write_csv("suspects.csv", ("series", "kind", "number", "evidence", "weight"), self.suspects)
        self.write_csv("tilts.csv", TILT_COLUMNS, self.tilt_rows())
        subsets = [(3, 12, 12), (6, 10, 10), (12, 9, 9)]
        for species in self.species:
            self.write_csv(f"{species}/subsets.csv", ("particles", "resolution_angstrom", "line_angstrom"), subsets)
        for number, name in enumerate(self.series):
            header = ("block", "parameter", "value", "standard_error", "prior_width", "unit")
            self.write_csv(f"parameters/{name}.csv", header, self.parameters(number))
        for iteration in range(3):
            for species in self.species:
                write_fsc_star(self.made(f"fsc/{species}/iteration_{iteration}.star"), self.curves(iteration))
        for species in self.species:
            self.write_species(self.path / species)
        return self.path

    def made(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name: str, value: dict) -> None:
        self.made(name).write_text(json.dumps(value), encoding="utf-8")

    def write_csv(self, name: str, header: tuple, rows: list) -> None:
        with open(self.made(name), "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])

    def metrics(self) -> list[tuple]:
        nan, rows = float("nan"), []
        for i in range(3):
            for j, name in enumerate(self.series):
                start, gain = 1000.0 * (j + 1) + 100 * i, 90.0 / (i + j) if i + j else 0.0
                fitted = (
                    "improved",
                    3,
                    start,
                    start + gain,
                    50.0 * (j + 1),
                    25,
                    14.0 - i,
                    4.0 / (i or 1),
                    0.5,
                    20.0,
                    1.0 + j,
                    0.25,
                    10.0,
                )
                rows.append(
                    (
                        i,
                        name,
                        *(fitted if i else ("not fitted", 0, *[nan] * 3, 0, *[nan] * 7)),
                        15.0 - 3 * i,
                        16.0 - 3 * i,
                    )
                )
        return rows

    def tilt_rows(self) -> list[tuple]:
        """Signal of tilt t of series s is 1 + 0.01 (s + 10 t), unless it is suspect; the last tilt is not in use."""
        weak = {(name, number): weight for name, kind, number, _, weight in self.suspects if kind == "weak tilt"}
        shaded = {(name, number): weight for name, kind, number, _, weight in self.suspects if kind == "shaded tilt"}
        rows = []
        for s, name in enumerate(self.series):
            for t in range(self.tilts):
                used = t < self.tilts - 1
                amplitude = weak.get((name, t + 1), 1 + 0.01 * (s + 10 * t))
                signal = (amplitude, shaded.get((name, t + 1), 1.0), 20.0) if used else ("", "", "")
                rows.append((name, t + 1, 10.0 * t - 20, 3.0 * t, int(used), *signal))
        return rows

    def parameters(self, number: int) -> list[tuple]:
        """Shift of tilt t is (3, 4) Å times t, plus ± 1 Å across the field; the turn is 0.1° times t about two axes."""
        rows = []
        for t in range(self.tilts):
            for y in range(2):
                for x in range(2):
                    local = 1.0 + number if x else -1.0 - number
                    for axis, mean in enumerate((3.0, 4.0)):
                        value = mean * t + (local if axis == 0 else 0.0)
                        rows.append(("image_warp", f"tilt={t} y={y} x={x} axis={axis}", value, 0.2, 5.0, "angstrom"))
            rows += [
                ("stage_angles", f"tilt={t} axis={axis}", 0.1 * t * (axis < 2), 0.01, 0.5, "deg") for axis in range(3)
            ]
        return rows + [("defocus", f"tilt={t}", 0.03 * (-1) ** t, 0.01, 0.1, "um") for t in range(self.tilts)]

    def curves(self, iteration: int) -> FscCurves:
        corrected = 1 - (torch.arange(self.box // 2 + 1) / (self.box // 2)) ** (1 + iteration)
        return FscCurves(
            shell_frequencies(self.box, PIXEL), 0.7 * corrected, 0.9 * corrected, 0.1 * corrected, corrected
        )

    def write_species(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        size, rng = self.box, np.random.default_rng(0)
        axis = np.arange(size) - size // 2
        radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
        mask = (radius < size / 4).astype(np.float32)
        signal = rng.normal(size=(size,) * 3) * np.exp(-((radius / 5) ** 2))
        halves = [(signal + 0.05 * rng.normal(size=(size,) * 3)).astype(np.float32) for _ in range(2)]
        maps = {"half1": halves[0], "half2": halves[1], "map": sum(halves) / 2, "map_sharp": halves[0], "mask": mask}
        for name, volume in maps.items():
            write_mrc(folder / f"{name}.mrc", volume.astype(np.float32), PIXEL)
        write_fsc_star(folder / "fsc.star", self.curves(2))
        write_star(folder / "particles.star", {"": self.particles()})

    def particles(self) -> pd.DataFrame:
        """Picks of all series; the first two of the first series are doubted."""
        names = np.repeat(self.series, self.picks)
        count = len(names)
        error = {f"mlitCoordinateError{a}1": np.full(count, 1.0 + (a == "Z")) for a in "XYZ"}
        error |= {f"mlitRotationError{a}1": np.full(count, 0.3) for a in "XYZ"}
        angles = {"wrpAngleRot1": np.linspace(-170, 170, count), "wrpAngleTilt1": np.full(count, 90.0)}
        pose = {f"wrpCoordinate{a}1": np.arange(count, dtype=float) for a in "XYZ"}
        probability = np.where(np.arange(count) < 2, 0.01, 0.99)
        return pd.DataFrame(
            {**pose, **angles, "wrpAnglePsi1": 0.0, "wrpSourceName": [f"{n}.tomostar" for n in names], **error}
        ).assign(mlitProbability=probability)


@pytest.fixture
def fake(tmp_path) -> FakeRun:
    """A run that is not yet written."""
    return FakeRun(
        tmp_path / "run", suspects=[("TS_2", "weak tilt", 2, 3.0, 0.02), ("TS_1", "shaded tilt", 4, 9.0, 0.4)]
    )
