"""Kendall's tau over pairs of architectures of like size, and given their sizes; with intervals.

Write the sign of a difference, x_i - x_j, for each pair of architectures in one long vector. Kendall's tau-b of two
quantities is the cosine of their vectors, and the partial tau the partial correlation of the vectors (Kendall 1942,
Biometrika 32): all that is needed are inner products.

What each architecture's pairs add to them is known, so the intervals are jackknife ones: value +- 1.96 standard errors,
from the n values with one architecture left out (Arvesen 1969, for functions of U-statistics), cut off at -1 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.judge.counting import alike, untied
from nas.judge.statistics import Numbers, places

__all__ = ["SHARE", "Paired", "over_all", "partial", "within"]

#: by how much of the larger one two sizes differ at most that are alike
SHARE = 0.1

_NOTHING = 1e-9  # share of a vector's square that counts as nothing left of it
_AT_ONCE = 1_000_000  # signs of a column held at once

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """A statistic over pairs of architectures.

    Attributes:
        pairs: how many.
        tau: the statistic, NaN where it is not defined.
        tau_interval: 95% jackknife interval over architectures, NaN where there is none.
        why: why ``tau`` is not defined, "" where it is.
    """

    pairs: int
    tau: float
    tau_interval: tuple[float, float]
    why: str = ""


def over_all(scores: Numbers, truth: Numbers) -> Paired:
    """Returns the tie-broken tau (see ``nas.judge.statistics.tie_broken``), with its jackknife interval."""
    score, true = places(scores), places(truth)
    every = np.full(len(true), len(true) - 1)
    return _judged(np.stack([alike(score, true), untied(true), every], axis=1).astype(float))


def within(scores: Numbers, truth: Numbers, sizes: Numbers, share: float = SHARE) -> Paired:
    """Returns the tie-broken tau over the pairs of architectures whose sizes differ by at most ``share``.

    Concordant, discordant and all pairs, and those tied in the truth, are counted among the pairs with
    |p - q| <= share max(p, q).

    With the number of parameters and a share of 10% it is the "10%-PW tau" of NSC (Zhu, Zhao and Lu 2026, arXiv
    2609.23087): "Kendall tau restricted to architecture pairs whose #Params differ by less than 10%", as the README of
    their code says; the code itself lacks the computation. Over the 500 trainings of FlexiBERT (stated reading), with
    the difference divided by the larger size as here, their parameters have .082, their FLOPs .329 and NSC .499, where
    they publish .082, .329 and .505. Divided by the smaller size, parameters would have .073. Leaving out the pairs
    that a proxy ties would give NSC .505, but their FLOPs .335.

    Args:
        scores: one per architecture, higher is better.
        truth: higher is better, same order.
        sizes: numbers of parameters, same order.
    """
    order = np.argsort(sizes, kind="stable")
    columns = np.stack([places(scores), places(truth)])[:, order].astype(np.int32)
    ordered = np.asarray(sizes, dtype=float)[order]
    sums = np.zeros((columns.shape[1], 3))  # concordant less discordant, untied in the truth, all; of each architecture
    for rows, others in _blocks(ordered, share):
        apart = ordered[rows, None] - ordered[None, others]
        inside = np.abs(apart) <= share * np.maximum(ordered[rows, None], ordered[None, others])
        score, true = (_signs(column, rows, others) * inside for column in columns)
        sums[rows] = np.stack([(score * true).sum(1), np.abs(true).sum(1), inside.sum(1) - 1.0], axis=1)
    return _judged(sums)


def _judged(sums: Array) -> Paired:
    """Returns the tie-broken tau of what each architecture's pairs add: (n, 3) as ``within`` has them."""
    pairs = round(sums[:, 2].sum() / 2)

    def statistic(of: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(of[..., 0] / np.sqrt(of[..., 1] * of[..., 2]))

    if not sums[:, 1].any():
        return Paired(pairs, math.nan, (math.nan, math.nan), "no pair differs in the truth" if pairs else "no pairs")
    return Paired(pairs, *_estimate(statistic, sums))


def partial(scores: Numbers, truth: Numbers, given: Sequence[Numbers]) -> Paired:
    """Returns Kendall's partial tau of scores and truth given further quantities, such as parameters and FLOPs.

    With P the inverse of the matrix of the tau-b of all quantities, it is -P_st / sqrt(P_ss P_tt) (Kim 2015,
    Communications for Statistical Applications and Methods 22, 665-674, as the R package ppcor has it with
    method="kendall"; for one given quantity Kendall's formula of 1942). NSC (arXiv 2609.23087) reports a "Kendall
    partial correlation given #params, #FLOPs"; its code lacks the computation. Given quantities that rank all
    architectures alike count as one, and one that is constant as none.

    It takes out what is linear in the signs of differences, which is not all: where score and truth both follow size
    with noise of their own, and nothing else connects them, it is above 0, .11 where both correlate at .71 with size
    (normal), and up to .29. The tau within pairs of like size is near 0 then.

    It is not defined where the given quantities leave nothing of the scores or of the truth: where the score is the
    number of parameters itself, for instance.
    """
    columns = [places(column) for column in (scores, truth, *given)]
    count = len(columns[0])
    sums = np.zeros((count, len(columns), len(columns)))
    for i, first in enumerate(columns):
        sums[:, i, i] = untied(first)
        for j in range(i):
            sums[:, i, j] = sums[:, j, i] = alike(first, columns[j])
    whole, pairs = sums.sum(axis=0), count * (count - 1) // 2
    for place, name in enumerate(("the score", "the truth")):
        if whole[place, place] == 0:
            return Paired(pairs, math.nan, (math.nan, math.nan), f"{name} is constant")
        if _left(whole[None], place, place)[0] <= _NOTHING * whole[place, place]:
            return Paired(pairs, math.nan, (math.nan, math.nan), f"{name} ranks as the given sizes do")

    def statistic(of: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(_left(of, 0, 1) / np.sqrt(_left(of, 0, 0) * _left(of, 1, 1)))

    return Paired(pairs, *_estimate(statistic, sums))


def _left(sums: Array, first: int, second: int) -> Array:
    """Returns the inner products of what is left of two vectors once those from the third on are projected out, (m,).

    Args:
        sums: (m, columns, columns) inner products.
    """
    given = sums[:, 2:, 2:]
    inverse = np.linalg.pinv(given, rcond=_NOTHING, hermitian=True)
    explained = np.einsum("mi,mij,mj->m", sums[:, first, 2:], inverse, sums[:, second, 2:])
    return np.asarray(sums[:, first, second] - explained)


def _estimate(statistic: Callable[[Array], Array], sums: Array) -> tuple[float, tuple[float, float]]:
    """Returns a statistic of sums over ordered pairs, and its interval.

    Args:
        sums: (n, ...) what the pairs with each architecture add.
    """
    whole = sums.sum(axis=0)
    value = float(statistic(whole[None])[0])
    without = statistic(whole - 2 * sums)  # each pair is there twice
    error = math.sqrt((len(sums) - 1) * float(np.var(without)))
    return value, (max(-1.0, value - 1.96 * error), min(1.0, value + 1.96 * error))


def _signs(column: NDArray[np.int32], rows: slice, others: slice) -> NDArray[np.float32]:
    return np.sign(column[rows, None] - column[None, others]).astype(np.float32)


def _blocks(sizes: Array, share: float) -> Iterator[tuple[slice, slice]]:
    """Yields architectures, and those among which all of like size are, of increasing sizes."""
    count = len(sizes)
    at_once = max(1, _AT_ONCE // max(1, count))
    for start in range(0, count, at_once):
        stop = min(count, start + at_once)
        if share >= 1:
            yield slice(start, stop), slice(0, count)
            continue
        low = np.searchsorted(sizes, (1 - share) * sizes[start] * (1 - _NOTHING), side="left")
        high = np.searchsorted(sizes, sizes[stop - 1] / (1 - share) * (1 + _NOTHING), side="right")
        yield slice(start, stop), slice(int(low), int(high))
