"""What the last fits say about each tilt, as a table."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from jaxtyping import Bool, Float
from torch import Tensor

from mlit.io.atomic import atomic_write
from mlit.likelihood.credence import Credence
from mlit.project.project import SeriesInput

COLUMNS = ("series", "tilt", "angle_deg", "dose", "used", "amplitude", "lit", "evidence")


def tilt_rows(series: SeriesInput, credence: Credence, relative_amplitude: Float[Tensor, " tilt"]) -> pd.DataFrame:
    """Return a row for each tilt of a series, in the order of its XML and numbered from 1.

    ``amplitude`` is that of the signal over what is expected at this angle, 1 for the median tilt in use; ``lit`` the
    share of the particles that do not lie in the shade; ``evidence`` the logarithm of the Bayes factor that the tilt
    shows the particles. All three are empty for tilts that are not in use.

    Parameters
    ----------
    series
        The series.
    credence
        Of its last fit.
    relative_amplitude
        Fitted over expected amplitude of each tilt.
    """
    used = series.use_tilt
    fitted = {"amplitude": over_median_tilt(relative_amplitude, used), "lit": credence.lit, "evidence": credence.tilt}
    table = pd.DataFrame(
        {
            "series": series.name,
            "tilt": range(1, len(used) + 1),
            "angle_deg": series.geometry.tilt_angle_rad.rad2deg().numpy(),
            "dose": series.geometry.dose.numpy(),
            "used": used.int().numpy(),
        }
    )
    return table.assign(**{name: pd.Series(values.numpy()).where(used.numpy()) for name, values in fitted.items()})


def over_median_tilt(relative_amplitude: Float[Tensor, " tilt"], used: Bool[Tensor, " tilt"]) -> Float[Tensor, " tilt"]:
    """Return the amplitude of each tilt over that of the median tilt in use."""
    return relative_amplitude / relative_amplitude[used].quantile(0.5).clamp(min=1e-12)


def write_tilts(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Write the rows of all series as a CSV table."""
    rows = list(tables)
    together = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(COLUMNS))
    with atomic_write(path) as partial:
        together.to_csv(partial, index=False, float_format="%.5g")
