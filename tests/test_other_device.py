"""The other device of the tests is as strict as a GPU."""

import pytest
import torch

from tests.other_device import OTHER, other_device


def test_tensors_meet_only_on_one_device():
    with other_device() as device:
        here, there = torch.ones(3), torch.ones(3).to(device)
        with pytest.raises(RuntimeError, match="same device"):
            _ = here + there
        with pytest.raises(RuntimeError):
            there.numpy()
        assert torch.equal((here.to(device) + there).cpu(), torch.full((3,), 2.0))


def test_numbers_and_places_may_come_from_the_cpu():
    with other_device() as device:
        there = torch.arange(4.0, device=device)
        assert (there * torch.tensor(2.0))[torch.tensor([1, 3])].tolist() == [2.0, 6.0]
        there[torch.tensor([0])] = there[3:].clone()
        assert there.tolist() == [3.0, 1.0, 2.0, 3.0]
        with pytest.raises(RuntimeError, match="same device"):
            there[torch.tensor([0, 1])] = torch.ones(2)


def test_results_stay_there():
    with other_device() as device:
        wave = torch.fft.rfft(torch.arange(4.0).to(device)).conj()
        assert wave.device == wave.real.sum().device == OTHER
        assert torch.equal(wave.cpu(), torch.fft.rfft(torch.arange(4.0)).conj())
        wave += 1
        assert wave.device == OTHER
        assert wave.real.to(torch.zeros(1)).device == torch.device("cpu")
