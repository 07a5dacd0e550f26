"""Reading the bytes or the text of an input file, with errors a person can act on."""

from pathlib import Path

from mlit.errors import InputError


def read_bytes(path: Path, kind: str) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    path : Path
        File to read.
    kind : str
        What the file is for a person, such as "settings file"; used in messages.

    Raises
    ------
    InputError
        If the file is absent, a folder, empty or unreadable.
    """
    if not path.exists():
        raise InputError(f"{path}: {kind} not found; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, but a {kind} is expected; give the file inside it")
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: {kind} cannot be read ({reason}); check its permissions") from error
    if not content:
        raise InputError(f"{path}: {kind} is empty; restore or regenerate it")
    return content


def read_text(path: Path, kind: str) -> str:
    """Return the content of a UTF-8 text file without its byte-order mark; errors as in `read_bytes`."""
    content = read_bytes(path, kind)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {kind} is not UTF-8 text (byte {error.start}); is it the right file?") from error
