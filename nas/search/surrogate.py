"""Surrogates: what a few truths say of many candidates, from cheap views of them untrained and their features.

A candidate is a row: the proxy, the views (further proxies of the same pass), the features of its graph or
configuration. The Gaussian process is scikit-learn's, with a kernel that is fixed: with 10 to 100 truths its
hyperparameters fitted by marginal likelihood found worse architectures than constant ones on the half of NAS-Bench-NLP
where this was decided (keys whose SHA-256 is even).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel, Matern
from threadpoolctl import threadpool_limits

__all__ = ["Additive", "Candidates", "expected_improvement", "forest", "levelled", "normal_scores", "predict"]

Array = NDArray[np.float64]

#: variance of the linear part in the proxy, of the smooth parts over views and over features, and of the noise, where
#: the variance of the truth is 1
_LINEAR, _SMOOTH, _NOISE = 0.3, 0.5, 0.1
_TREES = 100


def normal_scores(columns: Array) -> Array:
    """Returns each column (n, d) as normal quantiles of its ranks, so that neither scale nor outliers matter.

    What is not finite (a failure) ranks lowest, ties share a rank.
    """
    finite = np.where(np.isfinite(columns), columns, -np.inf)
    return np.asarray(norm.ppf((rankdata(finite, axis=0) - 0.5) / len(finite)), dtype=float)


class Candidates:
    """Candidates as rows of numbers, comparable with each other.

    Args:
        scores: (n, 1 + v), the proxy first, then the views; NaN for a failure.
        features: (n, f), as ``Space.features`` has them.
    """

    def __init__(self, scores: Array, features: Array) -> None:
        spread = features.std(axis=0)
        told = features[:, spread > 0]
        scaled = (told - told.mean(axis=0)) / spread[spread > 0]
        levels = normal_scores(scores)
        # the proxy is a view, too: what is not linear in it counts as well
        self.rows = np.concatenate([levels[:, :1], levels, scaled], axis=1)
        self.views = levels.shape[1]


class Additive(Kernel):
    """Linear in the first column, and Matern 5/2 over the next ``views`` columns and over the rest.

    The length scale of each Matern part is the root of its number of columns, the typical distance of two rows.
    """

    def __init__(self, views: int) -> None:
        self.views = views

    def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:
        """Returns the covariances (n, m), and with ``eval_gradient`` their gradient by no hyperparameter (n, n, 0)."""
        other = X if Y is None else Y
        total = _LINEAR * np.outer(X[:, 0], other[:, 0])
        for part in (slice(1, 1 + self.views), slice(1 + self.views, None)):
            width = X[:, part].shape[1]
            if width:
                total += _SMOOTH * Matern(math.sqrt(width), nu=2.5)(X[:, part], other[:, part])
        return (total, np.empty((len(X), len(X), 0))) if eval_gradient else total

    def diag(self, X: Array) -> Array:
        """Returns the variances (n,)."""
        parts = (self.views > 0) + (X.shape[1] > 1 + self.views)
        return np.asarray(_LINEAR * X[:, 0] ** 2 + _SMOOTH * parts, dtype=float)

    def is_stationary(self) -> bool:
        """Returns False: it is linear in the proxy."""
        return False


def levelled(truths: Sequence[float]) -> Array:
    """Returns truths (higher is better, -inf where the training diverged) with mean 0 and variance 1, the bad tail cut.

    What is worse than the median by more than twice the distance from the median to the best tenth is moved there, and
    so is what diverged: how bad a bad architecture is says nothing of the good ones, and would be most of the variance.
    """
    values = np.asarray(truths, dtype=float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values))
    median = float(np.median(finite))
    floor = max(float(finite.min()), median - 2 * (float(np.quantile(finite, 0.9)) - median))
    kept = np.maximum(values, floor)
    return np.asarray((kept - kept.mean()) / (kept.std() or 1.0), dtype=float)


def forest(rows: Array, truths: Array, seed: int) -> ExtraTreesRegressor:
    """Returns the forest that was fitted to rows (n, d) and their truths (n,)."""
    return ExtraTreesRegressor(_TREES, max_features=1 / 3, random_state=seed % 2**32).fit(rows, truths)


def predict(
    model: Literal["gp", "forest"], candidates: Candidates, known: Sequence[int], truths: Array, seed: int
) -> tuple[Array, Array]:
    """Returns mean and standard deviation (n,) of the truth of every candidate.

    One thread computes, so that a search does not depend on their number.

    Args:
        known: places of the candidates whose truth is known.
        truths: theirs, as ``levelled`` makes them.
        seed: of the forest.
    """
    rows = candidates.rows
    with threadpool_limits(1):
        if model == "gp":
            process = GaussianProcessRegressor(Additive(candidates.views), alpha=_NOISE, optimizer=None)
            mean, deviation = process.fit(rows[known], truths).predict(rows, return_std=True)
        else:
            each = np.stack([tree.predict(rows) for tree in forest(rows[known], truths, seed).estimators_])
            mean, deviation = each.mean(axis=0), each.std(axis=0)
    return np.asarray(mean), np.asarray(deviation)


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Returns E[max(0, truth - best)] of normal truths (Jones et al. 1998, equation 15)."""
    spread = np.maximum(deviation, 1e-9)
    z = (mean - best) / spread
    return np.asarray(spread * (z * norm.cdf(z) + norm.pdf(z)), dtype=float)
