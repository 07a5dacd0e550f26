"""The history of a folder of results: commits that can be listed, compared and brought back."""

import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.project.history_commit import Commit, all_commits, find_commit, read_commit, tracked_files
from mlit.project.history_lock import history_lock
from mlit.project.history_revert import HEAD, clean, finish, is_interrupted, restore
from mlit.project.history_store import STORE, ObjectStore, hash_file, sync_folder, write_durably

LOG = logging.getLogger("mlit")


@dataclass(frozen=True)
class History:
    """The history of one folder, while its lock is held.

    Attributes
    ----------
    folder : Path
        Whose files are tracked.
    store : Path
        Its `.mlit`.
    """

    folder: Path
    store: Path

    @property
    def head(self) -> Commit | None:
        """The commit that the folder was at last; None before the first."""
        path = self.store / HEAD
        return read_commit(self.store, path.read_text(encoding="utf-8").strip()) if path.is_file() else None

    def commits(self) -> list[Commit]:
        """All commits, the oldest first."""
        return all_commits(self.store)

    def find(self, wanted: str) -> Commit:
        """Return the commit whose identity begins so; ``HEAD`` is the last one."""
        if wanted == HEAD and self.head is not None:
            return self.head
        return find_commit(self.store, wanted)

    def size_bytes(self) -> int:
        """Disk use of all contents."""
        return ObjectStore(self.store).size_bytes()

    def changed_files(self) -> list[str]:
        """Tracked files that are not as in the last commit: other content, new, or gone."""
        known = {} if self.head is None else self.head.files
        now = {name: hash_file(path) for name, path in tracked_files(self.folder)}
        return sorted(name for name in known.keys() | now.keys() if known.get(name) != now.get(name))

    def commit(self, message: str, input_sha256: Mapping[str, str] | None = None) -> Commit:
        """Store all tracked files and make them the last commit; where nothing has changed it stays.

        Raises
        ------
        InputError
            If the disk has no room, or a file cannot be read.
        """
        head = self.head
        self._check_space()
        objects = ObjectStore(self.store)
        try:
            files = {name: objects.put(path) for name, path in tracked_files(self.folder)}
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be stored ({error.strerror}); mend its permissions") from error
        if not files:
            raise InputError(f"{self.folder}: holds no metadata, tables or maps to commit; give the folder of a run")
        if head is not None and head.files == files:
            return head
        parent = None if head is None else head.identity
        when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() // 1000 % 1_000_000:06d}Z"
        commit = Commit(parent, when, " ".join(message.split()), files, dict(input_sha256 or {}))
        commit.write(self.store)
        write_durably(self.store / HEAD, commit.identity + "\n")
        return commit

    def revert(self, wanted: str) -> Commit:
        """Bring all tracked files back to a commit, byte by byte.

        What is not committed yet is committed first, so that nothing is lost.
        """
        target = self.find(wanted)
        now = self.commit(f"before the revert to {target.short}")
        if now != target:
            restore(self.folder, self.store, now, target)
        return target

    def _check_space(self) -> None:
        """Raise where files that have changed may not fit on the disk."""
        known = set() if self.head is None else {(name, c.size) for name, c in self.head.files.items()}
        sizes = [(name, path.stat().st_size) for name, path in tracked_files(self.folder)]
        wanted, free = (
            sum(size for name, size in sizes if (name, size) not in known),
            shutil.disk_usage(self.store).free,
        )
        if wanted > free:
            raise InputError(f"{self.folder}: {wanted / 1e9:.1f} GB to store, {free / 1e9:.1f} GB free; free space")


@contextmanager
def open_history(folder: Path, make: bool = False) -> Iterator[History]:
    """Lock the history of a folder, end what was interrupted in it, and give it.

    Parameters
    ----------
    folder : Path
        Folder of a run or a population.
    make : bool
        Begin a history where there is none.

    Raises
    ------
    InputError
        If there is no such folder or history, or another process is at it.
    """
    store = folder / STORE
    if not folder.is_dir():
        raise InputError(f"history.folder={folder}: is no folder; give that of a run or a population")
    if not store.is_dir():
        if not make:
            raise InputError(f"{folder}: has no history yet; begin one with mlit history and history.message=…")
        try:
            store.mkdir(exist_ok=True)
            sync_folder(folder)
        except OSError as error:
            raise InputError(f"{store}: cannot be made ({error.strerror}); make {folder} writable") from error
    with history_lock(store):
        if is_interrupted(store):
            LOG.info("%s: an interrupted revert is completed", folder)
            finish(folder, store)
        clean(store)
        yield History(folder, store)


def complete_interrupted(folder: Path) -> None:
    """End a revert that was interrupted, before anything else works in a folder."""
    if is_interrupted(folder / STORE):
        with open_history(folder):
            pass


def has_commits(folder: Path) -> bool:
    """Whether a folder has been committed; not so where a run was killed between its results and their commit."""
    return (folder / STORE / HEAD).is_file()


def record_run(folder: Path) -> None:
    """Commit the results of a finished run; where that fails they stay complete, and a warning says why."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        best = [f"{name} {one['resolution_angstrom']:.2f} Å" for name, one in summary["species"].items()]
        with open_history(folder, make=True) as history:
            commit = history.commit(f"results: {', '.join(best)}", summary["input_sha256"])
        LOG.info("committed as %s", commit.short)
    except InputError as error:
        LOG.warning("the results are not in the history: %s", error)
