"""Columns of RELION's particle tables (3.0 to 5), also as Warp exports them.

Positions come in one of two ways: `rlnCoordinate*` in pixels from the corner of the tomogram, or
`rlnCenteredCoordinate*Angst` in Å from its centre (RELION 5). `rlnOrigin*` is subtracted from both. The
pixel of `rlnCoordinate*` is that of the tilt series in files of RELION, and that of the exported images in
files of Warp, which name the series with the extension `.tomostar` (checked against what M made of one).
With `rlnTomoSubtomogram*` angles, offset and orientation are first turned by the subtomogram's matrix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from mlit.errors import InputError
from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler
from mlit.io.series_names import series_key
from mlit.io.star import column_numbers

POSE_COLUMNS = (
    *(f"rlnCoordinate{axis}" for axis in "XYZ"),
    *(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"),
    *(f"rlnOrigin{axis}Angst" for axis in "XYZ"),
    *(f"rlnOrigin{axis}" for axis in "XYZ"),
    *(f"rlnAngle{angle}" for angle in ("Rot", "Tilt", "Psi")),
    *(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi")),
    "rlnRandomSubset",
)
_PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class RelionScale:
    """What a particle table of RELION leaves to the project.

    Attributes
    ----------
    pixel_sizes_angstrom : tuple of float
        Pixel sizes of the tilt series that are right: unbinned first, then binned. Empty: not known.
    coordinate_pixel_size_angstrom : float or None
        Pixel of `rlnCoordinate*` if a person says so; overrides the file.
    volume_size_angstrom : sequence of 3 floats, optional
        Volume x, y, z; for coordinates that count from its centre.
    series_volume_size_angstrom : mapping
        The same for single series, by key; overrides `volume_size_angstrom`.
    """

    pixel_sizes_angstrom: tuple[float, ...] = ()
    coordinate_pixel_size_angstrom: float | None = None
    volume_size_angstrom: Sequence[float] | None = None
    series_volume_size_angstrom: Mapping[str, Sequence[float]] = field(default_factory=dict)


def is_relion_table(table: pd.DataFrame) -> bool:
    """Whether a table has one of RELION's two kinds of coordinates."""
    return "rlnCoordinateX" in table.columns or "rlnCenteredCoordinateXAngst" in table.columns


def relion_names(table: pd.DataFrame, where: str) -> pd.Series:
    """Return the column that names the series."""
    for column in ("rlnTomoName", "rlnMicrographName"):
        if column in table.columns:
            return pd.Series(table[column])
    raise InputError(f"{where}: has neither rlnTomoName nor rlnMicrographName; add the series of each particle")


