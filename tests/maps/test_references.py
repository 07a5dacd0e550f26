"""References from sums whose signal and noise are known voxel by voxel."""

import itertools
from dataclasses import replace

import pytest
import torch

from mlit.fourier.centred import centred_rfftn
from mlit.fourier.insertion import FourierSums
from mlit.fourier.resize import crop_or_pad
from mlit.fourier.shells import frequency_radius, shell_mean
from mlit.fourier.trilinear import gridding_profile
from mlit.geometry.map_symmetry import NO_SYMMETRY, Symmetry
from mlit.geometry.symmetry import point_group
from mlit.maps.filters import filter_by_shells, low_pass
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.reconstruction import combine, density
from mlit.maps.references import (
    LEAST_CORRELATION,
    ROOM_FOR_EDGE_ANGSTROM,
    HalfMaps,
    ReferenceSettings,
    half_maps,
    reference_maps,
    reference_table,
)

SIZE, PIXEL = 32, 3.0
SHELLS = SIZE // 2 + 1
LAST = 14  # last shell of the sums
EVERYWHERE = torch.ones(SIZE, SIZE, SIZE)
radius = frequency_radius(SIZE)
PROFILE = gridding_profile(SIZE)
FALL_OFF = PROFILE[:, None, None] * PROFILE[:, None] * PROFILE
SNR = 30 * torch.exp(-torch.arange(SHELLS) / 2.0)


