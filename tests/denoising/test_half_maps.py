"""What the denoiser makes of half maps."""

import torch

from mlit.denoising.half_maps import denoise
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.filters import low_pass
from mlit.maps.fsc import fourier_shell_correlation
from tests.denoising.conftest import MASK, PIXEL, SIZE, density, judged, network, run


def mean_correlation(case, maps, first=5, last=17):
    truth = (case.truth * MASK)[None].expand(2, -1, -1, -1)
    return fourier_shell_correlation(maps * MASK, truth)[:, first:last].mean(0)


def test_denoised_halves_are_nearer_to_the_truth(molecule):
    before, after = mean_correlation(molecule, molecule.before), mean_correlation(molecule, molecule.after)
    assert float((after - before).min()) > -0.005
    assert float(after.mean() / before.mean()) > 1.02


def test_the_gain_that_is_told_is_the_true_one(molecule):
    before, after = mean_correlation(molecule, molecule.before), mean_correlation(molecule, molecule.after)
    assert abs(molecule.gain - float((after / before).mean())) < 0.04


def test_noise_stays_without_structure():
    """Beyond 30 Å these half maps share nothing; after the network they still do not."""
    smooth = low_pass(density(), PIXEL, 30.0)
    case = run(smooth, judged(smooth, 1.0), network(steps=100))
    beyond = slice(int(SIZE * PIXEL / 25), SIZE // 2)
    alike = [fourier_shell_correlation(m[0], m[1])[beyond] for m in (case.before, case.after)]
    assert float((alike[1] - alike[0]).mean()) < 0.05


def test_networks_of_one_seed_are_the_same_on_any_number_of_cores(monkeypatch):
    halves, results = judged(density(), 1.5), []
    for cores in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        results.append(run(density(), halves, network(steps=5)).denoiser.state_dict())
    other = run(density(), halves, network(steps=5, seed=2)).denoiser.state_dict()
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name])
    assert not torch.equal(results[0]["network.head.weight"], other["network.head.weight"])


def test_training_goes_on_and_can_be_left_out(molecule):
    denoiser = network()
    denoiser.load_state_dict(molecule.denoiser.state_dict())
    assert int(denoiser.steps_done) == 300
    again = denoise(denoiser, molecule.before, molecule.halves, NO_SYMMETRY, 0.0, learn=False)
    torch.testing.assert_close(again.maps, molecule.after)
    denoise(denoiser, molecule.before, molecule.halves, NO_SYMMETRY, 0.0)
    assert int(denoiser.steps_done) == 320


def test_coarse_detail_and_coarse_maps_are_left_alone(molecule):
    limit = 40.0
    kept = denoise(molecule.denoiser, molecule.before, molecule.halves, NO_SYMMETRY, limit, learn=False).maps
    alike = fourier_shell_correlation(kept * 1.0, molecule.before)
    assert float((1 - alike[:, 1 : int(SIZE * PIXEL / limit) - 1]).abs().max()) < 1e-3
    untouched = denoise(network(), molecule.before, molecule.halves, NO_SYMMETRY, 12.0)
    assert torch.equal(untouched.maps, molecule.before)
    assert untouched.gain == 1.0


def test_one_line_says_what_it_brings(molecule):
    result = denoise(molecule.denoiser, molecule.before, molecule.halves, NO_SYMMETRY, 0.0, learn=False)
    assert "correlation with the density +" in str(result)
    assert result.summary()["correlation_gain"] == result.gain
    assert len(result.table()) == result.last - result.first + 1