def relion_poses(
    table: pd.DataFrame, optics: pd.DataFrame | None, scale: RelionScale, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in Å from the volume's corner and Euler angles in degrees, "particle 1 3".

    Parameters
    ----------
    table, optics : DataFrame
        Blocks of the file as text; `optics` may be absent.
    scale : RelionScale
        What the project knows.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        If columns are missing or wrong, a pixel size contradicts the project, or the size of a volume that
        is needed is not known.
    """
    pixels = _OpticsPixels(table, optics, where)
    pixels.check(scale.pixel_sizes_angstrom)
    position = _positions(table, pixels, scale, where)
    subtomogram = _subtomogram_matrices(table, where)
    euler = _triple(table, "rlnAngle{}", ("Rot", "Tilt", "Psi"), where)
    if euler is None and subtomogram is None:
        raise InputError(f"{where}: has no orientations; add rlnAngleRot, rlnAngleTilt and rlnAnglePsi")
    if euler is None:
        euler = np.zeros_like(position)
    offset = _offsets(table, pixels, where)
    if subtomogram is not None:
        own = matrix_from_euler(torch.deg2rad(torch.from_numpy(euler))).numpy()
        offset = np.einsum("pij,pj->pi", subtomogram, offset)
        combined = torch.from_numpy(subtomogram @ own)
        euler = torch.rad2deg(euler_from_matrix(combined)).numpy()
    return (position - offset)[:, None], euler[:, None]


class _OpticsPixels:
    """Pixel sizes of each particle, from its optics group or its own row."""

    def __init__(self, table: pd.DataFrame, optics: pd.DataFrame | None, where: str) -> None:
        self.table, self.optics, self.where = table, optics, where
        self.group = self._groups()

    def _groups(self) -> np.ndarray | None:
        """Row of the optics table for each particle."""
        if self.optics is None or "rlnOpticsGroup" not in self.optics.columns:
            return None
        if "rlnOpticsGroup" not in self.table.columns:
            return np.zeros(len(self.table), dtype=np.int64) if len(self.optics) == 1 else None
        rows = {str(name): index for index, name in enumerate(self.optics["rlnOpticsGroup"])}
        group = [rows.get(str(name), -1) for name in self.table["rlnOpticsGroup"]]
        if -1 in group:
            row = group.index(-1)
            name = self.table["rlnOpticsGroup"].iloc[row]
            raise InputError(f"{self.where}: row {row + 1}: optics group {name} is not in data_optics; add it")
        return np.array(group, dtype=np.int64)

    def column(self, name: str) -> np.ndarray | None:
        """Value of each particle of a column of the particle or the optics table, if there is one."""
        if name in self.table.columns:
            return column_numbers(self.table, name, self.where)
        if self.group is not None and self.optics is not None and name in self.optics.columns:
            return column_numbers(self.optics, name, f"{self.where}: data_optics")[self.group]
        return None

    def first(self, names: tuple[str, ...]) -> np.ndarray | None:
        """Return the first column that is there; it must be above zero everywhere."""
        for name in names:
            values = self.column(name)
            if values is None:
                continue
            if (values <= 0).any():
                row = int(np.flatnonzero(values <= 0)[0])
                raise InputError(
                    f"{self.where}: row {row + 1}: {name} is {values[row]:g}; a pixel size must be above zero"
                )
            return values
        return None

    def image(self) -> np.ndarray | None:
        """Å per pixel of the particle images."""
        plain = self.first(("rlnImagePixelSize", "rlnPixelSize"))
        detector, magnification = self.first(("rlnDetectorPixelSize",)), self.first(("rlnMagnification",))
        if plain is not None or detector is None or magnification is None:
            return plain
        return detector * 1e4 / magnification

    def check(self, allowed: tuple[float, ...]) -> None:
        """Compare the pixel of the tilt series with the project's."""
        values = self.first(("rlnTomoTiltSeriesPixelSize",))
        if values is None or not allowed:
            return
        fits = np.any([np.isclose(values, size, rtol=_PIXEL_TOLERANCE, atol=0) for size in allowed], axis=0)
        if not fits.all():
            row = int(np.flatnonzero(~fits)[0])
            raise InputError(
                f"{self.where}: row {row + 1}: rlnTomoTiltSeriesPixelSize is {values[row]:g} Å "
                f"but the settings say PixelSize {allowed[0]:g} Å; correct the wrong one"
            )


def _positions(table: pd.DataFrame, pixels: _OpticsPixels, scale: RelionScale, where: str) -> np.ndarray:
    """Positions without offsets, Å from the corner, "particle 3"."""
    centred = _triple(table, "rlnCenteredCoordinate{}Angst", ("X", "Y", "Z"), where)
    if centred is not None:
        return centred + _volume_sizes(relion_names(table, where), scale, where) / 2
    coordinate = _triple(table, "rlnCoordinate{}", ("X", "Y", "Z"), where)
    if coordinate is None:
        raise InputError(f"{where}: has no coordinates; add rlnCoordinateX, rlnCoordinateY and rlnCoordinateZ")
    if len(coordinate) > 2 and coordinate.min() >= 0 and coordinate.max() <= 1:
        raise InputError(
            f"{where}: all rlnCoordinate values lie between 0 and 1, as fractions of the volume do; "
            "multiply them by its size in pixels"
        )
    return coordinate * _coordinate_pixel(table, pixels, scale, where)[:, None]


def _coordinate_pixel(table: pd.DataFrame, pixels: _OpticsPixels, scale: RelionScale, where: str) -> np.ndarray:
    """Å per unit of rlnCoordinate of each particle."""
    if scale.coordinate_pixel_size_angstrom is not None:
        return np.full(len(table), scale.coordinate_pixel_size_angstrom)
    tilt_series, image = pixels.first(("rlnTomoTiltSeriesPixelSize",)), pixels.image()
    names = relion_names(table, where)
    from_warp = np.array([str(name).lower().endswith(".tomostar") for name in names], dtype=bool)
    project = np.full(len(table), scale.pixel_sizes_angstrom[0]) if scale.pixel_sizes_angstrom else None
    of_warp = _first_known(image, tilt_series, project)
    of_relion = _first_known(tilt_series, image, project)
    if of_warp is None or of_relion is None:
        raise InputError(f"{where}: does not say the pixel size of its coordinates; add rlnImagePixelSize")
    return np.where(from_warp, of_warp, of_relion)


def _first_known(*candidates: np.ndarray | None) -> np.ndarray | None:
    return next((candidate for candidate in candidates if candidate is not None), None)


def _volume_sizes(names: pd.Series, scale: RelionScale, where: str) -> np.ndarray:
    sizes = []
    for row, name in enumerate(names):
        size = scale.series_volume_size_angstrom.get(series_key(str(name)), scale.volume_size_angstrom)
        if size is None:
            raise InputError(
                f"{where}: row {row + 1}: coordinates count from the centre of the volume of {name}, "
                "whose size is not known; give the project's settings or tomograms file"
            )
        sizes.append(tuple(size))
    return np.array(sizes, dtype=np.float64).reshape(-1, 3)


def _offsets(table: pd.DataFrame, pixels: _OpticsPixels, where: str) -> np.ndarray:
    """Refined offsets in Å, to be subtracted, "particle 3"."""
    angstrom = _triple(table, "rlnOrigin{}Angst", ("X", "Y", "Z"), where)
    if angstrom is not None:
        return angstrom
    in_pixels = _triple(table, "rlnOrigin{}", ("X", "Y", "Z"), where)
    if in_pixels is None:
        return np.zeros((len(table), 3))
    pixel = pixels.image()
    if pixel is None:
        raise InputError(f"{where}: rlnOriginX is in pixels but no rlnImagePixelSize says how large they are; add it")
    return in_pixels * pixel[:, None]


def _subtomogram_matrices(table: pd.DataFrame, where: str) -> np.ndarray | None:
    euler = _triple(table, "rlnTomoSubtomogram{}", ("Rot", "Tilt", "Psi"), where)
    return None if euler is None else matrix_from_euler(torch.deg2rad(torch.from_numpy(euler))).numpy()


def _triple(table: pd.DataFrame, pattern: str, parts: tuple[str, ...], where: str) -> np.ndarray | None:
    """Three columns as float64 "particle 3"; None if the first is absent."""
    if pattern.format(parts[0]) not in table.columns:
        return None
    return np.stack([column_numbers(table, pattern.format(part), where) for part in parts], axis=1)
