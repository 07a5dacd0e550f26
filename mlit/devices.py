"""What differs between the devices that images can lie on.

Parameters, poses and all geometry stay on the CPU, in double precision. Images, references and sums, in single
precision, lie on the device of the run; what each image is looked at with goes there with every pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def exact_device(device: torch.device) -> torch.device:
    """Return where phases in double precision are computed for a device: on the CPU where it has none."""
    return torch.device("cpu") if device.type == "mps" else device


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
