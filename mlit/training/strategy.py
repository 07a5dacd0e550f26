"""How Lightning runs several processes that each refine tilt series of their own."""

from datetime import timedelta
from typing import Any

from lightning.pytorch.strategies import DDPStrategy

from mlit.training.ranks import Meeting, in_company


class SeriesStrategy(DDPStrategy):
    """Several processes, each with the whole module and a share of the series.

    Parameters belong to one series and thus to one process, and every training step ends its own optimisation. So
    there are no gradients to average: the module is not wrapped. What the processes have to tell each other, they
    do at the end of an epoch, see :mod:`mlit.training.ranks`, by gloo, which works on any computer.

    Parameters
    ----------
    wait_hours
        How long a process waits at the end of an epoch for the slowest.
    """

    def __init__(self, wait_hours: float = 168.0) -> None:
        super().__init__(process_group_backend="gloo")
        self.wait = timedelta(hours=wait_hours)

    def setup_distributed(self) -> None:
        """Let the processes find each other, within the time that Lightning gives them."""
        super().setup_distributed()
        Meeting.arrange(self.wait)

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Wait for the other processes, as Lightning does around a checkpoint; one that is lost ends the run."""
        with in_company():
            super().barrier(*args, **kwargs)

    def configure_ddp(self) -> None:
        """Leave the module as it is."""

    @property
    def world_size(self) -> int:
        """Number of processes that Lightning has to keep in step: only this one.

        With more it lets all wait for the first before every single batch, to see whether that was told to stop.
        Shares are not equally long, so some would wait for ever.
        """
        return 1
