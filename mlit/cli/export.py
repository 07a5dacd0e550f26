"""Write a project, or the result of a run, for another program."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from mlit.errors import InputError
from mlit.project.relion_export import write_relion
from mlit.project.warp_export import write_warp
from mlit.training.population_data import load_project, with_species

LOG = logging.getLogger("mlit")
PROGRAMS = ("relion", "warp")


def run(cfg: DictConfig) -> None:
    """Read a project of one program and write it for another.

    Parameters
    ----------
    cfg
        The composed ``conf/export.yaml``.

    Raises
    ------
    InputError
        If the project cannot be used, the program is not known, or the folder is not empty.
    """
    output = Path(cfg.output)
    if cfg.to not in PROGRAMS:
        raise InputError(f"to={cfg.to}: must be one of {', '.join(PROGRAMS)}")
    if output.exists() and any(output.iterdir()):
        raise InputError(f"output={output}: is not empty; give a new folder")
    cfg = with_species(cfg)
    project = load_project(cfg)
    for name, reason in project.failures.items():
        LOG.warning("%s is left out: %s", name, reason)
    if cfg.to == "relion":
        write_relion(output, project, project.particles, diameter_angstrom=cfg.species.diameter)
    else:
        write_warp(output, project)
    LOG.info("%d series for %s: %s", len(project.series), cfg.to, output)
