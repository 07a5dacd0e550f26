"""Further species of a run: entries of ``more_species``, checked and completed."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlit.cli.config_folder import config_folder
from mlit.cli.kinds import Kind, expected_kind, fits
from mlit.cli.suggest import did_you_mean
from mlit.errors import InputError

OF_DATA = ("particles", "species")  # where it comes from; all other keys are those of a species
NEEDED = ("particles", "name", "diameter")


def with_more_species(cfg: DictConfig) -> DictConfig:
    """Return the config with all keys of every further species, those not given as ``species`` has them by default.

    Raises
    ------
    InputError
        For an unknown key, a value of the wrong kind, or one that is missing.
    """
    if not cfg.more_species:
        return cfg
    defaults: Any = OmegaConf.to_container(OmegaConf.load(config_folder() / "species" / "default.yaml"))
    entries: Any = OmegaConf.to_container(cfg.more_species, resolve=True)
    completed = cfg.copy()
    completed.more_species = [_complete(number, entry, defaults) for number, entry in enumerate(entries, 1)]
    return completed


def _complete(number: int, entry: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    where = f"more_species: entry {number}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is {entry!r}; give keys as in {{name: b, particles: b.star, diameter: 160}}")
    known = {**dict.fromkeys(OF_DATA), **defaults}
    for key, value in entry.items():
        if key not in known:
            raise InputError(f"{where} has an unknown key {key}{did_you_mean(str(key), list(known))}")
        kind = Kind.TEXT if key in OF_DATA else expected_kind(f"species.{key}", defaults[key])
        if value is not None and not fits(value, kind):
            raise InputError(f"{where}: {key}={value} must be {kind.value}")
    missing = [key for key in NEEDED if entry.get(key) is None]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}")
    return {**defaults, **entry}
