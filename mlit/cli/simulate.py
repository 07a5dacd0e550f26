"""Make a tilt-series project with known truth, in Warp's layout."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from mlit.errors import InputError
from mlit.simulation.config import SimulationConfig
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
    console = Console(soft_wrap=True, highlight=False)
    settings = simulate(simulation_config(cfg.simulation), Path(cfg.output), console.print)
    console.print(f"project: {settings}")
    console.print(f"truth: {settings.parent / TRUTH_FOLDER}")


def simulation_config(simulation: DictConfig) -> SimulationConfig:
    """Turn the config group ``simulation`` into checked dataclasses.

    Raises
    ------
    InputError
        For an unknown key, a value of the wrong type or out of range; one line.
    """
    try:
        schema = OmegaConf.structured(SimulationConfig)
        made = OmegaConf.to_object(OmegaConf.merge(schema, simulation))
    except OmegaConfBaseException as error:
        raise InputError(f"simulation: {str(error).splitlines()[0]}") from error
    assert isinstance(made, SimulationConfig)
    return made
