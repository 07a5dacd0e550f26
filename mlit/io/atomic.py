"""Files that appear complete or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlit.errors import InputError


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Give a path beside `path` to write to, and move the file into place when the block ends well.

    A reader, or a run that is killed, never sees half a file. Folders that are missing are made. If the
    block raises, the partial file is removed and what was at `path` before stays.

    Parameters
    ----------
    path : Path or str
        Where the finished file has to be.

    Yields
    ------
    Path
        A path in the same folder; the block has to create the file there.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        os.replace(partial, target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{target}: cannot be written ({reason}); free space or choose another output folder"
        ) from error
    finally:
        if partial.exists():
            partial.unlink()


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
