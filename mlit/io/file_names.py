"""Names of files and folders that stand in metadata, checked before they touch the file system.

Metadata come from other people and programs. A name that leads elsewhere (`../../x`, `/x`, `C:/x`) must never decide
where mlit writes, and one that no file system takes must be a message, not a crash.
"""

from pathlib import PurePosixPath, PureWindowsPath

from mlit.errors import InputError

_LONGEST_PATH, _LONGEST_PART = 4096, 255


def checked_path(text: str, where: str) -> str:
    """Return a path with forward slashes, as written otherwise.

    It may lead anywhere, since projects keep their movies elsewhere; use it for reading only.

    Parameters
    ----------
    text : str
        The path as it stands in the file.
    where : str
        File and key, the beginning of the error message.

    Raises
    ------
    InputError
        If no file system could hold such a path.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InputError(f"{where} holds control characters, as no path does; correct it")
    path = text.strip().replace("\\", "/")
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in path.split("/"))
    if len(path) > _LONGEST_PATH or longest > _LONGEST_PART:
        raise InputError(f"{where} is '{path[:40]}…', longer than a path can be; correct it")
    return path


def checked_name(text: str, where: str) -> str:
    """Return a path that stays below its own folder, with forward slashes; errors as in `checked_path`.

    Raises
    ------
    InputError
        Also if the path is empty, absolute, or leads up with `..`.
    """
    path = checked_path(text, where)
    plain = PurePosixPath(path)
    if not plain.name or plain.is_absolute() or PureWindowsPath(path).drive or ".." in plain.parts:
        raise InputError(f"{where} is '{path[:80]}', which leads out of its folder; give a name inside it")
    return path
