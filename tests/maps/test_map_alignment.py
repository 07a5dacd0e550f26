import math

import pytest
import torch

from mlit.geometry.rotations import matrix_from_rotvec, rotvec_from_matrix
from mlit.maps.map_alignment import align_maps
from mlit.maps.mask import spherical_mask
from mlit.maps.rigid_motion import RigidMotion, move_map

N, PIXEL = 64, 4.0
MASK = spherical_mask(N, PIXEL, 190.0, 20.0)


def motion(angle_deg, shift_angstrom, seed):
    generator = torch.Generator().manual_seed(seed)
    axis, direction = torch.randn(2, 3, dtype=torch.float64, generator=generator)
    return RigidMotion(
        matrix_from_rotvec(axis / axis.norm() * math.radians(angle_deg)),
        direction / direction.norm() * shift_angstrom,
    )


def pair(molecule, render, true, noise, seed=0, sigma=3.0):
    """Half maps of one molecule; `true` brings the second back. Noise in units of the density."""
    generator = torch.Generator().manual_seed(seed)
    back = true.inverse()
    first = render(molecule, N, PIXEL, sigma)
    second = render(molecule @ back.rotation.T + back.shift_angstrom, N, PIXEL, sigma)
    level = noise * first[first > 0.1 * first.max()].std()
    return [half + level * torch.randn(half.shape, generator=generator) for half in (first, second)]


def errors(found, true):
    left = found.then(true.inverse())
    return math.degrees(left.angle_rad), float((found.shift_angstrom - true.shift_angstrom).norm())


@pytest.mark.parametrize("seed", [1, 2])
def test_recovers_a_known_motion_from_noisy_maps(molecule, render, seed):
    true = motion(3.0, 4.0, seed)
    first, second = pair(molecule, render, true, noise=0.1)
    result = align_maps(first, second, MASK, PIXEL, 10.0)
    angle, shift = errors(result.motion, true)
    assert angle < 0.05
    assert shift < 0.05
    assert result.converged
    assert result.correlation_after > result.correlation_before + 0.1
    assert result.chi_squared > 1000


@pytest.mark.parametrize("seed", [3, 4])
def test_reaches_the_largest_motion(molecule, render, seed):
    true = motion(8.0, 10.0, seed)
    first, second = pair(molecule, render, true, noise=0.1)
    angle, shift = errors(align_maps(first, second, MASK, PIXEL, 10.0).motion, true)
    assert angle < 0.08
    assert shift < 0.08


def test_moves_the_second_map_onto_the_first(molecule, render):
    true = motion(3.0, 4.0, 8)
    first, second = pair(molecule, render, true, noise=0.0, sigma=6.0)
    result = align_maps(first, second, MASK, PIXEL, 10.0)
    assert (move_map(second, result.motion, PIXEL) - first).abs().max() < 0.01 * first.max()


def test_covariance_tells_the_error(molecule, render):
    true = motion(1.0, 1.0, 5)
    squared = []
    for seed in range(8):
        first, second = pair(molecule, render, true, noise=0.7, seed=seed, sigma=5.0)
        result = align_maps(first, second, MASK, PIXEL, 14.0)
        left = result.motion.then(true.inverse())
        error = torch.cat([rotvec_from_matrix(left.rotation), left.shift_angstrom])
        squared.append(float(error @ torch.linalg.solve(result.covariance, error)) / 6)
    assert 0.5 < sum(squared) / len(squared) < 1.8


def test_noise_alone_yields_no_great_motion():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, N, N, N, generator=generator)
    result = align_maps(first, second, MASK, PIXEL, 16.0)
    assert result.correlation_after < 0.2
    assert torch.isfinite(result.covariance).all()


def test_empty_maps_stay_where_they_are():
    empty = torch.zeros(32, 32, 32)
    result = align_maps(empty, empty, spherical_mask(32, PIXEL, 60.0, 20.0), PIXEL, 16.0)
    torch.testing.assert_close(result.motion.rotation, torch.eye(3, dtype=torch.float64))
    assert not result.converged
