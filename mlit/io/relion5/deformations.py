"""Deformations of the image that RELION stores with a tilt series.

A point that projects to the pixel p (x, y from 0) appears at p + d(p). RELION has three kinds of d, all in pixels:

linear
    (a x', b x' + c y') with (x', y') from the middle of the image; three coefficients.
Fourier
    Waves cos and sin of half periods over the image, for each axis of d.
spline
    Bicubic Hermite patches between grid points, with value, slopes and twist at each; the value at the rim goes on
    outside.
"""

from dataclasses import dataclass, field

import numpy as np

from mlit.errors import InputError

GRID_COLUMNS = ("rlnTomoDeformationGridSizeX", "rlnTomoDeformationGridSizeY")
KIND_COLUMN = "rlnTomoDeformationType"
COEFFICIENT_COLUMN = "rlnTomoDeformationCoefficients"
DEFORMATION_COLUMNS = (*GRID_COLUMNS, KIND_COLUMN, COEFFICIENT_COLUMN)


@dataclass(frozen=True)
class Deformation:
    """Deformation of every tilt of a series.

    Attributes
    ----------
    kind : str
        linear, Fourier or spline.
    grid : tuple of int
        Along x and y; without meaning for the linear kind.
    image_size_px : tuple of int
        x and y.
    coefficients : ndarray "tilt coefficient"
        As in the file.
    """

    kind: str
    grid: tuple[int, int]
    image_size_px: tuple[int, int]
    coefficients: np.ndarray = field(repr=False)

    def check(self, where: str) -> None:
        """Raise `InputError` for an unknown kind or another number of coefficients than the kind has."""
        if self.kind not in ("linear", "Fourier", "spline"):
            raise InputError(f"{where}: {KIND_COLUMN} is '{self.kind}'; linear, Fourier and spline are known")
        if self.kind == "spline" and min(self.grid) < 2:
            raise InputError(f"{where}: a spline deformation needs at least 2 × 2 grid points, not {self.grid}")
        expected = {
            "linear": 3,
            "Fourier": 4 * len(self._frequencies()),
            "spline": 8 * self.grid[0] * self.grid[1],
        }[self.kind]
        if self.coefficients.shape[1] != expected:
            raise InputError(
                f"{where}: {COEFFICIENT_COLUMN} has {self.coefficients.shape[1]} numbers, but a deformation of kind "
                f"{self.kind} on {self.grid[0]} × {self.grid[1]} has {expected}; was its kind changed?"
            )

    def at(self, pixel: np.ndarray) -> np.ndarray:
        """Displacement of points in every tilt.

        Parameters
        ----------
        pixel : ndarray "point 2"
            x, y.

        Returns
        -------
        ndarray "tilt point 2"
            In pixels.
        """
        return {"linear": self._linear, "Fourier": self._fourier, "spline": self._spline}[self.kind](pixel)

    def _linear(self, pixel: np.ndarray) -> np.ndarray:
        x, y = (pixel - np.array(self.image_size_px) / 2).T
        a, b, c = self.coefficients.T[:, :, None]
        return np.stack([a * x, b * x + c * y], axis=-1)

    def _frequencies(self) -> np.ndarray:
        """Waves in radians over the image, "wave 2": a half plane without the constant."""
        across, down = self.grid
        rows = [(y if y < down // 2 else y - down) for y in range(down)]
        waves = [(x, y) for y in rows for x in range(across // 2 + 1) if x > 0 or y > 0]
        return np.pi * np.array(waves, dtype=np.float64).reshape(-1, 2)

    def _fourier(self, pixel: np.ndarray) -> np.ndarray:
        phase = (pixel / np.array(self.image_size_px)) @ self._frequencies().T
        basis = np.stack([np.cos(phase), np.sin(phase)], axis=-1).reshape(len(pixel), -1)
        factors = self.coefficients.reshape(len(self.coefficients), 2, -1)
        return np.einsum("pw,taw->tpa", basis, factors)

    def _spline(self, pixel: np.ndarray) -> np.ndarray:
        across, down = self.grid
        factors = self.coefficients.reshape(len(self.coefficients), 2, down, across, 4)
        value_x, slope_x = _hermite(pixel[:, 0] / self.image_size_px[0], across)
        value_y, slope_y = _hermite(pixel[:, 1] / self.image_size_px[1], down)
        parts = ((value_x, value_y), (slope_x, value_y), (value_x, slope_y), (slope_x, slope_y))
        return sum(
            (np.einsum("px,py,tayx->tpa", x, y, factors[..., i]) for i, (x, y) in enumerate(parts)),
            np.zeros((len(factors), len(pixel), 2)),
        )


def _hermite(fraction: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of values and of slopes at the nodes of a cubic Hermite curve, each "point node"."""
    place = np.clip(fraction * (nodes - 1), 0, nodes - 1)
    cell = np.minimum(place.astype(np.int64), nodes - 2)
    u = place - cell
    values, slopes = np.zeros((len(u), nodes)), np.zeros((len(u), nodes))
    point = np.arange(len(u))
    values[point, cell + 1] = 3 * u**2 - 2 * u**3
    values[point, cell] = 1 - values[point, cell + 1]
    slopes[point, cell] = u - 2 * u**2 + u**3
    slopes[point, cell + 1] = u**3 - u**2
    return values, slopes
