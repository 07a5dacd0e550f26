"""What differs between the devices that images can lie on.

Parameters, poses and all geometry stay on the CPU, in double precision. Images, references and sums, in single
precision, lie on the device of the run; what each image is looked at with goes there with every pass.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def exact_device(device: torch.device) -> torch.device:
    """Return where phases in double precision are computed for a device: on the CPU where it has none."""
    return torch.device("cpu") if device.type == "mps" else device


def cuda_indices(trainer: Mapping[str, Any]) -> list[int]:
    """Return the CUDA devices that the processes of a run use on this computer, given the options of its trainer.

    They are numbered as Lightning does it: a number is a count, a list names devices, and -1 and auto mean all of them.
    """
    if trainer["accelerator"] not in ("gpu", "cuda", "auto") or not torch.cuda.is_available():
        return []
    devices = trainer["devices"]
    if isinstance(devices, str) and devices != "auto":
        devices = [int(one) for one in devices.split(",") if one] if "," in devices else int(devices)
    if devices in ("auto", -1):
        devices = torch.cuda.device_count()
    return list(range(devices)) if isinstance(devices, int) else [int(one) for one in devices]


@contextmanager
def single_precision() -> Iterator[None]:
    """Hold a GPU to full single precision inside the block, in the layers of networks too.

    Matrix products have it by default; convolutions would round their factors to ten bits.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
