"""Resolution by direction: correlation of half maps in cones of Fourier space, and a filter that follows it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mlit.fourier.shells import cube_edge, friedel_weights, spectral_power
from mlit.maps.directions import CELLS, angle_between, blocks, cell_axes, even_directions
from mlit.maps.filters import multiply_spectrum
from mlit.maps.fsc import FscCurves, resolution_angstrom, smooth_fsc, without_mask
from mlit.parallel import cores, run_pieces

DIRECTIONS = 100
CONE_RAD = math.radians(20.0)  # where the weight of a coefficient has fallen to half
SMOOTHING_SHELLS = 1.0
SHELLS_AVERAGED = 2 * math.sqrt(math.pi) * SMOOTHING_SHELLS
HIGHEST_DEVIATION = 0.5  # three standard deviations of a correlation by chance; shells with fewer coefficients pass
MOST_PARTS = 8  # threads, each of which has sums of its own
FILTER_WIDTH_RAD = math.radians(8.0)  # of the interpolation between directions that are some 14° apart


@dataclass(frozen=True)
class DirectionalFsc:
    """Correlation of two half maps along evenly spread directions.

    Attributes
    ----------
    directions
        Unit vectors x, y, z over half a sphere.
    curves
        Corrected correlation in the cone about each direction.
    resolution_angstrom
        Where each curve, smoothed, first falls below 0.143.
    chance_angstrom
        Standard deviation of one such resolution where all directions are alike: a spread of this size means
        nothing.
    """

    directions: Float[Tensor, "direction 3"]
    curves: Float[Tensor, "direction shell"]
    resolution_angstrom: Float[Tensor, "direction"]
    chance_angstrom: float

    @property
    def best(self) -> int:
        """Number of the direction with the finest resolution."""
        return int(self.resolution_angstrom.argmin())

    @property
    def worst(self) -> int:
        """Number of the direction with the coarsest resolution."""
        return int(self.resolution_angstrom.argmax())

    @property
    def ratio(self) -> float:
        """Coarsest over finest resolution."""
        return float(self.resolution_angstrom.max() / self.resolution_angstrom.min())


def directional_fsc(
    half1: Float[Tensor, "z y x"],
    half2: Float[Tensor, "z y x"],
    mask: Float[Tensor, "z y x"],
    curves: FscCurves,
    independent_fraction: float,
) -> DirectionalFsc:
    """Correlate masked half maps in soft cones.

    A coefficient counts by cos²(π θ / 4 α), with θ its angle from the direction and α = 20°, and not at all beyond
    40°. What the mask adds is taken from `curves`, shell by shell, as for the whole map.

    Parameters
    ----------
    half1, half2
        Unfiltered half maps.
    mask
        That of `curves`.
    curves
        Of the same maps.
    independent_fraction
        Share of coefficients that are independent of each other, after mask and symmetry.
    """
    n = cube_edge(half1)
    sums = _sums_by_cell(torch.fft.rfftn(half1 * mask), torch.fft.rfftn(half2 * mask), n)
    directions = even_directions(DIRECTIONS)
    angle = angle_between(directions, cell_axes()) * (math.pi / 4 / CONE_RAD)
    weight = angle.clamp(max=math.pi / 2).cos().square()
    cross, first, second, count = (weight @ part for part in sums)
    scale = (first * second).sqrt()
    masked = torch.where(scale > 0, cross / scale.clamp(min=torch.finfo(scale.dtype).tiny), 0.0)
    randomised = curves.randomised.cpu().double()
    corrected = without_mask(masked, randomised, curves.first_corrected_shell)
    independent = count.square() / (weight.square() @ sums[3]).clamp(min=1e-12) * independent_fraction
    deviation = (independent * SHELLS_AVERAGED).clamp(min=1e-12).rsqrt()
    judged = 3 * deviation < HIGHEST_DEVIATION
    smooth = torch.stack([smooth_fsc(curve, SMOOTHING_SHELLS) for curve in corrected])
    smooth = torch.where(judged, smooth, 1.0)
    resolution = [resolution_angstrom(curve, curves.frequency_per_angstrom) for curve in smooth]
    chance = _chance_angstrom(curves, deviation.mean(0))
    return DirectionalFsc(directions, corrected, torch.tensor(resolution, dtype=torch.float64), chance)


def _sums_by_cell(
    first: Complex[Tensor, "z y half"], second: Complex[Tensor, "z y half"], n: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cross product, two powers and number of coefficients of every cell and shell (float64)."""
    parts = min(cores(), MOST_PARTS) if first.device.type == "cpu" else 1
    sums = run_pieces(lambda part: _sums_of_part(first, second, n, part, parts), range(parts), first.device)
    cross, power1, power2, count = torch.stack(sums).sum(0).reshape(4, CELLS, n // 2 + 1)
    return cross, power1, power2, count


def _sums_of_part(
    first: Complex[Tensor, "z y half"], second: Complex[Tensor, "z y half"], n: int, part: int, parts: int
) -> Float[Tensor, "4 bin"]:
    """Work out the sums over some planes, for one of several threads.

    A bin gets few coefficients of a block, so sums over a block are good enough in single precision.
    """
    shells, double = n // 2 + 1, friedel_weights(n, first.device)
    sums = torch.zeros(4, CELLS * shells, dtype=torch.float64)
    for block in blocks(n, first.device, part, parts):
        shell = block.radius.round().long()
        inside = (shell < shells).flatten().nonzero().squeeze(1)
        bin_of = (block.cell * shells + shell).flatten()[inside]
        a, b = first[block.planes], second[block.planes]
        cross = torch.addcmul(a.real * b.real, a.imag, b.imag)
        values = (cross, spectral_power(a), spectral_power(b), torch.ones_like(block.radius))
        for row, value in zip(sums, values, strict=True):
            row += torch.bincount(bin_of, (value * double).flatten()[inside], minlength=CELLS * shells).cpu()
    return sums


def _chance_angstrom(curves: FscCurves, deviation: Float[Tensor, "shell"]) -> float:
    """Error of the resolution of one direction, from the slope of the curve of the whole map where it crosses 0.143."""
    frequency = curves.frequency_per_angstrom
    curve = smooth_fsc(curves.corrected.cpu().double(), SMOOTHING_SHELLS)
    resolution = resolution_angstrom(curve, frequency)
    step = float(frequency[1])
    crossing = min(max(int(1 / resolution / step), 3), len(curve) - 4)
    slope = float(curve[crossing - 2] - curve[crossing + 3]) / (5 * step)
    return float("inf") if slope <= 0 else float(deviation[crossing]) / slope * resolution**2


def filter_by_direction(
    volume: Float[Tensor, "z y x"], weights: Float[Tensor, "shell"], directional: DirectionalFsc
) -> Float[Tensor, "z y x"]:
    """Filter a map along each direction as far as the halves agree there.

    The weights of the whole map are stretched along each direction by the ratio of its resolution to the mean
    one, so that good directions keep detail which the bad ones have not.

    Parameters
    ----------
    volume
        Map to filter.
    weights
        Of each shell, for all directions together.
    directional
        Resolution by direction.
    """
    n = cube_edge(volume)
    closeness = torch.exp(-0.5 * (angle_between(cell_axes(), directional.directions) / FILTER_WIDTH_RAD).square())
    frequency = 1 / directional.resolution_angstrom
    of_cell = (closeness @ frequency) / closeness.sum(1) / frequency.mean()
    curve = torch.cat([weights, weights[-1:]]).to(volume)
    factor = torch.empty((n, n, n // 2 + 1), device=volume.device)
    for block in blocks(n, volume.device):
        radius = (block.radius / of_cell.to(volume)[block.cell]).clamp(max=n // 2)
        lower = radius.long()
        factor[block.planes] = torch.lerp(curve[lower], curve[lower + 1], radius - lower)
    return multiply_spectrum(volume, factor)
