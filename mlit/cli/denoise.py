"""Train and apply the network that denoises maps."""

from omegaconf import DictConfig

from mlit.training.denoise_run import denoise_files


def run(cfg: DictConfig) -> None:
    """Train the network on two half maps or half tomograms, and denoise them.

    Parameters
    ----------
    cfg
        The composed ``conf/denoise.yaml``.
    """
    denoise_files(cfg)
