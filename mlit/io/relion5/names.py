"""File names in RELION's STAR files, which count from the folder that RELION was started in."""

from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError


@dataclass(frozen=True)
class ProjectFolder:
    """Finds the files that the STAR files of a project name.

    Attributes
    ----------
    path : Path
        Folder in which RELION was started.
    """

    path: Path

    def find(self, name: str, named_in: Path) -> Path:
        """Return the path of a file that a STAR file names; that where it should be, if it is nowhere.

        Projects get moved, and copied in part: what is not in the project folder is looked for beside the file that
        names it, by the last parts of its name.
        """
        written = Path(name.strip().replace("\\", "/"))
        expected = self.path / written
        parts = written.parts
        beside = [named_in.parent.joinpath(*parts[i:]) for i in range(len(parts)) if parts[i] != written.anchor]
        return next((path for path in (expected, *beside) if path.exists()), expected)


def find_project_folder(named_in: Path, name: str, given: Path | None = None) -> ProjectFolder:
    """Return the folder from which a name in a STAR file leads to a file.

    Parameters
    ----------
    named_in : Path
        The STAR file.
    name : str
        A file that it names.
    given : Path, optional
        The folder, where a person says so.

    Raises
    ------
    InputError
        If the folder that is given does not exist.
    """
    if given is not None:
        if not given.is_dir():
            raise InputError(f"data.folder={given}: is not a folder; give the one that RELION is started in")
        return ProjectFolder(given)
    folders = [*named_in.absolute().parents, Path.cwd()]
    return ProjectFolder(next((folder for folder in folders if (folder / name).is_file()), Path.cwd()))


def split_image_name(name: str) -> tuple[int | None, str]:
    """Return section (from 0) and file of an image name such as ``000001@stack.mrcs``; no section: the whole file.

    Raises
    ------
    ValueError
        If the section is no whole number above zero.
    """
    number, at, file = name.strip().partition("@")
    if not at:
        return None, number
    if not number.isdigit() or int(number) < 1:
        raise ValueError(f"{name} does not begin with a section from 1 on")
    return int(number) - 1, file
