"""Tiny simulated projects, and the command line as a person types it."""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlit.cli.main import main
from mlit.fourier.resize import crop_or_pad, resample_to_pixel_size
from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.star import read_star, write_star
from mlit.maps.fsc import fourier_shell_correlation
from mlit.maps.mask import soft_mask
from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate
from mlit.simulation.truth import TruthComparison, compare_to_truth
from tests.tiny_project import DIAMETER, TINY, merged

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a call gave back."""

    code: int
    stdout: str
    stderr: str

    def refusal(self) -> str:
        """The one line of a call that was refused."""
        assert self.code == 2, f"exit code {self.code}: {self.stderr}"
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, self.stderr
        assert "Traceback" not in self.stdout
        return lines[0]


@dataclass(frozen=True)
class SimulatedProject:
    """A project on disk, with its truth."""

    root: Path
    diameter: float = DIAMETER
    words: tuple[str, ...] = field(default=())

    @property
    def settings(self) -> Path:
        return self.root / "warp_tiltseries.settings"

    @property
    def particles(self) -> Path:
        return self.root / "particles.star"

    def xml(self, name: str) -> Path:
        return self.root / "warp_tiltseries" / f"{name}.xml"

    def images(self, name: str) -> list[Path]:
        return sorted((self.root / "warp_frameseries" / "average").glob(f"{name}_*.mrc"))

    def copy(self, root: Path) -> "SimulatedProject":
        """Copy everything, to break the copy."""
        shutil.copytree(self.root, root)
        return SimulatedProject(root, self.diameter, self.words)

    def command(self, output: Path, *words: str, verb: str = "refine") -> list[str]:
        """Words after ``mlit`` that refine the project."""
        return [
            verb,
            f"data.settings={self.settings}",
            f"data.particles={self.particles}",
            f"species.diameter={self.diameter}",
            "logger=none",
            f"output={output}",
            *self.words,
            *words,
        ]

    def start(self) -> TruthComparison:
        return compare_to_truth(self.root, self.root / "warp_tiltseries", self.particles)

    def refined(self, output: Path) -> TruthComparison:
        return compare_to_truth(self.root, output / "warp_tiltseries", output / "particle" / "particles.star")

    def map_correlation(self, path: Path) -> torch.Tensor:
        """Fourier shell correlation of a map with the truth, inside the molecule's ball."""
        volume = torch.from_numpy(read_mrc(path)[0])
        n = volume.shape[0]
        truth, pixel = read_mrc(self.root / "truth" / "map.mrc")
        axis = (torch.arange(n) - n // 2).float() * pixel
        radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
        ball = torch.sigmoid((0.55 * self.diameter - radius) / 6)
        return fourier_shell_correlation(volume * ball, crop_or_pad(torch.from_numpy(truth), n, 3))

    def half_maps_of_truth(
        self, folder: Path, scale: float = 1.0, pixel: float = 8.0, box: int = 32, lowpass: float = 30.0
    ) -> str:
        """Write the truth low-passed, with a little noise of its own in each half; return the word that gives it."""
        truth, own_pixel = read_mrc(self.root / "truth" / "map.mrc")
        k = np.fft.fftfreq(len(truth), own_pixel)
        radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
        smooth = np.fft.ifftn(np.fft.fftn(truth) * (radius < 1 / lowpass)).real
        rng = np.random.default_rng(7)
        paths = [folder / "half1.mrc", folder / "half2.mrc"]
        for path in paths:
            half = torch.from_numpy(smooth + rng.normal(0, 0.05 * smooth.std(), smooth.shape))
            volume = resample_to_pixel_size(half, own_pixel, pixel, box) * scale
            write_mrc(path, volume.float().numpy(), pixel)
        return f"species.half_maps=[{paths[0]},{paths[1]}]"

    def mask_of_truth(self, folder: Path, pixel: float = 8.0, box: int = 32) -> str:
        """Write a soft mask around the truth; return the word that gives it."""
        truth, own_pixel = read_mrc(self.root / "truth" / "map.mrc")
        density = resample_to_pixel_size(torch.from_numpy(truth), own_pixel, pixel, box)
        mask = soft_mask(density, pixel, self.diameter, 15.0).mask
        write_mrc(folder / "mask.mrc", mask.numpy(), pixel)
        return f"species.mask={folder / 'mask.mrc'}"


def file_hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Undo what Hydra does to logging."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.level, root.handlers[:] = level, handlers


def call(*words: str) -> Outcome:
    """Type words after ``mlit`` in this process."""
    stdout, stderr, typed = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["mlit", *words]
    try:
        with own_logging(), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            try:
                code = main()
            except SystemExit as error:
                code = int(str(error.code))
    finally:
        sys.argv = typed
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="session")
def mlit():
    """The command line in this process."""
    return call


