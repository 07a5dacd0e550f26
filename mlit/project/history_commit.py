"""Commits: which files a folder held at a time, and what they were made from."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from mlit.errors import InputError
from mlit.project.history_store import Content, write_durably

SUFFIXES = frozenset(
    {".xml", ".star", ".population", ".species", ".source", ".settings", ".tomostar", ".json", ".csv", ".mrc"}
)
LEFT_OUT = frozenset({"checkpoints", "tensorboard", "logs"})
_SHORT = 12
_SHORTEST = 4
_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Commit:
    """A state of a folder.

    Attributes
    ----------
    parent : str or None
        Identity of the state before; None for the first.
    time : str
        UTC, ISO 8601.
    message : str
        One line.
    files : mapping
        Content of every tracked file, by its path below the folder.
    input_sha256 : mapping
        Hashes of the input of the run that made them, as `summary.json` has them.
    """

    parent: str | None
    time: str
    message: str
    files: Mapping[str, Content]
    input_sha256: Mapping[str, str]

    @property
    def text(self) -> str:
        """The manifest."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @property
    def identity(self) -> str:
        """SHA-256 of the manifest."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def short(self) -> str:
        """As people type it: r and the beginning of its identity, so that none looks like a number."""
        return f"r{self.identity[:_SHORT]}"

    def write(self, store: Path) -> None:
        """Write the manifest."""
        write_durably(_manifest(store, self.identity), self.text)


def read_commit(store: Path, identity: str) -> Commit:
    """Read a manifest.

    Raises
    ------
    InputError
        If it is absent, damaged, was tampered with, or names files outside the folder.
    """
    path = _manifest(store, identity)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["files"] = {name: Content(**content) for name, content in values["files"].items()}
        commit = Commit(**values)
        text = commit.text
    except FileNotFoundError:
        raise InputError(f"{path}: is missing; bring it back from a copy of this folder") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({error}); bring it back from a copy of this folder") from error
    if hashlib.sha256(text.encode()).hexdigest() != identity:
        raise InputError(f"{path}: was tampered with (its SHA-256 is another); bring it back from a copy")
    for name, content in commit.files.items():
        if not is_tracked(PurePosixPath(name)) or not _ID.fullmatch(content.sha256):
            raise InputError(f"{path}: names {name!r}, which is no file that a history holds")
    return commit


def all_commits(store: Path) -> list[Commit]:
    """All commits, the oldest first."""
    commits = [read_commit(store, path.stem) for path in (store / "commits").glob("*.json") if _ID.fullmatch(path.stem)]
    return sorted(commits, key=lambda commit: commit.time)


def find_commit(store: Path, wanted: str) -> Commit:
    """Return the commit that is called so, or begins so.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    names = [path.stem for path in (store / "commits").glob("*.json")]
    start = wanted.lower().removeprefix("r")
    found = [name for name in names if len(start) >= _SHORTEST and name.startswith(start)]
    if len(found) != 1:
        how = "several commits begin" if found else "no commit begins"
        raise InputError(f"{store}: {how} with '{wanted}'; mlit history lists them")
    return read_commit(store, found[0])


def is_tracked(path: PurePosixPath) -> bool:
    """Whether a history holds a file of this path below its folder: metadata, tables and maps; nothing hidden."""
    folders = path.parts[:-1]
    hidden = any(part.startswith(".") or part in LEFT_OUT for part in folders) or path.name.startswith(".")
    return not path.is_absolute() and not hidden and path.suffix.lower() in SUFFIXES


def tracked_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of every tracked file, in order; links are left alone."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(folder)
            if is_tracked(PurePosixPath(relative.as_posix())) and path.is_file() and not path.is_symlink():
                yield relative.as_posix(), path


def _manifest(store: Path, identity: str) -> Path:
    return store / "commits" / f"{identity}.json"
