"""The network and its tiles."""

import pytest
import torch

from mlit.denoising.network import ResidualUNet
from mlit.denoising.tiling import correct


def awake(width, depth):
    """A network that changes its input."""
    torch.manual_seed(2)
    network = ResidualUNet(width, depth)
    for layer in (network.head, *network.up):
        torch.nn.init.normal_(layer.weight)
    return network


@pytest.mark.parametrize(("width", "depth"), [(4, 0), (4, 1), (3, 2)])
def test_output_has_the_shape_of_the_input(width, depth):
    network = awake(width, depth)
    assert network(torch.randn(2, 16, 24, 8)).shape == (2, 16, 24, 8)
    assert correct(network, torch.randn(2, 13, 22, 9)).shape == (2, 13, 22, 9)


def test_untrained_network_corrects_nothing():
    assert not ResidualUNet(4, 1)(torch.randn(1, 16, 16, 16)).any()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_reach_covers_everything_that_a_value_depends_on(depth):
    """Change one voxel, and see how far the output changes."""
    network, size = awake(3, depth), 24 * (2 << depth)
    volume = torch.zeros(2, size, 16, 16)
    places = torch.arange(size // 2 - network.stride, size // 2)
    widest = 0
    for place in places.tolist():
        volume[1].zero_()
        volume[1, place, 8, 8] = 1.0
        with torch.no_grad():
            first, second = network(volume)
        changed = (first - second).abs().amax((1, 2)).nonzero().flatten()
        widest = max(widest, place - int(changed[0]), int(changed[-1]) - place)
    assert widest <= network.reach < 1.6 * widest


def test_tiles_leave_no_seams():
    network, volume = awake(4, 1), torch.randn(2, 67, 30, 41)
    whole = correct(network, volume, 96)
    torch.testing.assert_close(correct(network, volume, 18), whole, rtol=0, atol=1e-5 * float(whole.abs().max()))
