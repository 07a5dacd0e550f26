"""One writer at a time for the history of a folder."""

import fcntl
import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlit.errors import InputError

LOCK = "lock"
_GUARD = "lock.guard"
Owner = dict[str, Any]


@contextmanager
def history_lock(store: Path) -> Iterator[None]:
    """Hold the lock of a store inside the block.

    The lock is a file that says who holds it, so that it also works between computers. That of a process of this
    computer that is no longer there is taken over.

    Parameters
    ----------
    store : Path
        The `.mlit` folder; exists.

    Raises
    ------
    InputError
        If another process holds it, with its owner and age.
    """
    path = store / LOCK
    mine = _myself()
    partial = store / f".{LOCK}.{mine['host']}.part"
    try:
        with _guarded(store):
            try:
                partial.write_text(json.dumps(mine), encoding="utf-8")
                _take(path, partial)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); make {store} writable") from error
    try:
        yield
    finally:
        if _read(path).get("token") == mine["token"]:
            path.unlink()


def _take(path: Path, partial: Path) -> None:
    """Put the lock in place, complete from its first moment on: a link fails where a file is."""
    try:
        os.link(partial, path)
    except FileExistsError:
        owner = _read(path)
        if not _is_gone(owner):
            age = time.time() - path.stat().st_mtime
            raise InputError(
                f"{path}: {owner.get('user', 'somebody')} has been writing this history for {age:.0f} s, as process "
                f"{owner.get('pid', '?')} on {owner.get('host', '?')}; wait, or delete this file if that has ended"
            ) from None
        path.unlink()
        os.link(partial, path)


@contextmanager
def _guarded(store: Path) -> Iterator[None]:
    """Let one process of this computer at a time look at the lock: two could take over the same stale one."""
    with (store / _GUARD).open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _myself() -> Owner:
    pid = os.getpid()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = f"user {os.getuid()}"
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "user": user,
        "started": _started(pid),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "token": uuid.uuid4().hex,
    }


def _read(path: Path) -> Owner:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _is_gone(owner: Owner) -> bool:
    """Whether the owner was a process of this computer and has ended, even if another one has its number now."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("pid"), int):
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        pass
    return _started(owner["pid"]) != owner.get("started")


def _started(pid: int) -> str | None:
    """When a process began, in the kernel's units; None where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
