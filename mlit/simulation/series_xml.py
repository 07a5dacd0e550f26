"""A planned series as Warp's tilt-series XML and tomostar."""

import numpy as np
import torch

from mlit.geometry.series_geometry import SeriesGeometry
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.io.warp.tomostar import Tomostar
from mlit.optics.ctf import Optics
from mlit.project.xml_geometry import xml_with_geometry
from mlit.project.xml_optics import xml_with_optics
from mlit.simulation.config_images import MicroscopeConfig
from mlit.simulation.series_plan import SeriesPlan


def true_xml(plan: SeriesPlan, microscope: MicroscopeConfig) -> TiltSeriesXml:
    """Metadata that describe the series exactly; spoilt tilts are not used."""
    return _series_xml(plan, plan.geometry.true, plan.optics.true, microscope, unused=plan.bad_tilt_indices)


def start_xml(plan: SeriesPlan, microscope: MicroscopeConfig, bad_tilts_marked: bool) -> TiltSeriesXml:
    """Metadata as a preprocessing run would leave them."""
    unused = plan.bad_tilt_indices if bad_tilts_marked else ()
    return _series_xml(plan, plan.geometry.start, plan.optics.start, microscope, unused=unused)


def tomostar(plan: SeriesPlan) -> Tomostar:
    """List of the tilt movies."""
    return Tomostar(
        movie_names=_movie_names(plan),
        angle_deg=plan.scheme.angle_deg.astype(np.float64),
        dose=plan.scheme.dose.astype(np.float64),
        axis_angle_deg=torch.rad2deg(plan.geometry.start.axis_angle_rad).numpy(),
    )


def _movie_names(plan: SeriesPlan) -> tuple[str, ...]:
    return tuple(f"../warp_frameseries/{plan.image_name(tilt)}.tif" for tilt in range(len(plan.scheme.number)))


def _series_xml(
    plan: SeriesPlan,
    geometry: SeriesGeometry,
    optics: Optics,
    microscope: MicroscopeConfig,
    unused: tuple[int, ...],
) -> TiltSeriesXml:
    """Neutral file of the series, then geometry and optics in the file's units and grids."""
    lists = {
        "Angles": plan.scheme.angle_deg,
        "Dose": geometry.dose.numpy(),
        "UseTilt": [tilt not in unused for tilt in range(geometry.tilts)],
        "AxisAngle": torch.rad2deg(geometry.axis_angle_rad).numpy(),
        "AxisOffsetX": np.zeros(geometry.tilts),
        "AxisOffsetY": np.zeros(geometry.tilts),
        "MoviePath": _movie_names(plan),
        "FOVFraction": np.ones(geometry.tilts),
    }
    attributes = {
        "AreAnglesInverted": geometry.depth_inverted,
        "VolumeDimensionsAngstrom": geometry.volume_size_angstrom.numpy(),
        "ImageDimensionsAngstrom": geometry.image_size_angstrom.numpy(),
    }
    plain = _plain_optics(optics)
    neutral = TiltSeriesXml.new(plan.name, lists, attributes, _ctf_params(plain, geometry, microscope))
    neutral = neutral.with_grids(_neutral_grids(geometry.tilts))
    return xml_with_optics(xml_with_geometry(neutral, geometry), optics, plain)


def _plain_optics(optics: Optics) -> Optics:
    """Return the microscope without astigmatism, phase shift and Zernike terms, as a neutral file has it."""
    tilts = len(optics.phase_shift_rad)
    none = torch.zeros(tilts, dtype=torch.float64)
    return Optics(optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast, none[:, None].repeat(1, 2), none)


def _ctf_params(optics: Optics, geometry: SeriesGeometry, microscope: MicroscopeConfig) -> dict[str, object]:
    """Return the scalars of the CTF element; the grids override them tilt by tilt."""
    return {
        "PixelSize": microscope.pixel_size_angstrom,
        "Cs": optics.cs_mm,
        "Cc": 2.7,
        "Voltage": optics.voltage_kv,
        "Defocus": float(geometry.defocus_um.mean()),
        "DefocusDelta": 0.0,
        "DefocusAngle": 0.0,
        "Amplitude": optics.amplitude_contrast,
        "PhaseShift": 0.0,
        "ZernikeCoeffsOdd": "",
        "ZernikeCoeffsEven": "",
    }


def _neutral_grids(tilts: int) -> dict[str, np.ndarray]:
    """Zeros for every grid that errors may fill, as Warp writes them: single nodes, and the CTF's for each tilt."""
    grids = {f"Grid{kind}{axis}": np.zeros((1, 1, 1)) for kind in ("Movement", "Angle") for axis in "XYZ"}
    del grids["GridMovementZ"]
    grids |= {f"GridVolumeWarp{axis}": np.zeros((1, 1, 1, 1)) for axis in "XYZ"}
    return grids | {f"GridCTF{name}": np.zeros((tilts, 1, 1)) for name in ("DefocusDelta", "DefocusAngle", "Phase")}
