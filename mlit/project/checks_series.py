"""Checks of one tilt series: angles, doses, defocus, images."""

from collections import Counter
from collections.abc import Iterator

import torch

from mlit.project.findings import Finding, Severity
from mlit.project.project import SeriesInput

LEAST_RANGE_DEG = 60.0  # of tilt angles; with less, maps are smeared along the beam
STEEPEST_DEG = 75.0  # stages and lamellae hardly go farther
RADIANS = 3.2  # no series with many tilts has so small a range of degrees
FIRST_TILT_DEG = 35.0  # where a series that does not begin at its end begins at most
USUAL_DOSE = (20.0, 300.0)  # e/Å² of a whole series
USUAL_DEFOCUS_UM = (0.2, 15.0)
NANOMETRES_UM = 100.0  # defocus above is in another unit
DEFOCUS_JUMP_UM = 1.0  # of one tilt from the median of its series
LEAST_USED = 0.5  # share of the tilts
MANY_TILTS = 10


def check_series(series: SeriesInput) -> list[Finding]:
    """Look for what is wrong with the metadata of a series."""
    checks = (_angles, _dose, _dose_order, _defocus, _defocus_jumps, _tilts, _images)
    return [finding for check in checks for finding in check(series)]


def _finding(severity: Severity, series: SeriesInput, topic: str, finding: str, remedy: str) -> Finding:
    return Finding(severity, series.name, topic, finding, remedy)


def _numbers(tilts: torch.Tensor) -> str:
    """Name tilts by their numbers from 1."""
    listed = [str(int(tilt) + 1) for tilt in tilts.flatten()]
    return ", ".join(listed[:8]) + (" …" if len(listed) > 8 else "")


def _angles(series: SeriesInput) -> Iterator[Finding]:
    angle = series.geometry.tilt_angle_rad[series.use_tilt].rad2deg()
    span = float(angle.max() - angle.min())
    if len(angle) > MANY_TILTS and span < RADIANS:
        yield _finding(
            Severity.ERROR, series, "angles", f"{len(angle)} tilts span {span:.2f}° only", "give angles in degrees"
        )
    elif span < LEAST_RANGE_DEG:
        yield _finding(
            Severity.WARNING, series, "angles", f"tilts span {span:.0f}° only", "expect maps smeared along the beam"
        )
    steep = float(angle.abs().max())
    if steep > STEEPEST_DEG:
        yield _finding(
            Severity.WARNING, series, "angles", f"there are tilts of {steep:.0f}°", "check the angles of the alignment"
        )


def _dose(series: SeriesInput) -> Iterator[Finding]:
    dose = series.geometry.dose[series.use_tilt]
    last, least, most = float(dose.max()), *USUAL_DOSE
    if len(dose) > 1 and last == 0:
        yield _finding(
            Severity.ERROR,
            series,
            "dose",
            "is 0 in all tilts",
            "give the exposure of a tilt on import; without it radiation damage and motion are unknown",
        )
    elif len(dose) > MANY_TILTS and not least < last < most:
        yield _finding(
            Severity.WARNING,
            series,
            "dose",
            f"goes to {last:.4g} e/Å² in {len(dose)} tilts",
            "check the exposure of a tilt: it is in e/Å², of one tilt, not of one frame",
        )
    repeated = [value for value, count in Counter(dose.tolist()).items() if count > 1]
    if repeated and last > 0:
        yield _finding(
            Severity.WARNING,
            series,
            "dose",
            f"{len(repeated)} values stand at several tilts, {repeated[0]:g} e/Å² for one",
            "check the order of exposure: it accumulates",
        )


def _dose_order(series: SeriesInput) -> Iterator[Finding]:
    """Find a first exposure neither near the middle nor at an end of the angles."""
    used = series.use_tilt
    angle, dose = series.geometry.tilt_angle_rad[used].rad2deg(), series.geometry.dose[used]
    if len(angle) <= MANY_TILTS or float(dose.max()) == 0:
        return
    first = int(dose.argmin())
    middle = (angle.max() + angle.min()) / 2  # lamellae are tilted from the start
    rank = int((angle < angle[first]).sum())
    if float((angle[first] - middle).abs()) > FIRST_TILT_DEG and 2 < rank < len(angle) - 3:
        yield _finding(
            Severity.WARNING,
            series,
            "dose order",
            f"the first exposure is the tilt at {float(angle[first]):.0f}°",
            "check the order of exposure: it begins near the middle or at an end of the angles",
        )


def _defocus(series: SeriesInput) -> Iterator[Finding]:
    defocus = series.geometry.defocus_um[series.use_tilt]
    median, least, most = float(defocus.median()), *USUAL_DEFOCUS_UM
    if median < 0:
        yield _finding(
            Severity.ERROR,
            series,
            "defocus",
            f"is {median:.2f} µm, which is overfocus",
            "underfocus is positive: turn the sign of the estimates",
        )
    elif median > NANOMETRES_UM:
        unit = "Å" if median > 5000 else "nm"
        yield _finding(
            Severity.ERROR, series, "defocus", f"is {median:.0f} µm", f"it seems to be in {unit}: give it in µm"
        )
    elif not least < median < most:
        yield _finding(
            Severity.WARNING, series, "defocus", f"is {median:.2f} µm, which is unusual", "check the CTF estimates"
        )


def _defocus_jumps(series: SeriesInput) -> Iterator[Finding]:
    defocus = series.geometry.defocus_um
    usual = defocus[series.use_tilt].median()
    far = series.use_tilt & ((defocus - usual).abs() > DEFOCUS_JUMP_UM)
    if far.any() and 0 < float(usual) < NANOMETRES_UM:
        yield _finding(
            Severity.WARNING,
            series,
            "defocus",
            f"of tilts {_numbers(far.nonzero())} is more than {DEFOCUS_JUMP_UM:g} µm from the median",
            "refine with model.defocus.search_um, or switch them off (data.bad_tilts)",
        )


def _tilts(series: SeriesInput) -> Iterator[Finding]:
    used, count = int(series.use_tilt.sum()), len(series.use_tilt)
    if used < LEAST_USED * count:
        yield _finding(
            Severity.WARNING, series, "tilts", f"{used} of {count} are used", "check UseTilt and data.bad_tilts"
        )


def _images(series: SeriesInput) -> Iterator[Finding]:
    sections = series.image_sections or (None,) * len(series.image_paths)
    named = Counter(zip(series.image_paths, sections, strict=True))
    twice = [path.name for (path, _), count in named.items() if count > 1]
    if twice:
        yield _finding(
            Severity.ERROR, series, "images", f"{twice[0]} stands for several tilts", "import the series again"
        )
    missing = [tilt for tilt, path in enumerate(series.image_paths) if not path.is_file()]
    if missing:
        yield _finding(
            Severity.NOTE,
            series,
            "images",
            f"of tilts {_numbers(torch.tensor(missing))}, which are not used, are missing",
            "nothing needs to be done",
        )
