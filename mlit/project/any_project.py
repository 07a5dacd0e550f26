"""A project as the config group ``data`` describes it."""

from collections.abc import Mapping
from typing import Any

from mlit.project.project import Project
from mlit.project.relion_files import find_files
from mlit.project.relion_project import load_relion_project
from mlit.project.warp_project import load_warp_project


def data_kind(data: Mapping[str, Any]) -> str:
    """Return the program whose project the config group ``data`` names, as in ``data=KIND``; ``population`` is M's."""
    kinds = {"population": "population", "optimisation_set": "relion"}
    return next((kind for key, kind in kinds.items() if key in data), "warp")


def read_project(data: Mapping[str, Any], particle_diameter_angstrom: float | None = None) -> Project:
    """Read the project of Warp or RELION that the config group ``data`` names.

    Parameters
    ----------
    data : mapping
        ``conf/data/warp.yaml`` or ``conf/data/relion.yaml``.
    particle_diameter_angstrom : float, optional
        How far outside its volume a particle may lie.

    Raises
    ------
    InputError
        If the project cannot be used.
    """
    load = _relion if data_kind(data) == "relion" else _warp
    return load(data, particle_diameter_angstrom)


def _warp(data: Mapping[str, Any], diameter: float | None) -> Project:
    return load_warp_project(
        data["settings"],
        data["particles"],
        data["series"],
        tuple(str(name) for name in data["exclude"]),
        diameter,
        data["coordinate_pixel_size_angstrom"],
        data["processing"],
        data["bad_tilts"],
    )


def _relion(data: Mapping[str, Any], diameter: float | None) -> Project:
    names = ("optimisation_set", "tomograms", "particles", "trajectories", "folder")
    return load_relion_project(
        find_files(*(data[name] for name in names)),
        data["series"],
        tuple(str(name) for name in data["exclude"]),
        diameter,
        data["coordinate_pixel_size_angstrom"],
        data["references"],
        data["bad_tilts"],
    )
