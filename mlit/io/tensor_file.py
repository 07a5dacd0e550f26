"""Files of tensors and plain values."""

from pathlib import Path
from typing import Any

import torch

from mlit.io.atomic import atomic_write


def write_tensors(path: Path, values: Any) -> None:
    """Write values that :func:`torch.load` reads back; the file appears complete or not at all.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    # Given a path, torch.save would put its name into the file, and say nothing of why it fails.
    with atomic_write(path) as partial, partial.open("wb") as stream:
        try:
            torch.save(values, stream)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
