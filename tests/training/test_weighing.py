"""Weights in the course of a run: when they are estimated, used, kept and taken up again."""

import dataclasses

import pytest
import torch

from mlit.errors import InputError
from mlit.training.assembly import make_module
from mlit.training.data import TiltSeriesDataModule
from mlit.training.run import fit
from mlit.training.weighing import Weighing, make_request

WEIGH = "{resolution_angstrom: 25, blocks: [], weights: true}"
PLAIN = "{resolution_angstrom: 25, blocks: []}"


def run(project, cfg):
    module = make_module([project], cfg)
    fit(module, TiltSeriesDataModule([project], cfg.species.diameter), cfg)
    return module


@pytest.fixture(scope="module")
def known(small):
    """The project with a tilt that is not used."""
    used = small.series[0].use_tilt.clone()
    used[1] = False
    return dataclasses.replace(small, series=(dataclasses.replace(small.series[0], use_tilt=used), small.series[1]))


def test_weights_are_those_of_the_next_iteration_and_survive_an_interruption(known, config):
    """Nothing moves meanwhile; nor are the half maps brought to a common frame, which would move all particles."""
    cfg = config(f"schedule.iterations=[{WEIGH},{PLAIN}]")
    module, fresh = run(known, cfg), make_module([known], cfg)
    assert set(module.weighing.found) == set(module.names)
    assert module.weighing.signals == {}
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    fresh.on_load_checkpoint(checkpoint)
    for name in module.names:
        context, found = module.contexts[name], module.weighing.found[name]
        assert context.weights is found.weights
        expected = found.weights.series_amplitude * found.weights.tilt_amplitude
        torch.testing.assert_close(context.amplitude_prior, expected.where(context.use_tilt, 0))
        torch.testing.assert_close(module.records[name].relative_amplitude(context), context.amplitude_prior)
        torch.testing.assert_close(fresh.contexts[name].amplitude_prior, context.amplitude_prior)
        assert torch.equal(fresh.weighing.found[name].errors.tilt_amplitude, found.errors.tilt_amplitude)
        poses, start = module.model(name).poses, fresh.model(name).poses
        assert not poses.raw.any()
        for now, then in zip(poses.at_samples(poses.raw), start.at_samples(start.raw), strict=True):
            assert torch.equal(now, then)
    amplitude = module.contexts[known.series[0].name].amplitude_prior
    assert amplitude[1] == 0
    assert bool((amplitude[2:] > 0).all())


def test_maps_change_with_the_weights_and_only_then(small, config, tmp_path):
    with_weights = run(small, config(f"schedule.iterations=[{WEIGH},{PLAIN}]"))
    without = run(small, config(f"schedule.iterations=[{PLAIN}]", f"output={tmp_path}/other"))
    assert without.weighing.found == {}
    assert not torch.allclose(
        with_weights.molecules[0].maps.halves.first, without.molecules[0].maps.halves.first, rtol=1e-3
    )


def test_requests_are_checked():
    assert make_request(True, False, None, False).cells.count == 1
    assert make_request(True, False, [3, 2], True).cells.shape == (4, 2)
    with pytest.raises(InputError, match="at least 2 each"):
        make_request(True, True, [3, 1], False)


def test_nothing_gathered_gives_no_weights():
    weighing = Weighing(make_request(True, True, None, False))
    weighing.estimate(20.0)
    assert weighing.found == {}
