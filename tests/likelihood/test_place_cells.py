"""Cells of images, and the grid that is fitted to them."""

import torch

from mlit.geometry.tilt_grid import evaluate_tilt_grid
from mlit.likelihood.place_cells import PlaceCells


def test_cells_count_x_fastest_and_hold_at_the_edges():
    cells = PlaceCells(3, 2)
    where = torch.tensor([[[0.0, 0.0], [0.3, 0.1], [1.2, 0.9], [-0.3, 1.0], [0.51, 0.49]]])
    assert (cells.shape, cells.count) == ((4, 2), 8)
    assert cells.of(where).tolist() == [[0, 1, 7, 4, 2]]


def test_basis_is_that_of_the_grid_that_files_hold():
    cells = PlaceCells(4, 3)
    nodes = torch.randn(1, 3, 4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, y = torch.meshgrid((torch.arange(6) + 0.5) / 6, (torch.arange(4) + 0.5) / 4, indexing="xy")
    middle = torch.stack([x, y], -1).reshape(-1, 1, 2).double()
    assert torch.equal(cells.of(middle)[:, 0], torch.arange(24))
    expected = evaluate_tilt_grid(nodes, middle)[:, 0]
    torch.testing.assert_close(cells.basis() @ nodes.reshape(12, 2), expected, rtol=1e-4, atol=1e-5)


def test_one_place_has_no_weights_of_its_own():
    assert PlaceCells().basis().shape == (1, 0)
    assert PlaceCells().of(torch.rand(3, 2, 2)).unique().tolist() == [0]
