"""Rebuild the report of a finished run, or write it at the end of one."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from mlit.errors import only_warned
from mlit.parallel import reuse_memory
from mlit.report.html_report import write_report

LOG = logging.getLogger("mlit")


def run(cfg: DictConfig) -> None:
    """Write ``report.html`` into the folder of a run.

    Parameters
    ----------
    cfg
        The composed ``conf/report.yaml``.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    reuse_memory()
    LOG.info("report: %s", write_report(Path(cfg.output)))


def report_run(output: Path) -> None:
    """Write the report at the end of a run, which is not lost if that fails: a warning says so."""
    with only_warned("no report", f"the results are complete, mlit report output={output} tries again"):
        LOG.info("report: %s", write_report(output))
