"""Which devices a run uses."""

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator

from mlit.devices import cuda_indices
from mlit.training import memory_here
from mlit.training.memory_plan import processes_here


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (1, [0]),
        (3, [0, 1, 2]),
        ("2", [0, 1]),
        (-1, [0, 1, 2, 3]),
        ("-1", [0, 1, 2, 3]),
        ("auto", [0, 1, 2, 3]),
        ([1, 3], [1, 3]),
        ("1,3", [1, 3]),
        ("2,", [2]),
    ],
)
def test_devices_are_counted_as_lightning_does(four_gpus, devices, expected):
    assert cuda_indices({"accelerator": "gpu", "devices": devices}) == expected
    if devices != "auto":
        assert CUDAAccelerator.parse_devices(devices) == expected


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "auto"])
def test_every_name_of_the_accelerator_counts(four_gpus, accelerator):
    assert cuda_indices({"accelerator": accelerator, "devices": 1}) == [0]
    assert cuda_indices({"accelerator": "cpu", "devices": 1}) == []


def test_there_are_none_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda_indices({"accelerator": "gpu", "devices": -1}) == []
    assert memory_here.free_gpu_memory({"accelerator": "gpu", "devices": 1}) is None


def test_a_process_asks_its_own_gpu_alone(four_gpus, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (asked.append(index), (100 + index, 1000))[1])
    trainer = {"accelerator": "gpu", "devices": [1, 3]}
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert memory_here.free_gpu_memory(trainer) == 101
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert memory_here.free_gpu_memory(trainer) == 103
    assert asked == [1, 3]
    assert processes_here(trainer) == 2
