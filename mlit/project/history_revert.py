"""Bring a folder back to a commit, as a whole: a journal says what is left to do, whenever the process ends."""

import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from mlit.errors import InputError
from mlit.project.history_commit import Commit, read_commit
from mlit.project.history_store import ObjectStore, sync_folder, write_durably

LOG = logging.getLogger("mlit")
HEAD = "HEAD"
_JOURNAL, _STAGED = "journal.json", "staged"


def is_interrupted(store: Path) -> bool:
    """Whether a revert has begun to change files and has not ended."""
    return (store / _JOURNAL).is_file()


def restore(folder: Path, store: Path, now: Commit, target: Commit) -> None:
    """Replace the files of one commit by those of another.

    Everything that can fail comes first: sound copies of all contents are laid out in the store. Then the journal is
    written, and from there on files only change names.

    Parameters
    ----------
    folder : Path
        Holds exactly the files of `now`.
    store : Path
        Its `.mlit`.
    now, target : Commit
        Before and after.

    Raises
    ------
    InputError
        If a content is absent or was tampered with, or a file has no place; nothing has changed then.
    """
    objects, staged = ObjectStore(store), store / _STAGED
    changed = sorted(name for name, content in target.files.items() if now.files.get(name) != content)
    staged.mkdir()
    for number, name in enumerate(changed):
        _check_place(folder, folder / name)
        objects.copy_out(target.files[name], staged / str(number))
    sync_folder(staged)
    removed = sorted(now.files.keys() - target.files.keys())
    journal = {"from": now.identity, "to": target.identity, "changed": changed, "removed": removed}
    write_durably(store / _JOURNAL, json.dumps(journal))
    finish(folder, store)


def finish(folder: Path, store: Path) -> None:
    """Do what the journal says and is not done yet; may be repeated after any interruption.

    What a person has changed since the interruption is kept in the store first.
    """
    journal = json.loads((store / _JOURNAL).read_text(encoding="utf-8"))
    now = read_commit(store, journal["from"])
    for number, name in enumerate(journal["changed"]):
        copy = store / _STAGED / str(number)
        if copy.is_file():
            _keep(folder / name, name, store, now)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(copy, folder / name)
    for name in journal["removed"]:
        if (folder / name).is_file():
            _keep(folder / name, name, store, now)
            (folder / name).unlink()
    _sync_parents(folder, [*journal["changed"], *journal["removed"]])
    write_durably(store / HEAD, journal["to"] + "\n")
    (store / _JOURNAL).unlink()
    sync_folder(store)
    clean(store)


def clean(store: Path) -> None:
    """Remove what interrupted work has left in the store."""
    shutil.rmtree(store / _STAGED, ignore_errors=True)
    for path in [
        store / "pending",
        *store.glob(f".{HEAD}.*.part"),
        *store.glob(".*json.*.part"),
        *store.glob("commits/.*.part"),
    ]:
        path.unlink(missing_ok=True)


def _keep(path: Path, name: str, store: Path, now: Commit) -> None:
    if path.is_file():
        content = ObjectStore(store).put(path, verify=True)
        if content != now.files.get(name):
            LOG.warning("%s had changed meanwhile; what it held is %s", path, ObjectStore(store).path(content))


def _check_place(folder: Path, path: Path) -> None:
    """Raise where a file cannot be put in place by a change of its name."""
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    is_outside = not parent.resolve().is_relative_to(folder.resolve()) or parent.stat().st_dev != folder.stat().st_dev
    if path.is_dir() or path.is_symlink() or not parent.is_dir() or is_outside:
        raise InputError(f"{path}: a folder, link or other disk is in the way of a file of this commit; move it away")


def _sync_parents(folder: Path, names: Iterable[str]) -> None:
    for parent in {(folder / name).parent for name in names}:
        while not parent.is_dir():
            parent = parent.parent
        sync_folder(parent)
