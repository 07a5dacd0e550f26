"""Settings of the denoiser."""

from dataclasses import dataclass, fields

from mlit.errors import InputError

MOST_CHANNELS, MOST_LEVELS = 512, 5


@dataclass(frozen=True)
class DenoiserSettings:
    """Size of the network, and how it learns.

    Attributes
    ----------
    width, depth
        Of the network: channels of its first level, and levels below that.
    patch
        Edge of a patch in voxels.
    batch
        Patches in a step.
    steps, fine_tune_steps
        Steps of the first training, and of every further one.
    learning_rate
        Of the first step; that of the last is a hundredth of it. Further trainings start at half of it.
    largest_gradient
        Longer gradients are cut to this length.
    tile
        Edge of the tiles in which maps are denoised, in voxels.
    seed
        Of the starting weights and all draws.
    """

    width: int = 16
    depth: int = 0
    patch: int = 24
    batch: int = 2
    steps: int = 300
    fine_tune_steps: int = 150
    learning_rate: float = 1e-2
    largest_gradient: float = 1.0
    tile: int = 96
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise for values that make no sense."""
        at_least = {"depth": 0, "steps": 0, "fine_tune_steps": 0, "seed": 0}
        for field in fields(self):
            value, least = getattr(self, field.name), at_least.get(field.name, 1)
            positive = field.name in ("learning_rate", "largest_gradient")
            if not (value > 0 if positive else value >= least):
                limit = "above zero" if positive else f"at least {least}"
                raise InputError(f"denoiser.network.{field.name}={value}: must be {limit}")

        if self.depth > MOST_LEVELS or self.width << self.depth > MOST_CHANNELS:
            raise InputError(
                f"denoiser.network: width={self.width} and depth={self.depth} make a network that is too large; "
                f"at most {MOST_LEVELS} levels and {MOST_CHANNELS} channels (width times 2^depth)"
            )

    def steps_to_do(self, trained: bool) -> int:
        """How many steps the next training has."""
        return self.fine_tune_steps if trained else self.steps

    def first_rate(self, trained: bool) -> float:
        """Learning rate of its first step."""
        return self.learning_rate / 2 if trained else self.learning_rate

    def decay_per_step(self, trained: bool) -> float:
        """Factor from one step's rate to the next, down to a hundredth."""
        return 0.01 ** (1 / max(1, self.steps_to_do(trained)))
