"""Identities of M's species and data sources."""

import re

from mlit.errors import InputError

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def checked_guid(text: str, where: str) -> str:
    """Return an identity as it is written.

    Raises
    ------
    InputError
        If it is no GUID, which M would refuse.
    """
    if not _GUID.fullmatch(text.strip()):
        raise InputError(f"{where}: '{text[:40]}' is no GUID (8-4-4-4-12 hexadecimal digits); restore the file")
    return text.strip()


def same_guid(one: str, other: str) -> bool:
    """Whether two GUIDs are the same; case does not count."""
    return one.lower() == other.lower()
