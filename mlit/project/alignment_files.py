"""The alignment files of a series in a folder, by the names that IMOD, AreTomo and WarpTools give them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlit.errors import InputError
from mlit.io.aretomo.alignment import read_alignment
from mlit.io.imod.angles import read_angles
from mlit.io.imod.local_alignment import read_local_alignment
from mlit.io.imod.tilt_command import TiltCommand, read_tilt_command
from mlit.io.imod.transforms import read_transforms
from mlit.project.aretomo_alignment import AreTomoSeries
from mlit.project.external_alignment import ExternalAlignment
from mlit.project.imod_alignment import ImodAlignment

_CUT_TOLERANCE_DEG = 0.2
_ANGLE_TOLERANCE_DEG = 2.0


@dataclass(frozen=True)
class SeriesAlignment:
    """What was found for one series.

    Attributes
    ----------
    path : Path
        The file that it comes from.
    alignment : ExternalAlignment
        Of the aligned tilts.
    aligned : ndarray of bool, "tilt"
        Tilts of the series that the file holds.
    use_tilt : ndarray of bool, "tilt"
        Those that shall be used: aligned, not excluded by the program, and not switched off before.
    thickness_px : float or None
        Of the sample, where a file says so.
    """

    path: Path
    alignment: ExternalAlignment
    aligned: np.ndarray
    use_tilt: np.ndarray
    thickness_px: float | None = None


def find_alignment(
    folder: Path, name: str, angle_deg: np.ndarray, use_tilt: np.ndarray, image_size_px: tuple[float, float]
) -> SeriesAlignment:
    """Read the alignment of a series.

    A `.aln` of AreTomo comes before a `.xf`, which has fewer digits and no local part.

    Parameters
    ----------
    folder : Path
        Where alignments lie, in it or in folders named after the series.
    name : str
        The series.
    angle_deg, use_tilt : ndarray, "tilt"
        Of the series as it is.
    image_size_px : tuple of float
        Of the raw images, in pixels of the stack that was aligned.

    Raises
    ------
    InputError
        If there is none, a file is damaged, or it is of other tilts.
    """
    aln = _first(folder, name, ".aln")
    if aln is not None:
        return _aretomo(aln, angle_deg, use_tilt, image_size_px)
    xf = _first(folder, name, ".xf")
    if xf is None:
        raise InputError(f"{folder}: has neither {name}.xf nor {name}.aln, nor a folder of the series with one")
    return _imod(xf, folder, name, angle_deg, use_tilt, image_size_px)


def _first(folder: Path, name: str, ending: str) -> Path | None:
    folders = (folder, folder / name, folder / f"{name}_Imod", folder / f"{name}_aligned_Imod")
    stems = (name, f"{name}_st", f"{name}.mrc", f"{name}.st")
    return next((f / f"{stem}{ending}" for f in folders for stem in stems if (f / f"{stem}{ending}").is_file()), None)


def _imod(
    xf: Path, folder: Path, name: str, angle_deg: np.ndarray, use_tilt: np.ndarray, size_px: tuple[float, float]
) -> SeriesAlignment:
    transforms = read_transforms(xf)
    if transforms.is_rounded:
        transforms = transforms.as_rotations()
    count = len(transforms)
    aligned = _matching(count, _without_cut_views(_first(folder, name, "_cutviews0.rawtlt"), angle_deg, use_tilt), xf)
    command = _tilt_command(xf)
    angles = _angles(_first(folder, name, ".tlt"), count)
    xtilt = _angles(_first(folder, name, ".xtilt"), count)
    local_path = _local_path(xf, name, command)
    full_size = None if command is None else command.numbers("FULLIMAGE", 2)
    thickness = None if command is None else command.numbers("THICKNESS", 1)
    alignment = ImodAlignment(
        transforms=transforms,
        angle_deg=angle_deg[aligned] if angles is None or not angles.any() else angles,
        xtilt_deg=np.zeros(count) if xtilt is None else xtilt,
        local=None if local_path is None else read_local_alignment(local_path, count),
        aligned_size_px=size_px if full_size is None else (full_size[0], full_size[1]),
    )
    included = np.ones(count, dtype=bool)
    included[[view - 1 for view in (command.excluded_views() if command else ()) if view <= count]] = False
    use = np.zeros_like(aligned)
    use[aligned] = use_tilt[aligned] & included
    return SeriesAlignment(xf, alignment, aligned, use, None if thickness is None else thickness[0])


def _aretomo(path: Path, angle_deg: np.ndarray, use_tilt: np.ndarray, size_px: tuple[float, float]) -> SeriesAlignment:
    found = read_alignment(path)
    raw_angle = found.angle_deg - found.angle_offset_deg
    aligned = use_tilt
    if found.tilts + len(found.dark_angles_deg) == len(angle_deg):
        aligned = np.ones(len(angle_deg), dtype=bool)
        for dark in found.dark_angles_deg:
            aligned[np.abs(np.where(aligned, angle_deg, np.inf) - dark).argmin()] = False
    aligned = _matching(found.tilts, aligned, path)
    order = np.empty(found.tilts, dtype=np.int64)
    order[np.argsort(angle_deg[aligned], kind="stable")] = np.argsort(raw_angle, kind="stable")
    _check_angles(raw_angle[order], angle_deg[aligned], path)
    alignment = AreTomoSeries(found.of_tilts(order), size_px)
    return SeriesAlignment(path, alignment, aligned, use_tilt & aligned, found.thickness_px)


def _matching(count: int, candidates: np.ndarray, path: Path) -> np.ndarray:
    """Return which tilts an alignment of `count` tilts is of: all, or the candidates."""
    if count == len(candidates):
        return np.ones_like(candidates)
    if count == candidates.sum():
        return candidates
    raise InputError(
        f"{path}: aligns {count} tilts, but the series has {len(candidates)}, {candidates.sum()} of them in use; "
        "align it again or correct UseTilt"
    )


def _without_cut_views(path: Path | None, angle_deg: np.ndarray, use_tilt: np.ndarray) -> np.ndarray:
    """Take out the tilts that IMOD cut from the stack, known by their angles."""
    if path is None:
        return use_tilt
    cut = read_angles(path, "list of cut views")
    return use_tilt & ~(np.abs(angle_deg[:, None] - cut) < _CUT_TOLERANCE_DEG).any(1)


def _angles(path: Path | None, count: int) -> np.ndarray | None:
    if path is None:
        return None
    angles = read_angles(path)
    if len(angles) != count:
        raise InputError(f"{path}: has {len(angles)} angles, but {count} tilts are aligned; copy the file that fits")
    return angles


def _tilt_command(xf: Path) -> TiltCommand | None:
    path = xf.parent / "tilt.com"
    return read_tilt_command(path) if path.is_file() else None


def _local_path(xf: Path, name: str, command: TiltCommand | None) -> Path | None:
    """Return the local alignment: the one that `tilt.com` names, or the only one of the series."""
    named = None if command is None else command.file_name("LOCALFILE")
    if named is not None:
        path = xf.parent / Path(named).name
        if not path.is_file():
            raise InputError(f"{path}: local alignment that tilt.com names is not there; copy it or remove LOCALFILE")
        return path
    path = xf.parent / f"{name}local.xf"
    return path if path.is_file() else None


def _check_angles(aligned: np.ndarray, known: np.ndarray, path: Path) -> None:
    away = np.abs(aligned - known - np.median(aligned - known))
    if away.max() > _ANGLE_TOLERANCE_DEG:
        tilt = int(away.argmax())
        raise InputError(
            f"{path}: the tilt at {aligned[tilt]:g}° stands where the series has {known[tilt]:g}°; "
            "is it of other tilts?"
        )
