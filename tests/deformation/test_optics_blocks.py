"""Blocks that change the optics: what they share, and what is particular to each."""

import dataclasses
import math

import pytest
import torch

from mlit.deformation.imaging import Imaging
from mlit.deformation.local_coordinates import Coordinate, aberrations
from mlit.deformation.odd_aberrations import OddAberrations
from mlit.deformation.registry import make_blocks
from mlit.errors import InputError
from mlit.optics.ctf import Optics

TILTS = 4
OPTIONS = {
    "astigmatism": {"prior_um": 0.05},
    "phase_shift": {"series_prior_deg": 20.0, "tilt_prior_deg": 5.0},
    "spherical_aberration": {"prior_mm": 0.2},
    "odd_aberrations": {"orders": [1, 3, 5], "prior_deg": 30.0, "prior_resolution_angstrom": 5.0},
    "even_aberrations": {"orders": [2, 4], "prior_deg": 30.0, "prior_resolution_angstrom": 5.0},
    "magnification": {"prior_percent": 1.0},
}
every_block = pytest.mark.parametrize("name", OPTIONS)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def imaging(geometry):
    """Imaging in which every aberration is there, but for the astigmatism of the first tilt."""
    astigmatism = 0.1 * random(TILTS, 2, seed=1)
    astigmatism[0] = 0
    phase = 0.3 * random(TILTS, seed=2)
    optics = Optics(300.0, 2.7, 0.07, astigmatism, phase, random(8, seed=3), random(12, seed=4))
    magnification = torch.eye(2, dtype=torch.float64) + 0.01 * random(2, 2, seed=5)
    return Imaging(dataclasses.replace(geometry, magnification=magnification), optics)


def make(imaging, name, **changes):
    (block,) = make_blocks(imaging, {name: {"enabled": True} | OPTIONS[name] | changes})
    return block


def phases(imaging, frequency):
    """Even phases at no defocus, and odd ones."""
    return imaging.optics.static_phase(frequency), imaging.optics.odd_phase(frequency)


@every_block
def test_zero_is_the_start(imaging, name):
    block = make(imaging, name)
    assert block.name == name
    assert torch.equal(aberrations(block.deform(imaging, torch.zeros_like(block.raw))), aberrations(imaging))


@every_block
def test_only_what_a_block_says_moves(imaging, name):
    block = make(imaging, name)
    raw = random(len(block.raw), seed=6)
    moved = block.deform(imaging, raw)
    change = (aberrations(moved) - aberrations(imaging)).abs().amax(0)
    own = [index - 6 for group in block.moves for index in group.value]
    others = [index for index in range(len(change)) if index not in own]
    assert float(change[others].max()) < 1e-12 * float(change[own].max())
    assert torch.equal(moved.geometry.defocus_um, imaging.geometry.defocus_um)
    assert torch.equal(aberrations(block.deform(moved, raw)), aberrations(moved)), "counted from the start"


@every_block
def test_one_sweep_for_a_column_gives_the_derivative_by_every_parameter(imaging, name):
    """Parameter by parameter, so that a tilt that sees another's parameter shows."""
    block, step = make(imaging, name), 1e-5
    raw, count = random(len(block.raw), seed=6), len(block.raw)

    def moved(values):
        return aberrations(block.deform(imaging, values))

    seeds = torch.zeros(block.columns.shape[1], count, dtype=torch.float64)
    seeds = seeds.scatter(1, block.columns.T, torch.ones(1, dtype=torch.float64).expand(block.columns.T.shape))
    by_column = torch.vmap(lambda seed: torch.func.jvp(moved, (raw,), (seed,))[1])(seeds)
    assert sorted(block.columns.unique().tolist()) == list(range(count))
    for parameter, direction in enumerate(torch.eye(count, dtype=torch.float64)):
        expected = (moved(raw + step * direction) - moved(raw - step * direction)) / (2 * step)
        found = torch.einsum("cta,tc->ta", by_column, direction[block.columns])
        assert float(expected.abs().max()) > 0
        assert torch.allclose(found, expected, atol=1e-6 * float(expected.abs().max())), parameter


