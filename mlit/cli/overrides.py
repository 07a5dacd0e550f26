"""Check overrides one by one against a config, and put shorthands into full words."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from mlit.cli.composer import Composed, Composer
from mlit.cli.config_folder import group_options
from mlit.cli.kinds import Kind, expected_kind, has_key, kind_of, lookup, walk
from mlit.cli.suggest import did_you_mean
from mlit.errors import InputError, one_line

TEXTS = (Kind.TEXT, Kind.TEXTS)
_MOST_SWEEP_VALUES = 100  # of one key that are checked beforehand


def parse(texts: Sequence[str]) -> list[Override]:
    """Parse overrides with Hydra's grammar.

    Raises
    ------
    InputError
        If one of them does not follow it.
    """
    parser = OverridesParser.create()
    overrides = []
    for text in texts:
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            reason = one_line(error)
            raise InputError(f"cannot read {text!r}: give key=value, quoted where needed ({reason})") from error
    return overrides


def is_group(override: Override, groups: Mapping[str, Any]) -> bool:
    """Tell whether an override chooses an option of a config group."""
    return override.key_or_group in groups


def single_values(override: Override) -> list[str]:
    """Return the override once for each value that it sweeps over, or itself."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if override.is_interval_sweep():
        return [f"{override.get_key_element()}={override.value().start}"]  # type: ignore[union-attr]
    values = islice(override.sweep_string_iterator(), _MOST_SWEEP_VALUES)
    return [f"{override.get_key_element()}={value}" for value in values]


def jobs(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """Yield lists of overrides so that every swept value stands in at least one of them."""
    alternatives = [single_values(override) for override in overrides]
    first = [values[0] for values in alternatives]
    yield first
    for index, values in enumerate(alternatives):
        for value in values[1:]:
            yield [*first[:index], value, *first[index + 1 :]]


def check_group(override: Override, composer: Composer) -> None:
    """Refuse an option that a config group does not have.

    Raises
    ------
    InputError
        Naming the group, and its options.
    """
    group, value = override.key_or_group, override.value()
    options = group_options(composer.folders, group)
    if override.is_delete() or str(value) not in options:
        hint = did_you_mean(str(value), options)
        raise InputError(f"{override.input_line}: {group} takes one of {', '.join(options)}{hint}")


def check_key(override: Override, reference: Composed) -> None:
    """Refuse a key that the config does not have.

    Keys may be added with ``+`` below a node that names a class (``_target_``): they are its arguments.

    Raises
    ------
    InputError
        Naming the key and the nearest valid one.
    """
    key = override.key_or_group
    if override.is_delete():
        raise InputError(f"{override.input_line}: keys cannot be removed; give another value instead")
    if has_key(reference.values, key):
        return
    parent = key.rpartition(".")[0]
    added = override.is_add() or override.is_force_add()
    if added and has_key(reference.values, parent) and "_target_" in lookup(reference.values, parent):
        return
    valid = [*reference.choices, *(name for name, _ in walk(reference.values))]
    raise InputError(f"there is no key {key!r}{did_you_mean(key, valid)}")


def in_full(override: Override, reference: Composed) -> str:
    """Return the override as Hydra shall read it.

    Two conveniences: ``model.image_warp=[6,4]`` stands for ``model.image_warp.grid=[6,4]`` with the block
    enabled only if its ``enabled`` says so, and text that looks like a number (``output=2024``) stays text.
    """
    key, _, raw = str(override.input_line).partition("=")
    default = (
        lookup(reference.values, override.key_or_group) if has_key(reference.values, override.key_or_group) else None
    )
    if isinstance(default, dict) and "grid" in default and raw.lstrip().startswith("["):
        return f"{key}.grid={raw}"
    if override.is_sweep_override() or expected_kind(override.key_or_group, default) not in TEXTS:
        return str(override.input_line)
    if kind_of(override.value()) in (Kind.TRUTH, Kind.WHOLE, Kind.NUMBER):
        return f"{key}='{raw}'"
    return str(override.input_line)
