"""Patches: where they come from, and how they are turned."""

import torch

from mlit.denoising.patches import TURNS, Pairs, PatchStream


def pairs(size=20, offset=(4, 0, -3)):
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(2, size, size, size, generator=generator)
    weight = torch.zeros(size, size, size)
    centre = [size // 2 + o for o in offset]
    weight[tuple(slice(c - 2, c + 2) for c in centre)] = 1.0
    return Pairs(maps, maps + 100, torch.tensor([1, 0]), weight)


def test_turns_are_the_rotations_of_the_cube():
    """24 different ones, none a mirror image: each takes the axes to axes by a matrix of determinant one."""
    cube = torch.arange(27.0).reshape(3, 3, 3)
    assert len({tuple(turn(cube).flatten().tolist()) for turn in TURNS}) == 24
    axis = torch.arange(3.0) - 1
    coordinates = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    for turn in TURNS:
        turned = turn(coordinates)
        matrix = torch.stack([turned[:, 2, 1, 1], turned[:, 1, 2, 1], turned[:, 1, 1, 2]])
        assert float(torch.linalg.det(matrix)) == 1.0


def test_source_target_and_weight_are_cut_and_turned_alike():
    given = pairs()
    for number, patch in enumerate(PatchStream(given, 8, 3, 4, seed=7)):
        for source, target, weight in zip(patch.source, patch.target, patch.weight, strict=True):
            found = []
            for which, (maps, shift) in enumerate(((given.sources, 0), (given.sources, 100))):
                value = (source, target)[which] - shift
                hits = (maps == value[3, 4, 5].round(decimals=9)).nonzero() if which == 0 else None
                found.append(hits)
            assert weight.any(), number
            half, z, y, x = found[0][0].tolist()
            other = given.targets[1 - half, z, y, x]
            assert float(target[3, 4, 5]) == float(other)
            assert float(weight[3, 4, 5]) == float(given.weight[z, y, x])


def test_patches_are_taken_where_the_density_is():
    given = pairs()
    seen = torch.stack([patch.weight.sum((1, 2, 3)) for patch in PatchStream(given, 8, 4, 20, seed=1)])
    assert bool((seen >= 8).all())  # at least an eighth of the 4³ voxels: its centre is one of them


def test_the_same_seed_draws_the_same():
    def first(seed):
        return next(iter(PatchStream(pairs(), 8, 2, 1, seed))).source

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_maps_smaller_than_a_patch_are_padded():
    patch = next(iter(PatchStream(pairs(size=12, offset=(0, 0, 0)), 16, 1, 1, seed=1)))
    assert patch.source.shape == (1, 16, 16, 16)
    assert patch.weight.sum() == 64
