"""RoBoT: weights of proxies found by Bayesian optimisation of the truth, then the weighted sum's ranking, greedily.

Source: He et al., "Robustifying and Boosting Training-Free Neural Architecture Search" (ICLR 2024, arXiv 2403.07591),
Algorithms 1 and 2, in the form that their code has (hzf1174/RoBoT). The paper assumes an optimiser whose regret is
bounded by information-directed sampling; the code has a Gaussian process with an upper confidence bound, and so has
this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.options import Fidelity, NotNegative, Seed, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import Result
from nas.search.base import SEARCHERS
from nas.search.candidates import CandidateSearch, feasible

__all__ = ["RobotSearch", "normalised"]

Array = NDArray[np.float64]


def normalised(scores: Array, how: Literal["minmax", "rank"] = "minmax") -> Array:
    """Returns each column of scores (n, m) on one scale; what is NaN, a failure, is 0, so that it adds nothing.

    Args:
        how: "minmax": from 0 to 1, and a constant column is left as it is, as released. "rank": the share of the others
            that are lower, half of the equal ones counted; a constant column is one half.
    """
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    columns = np.zeros_like(scores)
    for at, column in enumerate(scores.T):
        told = np.isfinite(column)
        if not told.any():
            continue
        values, low, high = column[told], column[told].min(), column[told].max()
        if how == "rank":
            values = (rankdata(values) - 1) / (len(values) - 1) if len(values) > 1 else np.array([0.5])
        elif high > low:
            values = (values - low) / (high - low)
        columns[told, at] = values
    return columns


@SEARCHERS.register("robot")
class RobotSearch(CandidateSearch):
    """Looks for the weights of all proxies of the run that make the best of their sum best, then goes down that sum.

    Candidates are drawn and scored first: ``drawn`` of them, or all members of a closed pool. With a budget of T
    truths, up to T weight vectors in [-1, 1] are tried, each worth the truth of the candidate that it ranks first; a
    candidate whose truth is known is not asked again. They find T0 distinct candidates; the other truths are those of
    the ranking by the best weights, best first. Of equally good weights the last count, as released; of candidates with
    equal sums the first scored comes first (in the code that of the larger index), which in a closed pool is chance:
    members are scored in random order. A training that diverged is worth the worst truth so far. What the gate keeps
    out, and what has no score at all, is never asked.

    Args:
        drawn: candidates drawn first.
        normalise: "minmax" per proxy, as released, or "rank", in which outliers count no more than others.
        kappa: of the upper confidence bound.
        fidelity: share of the training protocol after which truths are taken (12 of 200 epochs in the paper).
    """

    name = "robot"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        drawn: Size = 1000,
        normalise: Literal["minmax", "rank"] = "minmax",
        kappa: NotNegative = 2.576,
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed, drawn, together=2**31, fidelity=fidelity)
        self.normalise: Literal["minmax", "rank"] = normalise
        self.kappa = kappa
        self._tried: list[tuple[Array, str]] = []  # weights, and the candidate that they rank first
        self._trying: Array | None = None
        self._explored: int | None = None
        self._scaled: tuple[Array, Array] | None = None

    def _eligible(self, result: Result) -> bool:
        return feasible(result) and any(value is not None for value in self._values(result))

    def _chosen(self, most: int) -> list[str]:
        keys, scores = self._table()
        if not keys:
            return []
        metrics = self._metrics(scores)
        known = self._without(self._unknown)
        rounds = min(self._total, int(known.sum()))
        while len(self._tried) < rounds and len(self._truths) < rounds:
            if self._trying is None:
                self._trying = self._weights(metrics.shape[1])
            top = keys[int(np.argmax(np.where(known, metrics @ self._trying, -np.inf)))]
            if top not in self._truths:
                return [top]
            self._end_round(top)
        if self._explored is None:
            self._explored = len(self._truths)
        if not self._tried:
            return []
        order = np.argsort(-(metrics @ self.best), kind="stable")
        free = self._free()
        return [keys[i] for i in order[free[order]][:most]]

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores and truths; a truth that was asked for to try weights ends their round."""
        super().tell(results)
        for result in results:
            if result.truth is not None and result.architecture.key in self._truths and self._explored is None:
                self._end_round(result.architecture.key)

    def _end_round(self, top: str) -> None:
        if self._trying is not None:
            self._tried.append((self._trying, top))
            self._trying = None

    def _metrics(self, scores: Array) -> Array:
        if self._scaled is None or self._scaled[0] is not scores:
            self._scaled = scores, normalised(scores, self.normalise)
        return self._scaled[1]

    def _weights(self, count: int) -> Array:
        """Returns the next weights to try."""
        from nas.search.box import finite, suggest  # scikit-learn takes a second to import

        rng = seeds.generator(self.seed, "searcher", self.name, "weights", len(self._tried))
        box = np.tile([-1.0, 1.0], (count, 1))
        values = finite([self._truths[key] for _, key in self._tried])
        return suggest([weights for weights, _ in self._tried], values, box, "ucb", rng, self.kappa)

    @property
    def best(self) -> Array:
        """The weights of the best truth so far, of equals the last."""
        best, highest = self._tried[0][0], -math.inf
        for weights, key in self._tried:
            if self._truths[key] >= highest:
                best, highest = weights, self._truths[key]
        return best

    def notes(self) -> dict[str, Any]:
        """Returns how many weights were tried, how many candidates they found (T0), and the best weights by proxy."""
        found = {key for _, key in self._tried}
        weights: Mapping[str, float] = {}
        if self._tried:
            weights = dict(zip(self._names, map(float, self.best), strict=True))
        explored = len(found) if self._explored is None else self._explored
        return {"weights_tried": len(self._tried), "T0": explored, "weights": weights}
