"""Surrogates: predict the truth of many candidates from a few truths, by features and cheap views of them untrained.

A candidate is a row: the proxy, the views (further proxies of the same pass), the features of its graph or
configuration. The Gaussian process has a fixed kernel (its Matern parts are scikit-learn's): with 10 to 100 truths,
hyperparameters fitted by marginal likelihood found worse architectures than constant ones on the half of NAS-Bench-NLP
where this was decided (keys whose SHA-256 is even). So covariances with a known truth are computed once, and a round
over thousands of candidates takes milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process.kernels import Matern
from threadpoolctl import threadpool_limits

__all__ = [
    "Candidates",
    "covariances",
    "expected_improvement",
    "forest",
    "levelled",
    "normal_scores",
    "predict",
    "variances",
]

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
        self._columns: dict[int, Array] = {}

    def covariances(self, places: Sequence[int]) -> Array:
        """Returns the covariances (n, k) of all with those at some places; a column is computed once."""
        missing = [place for place in places if place not in self._columns]
        if missing:
            found = covariances(self.rows, self.rows[missing], self.views)
            self._columns |= {place: found[:, i] for i, place in enumerate(missing)}
        return np.stack([self._columns[place] for place in places], axis=1)


def covariances(rows: Array, others: Array, views: int) -> Array:
    """Returns the covariances (n, m) of the truths of rows (n, d) and others (m, d), a priori.

    Linear in the first column, and Matern 5/2 over the next ``views`` columns and over the rest. The length scale of
    each Matern part is the root of its number of columns, the typical distance of two rows.
    """
    total = _LINEAR * np.outer(rows[:, 0], others[:, 0])
    for part in _parts(rows, views):
        total += _SMOOTH * Matern(math.sqrt(rows[:, part].shape[1]), nu=2.5)(rows[:, part], others[:, part])
    return np.asarray(total, dtype=float)


def variances(rows: Array, views: int) -> Array:
    """Returns the variances (n,) a priori."""
    return np.asarray(_LINEAR * rows[:, 0] ** 2 + _SMOOTH * len(_parts(rows, views)), dtype=float)


def _parts(rows: Array, views: int) -> list[slice]:
    return [part for part in (slice(1, 1 + views), slice(1 + views, None)) if rows[:, part].shape[1]]


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


def forest(rows: Array, truths: Array, seed: int, trees: int = _TREES) -> ExtraTreesRegressor:
    """Returns the forest that was fitted to rows (n, d) and their truths (n,)."""
    return ExtraTreesRegressor(trees, max_features=1 / 3, random_state=seed % 2**32).fit(rows, truths)


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
            mean, deviation = _process(candidates, known, truths)
        else:
            each = np.stack([tree.predict(rows) for tree in forest(rows[known], truths, seed).estimators_])
            mean, deviation = each.mean(axis=0), each.std(axis=0)
    return np.asarray(mean), np.asarray(deviation)


def _process(candidates: Candidates, known: Sequence[int], truths: Array) -> tuple[Array, Array]:
    """Rasmussen & Williams 2006, algorithm 2.1: with a kernel that is fixed, nothing is fitted but the truths."""
    across = candidates.covariances(known)
    factor = cholesky(across[known] + _NOISE * np.eye(len(known)), lower=True)
    mean = across @ cho_solve((factor, True), truths)
    told = solve_triangular(factor, across.T, lower=True)
    variance = variances(candidates.rows, candidates.views) - np.einsum("ij,ij->j", told, told)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Returns E[max(0, truth - best)] of normal truths (Jones et al. 1998, equation 15)."""
    spread = np.maximum(deviation, 1e-9)
    z = (mean - best) / spread
    return np.asarray(spread * (z * norm.cdf(z) + norm.pdf(z)), dtype=float)
