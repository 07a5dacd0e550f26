"""Values of the keys of `mlit population`, checked."""

import math

import torch
from jaxtyping import Float
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mlit.errors import InputError
from mlit.geometry.rotations import matrix_from_euler, matrix_from_rotvec

LARGEST_SAMPLES = 1000


def needed(cfg: DictConfig, key: str, action: str) -> str:
    """Return a text that an action cannot do without."""
    value = OmegaConf.select(cfg, key)
    if value is None:
        raise InputError(f"action={action}: give {key}=…")
    return str(value)


def positive(cfg: DictConfig, name: str) -> float:
    """Return a number above zero."""
    value = float(needed(cfg, f"population.{name}", cfg.action))
    largest = LARGEST_SAMPLES if name == "samples" else math.inf
    if not (0 < value <= largest and math.isfinite(value)):
        raise InputError(f"population.{name}={value:g}: must be above zero{f', {largest} at most' * (largest < 1e9)}")
    return value


def vector(cfg: DictConfig, name: str) -> Float[Tensor, "3"]:
    """Return three finite numbers, float64."""
    text = needed(cfg, f"population.{name}", cfg.action)
    values = list(OmegaConf.select(cfg, f"population.{name}"))
    if len(values) != 3 or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    ):
        raise InputError(f"population.{name}={text}: give three numbers in [brackets]")
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def rotation_of(cfg: DictConfig) -> Float[Tensor, "3 3"]:
    """Return the rotation of the map, by Euler angles or an axis and an angle."""
    options = cfg.population
    by_axis = options.axis is not None or options.angle_deg is not None
    if by_axis == (options.angles_deg is not None):
        raise InputError("action=rotate: give population.angles_deg=…, or population.axis=… and population.angle_deg=…")
    if not by_axis:
        return matrix_from_euler(vector(cfg, "angles_deg").deg2rad())
    axis, angle = vector(cfg, "axis"), float(needed(cfg, "population.angle_deg", cfg.action))
    if float(axis.norm()) == 0 or not math.isfinite(angle):
        raise InputError(f"population.axis={options.axis}: give an axis that is not zero, and a finite angle_deg")
    return matrix_from_rotvec(axis / axis.norm() * math.radians(angle))
