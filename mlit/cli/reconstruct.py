"""Reconstruct half maps from a project as it stands."""

from omegaconf import DictConfig

from mlit.training import run as training


def run(cfg: DictConfig) -> None:
    """Reconstruct half maps from a project as it stands.

    Parameters
    ----------
    cfg
        The composed ``conf/reconstruct.yaml``.
    """
    training.reconstruct(cfg)
