"""Find the small rigid motion between two half maps.

Half sets refined apart drift apart: each map turns and shifts freely with its own poses. Alignment measures
that drift from the maps, so that the poses of one half can be moved back (`rigid_motion.move_poses`).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mlit.fourier.resize import fourier_resize
from mlit.fourier.shells import cube_edge, friedel_weights, shell_index, shell_mean, spectral_power
from mlit.geometry.rotations import matrix_from_rotvec, rotvec_from_matrix
from mlit.maps.fsc import smooth_fsc
from mlit.maps.rigid_motion import RigidMotion, move_map
from mlit.parallel import run_pieces

COARSEST_ANGSTROM = 40.0
USED_FRACTION_OF_NYQUIST = 0.8
LARGEST_TURN_RAD = math.radians(4)
LARGEST_SHIFT_ANGSTROM = 8.0
ROUNDS = 15


@dataclass(frozen=True)
class MapAlignment:
    """Rigid motion that brings the second map onto the first.

    Attributes
    ----------
    motion
        Apply to the second map with `move_map`; the identity where nothing better was found.
    covariance
        Of (rotation vector in rad, shift in Å), from noise through the curvature of the likelihood.
    correlation_before, correlation_after
        Correlation of the masked maps over all coefficients to the limit, every shell normalised.
    converged
        Whether the steps became negligible and the likelihood did not fall.
    """

    motion: RigidMotion
    covariance: Float[Tensor, "6 6"]
    correlation_before: float
    correlation_after: float
    converged: bool

    @property
    def chi_squared(self) -> float:
        """Squared size of the motion in units of its error, about 6 on average where the maps agree already.

        Values above about 22 occur by chance once in a thousand times.
        """
        turn = rotvec_from_matrix(self.motion.rotation)
        vector = torch.cat([turn, self.motion.shift_angstrom])
        return float(vector @ torch.linalg.solve(self.covariance, vector))


@dataclass(frozen=True)
class _Problem:
    """Both maps on a grid just fine enough for the limit, and what does not change with the motion.

    Spectra hold only the coefficients of shells 1 to the limit, each shell scaled to unit power.
    """

    second: Float[Tensor, "z y x"]
    mask: Float[Tensor, "z y x"]
    pixel_size_angstrom: float
    used: Int[Tensor, "coefficient"]
    shell: Int[Tensor, "coefficient"]
    multiplicity: Float[Tensor, "coefficient"]
    fixed: Complex[Tensor, "coefficient"]
    fixed_jacobian: Complex[Tensor, "6 coefficient"]


@dataclass(frozen=True)
class _Step:
    """Log-likelihood around a motion, for a further motion (rotation vector in rad, shift in Å).

    `information` is the variance of the gradient; `curvature`, minus the second derivative, holds only what
    both maps agree on and is smaller where noise fills the mask.
    """

    gradient: Float[Tensor, "6"]
    information: Float[Tensor, "6 6"]
    curvature: Float[Tensor, "6 6"]
    likelihood: float
    correlation: float


def _derivatives(volume: Float[Tensor, "z y x"], pixel_size_angstrom: float) -> list[Tensor]:
    """Change of a map for a further turn about x, y, z (1/rad) and a shift along x, y, z (1/Å)."""
    n = cube_edge(volume)
    full = torch.fft.fftfreq(n, pixel_size_angstrom, device=volume.device)
    half = torch.fft.rfftfreq(n, pixel_size_angstrom, device=volume.device)
    spectrum = 2j * math.pi * torch.fft.rfftn(volume)
    axes = (half, full[:, None], full[:, None, None])
    gx, gy, gz = run_pieces(lambda k: torch.fft.irfftn(spectrum * k, s=(n, n, n)), axes, volume.device)
    x = (torch.arange(n, device=volume.device) - n // 2) * pixel_size_angstrom
    y, z = x[:, None], x[:, None, None]
    return [z * gy - y * gz, x * gz - z * gx, y * gx - x * gy, -gx, -gy, -gz]


def _without_mean(volume: Tensor, mask: Tensor) -> Tensor:
    """Masked map after removal of its mean inside the mask, which would correlate the masks themselves."""
    return mask * (volume - (volume * mask).sum() / mask.sum().clamp(min=1e-6))


def _whitened(
    volume: Tensor, mask: Tensor, pixel_size_angstrom: float, used: Tensor, shell: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the used coefficients of a masked map with unit power in every shell, and their derivatives."""
    n = cube_edge(volume)
    spectrum = torch.fft.rfftn(_without_mean(volume, mask))
    scale = shell_mean(spectral_power(spectrum), n).sqrt()[shell].clamp(min=torch.finfo(volume.dtype).tiny)
    changes = _derivatives(volume, pixel_size_angstrom)
    jacobian = run_pieces(
        lambda change: torch.fft.rfftn(mask * change).reshape(-1)[used] / scale, changes, volume.device
    )
    return spectrum.reshape(-1)[used] / scale, torch.stack(jacobian)


