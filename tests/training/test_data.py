import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mlit.io.mrc import read_mrc, write_mrc
from mlit.likelihood.tilt_images import weigh
from mlit.training.data import STORAGE, SeriesBatch, TiltSeriesDataModule, TiltSeriesDataset
from mlit.training.memory import Holding
from mlit.training.series_stream import AbandonedError


def dataset(project, cache_bytes, series=None):
    project = dataclasses.replace(project, series=tuple(series or project.series))
    return TiltSeriesDataset([project], 150.0, cache_bytes)


def test_images_are_normalised_and_their_noise_is_known(small):
    batch = dataset(small, 0)[1]
    assert batch.name == small.series[1].name
    assert batch.failure is None
    assert batch.images.pixels.shape == (7, 104, 96)
    torch.testing.assert_close(batch.images.pixels.mean((1, 2)), torch.zeros(7), atol=1e-3, rtol=0)
    torch.testing.assert_close(batch.images.pixels.std((1, 2)), torch.ones(7), atol=1e-2, rtol=0)
    assert batch.images.noise.min() > 0
    assert torch.equal(batch.images.dose, small.series[1].geometry.dose.float())


def test_images_are_kept_while_there_is_room(small):
    size = dataset(small, 0)[0].images.pixels.nbytes
    kept = dataset(small, size + 10)
    assert kept[0] is kept[0]
    assert kept[1] is not kept[1]
    assert torch.equal(kept[1].images.pixels, kept[1].images.pixels)


def test_fault_of_a_file_is_returned_and_tried_again(small):
    bad = dataclasses.replace(small.series[0], image_paths=(Path("nowhere.mrc"),) * 7)
    kept = dataset(small, 1 << 30, [bad, small.series[1]])
    assert kept[0].images is None
    assert "nowhere.mrc" in kept[0].failure
    assert kept[1].images is not None
    kept.series[0] = small.series[0]
    assert kept[0].images is not None


def test_unused_particles_do_not_measure_noise(small):
    rows = small.series[0].particle_index.numpy()
    weight, position = small.particles.weight.copy(), small.particles.position_angstrom.copy()
    weight[rows[0]] = 0.0
    first = dataset(dataclasses.replace(small, particles=dataclasses.replace(small.particles, weight=weight)), 0)[0]
    position[rows[0]] += 200.0
    moved = dataclasses.replace(small.particles, weight=weight, position_angstrom=position)
    second = dataset(dataclasses.replace(small, particles=moved), 0)[0]
    assert torch.equal(first.images.noise, second.images.noise)


def test_blank_tilts_and_shade_are_kept_out(small, tmp_path):
    paths = list(small.series[0].image_paths)
    for tilt, columns in ((2, 96), (3, 45)):
        image, pixel = read_mrc(paths[tilt])
        image = image.astype(np.float32)
        image[:, :columns] = image[:, :columns].mean()
        paths[tilt] = tmp_path / f"{tilt}.mrc"
        write_mrc(paths[tilt], image, pixel)
    spoilt = dataclasses.replace(small.series[0], image_paths=tuple(paths))
    images = dataset(small, 0, [spoilt])[0].images
    place = torch.tensor([[20.0, 500.0], [800.0, 500.0]]).double()[:, None].expand(-1, 7, 2)
    expected = torch.ones(2, 7, dtype=torch.bool)
    expected[:, 2] = expected[0, 3] = False
    assert torch.equal(images.lit(place), expected)
    light = images.pixels[3, :, 50:]
    assert float(light.std()) == pytest.approx(1, abs=0.05)
    assert not images.pixels[3, :, :40].any()
    clean = dataset(small, 0)[0].images
    torch.testing.assert_close(images.noise[3, 4:].mean(), clean.noise[3, 4:].mean(), rtol=0.3, atol=0)


def test_series_come_one_by_one_in_the_order_of_their_names(small):
    module = TiltSeriesDataModule([small], 150.0)
    assert [batch.name for batch in module.train_dataloader()] == [series.name for series in small.series]


@pytest.mark.parametrize("ahead", [False, True])
def test_series_read_ahead_are_those_read_in_turn_with_all_their_faults(small, ahead):
    bad = dataclasses.replace(small.series[0], image_paths=(Path("nowhere.mrc"),) * 7)
    project = dataclasses.replace(small, series=(small.series[1], bad, small.series[0]))
    size = dataset(small, 0)[1].images.pixels.nbytes
    module = TiltSeriesDataModule([project], 150.0, Holding(cache_bytes=size, ahead=ahead))
    expected = [dataset(project, 0)[index] for index in range(3)]
    for _ in range(2):  # the second time one of them is kept
        found = list(module.train_dataloader())
        assert [batch.failure for batch in found] == [batch.failure for batch in expected]
        for batch, other in zip(found, expected, strict=True):
            assert batch.name == other.name
            if batch.images is not None:
                assert torch.equal(batch.images.pixels, other.images.pixels)
                assert torch.equal(batch.images.noise, other.images.noise)
    assert list(module.dataset.cache) == [0]


def test_a_closed_module_reads_no_further_image(small, monkeypatch):
    module = TiltSeriesDataModule([small], 150.0, Holding(ahead=False))
    series = iter(module.train_dataloader())
    next(series)
    module.close()
    monkeypatch.setattr("mlit.project.images.read_mrc", lambda path: pytest.fail("it reads on"))
    with pytest.raises(AbandonedError):
        next(series)


@pytest.mark.parametrize(("name", "error"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_images_in_short_types_take_half_the_room(small, name, error):
    short, full = TiltSeriesDataset([small], 150.0, 1 << 30, STORAGE[name])[0].images, dataset(small, 0)[0].images
    assert short.pixels.nbytes == full.pixels.nbytes / 2
    assert torch.equal(short.noise, full.noise)
    assert float(((short.pixels.float() - full.pixels).abs() / full.pixels.abs().clamp(min=1e-3)).max()) <= error
    filtered, wanted = (weigh(images, 25.0).pixels for images in (short, full))
    assert filtered.dtype == torch.float32
    torch.testing.assert_close(filtered, wanted, rtol=0, atol=error * float(wanted.abs().max()))


def test_batches_move_between_devices(small):
    batch = dataset(small, 0)[0]
    moved = TiltSeriesDataModule([small], 150.0).transfer_batch_to_device(batch, torch.device("cpu"), 0)
    assert torch.equal(moved.images.pixels, batch.images.pixels)
    nothing = SeriesBatch("x", None, "why")
    assert nothing.to(torch.device("cpu")) is nothing
