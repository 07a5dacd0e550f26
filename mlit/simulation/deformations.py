"""True and starting geometry of a series: what the microscope did and what the metadata say."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.geometry.series_geometry import SeriesGeometry
from mlit.simulation.config_errors import DeformationConfig
from mlit.simulation.config_images import MicroscopeConfig
from mlit.simulation.tilt_scheme import TiltScheme


@dataclass(frozen=True)
class GeometryPair:
    """One series as it was and as its starting metadata describe it.

    Attributes
    ----------
    true, start
        Same tilts, same sizes; ``start`` lacks every error of the deformation config.
    """

    true: SeriesGeometry
    start: SeriesGeometry


def draw_geometry(
    scheme: TiltScheme,
    deformation: DeformationConfig,
    microscope: MicroscopeConfig,
    volume_size_angstrom: Float[Tensor, "3"],
    rng: np.random.Generator,
) -> GeometryPair:
    """Draw one series' deformation; every quantity of :class:`DeformationConfig` enters here."""
    start = _known_geometry(scheme, deformation, microscope, volume_size_angstrom, rng)
    true = _with_errors(start, deformation, rng)
    return GeometryPair(true, replace(start, depth_inverted=start.depth_inverted ^ deformation.wrong_hand))


def _known_geometry(
    scheme: TiltScheme,
    deformation: DeformationConfig,
    microscope: MicroscopeConfig,
    volume_size_angstrom: Float[Tensor, "3"],
    rng: np.random.Generator,
) -> SeriesGeometry:
    """Draw the part that true and starting metadata share."""
    tilts = len(scheme.angle_deg)
    defocus = (
        rng.uniform(microscope.defocus_um[0], microscope.defocus_um[1])
        + rng.normal(size=tilts) * microscope.defocus_variation_um
    )
    level = np.deg2rad(rng.normal(size=2) * deformation.level_angle_deg)
    offset = rng.normal(size=(tilts, 2)) * deformation.offset_angstrom
    pixels = torch.tensor([microscope.width, microscope.height], dtype=torch.float64)
    return SeriesGeometry(
        tilt_angle_rad=torch.as_tensor(np.deg2rad(scheme.angle_deg), dtype=torch.float64),
        axis_angle_rad=torch.full((tilts,), np.deg2rad(deformation.axis_angle_deg), dtype=torch.float64),
        axis_offset_angstrom=torch.as_tensor(offset),
        dose=torch.as_tensor(scheme.dose, dtype=torch.float64),
        defocus_um=torch.as_tensor(defocus),
        level_angle_x_rad=torch.tensor(level[0]),
        level_angle_y_rad=torch.tensor(level[1]),
        volume_size_angstrom=volume_size_angstrom,
        image_size_angstrom=pixels * microscope.pixel_size_angstrom,
        depth_inverted=deformation.depth_inverted,
    )


def _with_errors(start: SeriesGeometry, deformation: DeformationConfig, rng: np.random.Generator) -> SeriesGeometry:
    """Add everything that the starting metadata do not know."""
    tilts = len(start.dose)
    normal = _TensorNormal(rng)
    stage = normal((tilts, 1, 1, 3), np.deg2rad(deformation.stage_angle_error_deg))
    bent = replace(
        start,
        axis_angle_rad=start.axis_angle_rad + normal((), np.deg2rad(deformation.axis_angle_error_deg)),
        axis_offset_angstrom=start.axis_offset_angstrom + normal((tilts, 2), deformation.shift_error_angstrom),
        defocus_um=start.defocus_um + normal((tilts,), deformation.defocus_error_um),
        stage_angles_rad=stage,
        image_warp=_image_warp(tilts, deformation, normal),
        volume_warp=_volume_warp(deformation, normal),
    )
    return _with_errors_of_stage(bent, deformation, normal)


def _with_errors_of_stage(
    geometry: SeriesGeometry, deformation: DeformationConfig, normal: "_TensorNormal"
) -> SeriesGeometry:
    """Turn the stage in each tilt; draws nothing, and leaves the draws that follow alone, where there is no error."""
    tilts = (len(geometry.dose),)
    angle, axis = geometry.tilt_angle_rad, geometry.axis_angle_rad
    if deformation.tilt_angle_error_deg > 0:
        angle = angle + normal(tilts, np.deg2rad(deformation.tilt_angle_error_deg))
    if deformation.tilt_axis_error_deg > 0:
        axis = axis + normal(tilts, np.deg2rad(deformation.tilt_axis_error_deg))
    return replace(geometry, tilt_angle_rad=angle, axis_angle_rad=axis)


@dataclass(frozen=True)
class _TensorNormal:
    """Normal deviates as float64 tensors."""

    rng: np.random.Generator

    def __call__(self, shape: tuple[int, ...], deviation: float) -> Tensor:
        return torch.as_tensor(np.asarray(self.rng.normal(size=shape)) * deviation, dtype=torch.float64)


def _image_warp(tilts: int, deformation: DeformationConfig, normal: _TensorNormal) -> Tensor:
    """Draw a warp for every tilt without its mean, which is a shift and drawn as such; (tilt, y, x, 2)."""
    x_nodes, y_nodes = deformation.image_warp
    warp = normal((tilts, y_nodes, x_nodes, 2), deformation.image_warp_error_angstrom)
    return warp - warp.mean((1, 2), keepdim=True) if x_nodes * y_nodes > 1 else warp * 0


def _volume_warp(deformation: DeformationConfig, normal: _TensorNormal) -> Tensor:
    """Displacement that grows with dose on a slowly changing course; (dose, z, y, x, 3)."""
    x_nodes, y_nodes, z_nodes, dose_nodes = deformation.volume_warp
    shape = (z_nodes, y_nodes, x_nodes, 3)
    size = deformation.volume_warp_error_angstrom
    if dose_nodes == 1:
        return normal((1, *shape), size)
    growth = torch.linspace(0, 1, dose_nodes, dtype=torch.float64).reshape(-1, 1, 1, 1, 1)
    course = normal((1, *shape), 0.8 * size) + normal((dose_nodes, *shape), 0.6 * size)
    return growth * course
