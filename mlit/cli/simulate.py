"""Make a tilt-series project with known truth, in Warp's layout."""

import typing
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mlit.simulation.config_mapping import config_from_mapping
from mlit.simulation.simulate import simulate
from mlit.simulation.truth_files import TRUTH_FOLDER


def run(cfg: DictConfig) -> None:
    """Simulate a project into ``output``.

    Parameters
    ----------
    cfg
        The composed ``conf/simulate.yaml``; of other configs only ``output`` and ``simulation`` are used.

    Raises
    ------
    InputError
        For an impossible value, or an output folder that already holds a project.
    """
    config = config_from_mapping(typing.cast(dict, OmegaConf.to_container(cfg.simulation, resolve=True)))
    console = Console(soft_wrap=True, highlight=False)
    settings = simulate(config, Path(cfg.output), console.print)
    console.print(f"project: {settings}")
    console.print(f"truth: {settings.parent / TRUTH_FOLDER}")
