"""Checks of maps that a user brings along: pixel size and box against those of the project."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.mrc import read_mrc_header
from mlit.project.findings import Finding, Severity
from mlit.project.project import Project

_SAME = 1e-3  # relative difference of pixel sizes that are the same
_CALIBRATION = 0.06  # by which calibrations differ; more is another binning
LEAST_BOX_OVER_DIAMETER = 1.2


def check_maps(paths: Sequence[Path | str], project: Project, diameter_angstrom: float) -> list[Finding]:
    """Look at the headers of half maps and masks; those that cannot be read are findings too."""
    findings = []
    for path in paths:
        try:
            findings += _check_map(Path(path), project.pixel_size_angstrom, diameter_angstrom)
        except InputError as error:
            findings.append(Finding(Severity.ERROR, "", "maps", str(error), "refine would refuse it"))
    return findings


def _check_map(path: Path, pixel: float, diameter: float) -> Iterator[Finding]:
    header = read_mrc_header(path)
    own, box = header.pixel_size_angstrom, header.shape[-1]
    if len(set(header.shape)) != 1:
        shape = " × ".join(map(str, header.shape))
        yield Finding(Severity.ERROR, "", "maps", f"{path.name} is not cubic but {shape}", "give a cubic map")
    if not own:
        yield Finding(
            Severity.ERROR,
            "",
            "maps",
            f"the header of {path.name} has no pixel size",
            "set it in the program it is from",
        )
        return
    steps = np.log2(own / pixel)
    off = own / pixel / 2 ** np.round(steps) - 1  # what remains after a whole number of binnings
    if _SAME < abs(off) < _CALIBRATION:
        yield Finding(
            Severity.WARNING,
            "",
            "pixel size",
            f"{path.name} has {own:g} Å and the images {pixel:g} Å, {100 * abs(off):.1f} % off a binned one",
            "if one of them was calibrated anew, give both the same",
        )
    if box * own < LEAST_BOX_OVER_DIAMETER * diameter:
        yield Finding(
            Severity.WARNING,
            "",
            "box",
            f"{path.name} is {box * own:.0f} Å wide, for a molecule of {diameter:g} Å",
            "check the diameter, and the pixel size in the header",
        )
