"""The denoiser on files, and in a refinement."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mlit.cli.composer import Composer
from mlit.denoising.module import MapDenoiser
from mlit.denoising.settings import DenoiserSettings
from mlit.errors import InputError
from mlit.io.mrc import read_mrc, write_mrc
from mlit.io.network_weights import write_weights
from mlit.training import run as training
from mlit.training.denoise_run import denoise_files, load_denoiser, make_denoiser, save_denoiser

TINY = DenoiserSettings(width=4, patch=16, steps=3, fine_tune_steps=2)
WORDS = [f"denoiser.network.{key}" for key in ("width=4", "depth=0", "patch=16", "steps=6", "fine_tune_steps=2")]


def denoise_config(*words):
    composer = Composer("denoise")
    with composer.ready():
        return OmegaConf.create(composer.compose([*WORDS, *words]).values)


def pair(folder, shape=(32, 32, 32), pixel=6.0):
    """Two noisy files of one density."""
    generator = np.random.default_rng(1)
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    density = np.exp(-sum((a * pixel / 30) ** 2 for a in axes)) * (1 + np.cos(axes[0] * pixel / 4))
    paths = [folder / "a.mrc", folder / "b.mrc"]
    for path in paths:
        write_mrc(path, density + generator.normal(0, 0.1, shape), pixel)
    return paths


def words(folder, *more):
    a, b = pair(folder)
    return [f"denoise.half_maps=[{a},{b}]", f"output={folder / 'out'}", *more]


def test_half_maps_in_files(tmp_path):
    denoise_files(denoise_config(*words(tmp_path)))
    output = tmp_path / "out"
    average, pixel = read_mrc(output / "denoised.mrc")
    halves = [read_mrc(output / f"denoised_half{number}.mrc")[0] for number in (1, 2)]
    assert pixel == pytest.approx(6.0)
    np.testing.assert_allclose(average, (halves[0] + halves[1]) / 2, atol=1e-6)
    raw = (read_mrc(tmp_path / "a.mrc")[0] + read_mrc(tmp_path / "b.mrc")[0]) / 2
    assert np.corrcoef(average.ravel(), raw.ravel())[0, 1] > 0.5
    summary = json.loads((output / "summary.json").read_text())
    assert summary["correlation_gain"] > 0.9
    assert (output / "denoiser_gain.csv").read_text().startswith("resolution_angstrom,share_taken,correlation_gain\n")
    assert (output / "fsc.star").is_file()


def test_given_weights_are_applied_or_trained_further(tmp_path):
    given = words(tmp_path)
    denoise_files(denoise_config(*given))
    first = read_mrc(tmp_path / "out" / "denoised.mrc")[0]
    weights = f"denoise.weights={tmp_path / 'out' / 'denoiser_weights.pt'}"
    settings = make_denoiser(denoise_config(*given)).settings
    assert int(load_denoiser(tmp_path / "out" / "denoiser_weights.pt", settings).steps_done) == 6

    def again(name, train):
        denoise_files(denoise_config(*given, weights, f"output={tmp_path / name}", f"denoise.train={train}"))
        steps = load_denoiser(tmp_path / name / "denoiser_weights.pt", settings).steps_done
        return read_mrc(tmp_path / name / "denoised.mrc")[0], int(steps)

    same, steps = again("same", "false")
    np.testing.assert_allclose(same, first, atol=1e-5 * np.abs(first).max())
    assert steps == 6
    assert again("more", "true")[1] == 8


def test_half_tomograms_of_any_shape(tmp_path):
    a, b = pair(tmp_path, (20, 44, 30))
    denoise_files(
        denoise_config(f"denoise.half_maps=[{a},{b}]", f"output={tmp_path / 'out'}", "denoise.kind=tomograms")
    )
    halves = [read_mrc(tmp_path / "out" / f"denoised_half{number}.mrc")[0] for number in (1, 2)]
    raw = [read_mrc(path)[0] for path in (a, b)]
    assert halves[0].shape == (20, 44, 30)
    for denoised, before in zip(halves, raw, strict=True):
        assert 0.9 < np.corrcoef(denoised.ravel(), before.ravel())[0, 1] < 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["denoiser=wiener"], "denoiser=unet"),
        (["denoise.train=false"], "denoise.weights"),
        (["denoise.half_maps=[only.mrc]"], "give two files"),
        (["denoise.kind=images"], "maps or tomograms"),
        (["denoiser.network.width=0"], r"network\.width=0"),
        (["denoiser.network.depth=9"], "too large"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, more, message):
    composer = Composer("denoise")
    chosen = [*words(tmp_path), *more]
    with composer.ready(), pytest.raises(InputError, match=message):
        denoise_files(OmegaConf.create(composer.compose(chosen).values))


def test_files_that_are_no_pair_are_refused(tmp_path):
    a, b = pair(tmp_path)
    same = denoise_config(f"denoise.half_maps=[{a},{a}]", f"output={tmp_path / 'out'}")
    with pytest.raises(InputError, match="the same map"):
        denoise_files(same)
    write_mrc(b, np.ones((32, 32, 30)), 6.0)
    with pytest.raises(InputError, match="differ in shape"):
        denoise_files(denoise_config(f"denoise.half_maps=[{a},{b}]", f"output={tmp_path / 'out'}"))


def test_input_is_never_overwritten(tmp_path):
    a, b = pair(tmp_path)
    a = a.rename(tmp_path / "denoised_half1.mrc")
    with pytest.raises(InputError, match="would be overwritten"):
        denoise_files(denoise_config(f"denoise.half_maps=[{a},{b}]", f"output={tmp_path}"))


def test_weights_of_another_size_than_their_settings_are_refused(tmp_path):
    path = tmp_path / "denoiser_weights.pt"
    denoiser = MapDenoiser(TINY)
    save_denoiser(path, denoiser)
    other = DenoiserSettings(width=8, depth=2, steps=9)
    loaded = load_denoiser(path, other)
    assert (loaded.settings.width, loaded.settings.depth, loaded.settings.steps) == (4, TINY.depth, 9)
    for name, value in denoiser.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    for settings in ({"width": 5, "depth": 1}, {"width": 4}, {"width": 10**6, "depth": 9}):
        write_weights(path, settings, denoiser.state_dict())
        with pytest.raises(InputError, match="do not belong together"):
            load_denoiser(path, other)


UNET = ("denoiser=unet", *WORDS, "references.shared_resolution_angstrom=0")
TWICE = (
    "schedule.iterations=[{resolution_angstrom: 25, blocks: [poses, image_warp]}, "
    "{resolution_angstrom: 20, blocks: [poses, image_warp]}]"
)


def refined(cfg):
    training.refine(cfg)
    output = Path(cfg.output)
    maps = [read_mrc(output / "particle" / name)[0] for name in ("map.mrc", "map_denoised.mrc")]
    return *maps, json.loads((output / "summary.json").read_text())["species"]["particle"]["denoiser"]


def test_a_resumed_run_is_the_same(config, tmp_path, monkeypatch):
    """Stopped after the first iteration, the second one starts from the same references and the same network."""
    whole = refined(config(TWICE, *UNET, f"output={tmp_path / 'whole'}"))
    cut = config(TWICE, *UNET, f"output={tmp_path / 'cut'}")
    epochs = []

    def stop(module):
        epochs.append(module.current_epoch)
        if module.current_epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        original = training.RefinementModule.on_train_epoch_start
        patch.setattr(training.RefinementModule, "on_train_epoch_start", lambda self: (stop(self), original(self))[1])
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            training.refine(cut)
    assert epochs == [0, 1, 2]
    again = refined(cut)
    np.testing.assert_allclose(again[0], whole[0], atol=1e-5 * np.abs(whole[0]).max())
    np.testing.assert_allclose(again[1], whole[1], atol=1e-5 * np.abs(whole[1]).max())
    assert again[2] == pytest.approx(whole[2], rel=1e-3)
    weights = [load_denoiser(tmp_path / run / "particle" / "denoiser_weights.pt", TINY) for run in ("whole", "cut")]
    assert [int(denoiser.steps_done) for denoiser in weights] == [6 + 2] * 2  # after epochs 0 and 1
    assert set(whole[2]) == {"correlation_gain", "share_taken"}


def test_settings_without_a_config_are_those_of_the_config():
    composer = Composer("denoise")
    with composer.ready():
        shipped = OmegaConf.create(composer.compose([]).values)
    denoiser = make_denoiser(shipped)
    assert denoiser is not None
    assert denoiser.settings == DenoiserSettings()
