"""What estimated weights have brought, for the last lines of a run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

WEAK = 0.5  # of the signal that is expected


def weight_rows(run: Path) -> Iterator[tuple[str, str, str]]:
    """Rows of the closing table: label, without weights, with weights; none where no weights were estimated.

    Parameters
    ----------
    run
        Folder of a finished run.
    """
    gain = json.loads((run / "summary.json").read_text(encoding="utf-8")).get("weights")
    if gain is not None:
        before, after = (f"{gain[when]['mean_fsc']:.4f}" for when in ("before", "after"))
        yield f"mean FSC to {gain['to_angstrom']:.2f} Å", before, after
    if not (run / "weights.csv").is_file():
        return
    table = pd.read_csv(run / "weights.csv", converters={"series": str})
    quality = {kind: table.loc[table["kind"] == kind, "quality"] for kind in ("series", "tilt")}
    if len(quality["series"]) > 1:
        worst, best = quality["series"].min(), quality["series"].max()
        yield "signal of the series over what is expected", "", f"{worst:.2f} to {best:.2f}"
    weak = int((quality["tilt"] < WEAK).sum())
    yield f"tilts with less than {WEAK:g} of the signal expected", "", f"{weak} of {len(quality['tilt'])}"
