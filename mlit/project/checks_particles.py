"""Checks of the particles: units and places of coordinates, orientations, half sets, duplicates, size."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.spatial import KDTree

from mlit.io.half_sets import COLUMNS
from mlit.project.findings import Finding, Severity
from mlit.project.particle_places import FACTORS
from mlit.project.project import Project, SeriesInput

CROWDED = 0.55  # of the sides of the volume, where particles that fill it would reach all of it
ENOUGH = 20  # particles, to see that
OUTSIDE_IMAGES = 0.25  # share of particles times tilts
UNBALANCED = 1.25  # ratio of the half sets
DUPLICATE_OVER_DIAMETER = 0.25
USUAL_DIAMETER_ANGSTROM = (50.0, 2000.0)
FEWEST_PIXELS = 10  # across a molecule
USUAL_PIXEL_ANGSTROM = (0.3, 20.0)


def check_particles(project: Project, diameter_angstrom: float | None = None) -> list[Finding]:
    """Look for what is wrong with the particles, and whether molecule and pixel suit each other."""
    findings = [*_crowded(project), *_orientations(project), *_half_sets(project), *_pixel(project)]
    for series in project.series:
        findings += _outside(series, project)
    if diameter_angstrom is not None:
        findings += [*_size(project, diameter_angstrom), *_duplicates(project, diameter_angstrom)]
    return findings


def _rows(project: Project) -> np.ndarray:
    return np.concatenate([series.particle_index.numpy() for series in project.series])


def _places(series: SeriesInput, project: Project) -> np.ndarray:
    """Positions of the particles of a series, in sides of its volume."""
    place = project.particles.position_angstrom[series.particle_index.numpy()].mean(1)
    return place / series.geometry.volume_size_angstrom.numpy()


def _crowded(project: Project) -> Iterator[Finding]:
    """Find coordinates in binned pixels taken for smaller ones: all lie at the corner, or about the centre."""
    places = np.concatenate([_places(series, project) for series in project.series])
    if len(places) < ENOUGH:
        return
    corner = float(places[:, :2].max())
    centre = 2 * float(np.abs(places[:, :2] - 0.5).max())
    for reach, where in ((corner, "the corner"), (centre, "the centre")):
        if 0 < reach < CROWDED:
            factor = max(f for f in FACTORS if f * reach <= 1.1)
            yield Finding(
                Severity.WARNING,
                "",
                "coordinates",
                f"all {len(places)} particles lie within {100 * reach:.0f} % of the volume at {where}",
                f"if they should fill it, their unit is likely {factor} times as large: "
                "give data.coordinate_pixel_size_angstrom",
            )
            return


def _outside(series: SeriesInput, project: Project) -> Iterator[Finding]:
    places = _places(series, project)
    beyond = int(((places < 0) | (places > 1)).any(1).sum())
    if beyond:
        yield Finding(
            Severity.WARNING,
            series.name,
            "coordinates",
            f"{beyond} of {len(places)} centres lie a little outside the volume",
            "check the volume size, and pixel size and binning of the coordinates",
        )
    position = torch.from_numpy(project.particles.position_angstrom[series.particle_index.numpy()].mean(1))
    xy = series.geometry.project(position).xy_angstrom[:, series.use_tilt]
    share = float(((xy < 0) | (xy > series.geometry.image_size_angstrom)).any(-1).double().mean())
    if share > OUTSIDE_IMAGES:
        yield Finding(
            Severity.WARNING,
            series.name,
            "coordinates",
            f"{100 * share:.0f} % of the projected positions lie outside the images",
            "check the alignment, the pixel size and the volume size",
        )


def _orientations(project: Project) -> Iterator[Finding]:
    euler = project.particles.euler_deg[_rows(project)]
    if len(euler) > 1 and (euler == euler[:1]).all():
        yield Finding(
            Severity.WARNING,
            "",
            "orientations",
            "are the same for all particles",
            "refinement is local: align the particles first, in RELION for example",
        )


def _half_sets(project: Project) -> Iterator[Finding]:
    half = project.particles.half_set[_rows(project)]
    counts = [int((half == number).sum()) for number in (1, 2)]
    if not any(column in project.particles.source for column in COLUMNS):
        yield Finding(
            Severity.NOTE,
            "",
            "half sets",
            "the table has none: particles of each series take turns",
            "with half maps or orientations of an earlier refinement, bring its half sets along",
        )
    elif max(counts) > UNBALANCED * min(counts):
        yield Finding(
            Severity.WARNING,
            "",
            "half sets",
            f"hold {counts[0]} and {counts[1]} particles",
            "assign them anew unless they are those of an earlier refinement",
        )


def _pixel(project: Project) -> Iterator[Finding]:
    pixel = project.pixel_size_angstrom
    least, most = USUAL_PIXEL_ANGSTROM
    if not least < pixel < most:
        yield Finding(
            Severity.WARNING, "", "pixel size", f"is {pixel:g} Å, which is unusual", "give it in Å in the settings"
        )


def _size(project: Project, diameter: float) -> Iterator[Finding]:
    least, most = USUAL_DIAMETER_ANGSTROM
    if not least <= diameter <= most:
        yield Finding(Severity.WARNING, "", "diameter", f"is {diameter:g} Å", "give it in Å, not nm or pixels")
    elif diameter < FEWEST_PIXELS * project.pixel_size_angstrom:
        yield Finding(
            Severity.WARNING,
            "",
            "diameter",
            f"is {diameter / project.pixel_size_angstrom:.1f} pixels of {project.pixel_size_angstrom:g} Å",
            "average the movies with less binning",
        )


def _duplicates(project: Project, diameter: float) -> Iterator[Finding]:
    pairs, crossing = 0, 0
    for series in project.series:
        rows = series.particle_index.numpy()
        tree = KDTree(project.particles.position_angstrom[rows].mean(1))
        found = tree.query_pairs(DUPLICATE_OVER_DIAMETER * diameter, output_type="ndarray")
        half = project.particles.half_set[rows]
        pairs += len(found)
        crossing += int((half[found[:, 0]] != half[found[:, 1]]).sum())
    if pairs:
        yield Finding(
            Severity.WARNING,
            "",
            "duplicates",
            f"{pairs} pairs of particles lie closer than {DUPLICATE_OVER_DIAMETER:g} diameters, "
            f"{crossing} of them in different half sets",
            "thin them out (mlit population action=dedupe): across half sets they make the FSC too good",
        )
