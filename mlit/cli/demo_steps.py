"""The parts of the demo around the refinement."""

import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from mlit.cli import simulate
from mlit.errors import InputError
from mlit.simulation.truth import compare_to_truth


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


def comparison_table(project: Path, refined_xml: Path, refined_particles: Path) -> Table:
    """Lay out how far start and result are from the truth.

    Parameters
    ----------
    project
        The simulated project, with its truth.
    refined_xml
        Folder of the refined XML files.
    refined_particles
        The refined particle table.
    """
    start = compare_to_truth(project, project / "warp_tiltseries", project / "particles.star")
    refined = compare_to_truth(project, refined_xml, refined_particles)
    table = Table(title="rms distance from the truth")
    for heading in ("", "start", "refined", "truth"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, name, digits in (
        ("particle positions in the tilts, Å", "position_rms_angstrom", 2),
        ("particle orientations, °", "orientation_rms_deg", 2),
        ("defocus, nm", "defocus_rms_nm", 1),
    ):
        table.add_row(label, *(f"{getattr(state, name):.{digits}f}" for state in (start, refined)), "0")
    return table
