"""Figures of a project for a person to read before heavy work starts."""

from dataclasses import dataclass

import torch

from mlit.project.project import Project, SeriesInput


@dataclass(frozen=True)
class SeriesSummary:
    """What one series holds.

    Attributes
    ----------
    half_counts
        Particles in half sets 1 and 2.
    angle_range_deg, dose_range, defocus_range_um
        Least and greatest over the tilts in use; dose in e/Å².
    image_size_px
        x and y.
    depth_inverted
        Warp's AreAnglesInverted.
    """

    name: str
    particles: int
    half_counts: tuple[int, int]
    tilts: int
    tilts_used: int
    angle_range_deg: tuple[float, float]
    dose_range: tuple[float, float]
    defocus_range_um: tuple[float, float]
    image_size_px: tuple[int, int]
    pixel_size_angstrom: float
    depth_inverted: bool


def summarise(project: Project) -> list[SeriesSummary]:
    """Describe all series that can be used."""
    return [_describe(series, project) for series in project.series]


def _describe(series: SeriesInput, project: Project) -> SeriesSummary:
    """Collect the figures of one series."""
    geometry, used = series.geometry, series.use_tilt
    halves = torch.as_tensor(project.particles.half_set)[series.particle_index]
    return SeriesSummary(
        name=series.name,
        particles=len(series.particle_index),
        half_counts=(int((halves == 1).sum()), int((halves == 2).sum())),
        tilts=len(used),
        tilts_used=int(used.sum()),
        angle_range_deg=_range(torch.rad2deg(geometry.tilt_angle_rad[used])),
        dose_range=_range(geometry.dose[used]),
        defocus_range_um=_range(geometry.defocus_um[used]),
        image_size_px=series.image_size_px,
        pixel_size_angstrom=series.pixel_size_angstrom,
        depth_inverted=geometry.depth_inverted,
    )


def _range(values: torch.Tensor) -> tuple[float, float]:
    return float(values.min()), float(values.max())
