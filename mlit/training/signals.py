"""What a scheduler says to a run: stop, or make way and come back."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from types import FrameType

import lightning
from lightning.pytorch.callbacks import Callback

from mlit.training.ranks import is_first, leave_to_first

LOG = logging.getLogger("mlit")
FIRST_PROCESS = "MLIT_FIRST_PROCESS"  # in the environment of those that the first has started
END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl


class Signals(Callback):
    """Stops at SIGTERM as at Ctrl-C, and has SLURM queue the job again at SIGUSR1.

    Nothing is saved then: what a run has done is on disk at any moment, but for the fit under way. Lightning would
    save a checkpoint in the middle of an epoch, for which all processes have to meet, and these may be far apart.
    """

    def __init__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Replace what Lightning has set up; at the end of the run it restores what was there before."""
        signal.signal(signal.SIGTERM, stop if self.before is signal.SIG_DFL else self.before)
        if not trainer.is_global_zero:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
        if "SLURM_JOB_ID" in os.environ:
            signal.signal(signal.SIGUSR1, requeue if trainer.is_global_zero else signal.SIG_IGN)


def stop(number: int, frame: FrameType | None) -> None:
    """End the run so that the same command goes on where it stopped; once is enough.

    Raises
    ------
    KeyboardInterrupt
        In the first process.
    SystemExit
        In the others.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leave_to_first()
    raise KeyboardInterrupt


def requeue(number: int, frame: FrameType | None) -> None:
    """Have SLURM queue this job again: it ends the present one and later starts the same script."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}" if job else os.environ["SLURM_JOB_ID"]
    command = ["scontrol", "requeue", job]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        LOG.info("job %s is queued again and goes on where it stopped", job)
    except (OSError, subprocess.CalledProcessError) as error:
        LOG.warning("job %s cannot be queued again (%s); submit it once more to go on", job, error)


def end_with_first() -> None:
    """Let the system end processes that this one starts, where it is the first, together with it; even if it is killed.

    To be called by all of them. Only Linux can do it. Elsewhere they end when they next meet the first.
    """
    parent = os.environ.get(FIRST_PROCESS)
    os.environ[FIRST_PROCESS] = str(os.getpid())
    if parent is None or is_first() or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    if parent != str(os.getppid()):
        sys.exit(0)
