"""Corrections of the curvature along past steps, against dense matrices."""

import pytest
import torch

from mlit.optim.arrow import ArrowSystem
from mlit.optim.secant import MEMORY, Secants

ITEMS, SHARED = 6, 3


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vector(flat):
    return flat[:ITEMS].reshape(3, 2), flat[ITEMS:]


def flat(pair):
    return torch.cat([pair[0].flatten(), pair[1]])


@pytest.fixture
def model():
    root = random(1, 3, 2, 2)
    item = root @ root.transpose(1, 2) + torch.eye(2, dtype=torch.float64)
    gradient = vector(random(2, ITEMS + SHARED))
    return ArrowSystem(item, 0.1 * random(3, 3, 2, SHARED), 4 * torch.eye(SHARED, dtype=torch.float64), *gradient)


def inverse_of(model):
    """Dense inverse of the curvature, column by column."""
    one = torch.eye(ITEMS + SHARED, dtype=torch.float64)
    return torch.stack([flat(model.with_gradient(*vector(column)).solve()) for column in one], 1)


def climb(model, steps):
    """Take some random steps on an objective with a curvature of its own; also return the dense BFGS inverse."""
    root = random(4, ITEMS + SHARED, ITEMS + SHARED)
    truth = root @ root.T + torch.eye(ITEMS + SHARED, dtype=torch.float64)
    secants, inverse = Secants(), inverse_of(model)
    one = torch.eye(ITEMS + SHARED, dtype=torch.float64)
    for seed in range(steps):
        step, before = random(10 + seed, ITEMS + SHARED), random(50 + seed, ITEMS + SHARED)
        fall = truth @ step
        secants.add(vector(step), vector(before), vector(before - fall))
        away = one - torch.outer(step, fall) / (step @ fall)
        inverse = away @ inverse @ away.T + torch.outer(step, step) / (step @ fall)
    return secants, inverse


@pytest.mark.parametrize("steps", range(MEMORY + 1))
def test_steps_are_those_of_the_dense_formula(model, steps):
    secants, inverse = climb(model, steps)
    torch.testing.assert_close(flat(secants.step(model)), inverse @ flat(model.gradient))


def test_only_the_last_steps_count(model):
    """The formula with all of them gives another step."""
    secants, inverse = climb(model, MEMORY + 1)
    assert (flat(secants.step(model)) - inverse @ flat(model.gradient)).abs().max() > 1e-3


def test_without_steps_and_where_they_curve_upwards_the_model_is_trusted(model):
    secants = Secants()
    step, fall = vector(random(7, ITEMS + SHARED)), vector(-random(7, ITEMS + SHARED))
    zero = vector(torch.zeros(ITEMS + SHARED, dtype=torch.float64))
    secants.add(step, fall, zero)
    torch.testing.assert_close(secants.step(model), model.solve())
    filled, _ = climb(model, 2)
    filled.forget()
    torch.testing.assert_close(filled.step(model), model.solve())