def noise(*shape, seed=0):
    return torch.randn(*shape, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def sums_of(volumes, weight):
    """Sums with one group for each volume, which is the plain map of the group; one weight for each voxel."""
    spectrum = centred_rfftn(volumes * FALL_OFF, 3) * PIXEL**3 * weight
    channels = torch.stack([spectrum.real, spectrum.imag, weight.expand(spectrum.shape)], -1)
    channels = channels * radius.clamp(min=1)[..., None]
    channels[:, :, :, 0] /= 2  # the plane kx = 0 gets its Friedel mates added
    rows = torch.fft.fftshift(channels, dim=(1, 2)).reshape(len(volumes), -1, 3)
    return FourierSums(rows, SIZE, PIXEL, 2 * PIXEL)


def molecule(seed=7):
    """Density whose power is ``SNR`` times that of white noise of variance one."""
    return filter_by_shells(noise(seed=seed), SNR.sqrt())


def noisy_sums(folds, weight=None, seed=0):
    """Truth, the noise of each group, and sums; half maps have the signal-to-noise ratio ``SNR``."""
    truth, own = molecule(), noise(2 * folds, seed=seed) * folds**0.5
    return (
        truth,
        own,
        sums_of(truth + own, torch.full_like(radius, 2.0 / folds) if weight is None else weight),
    )


def settings(shared=0.0, tight_box=10.0, diameter=60.0, posterior_mean=True):
    """By default nothing is shared and the box is not cut."""
    return ReferenceSettings(diameter, shared, tight_box, posterior_mean)


def references(sums, how=None, mask=EVERYWHERE, symmetry=NO_SYMMETRY, halves=None):
    how = how or settings()
    halves = halves or half_maps(sums, symmetry, how, mask)
    return reference_maps(sums, halves, symmetry, how), halves


def prior_of(sums, half, halves, symmetry=NO_SYMMETRY):
    """Inverse power of the signal that half maps of this weight and correlation tell of."""
    folds = len(sums.rows) // 2
    weight = combine(sums, list(range(half * folds, (half + 1) * folds)), symmetry)[1]
    return shell_mean(weight, SIZE) * (1 / halves.signal - 1)


def spectrum(volume):
    """Transform before the fall-off of the interpolation was divided out."""
    return centred_rfftn(volume * FALL_OFF, 3)


def near(found, expected, tolerance=1e-5):
    return float((found - expected).norm()) < tolerance * float(expected.norm())


def changed(sums, group, where, seed=9):
    """Sums with other data, not other weights, in some voxels of a group."""
    other = sums_of(100 * noise(1, seed=seed), torch.ones_like(radius)).rows[0] * where[:, None]
    rows = sums.rows.clone()
    rows[group, :, :2] += other[:, :2]
    return FourierSums(rows, sums.size, sums.pixel_size_angstrom, sums.resolution_angstrom)


def voxels(where):
    """Choice of voxels in the order of the rows of sums."""
    return torch.fft.fftshift(where, dim=(0, 1)).reshape(-1)


def turned(volume, operator):
    """Map turned by an operator that maps grid points to grid points, index n // 2 at rest."""
    axis = torch.arange(SIZE) - SIZE // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    place = torch.stack([x, y, z], -1) @ operator.round().long()
    x, y, z = ((part + SIZE // 2) % SIZE for part in place.unbind(-1))
    return volume[z, y, x]


def test_these_sums_hold_what_they_should():
    volumes = noise(2)
    found = density(sums_of(volumes, 1 + radius), [1], NO_SYMMETRY)
    inside = radius.round() <= LAST
    assert near(spectrum(found), spectrum(volumes[1]) * inside)


@pytest.mark.parametrize("shared", [0.0, 12.0])
def test_a_reference_is_the_density_of_the_other_groups(shared):
    _, _, sums = noisy_sums(folds=3)
    maps, halves = references(sums, settings(shared))
    assert maps.shape == (6, SIZE, SIZE, SIZE)
    for group, others in ((0, [1, 2]), (1, [0, 2]), (4, [3, 5])):
        prior = prior_of(sums, group // 3, halves)
        alone = density(sums, others, NO_SYMMETRY, prior)
        both = density(sums, others + ([3, 4, 5] if group < 3 else [0, 1, 2]), NO_SYMMETRY, prior)
        found, alone, both = spectrum(maps[group]), spectrum(alone), spectrum(both)
        if shared == 0:
            assert near(found, alone)
            continue
        limit = SIZE * PIXEL / shared
        below, above = radius < 0.8 * limit, radius >= limit
        assert near(found[below], both[below])
        assert near(found[above], alone[above])
        assert not near(alone[below], both[below], 0.01)
        between = ~below & ~above & (radius < LAST)
        assert not near(found[between], alone[between], 0.01)
        assert not near(found[between], both[between], 0.01)


def test_with_one_group_a_half_the_reference_is_the_whole_half():
    _, _, sums = noisy_sums(folds=1)
    maps, halves = references(sums)
    for half in (0, 1):
        assert near(maps[half], density(sums, [half], NO_SYMMETRY, prior_of(sums, half, halves)))


def test_images_of_a_group_do_not_touch_its_own_reference():
    _, _, sums = noisy_sums(folds=3)
    before, halves = references(sums)
    after, _ = references(changed(sums, 1, torch.ones(sums.rows.shape[1])), halves=halves)
    assert near(after[1], before[1])
    for group in (0, 2):
        assert not near(after[group], before[group], 0.5)
    assert torch.equal(after[3:], before[3:])


def test_no_reference_knows_the_noise_of_its_own_group():
    _, own, sums = noisy_sums(folds=3)
    maps, _ = references(sums)
    truth = molecule()
    left = maps - truth * ((maps * truth).sum((1, 2, 3), keepdim=True) / truth.square().sum())
    left, own = left.flatten(1), own.flatten(1)
    table = left @ own.T / left.norm(dim=1)[:, None] / own.norm(dim=1)
    same_half = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3)).bool()
    itself = torch.eye(6).bool()
    chance = 5 / SIZE**1.5
    assert table[itself].abs().max() < chance
    assert table[~same_half].abs().max() < chance
    assert table[same_half & ~itself].min() > 5 * chance


@pytest.mark.parametrize("folds", [1, 2])
def test_beyond_the_limit_the_halves_never_meet(folds):
    """Bit by bit: whatever the other half holds there. Below the limit every part of it counts."""
    _, _, sums = noisy_sums(folds)
    how = settings(shared=12.0)
    before, halves = references(sums, how)
    limit = SIZE * PIXEL / 12.0
    beyond, _ = references(changed(sums, folds, voxels(radius >= limit)), how, halves=halves)
    assert torch.equal(beyond[:folds], before[:folds])
    assert not near(beyond[-1], before[-1], 0.5)
    for shell in range(1, 7):
        within, _ = references(changed(sums, folds, voxels(radius.round() == shell)), how, halves=halves)
        assert not near(within[0], before[0], 0.1)


def test_without_a_limit_nothing_is_shared():
    _, _, sums = noisy_sums(folds=1)
    before, halves = references(sums, settings(shared=0.0))
    after, _ = references(changed(sums, 1, torch.ones(sums.rows.shape[1])), settings(shared=0.0), halves=halves)
    assert torch.equal(after[0], before[0])
    assert not near(after[1], before[1], 0.5)


@pytest.mark.parametrize("folds", [1, 4])
def test_shells_shrink_as_the_correlation_says(folds):
    """A half map shrinks by its correlation; without one of four groups, as that of three quarters of it."""
    _, _, sums = noisy_sums(folds)
    maps, halves = references(sums)
    signal, share = halves.signal, (1 - 1 / folds) if folds > 1 else 1.0
    expected = share * signal / (share * signal + 1 - signal)
    others = list(range(1, folds)) or [0]
    plain = density(sums, others, NO_SYMMETRY)
    ratio = shell_mean(spectrum(maps[0]).abs().square(), SIZE) / shell_mean(spectrum(plain).abs().square(), SIZE)
    kept = slice(1, LAST + 1)
    torch.testing.assert_close(ratio[kept].sqrt(), expected[kept], rtol=1e-3, atol=1e-6)
    low = (halves.signal - SNR / (1 + SNR))[3:11].abs().max()
    assert low < 0.08


def test_posterior_mean_is_closest_to_the_truth():
    truth, _, sums = noisy_sums(folds=1)
    maps, _ = references(sums)
    inside = radius.round() <= LAST

    def error(volume):
        return float((spectrum(volume) - spectrum(truth))[inside].abs().square().sum())

    plain = density(sums, [0], NO_SYMMETRY)
    best = error(density(sums, [0], NO_SYMMETRY, 2.0 / SNR))
    assert error(maps[0]) < 0.5 * error(plain)
    assert error(maps[0]) < 1.03 * best
    for factor in (0.5, 2.0):
        assert error(density(sums, [0], NO_SYMMETRY, factor * 2.0 / SNR)) > best


def test_posterior_mean_trusts_no_voxel_more_than_its_weight():
    """A missing wedge: seldom seen voxels shrink towards zero, where the plain map is all noise."""
    frequency = torch.fft.fftfreq(SIZE, 1 / SIZE)
    steep = frequency[:, None, None].abs() > 0.8 * radius
    weight = torch.where(steep, 0.02, 2.0)
    truth, white = molecule(), noise(2, seed=3)
    noisy = truth + torch.fft.irfftn(torch.fft.rfftn(white, dim=(1, 2, 3)) / (weight / 2).sqrt(), dim=(1, 2, 3))
    sums = sums_of(noisy, weight)
    maps, halves = references(sums)
    isotropic = filter_by_shells(halves.first, halves.signal)
    error = [float((volume - truth).square().mean()) for volume in (maps[0], isotropic, halves.first)]
    assert error[0] < 0.95 * error[1]
    assert error[1] < 0.1 * error[2]
    power = shell_mean((spectrum(maps[0]).abs() * steep).square(), SIZE)
    whole = shell_mean((spectrum(halves.first).abs() * steep).square(), SIZE)
    assert (power / whole)[4:LAST].max() < 0.05


@pytest.mark.parametrize("folds", [1, 3])
def test_plain_references_are_cut_where_the_halves_cease_to_agree(folds):
    _, _, sums = noisy_sums(folds)
    maps, halves = references(sums, settings(posterior_mean=False))
    finest = halves.significant_resolution_angstrom
    assert 2.2 * PIXEL < finest < 4 * PIXEL
    plain = density(sums, [0] if folds == 1 else [1, 2], NO_SYMMETRY)
    assert near(maps[0], low_pass(plain, PIXEL, finest), 1e-4)
    shell, cut = radius, SIZE * PIXEL / finest
    found, full = centred_rfftn(maps[0], 3).abs(), centred_rfftn(plain, 3).abs()
    assert found[shell > 1.06 * cut].max() < 1e-4 * full.max()
    below = shell < 0.94 * cut
    torch.testing.assert_close(found[below], full[below], rtol=0, atol=1e-4 * float(full.max()))


def test_references_are_masked_and_cut_to_the_tight_box():
    _, _, sums = noisy_sums(folds=2)
    mask = spherical_mask(SIZE, PIXEL, 40.0, 9.0)
    whole, halves = references(sums)
    masked, _ = references(sums, halves=replace(halves, mask=MaskResult(mask, "density", 0.1)))
    assert torch.equal(masked, whole * mask)
    assert masked[:, mask == 0].abs().max() == 0
    tight, _ = references(sums, settings(diameter=30.0, tight_box=1.2), halves=halves)
    side = round((30.0 + ROOM_FOR_EDGE_ANGSTROM) / PIXEL / 2) * 2
    assert side < SIZE
    assert tight.shape == (4, side, side, side)
    assert torch.equal(tight, crop_or_pad(whole, side, 3))
    assert torch.equal(tight[:, side // 2, side // 2, side // 2], whole[:, SIZE // 2, SIZE // 2, SIZE // 2])


@pytest.mark.parametrize("name", ["C2", "C4", "D2"])
def test_references_have_the_symmetry(name):
    """These symmetry map the grid to itself, so that the average over turned maps is exact."""
    symmetry = Symmetry.named(name)
    _, _, sums = noisy_sums(folds=2)
    maps, halves = references(sums, symmetry=symmetry)
    inside = radius < LAST + 0.4
    alone, _ = references(sums, halves=halves)
    for volume, before in ((maps[0], alone[0]), (maps[3], alone[3])):
        copies = torch.stack([turned(volume, operator) for operator in symmetry.point_group])
        for copy in copies[1:]:
            assert near(spectrum(copy)[inside], spectrum(volume)[inside], 1e-4)
        average = torch.stack([turned(before, operator) for operator in symmetry.point_group]).mean(0)
        assert not near(average, before, 0.3)
    expected = density(sums, [1], symmetry, prior_of(sums, 0, halves, symmetry))
    assert near(spectrum(maps[0])[inside], spectrum(expected)[inside])


def test_symmetry_averages_the_noise():
    _, _, sums = noisy_sums(folds=1)
    plain, _ = references(sums, settings(posterior_mean=False))
    fourfold = half_maps(sums, Symmetry.named("C4"), settings(), EVERYWHERE)
    expected = torch.stack(
        [turned(half_maps(sums, NO_SYMMETRY, settings(), EVERYWHERE).first, o) for o in point_group("C4")]
    )
    inside = radius < LAST - 1
    assert near(spectrum(fourfold.first)[inside], spectrum(expected.mean(0))[inside], 1e-4)
    assert fourfold.first.square().mean() < 0.5 * plain[0].square().mean()


def test_half_maps_come_from_the_first_and_the_last_groups():
    _, _, sums = noisy_sums(folds=2)
    mask = spherical_mask(SIZE, PIXEL, 60.0, 9.0)
    halves = half_maps(sums, NO_SYMMETRY, settings(), mask, seed=3)
    assert torch.equal(halves.first, density(sums, [0, 1], NO_SYMMETRY))
    assert torch.equal(halves.second, density(sums, [2, 3], NO_SYMMETRY))
    assert halves.pixel_size_angstrom == PIXEL
    assert torch.equal(halves.mask.mask, mask)
    assert halves.mask.volume_fraction == pytest.approx(float(mask.mean()))
    again, other = (half_maps(sums, NO_SYMMETRY, settings(), mask, seed=seed) for seed in (3, 4))
    assert torch.equal(again.curves.randomised, halves.curves.randomised)
    assert not torch.equal(other.curves.randomised, halves.curves.randomised)


def test_a_mask_is_made_where_none_is_given(molecule, render):
    volume = render(molecule * 0.2, SIZE, PIXEL, 5.0)
    sums = sums_of(volume + 0.02 * volume.std() * noise(2), torch.full_like(radius, 1.0))
    halves = half_maps(sums, NO_SYMMETRY, settings(diameter=50.0), None, 12.0)
    assert halves.mask.kind == "density"
    inside = volume > 0.3 * volume.max()
    assert halves.mask.mask[inside].min() > 0.99
    assert 0.5 * float(inside.float().mean()) < halves.mask.volume_fraction < 0.5


def test_signal_stays_within_bounds_and_ends_with_the_significant_shells():
    _, _, sums = noisy_sums(folds=1)
    halves = half_maps(sums, NO_SYMMETRY, settings(), EVERYWHERE)
    signal, frequency = halves.signal, halves.curves.frequency_per_angstrom
    assert float(signal.min()) == pytest.approx(LEAST_CORRELATION)
    last = round(SIZE * PIXEL / halves.significant_resolution_angstrom)
    assert frequency[last] == pytest.approx(1 / halves.significant_resolution_angstrom)
    assert signal[last] > LEAST_CORRELATION
    torch.testing.assert_close(signal[last + 1 :], torch.full((SHELLS - 1 - last,), LEAST_CORRELATION))
    assert 5 <= last <= LAST


def test_equal_and_opposite_halves_leave_signal_within_bounds():
    volume = molecule()
    whole = MaskResult(EVERYWHERE, "density", 1.0)
    equal = HalfMaps.judge(volume, volume, PIXEL, whole, 0)
    torch.testing.assert_close(equal.signal, torch.full((SHELLS,), 1 - 1e-4), rtol=1e-6, atol=0)
    assert equal.significant_resolution_angstrom == pytest.approx(2 * PIXEL)
    opposite = HalfMaps.judge(volume, -volume, PIXEL, whole, 0)
    torch.testing.assert_close(opposite.signal, torch.full((SHELLS,), LEAST_CORRELATION))
    assert opposite.significant_resolution_angstrom == pytest.approx(SIZE * PIXEL)


def test_noise_is_significant_nowhere():
    """Ten pairs: none beyond the first third of the shells, most not at all."""
    mask = MaskResult(spherical_mask(SIZE, PIXEL, 60.0, 9.0), "sphere", 0.2)
    found = [
        HalfMaps.judge(noise(seed=2 * i), noise(seed=2 * i + 1), PIXEL, mask, i).significant_resolution_angstrom
        for i in range(10)
    ]
    assert min(found) >= SIZE * PIXEL / 6
    assert sorted(found)[4] == pytest.approx(SIZE * PIXEL)


def octahedral_mean(volume):
    """Average over the 24 turns of a cube about index n // 2, exact but for the outermost planes."""
    turns = [
        torch.roll(volume.permute(axes).flip(flips), [int(axis in flips) for axis in range(3)], (0, 1, 2))
        for axes in itertools.permutations(range(3))
        for flips in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
        if (len(flips) % 2 == 0) == (axes in ((0, 1, 2), (1, 2, 0), (2, 0, 1)))
    ]
    assert len(turns) == 24
    return torch.stack(turns).mean(0)


def test_symmetric_noise_is_significant_nowhere():
    """Symmetry repeats every coefficient; counted as independent, chance would pass for signal."""
    mask = MaskResult(spherical_mask(SIZE, PIXEL, 60.0, 9.0), "sphere", 0.2)
    found = [
        HalfMaps.judge(
            octahedral_mean(noise(seed=2 * i)),
            octahedral_mean(noise(seed=2 * i + 1)),
            PIXEL,
            mask,
            i,
            symmetry=Symmetry.named("O"),
        )
        for i in range(10)
    ]
    assert sorted(halves.significant_resolution_angstrom for halves in found)[2] == pytest.approx(SIZE * PIXEL)
    assert found[0].independent_fraction == pytest.approx(0.2 / 24)
    sums = sums_of(noise(2), torch.full_like(radius, 2.0))
    assert half_maps(sums, Symmetry.named("D2"), settings(), EVERYWHERE).independent_fraction == pytest.approx(0.25)


def test_references_of_noise_hold_next_to_nothing():
    sums = sums_of(noise(2, seed=20), torch.full_like(radius, 2.0))
    maps, halves = references(sums)
    assert halves.significant_resolution_angstrom > SIZE * PIXEL / 4
    fine = radius > 5
    for half, volume in enumerate((halves.first, halves.second)):
        ratio = spectrum(maps[half])[fine].abs().norm() / spectrum(volume)[fine].abs().norm()
        assert ratio == pytest.approx(LEAST_CORRELATION, rel=0.01)


def test_an_empty_half_gives_empty_references():
    sums = sums_of(torch.stack([molecule(), molecule()]), torch.full_like(radius, 2.0))
    rows = sums.rows.clone()
    rows[1] = 0
    maps, _ = references(FourierSums(rows, SIZE, PIXEL, 2 * PIXEL))
    assert torch.isfinite(maps).all()
    assert maps[1].abs().max() == 0
    assert maps[0].abs().max() > 0


def test_sums_are_left_as_they_were():
    _, _, sums = noisy_sums(folds=2)
    before = sums.rows.clone()
    references(sums, settings(shared=12.0), symmetry=Symmetry.named("C2"))
    assert torch.equal(sums.rows, before)


def test_a_table_holds_the_transform_of_each_reference():
    maps = torch.nn.functional.pad(noise(2)[:, 12:20, 12:20, 12:20], (4,) * 6)
    table = reference_table(maps, PIXEL, 2 * PIXEL)
    assert table.rows.shape[1] == 8
    assert table.length_angstrom == table.size * PIXEL
    total = table.rows.reshape(2, table.size, table.size, -1, 8)[:, table.size // 2, table.size // 2, 0, 0]
    torch.testing.assert_close(total, maps.sum((1, 2, 3)) * PIXEL**3, rtol=0.1, atol=50.0)
