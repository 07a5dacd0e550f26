import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from mlit.geometry.rotations import euler_from_matrix, matrix_from_euler
from mlit.geometry.trajectory import (
    continuous_euler,
    evaluate_trajectory,
    normalised_dose,
    resample_trajectory,
    sample_times,
    samples_through,
)

FRACTIONS = torch.linspace(0, 1, 37, dtype=torch.float64)


def test_dose_is_normalised_over_all_tilts():
    dose = torch.tensor([6.0, 3.0, 9.0], dtype=torch.float64)
    torch.testing.assert_close(normalised_dose(dose), torch.tensor([0.5, 0.0, 1.0], dtype=torch.float64))
    assert torch.equal(normalised_dose(torch.full((3,), 2.0)), torch.zeros(3))


@given(st.lists(st.integers(-3, 3), min_size=3, max_size=7))
@settings(deadline=None)
def test_agrees_with_scipy(values):
    samples = torch.tensor(values, dtype=torch.float64)[None, :, None]
    nodes = np.linspace(0, 1, len(values))
    reference = PchipInterpolator(nodes, np.array(values, dtype=float))(FRACTIONS.numpy())
    curve = evaluate_trajectory(samples, FRACTIONS)
    assert curve.shape == (1, 37, 1)
    torch.testing.assert_close(curve[0, :, 0], torch.from_numpy(reference), rtol=0, atol=1e-12)


def test_one_sample_is_constant_and_two_are_a_line():
    samples = torch.tensor([[[1.0, -2.0], [3.0, 5.0]]], dtype=torch.float64)
    constant = evaluate_trajectory(samples[:, :1], FRACTIONS)
    torch.testing.assert_close(constant, samples[:, :1].expand(1, 37, 2))
    line = evaluate_trajectory(samples, FRACTIONS)
    torch.testing.assert_close(line[0, :, 1], -2 + 7 * FRACTIONS)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_gradients_and_forward_mode(count):
    generator = torch.Generator().manual_seed(count)
    samples = torch.randn(2, count, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    fractions = torch.tensor([0.0, 0.13, 0.57, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: evaluate_trajectory(s, fractions), samples)
    tangents = torch.randn(4, 2, count, 3, dtype=torch.float64, generator=generator)

    def directional(tangent):
        return torch.func.jvp(lambda s: evaluate_trajectory(s, fractions), (samples.detach(),), (tangent,))[1]

    jacobian = torch.func.jacrev(lambda s: evaluate_trajectory(s, fractions))(samples.detach())
    expected = torch.einsum("ptcqkd,vqkd->vptc", jacobian, tangents)
    torch.testing.assert_close(torch.vmap(directional)(tangents), expected)


def test_flat_samples_have_finite_gradients():
    samples = torch.zeros(1, 4, 1, dtype=torch.float64, requires_grad=True)
    evaluate_trajectory(samples, FRACTIONS).sum().backward()
    assert samples.grad is not None
    assert torch.isfinite(samples.grad).all()


def test_a_single_sample_sits_in_the_middle():
    assert sample_times(1).tolist() == [0.5]
    torch.testing.assert_close(sample_times(3), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))


def test_resampling_follows_the_curve():
    samples = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert resample_trajectory(samples, 3) is samples
    fine = resample_trajectory(samples, 5)
    torch.testing.assert_close(fine[:, ::2], samples)
    quarter = torch.tensor([0.25, 0.75], dtype=torch.float64)
    torch.testing.assert_close(fine[:, 1::2], evaluate_trajectory(samples, quarter))
    torch.testing.assert_close(resample_trajectory(samples, 1), samples[:, 1:2])


def test_angles_are_continued_from_sample_to_sample():
    """Through ±180° and to the other triple of the same rotation."""
    wanted = torch.tensor([[170.0, 40.0, -170.0], [185.0, 42.0, -185.0], [200.0, -3.0, -190.0]]).double().deg2rad()
    stored = euler_from_matrix(matrix_from_euler(wanted))
    found = continuous_euler(stored[None])[0]
    assert float((stored - wanted).abs().max()) > 1
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("dose", "count"),
    [
        ([0, 3, 6, 9, 12, 15], 6),
        ([12, 0, 9, 3, 6, 15], 6),
        ([0, 3, 6, 12, 18, 21], 8),
        ([0, 3.3, 6.1, 9.2, 12.4, 15.1], 24),
    ],
)
def test_samples_through_what_every_tilt_has(dose, count):
    time = normalised_dose(torch.tensor(dose, dtype=torch.float64))
    wanted = torch.randn(3, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    samples = samples_through(wanted, time, count)
    assert samples.shape == (3, count, 2)
    torch.testing.assert_close(evaluate_trajectory(samples, time), wanted, atol=1e-3, rtol=0)


def test_tilts_of_one_dose_share_a_place():
    wanted = torch.tensor([[[1.0], [3.0], [8.0]]], dtype=torch.float64)
    samples = samples_through(wanted, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 4)
    found = evaluate_trajectory(samples, torch.tensor([0.0, 1.0], dtype=torch.float64))[0, :, 0]
    assert 1 <= float(found[0]) <= 3
    assert float(found[1]) == pytest.approx(8)
