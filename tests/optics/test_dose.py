import math

import pytest
import torch

from mlit.optics.dose import bfactor_envelope, critical_exposure, critical_exposure_envelope


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_critical_exposure_at_published_points():
    at_3_angstrom = 0.245 * 3**1.665 + 2.81
    assert critical_exposure(tensor(1 / 3)).item() == pytest.approx(at_3_angstrom)
    left = critical_exposure_envelope(tensor(1 / 3), tensor(2 * at_3_angstrom)).item()
    assert left == pytest.approx(math.exp(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("envelope", [critical_exposure_envelope, bfactor_envelope])
def test_zero_frequency_is_kept_with_finite_gradients(envelope, dtype):
    frequency = torch.tensor([0.0, 0.1], dtype=dtype, requires_grad=True)
    dose = torch.tensor([[0.0], [120.0]], dtype=dtype, requires_grad=True)
    value = envelope(frequency, dose)
    assert torch.equal(value[:, 0], torch.ones(2, dtype=dtype))
    assert torch.equal(value[0], torch.ones(2, dtype=dtype))
    value.sum().backward()
    for leaf in (frequency, dose):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def test_negative_bfactor_is_decay():
    frequency = tensor([0.05, 0.2])
    expected = torch.exp(-30 * frequency**2)
    torch.testing.assert_close(bfactor_envelope(frequency, tensor(-120.0)), expected)


@pytest.mark.parametrize("envelope", [critical_exposure_envelope, bfactor_envelope])
def test_gradients(envelope):
    frequency = tensor([0.02, 0.1, 0.3]).requires_grad_()
    assert torch.autograd.gradcheck(envelope, (frequency, tensor([[1.0], [40.0]]).requires_grad_()))


def test_envelope_falls_with_dose_and_with_frequency():
    value = critical_exposure_envelope(torch.linspace(0.01, 0.5, 50), torch.linspace(1, 100, 20)[:, None])
    assert (value.diff(dim=0) < 0).all()
    assert (value.diff(dim=1) < 0).all()
