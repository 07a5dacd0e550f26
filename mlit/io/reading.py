"""Reading the bytes or the text of an input file, with errors a person can act on.

Nothing is read from a file that is larger than its kind ever is: a wrong or hostile file must not fill the
memory. Pipes and devices are refused, since reading them may never end.
"""

from pathlib import Path

from mlit.errors import InputError

MEBIBYTE = 2**20
LARGEST_METADATA = 64 * MEBIBYTE  # an XML of Warp takes 1, a list of angles far less
LARGEST_TABLE = 1024 * MEBIBYTE  # a table of five million particles


def read_bytes(path: Path, kind: str, largest_bytes: int = LARGEST_METADATA) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    path : Path
        File to read.
    kind : str
        What the file is for a person, such as "settings file"; used in messages.
    largest_bytes : int
        A larger file is refused before anything is read.

    Raises
    ------
    InputError
        If the file is absent, a folder, no regular file, empty, too large or unreadable.
    """
    size = file_size(path, kind)
    if not size:
        raise InputError(f"{path}: {kind} is empty; restore or regenerate it")
    if size > largest_bytes:
        raise InputError(
            f"{path}: {kind} has {size / MEBIBYTE:.0f} MiB, more than the {largest_bytes // MEBIBYTE} that one "
            "can have; is it the right file?"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {kind} cannot be read ({_reason(error)}); check its permissions") from error


def read_text(path: Path, kind: str, largest_bytes: int = LARGEST_METADATA) -> str:
    """Return the content of a UTF-8 text file without its byte-order mark; errors as in `read_bytes`.

    Raises
    ------
    InputError
        Also if it is not UTF-8 or holds a NUL character, which no text does.
    """
    content = read_bytes(path, kind, largest_bytes)
    nul = content.find(b"\0")
    if nul >= 0:
        raise InputError(f"{path}: {kind} is not UTF-8 text (byte {nul} is NUL); is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {kind} is not UTF-8 text (byte {error.start}); is it the right file?") from error


def file_size(path: Path, kind: str) -> int:
    """Return the size of a regular file in bytes.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: {kind} not found; check the path") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown_path(path)}: {kind} cannot be read ({_reason(error)}); check the path") from error
    if path.is_dir():
        raise InputError(f"{path}: is a folder, but a {kind} is expected; give the file inside it")
    if not path.is_file():
        raise InputError(f"{path}: is a pipe or device, but a {kind} is expected; give a file")
    return found.st_size


def shown_path(path: Path) -> str:
    """Return a path for a message, cut where it is longer than any real one."""
    text = str(path)
    return text if len(text) <= 400 else f"{text[:400]}…"


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
