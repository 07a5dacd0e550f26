"""The files of a project of RELION 5."""

from dataclasses import dataclass
from pathlib import Path

from mlit.errors import InputError
from mlit.io.relion5 import optimisation_set as opt
from mlit.io.relion5.names import ProjectFolder, find_project_folder
from mlit.io.relion5.tomograms import read_tomograms


@dataclass(frozen=True)
class RelionFiles:
    """Files of a project.

    Attributes
    ----------
    listed_in : Path
        The file that a person gave: optimisation set, or tomograms.
    folder : ProjectFolder
        Where the names in them lead.
    tomograms, particles : Path
        Compulsory.
    trajectories, mask : Path or None
        Optional.
    half_maps : tuple of Path or None
        References.
    """

    listed_in: Path
    folder: ProjectFolder
    tomograms: Path
    particles: Path
    trajectories: Path | None = None
    half_maps: tuple[Path, Path] | None = None
    mask: Path | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Those that say what the project is."""
        files = (self.listed_in, self.tomograms, self.particles, self.trajectories)
        return tuple(dict.fromkeys(path for path in files if path is not None))


def find_files(
    optimisation_set: Path | str | None = None,
    tomograms: Path | str | None = None,
    particles: Path | str | None = None,
    trajectories: Path | str | None = None,
    folder: Path | str | None = None,
) -> RelionFiles:
    """Find the files of a project; those that are given come before those of the optimisation set.

    Raises
    ------
    InputError
        If tomograms or particles are missing.
    """
    given = None if folder is None else Path(folder)
    if optimisation_set is None:
        if tomograms is None or particles is None:
            raise InputError("give a value for data.optimisation_set=…, or for data.tomograms=… and data.particles=…")
        first = next(iter(read_tomograms(tomograms)))
        found = find_project_folder(Path(tomograms), str(first.text("rlnTomoTiltSeriesStarFile")), given)
        other = None if trajectories is None else Path(trajectories)
        return RelionFiles(Path(tomograms), found, Path(tomograms), Path(particles), other)
    chosen = opt.read_optimisation_set(optimisation_set)
    found = find_project_folder(
        chosen.path, chosen.files.get(opt.TOMOGRAMS, chosen.files.get(opt.PARTICLES, "")), given
    )

    def locate(label: str, own: Path | str | None = None) -> Path | None:
        name = chosen.get(label)
        return Path(own) if own is not None else None if name is None else found.find(name, chosen.path)

    maps = [locate(label) for label in opt.HALF_MAPS]
    return RelionFiles(
        listed_in=chosen.path,
        folder=found,
        tomograms=locate(opt.TOMOGRAMS, tomograms) or Path(chosen[opt.TOMOGRAMS]),
        particles=locate(opt.PARTICLES, particles) or Path(chosen[opt.PARTICLES]),
        trajectories=locate(opt.TRAJECTORIES, trajectories),
        half_maps=None if maps[0] is None or maps[1] is None else (maps[0], maps[1]),
        mask=locate(opt.MASK),
    )
