"""One value a tilt, which Warp keeps in grids of 1 × 1 × tilts nodes."""

import numpy as np

from mlit.errors import InputError
from mlit.io.warp.tilt_series_xml import TiltSeriesXml


def tilt_values(xml: TiltSeriesXml, grid_name: str, scalar: float) -> np.ndarray:
    """Return the value of every tilt, float64 "tilt".

    A grid that is missing, or has a single node that is 0 and was thus never set, gives `scalar`.

    Raises
    ------
    InputError
        If the grid has another number of nodes than the series has tilts.
    """
    values = xml.grid(grid_name, scalar)
    if values.shape == (1, 1, 1):
        constant = float(values[0, 0, 0])
        return np.full(xml.tilts, constant if constant != 0 else scalar)
    if values.shape != (xml.tilts, 1, 1):
        raise InputError(
            f"{xml.path}: {grid_name} has {' × '.join(str(n) for n in reversed(values.shape))} nodes "
            f"but there are {xml.tilts} tilts; estimate it again or restore the file"
        )
    return values[:, 0, 0]


def estimated_tilt_values(xml: TiltSeriesXml, grid_name: str) -> np.ndarray | None:
    """Return the value of every tilt, or None where all are the same, as before any estimate."""
    values = tilt_values(xml, grid_name, 0.0)
    return None if (values == values[0]).all() else values


def check_tilt_nodes(xml: TiltSeriesXml, grid_name: str, nodes: int) -> None:
    """Raise `InputError` unless a deformation grid has one node or one for each tilt along its third axis."""
    if nodes not in (1, xml.tilts):
        raise InputError(
            f"{xml.path}: {grid_name} has nodes for {nodes} tilts but there are {xml.tilts}; "
            "align the series again or restore the file"
        )
