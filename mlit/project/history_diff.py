"""What has changed between two commits: files, and how far particles and tilts have moved."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlit.errors import InputError
from mlit.project.history_commit import Commit
from mlit.project.history_moves import Move, particle_moves, tilt_move
from mlit.project.history_store import ObjectStore


@dataclass(frozen=True)
class Difference:
    """The difference of two commits.

    Attributes
    ----------
    files : tuple of str
        Every file that differs: ``+ NAME`` is new, ``- NAME`` gone, ``~ NAME`` has other content.
    particles, tilts : tuple
        File and what has moved in it, one entry for each series.
    not_compared : tuple of str
        Tables and metadata that changed but cannot be compared, with the reason.
    """

    files: tuple[str, ...]
    particles: tuple[tuple[str, Move], ...]
    tilts: tuple[tuple[str, Move], ...]
    not_compared: tuple[str, ...]


def compare(objects: ObjectStore, first: Commit, second: Commit, scratch: Path) -> Difference:
    """Compare two commits.

    Parameters
    ----------
    objects : ObjectStore
        Where their files are.
    first, second : Commit
        Before and after.
    scratch : Path
        A folder that is thrown away: sound copies of both versions are read there, under their own names.

    Raises
    ------
    InputError
        If a content is absent or was tampered with.
    """
    particles: list[tuple[str, Move]] = []
    tilts: list[tuple[str, Move]] = []
    failures: list[str] = []
    names = sorted(first.files.keys() | second.files.keys())
    changed = [name for name in names if first.files.get(name) != second.files.get(name)]
    for name in changed:
        path = PurePosixPath(name)
        if not (name in first.files and name in second.files and (path.suffix == ".xml" or is_particles(path))):
            continue
        places = [scratch / side / name for side in ("a", "b")]
        for place, commit in zip(places, (first, second), strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            objects.copy_out(commit.files[name], place)
        try:
            if path.suffix == ".xml":
                tilts.append((name, tilt_move(path.stem, *places)))
            else:
                particles += [(name, move) for move in particle_moves(*places)]
        except InputError as error:
            failures.append(f"{name}: {error}")
    return Difference(
        tuple(f"{_mark(name, first, second)} {name}" for name in changed),
        tuple(particles),
        tuple(tilts),
        tuple(failures),
    )


def is_particles(path: PurePosixPath) -> bool:
    """Whether a file is a particle table, by its name: ``particles.star`` of mlit, ``NAME_particles.star`` of M."""
    return path.suffix == ".star" and "particles" in path.stem


def _mark(name: str, first: Commit, second: Commit) -> str:
    return "+" if name not in first.files else "-" if name not in second.files else "~"
