"""Estimate the weights of the images of a project as it stands, or take them away."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from mlit.cli.closing import close_run
from mlit.cli.more_species import with_more_species
from mlit.cli.report import report_run
from mlit.io.fsc_star import read_fsc_star
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.history import complete_interrupted, record_run
from mlit.project.results import write_summary
from mlit.project.xml_weights import xml_with_weights
from mlit.report.figures import write_figures
from mlit.report.weights_figure import write_weights_figure
from mlit.training import run as training
from mlit.training.population_data import with_species

LOG = logging.getLogger("mlit")
THRESHOLD = 0.143


def run(cfg: DictConfig) -> None:
    """Estimate weights, reconstruct with them and say what they brought, or write metadata without weights.

    Parameters
    ----------
    cfg
        The composed ``conf/weights.yaml``.
    """
    cfg = with_more_species(with_species(cfg))
    output = Path(cfg.output)
    if cfg.weights.reset:
        reset(cfg, output)
        return
    complete_interrupted(output)
    done = training.refine(cfg)
    note_gain(output, cfg.species.name)
    write_figures(output, cfg.species.name)
    write_weights_figure(output)
    report_run(output)
    if cfg.history.record:
        record_run(output)
    if done:
        close_run(output)


def reset(cfg: DictConfig, output: Path) -> None:
    """Write metadata of all series without any weights."""
    projects = training.load_projects(cfg)
    for project in projects:
        training.refuse_inputs_as_outputs(project, output, [])
    series_of_all = projects[0].series
    for series in series_of_all:
        xml = xml_with_weights(series.xml, SignalWeights())
        xml.write(output / "warp_tiltseries" / f"{series.name}.xml")
    LOG.info("%d series without weights: %s", len(series_of_all), output / "warp_tiltseries")


def note_gain(output: Path, species: str) -> None:
    """Add to the summary what the weights have changed, as far as the better of the two maps goes."""
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    files = sorted((output / "fsc" / species).glob("iteration_*.star"), key=lambda path: int(path.stem.split("_")[1]))
    before, after = (read_fsc_star(files[i]) for i in (0, -1))
    finest = min(before.resolution_angstrom(THRESHOLD), after.resolution_angstrom(THRESHOLD))
    gain = {}
    for name, curves in (("before", before), ("after", after)):
        used = curves.frequency_per_angstrom.numpy() <= 1 / finest
        gain[name] = {
            "resolution_angstrom": curves.resolution_angstrom(THRESHOLD),
            "mean_fsc": float(np.mean(curves.corrected.numpy()[used])),
        }
    LOG.info(
        "mean FSC to %.2f Å: %.3f before, %.3f with weights",
        finest,
        gain["before"]["mean_fsc"],
        gain["after"]["mean_fsc"],
    )
    write_summary(output / "summary.json", {**summary, "weights": {"to_angstrom": finest, **gain}})
