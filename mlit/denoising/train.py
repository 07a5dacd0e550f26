"""Train a denoiser on pairs of maps."""

import logging
import warnings

import lightning
import torch

from mlit.denoising.module import MapDenoiser
from mlit.denoising.patches import Pairs, PatchStream
from mlit.parallel import one_thread_each


def train(denoiser: MapDenoiser, pairs: Pairs) -> None:
    """Train a fresh denoiser, or train it further; in place.

    Parameters
    ----------
    denoiser
        Ends on the device of the maps.
    pairs
        Maps of zero mean and a spread of about one.
    """
    settings, device = denoiser.settings, pairs.weight.device
    steps = settings.steps_to_do(denoiser.is_trained)
    denoiser.losses.clear()
    if steps == 0:
        return
    seed = settings.seed + int(denoiser.steps_done)
    stream = PatchStream(pairs, settings.patch, settings.batch, steps, seed)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=1,
        barebones=True,
    )
    with warnings.catch_warnings(), one_thread_each(), torch.enable_grad():
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        trainer.fit(denoiser, stream)
    denoiser.to(device)
