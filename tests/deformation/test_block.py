"""The contract of parameter blocks, checked on every block there is."""

import torch

from mlit.deformation.block import per_tilt_columns


def test_columns_of_a_tilt_are_its_own():
    columns = per_tilt_columns(4, 3)
    assert columns.shape == (4, 3)
    assert torch.equal(columns.flatten().sort().values, torch.arange(12))
    assert torch.equal(columns[2], torch.tensor([6, 7, 8]))
