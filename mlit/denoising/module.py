"""The denoiser as a LightningModule."""

from typing import Any

import lightning
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlit.denoising.loss import piecewise_gradients
from mlit.denoising.network import ResidualUNet
from mlit.denoising.patches import Patches
from mlit.denoising.settings import DenoiserSettings
from mlit.denoising.tiling import correct


class MapDenoiser(lightning.LightningModule):
    """A network that predicts one half map from the other, and thereby what both have in common.

    Noise that two maps do not share cannot be predicted, so the best prediction of one noisy map from the other is
    the density itself, as far as it can be known (Lehtinen et al. 2018).

    Parameters
    ----------
    settings
        Size of the network, and how it learns.
    """

    def __init__(self, settings: DenoiserSettings) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self.network = ResidualUNet(self.settings.width, self.settings.depth)
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))
        self.losses: list[float] = []

    @property
    def is_trained(self) -> bool:
        """Whether it has seen anything yet."""
        return int(self.steps_done) > 0

    def forward(self, volumes: Float[Tensor, "map z y x"]) -> Float[Tensor, "map z y x"]:
        """Add to maps what the network makes of them."""
        return volumes + correct(self.network, volumes, self.settings.tile)

    def configure_optimizers(self) -> Any:
        """Adam, its rate falling exponentially from the first step to the last; wide layers take smaller steps."""
        rate = self.settings.first_rate(self.is_trained)
        layers = [layer for layer in self.network.modules() if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d)]
        groups = [
            {"params": list(layer.parameters()), "lr": rate * min(1.0, self.settings.width / layer.in_channels)}
            for layer in layers
        ]
        optimizer = torch.optim.Adam(groups, weight_decay=1e-4)
        decay = self.settings.decay_per_step(self.is_trained)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)]

    def training_step(self, batch: Patches, batch_idx: int) -> None:
        """Learn from one batch of patches."""
        optimizer: Any = self.optimizers()
        loss, gradients = piecewise_gradients(self.network, batch)
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.clip_gradients(optimizer, gradient_clip_val=self.settings.largest_gradient, gradient_clip_algorithm="norm")
        optimizer.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        self.losses.append(loss)

    def transfer_batch_to_device(self, batch: Patches, device: torch.device, dataloader_idx: int) -> Patches:
        """Patches are cut where the maps lie, which is there already."""
        return batch

    def on_train_end(self) -> None:
        """Count what was done."""
        self.steps_done += len(self.losses)
