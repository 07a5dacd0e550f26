"""Errors of the optics: in the truth only, of the sizes asked for, and in the images."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlit.geometry.rotations import matrix_from_euler
from mlit.io.mrc import read_mrc
from mlit.io.warp.settings import read_settings
from mlit.io.warp.tilt_series_xml import TiltSeriesXml
from mlit.optics.ctf import ctf, phase_aberration
from mlit.project.xml_optics import optics_from_xml
from mlit.simulation.aberrations import draw_known_optics, draw_magnification, with_optics_errors
from mlit.simulation.config_errors import AberrationConfig
from mlit.simulation.config_images import MicroscopeConfig
from mlit.simulation.image_formation import particle_image
from mlit.simulation.simulate import simulate
from mlit.simulation.splat import PatchGrid
from mlit.simulation.transfer import TiltTransfer

PIXEL, SIZE = 6.0, 128
ERRORS = {
    "astigmatism_error_um": 0.1,
    "phase_shift_error_deg": 20.0,
    "phase_shift_scatter_deg": 4.0,
    "cs_error_mm": 1.0,
    "odd_error_deg": 60.0,
    "even_error_deg": 60.0,
    "magnification_error_percent": 2.0,
}


def known(tilts=300):
    return draw_known_optics(MicroscopeConfig(), tilts, np.random.default_rng(0))


def drawn(start, seed=1, **errors):
    return with_optics_errors(start, AberrationConfig(**errors), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("error", "field"),
    [
        ({"astigmatism_error_um": 0.1}, "astigmatism_um"),
        ({"phase_shift_error_deg": 10.0}, "phase_shift_rad"),
        ({"phase_shift_scatter_deg": 10.0}, "phase_shift_rad"),
        ({"cs_error_mm": 0.3}, "cs_mm"),
        ({"odd_error_deg": 30.0}, "zernike_odd_rad"),
        ({"even_error_deg": 30.0}, "zernike_even_rad"),
    ],
)
def test_each_error_enters_its_own_field_only(error, field):
    start = known()
    changed = {
        name
        for name, value in vars(drawn(start, **error)).items()
        if not torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(start, name)))
    }
    assert changed == {field}


def test_errors_have_the_sizes_asked_for():
    start = known()
    one = drawn(start, astigmatism_error_um=0.1, phase_shift_scatter_deg=4.0)
    assert float((one.astigmatism_um - start.astigmatism_um).std()) == pytest.approx(0.1, rel=0.1)
    assert math.degrees(float((one.phase_shift_rad - start.phase_shift_rad).std())) == pytest.approx(4.0, rel=0.15)
    many = [drawn(start, seed, phase_shift_error_deg=20.0, cs_error_mm=0.3) for seed in range(200)]
    assert all(bool((optics.phase_shift_rad == optics.phase_shift_rad[0]).all()) for optics in many)
    common = np.std([math.degrees(float(optics.phase_shift_rad[0])) for optics in many])
    assert common == pytest.approx(20.0, rel=0.15)
    assert np.std([optics.cs_mm for optics in many]) == pytest.approx(0.3, rel=0.15)
    rng = np.random.default_rng(2)
    matrices = [draw_magnification(AberrationConfig(magnification_error_percent=2.0), rng) for _ in range(100)]
    assert float((torch.stack(matrices) - torch.eye(2)).std()) == pytest.approx(0.02, rel=0.15)


def test_aberrations_are_phases_at_a_resolution():
    """Coma alone: k³ cos(θ - direction), the given size at the given detail along x and along y."""
    start, detail = known(1), 8.0
    axes = torch.eye(2, dtype=torch.float64) / detail
    odd = [drawn(start, s, odd_error_deg=30.0, error_resolution_angstrom=detail).odd_phase(axes) for s in range(300)]
    size = math.radians(30.0) * math.sqrt(2)  # coma and trefoil add up along an axis
    assert torch.stack(odd).std(0).tolist() == pytest.approx([size, size], rel=0.15)
    one = drawn(start, odd_error_deg=30.0, error_resolution_angstrom=detail)
    assert torch.allclose(one.odd_phase(axes / 2), one.odd_phase(axes) / 8)


@pytest.fixture(scope="module")
def project(tmp_path_factory, small_config):
    changes = {"aberrations": ERRORS, "microscope": {"noise": False, "float16": False}, "series": 1}
    return simulate(small_config(changes), tmp_path_factory.mktemp("aberrations") / "project").parent


def test_the_truth_holds_the_errors_and_the_start_lacks_them(project):
    settings = read_settings(project / "warp_tiltseries.settings")
    start, true = (TiltSeriesXml.read(project / place / "TS_01.xml") for place in ("warp_tiltseries", "truth/warp"))
    before, after = (optics_from_xml(xml, settings) for xml in (start, true))
    assert not before.zernike_odd_rad.any()
    assert not before.zernike_even_rad.any()
    assert after.zernike_odd_rad.any()
    assert after.zernike_even_rad.any()
    assert before.cs_mm == 2.7 != after.cs_mm
    assert np.array_equal(start.magnification, np.eye(2))
    assert 0.002 < np.abs(true.magnification - np.eye(2)).max() < 0.1
    for name in ("astigmatism_um", "phase_shift_rad"):
        assert bool((getattr(before, name) != getattr(after, name)).all())


def test_errors_change_nothing_else_of_a_project(project, tmp_path, small_config):
    """Metadata and particles are those of the same seed without them; images are not."""
    changes = {"microscope": {"noise": False, "float16": False}, "series": 1}
    plain = simulate(small_config(changes), tmp_path / "plain").parent
    for name in ("warp_tiltseries/TS_01.xml", "particles.star", "truth/particles.star", "tomostar/TS_01.tomostar"):
        assert (plain / name).read_bytes() == (project / name).read_bytes()
    images = [read_mrc(folder / "warp_frameseries/average/TS_01_00.mrc")[0] for folder in (plain, project)]
    assert np.std(images[0] - images[1]) > 0.1 * np.std(images[0])


def test_an_image_has_the_aberrations_of_its_transfer(molecule):
    """Against exact structure factors: V(Rᵀ M k) times CTF times exp(-i odd phase)."""
    start = drawn(known(1), 3, odd_error_deg=60.0, even_error_deg=60.0)
    magnification = torch.tensor([[1.03, 0.01], [-0.02, 0.97]], dtype=torch.float64)
    rotation = matrix_from_euler(torch.tensor([[0.2, 0.9, -1.0]], dtype=torch.float64))
    xy, defocus = torch.tensor([[381.3, 400.8]], dtype=torch.float64), torch.tensor([1.2], dtype=torch.float64)
    grid = PatchGrid(SIZE, SIZE, PIXEL)
    image = particle_image(molecule, rotation, xy, defocus, TiltTransfer(start, 0.0, magnification), grid)
    frequency = grid.frequency_xy()
    seen = frequency @ magnification.T
    place = -2 * math.pi * (seen @ (molecule.position_angstrom @ rotation[0, :2].T).T)
    wave = (torch.polar(torch.ones_like(place), place) * molecule.potential_volt_angstrom3[0]).sum(-1)
    turn = -2 * math.pi * (frequency @ xy[0]) - start.odd_phase(frequency)
    spectrum = wave * torch.polar(torch.ones_like(turn), turn) * molecule.envelope(seen.square().sum(-1))[0]
    exact = spectrum * ctf(phase_aberration(frequency, defocus, start)[0]) / PIXEL**2
    inner = frequency.norm(dim=-1) < 0.8 / (2 * PIXEL)
    found = torch.fft.rfft2(image.double())[inner]
    assert float((found - exact[inner]).abs().square().sum()) < 1e-4 * float(exact[inner].abs().square().sum())
    plain = particle_image(
        molecule,
        rotation,
        xy,
        defocus,
        TiltTransfer(replace(start, zernike_odd_rad=torch.zeros(12).double()), 0.0, magnification),
        grid,
    )
    corrected = found * torch.polar(torch.ones(len(found)).double(), start.odd_phase(frequency)[inner])
    free = torch.fft.rfft2(plain.double())[inner]
    assert float((corrected - free).norm()) < 0.01 * float(free.norm())
    assert float((found - free).norm()) > 0.1 * float(free.norm())
