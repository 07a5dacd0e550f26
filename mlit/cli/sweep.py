"""One run of a sweep: a fault of its own, its share of the computer, and no say over the others."""

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlit.errors import InputError
from mlit.io.atomic import atomic_write

FAILURE = "failure.json"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
GIB = 2**30


def run_in_sweep(run: Callable[[DictConfig], None], config: DictConfig, jobs: int) -> None:
    """Run one job in its own folder; what ends it is written down there, so that the other jobs go on.

    Parameters
    ----------
    run
        Runs a verb; raises :class:`SystemExit` where that fails.
    config
        Config of the job, which is changed in place.
    jobs
        Jobs of the whole sweep.
    """
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    if "output" in config:
        config.output = str(folder)
    share_computer(config, settings.launcher, jobs)
    (folder / FAILURE).unlink(missing_ok=True)
    try:
        run(config)
    except SystemExit as error:
        if isinstance(error.code, int) and error.code < 0:
            raise  # no fault of the job: a launcher ends it to go on later
        if error.code:
            _write_failure(folder, error)


def share_computer(config: DictConfig, launcher: DictConfig, jobs: int) -> None:
    """Give a job that runs beside others its part of the memory, and leave the terminal to the launcher."""
    if launcher.get("_target_") == BASIC_LAUNCHER:
        return
    if OmegaConf.select(config, "callbacks.progress.live") is not None:
        config.callbacks.progress.live = False
    together = jobs_at_once(launcher.get("n_jobs", 1), jobs)
    if together > 1 and OmegaConf.select(config, "memory_gib", default=0.0) is None:
        from mlit.training.memory_here import memory_here

        here = memory_here()
        config.memory_gib = here / GIB / together if math.isfinite(here) else None


def jobs_at_once(n_jobs: int, jobs: int) -> int:
    """Jobs of a sweep that run beside each other, by joblib's rule: -1 is one on every core, -2 leaves a core free."""
    workers = n_jobs if n_jobs > 0 else (os.cpu_count() or 1) + 1 + n_jobs
    return max(1, min(workers, jobs))


def _write_failure(folder: Path, error: SystemExit) -> None:
    """Write down exit code and reason; the reason is what was at hand when the exit was raised."""
    cause = error.__context__
    reason = (
        "" if cause is None else str(cause) if isinstance(cause, InputError) else f"{type(cause).__name__}: {cause}"
    )
    code = error.code if isinstance(error.code, int) else 1
    entry = {"exit_code": code, "reason": " ".join(reason.split())}
    with atomic_write(folder / FAILURE) as partial:
        partial.write_text(json.dumps(entry), encoding="utf-8")


def failure_of(folder: Path) -> tuple[int, str] | None:
    """Exit code and reason of a job that has failed; None where it has not."""
    path = folder / FAILURE
    if not path.is_file():
        return None
    entry = json.loads(path.read_text(encoding="utf-8"))
    return entry["exit_code"], entry["reason"]


def end_with_failures(folder: Path) -> None:
    """Leave with the exit code of the jobs that have failed, if any has: 1 where one met a defect."""
    codes = [found[0] for path in folder.glob(f"*/{FAILURE}") if (found := failure_of(path.parent)) is not None]
    if codes:
        print(f"mlit: {len(codes)} runs of the sweep have failed; the same command tries them again", file=sys.stderr)
        sys.exit(min(codes))
