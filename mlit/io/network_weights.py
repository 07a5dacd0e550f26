"""Weights of a network in a file, with the settings that it was made with.

Files are read by PyTorch's restricted unpickler, which makes tensors and plain values and runs nothing.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mlit.errors import InputError
from mlit.io.tensor_file import write_tensors

FORMAT = "mlit map denoiser, version 1"
Weights = dict[str, Tensor]


def write_weights(path: Path, settings: Mapping[str, float], state: Mapping[str, Tensor]) -> None:
    """Write weights and settings; the file appears only when it is complete."""
    content = {"format": FORMAT, "settings": dict(settings), "state": {k: v.cpu() for k, v in state.items()}}
    write_tensors(path, content)


def read_weights(path: Path) -> tuple[dict[str, float], Weights]:
    """Read what `write_weights` wrote.

    Raises
    ------
    InputError
        If the file is absent, damaged, made by something else, or holds anything but numbers.
    """
    if not path.is_file():
        raise InputError(f"{path}: file of weights not found; check the path")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes the unpickler stumble over
        raise InputError(
            f"{path}: holds no weights of mlit, or is damaged; give a denoiser_weights.pt of mlit"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: holds no weights of mlit's denoiser; give a denoiser_weights.pt")
    settings: Any = content.get("settings")
    state: Any = content.get("state")
    if not (_all(settings, int | float) and _all(state, Tensor)):
        raise InputError(f"{path}: weights or settings are damaged; train the denoiser anew")
    finite = all(math.isfinite(v) for v in settings.values()) and all(bool(v.isfinite().all()) for v in state.values())
    if not finite:
        raise InputError(f"{path}: holds values that are not finite; train the denoiser anew")
    return settings, state


def _all(values: Any, kind: Any) -> bool:
    """Whether something is a mapping from names to values of a kind."""
    return isinstance(values, dict) and all(isinstance(k, str) and isinstance(v, kind) for k, v in values.items())
