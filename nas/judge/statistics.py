"""Statistics of rankings and searches: rank correlations with intervals, top-k recall, regret and random search's.

All proxy scores are "higher is better", and so is the ``truth`` given here (a loss with its sign turned).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.core import seeds

Numbers = Sequence[float] | np.ndarray

__all__ = [
    "Agreement",
    "agreement",
    "best_so_far",
    "bootstrap",
    "kendall",
    "mean_and_error",
    "percentile_interval",
    "places",
    "random_regret",
    "ranked_regret",
    "recall_at_top",
    "resamples_of",
    "spearman",
    "tie_broken",
    "tied_last",
]


@dataclass(frozen=True)
class Agreement:
    """How a proxy's ranking agrees with the truth.

    Attributes:
        count: architectures compared.
        tau, rho: Kendall tau-b and Spearman rho.
        tau_interval, rho_interval: 95% percentile bootstrap intervals, resampling architectures.
        recall: share of the true top 10% found in the proxy's top 10%.
        tie_broken, tie_broken_interval: expected tau once ties of the scores are broken at random; see ``tie_broken``.
    """

    count: int
    tau: float
    tau_interval: tuple[float, float]
    rho: float
    rho_interval: tuple[float, float]
    recall: float
    tie_broken: float
    tie_broken_interval: tuple[float, float]


def kendall(scores: Numbers, truth: Numbers) -> float:
    """Returns Kendall tau-b (ties are corrected for); NaN where either side is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(scores, truth).statistic)


def tie_broken(scores: Numbers, truth: Numbers) -> float:
    """Returns Kendall's tau once ties of the scores are broken at random: its expectation over all orders of the ties.

    With no ties left in the scores, tau-b is (C - D) / sqrt(n0 (n0 - n_t)), where C of the n0 pairs are concordant, D
    discordant and n_t tied in the truth. A pair that the scores tied falls either way with the same chance, and so adds
    0 to the expectation of C - D. So it is this quotient with ties of the scores counting 0: tau-b times the root of
    the share of pairs that the scores do not tie. tau-b divides by the pairs that a coarse score tells apart, and
    flatters it; this does not.

    It is 0 where the scores are constant, and NaN where the truth is.
    """
    pairs = len(truth) * (len(truth) - 1) // 2
    return _tie_broken(kendall(scores, truth), places(scores), places(truth), pairs)


def _tie_broken(tau: float, scores: np.ndarray, truth: np.ndarray, pairs: int) -> float:
    told = _told_apart(scores)
    if not told and _told_apart(truth):
        return 0.0
    return float(tau * math.sqrt(told / pairs)) if pairs else math.nan


def places(values: Numbers) -> np.ndarray:
    """Returns the place of each value among the distinct ones, 0 for the lowest."""
    return np.asarray(np.unique(np.asarray(values), return_inverse=True)[1]).ravel()


