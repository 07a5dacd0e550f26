"""The first lines of a report: what was reached, and what to be wary of."""

import html
import math

from mlit.io.mrc import read_mrc_header
from mlit.report.axis import number
from mlit.report.run_folder import RunFolder

LIMIT_PIXELS = 2.1  # a resolution finer than so many pixels is at the end of what they can hold


def facts(run: RunFolder) -> list[tuple[str, str]]:
    """Figures and what they are."""
    shown = []
    for species in run.species:
        reached = run.summary["species"][species].get("resolution_angstrom")
        shown.append((f"{_number(reached)} Å", f"{species}, FSC 0.143"))
        if not run.metrics.empty:
            column = "fsc_0.143_angstrom" if species == run.species[0] else f"{species}/fsc_0.143_angstrom"
            shown.append((f"{_number(run.metrics.sort_values('iteration')[column].iloc[0])} Å", "at the start"))
    shown += [
        (str(run.summary.get(key, "–")), name) for key, name in (("series", "tilt series"), ("particles", "particles"))
    ]
    if error := run.summary.get("expected_error"):
        shown.append((f"{_number(error['position_angstrom'])} Å", "expected error of particles in the images"))
        shown.append((f"{_number(error['rotation_deg'])}°", "expected error of orientations"))
    if (seconds := run.summary.get("wall_seconds")) is not None:
        shown.append((duration(seconds), "wall time"))
    return shown


def _number(value: float | None) -> str:
    return "–" if value is None else number(float(value))


def duration(seconds: float) -> str:
    """Write a time for a person."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def warnings(run: RunFolder) -> list[str]:
    """Return what a person should know before they believe the map."""
    found = [f"{name} was left out: {reason}" for name, reason in (run.summary.get("left_out") or {}).items()]
    if not run.metrics.empty:
        last = run.metrics[run.metrics["iteration"] == run.metrics["iteration"].max()]
        rejected = last[last["status"].str.startswith("rejected")]
        found += [f"{row.series}: the last fit was rejected ({row.status})" for row in rejected.itertuples()]
    suspects = run.summary.get("suspects") or {}
    words = {"false pick": "picks are most likely no particles", "weak tilt": "tilts show next to no signal"}
    words |= {"shaded tilt": "tilts are blank or partly in the shade"}
    found += [f"{suspects[kind]} {text}" for kind, text in words.items() if suspects.get(kind)]
    found += [text for species in run.species for text in _limits(run, species)]
    fits = run.last_fits
    if not fits.empty and "change_position_angstrom" in fits:
        moving = fits[fits["change_position_angstrom"] > fits["expected_error_position_angstrom"]]
        if len(moving):
            found.append(
                f"{len(moving)} of {len(fits)} series still moved by more than their expected error in the last fit: "
                "more iterations may help"
            )
    return found


def _limits(run: RunFolder, species: str) -> list[str]:
    """Say where the resolution is limited by the pixels, or there is none."""
    resolution = run.summary["species"][species].get("resolution_angstrom")
    if resolution is None or not math.isfinite(resolution):
        return [f"{species}: the half maps agree at no resolution"]
    path = run.path / species / "map.mrc"
    pixel = read_mrc_header(path).pixel_size_angstrom if path.is_file() else None
    if pixel is not None and resolution < LIMIT_PIXELS * pixel:
        return [f"{species}: the resolution is that of the pixels ({number(pixel)} Å): finer pixels may show more"]
    return []


def headline(run: RunFolder) -> str:
    """Return figures and warnings as HTML."""
    items = "".join(f"<li><b>{html.escape(f)}</b><span>{html.escape(name)}</span></li>" for f, name in facts(run))
    shown = "".join(f"<li>{html.escape(text)}</li>" for text in warnings(run))
    listed = f'<ul class="warnings">{shown}</ul>' if shown else '<p class="fine">No warnings.</p>'
    return f'<ul class="facts">{items}</ul>{listed}'
