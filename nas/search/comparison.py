"""Architectures compared by several samples of a proxy each: which are better, and not by chance.

Source: Rumiantsev & Coates, "Variation Matters" (TMLR 2025, arXiv 2502.19657). The value of a proxy depends on the
initialisation and the batch, so it is a random variable; V samples of it are kept for each architecture. One beats
another if the one-sided Mann-Whitney U test says so (p below the significance): a test for stochastic dominance, which
knows no scale. Stat-MAX scans architectures in random order and changes over to what beats the best so far;
Stat-TOPK repeats it without what was chosen. So where the test cannot tell, chance decides. Their code is not public.

The test is exact: p is the share of the orders of 2V distinct values in which U is as large (what
``scipy.stats.mannwhitneyu`` computes with ``method="exact"``). Equal values of both count half, and p is then too large
rather than too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nas.engine.trials import Result

__all__ = ["MEANS", "Comparator", "beats", "least_samples", "p_value", "stat_max", "stat_topk", "u_statistic"]

Array = NDArray[np.float64]


def u_statistic(samples: Array, other: Array) -> Array:
    """Returns U (n,) of each row of ``samples`` (n, V) against ``other`` (V,).

    It is the number of pairs in which the row's value is larger; equal ones count half.
    """
    ordered = np.sort(other)
    below, up_to = (np.searchsorted(ordered, samples, side=side) for side in ("left", "right"))
    return np.asarray((below + up_to).sum(axis=1) / 2, dtype=float)


@cache
def _tail(count: int) -> tuple[float, ...]:
    """Returns P(U >= u) for u = 0 .. count^2 under the null hypothesis, for ``count`` values of each."""
    # Orders of 2V values with U = u are the coefficients of the Gaussian binomial: the product over i = 1 .. V of
    # (1 - q^(V + i)) / (1 - q^i)
    orders = [1] + [0] * count**2
    for i in range(1, count + 1):
        for u in range(count**2, count + i - 1, -1):
            orders[u] -= orders[u - count - i]
        for u in range(i, count**2 + 1):
            orders[u] += orders[u - i]
    whole, tail, left = math.comb(2 * count, count), [], sum(orders)
    for number in orders:
        tail.append(left / whole)
        left -= number
    return tuple(tail)


def p_value(u: float, count: int) -> float:
    """Returns the p-value of the one-sided test for a U of ``count`` values against as many."""
    return _tail(count)[math.ceil(u)]


@cache
def _least(count: int, significance: float) -> float:
    return next((u for u in range(count**2 + 1) if p_value(u, count) < significance), math.inf)


def least_samples(significance: float) -> int:
    """Returns the fewest samples with which the test can say anything: 1 / C(2V, V) must be below the significance."""
    count = 1
    while 1 / math.comb(2 * count, count) >= significance:
        count += 1
    return count


def beats(samples: Array, other: Array, significance: float) -> NDArray[np.bool_]:
    """Returns which rows of ``samples`` (n, V) are significantly larger than ``other`` (V,), as (n,)."""
    count = len(other)
    if samples.shape[1] != count:
        raise ValueError(f"as many samples of each are needed, but got {samples.shape[1]} and {count}")
    return np.asarray(u_statistic(samples, other) >= _least(count, significance))


def stat_max(samples: Array, significance: float, rng: np.random.Generator) -> int:
    """Returns the row of ``samples`` (n, V) that Stat-MAX chooses, n at least 1.

    Higher is better, and all samples are numbers: failures take no part. The order of the scan is drawn from ``rng``.
    """
    order = rng.permutation(len(samples))
    best, following = order[0], 1
    while following < len(order):
        better = np.flatnonzero(beats(samples[order[following:]], samples[best], significance))
        if not len(better):
            break
        best, following = order[following + better[0]], following + int(better[0]) + 1
    return int(best)


def stat_topk(samples: Array, k: int, significance: float, rng: np.random.Generator) -> list[int]:
    """Returns up to ``k`` rows of ``samples`` (n, V), best first, as Stat-TOPK chooses them."""
    left = np.arange(len(samples))
    chosen: list[int] = []
    while len(chosen) < k and len(left):
        at = stat_max(samples[left], significance, rng)
        chosen.append(int(left[at]))
        left = np.delete(left, at)
    return chosen


@dataclass(frozen=True)
class Comparator:
    """How a search compares what it scored.

    Attributes:
        significance: level of the test of their samples; None: by fitness, the earlier of equals first.
    """

    significance: float | None = None

    def better(self, result: Result, other: Result) -> bool:
        """Returns whether one result is better than another; any value is better than a failure."""
        if self.significance is None or other.fitness == -math.inf or result.fitness == -math.inf:
            return result.fitness > other.fitness
        return bool(beats(_samples([result]), _samples([other])[0], self.significance)[0])

    def best(self, results: Sequence[Result], rng: np.random.Generator) -> Result:
        """Returns the best of one or more results; chance decides between those that the test cannot tell apart."""
        return (self.top(results, 1, rng) or results[:1])[0]

    def top(self, results: Sequence[Result], k: int, rng: np.random.Generator) -> list[Result]:
        """Returns the ``k`` best results, best first; failures are not among them."""
        valid = [result for result in results if result.fitness > -math.inf]
        if self.significance is None:
            return sorted(valid, key=lambda result: -result.fitness)[:k]  # stable: ties keep their order
        return [valid[i] for i in stat_topk(_samples(valid), k, self.significance, rng)] if valid else []


#: compares by fitness
MEANS = Comparator()


def _samples(results: Sequence[Result]) -> Array:
    return np.array([result.samples for result in results], dtype=float)
