"""What the files of M that are versioned, `.source` and `.species`, have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlit.io.m.guid import checked_guid


@dataclass(frozen=True)
class Versioned:
    """A file with an identity.

    Attributes
    ----------
    path : Path
        Where it was read from, or shall lie.
    guid, name, version, previous_version : str
        Identity, name, and M's hashes of this state and the one before.
    """

    path: Path
    guid: str
    name: str
    version: str
    previous_version: str


def identity(path: Path, params: Mapping[str, str]) -> dict[str, Any]:
    """Return these attributes from the Params of a file.

    Raises
    ------
    InputError
        If the GUID is none.
    """
    return {
        "path": path,
        "guid": checked_guid(params.get("GUID", ""), f"{path}: GUID"),
        "name": params.get("Name", ""),
        "version": params.get("Version", ""),
        "previous_version": params.get("PreviousVersion", ""),
    }
