"""Particle tables as WarpTools and RELION 4 exchange them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mlit.simulation.config_images import MicroscopeConfig
from mlit.simulation.placement import Poses
from mlit.simulation.series_plan import SeriesPlan

FALSE_PICK_COLUMN = "mlitFalsePick"


def start_table(plans: Sequence[SeriesPlan], microscope: MicroscopeConfig, species: int = 0) -> dict[str, pd.DataFrame]:
    """List the starting poses of a species in all series, one after the other."""
    rows = [_of_species(plan, _rows(plan, plan.start_poses, microscope.pixel_size_angstrom), species) for plan in plans]
    return {"optics": _optics(microscope), "particles": pd.concat(rows, ignore_index=True)}


def true_table(plans: Sequence[SeriesPlan], microscope: MicroscopeConfig, species: int = 0) -> dict[str, pd.DataFrame]:
    """List the same rows with true poses, and which of them hold no molecule."""
    rows = []
    for plan in plans:
        false_pick = {FALSE_PICK_COLUMN: plan.true_poses.false_pick.int().numpy()}
        rows.append(_of_species(plan, _true_rows(plan, microscope.pixel_size_angstrom).assign(**false_pick), species))
    return {"optics": _optics(microscope), "particles": pd.concat(rows, ignore_index=True)}


def _of_species(plan: SeriesPlan, rows: pd.DataFrame, species: int) -> pd.DataFrame:
    return rows.loc[(plan.species == species).numpy()]


def _true_rows(plan: SeriesPlan, pixel_size_angstrom: float) -> pd.DataFrame:
    """Rows of the truth; particles that move need the columns of M."""
    if len(plan.true_samples) == 1:
        return _rows(plan, plan.true_poses, pixel_size_angstrom)
    columns: dict[str, object] = {}
    for number, poses in enumerate(plan.true_samples, 1):
        position, angles = poses.position_angstrom.numpy(), np.rad2deg(poses.euler_rad.numpy())
        columns |= {f"wrpCoordinate{axis}{number}": position[:, i] for i, axis in enumerate("XYZ")}
        columns |= {f"wrpAngle{name}{number}": angles[:, i] for i, name in enumerate(("Rot", "Tilt", "Psi"))}
    columns |= {"wrpRandomSubset": plan.half_set.numpy(), "wrpSourceName": f"{plan.name}.tomostar"}
    return pd.DataFrame(columns)


def _optics(microscope: MicroscopeConfig) -> pd.DataFrame:
    """One optics group for all."""
    return pd.DataFrame(
        {
            "rlnOpticsGroup": [1],
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnSphericalAberration": [float(microscope.cs_mm)],
            "rlnVoltage": [float(microscope.voltage_kv)],
            "rlnAmplitudeContrast": [float(microscope.amplitude_contrast)],
            "rlnImagePixelSize": [float(microscope.pixel_size_angstrom)],
            "rlnTomoTiltSeriesPixelSize": [float(microscope.pixel_size_angstrom)],
        }
    )


def _rows(plan: SeriesPlan, poses: Poses, pixel_size_angstrom: float) -> pd.DataFrame:
    """Coordinates in pixels from the volume corner, angles in degrees."""
    position = poses.position_angstrom.numpy() / pixel_size_angstrom
    angles = np.rad2deg(poses.euler_rad.numpy())
    columns: dict[str, object] = {f"rlnCoordinate{axis}": position[:, i] for i, axis in enumerate("XYZ")}
    columns |= {f"rlnAngle{name}": angles[:, i] for i, name in enumerate(("Rot", "Tilt", "Psi"))}
    columns["rlnMicrographName"] = f"{plan.name}.tomostar"
    columns["rlnTomoName"] = plan.name
    columns["rlnRandomSubset"] = plan.half_set.numpy()
    columns["rlnOpticsGroup"] = 1
    return pd.DataFrame(columns)
