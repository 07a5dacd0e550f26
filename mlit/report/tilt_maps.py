"""Series by tilt: which images are bad, at a glance."""

import html
from collections.abc import Sequence

import numpy as np

from mlit.report.axis import number
from mlit.report.heat_map import HeatMap
from mlit.report.page import Part
from mlit.report.run_folder import RunFolder
from mlit.report.tilt_numbers import TiltNumbers, tilt_numbers

MOST_SERIES = 40  # in a heat map
NARROW = 30  # tilts, which fit into two columns
SIGNS = {"weak tilt": "✕", "shaded tilt": "□"}
LEGEND = "✕: next to no signal; □: blank, or partly in the shade. Grey: not in use, or not known."
SHIFT = (
    "Length of the mean image warp of the tilt, from where the run started. A tilt that stands out against its "
    "neighbours was misaligned, or is bad and followed noise: compare with its signal."
)
TURN = "Turn of the particles in the tilt from where the run started, of the three stage angles together."


def tilt_parts(run: RunFolder) -> tuple[list[Part], list[str]]:
    """Draw signal, shift and turn of all tilts; say what is left out."""
    found = tilt_numbers(run)
    if found is None:
        return [], ["No series was fitted: nothing is known of single tilts."]
    notes, total = [], len(found.names)
    order = np.argsort(-found.faults, kind="stable")[:MOST_SERIES]
    if total > MOST_SERIES:
        notes.append(
            f"The {MOST_SERIES} of {total} series with the largest share of suspect tilts and doubted picks; "
            "tilts.csv and suspects.csv hold all."
        )
    return draw_tilts(found.rows(np.sort(order))), notes


def draw_tilts(found: TiltNumbers) -> list[Part]:
    """Draw a heat map for each quantity that is known of any tilt."""
    parts = []
    if np.isfinite(found.signal).any() or found.marks:
        share = found.doubted / found.picks.clip(min=1)
        beside = [f"{bad} of {all_} picks" for bad, all_ in zip(found.doubted, found.picks, strict=True)]
        text = (
            "Fitted amplitude of the signal over what is expected at the dose and angle of the tilt (1: the median "
            "tilt of its series), times the share of its particles in the light. Dark tilts are bad. "
            f"{LEGEND} Bars at the right: picks that are most likely no particles, of all picks."
        )
        parts.append(
            _part(
                found,
                found.signal,
                0.0,
                1.5,
                "tilts-signal",
                "Signal of every tilt, and doubted picks",
                "signal",
                text,
                beside,
                share.tolist(),
                marked_list(found),
            )
        )
    kinds = (
        (found.shift_angstrom, "tilts-shift", "How far every tilt was shifted", "mean shift, Å", SHIFT),
        (found.angle_deg, "tilts-angle", "How far every tilt was turned", "stage angles, °", TURN),
    )
    for values, name, title, unit, text in kinds:
        if np.isfinite(values).any():
            high = float(np.nanquantile(values, 0.98)) or 1.0
            parts.append(_part(found, values, 0.0, high, name, title, unit, f"{text} {LEGEND}"))
    return parts


def marked_list(found: TiltNumbers) -> str:
    """List in words what is marked, for narrow screens and for those who copy it; empty where nothing is."""
    lines = []
    for row, name in enumerate(found.names):
        marked = [f"{tilt + 1} {SIGNS[kind]}" for r, tilt, kind in sorted(found.marks) if r == row]
        words = [f"tilt{'s' * (len(marked) > 1)} {', '.join(marked)}"] if marked else []
        words += [f"{found.doubted[row]} of {found.picks[row]} picks"] if found.doubted[row] else []
        if words:
            lines.append(f"<li>{html.escape(name)}: {'; '.join(words)}</li>")
    return f'<ul class="marked">{"".join(lines)}</ul>' if lines else ""


def _part(
    found: TiltNumbers,
    values: np.ndarray,
    low: float,
    high: float,
    name: str,
    title: str,
    label: str,
    caption: str,
    beside: Sequence[str] = (),
    share: Sequence[float] = (),
    below: str = "",
) -> Part:
    titles = [
        [_title(found, row, tilt, label, float(values[row, tilt])) for tilt in range(values.shape[1])]
        for row in range(len(found.names))
    ]
    drawn = HeatMap(found.names, values, low, high, label, titles, found.marks, beside, share)
    body = drawn.svg(title) + below
    return Part(name, title, caption, body, width="wide" if values.shape[1] > NARROW else "double")


def _title(found: TiltNumbers, row: int, tilt: int, label: str, value: float) -> str:
    """Say what one cell shows; empty where there is no such tilt."""
    if not found.exists[row, tilt]:
        return ""
    words = [f"{found.names[row]}, tilt {tilt + 1}"]
    if np.isfinite(found.tilt_angle_deg[row, tilt]):
        degrees, dose = found.tilt_angle_deg[row, tilt], found.dose[row, tilt]
        words.append(f"{number(float(degrees))}°, {number(float(dose))} e/Å²")
    words.append(f"{label} {number(value)}" if found.used[row, tilt] else "not in use")
    words += [kind for r, t, kind in found.marks if (r, t) == (row, tilt)]
    return "; ".join(words)
