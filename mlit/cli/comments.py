"""What the comments in config files say about their keys."""

import re
from pathlib import Path

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_]\w*):(?P<rest>.*)$")
_TRAILING = re.compile(r"\s#\s*(?P<text>.*)$")
_TITLE = re.compile(r"^#\s*(?P<text>[^@\s].*)$")


def title(file: Path) -> str:
    """Return the first comment line of a config file, without Hydra's directives."""
    matches = map(_TITLE.match, file.read_text(encoding="utf-8").splitlines())
    return next((match["text"] for match in matches if match), "")


def key_comments(file: Path, prefix: str = "") -> dict[str, str]:
    """Return the comment behind each key of a config file, by dotted key."""
    comments: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        parents = [(level, key) for level, key in parents if level < indent]
        parents.append((indent, match["key"]))
        trailing = _TRAILING.search(match["rest"])
        if trailing:
            comments[".".join([*([prefix] if prefix else []), *(key for _, key in parents)])] = trailing["text"]
    return comments