def _told_apart(places: np.ndarray) -> int:
    """Returns the number of pairs of places that are not tied."""
    counts = np.bincount(places).astype(np.int64)
    return int((len(places) ** 2 - (counts**2).sum()) // 2)


def spearman(scores: Numbers, truth: Numbers) -> float:
    """Returns Spearman's rho; NaN where either side is constant."""
    from scipy.stats import spearmanr

    if len(set(np.asarray(scores).tolist())) < 2 or len(set(np.asarray(truth).tolist())) < 2:
        return float("nan")  # as scipy has it, without its warning
    return float(spearmanr(scores, truth).statistic)


def _of_places(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Spearman's rho of places, whole numbers from 0: without sorting, for the many samples of a bootstrap."""
    deviations = []
    for column in (first, second):
        count = np.bincount(column)
        ranks = (np.cumsum(count) - (count - 1) / 2)[column]  # ties at their mean
        deviations.append(ranks - (len(column) + 1) / 2)
    a, b = deviations
    norm = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / norm if norm else math.nan


def tied_last(values: Sequence[float | None]) -> np.ndarray:
    """Returns the ranks of some values, 1 for the lowest, equal ones at their mean; those that are None tied lowest.

    So an architecture that has no score, or no truth because its training diverged, is ranked, and ranked last.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata([-math.inf if value is None else value for value in values]), dtype=float)


def recall_at_top(scores: Numbers, truth: Numbers, share: float = 0.1) -> float:
    """Returns the part of the true top ``share`` that is in the proxy's top ``share``, 0 to 1.

    Members tied at the border count with the share of their places that lie inside, on both sides: this is the expected
    overlap over the orders of ties, so a coarse proxy gains nothing by its ties.
    """
    a, b = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    k = max(1, round(share * len(a)))
    return float(_inside_top(a, k) @ _inside_top(b, k) / k)


def _inside_top(values: np.ndarray, k: int) -> np.ndarray:
    # the probability of each to be among the k highest, over the orders of ties
    border = np.sort(values)[::-1][k - 1]
    above, tied = values > border, values == border
    return above + tied * (k - above.sum()) / tied.sum()


def agreement(scores: Numbers, truth: Numbers, resamples: int = 500, seed: int = 0) -> Agreement | None:
    """Returns how scores agree with the truth, or None with fewer than three architectures.

    Args:
        scores: one per architecture, no NaN.
        truth: higher is better, same order.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    a, b = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if len(a) < 3:
        return None
    rng = seeds.generator(seed, "bootstrap", len(a))
    order = np.lexsort((b, a))  # what is drawn is then ordered by the scores, which halves the sorting
    first_places, second_places = places(a)[order], places(b)[order]
    back = np.argsort(order)

    def statistics(rows: np.ndarray) -> tuple[float, float, float]:
        counts = np.bincount(back[rows[:, 0]], minlength=len(a))
        first, second = np.repeat(first_places, counts), np.repeat(second_places, counts)
        tau, rho = kendall(first, second), _of_places(first, second)
        # an architecture that was drawn twice makes no pair with itself
        return tau, rho, _tie_broken(tau, first, second, _told_apart(rows[:, 0]))

    rows = np.arange(len(a))[:, None]
    taus, rhos, broken = bootstrap(statistics, rows, resamples, rng)
    return Agreement(
        len(a),
        kendall(a, b),
        taus,
        spearman(a, b),
        rhos,
        recall_at_top(a, b),
        tie_broken(a, b),
        broken,
    )


def resamples_of(count: int, most: int = 500) -> int:
    """Returns the resamples of a bootstrap over so many architectures: fewer of many, as intervals are narrow.

    From 3,000 on they are such that as many architectures are drawn in all; 100 at least.
    """
    return max(100, min(most, 1_500_000 // count))


def bootstrap(
    statistics: Callable[[np.ndarray], Sequence[float]], rows: np.ndarray, resamples: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Returns the 95% percentile bootstrap interval of each statistic of a table, rows drawn with replacement.

    Args:
        statistics: of (n, columns), each value one statistic.
        rows: (n, columns), one row per architecture.
    """
    drawn = [statistics(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(resamples)]
    if not drawn:
        return [percentile_interval([])] * len(statistics(rows))
    return [percentile_interval(values) for values in zip(*drawn, strict=True)]


def percentile_interval(values: Numbers) -> tuple[float, float]:
    """Returns the 95% percentile interval of bootstrap values, NaN where none is finite."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def best_so_far(regrets: Numbers) -> list[float]:
    """Returns the running minimum of the regrets, query by query."""
    return np.minimum.accumulate(np.asarray(regrets, dtype=float)).tolist() if len(regrets) else []


def random_regret(regrets: Numbers, queries: int, without: int = 0) -> list[float]:
    """Returns the exact expected best regret after 1, 2, .. ``queries`` random draws without replacement.

    With regrets sorted r_1 <= .. <= r_n, the best of k draws is r_i with probability C(n-i, k-1) / C(n, k).

    Args:
        regrets: of every member of the pool.
        queries: how many draws; more than there are members means all.
        without: further members that have no regret, as their training diverged; a draw of one is used up, and the
            expectation is over the draws that hold at least one with a regret; infinite where no member has one.
    """
    if not len(regrets):
        return [math.inf] * min(queries, without)
    ordered = np.concatenate([np.sort(np.asarray(regrets, dtype=float)), np.zeros(without)])
    n, valid = len(ordered), len(ordered) - without
    curve = []
    none_better = np.ones(n + 1)  # P(no draw among the first i members), for i = 0 .. n
    for k in range(1, min(queries, n) + 1):
        # one more draw: C(n-i, k) / C(n, k) = C(n-i, k-1) / C(n, k-1) * (n-i-k+1) / (n-k+1)
        left = np.clip(n - np.arange(n + 1) - k + 1, 0, None)
        none_better = none_better * left / (n - k + 1)
        best = (ordered * (none_better[:-1] - none_better[1:]))[:valid]
        curve.append(float(best.sum() / (1 - none_better[valid])))
    return curve


def ranked_regret(scores: Numbers, regrets: Numbers, queries: int) -> list[float]:
    """Returns the expected best regret after 1, 2, .. queries of the best-scored members, over all orders of ties.

    Without ties this is the one curve; with ties a single order would be luck. Exact: members that score above the
    k-th place are all queried, and those that share its score are drawn without replacement.

    Args:
        scores: of every member, higher first.
        regrets: of every member, same order; infinite for one whose training diverged. A query of one is used up, and
            the regret stays infinite until one has a value: where it is drawn among tied members, the expectation is
            over the draws that hold one with a regret.
        queries: how many members are queried.
    """
    a, b = np.asarray(scores, dtype=float), np.asarray(regrets, dtype=float)
    curve: list[float] = []
    best = np.inf
    for score in np.unique(a)[::-1]:
        if len(curve) >= queries:
            break
        tied = np.minimum(b[a == score], best)
        valid, left = tied[np.isfinite(tied)], min(len(tied), queries - len(curve))
        curve += random_regret(valid, left, len(tied) - len(valid))
        best = float(tied.min())
    return curve


def mean_and_error(values: Numbers) -> tuple[float, float, float]:
    """Returns mean, median and standard error of the mean (0 for one value)."""
    a = np.asarray(values, dtype=float)
    error = float(a.std(ddof=1) / np.sqrt(len(a))) if len(a) > 1 else 0.0
    return float(a.mean()), float(np.median(a)), error
