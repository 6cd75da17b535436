"""The truth of the few best by a proxy: one that ranks a whole table better need not have the better top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.judge.statistics import Numbers, ranked_regret, tied_last

__all__ = ["SIZE", "Top", "top"]

#: number of best ones that are looked at
SIZE = 10


@dataclass(frozen=True)
class Top:
    """The truth of the ``size`` best by a proxy, expected over the orders of its ties.

    True ranks count from 1 for the best of all; those that diverged are tied last, and ties have their mean rank.

    Attributes:
        size: ten, or all where there are fewer.
        best_rank: true rank of the truly best of them.
        median_rank: median of their true ranks.
        regret: how much less the truth of the best of them is than the best of all; infinite where all that may be
            among them diverged (of the orders that hold one that did not, else).
        diverged: how many of them diverged.
    """

    size: int
    best_rank: float
    median_rank: float
    regret: float
    diverged: float


def top(scores: Numbers, truth: Sequence[float | None], size: int = SIZE) -> Top | None:
    """Returns what the best by a proxy hold, or None where nothing has a truth.

    Args:
        scores: of all architectures, higher first; failures lowest.
        truth: of the same, higher is better, None where the training diverged.
    """
    known = [t for t in truth if t is not None]
    if not known:
        return None
    column, taken = np.asarray(scores, dtype=float), min(size, len(truth))
    ranks = len(truth) + 1 - tied_last(truth)
    best = max(known)
    regrets = [math.inf if t is None else best - t for t in truth]
    border = np.sort(column)[::-1][taken - 1]
    sure, tied = column > border, column == border
    left = taken - int(sure.sum())  # how many of the tied are taken
    median = [_expected(ranks[sure], ranks[tied], left, place) for place in {(taken + 1) // 2, taken // 2 + 1}]
    gone = np.array([t is None for t in truth])
    return Top(
        taken,
        _expected(ranks[sure], ranks[tied], left, 1),
        float(np.mean(median)),
        ranked_regret(column, regrets, taken)[-1],
        float(gone[sure].sum() + left * gone[tied].mean()),
    )


def _expected(sure: np.ndarray, tied: np.ndarray, left: int, place: int) -> float:
    """Returns the expected ``place``-th lowest of some numbers and ``left`` drawn of others without replacement.

    It exceeds x where fewer than ``place`` are at most x: those among the sure ones, and of the tied ones a number that
    is hypergeometric.
    """
    from scipy.stats import hypergeom

    steps = np.unique(np.concatenate([sure, tied]))
    below = (sure[:, None] <= steps).sum(axis=0)
    exceeds = hypergeom.cdf(place - 1 - below, len(tied), (tied[:, None] <= steps).sum(axis=0), left)
    return float(steps[0] + np.diff(steps) @ exceeds[:-1])
