"""How good what a proxy selects is, against how strongly it selects: the over-optimisation curve.

A proxy that agrees with the truth on average can still be wrong about its very best: the harder it is optimised, the
more its errors are what is selected (Goodhart's law; for a proxy of a reward: Gao et al. 2023, arXiv 2210.10760). The
strength of a selection is the number n of random architectures that the best by proxy is taken of.

With N architectures known, the expectation over all subsets of n of them is exact: with the scores in increasing
order, the best of a subset is among the m lowest with probability C(m, n) / C(N, n). It is an unbiased estimate for
fresh draws, too (a U-statistic: Hoeffding 1948), for n up to N; beyond N the data tell nothing.

A training that diverged has no value, so no mean over values can count it. It counts in two ways: as the worst
*quantile* of the truth, with all others that diverged, and as a *share* beside the mean value of those that trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.core import seeds
from nas.judge.statistics import percentile_interval, places, tied_last

__all__ = ["LEAST", "BestN", "Point", "Selection", "oracle", "selection", "sizes"]

#: fewest architectures that a curve is drawn of
LEAST = 10

_FLAT = 1e-9  # quantiles that differ by less are equal
_CHUNK = 4_000_000  # numbers held at once while resampling

Values = Sequence[float | None]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Point:
    """What the best by proxy of ``n`` random architectures is expected to be; intervals are 95% bootstrap ones.

    Attributes:
        quantile: of its truth among all architectures, 0 for the worst and 1 for the best; diverged ones tied last.
        truth: mean of those that trained, NaN where none did.
        regret: how much less that is than the best truth of all.
        diverged: chance that its training diverges.
    """

    n: int
    quantile: float
    quantile_interval: Interval
    truth: float
    truth_interval: Interval
    regret: float
    diverged: float
    diverged_interval: Interval


@dataclass(frozen=True)
class BestN:
    """The number of draws from which on more of them make the selected architecture worse.

    Attributes:
        n: where the expected quantile of the truth is highest, the least of several. ``most`` means that it still
            rises there, so that the best n is as large or larger.
        interval: 95% bootstrap interval, the same meaning; None without resamples.
        most: the largest n that the data can tell of: the number of architectures.
    """

    n: int
    interval: tuple[int, int] | None
    most: int


@dataclass(frozen=True)
class Selection:
    """The curve of one proxy over ``pairs`` architectures, of which the training of ``diverged`` diverged."""

    pairs: int
    diverged: int
    points: list[Point]
    best: BestN


def sizes(most: int) -> list[int]:
    """Returns 1, 2, 5, 10, 20, .. up to ``most``, and ``most`` itself."""
    steps = [m * 10**k for k in range(len(str(most))) for m in (1, 2, 5)]
    return [n for n in steps if n < most] + [most]


def selection(scores: Values, truth: Values, resamples: int, seed: int = 0) -> Selection | None:
    """Returns the curve of a proxy, or None with fewer than ``LEAST`` pairs, no score at all, or no truth at all.

    Ties in the scores are decided by lot, exactly: the members of a tie share its chance. Failed proxies are tied last
    in the scores, as in ``nas.judge.ranking``. At n = 1 nothing is selected, so that this is random search.

    The best n is that of HedgeTune (Khalaf et al. 2025, arXiv 2506.19248): with u the quantile of the proxy, it solves
    E[truth(u) n u^(n-1) (1/n + ln u)] = 0, which is where E[truth(u) n u^(n-1)], the truth of the best of n, is
    highest. Here the truth is its quantile, so that a divergence counts, and the exact chances over subsets take the
    place of n u^(n-1); of several maxima it is the highest. It is looked for on whole n, 10% apart for the interval.

    Args:
        scores: of architectures drawn at random, higher is better, None for a failure.
        truth: of the same, higher is better, None where the training diverged.
        resamples: of the bootstrap over architectures.
        seed: of the bootstrap.
    """
    count = len(truth)
    if count < LEAST or all(s is None for s in scores) or all(t is None for t in truth):
        return None
    trained = np.array([t is not None for t in truth], dtype=float)
    values = np.array([0.0 if t is None else t for t in truth])
    columns = np.stack([places(tied_last(truth)), trained, values])  # (3, N)
    ties = places(tied_last(scores))

    shown = sizes(count)
    grid = np.union1d(shown, np.unique(np.geomspace(1, count, 2 + int(10 * math.log(count))).round().astype(int)))
    below = _below(grid, count)
    expected = _expected(_steps(columns, ties, np.ones(count, dtype=int)), below)  # (3, len(grid))
    drawn = _resampled(columns, ties, below, resamples, seeds.generator(seed, "selection", count))
    best = max(t for t in truth if t is not None)
    points = []
    for n in shown:
        at = int(np.searchsorted(grid, n))
        quantile, share, total = expected[:, at]
        mean = _mean(total, share)
        spread = [_mean(t, s) for t, s in zip(drawn[:, 2, at], drawn[:, 1, at], strict=True)]
        points.append(
            Point(
                n,
                float(quantile),
                percentile_interval(drawn[:, 0, at]),
                mean,
                (math.nan, math.nan) if math.isnan(mean) else percentile_interval(spread),
                best - mean,
                max(0.0, float(1 - share)),
                percentile_interval(np.maximum(0.0, 1 - drawn[:, 1, at])),
            )
        )
    peaks = [int(grid[_peak(curve)]) for curve in drawn[:, 0]]
    ends = np.percentile(peaks, [2.5, 97.5], method="inverted_cdf") if peaks else None
    return Selection(
        count,
        int(count - trained.sum()),
        points,
        BestN(
            _refined(columns, ties, grid, _peak(expected[0])),
            None if ends is None else (int(ends[0]), int(ends[1])),
            count,
        ),
    )


def oracle(truth: Values) -> Selection | None:
    """Returns the curve of the truth itself: the best of n by truth, without intervals."""
    return selection(tied_last(truth).tolist(), truth, 0)


def _below(n: np.ndarray, count: int) -> np.ndarray:
    """Returns the chance that all of n drawn of ``count`` are among the m lowest, (len(n), count + 1), m = 0 .. count.

    It is C(m, n) / C(count, n).
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])  # of the factorials
    m, rows = np.arange(count + 1), n[:, None]
    chances = logs[m] - logs[np.maximum(m - rows, 0)] - logs[count] + logs[count - rows]
    return np.where(m >= rows, np.exp(chances), 0.0)


