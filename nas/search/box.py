"""Bayesian optimisation of a few real numbers in a box, as RoBoT and HNAS have it: one suggestion after another.

Both use bayesian-optimization 1.2.0 as released: a Gaussian process with an isotropic Matern 5/2 kernel, its length
scale fitted by marginal likelihood with 5 restarts, noise 1e-6, targets normalised; the acquisition is maximised over
10,000 uniform points and then by L-BFGS-B from 10 more. So it is here, with scikit-learn's process and exact gradients
of the acquisition where that library takes differences. What differs: a suggestion is rounded to six decimals, so that
rounding on another kind of processor does not decide, and scikit-learn's targets are scaled to variance 1 since 0.23.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from nas.search.hnas import Acquisition

__all__ = ["Process", "finite", "suggest"]

Array = NDArray[np.float64]

_NOISE, _RESTARTS = 1e-6, 5
_POINTS, _STARTS = 10_000, 10
_DECIMALS = 6


class Process:
    """The Gaussian process through points (n, d) and their values (n,), n at least 1.

    Args:
        seed: of the restarts.

    Attributes:
        scale: the fitted length scale.
    """

    def __init__(self, points: Array, values: Array, seed: int) -> None:
        self.points = points
        self.mean, self.spread = float(values.mean()), float(values.std()) or 1.0
        kernel = Matern(nu=2.5)
        model = GaussianProcessRegressor(kernel, alpha=_NOISE, n_restarts_optimizer=_RESTARTS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound, as with equal values
            model.fit(points, (values - self.mean) / self.spread)
        self.scale = float(model.kernel_.length_scale)
        self.lower, self.weights = model.L_, np.asarray(model.alpha_).ravel()

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Returns mean and standard deviation (m,) at points (m, d)."""
        covariance = self._kernel(cdist(points, self.points))
        solved = solve_triangular(self.lower, covariance.T, lower=True, check_finite=False)
        deviation = np.sqrt(np.maximum(1 - (solved**2).sum(axis=0), 1e-12))
        return self.mean + self.spread * (covariance @ self.weights), self.spread * deviation

    def slopes(self, point: Array) -> tuple[float, float, Array, Array]:
        """Returns mean and standard deviation at a point (d,), and the gradients of both (d,)."""
        away = point - self.points  # (n, d)
        distances = np.sqrt((away**2).sum(axis=1))
        scaled = math.sqrt(5) * distances / self.scale
        covariance = self._kernel(distances)
        # dk/dx = -5/3 (1 + s) exp(-s) (x - x_i) / l^2, with s = sqrt(5) r / l
        steep = (-5 / 3 * (1 + scaled) * np.exp(-scaled) / self.scale**2)[:, None] * away
        solved = solve_triangular(self.lower, covariance, lower=True, check_finite=False)
        deviation = math.sqrt(max(1 - float(solved @ solved), 1e-12))
        inverse = solve_triangular(self.lower, solved, lower=True, trans=1, check_finite=False)
        mean = self.mean + self.spread * float(covariance @ self.weights)
        return (
            mean,
            self.spread * deviation,
            self.spread * (steep.T @ self.weights),
            -self.spread * (steep.T @ inverse) / deviation,
        )

    def _kernel(self, distances: Array) -> Array:
        scaled = math.sqrt(5) * distances / self.scale
        return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))


def _gain(kind: Acquisition, mean: Array, deviation: Array, best: float, kappa: float) -> Array:
    if kind == "ucb":
        return mean + kappa * deviation
    z = (mean - best) / deviation
    return np.asarray((mean - best) * ndtr(z) + deviation * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _rise(point: Array, kind: Acquisition, process: Process, best: float, kappa: float) -> tuple[float, Array]:
    """Returns the acquisition at a point and its gradient, both negated."""
    mean, deviation, up, wider = process.slopes(point)
    gain = float(_gain(kind, np.array(mean), np.array(deviation), best, kappa))
    if kind == "ucb":
        return -gain, -(up + kappa * wider)
    z = (mean - best) / deviation
    return -gain, -(ndtr(z) * up + math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * wider)


def suggest(
    points: Sequence[Array],
    values: Sequence[float],
    box: Array,
    kind: Acquisition,
    rng: np.random.Generator,
    kappa: float = 2.576,
) -> Array:
    """Returns the next point (d,) of the box to evaluate; without any so far, one at random.

    One thread computes, so that a search does not depend on their number.

    Args:
        points, values: evaluated so far; higher is better. Of equal points the first counts.
        box: bounds (d, 2).
        kappa: of the upper confidence bound.
    """
    low, high = box[:, 0], box[:, 1]
    if not points:
        return np.asarray(np.round(rng.uniform(low, high), _DECIMALS))
    first = {tuple(point): (point, value) for point, value in reversed(list(zip(points, values, strict=True)))}
    known, told = (np.array(list(column)) for column in zip(*reversed(first.values()), strict=True))
    with threadpool_limits(1):
        process, best = Process(known, told, int(rng.integers(2**32))), float(told.max())
        tried = rng.uniform(low, high, (_POINTS, len(box)))
        gains = _gain(kind, *process.predict(tried), best, kappa)
        at = int(np.argmax(gains))
        chosen, highest = tried[at], float(gains[at])
        given = (kind, process, best, kappa)
        limits = [(float(least), float(most)) for least, most in box]
        for start in rng.uniform(low, high, (_STARTS, len(box))):
            found: Any = minimize(_rise, start, given, "L-BFGS-B", jac=True, bounds=limits)
            if found.success and -float(found.fun) >= highest:
                chosen, highest = found.x, -float(found.fun)
    return np.asarray(np.round(np.clip(chosen, low, high), _DECIMALS))


def finite(values: Sequence[float]) -> list[float]:
    """Returns truths with -inf, a training that diverged, as the worst of the others; as 0 where there are none."""
    worst = min((value for value in values if value > -math.inf), default=0.0)
    return [max(value, worst) for value in values]
