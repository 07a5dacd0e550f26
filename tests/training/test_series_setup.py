import dataclasses

import numpy as np
import pytest
import torch

from mlit.errors import InputError
from mlit.geometry.map_symmetry import Helix
from mlit.likelihood.signal_weights import SignalWeights
from mlit.project.filaments import filaments, neighbours_on_filaments
from mlit.training.assembly import group_filaments
from mlit.training.series_setup import (
    Species,
    SpeciesInput,
    assign_groups,
    check_model_options,
    make_context,
    make_model,
)

POSES = {
    "position_prior_angstrom": 10.0,
    "rotation_prior_deg": [5.0, 5.0, 20.0],
    "temporal_samples": 1,
    "motion_prior_angstrom": 3.0,
    "motion_prior_deg": 1.0,
}
OPTIONS = {"poses": POSES}
MOLECULE = Species("x", 160.0, "C1")


def with_halves(project, half_set, **changes):
    """The project with other half sets, each row of the table given once."""
    count = len(half_set)
    table = project.particles
    pick = np.arange(count) % len(table.half_set)
    particles = dataclasses.replace(
        table,
        series_name=table.series_name[pick],
        position_angstrom=table.position_angstrom[pick],
        euler_deg=table.euler_deg[pick],
        half_set=np.array(half_set),
        weight=changes.get("weight", np.ones(count)),
        source=table.source.iloc[pick].reset_index(drop=True),
    )
    series = dataclasses.replace(project.series[0], particle_index=torch.arange(count))
    return dataclasses.replace(project, particles=particles, series=(series,))