@pytest.fixture(scope="session")
def subprocess_environment() -> dict[str, str]:
    """Environment in which ``python -m mlit`` is this repository's."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def make_project(tmp_path_factory):
    """Return a function that simulates the tiny project with changes."""

    def make(*changes: Mapping[str, Any], words: tuple[str, ...] = ()) -> SimulatedProject:
        config = merged(TINY, *changes)
        root = tmp_path_factory.mktemp("simulated") / "project"
        simulate(config_from_mapping(config), root)
        return SimulatedProject(root, config["structure"]["diameter_angstrom"], words)

    return make


@pytest.fixture(scope="session")
def project(make_project) -> SimulatedProject:
    """The project that most tests share and none may change.

    Rows of its series alternate, and it holds what mlit knows nothing about.
    """
    made = make_project()
    order = np.random.default_rng(1).permutation(24)
    for path in (made.particles, made.root / "truth" / "particles.star"):
        blocks = read_star(path)
        table = blocks["particles"].iloc[order].reset_index(drop=True)
        if path == made.particles:
            table["rlnMyNote"] = [f"note_{i}" for i in range(len(table))]
        write_star(path, blocks | {"particles": table})
    text = made.xml("TS_01").read_text(encoding="utf-8")
    start = text.index(">", text.index("<TiltSeries"))
    text = f'{text[:start]} Colour="blue">\n\t<Foreign a="1"><Child>µ &amp; text</Child></Foreign>{text[start + 1 :]}'
    made.xml("TS_01").write_text(text, encoding="utf-8")
    return made


@pytest.fixture
def broken(project, tmp_path) -> SimulatedProject:
    """A copy of it to break."""
    return project.copy(tmp_path / "project")


@dataclass(frozen=True)
class Run:
    """A finished run and what its call gave back; inputs hashed before and after."""

    output: Path
    outcome: Outcome
    inputs_before: dict[str, str]
    inputs_after: dict[str, str]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.output / "summary.json").read_text())


@pytest.fixture(scope="session")
def refine(tmp_path_factory):
    """Return a function that refines a project in a fresh folder."""

    def run(project: SimulatedProject, *words: str, verb: str = "refine") -> Run:
        output = tmp_path_factory.mktemp("refined") / "run"
        before = file_hashes(project.root)
        outcome = call(*project.command(output, *words, verb=verb))
        return Run(output, outcome, before, file_hashes(project.root))

    return run


@pytest.fixture(scope="session")
def finished(project, refine) -> Run:
    """A whole refinement of the shared project with the shipped defaults."""
    run = refine(project)
    assert run.outcome.code == 0, run.outcome.stderr
    return run


QUICK = ("schedule=quick", "model=coarse")
"""Words of a shorter refinement."""


@pytest.fixture(scope="session")
def quick(project, refine) -> Run:
    """A short refinement of the shared project, for comparison with others like it."""
    run = refine(project, *QUICK)
    assert run.outcome.code == 0, run.outcome.stderr
    return run
