import dataclasses
import json
import math

import mrcfile
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlit.optics.astigmatism import astigmatism_vector
from mlit.optics.ctf import Optics, ctf, phase_aberration, wrapped_phase_aberration
from mlit.optics.dose import bfactor_envelope
from tests.support import shared_path


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def optics(astigmatism_um=(0.3, 0.0), angle_deg=(25.0, 0.0), phase_rad=(0.4, 0.0)) -> Optics:
    vector = astigmatism_vector(tensor(astigmatism_um), torch.deg2rad(tensor(angle_deg)))
    return Optics(300.0, 2.7, 0.1, vector, tensor(phase_rad))


def half_plane(size: int, pixel_size_angstrom: float) -> torch.Tensor:
    """Frequencies of a half transform; Nyquist counts as positive along y, as in Warp."""
    kx = torch.fft.rfftfreq(size, pixel_size_angstrom, dtype=torch.float64)
    ky = torch.fft.fftfreq(size, pixel_size_angstrom, dtype=torch.float64)
    ky[size // 2] = -ky[size // 2]
    return torch.stack(torch.broadcast_tensors(kx[None], ky[:, None]), -1)


def with_envelope(frequency, defocus_um, optics, scale, bfactor) -> torch.Tensor:
    values = ctf(phase_aberration(frequency, tensor([defocus_um]), optics))[0]
    return scale * values * bfactor_envelope(frequency.norm(dim=-1), tensor(bfactor))


def test_images_of_the_native_program():
    native = np.array(mrcfile.read(shared_path("golden", "ctf_reference.mrc")))
    first = optics([0.3], [25.0], [0.4 * math.pi])
    second = Optics(200.0, 2.7, 0.07, tensor([[0.0, 0.0]]), tensor([0.0]))
    ours = [
        with_envelope(half_plane(256, 1.1), 1.5, first, 0.9, -40.0),
        with_envelope(half_plane(256, 1.5), 2.5, second, 1.0, -40.0),
    ]
    torch.testing.assert_close(torch.stack(ours).float(), torch.from_numpy(native), rtol=0, atol=5e-5)


def test_independent_restatement():
    golden = json.loads(shared_path("golden", "golden_ctf.json").read_text())
    series = Optics(
        float(golden["voltage"]),
        golden["cs"],
        golden["A"],
        astigmatism_vector(tensor([golden["delta"]]), torch.deg2rad(tensor([golden["angle"]]))),
        tensor([golden["phase"] * math.pi]),
    )
    frequency = half_plane(golden["N"], golden["px"])
    ours = with_envelope(frequency, golden["defocus"], series, golden["scale"], float(golden["B"]))
    keep = [row for row in range(golden["N"]) if row != golden["N"] // 2]  # sign of Nyquist is a convention
    torch.testing.assert_close(ours[keep], tensor(golden["ctf_half"])[keep], rtol=0, atol=1e-6)


def one_phase(kx, ky, defocus_um, delta_um, angle, phase, optics) -> float:
    """The formula in polar form, one number at a time."""
    k, theta, wavelength = math.hypot(kx, ky), math.atan2(ky, kx), optics.wavelength_angstrom
    focus = -1e4 * (defocus_um + delta_um / 2 * math.cos(2 * (theta - angle)))
    amplitude = optics.amplitude_contrast
    gamma = math.pi * wavelength * focus * k**2 + math.pi / 2 * optics.cs_mm * 1e7 * wavelength**3 * k**4
    return gamma - phase - math.atan(amplitude / math.sqrt(1 - amplitude**2))


@given(
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(-2, 8),
    st.floats(0, 1),
    st.floats(-4, 4),
    st.floats(0, 2),
)
@settings(deadline=None)
def test_phase_agrees_with_the_polar_formula(kx, ky, defocus_um, delta_um, angle, phase):
    series = Optics(300.0, 2.7, 0.07, astigmatism_vector(tensor([delta_um]), tensor([angle])), tensor([phase]))
    gamma = phase_aberration(tensor([[kx, ky]]), tensor([defocus_um]), series)
    expected = one_phase(kx, ky, defocus_um, delta_um, angle, phase, series)
    assert gamma.item() == pytest.approx(expected, abs=1e-9)


def test_zernike_terms_by_hand():
    """Radius in 1/Å, phases in radians, the same in all tilts; odd terms are no part of gamma."""
    even, odd = torch.zeros(8, dtype=torch.float64), torch.zeros(12, dtype=torch.float64)
    even[2], even[7], odd[4] = 0.7, -20.0, 30.0  # k² cos 2θ, k⁴ cos 4θ, (3 k³ - 2 k) cos θ
    plain = optics()
    series = dataclasses.replace(plain, zernike_even_rad=even, zernike_odd_rad=odd)
    k, angle = 0.2, 0.3
    frequency = tensor([[k * math.cos(angle), k * math.sin(angle)]])
    change = series.static_phase(frequency) - plain.static_phase(frequency)
    expected = 0.7 * k**2 * math.cos(2 * angle) - 20 * k**4 * math.cos(4 * angle)
    torch.testing.assert_close(change, torch.full((2, 1), expected, dtype=torch.float64))
    assert series.odd_phase(frequency).item() == pytest.approx(30 * (3 * k**3 - 2 * k) * math.cos(angle))
    assert series.odd_phase(-frequency).item() == -series.odd_phase(frequency).item()
    assert plain.odd_phase(frequency).item() == 0


def test_underfocus_makes_the_ctf_positive_at_low_frequency():
    frequency = tensor([[0.0, 0.0], [0.01, 0.0]])
    values = ctf(phase_aberration(frequency, tensor([3.0]), optics([0.0], [0.0], [0.0])))[0]
    assert values[0].item() == pytest.approx(0.1)
    assert values[1] > values[0]


def test_shapes_and_decomposition():
    frequency = half_plane(8, 2.0)
    defocus = tensor([[2.0, 2.5], [3.0, 1.0], [0.5, 4.0]])
    series = optics()
    gamma = phase_aberration(frequency, defocus, series)
    assert gamma.shape == (3, 2, 8, 5)
    parts = series.static_phase(frequency)[None] + defocus[..., None, None] * series.defocus_slope(frequency)
    torch.testing.assert_close(gamma, parts)
    for tilt in range(2):
        single = optics([[0.3, 0.0][tilt]], [[25.0, 0.0][tilt]], [[0.4, 0.0][tilt]])
        alone = phase_aberration(frequency, defocus[:, tilt, None], single)
        torch.testing.assert_close(gamma[:, tilt], alone[:, 0])


def test_single_precision_phase_keeps_the_ctf_accurate():
    frequency = half_plane(64, 1.0)
    defocus = tensor([4.0, 2.0]) + 0.1 * torch.randn(
        20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    exact = phase_aberration(frequency, defocus, optics())
    wrapped = wrapped_phase_aberration(frequency, defocus, optics())
    assert exact.abs().max() > 500
    assert wrapped.dtype == torch.float32
    torch.testing.assert_close(ctf(wrapped), ctf(exact).float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("astigmatism_um", [0.0, 0.4])
@pytest.mark.parametrize("phase", [phase_aberration, wrapped_phase_aberration])
def test_gradients(phase, astigmatism_um):
    frequency = half_plane(6, 3.0)
    extra = {} if phase is phase_aberration else {"dtype": torch.float64}

    def values(defocus_um, vector_um, phase_rad, cs_mm, even_rad):
        series = Optics(300.0, cs_mm, 0.07, vector_um, phase_rad, even_rad)
        return ctf(phase(frequency, defocus_um, series, **extra))

    inputs = [
        tensor([[2.0, 2.5], [2.2, 2.1]]),
        tensor([[astigmatism_um, 0.0], [0.1, -0.2]]),
        tensor([0.1, 0]),
        tensor(2.7),
        torch.linspace(-1, 1, 8, dtype=torch.float64),
    ]
    assert torch.autograd.gradcheck(values, [value.requires_grad_() for value in inputs])


def test_forward_mode_under_vmap():
    frequency, defocus, series = half_plane(6, 3.0), tensor([[2.0, 2.5]]), optics()

    def directional(tangent):
        return torch.func.jvp(lambda d: phase_aberration(frequency, d, series), (defocus,), (tangent,))[1]

    derivative = torch.vmap(directional)(torch.eye(2, dtype=torch.float64)[:, None])
    slope = series.defocus_slope(frequency)
    torch.testing.assert_close(derivative[0, 0, 0], slope)
    torch.testing.assert_close(derivative[0, 0, 1], torch.zeros_like(slope))
