"""Batches that shrink until memory suffices."""

import logging

import pytest
import torch

from mlit.errors import InputError
from mlit.training import fit_batches
from mlit.training.fit_batches import LEAST_BYTES, FitBatches, enough_memory

MIB = 1 << 20
SHORTAGES = [
    torch.OutOfMemoryError("CUDA"),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
]


class Work:
    """Fails above a size."""

    def __init__(self, most, error):
        self.most, self.error, self.tried, self.undone = most, error, [], 0

    def __call__(self, at_once):
        self.tried.append(at_once)
        if at_once > self.most:
            raise self.error
        return "done"

    def undo(self):
        self.undone += 1


@pytest.mark.parametrize("error", SHORTAGES)
def test_batches_are_halved_until_they_fit_and_stay_so(error, caplog):
    batches, work = FitBatches(2048 * MIB), Work(300 * MIB, error)
    with caplog.at_level(logging.WARNING, "mlit"):
        assert batches.attempt("TS_1", 4096 * MIB, work, work.undo) == "done"
    assert work.tried == [2048 * MIB, 1024 * MIB, 512 * MIB, 256 * MIB]
    assert work.undone == 3
    assert [record.message for record in caplog.records] == [
        f"TS_1: memory ran out; trying again with batches of {size} MiB" for size in (1024, 512, 256)
    ]
    work.tried = []
    batches.attempt("TS_2", 4096 * MIB, work, work.undo)
    assert work.tried == [256 * MIB]


def test_sizes_that_would_change_nothing_are_left_out():
    batches, work = FitBatches(2048 * MIB), Work(300 * MIB, MemoryError())
    batches.attempt("TS_1", 400 * MIB, work, work.undo)
    assert work.tried == [2048 * MIB, 200 * MIB]


@pytest.mark.parametrize("error", SHORTAGES)
def test_outside_of_fits_it_is_said_in_one_line(error):
    with pytest.raises(InputError, match=r"^TS_1: memory ran out \(.*the same command goes on"), enough_memory("TS_1"):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("singular"), ValueError("out of memory"), KeyboardInterrupt()])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)), enough_memory("TS_1"):
        raise error


def test_what_fails_with_the_least_fails():
    batches, work = FitBatches(100 * MIB), Work(0, MemoryError())
    with pytest.raises(MemoryError):
        batches.attempt("TS_1", 100 * MIB, work, work.undo)
    assert work.tried == [100 * MIB, 50 * MIB, LEAST_BYTES]
    with pytest.raises(MemoryError):
        batches.attempt("TS_1", LEAST_BYTES // 2, work, work.undo)
    assert batches.at_once == fit_batches.LEAST_BYTES


def test_other_errors_are_none_of_it():
    batches, work = FitBatches(100 * MIB), Work(0, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape"):
        batches.attempt("TS_1", 100 * MIB, work, work.undo)
    assert work.tried == [100 * MIB]
    assert work.undone == 0
