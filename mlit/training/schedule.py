"""What each iteration does, and how far into Fourier space it looks."""

from dataclasses import dataclass

RESOLUTION_GAIN = 1.8


@dataclass(frozen=True)
class Iteration:
    """One outer iteration.

    Attributes
    ----------
    resolution_angstrom
        Finest detail that takes part; None: as far as the half maps agree.
    blocks
        Names of the blocks that are refined.
    """

    resolution_angstrom: float | None
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Schedule:
    """The outer iterations in order. Epoch 0 only reconstructs; epoch i runs iteration i and reconstructs.

    Attributes
    ----------
    iterations
        What to do.
    nyquist_angstrom
        Finest detail that the maps can hold.
    """

    iterations: tuple[Iteration, ...]
    nyquist_angstrom: float

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.iterations) + 1

    def fit_resolution(self, epoch: int, significant_angstrom: float) -> float:
        """Resolution of the fit in an epoch, given how far the references are significant."""
        asked = self.iterations[epoch - 1].resolution_angstrom
        return max(self.nyquist_angstrom, significant_angstrom if asked is None else asked)

    def map_resolution(self, epoch: int, fit_angstrom: float | None) -> float:
        """Resolution of the reconstruction at the end of an epoch.

        The first and the last go all the way. Those in between need only show whether the next fit may look
        further, and leave room for a good step ahead.
        """
        if epoch in (0, self.epochs - 1) or fit_angstrom is None:
            return self.nyquist_angstrom
        following = self.iterations[epoch].resolution_angstrom
        wanted = fit_angstrom / RESOLUTION_GAIN if following is None else following / 1.1
        return max(self.nyquist_angstrom, wanted)
