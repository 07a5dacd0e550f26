"""Contents of files under their SHA-256: what is the same is stored once."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.io.atomic import atomic_write

STORE = ".mlit"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    sha256 : str
        Hash of all bytes.
    size : int
        Number of bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class ObjectStore:
    """Contents that are never changed, in ``objects/`` of a `.mlit` folder.

    Attributes
    ----------
    folder : Path
        The `.mlit` folder.
    """

    folder: Path

    def path(self, content: Content) -> Path:
        """Where a content lies, or would."""
        return self.folder / "objects" / content.sha256[:2] / content.sha256[2:]

    def holds(self, content: Content) -> bool:
        """Whether a content of this name and size is there; `copy_out` tells whether it is sound."""
        path = self.path(content)
        return path.is_file() and path.stat().st_size == content.size

    def put(self, file: Path, verify: bool = False) -> Content:
        """Store what a file holds now, and return its hash and size.

        With `verify`, what is there already is read, and stored anew where it is not sound.
        """
        content = hash_file(file)
        if not self.holds(content) or (verify and hash_file(self.path(content)) != content):
            pending = self.folder / "pending"
            content = copy_durably(file, pending)
            target = self.path(content)
            _make_folder(target.parent)
            os.replace(pending, target)
            sync_folder(target.parent)
        return content

    def copy_out(self, content: Content, target: Path) -> None:
        """Copy a content to a path.

        Raises
        ------
        InputError
            If it is absent, or not what its name says.
        """
        source = self.path(content)
        if not source.is_file():
            raise InputError(f"{source}: is missing; bring it back from a copy of this folder")
        if copy_durably(source, target) != content:
            target.unlink()
            raise InputError(f"{source}: was tampered with (its SHA-256 is another); bring it back from a copy")

    def size_bytes(self) -> int:
        """Bytes of all contents."""
        return sum(path.stat().st_size for path in (self.folder / "objects").glob("*/*"))


def hash_file(path: Path) -> Content:
    """Hash and size of a file, read in pieces."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return Content(digest.hexdigest(), size)


def copy_durably(source: Path, target: Path) -> Content:
    """Copy a file to the disk itself, and return what was copied."""
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as stream, target.open("wb") as out:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
                size += len(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise InputError(f"{source}: cannot be copied to {target} ({error.strerror}); free space") from error
    return Content(digest.hexdigest(), size)


def write_durably(path: Path, text: str) -> None:
    """Write a small file so that it is there complete, or not at all, even after a power cut."""
    _make_folder(path.parent)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