def _pose_problem(
    first: Tensor, second: Tensor, mask: Tensor, pixel_size_angstrom: float, limit_angstrom: float
) -> _Problem:
    n = cube_edge(first)
    wanted = n * pixel_size_angstrom / limit_angstrom
    size = min(n, 2 * math.ceil(wanted / USED_FRACTION_OF_NYQUIST))
    pixel = pixel_size_angstrom * n / size
    first, second, mask = (fourier_resize(volume, size, 3) for volume in (first, second, mask))
    mask = mask.clamp(0, 1)
    index = shell_index(size, 3, first.device).reshape(-1)
    used = ((index >= 1) & (index <= min(math.floor(wanted), size // 2))).nonzero()[:, 0]
    shell = index[used].long()
    multiplicity = friedel_weights(size, first.device).expand(size, size, -1).reshape(-1)[used]
    fixed, jacobian = _whitened(first, mask, pixel, used, shell)
    return _Problem(second, mask, pixel, used, shell, multiplicity, fixed, jacobian)


def _correlation_by_shell(problem: _Problem, model: Tensor) -> tuple[Tensor, float]:
    """Smoothed correlation of every shell between 0 and 0.98, and the mean over coefficients."""
    cross = problem.multiplicity * (problem.fixed * model.conj()).real
    shells = cube_edge(problem.mask) // 2 + 1
    sums, counts = (
        torch.zeros(shells, device=cross.device).index_add(0, problem.shell, values)
        for values in (cross, problem.multiplicity)
    )
    curve = smooth_fsc(sums / counts.clamp(min=1))
    return curve.clamp(0, 0.98), float(sums.sum() / counts.sum())


def _linearise(problem: _Problem, motion: RigidMotion) -> _Step:
    """Gradient and curvature of the likelihood of two noisy copies of one Gaussian signal.

    With whitened A and B of correlation ρ in a shell, the log-likelihood is Σ ρ / (1 − ρ²) Re(A B*) up to a
    constant, and the expected residual A − ρ B vanishes at the true motion. A mask correlates coefficients,
    which makes the information larger by the inverse of its volume fraction.
    With ρ fitted in every shell the log-likelihood is −½ Σ log(1 − ρ²), which compares motions.
    """
    moved = move_map(problem.second, motion, problem.pixel_size_angstrom)
    model, jacobian = _whitened(moved, problem.mask, problem.pixel_size_angstrom, problem.used, problem.shell)
    curve, correlation = _correlation_by_shell(problem, model)
    rho = curve[problem.shell]
    weight = problem.multiplicity * rho / (1 - rho.square())
    weighted = (jacobian * weight).conj()
    gradient = (weighted @ (problem.fixed - rho * model)).real
    information = ((weighted * rho) @ jacobian.T).real / problem.mask.mean().clamp(min=1e-6)
    shared = (weighted @ problem.fixed_jacobian.T).real
    gradient, information, shared = (values.cpu().double() for values in (gradient, information, shared))
    likelihood = -0.5 * float((problem.multiplicity * torch.log1p(-rho.square())).sum())
    return _Step(gradient, information, (shared + shared.T) / 2, likelihood, correlation)


def _usable_curvature(step: _Step, volume_fraction: float) -> Float[Tensor, "6 6"]:
    """Curvature that is positive everywhere and no flatter than a fifth of what one map alone would give.

    Far from the solution the maps do not agree and the shared curvature means nothing. A weak pull (30°,
    60 Å) keeps directions without information at rest.
    """
    pull = torch.tensor([1 / math.radians(30) ** 2] * 3 + [1 / 60.0**2] * 3, dtype=torch.float64)
    largest = torch.linalg.cholesky(step.information * volume_fraction + torch.diag(pull))
    whitened = torch.linalg.solve_triangular(largest, step.curvature, upper=False)
    whitened = torch.linalg.solve_triangular(largest, whitened.T, upper=False)
    values, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    return largest @ (vectors * values.clamp(0.2, 1.0)) @ vectors.T @ largest.T


def _improve(problem: _Problem, motion: RigidMotion) -> tuple[RigidMotion, bool]:
    """Newton steps at one limit, until they are below 0.001° and 0.001 Å or a hundredth of their error."""
    fraction = float(problem.mask.mean())
    for _ in range(ROUNDS):
        step = _linearise(problem, motion)
        curvature = _usable_curvature(step, fraction)
        change = torch.linalg.solve(curvature, step.gradient)
        turn, shift = change[:3], change[3:]
        turn = turn * min(1.0, LARGEST_TURN_RAD / max(float(turn.norm()), 1e-12))
        shift = shift * min(1.0, LARGEST_SHIFT_ANGSTROM / max(float(shift.norm()), 1e-12))
        motion = motion.then(RigidMotion(matrix_from_rotvec(turn), shift))
        tiny = float(turn.norm()) < math.radians(1e-3) and float(shift.norm()) < 1e-3
        if tiny or float(change @ curvature @ change) < 1e-4 * fraction:
            return motion, True
    return motion, False


def _covariance(step: _Step, volume_fraction: float) -> Float[Tensor, "6 6"]:
    """Covariance of the motion where the gradient vanishes: information between two inverse curvatures."""
    inverse = torch.linalg.inv(_usable_curvature(step, volume_fraction))
    return inverse @ step.information @ inverse


def align_maps(
    first: Float[Tensor, "z y x"],
    second: Float[Tensor, "z y x"],
    mask: Float[Tensor, "z y x"],
    pixel_size_angstrom: float,
    limit_angstrom: float,
) -> MapAlignment:
    """Rigid motion that brings the second map onto the first, to a small fraction of a voxel.

    Newton steps on the Fourier coefficients of the masked maps, from 40 Å by halves to the limit. Shells are
    weighted by the correlation that they have at the time, so noise and, at the start, high frequencies
    count for nothing. Meant for motions up to about 8° and 10 Å.

    Parameters
    ----------
    first, second
        Unfiltered cubic half maps of one grid.
    mask
        0 to 1, wide enough for the second map before it is moved.
    pixel_size_angstrom
        Of the maps.
    limit_angstrom
        Finest resolution in use; the resolution of the maps or somewhat coarser.
    """
    limits = [COARSEST_ANGSTROM / 2**k for k in range(8)]
    limits = [limit for limit in limits if limit > 1.3 * limit_angstrom]
    motion, converged = RigidMotion.identity(), False
    for limit in [*limits, limit_angstrom]:
        problem = _pose_problem(first, second, mask, pixel_size_angstrom, max(limit, 2 * pixel_size_angstrom))
        motion, converged = _improve(problem, motion)
    start, final = _linearise(problem, RigidMotion.identity()), _linearise(problem, motion)
    if final.likelihood < start.likelihood:
        motion, final, converged = RigidMotion.identity(), start, False
    return MapAlignment(
        motion=motion,
        covariance=_covariance(final, float(problem.mask.mean())),
        correlation_before=start.correlation,
        correlation_after=final.correlation,
        converged=converged and final.likelihood > 0,
    )
