"""The page that ``mlit VERB --help`` prints, made from the configs themselves."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlit.cli.comments import key_comments, title
from mlit.cli.composer import Composer
from mlit.cli.config_folder import group_options, option_file
from mlit.cli.kinds import walk
from mlit.cli.registry import Verb

SHORTEST_COLUMN = 14  # of the names of options


def verb_help(verb: Verb, composer: Composer, overrides: Sequence[str]) -> str:
    """Return the page: usage, config groups with their options, and every key with its default.

    Parameters
    ----------
    verb, composer
        The verb, and what composes its config.
    overrides
        Checked overrides; their choices and values are shown as the defaults.
    """
    with composer.ready():
        composed = composer.compose(overrides)
    comments = _all_comments(composer.folders, verb.name, composed.choices)
    parts = [
        f"mlit {verb.name}: {verb.summary}",
        f"usage: mlit {verb.name} [key=value ...] [-m] [--config-dir DIR] [--cfg job]",
        "\n".join(f"example: mlit {verb.name} {words}" for words in (verb.example, *verb.more_examples)),
    ]
    if composed.choices:
        groups = "\n".join(_group_lines(composer.folders, composed.choices))
        parts.append(f"config groups (* chosen), in {', '.join(map(str, composer.folders))}\n{groups}")
    parts.append("keys (??? has to be given)\n" + "\n".join(_key_lines(composed.values, comments)))
    return "\n\n".join(parts)


def _group_lines(folders: Sequence[Path], choices: Mapping[str, str | None]) -> list[str]:
    """List the options of each group with the first line of their files."""
    lines = []
    for group in sorted(choices):
        lines.append(f"  {group}=")
        options = group_options(folders, group)
        width = max(SHORTEST_COLUMN, *map(len, options))
        for option in options:
            file = option_file(folders, group, option)
            mark = "*" if option == choices[group] else " "
            lines.append(f"   {mark} {option:<{width}} {title(file) if file else ''}")
    return lines


def _key_lines(values: Mapping[str, Any], comments: Mapping[str, str]) -> list[str]:
    """List every key that holds a value, with its comment."""
    leaves = [(key, value) for key, value in walk(values) if not (isinstance(value, Mapping) and value)]
    lines = []
    for key, value in leaves:
        entries = value if isinstance(value, list) and any(isinstance(entry, dict) for entry in value) else []
        line = f"  {key}={'[...]' if entries else _typed(value)}"
        lines.append(f"{line:<60}  {comments[key]}" if key in comments else line)
        lines += [f"      {_typed(entry)}" for entry in entries]
    return lines


def _typed(value: Any) -> str:
    """Write a value as it can be typed on the command line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_typed(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_typed, value)) + "]"
    return (value or "''") if isinstance(value, str) else json.dumps(value)


def _all_comments(folders: Sequence[Path], verb: str, choices: Mapping[str, str | None]) -> dict[str, str]:
    """Collect the comments of a verb's configs, those that win last."""
    comments: dict[str, str] = {}
    for group, option in choices.items():
        if option is not None:
            comments |= _file_comments(folders, group, option)
    return comments | _file_comments(folders, "", verb)


def _file_comments(folders: Sequence[Path], group: str, option: str) -> dict[str, str]:
    """Read one option's comments, on top of those of the options of its own folder that it builds on."""
    file = option_file(folders, group, option)
    if file is None:
        return {}
    comments: dict[str, str] = {}
    for default in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("defaults", []):
        if isinstance(default, str) and default != "_self_":
            comments |= _file_comments(folders, group, default)
    package = "" if "@package _global_" in file.read_text(encoding="utf-8") else group
    return comments | key_comments(file, package)
