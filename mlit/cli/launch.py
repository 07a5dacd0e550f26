"""Run a verb under Hydra, which makes the run folder, keeps the config and sweeps."""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlit.cli.arguments import Arguments
from mlit.cli.config_folder import config_folder
from mlit.cli.registry import Verb
from mlit.cli.sweep import run_in_sweep
from mlit.errors import InputError

INPUT_ERROR, DEFECT, INTERRUPTED = 2, 1, 130


def launch(verb: Verb, arguments: Arguments, overrides: Sequence[str], jobs: int = 1) -> None:
    """Hand over to Hydra.

    Parameters
    ----------
    verb
        What to run.
    arguments
        Options of the call.
    overrides
        Its overrides, checked and in full words.
    jobs
        Runs of the sweep, if it is one.
    """
    with _command_line([sys.argv[0], *arguments.for_hydra(overrides)]) as as_typed:
        task = _task(verb, as_typed, jobs)
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=verb.name)(task)()


@contextmanager
def _command_line(words: list[str]) -> Iterator[list[str]]:
    """Show Hydra other words than were typed, and yield the typed ones."""
    typed, sys.argv = sys.argv, words
    try:
        yield typed
    finally:
        sys.argv = typed


def _task(verb: Verb, as_typed: list[str], jobs: int) -> Callable[[DictConfig], None]:
    """Make the function that Hydra calls once for every run."""

    def task(config: DictConfig) -> None:
        # Lightning starts its further processes with the words of this one: they must name the verb.
        sys.argv = as_typed
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            run_in_sweep(partial(run_verb, verb), config, jobs)
        else:
            run_verb(verb, config)

    return task


def run_verb(verb: Verb, config: DictConfig) -> None:
    """Run a verb and turn what goes wrong into a message and an exit code.

    Hydra would swallow exceptions, but lets ``SystemExit`` and ``KeyboardInterrupt`` pass.

    Raises
    ------
    SystemExit
        2 for wrong input, 1 for a defect.
    KeyboardInterrupt
        If a person stopped the run, also where Lightning has turned that into an exit.
    """
    try:
        verb.load()(config)
    except InputError as error:
        report_input_error(error)
        sys.exit(INPUT_ERROR)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    except Exception:
        report_defect()
        sys.exit(DEFECT)


def report_input_error(error: InputError) -> None:
    """Print the message of a wrong input, in one line."""
    print(f"mlit: {' '.join(str(error).split())}", file=sys.stderr)


def report_defect() -> None:
    """Print the exception at hand and say whose fault it is."""
    traceback.print_exc()
    print("mlit: this is a defect of mlit: please report it with the lines above", file=sys.stderr)
