"""Check all that a person typed before anything runs or is written."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlit.cli import overrides as checks
from mlit.cli.composer import Composed, Composer, one_line
from mlit.cli.kinds import Kind, expected_kind, fits, has_key, lookup, walk
from mlit.cli.search import searched
from mlit.cli.suggest import did_you_mean
from mlit.errors import InputError


def validated_overrides(composer: Composer, texts: Sequence[str], multirun: bool, complete: bool = True) -> list[str]:
    """Check the overrides of a call, and what a config sweeps over, and return them as Hydra shall read them.

    Parameters
    ----------
    composer
        Composes the verb's config.
    texts
        Overrides as typed.
    multirun
        Whether a key may have several values (``-m``).
    complete
        Refuse a config in which a needed value is missing.

    Raises
    ------
    InputError
        For an unknown key, group or option, a value of the wrong kind, or a missing value; one line.
    """
    parsed = checks.parse(texts)
    for override in parsed:
        if override.is_sweep_override() and not multirun:
            raise InputError(f"{override.input_line}: several values need -m (sweep), or quotes if they are one")
    with composer.ready():
        groups = composer.compose([]).choices
        expanded: list[str] = []
        search = searched(composer, parsed)
        for job in checks.jobs([*search, *parsed]):
            texts_in_full = _check_job(composer, checks.parse(job), groups, complete)
            expanded = expanded or texts_in_full
        if not (multirun or search):
            return expanded
        reference = composer.compose([])
        return [checks.in_full(override, reference) for override in parsed]


def _check_job(composer: Composer, parsed: Sequence[Override], groups: Mapping[str, Any], complete: bool) -> list[str]:
    """Check the overrides of one run and return them in full words."""
    chosen = []
    for override in parsed:
        if checks.is_group(override, groups):
            checks.check_group(override, composer)
            chosen.append(str(override.input_line))
    reference = _reference(composer, chosen)
    in_full = []
    for override in parsed:
        if not (checks.is_group(override, groups) or override.is_hydra_override()):
            checks.check_key(override, reference)
            in_full.append(checks.in_full(override, reference))
        else:
            in_full.append(str(override.input_line))
    composed = composer.compose(in_full)
    _check_tree(composed.values, reference.values)
    if complete:
        _check_complete(composed.values)
        _check_output(composed.values)
    return in_full


def _reference(composer: Composer, chosen: Sequence[str]) -> Composed:
    """Compose the defaults of the chosen options, after a check of what an experiment adds to them."""
    with_experiment = composer.compose(chosen)
    experiment = with_experiment.choices.get("experiment")
    if experiment is None:
        return with_experiment
    options = [f"{g}={c}" for g, c in with_experiment.choices.items() if c is not None and g != "experiment"]
    reference = composer.compose(options)
    try:
        _check_tree(with_experiment.values, reference.values)
    except InputError as error:
        raise InputError(f"experiment={experiment}: {error}") from error
    return reference


def _check_tree(values: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
    """Refuse unknown keys and values of the wrong kind, except for arguments of classes."""
    for key, value in walk(values):
        parent = key.rpartition(".")[0]
        if parent and (not has_key(reference, parent) or _names_a_class(lookup(values, parent))):
            continue
        if not has_key(reference, key):
            raise InputError(f"there is no key {key!r}{did_you_mean(key, [k for k, _ in walk(reference)])}")
        default = lookup(reference, key)
        expected = expected_kind(key, default)
        if not fits(value, expected) or (value is None and _needs_value(key, default)):
            raise InputError(f"{key}={_shown(value)}: {key} takes {expected.value}")
        if isinstance(value, list) and isinstance(default, list):
            _check_entries(key, value, default)


def _names_a_class(node: Any) -> bool:
    return isinstance(node, Mapping) and "_target_" in node


def _needs_value(key: str, default: Any) -> bool:
    """Tell whether null is refused: where the default is a plain value, or has to be given."""
    return default is not None and expected_kind(key, default) is not Kind.GROUP


def _check_entries(key: str, entries: Sequence[Any], default: Sequence[Any]) -> None:
    """Check the entries of a list against those of its default, where these are all of one kind."""
    examples: dict[str, Any] = {}
    for example in default:
        if isinstance(example, dict):
            examples |= {name: value for name, value in example.items() if value is not None or name not in examples}
    for entry in entries:
        if examples and isinstance(entry, dict):
            unknown = next((name for name in entry if name not in examples), None)
            if unknown is not None:
                raise InputError(f"{key}: there is no key {unknown!r}{did_you_mean(str(unknown), examples)}")
        elif default and not fits(entry, expected_kind("", default[0])):
            raise InputError(f"{key}: each entry is {expected_kind('', default[0]).value}, not {_shown(entry)}")


def _shown(value: Any) -> str:
    """Write a value as a person would type it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _check_complete(values: Mapping[str, Any]) -> None:
    """Refuse a config that still lacks values, naming all of them at once."""
    missing = [key for key, value in walk(values) if value == "???"]
    if missing:
        raise InputError(f"give a value for {', '.join(f'{key}=…' for key in missing)}")


def _check_output(values: Mapping[str, Any]) -> None:
    """Refuse an output folder that cannot be made, or that lies inside the input project."""
    config = OmegaConf.create(dict(values))
    try:
        output = Path(config.output).absolute() if values.get("output") is not None else None
        named = [
            key for key in ("settings", "population") if has_key(values, f"data.{key}") and config.data[key] is not None
        ]
        settings = Path(config.data[named[0]]).resolve() if named else None
    except OmegaConfBaseException as error:
        raise InputError(one_line(error)) from error
    if output is None:
        return
    existing = next(folder for folder in (output, *output.parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise InputError(f"output={config.output}: {existing} is not a folder that can be written to")
    if settings is not None and output.resolve().is_relative_to(settings.parent):
        raise InputError(
            f"output={config.output} lies inside the input project; choose a folder outside {settings.parent}"
        )
