"""What past steps say about the curvature of an objective, laid over the curvature of its local model.

Gauss-Newton curvature is that of a model which fits. Far from the optimum, in noise, and with parameters left out that
are fitted in closed form, the true one differs, and steps that trust the former approach the optimum by a constant
factor each. Every step also shows how much the gradient has really changed along it. The limited-memory BFGS formula
(Nocedal, Math. Comp. 35, 1980) puts these changes right and leaves all other directions to the local model.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

MEMORY = 5  # steps remembered

Vector = tuple[Tensor, Tensor]


@runtime_checkable
class LocalModel(Protocol):
    """A parabola whose gradient can be replaced."""

    @property
    def gradient(self) -> Vector:
        """Gradient by items and shared parameters."""
        ...

    def with_gradient(self, item: Tensor, shared: Tensor, /) -> "LocalModel":
        """Return a parabola of the same curvature with another gradient."""
        ...

    def solve(self) -> Vector:
        """Step to the maximum."""
        ...


@dataclass(frozen=True)
class Secant:
    """A step and the fall of the gradient along it."""

    step: Vector
    fall: Vector

    @property
    def bend(self) -> float:
        """Curvature along the step, times its squared length."""
        return inner(self.step, self.fall)


class Secants:
    """The last steps of a climb."""

    def __init__(self) -> None:
        self._kept: list[Secant] = []

    def add(self, step: Vector, before: Vector, after: Vector) -> None:
        """Remember a step and the gradients before and after it, unless the objective curves upwards along it."""
        secant = Secant(step, plus(before, after, -1.0))
        if secant.bend > 0:
            self._kept = [*self._kept, secant][-MEMORY:]

    def forget(self) -> None:
        """Forget all steps, as they have misled."""
        self._kept = []

    def step(self, model: LocalModel) -> Vector:
        """Step to the maximum of a local model whose curvature is corrected along the steps remembered."""
        rest, shares = model.gradient, []
        for secant in reversed(self._kept):
            shares.append(inner(secant.step, rest) / secant.bend)
            rest = plus(rest, secant.fall, -shares[-1])
        step = model.with_gradient(*rest).solve()
        for secant, share in zip(self._kept, reversed(shares), strict=True):
            step = plus(step, secant.step, share - inner(secant.fall, step) / secant.bend)
        return step


def inner(first: Vector, second: Vector) -> float:
    """Scalar product."""
    return float((first[0] * second[0]).sum() + (first[1] * second[1]).sum())


def plus(first: Vector, second: Vector, factor: float) -> Vector:
    """Sum of a vector and a multiple of another."""
    return first[0] + factor * second[0], first[1] + factor * second[1]
