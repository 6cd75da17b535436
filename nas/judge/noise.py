"""The noise of the truth: how much trainings of the same architecture differ.

Everything here comes from the architectures that a benchmark trained more than once. Divergence is noise too: an
architecture may train with one seed and diverge with another, which no standard deviation expresses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from nas.judge.statistics import kendall, tied_last
from nas.truth.benchmarks.base import Benchmark, Standing

__all__ = ["Noise", "Retest", "ceiling", "retest"]

#: architectures that must have been trained more than once before anything is said of the noise
_REPEATED = 10
#: number of nearest repeated architectures used to estimate the noise at a value (at least this many, or this share)
_NEAR = 15
_NEAR_SHARE = 0.1


@dataclass(frozen=True)
class Retest:
    """Retest agreement: how two trainings of the same architectures rank them.

    Attributes:
        tau: Kendall tau between two trainings, the mean over the pairs of trainings, over the architectures all of
            whose trainings have a value; None where fewer than ten have.
        architectures: how many those are.
        tau_all: the same over all that were repeated, a training that diverged tied last; None where fewer than ten.
        repeated: architectures that were trained more than once and have a value.
        diverged: how many of them diverged in at least one training.
        trainings, trainings_diverged: the same counts in trainings, every one of the repeated.
    """

    tau: float | None
    architectures: int
    tau_all: float | None
    repeated: int
    diverged: int
    trainings: int
    trainings_diverged: int


def retest(results: Sequence[Sequence[float | None]], fewest: int | None = None) -> Retest:
    """Returns how the trainings of repeated architectures agree.

    Args:
        results: per architecture its trainings' values in order, higher is better (a loss with its sign turned), None
            where one diverged. Those with fewer than two trainings, or without any value, take no part.
        fewest: architectures needed for a tau (default ten).

    The pairs of trainings are those that every repeated architecture has: the first with the second where one was
    trained twice only, each with each where all were trained three times.
    """
    least = _REPEATED if fewest is None else fewest
    repeated = [r for r in results if len(r) > 1 and any(value is not None for value in r)]
    count = min((len(r) for r in repeated), default=0)
    finite = [r for r in repeated if all(value is not None for value in r)]
    return Retest(
        _mean_tau(finite, count, least),
        len(finite),
        _mean_tau(repeated, count, least),
        len(repeated),
        len(repeated) - len(finite),
        sum(len(r) for r in repeated),
        sum(value is None for r in repeated for value in r),
    )


def _mean_tau(results: Sequence[Sequence[float | None]], count: int, fewest: int) -> float | None:
    if len(results) < max(2, fewest):
        return None
    columns = [tied_last([r[i] for r in results]) for i in range(count)]
    tau = float(np.mean([kendall(a, b) for a, b in itertools.combinations(columns, 2)]))
    return None if math.isnan(tau) else tau


def ceiling(tau: float, trainings: int = 1) -> float:
    """Returns the Kendall tau that a noiseless predictor would reach with the mean of so many trainings.

    A predictor that ranks by the expected value of an architecture's training agrees better with a training than
    another training does, since only one of the two sides is noisy. Assuming that two trainings of an architecture
    drawn from the table are bivariate normal, their correlation is r = sin(pi tau / 2), the reliability of one
    training; the mean of k has r_k = k r / (1 + (k - 1) r) (Spearman and Brown) and correlates with the expected value
    at sqrt(r_k), hence tau = 2 / pi asin(sqrt(r_k)). Heavy tails, and noise that depends on the value, make it
    approximate.

    Args:
        tau: retest agreement, of one training with another.
        trainings: k.
    """
    r = max(0.0, math.sin(math.pi * tau / 2))
    return 2 / math.pi * math.asin(math.sqrt(trainings * r / (1 + (trainings - 1) * r)))


class Noise:
    """The noise of a benchmark's values, each part None where fewer than ten architectures were trained repeatedly."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    @cached_property
    def retest(self) -> Retest:
        """How two trainings of the same architectures agree, and how many diverged under another seed."""
        sign = self.benchmark.sign
        return retest(
            [[None if v is None else sign * v for v in entry.results] for entry in self.benchmark.entries],
        )

    @cached_property
    def deviation(self) -> float | None:
        """Standard deviation of one training that has a value, in the benchmark's unit.

        It is the median over repeatedly trained architectures of their standard deviation, each divided by the median
        that normal noise of deviation 1 gives for as many trainings: a few unstable ones do not speak for all.
        """
        spreads = [
            np.std([run.value for run in e.runs], ddof=1) / _median_deviation(len(e.runs))
            for e in self.benchmark.entries
            if len(e.runs) > 1
        ]
        return float(np.median(spreads)) if len(spreads) >= _REPEATED else None

    @cached_property
    def _deviations(self) -> list[tuple[float, str, np.ndarray]]:
        """Value, key and how far each training is off, of the repeatedly trained, by value.

        Residuals from a mean of n runs have variance (1 - 1/n) sigma^2, so they are multiplied by sqrt(n / (n - 1)).
        """
        found = []
        for entry in sorted(self.benchmark.entries, key=lambda entry: entry.value):
            count = len(entry.runs)
            if count > 1:
                values = np.array([run.value for run in entry.runs])
                found.append((entry.value, entry.key, np.abs(values - values.mean()) * math.sqrt(count / (count - 1))))
        return found

    def reach(self, value: float, without: str = "") -> float | None:
        """Returns how far from its architecture's mean 95% of the trainings lie, where the mean is near ``value``.

        Noise depends on the value and has heavy tails, so no one deviation gives it: this is the 95% quantile (of the
        next training, hence a little above the sample's) over the repeatedly trained architectures nearest in value,
        fifteen, or a tenth of them if that is more. It is of trainings that have a value; ``Retest`` counts the others.

        Args:
            without: key of an architecture that does not speak, for checking what it covers.
        """
        found = [(abs(near - value), deviations) for near, key, deviations in self._deviations if key != without]
        if len(found) < _REPEATED:
            return None
        count = max(_NEAR, round(_NEAR_SHARE * len(found)))
        nearest = sorted(found, key=lambda pair: pair[0])[:count]
        offs = np.sort(np.concatenate([deviations for _, deviations in nearest]))
        return float(offs[min(len(offs), math.ceil(0.95 * (len(offs) + 1))) - 1])

    @cached_property
    def coverage(self) -> float | None:
        """Share of the repeated trainings (with a value) that ``reach`` covers, each architecture left out in turn."""
        reaches = [(deviations, self.reach(value, without=key)) for value, key, deviations in self._deviations]
        covered = [deviations <= reach for deviations, reach in reaches if reach is not None]
        return float(np.concatenate(covered).mean()) if covered else None

    def standings(
        self, value: float, trainings: int = 1, member: bool = True, own: float | None = None
    ) -> tuple[Standing, Standing] | None:
        """Returns the standings of both ends of a 95% interval around the mean of so many trainings, the better first.

        The regrets are those of a difference: the best entry is a mean of trainings too. The interval is for a value
        that was not selected: the best of several noisy trainings is better than its architecture is (the winner's
        curse), and so is the best of the table. The mean of n trainings is taken to reach 1 / sqrt(n) as far, as normal
        noise does.

        Args:
            value, member, own: as ``Benchmark.standing`` has them.
        """
        benchmark = self.benchmark
        reach, of_best = self.reach(value), self.reach(benchmark.best.value)
        if reach is None or of_best is None:
            return None
        at = value if own is None else own
        off = benchmark.sign * reach / math.sqrt(trainings)
        better, worse = (benchmark.standing(value + side * off, member, at) for side in (1, -1))
        behind = benchmark.sign * (benchmark.best.value - value)  # below 0: better than the best
        wider = math.sqrt(reach**2 / trainings + of_best**2 / len(benchmark.best.runs))
        return replace(better, regret=max(0.0, behind - wider)), replace(worse, regret=max(0.0, behind + wider))


@lru_cache
def _median_deviation(count: int) -> float:
    """Returns the median of the standard deviation (ddof 1) of so many draws from a normal distribution of deviation 1.

    Draws are independent: its square times (count - 1) is chi-squared with count - 1 degrees of freedom.
    """
    from scipy.special import gammaincinv

    half = (count - 1) / 2  # the median of chi-squared with 2 * half degrees of freedom is 2 gammaincinv(half, 1/2)
    return math.sqrt(float(gammaincinv(half, 0.5)) / half)