def _steps(columns: np.ndarray, ties: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Returns (3, N + 1) whose products with the rows of ``_below`` are expectations: quantile, trained, sum of truth.

    A tie has the mean of its members, and the chance to be below its top less that to be below its bottom.

    Args:
        columns: (3, N) place of the truth among the distinct ones, whether it trained, the truth or 0.
        ties: (N) place of the score among the distinct ones.
        copies: (N) how often each architecture is there, N in all.
    """
    among, count = columns[0].astype(int), len(ties)
    equal = np.bincount(among, copies)  # the quantile is that of the mean rank, 1 to N
    quantiles = (np.cumsum(equal) - equal + (equal - 1) / 2) / (count - 1)
    size = np.bincount(ties, copies)
    top = np.cumsum(size).round().astype(int)
    bottom = top - size.round().astype(int)
    steps = []
    for column in (quantiles[among], columns[1], columns[2]):
        mean = np.bincount(ties, copies * column) / np.maximum(size, 1)
        steps.append(np.bincount(top, mean, count + 1) - np.bincount(bottom, mean, count + 1))
    return np.stack(steps)


def _expected(steps: np.ndarray, below: np.ndarray) -> np.ndarray:
    # not the product of matrices: its threads would round otherwise on another machine, and wait for each other on a
    # busy one
    return np.asarray(np.einsum("ij,kj->ik", steps, below))


def _resampled(
    columns: np.ndarray, ties: np.ndarray, below: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns the expectations in bootstrap samples of the architectures, (resamples, 3, len(below))."""
    count = len(ties)
    at_once = max(1, _CHUNK // (3 * (count + 1)))
    found = [np.empty((0, 3, len(below)))]
    for start in range(0, resamples, at_once):
        steps = [
            _steps(columns, ties, np.bincount(rng.integers(count, size=count), minlength=count))
            for _ in range(min(at_once, resamples - start))
        ]
        found.append(_expected(np.concatenate(steps), below).reshape(-1, 3, len(below)))
    return np.concatenate(found)


def _mean(total: float, share: float) -> float:
    return float(total / share) if share > _FLAT else math.nan


def _peak(curve: np.ndarray) -> int:
    """Returns the place of the first of the highest values."""
    return int(np.flatnonzero(curve >= curve.max() - _FLAT)[0])


def _refined(columns: np.ndarray, ties: np.ndarray, grid: np.ndarray, at: int) -> int:
    """Returns the best n among whole numbers between the neighbours of the best one of a grid (64 of them at most)."""
    first, last = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    between = np.union1d(np.linspace(first, last, 64).round().astype(int), grid[at])
    curve = _expected(_steps(columns, ties, np.ones(len(ties), dtype=int)), _below(between, len(ties)))[0]
    return int(between[_peak(curve)])
