"""Reconstruct half maps from a project as it stands."""

from omegaconf import DictConfig

from mlit.cli import refine


def run(cfg: DictConfig) -> None:
    """Reconstruct half maps from a project as it stands: a refinement without iterations.

    Parameters
    ----------
    cfg
        The composed ``conf/reconstruct.yaml``.
    """
    refine.run(cfg)
