"""Images in bounded memory: each batch is what a cut of all would hold, and only the first is kept."""

import pytest
import torch

from mlit.likelihood.image_batches import ImageBatches


class Cut:
    """Stands for premultiplied images: notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, some):
        self.asked.append(some.tolist())
        return self.asked[-1]


@pytest.mark.parametrize(
    ("at_once", "parts"), [(5, [[0, 1, 2, 3, 4]]), (9, [[0, 1, 2, 3, 4]]), (2, [[0, 1], [2, 3], [4]])]
)
def test_every_pass_goes_through_all_particles_and_keeps_the_first_batch(at_once, parts):
    cut = Cut()
    batches = ImageBatches(cut, torch.ones(5, 3, dtype=torch.bool), at_once)
    assert len(batches) == len(parts)
    for _ in range(2):
        assert [(some.tolist(), images) for some, images in batches] == [(part, part) for part in parts]
    assert cut.asked == parts + parts[1:]


def test_a_series_without_particles_is_one_empty_batch():
    batches = ImageBatches(Cut(), torch.ones(0, 3, dtype=torch.bool), 4)
    assert [(some.tolist(), images) for some, images in batches] == [([], [])]