@pytest.mark.parametrize(("each", "folds"), [(1, 1), (3, 1), (4, 2), (8, 4), (100, 4), (350, 2), (900, 1)])
def test_small_half_sets_have_more_folds(small, each, folds):
    group, found = assign_groups(with_halves(small, [1, 2] * each), seed=0)
    assert found == folds
    half = torch.tensor([0, 1] * each)
    assert torch.equal(group // folds, half)
    for h in (0, 1):
        counts = torch.bincount(group[half == h] - h * folds, minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_one_lonely_particle_in_a_half_set_is_enough(small):
    group, folds = assign_groups(with_halves(small, [1] + [2] * 15), seed=0)
    assert folds == 1
    assert group.tolist() == [0] + [1] * 15


def test_groups_follow_the_seed(small):
    project = with_halves(small, [1, 2] * 40)
    first, again, other = (assign_groups(project, seed)[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_particles_of_no_weight_do_not_count(small):
    weight = np.array([1.0] * 4 + [0.0] * 36)
    _, folds = assign_groups(with_halves(small, [1, 2] * 20, weight=weight), seed=0)
    assert folds == 1


def context_of(series, particles, group, species=MOLECULE):
    return make_context([SpeciesInput(species, series, particles, group)])


def model_of(series, particles, options):
    group = torch.zeros(particles.particles, dtype=torch.long)
    return make_model([SpeciesInput(MOLECULE, series, particles, group)], options)


def test_expected_amplitude_is_that_of_the_weights_and_leaves_tilts_out(small):
    series = small.series[0]
    tilts = series.geometry.tilts
    used, weight = torch.arange(tilts) != 2, torch.linspace(0.04, 1.0, tilts, dtype=torch.float64)
    series = dataclasses.replace(series, weights=SignalWeights(0.5, tilt_amplitude=weight), use_tilt=used)
    context = context_of(series, small.particles, assign_groups(small, 0)[0])
    torch.testing.assert_close(context.amplitude_prior, torch.where(used, 0.5 * weight, 0.0))
    assert context.weights is series.weights


def test_context_is_that_of_the_series(small):
    group, _ = assign_groups(small, 0)
    weight = small.particles.weight.copy()
    weight[small.series[1].particle_index[3]] = 0
    particles = dataclasses.replace(small.particles, weight=weight)
    context = context_of(small.series[1], particles, group)
    assert torch.equal(context.members[0].group, group[small.series[1].particle_index])
    assert context.members[0].use_particle.tolist() == [i != 3 for i in range(8)]
    assert context.members[0].border_angstrom == 20.0


@pytest.mark.parametrize(("ewald", "hand"), [("none", 0), ("normal", 1), ("reversed", -1)])
def test_hand_of_the_ewald_sphere_follows_that_of_depth(small, ewald, hand):
    group, _ = assign_groups(small, 0)
    species, series = Species("x", 160.0, "C1", ewald), small.series[0]
    for inverted, sign in ((False, 1), (True, -1)):
        geometry = dataclasses.replace(series.geometry, depth_inverted=inverted)
        context = context_of(dataclasses.replace(series, geometry=geometry), small.particles, group, species)
        assert context.members[0].hand_at(20.0) == sign * hand


def test_slices_are_flat_where_curvature_is_too_slight_to_matter(small):
    group, _ = assign_groups(small, 0)
    context = context_of(small.series[0], small.particles, group)
    assert context.members[0].hand_at(3.5) != 0  # twice the root of wavelength times diameter is 3.55 Å
    assert context.members[0].hand_at(3.6) == 0


def test_model_starts_from_the_table(small):
    series = small.series[1]
    model = model_of(series, small.particles, OPTIONS)
    rows = series.particle_index.numpy()
    where, _ = model.poses.at(model.poses.raw)
    np.testing.assert_allclose(where.detach().numpy(), small.particles.position_angstrom[rows, 0])
    assert model.block_list == []


def test_particles_may_be_given_several_poses(small):
    model = model_of(small.series[0], small.particles, {"poses": POSES | {"temporal_samples": 3}})
    assert model.poses.raw.shape == (8, 18)
    where, _ = model.poses.at(model.poses.raw)
    place = small.particles.position_angstrom[small.series[0].particle_index.numpy()]
    np.testing.assert_allclose(where.detach().numpy(), np.broadcast_to(place, where.shape))


def test_trajectories_are_followed_over_the_dose(small):
    table = small.particles
    step = np.array([6.0, 0.0, -3.0])
    moving = dataclasses.replace(
        table,
        position_angstrom=np.concatenate([table.position_angstrom, table.position_angstrom + step], 1),
        euler_deg=np.repeat(table.euler_deg, 2, 1),
    )
    series = small.series[0]
    model = model_of(series, moving, OPTIONS)
    where, _ = model.poses.at(model.poses.raw)
    assert where.shape == (8, series.geometry.tilts, 3)
    change = where.detach()[:, series.geometry.dose.argmax()] - where.detach()[:, series.geometry.dose.argmin()]
    np.testing.assert_allclose(change.numpy(), np.broadcast_to(step, (8, 3)), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", 0.0, "C1"), r"species\.diameter=0.*Å"),
        (("x", float("nan"), "C1"), r"species\.diameter"),
        (("x/y", 100.0, "C1"), r"species\.name"),
        (("x", 100.0, "K4"), "symmetry"),
        (("x", 100.0, "C1", "yes"), r"species\.ewald=yes.*normal, reversed"),
    ],
)
def test_impossible_molecules_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Species(*arguments)


@pytest.mark.parametrize(("diameter", "message"), [(20.0, "pixels"), (870.0, r"864 × 936 Å")])
def test_molecules_that_cannot_be_seen_are_refused(small, diameter, message):
    with pytest.raises(InputError, match=message):
        Species("x", diameter, "C1").check_against(small)


def test_molecules_that_can_be_seen_are_taken(small):
    assert Species("x", 150.0, "C1").check_against(small) is None


@pytest.mark.parametrize(
    "options",
    [
        {"image_warp": {"grid": [3]}},
        {"image_warp": {"grid": [0, 2]}},
        {"volume_warp": {"grid": [3, 3, 2]}},
        {"volume_warp": {"grid": [3, 3, 2, 1]}},
        {"poses": {"rotation_prior_deg": -1.0}},
        {"poses": {"rotation_prior_deg": [1.0, 2.0]}},
        {"poses": {"position_prior_angstrom": [1.0, 2.0, 0.0]}},
        {"poses": {"position_prior_angstrom": [1.0, None, 2.0]}},
        {"poses": {"temporal_samples": 0}},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match=rf"model\.{next(iter(options))}"):
        check_model_options(options)


def on_filaments(project):
    """Two filaments along x, side by side, with segments every 40 Å, and one particle elsewhere; in one series."""
    x = np.arange(8) * 40.0
    first = np.stack([x, np.zeros(8), np.zeros(8)], -1)
    position = np.concatenate([first, first + np.array([0, 60.0, 0]), [[900.0, 900.0, 0]]])
    euler = np.tile([[0.0, 90.0, 0.0]], (17, 1))  # the axis lies along x
    project = with_halves(project, [1, 2] * 8 + [1])
    particles = dataclasses.replace(project.particles, position_angstrom=position[:, None], euler_deg=euler[:, None])
    series = dataclasses.replace(project.series[0], particle_index=torch.arange(17))
    return dataclasses.replace(project, particles=particles, series=(series,))


def test_segments_that_show_the_same_units_stay_together(small):
    project, helix = on_filaments(small), Helix(5, 1.0, 10.0)
    pairs = neighbours_on_filaments(project, helix, 200.0)
    neighbours = {tuple(sorted(pair)) for pair in pairs.tolist()}
    assert neighbours == {(i, i + 1) for i in (*range(7), *range(8, 15))}
    number = filaments(pairs, 17)
    assert len(set(number.tolist())) == 3
    assert len(set(number[:8].tolist())) == len(set(number[8:16].tolist())) == 1
    assert not len(neighbours_on_filaments(project, Helix(3, 1.0, 10.0), 200.0))
    group, folds = assign_groups(project, 0, 2, torch.from_numpy(number))
    assert folds == 2
    for filament in (range(8), range(8, 16)):
        assert len({int(group[i]) for i in filament}) == 2  # one of each half set


def test_filaments_in_both_half_sets_are_warned_of(small, caplog):
    species = Species("x", 200.0, "C1", helical_units=5, helical_twist_deg=30.0, helical_rise_angstrom=10.0)
    together = group_filaments(on_filaments(small), species)
    assert together is not None
    assert "14 pairs of particles in different half sets show the same units" in caplog.text
    assert group_filaments(small, Species("x", 200.0, "C1")) is None


def test_a_helix_has_to_fit_into_the_diameter():
    with pytest.raises(InputError, match=r"helical_units=5.*at most 3"):
        Species("x", 160.0, "C1", helical_units=5, helical_rise_angstrom=50.0)
