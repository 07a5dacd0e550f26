import math

import torch

from mlit.optics.astigmatism import astigmatism_size_and_angle, astigmatism_vector


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_directions_half_a_turn_apart_are_the_same():
    one, other = (astigmatism_vector(tensor(0.3), tensor(0.4 + turn)) for turn in (0.0, math.pi))
    assert torch.allclose(one, other)
    assert torch.allclose(astigmatism_vector(tensor(0.3), tensor(0.4 + math.pi / 2)), -one)


def test_size_and_angle_come_back_with_a_size_of_zero_or_more():
    vector = tensor([0.1, -0.2], [0.0, 0.0], [-0.3, 0.0])
    size, angle = astigmatism_size_and_angle(vector)
    assert torch.allclose(astigmatism_vector(size, angle), vector)
    assert torch.allclose(size, tensor(math.hypot(0.1, 0.2), 0.0, 0.3))
    assert bool((angle.abs() <= math.pi / 2).all())
