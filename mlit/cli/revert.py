"""Bring a folder of results back to a commit."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from mlit.project.history import open_history

LOG = logging.getLogger("mlit")


def run(cfg: DictConfig) -> None:
    """Bring every tracked file back, byte by byte; what is not committed yet is committed first.

    Parameters
    ----------
    cfg
        The composed ``conf/revert.yaml``.

    Raises
    ------
    InputError
        If there is no such commit, or what it holds was tampered with; nothing has changed then.
    """
    folder = Path(cfg.history.folder)
    with open_history(folder) as history:
        commit = history.revert(str(cfg.history.to))
    LOG.info("%s is as in %s (%s)", folder, commit.short, commit.message)
