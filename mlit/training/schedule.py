"""What each iteration does, and how far into Fourier space it looks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mlit.deformation.registry import BLOCKS
from mlit.errors import InputError

RESOLUTION_GAIN = 1.8
SAME_RESOLUTION = 0.95  # times the resolution of the iteration before: hardly finer


@dataclass(frozen=True)
class Iteration:
    """One outer iteration.

    Attributes
    ----------
    resolution_angstrom
        Finest detail that takes part; None: as far as the half maps agree.
    blocks
        Names of the blocks that are refined.
    learn_priors
        Whether the widths of the blocks' priors are fitted too.
    weights
        Whether weights of the images are estimated after the fits, for the iterations that follow.

    Raises
    ------
    InputError
        If a block does not exist or the resolution is not above zero.
    """

    resolution_angstrom: float | None
    blocks: tuple[str, ...]
    learn_priors: bool = False
    weights: bool = False

    def __post_init__(self) -> None:
        known = ("poses", *BLOCKS)
        for name in self.blocks:
            if name not in known:
                raise InputError(f"schedule.iterations: there is no block {name!r}; blocks are {', '.join(known)}")
        if self.resolution_angstrom is not None and self.resolution_angstrom <= 0:
            raise InputError(f"schedule.iterations: resolution_angstrom={self.resolution_angstrom} must be above zero")

    def limited_to(self, blocks: Collection[str]) -> "Iteration":
        """Return the iteration without blocks that are not among these, which the models lack."""
        return replace(self, blocks=tuple(name for name in self.blocks if name in blocks))


def never_refined(iterations: Sequence[Iteration], blocks: Sequence[str]) -> list[str]:
    """Return those of some blocks that no iteration names; none where nothing is refined at all."""
    named = {name for iteration in iterations for name in iteration.blocks}
    return [name for name in blocks if name not in named] if named else []


@dataclass(frozen=True)
class Schedule:
    """The outer iterations in order. Epoch 0 only reconstructs; epoch i runs iteration i and reconstructs.

    Attributes
    ----------
    iterations
        What to do.
    nyquist_angstrom
        Finest detail that the maps can hold.
    coarsest_angstrom
        Fits look at least this far. References that agree on nothing finer show a blob, to which particles would
        only lose their place.
    """

    iterations: tuple[Iteration, ...]
    nyquist_angstrom: float
    coarsest_angstrom: float = float("inf")

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.iterations) + 1

    def fit_resolution(self, epoch: int, significant_angstrom: float) -> float | None:
        """Resolution of the fit in an epoch, given how far the references are significant; None: do not fit."""
        asked = self.iterations[epoch - 1].resolution_angstrom
        if asked is None and significant_angstrom > self.coarsest_angstrom:
            return None
        wanted = significant_angstrom if asked is None else asked
        return max(self.nyquist_angstrom, min(wanted, self.coarsest_angstrom))

    @property
    def moves_particles(self) -> bool:
        """Whether any iteration refines anything; if not, all stays where it is."""
        return any(iteration.blocks for iteration in self.iterations)

    def first_to_refine(self, block: str) -> int | None:
        """First epoch that refines a block; None where none does."""
        epochs = (epoch for epoch, iteration in enumerate(self.iterations, 1) if block in iteration.blocks)
        return next(epochs, None)

    def repeats(self, epoch: int, fitted_angstrom: float, significant_angstrom: float) -> bool:
        """Whether an epoch and all after it would fit what the one before did, to hardly finer detail.

        Parameters
        ----------
        epoch
            The epoch in question, at least 2.
        fitted_angstrom
            Resolution of the fits of the epoch before.
        significant_angstrom
            How far the references of this epoch are significant.
        """
        before, rest = self.iterations[epoch - 2], self.iterations[epoch - 1 :]
        if not rest or any(iteration != before for iteration in rest):
            return False
        following = self.fit_resolution(epoch, significant_angstrom)
        return following is not None and following > SAME_RESOLUTION * fitted_angstrom

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
