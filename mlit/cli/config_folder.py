"""Where the shipped configs lie, and which groups and options they offer."""

from collections.abc import Iterable
from pathlib import Path

import mlit


def config_folder() -> Path:
    """Return the folder of the shipped configs: inside an installed package, else beside it in a checkout."""
    package = Path(mlit.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def group_options(folders: Iterable[Path], group: str) -> list[str]:
    """Return the names of the options of a config group, over all folders, sorted."""
    return sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})


def option_file(folders: Iterable[Path], group: str, option: str) -> Path | None:
    """Return the file of an option, from the first folder that has it."""
    return next((f for folder in folders if (f := folder / group / f"{option}.yaml").is_file()), None)
