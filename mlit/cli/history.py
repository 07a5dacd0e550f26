"""List the commits of a folder of results, or make one."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from mlit.project.history import open_history

LOG = logging.getLogger("mlit")


def run(cfg: DictConfig) -> None:
    """Print every commit, what is not committed, and the disk use; with a message, commit first.

    Parameters
    ----------
    cfg
        The composed ``conf/history.yaml``.

    Raises
    ------
    InputError
        If there is no history, or it cannot be written.
    """
    message = cfg.history.message
    with open_history(Path(cfg.history.folder), make=message is not None) as history:
        if message is not None:
            history.commit(str(message))
        head = history.head
        for commit in history.commits():
            mark = "*" if commit == head else " "
            size = sum(content.size for content in commit.files.values())
            LOG.info(
                "%s %s  %s  %d files, %.1f MB  %s",
                *(mark, commit.short, commit.time[:19], len(commit.files), size / 1e6, commit.message),
            )
        changed = history.changed_files()
        LOG.info("not committed: %s", ", ".join(changed) if changed else "nothing")
        LOG.info("%s takes %.1f MB", history.store, history.size_bytes() / 1e6)
