"""Compose configs for checks and help, without starting a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlit.cli.config_folder import config_folder
from mlit.errors import InputError


@dataclass(frozen=True)
class Composed:
    """A composed config as plain containers, interpolations left as they are.

    Attributes
    ----------
    values
        The config; ``???`` marks a value that has to be given.
    choices
        The chosen option of each of mlit's config groups, ``None`` where none is.
    sweep
        Values that the config itself sweeps over (``hparams_search``), separated by commas.
    """

    values: dict[str, Any]
    choices: dict[str, str | None]
    sweep: dict[str, str]


def one_line(error: Exception) -> str:
    """Squeeze a message of Hydra's or OmegaConf's, with its cause, into one line."""
    parts = [str(error), str(error.__cause__ or "")]
    lines = [line.strip() for part in parts for line in part.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines))


@dataclass(frozen=True)
class Composer:
    """Composes the config of one verb from the shipped folder and a person's own.

    Attributes
    ----------
    verb
        Name of the primary config.
    config_dir
        A further folder of configs (``--config-dir``).
    """

    verb: str
    config_dir: Path | None = None

    @property
    def folders(self) -> list[Path]:
        """The folders that configs are taken from, the first winning."""
        return [config_folder(), *([self.config_dir] if self.config_dir else [])]

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Initialise Hydra for calls of :meth:`compose`."""
        with initialize_config_dir(str(config_folder()), job_name="mlit", version_base="1.3"):
            yield

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Compose with overrides that name no sweep.

        Raises
        ------
        InputError
            If Hydra refuses, with its message in one line.
        """
        return _compose(self.verb, self.config_dir, tuple(overrides))


@lru_cache(maxsize=256)
def _compose(verb: str, config_dir: Path | None, overrides: tuple[str, ...]) -> Composed:
    """Compose, once for the same words: checks ask for the same defaults again and again."""
    search = [f"hydra.searchpath=['file://{config_dir.resolve()}']"] if config_dir else []
    try:
        config = compose(verb, [*search, *overrides], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(one_line(error)) from error
    choices = {g: c for g, c in config.hydra.runtime.choices.items() if g.split("/")[0] != "hydra"}
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    sweep = {str(key): str(value) for key, value in (config.hydra.sweeper.get("params") or {}).items()}
    return Composed({str(k): v for k, v in values.items() if k != "hydra"}, choices, sweep)
