"""Where a benchmark computes, and by which clock."""

import time

import pytest
import torch

from mlit.benchmark.clock import CPU, clock_of, device_of, peak_memory_mib
from mlit.errors import InputError


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps"])
def test_no_benchmark_of_a_gpu_runs_on_the_cpu_instead(monkeypatch, accelerator):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"trainer.accelerator={accelerator}.*trainer=cpu"):
        device_of({"accelerator": accelerator, "devices": 1})
    assert device_of({"accelerator": "cpu", "devices": 1}) == CPU


def test_it_computes_on_the_first_gpu_of_the_run(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of({"accelerator": "gpu", "devices": [2, 3]}) == torch.device("cuda", 2)


def test_waiting_takes_no_time_of_the_cores():
    now = clock_of(CPU)
    before = now()
    time.sleep(0.2)
    assert now() - before < 0.1


def test_the_peak_of_memory_stays():
    before = peak_memory_mib()
    torch.ones(1 << 26).sum()  # 256 MiB
    assert peak_memory_mib() >= max(before, 256)
