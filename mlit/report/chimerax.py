"""A script that shows the map in ChimeraX, coloured by local resolution where that is known."""

from pathlib import Path

import numpy as np

from mlit.io.atomic import atomic_write
from mlit.io.mrc import view_mrc
from mlit.report.map_figures import LOCAL_RESOLUTION, thinned
from mlit.report.orientations import BILD

SCRIPT = "show.cxc"
SHOWN = ("map_sharp.mrc", "map_filtered.mrc", "map.mrc")
ENCLOSED = 0.4  # of the volume of the mask


def write_script(folder: Path) -> Path | None:
    """Write ``show.cxc`` beside the maps of a species; None where there is no map.

    Parameters
    ----------
    folder
        Of the species.
    """
    shown = next((folder / name for name in SHOWN if (folder / name).is_file()), None)
    if shown is None:
        return None
    volume = thinned(view_mrc(shown)[0])
    has_mask = (folder / "mask.mrc").is_file()
    mask = thinned(view_mrc(folder / "mask.mrc")[0]) > 0.5 if has_mask else np.ones(volume.shape, bool)
    level = float(np.quantile(volume[mask], 1 - ENCLOSED)) if mask.any() else 0.0
    lines = [
        "# open this file in ChimeraX",
        "close",
        "set bgColor white",
        f"open {shown.name}",
        f"volume #1 level {level:.5g} step 1",
    ]
    if (folder / LOCAL_RESOLUTION).is_file():
        local = thinned(view_mrc(folder / LOCAL_RESOLUTION)[0])
        low, high = np.percentile(local[mask], (2, 98)) if mask.any() else (0.0, 1.0)
        palette = f"{low:.2f},blue:{(low + high) / 2:.2f},white:{max(high, low + 0.1):.2f},red"
        lines += [
            f"open {LOCAL_RESOLUTION}",
            "volume #2 hide",
            f"color sample #1 map #2 palette {palette}",
            f"key blue:{low:.1f} white:{(low + high) / 2:.1f} red:{max(high, low + 0.1):.1f}",
        ]
    if (folder / BILD).is_file():
        lines += [f"# open {BILD}  # directions of view"]
    lines += ["lighting soft", "view"]
    path = folder / SCRIPT
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
