"""The six local coordinates of an image."""

import torch

from mlit.deformation.local_coordinates import View, local_cotangent, local_tangent
from mlit.geometry.rotations import matrix_from_rotvec
from tests.brute_force import rotations


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_view():
    return View(random(2, 3, 2), rotations(6).reshape(2, 3, 3, 3), random(2, 3, seed=1), random(3, 28, seed=7))


def test_tangent_matches_finite_differences():
    """A shift, a rotation from the left, a defocus and aberrations come back as they went in."""
    view, local, step = some_view(), random(2, 3, 34, seed=2), 1e-6
    local[..., 6:] = local[:1, :, 6:]  # shared by all particles of a tilt

    def moved(t):
        turn = matrix_from_rotvec(t * local[..., 2:5])
        return View(
            view.xy_angstrom + t * local[..., :2],
            turn @ view.rotation,
            view.defocus_um + t * local[..., 5],
            view.aberrations + t * local[0, :, 6:],
        )

    forward, back = moved(step), moved(-step)
    change = View(*[(getattr(forward, f) - getattr(back, f)) / (2 * step) for f in vars(view)])
    assert torch.allclose(local_tangent(view, change), local, atol=1e-8)


def test_cotangent_is_the_adjoint_of_the_tangent():
    view, pull = some_view(), random(2, 3, 34, seed=3)
    tangent = View(random(2, 3, 2, seed=4), random(2, 3, 3, 3, seed=5), random(2, 3, seed=6), random(3, 28, seed=8))
    forward = (local_tangent(view, tangent) * pull).sum()
    backward = local_cotangent(view, pull)
    total = sum((getattr(backward, f) * getattr(tangent, f)).sum() for f in vars(view))
    assert torch.allclose(forward, torch.as_tensor(total))


def test_cotangent_of_a_function_of_the_rotation():
    """Chaining through the entries of R gives the derivative by the rotation vector."""
    view, weight = some_view(), random(2, 3, 3, 3, seed=7)
    omega = torch.zeros(2, 3, 3, dtype=torch.float64, requires_grad=True)
    ((matrix_from_rotvec(omega) @ view.rotation) * weight).sum().backward()
    gradient = torch.cat([torch.zeros(2, 3, 2), omega.grad, torch.zeros(2, 3, 29)], -1)
    entries = local_cotangent(view, gradient)
    again = torch.zeros(2, 3, 3, dtype=torch.float64, requires_grad=True)
    ((matrix_from_rotvec(again) @ view.rotation) * entries.rotation).sum().backward()
    assert torch.allclose(again.grad, omega.grad)
