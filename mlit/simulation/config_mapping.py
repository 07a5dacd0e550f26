"""Plain nested mappings, as YAML files hold them, into checked config dataclasses."""

import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from mlit.errors import InputError
from mlit.simulation.config import SimulationConfig


def config_from_mapping(values: Mapping[str, Any]) -> SimulationConfig:
    """Build a simulation config; keys that are left out keep their defaults.

    Raises
    ------
    InputError
        For an unknown key, a value of the wrong type or out of range; one line that names the key.
    """
    return _build(SimulationConfig, values, "simulation")


def _build(cls: type, values: Any, key: str) -> Any:
    """Make one dataclass, its sections first."""
    if not isinstance(values, Mapping):
        raise InputError(f"{key} must be a section with keys, got {values!r}")
    hints = typing.get_type_hints(cls)
    unknown = [str(name) for name in values if name not in hints]
    if unknown:
        raise InputError(f"{key}.{unknown[0]} is unknown; known keys: {', '.join(hints)}")
    return cls(**{name: _converted(hints[name], value, f"{key}.{name}") for name, value in values.items()})


def _converted(hint: Any, value: Any, key: str) -> Any:
    """Check one value against its annotation; whole numbers stand for floats, lists for tuples."""
    if is_dataclass(hint):
        return _build(typing.cast(type, hint), value, key)
    if isinstance(hint, types.UnionType):
        inner = next(member for member in hint.__args__ if member is not type(None))
        return None if value is None else _converted(inner, value, key)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{key} must be a list, got {value!r}")
        return tuple(_converted(typing.get_args(hint)[0], entry, key) for entry in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{key} must be of type {hint.__name__}, got {value!r}")
    return value
