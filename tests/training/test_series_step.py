import dataclasses

import pytest
import torch

from mlit.deformation.local_coordinates import View
from mlit.fourier.insertion import FourierSums
from mlit.fourier.slices import ReferenceTable
from mlit.likelihood.shade import Shade
from mlit.optim.solvers import GaussNewton
from mlit.training import series_step
from mlit.training.assembly import make_module
from mlit.training.data import TiltSeriesDataset
from mlit.training.fit_batches import USUAL_BYTES
from mlit.training.series_step import Members, Target, add_to_maps, relative_amplitude
from tests.brute_force import no_aberrations


@pytest.fixture
def parts(small, config):
    module = make_module([small], config())
    name = small.series[0].name
    images = TiltSeriesDataset([small], 150.0, 0)[0].images
    return module.model(name), module.contexts[name], images


def test_visible_are_used_particles_in_used_tilts_away_from_the_rim(parts):
    context = parts[1]
    tilts = len(context.use_tilt)
    context = dataclasses.replace(
        context,
        use_tilt=torch.arange(tilts) != 1,
        members=(
            Members(torch.zeros(2, dtype=torch.long), torch.tensor([True, True]), 20.0),
            Members(torch.zeros(1, dtype=torch.long), torch.tensor([False]), 30.0),
        ),
    )
    xy = torch.full((3, tilts, 2), 100.0, dtype=torch.float64)
    xy[0, 2] = torch.tensor([19.0, 100.0])
    xy[0, 3] = torch.tensor([100.0, 381.0])
    xy[1, 4] = torch.tensor([20.5, 379.5])
    view = View(xy, torch.eye(3, dtype=torch.float64).expand(3, tilts, 3, 3), xy[..., 0], no_aberrations(tilts))
    expected = torch.ones(3, tilts, dtype=torch.bool)
    expected[:, 1] = expected[2] = expected[0, 2] = expected[0, 3] = False
    assert torch.equal(context.visible(view, torch.tensor([400.0, 400.0], dtype=torch.float64)), expected)


def test_relative_amplitude_keeps_ratios_and_loses_the_scale():
    prior = torch.tensor([1.0, 0.5, 0.0, 0.8], dtype=torch.float64)
    uneven = torch.tensor([1.2, 0.4, 0.0, 0.8], dtype=torch.float64)
    result = relative_amplitude(uneven * 0.03, prior)
    torch.testing.assert_close(result / result[0], uneven / uneven[0])
    torch.testing.assert_close((result[prior > 0] / prior[prior > 0]).square().mean(), torch.tensor(1.0).double())
    torch.testing.assert_close(relative_amplitude(prior * 7, prior), prior)


def test_no_signal_at_all_gives_finite_amplitudes():
    prior = torch.tensor([1.0, 0.5], dtype=torch.float64)
    assert torch.equal(relative_amplitude(torch.zeros_like(prior), prior), torch.zeros_like(prior))


def sums_of(parts, amplitude=None, weight=None):
    model, context, images = parts
    sums = FourierSums.zeros(int(context.members[0].group.max()) + 1, 32, 9.0, 18.0)
    amplitude = context.amplitude_prior if amplitude is None else amplitude
    weight = torch.ones(len(context.members[0].group), len(amplitude)) if weight is None else weight
    add_to_maps(sums, model, images, context, 0, amplitude, weight, 288.0)
    return sums.rows


def test_inserting_a_few_particles_at_a_time_changes_nothing(parts, monkeypatch):
    whole = sums_of(parts)
    assert whole.abs().max() > 0
    monkeypatch.setattr(series_step, "BYTES_PER_INSERTION", 1)
    torch.testing.assert_close(sums_of(parts), whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))


def test_fitting_a_few_particles_at_a_time_changes_nothing(parts):
    model, context, images = parts
    start = {name: value.clone() for name, value in model.state_dict().items()}
    volume = torch.zeros(16, 16, 16)
    volume[6:10, 5:9, 7:12] = 1.0
    table = ReferenceTable.from_maps(volume.expand(int(context.members[0].group.max()) + 1, -1, -1, -1), 9.0)
    model.activate(["poses", "image_warp", "defocus"])
    ends = []
    for limit in (USUAL_BYTES, 1):
        model.load_state_dict(start)
        found = series_step.fit(model, images, context, [Target(table, 144.0, 25.0)], GaussNewton(2), batch_bytes=limit)
        assert found.posterior is not None
        ends.append((model.poses.raw.detach().clone(), found.posterior.hyper_error, found.outcome.end))
    (poses, errors, value), (again, errors_again, value_again) = ends
    assert poses.abs().max() > 0.05
    torch.testing.assert_close(again, poses, rtol=0, atol=0.02)
    torch.testing.assert_close(errors_again, errors, rtol=0.02, atol=0)
    assert value_again == pytest.approx(value, rel=0.01)


def test_tilts_of_no_amplitude_leave_the_maps_alone(parts):
    amplitude = torch.zeros_like(parts[1].amplitude_prior)
    assert not sums_of(parts, amplitude).any()


def test_shade_leaves_images_out_of_the_maps_as_unused_tilts_are(parts):
    model, context, images = parts
    tiles = torch.zeros(len(context.use_tilt), 1, 1, dtype=torch.bool)
    tiles[2] = True
    shaded = model, context, dataclasses.replace(images, shade=Shade(tiles, 96))
    unused = model, dataclasses.replace(context, use_tilt=context.use_tilt & ~tiles.flatten()), images
    assert torch.equal(sums_of(shaded), sums_of(unused))
    assert not torch.equal(sums_of(shaded), sums_of(parts))


def test_particles_count_in_the_maps_by_their_weight(parts):
    model, context, images = parts
    (members,) = context.members
    chosen = torch.arange(len(members.use_particle)) % 3 == 0
    weight = chosen.double()[:, None].expand(-1, len(context.use_tilt))
    alone = model, dataclasses.replace(context, members=(dataclasses.replace(members, use_particle=chosen),)), images
    expected = sums_of(alone)
    torch.testing.assert_close(
        sums_of(parts, weight=weight / 4), expected / 4, rtol=0.01, atol=1e-3 * float(expected.std())
    )
