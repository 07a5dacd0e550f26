"""Pixels of the tilt images of a series."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mlit.errors import InputError
from mlit.io.mrc import read_mrc, read_mrc_section
from mlit.project.project import SeriesInput


def load_tilt_images(series: SeriesInput, heed: Callable[[], None] = lambda: None) -> Float[Tensor, "tilt y x"]:
    """Read the averaged images as they are: no normalisation, contrast not inverted.

    ``heed`` is called before each image: what it raises ends the reading.

    Returns
    -------
    Float "tilt y x"
        float32. Tilts that are not in use are not read and stay zero.

    Raises
    ------
    InputError
        If an image is absent or damaged, has another size than its series or holds values that are not finite, or
        if all images are blank.
    """
    x, y = series.image_size_px
    images = torch.zeros((len(series.image_paths), y, x), dtype=torch.float32)
    used = series.use_tilt.nonzero().flatten().tolist()
    for tilt in used:
        heed()
        path = series.image_paths[tilt]
        section = None if series.image_sections is None else series.image_sections[tilt]
        image = read_mrc(path)[0] if section is None else read_mrc_section(path, section)
        if image.shape != (y, x):
            raise InputError(f"{path}: is no image of {x} × {y} px as the others of its series; average it again")
        broken = int((~np.isfinite(image)).sum())
        if broken:
            raise InputError(f"{path}: {broken} pixels are not finite; average it again or switch the tilt off")
        images[tilt] = torch.from_numpy(image)
    if all(images[tilt].min() == images[tilt].max() for tilt in used):
        raise InputError(f"{series.name}: every image is the same in all of its pixels; average them again")
    return images
