"""Refine poses and deformations of tilt series together."""

from omegaconf import DictConfig

from mlit.training import run as training


def run(cfg: DictConfig) -> None:
    """Refine poses and deformations of tilt series together.

    Parameters
    ----------
    cfg
        The composed ``conf/refine.yaml``.
    """
    training.refine(cfg)
