"""The parts of the demo around the refinement."""

import copy
import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from mlit.cli import simulate
from mlit.errors import InputError
from mlit.io.fsc_star import read_fsc_star
from mlit.simulation.truth import compare_to_truth

SETTINGS = "warp_tiltseries.settings"


def simulate_once(simulation: DictConfig, project: Path) -> None:
    """Simulate a project; it appears only when it is complete, and later calls keep it.

    Raises
    ------
    InputError
        If the project is there but was simulated from other values.
    """
    record = project / "simulation.yaml"
    wanted = OmegaConf.to_yaml(simulation, resolve=True)
    if project.exists():
        if not record.is_file() or record.read_text(encoding="utf-8") != wanted:
            raise InputError(f"{project} was simulated from other values; give another output=…")
        return
    unfinished = project.with_name(f"{project.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    simulate.run(OmegaConf.create({"output": str(unfinished), "simulation": simulation}))
    (unfinished / record.name).write_text(wanted, encoding="utf-8")
    unfinished.rename(project)


def with_true_metadata(cfg: DictConfig, project: Path, output: Path) -> DictConfig:
    """Config of a reconstruction from the truth: what a perfect refinement would reach.

    Parameters
    ----------
    cfg
        Config of the refinement.
    project
        The simulated project.
    output
        Folder of the reconstruction; the project with true metadata is laid out beside its results.
    """
    folder = output / "project"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(project / SETTINGS, folder / SETTINGS)
    shutil.copytree(project / "tomostar", folder / "tomostar", dirs_exist_ok=True)
    shutil.copytree(project / "truth" / "warp", folder / "warp_tiltseries", dirs_exist_ok=True)
    if not (folder / "warp_frameseries").exists():
        (folder / "warp_frameseries").symlink_to((project / "warp_frameseries").resolve())
    changed = copy.deepcopy(cfg)
    changed.output = str(output)
    changed.data.settings = str(folder / SETTINGS)
    changed.data.particles = str(project / "truth" / "particles.star")
    changed.schedule.iterations = []
    changed.denoiser = {"posterior_mean": cfg.denoiser.posterior_mean}  # a network would be trained for display alone
    changed.logger = None
    return changed


def comparison_table(project: Path, output: Path, species: str) -> Table:
    """Lay out how far start and result are from the truth.

    Parameters
    ----------
    project
        The simulated project, with its truth.
    output
        Results of the refinement, with the reconstruction from the truth in ``true_metadata``.
    species
        Name of the species.
    """
    start = compare_to_truth(project, project / "warp_tiltseries", project / "particles.star")
    refined = compare_to_truth(project, output / "warp_tiltseries", output / species / "particles.star")
    table = Table(title="distance from the truth (root mean square), and resolution")
    for heading in ("", "start", "refined", "truth"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, name, digits in (
        ("particle positions in the tilts, Å", "position_rms_angstrom", 2),
        ("particle orientations, °", "orientation_rms_deg", 2),
        ("defocus, nm", "defocus_rms_nm", 1),
    ):
        table.add_row(label, *(f"{getattr(state, name):.{digits}f}" for state in (start, refined)), "0")
    first = read_fsc_star(output / "fsc" / species / "iteration_0.star")
    last, best = (read_fsc_star(folder / species / "fsc.star") for folder in (output, output / "true_metadata"))
    table.add_row("half maps agree (FSC 0.143) to, Å", *(f"{c.resolution_angstrom():.1f}" for c in (first, last, best)))
    return table