@every_block
def test_gradients_flow(imaging, name):
    block = make(imaging, name)
    raw = random(len(block.raw), seed=6).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: aberrations(block.deform(imaging, r)), (raw,), fast_mode=True)


def test_astigmatism_in_micrometres(imaging):
    block = make(imaging, "astigmatism")
    raw = random(2 * TILTS, seed=6)
    with torch.no_grad():
        block.raw.copy_(raw)
    change = block.deform(imaging, raw).optics.astigmatism_um - imaging.optics.astigmatism_um
    assert torch.allclose(change, 0.05 * raw.reshape(TILTS, 2))
    assert torch.allclose(block.physical(), change)
    assert float(block.prior.penalty(torch.ones(2 * TILTS, dtype=torch.float64))) == TILTS


def test_phase_shifts_share_a_part(imaging):
    """Their covariance in degrees is that of a constant and an independent scatter."""
    block = make(imaging, "phase_shift")
    precision = block.prior.precision
    expected = 20.0**2 + torch.eye(TILTS, dtype=torch.float64) * 5.0**2
    assert torch.allclose(torch.linalg.inv(precision) * 5.0**2, expected)
    raw = random(TILTS, seed=6)
    with torch.no_grad():
        block.raw.copy_(raw)
    change = block.deform(imaging, raw).optics.phase_shift_rad - imaging.optics.phase_shift_rad
    assert torch.allclose(torch.rad2deg(change), 5.0 * raw)
    assert torch.allclose(block.physical(), 5.0 * raw)


def test_spherical_aberration_in_millimetres(imaging):
    block = make(imaging, "spherical_aberration")
    with torch.no_grad():
        block.raw.fill_(1.5)
    assert float(block.deform(imaging, block.raw.detach()).optics.cs_mm) == pytest.approx(3.0)
    assert block.physical().tolist() == pytest.approx([0.3])


def test_magnification_in_per_cent(imaging):
    block = make(imaging, "magnification")
    raw = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    with torch.no_grad():
        block.raw.copy_(raw)
    change = block.deform(imaging, raw).geometry.magnification - imaging.geometry.magnification
    assert torch.allclose(change, torch.tensor([[0.01, -0.02], [0.005, 0.0]], dtype=torch.float64))
    assert torch.allclose(block.physical(), 100 * change)


@pytest.mark.parametrize("name", ["odd_aberrations", "even_aberrations"])
def test_the_prior_is_a_phase_at_a_resolution(imaging, name):
    """One term at a time: the phase of the prior at its resolution, and the power of its order elsewhere."""
    block = make(imaging, name)
    angle = torch.linspace(0, 2 * math.pi, 13, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], -1) / 5.0
    which = int(name == "odd_aberrations")
    for place, (n, m) in enumerate(block.terms):
        raw = torch.zeros(len(block.terms), dtype=torch.float64)
        raw[place] = 1
        moved = block.deform(imaging, raw)
        for zoom in (1.0, 0.3):
            change = (phases(moved, zoom * circle)[which] - phases(imaging, zoom * circle)[which]).reshape(-1, 13)[-1]
            wave = torch.cos(m * angle) if m > 0 else torch.sin(-m * angle)
            assert torch.allclose(change, math.radians(30) * zoom**n * wave, atol=1e-9)


def test_orders_of_aberrations(imaging):
    """Those that are asked for, without round terms."""
    odd, even = make(imaging, "odd_aberrations", orders=[3]), make(imaging, "even_aberrations", orders=[4])
    assert odd.terms == [(3, -3), (3, -1), (3, 1), (3, 3)]
    assert odd.moves == (Coordinate.ODD_3,)
    assert even.terms == [(4, -4), (4, -2), (4, 2), (4, 4)]
    assert even.moves == (Coordinate.EVEN_4,)
    with torch.no_grad():
        odd.raw.fill_(0.5)
    assert odd.physical().tolist() == pytest.approx([15.0] * 4)


@pytest.mark.parametrize("orders", [[], [2], [1, 7]])
def test_orders_that_there_are_not(imaging, orders):
    with pytest.raises(InputError, match=r"model\.odd_aberrations\.orders=.*: give some of 1, 3, 5"):
        OddAberrations(imaging, orders, 30.0, 5.0)
