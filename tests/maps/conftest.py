"""Synthetic density for the tests of maps."""

import pytest
import torch


def blobs(points, n, pixel_size, sigma=6.0):
    """Sum of Gaussians at points (x, y, z in Å from index n // 2)."""
    axis = (torch.arange(n, dtype=torch.float64) - n // 2) * pixel_size
    x, y, z = (torch.exp(-(axis - points[:, i, None]).square() / 2 / sigma**2) for i in range(3))
    return torch.einsum("pz,py,px->zyx", z, y, x).float()


@pytest.fixture
def molecule():
    """Points of an irregular compact molecule of about 150 Å."""
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(400, 3, generator=generator, dtype=torch.float64)
    points = points / points.norm(dim=1, keepdim=True) * torch.rand(400, 1, generator=generator).double() ** 0.4
    return points * torch.tensor([70.0, 55.0, 40.0], dtype=torch.float64) + torch.tensor([5.0, -8.0, 3.0])


@pytest.fixture
def render():
    return blobs
