"""Uncertainty in the images and held-out likelihood, against dense matrices and fits that leave an image out."""

import dataclasses

import pytest
import torch

from mlit.deformation.hyper_layout import HyperLayout
from mlit.deformation.series_model import Jacobians
from mlit.likelihood.normal_equations import assemble
from mlit.likelihood.posterior import held_out, local_covariance

PARTICLES, TILTS, PER_TILT = 4, 3, 2
POSES, HYPER = 6 * PARTICLES, TILTS * PER_TILT


COLUMNS = torch.arange(HYPER).reshape(TILTS, PER_TILT)
STRONG = torch.full((PARTICLES, TILTS), 1e6, dtype=torch.float64)
LAYOUT = HyperLayout(COLUMNS, torch.ones(PER_TILT, dtype=torch.bool), COLUMNS, torch.zeros(0, dtype=torch.long))


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Parabola:
    """A linear model of all images whose objective is a parabola with its optimum at zero."""

    def __init__(self):
        self.jacobians = Jacobians(
            random(0, PARTICLES, TILTS, 6, 6), random(1, PARTICLES, TILTS, 6, PER_TILT), LAYOUT.columns
        )
        root = random(2, PARTICLES, TILTS, 6, 6)
        self.curvature = root @ root.transpose(-1, -2)
        self.dense = torch.zeros(PARTICLES, TILTS, 6, POSES + HYPER, dtype=torch.float64)
        for p in range(PARTICLES):
            self.dense[p, :, :, 6 * p : 6 * p + 6] = self.jacobians.poses[p]
            for t in range(TILTS):
                self.dense[p, t, :, POSES + PER_TILT * t : POSES + PER_TILT * (t + 1)] = self.jacobians.hyper[p, t]
        self.matrix = torch.einsum("ptix,ptij,ptjy->xy", self.dense, self.curvature, self.dense)
        self.matrix += torch.eye(POSES + HYPER, dtype=torch.float64)
        self.gradient = self._balanced(random(3, PARTICLES, TILTS, 6))
        self.value = random(4, PARTICLES, TILTS)

    def _balanced(self, gradient):
        """Take away what would pull the parameters, so that the optimum is at zero."""
        design = self.dense.reshape(-1, POSES + HYPER)
        flat = gradient.flatten()
        return (flat - design @ torch.linalg.lstsq(design, flat).solution).reshape(gradient.shape)

    def system(self):
        """The system with a unit prior on every parameter."""
        system = assemble(self.jacobians, self.gradient, self.curvature, LAYOUT, tilts_first=False)
        one, arrow = torch.eye(6, dtype=torch.float64), system.arrow
        shared = arrow.shared + torch.eye(HYPER, dtype=torch.float64)
        return dataclasses.replace(system, arrow=dataclasses.replace(arrow, item=arrow.item + one, shared=shared))

    def without(self, p, t):
        """Log-likelihood of an image at the optimum of all others."""
        by = self.dense[p, t]
        matrix = self.matrix - by.T @ self.curvature[p, t] @ by
        step = torch.linalg.solve(matrix, -by.T @ self.gradient[p, t])
        local = by @ step
        return self.value[p, t] + self.gradient[p, t] @ local - local @ self.curvature[p, t] @ local / 2


@pytest.fixture(scope="module")
def parabola():
    return Parabola()


@pytest.fixture(scope="module")
def spread(parabola):
    return local_covariance(parabola.jacobians, parabola.system().covariance())


def test_covariance_in_the_images_is_that_of_the_dense_inverse(parabola, spread):
    inverse = torch.linalg.inv(parabola.matrix)
    expected = torch.einsum("ptix,xy,ptjy->ptij", parabola.dense, inverse, parabola.dense)
    torch.testing.assert_close(spread, expected)


def test_held_out_likelihood_is_that_of_a_fit_without_the_image(parabola, spread):
    found = held_out(parabola.value, parabola.gradient, parabola.curvature, spread, STRONG).log_likelihood
    expected = torch.stack([torch.stack([parabola.without(p, t) for t in range(TILTS)]) for p in range(PARTICLES)])
    torch.testing.assert_close(found, expected)
    assert bool((found < parabola.value).all()), "no image is predicted better than it is fitted"


def test_images_that_do_not_pull_lose_nothing(parabola, spread):
    still = torch.zeros_like(parabola.gradient)
    found = held_out(parabola.value, still, parabola.curvature, spread, STRONG)
    torch.testing.assert_close(found.log_likelihood, parabola.value)


def test_a_prediction_far_off_misses_the_signal_and_no_more(parabola, spread):
    """The parabola goes on down without end; an image without its signal does not."""
    power = torch.rand(PARTICLES, TILTS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    far = held_out(parabola.value, 1e3 * parabola.gradient, parabola.curvature, spread, power).log_likelihood
    torch.testing.assert_close(far, -power / 2 - 3 * power.sqrt())


def test_cost_is_what_errors_of_the_prediction_lose_in_the_mean(parabola, spread):
    found = held_out(parabola.value, parabola.gradient, parabola.curvature, spread, STRONG).cost
    p, t = 1, 2
    by, curvature = parabola.dense[p, t], parabola.curvature[p, t]
    without = by @ torch.linalg.inv(parabola.matrix - by.T @ curvature @ by) @ by.T
    drawn = torch.linalg.cholesky(without) @ random(7, 6, 200_000)
    lost = torch.einsum("in,ij,jn->n", drawn, curvature, drawn).mean() / 2
    assert float(found[p, t]) == pytest.approx(float(lost), rel=0.02)
