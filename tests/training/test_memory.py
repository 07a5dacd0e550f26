"""Memory of a run, foretold and measured."""

import dataclasses
import subprocess
import sys

import pytest

from mlit.training import memory
from mlit.training.memory import USUAL, RunSize, estimate_memory

SMALL = RunSize(1 << 25, 1 << 25, 1 << 26, 2000, 112, 8, 5.0, 320.0, fits=True)

MEASURE = """
import sys
from mlit.benchmark.clock import peak_memory_mib
from mlit.fourier.insertion import FourierSums
from mlit.geometry.map_symmetry import Symmetry
from mlit.maps.references import ReferenceSettings, half_maps, reference_maps
from mlit.parallel import one_thread_each, reuse_memory

reuse_memory()
box, fits = int(sys.argv[1]), sys.argv[2] == "fits"
symmetry, settings = Symmetry.named("D2"), ReferenceSettings(box / 2)
sums = FourierSums.zeros(4 if fits else 2, box, 1.0, 2.0)
sums.rows.normal_()
sums.rows[..., 2].abs_().add_(1)
before = peak_memory_mib()
with one_thread_each():
    halves = half_maps(sums, symmetry, settings)
    if fits:
        reference_maps(sums, halves, symmetry, settings)
print(peak_memory_mib() - before)
"""


@pytest.mark.parametrize("what", ["fits", "maps"])
def test_maps_are_made_in_the_memory_foretold(what):
    box = 160
    estimate = estimate_memory(dataclasses.replace(SMALL, box=box, fits=what == "fits"))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(box), what], capture_output=True, text=True, check=True)
    # the two halves are made side by side, and may or may not need most at the same moment
    measured = float(done.stdout) * 2**20
    assert memory.LEAST_SHARE_OF_COPIES * estimate.maps < measured < 1.1 * estimate.maps


DENOISE = """
import sys
import torch
from mlit.benchmark.clock import peak_memory_mib
from mlit.denoising.half_maps import denoise
from mlit.denoising.module import MapDenoiser
from mlit.denoising.settings import DenoiserSettings
from mlit.geometry.map_symmetry import NO_SYMMETRY
from mlit.maps.fsc import FscCurves
from mlit.maps.mask import MaskResult, spherical_mask
from mlit.maps.references import HalfMaps
from mlit.parallel import one_thread_each, reuse_memory

reuse_memory()
tight, groups = int(sys.argv[1]), int(sys.argv[2])
first = torch.randn(tight, tight, tight)
second = first + 0.3 * torch.randn(tight, tight, tight)
one = torch.ones(tight // 2 + 1, dtype=torch.float64)
frequency = torch.arange(tight // 2 + 1, dtype=torch.float64) / tight
curves = FscCurves(frequency, *[0.9 * one] * 4)
halves = HalfMaps(first, second, 1.0, MaskResult(torch.ones_like(first), "density", 0.5), curves, 2.1, 0.5)
volumes = torch.stack([first, second]).repeat_interleave(groups // 2, 0)
before = peak_memory_mib()
with one_thread_each():
    denoise(MapDenoiser(DenoiserSettings(steps=2)), volumes, halves, NO_SYMMETRY, 40.0)
print(peak_memory_mib() - before)
"""


@pytest.mark.parametrize(("tight", "groups"), [(112, 8), (144, 8)])
def test_maps_are_denoised_in_the_memory_foretold(tight, groups):
    size = dataclasses.replace(SMALL, box=tight, groups=groups, tight_angstrom=5.0 * tight, network=True)
    foretold = estimate_memory(size).network + memory.NETWORK_BYTES
    words = [sys.executable, "-c", DENOISE, str(tight), str(groups)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 0.5 * foretold < float(done.stdout) * 2**20 < 1.1 * foretold


def test_everything_larger_takes_more():
    least = estimate_memory(SMALL).peak
    for field in dataclasses.fields(RunSize):
        if field.type in (int, "int"):
            more = dataclasses.replace(SMALL, **{field.name: 4 * getattr(SMALL, field.name)})
            assert estimate_memory(more).peak > least, field.name


def test_images_of_fits_are_bounded():
    """Beyond two batches they are cut anew."""
    many = dataclasses.replace(SMALL, particle_images=10**6)
    assert estimate_memory(many).fit == estimate_memory(dataclasses.replace(SMALL, particle_images=10**7)).fit
    smaller = estimate_memory(many, dataclasses.replace(USUAL, batch_bytes=USUAL.batch_bytes // 2))
    assert estimate_memory(many).fit - smaller.fit == USUAL.batch_bytes


def test_reading_ahead_takes_another_series_as_read_and_normalised():
    in_turn = estimate_memory(SMALL, dataclasses.replace(USUAL, ahead=False))
    assert estimate_memory(SMALL).peak - in_turn.peak == 2 * SMALL.series_bytes


def test_reconstruction_takes_no_fit():
    estimate = estimate_memory(dataclasses.replace(SMALL, fits=False))
    assert estimate.fit == 0
    assert estimate.maps < estimate_memory(SMALL).maps


def test_size_of_a_project_is_that_of_its_largest_series(small):
    size = RunSize.of(small, 64, 4, 8.0, 200.0, fits=True)
    series = small.series[0]
    assert size.particle_images == max(len(s.particle_index) * int(s.use_tilt.sum()) for s in small.series)
    width, height = series.image_size_px
    assert size.series_bytes >= 4 * int(series.use_tilt.sum()) * width * height
    assert size.all_series_bytes >= size.series_bytes


@pytest.mark.parametrize("what", [{"box": 400}, {"groups": 64}, {"series_bytes": 1 << 33}])
def test_the_least_grows_with_the_run_and_stays_below_the_most(what):
    small, large = estimate_memory(SMALL), estimate_memory(dataclasses.replace(SMALL, **what))
    assert 0 < small.least < large.least < large.peak
