"""HNAS: a training-free objective with two unknowns, found by Bayesian optimisation of the truth.

Source: Shu et al., "Unifying and Boosting Gradient-Based Training-Free Neural Architecture Search" (NeurIPS 2022, arXiv
2201.09785), Algorithm 1, in the form that their code has (shuyao95/HNAS). An architecture minimises
kappa / (M + 1e-6) + mu |M^2 - nu^2|: M is a metric of gradients, kappa the condition number of the neural tangent
kernel; nu and mu are what is searched. On NAS-Bench-201 the code has nu = 5000 t and mu = 10^c with t in (0, 1), c in
(-4, 0), and expected improvement; on DARTS nu = 100 t, c in (-4, 1), and an upper confidence bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Fidelity, Positive, Seed, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import Result
from nas.search.base import SEARCHERS
from nas.search.candidates import CandidateSearch, feasible

__all__ = ["Acquisition", "HNASSearch", "objective"]

Array = NDArray[np.float64]
#: upper confidence bound, or expected improvement
Acquisition = Literal["ucb", "ei"]
#: of a coefficient 10^c
Exponent = Annotated[float, Ge(-20), Le(20)]

_SINGULAR = 1e5  # a condition number that there is none of, as released
_PROBED, _MOST_PROBED = 0.25, 10  # share of the truths that goes to the fixed first targets, and how many at most


def objective(metric: Array, condition: Array, target: float, coefficient: float) -> Array:
    """Returns kappa / (M + 1e-6) + mu |M^2 - nu^2| (n,); lower is better.

    Args:
        metric, condition: M and kappa (n,).
        target, coefficient: nu and mu.
    """
    return np.asarray(condition / (metric + 1e-6) + coefficient * np.abs(metric**2 - target**2))


@SEARCHERS.register("hnas")
class HNASSearch(CandidateSearch):
    """Asks, round by round, for the truth of the candidate that minimises the objective under other targets.

    Candidates are drawn and scored first: ``drawn`` of them, or all members of a closed pool; each must have the
    metric. The first quarter of the truths, 10 at most, is that of targets evenly from 0 to 1 with the middle
    coefficient, the others are where the acquisition is highest. A round passes over what was asked before, so that
    each asks for one new truth. A training that diverged is worth the worst truth so far.

    A proxy's score is "higher is better", so the condition number comes as its negative; it is never negative, so kappa
    is the score without its sign. One that there is none of, as of a singular kernel, is 1e5, as released.

    Args:
        metric: label of the proxy that is M: grad_norm, snip, grasp or ntk_trace in the paper.
        condition: label of the proxy that is kappa.
        root: whether M is the root of the metric: for ntk_trace, whose root over the root of the examples is M there;
            None: for the label ntk_trace.
        drawn: candidates drawn first.
        joining: candidates that are drawn, with replacement, before each round, and then take part in all (2,000 on
            NAS-Bench-201); None: all take part from the start, as on DARTS.
        scale: nu at the target 1.
        rescaled: whether the metric is first multiplied so that its highest value among the candidates is the scale,
            and the targets span it whatever its unit; false, as released.
        lowest, highest: bounds of the exponent c.
        acquisition: "ei" or "ucb".
        fidelity: share of the training protocol after which truths are taken (12 of 200 epochs in the paper).
    """

    name = "hnas"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        metric: str = "grad_norm",
        condition: str = "ntk_condition",
        root: bool | None = None,
        drawn: Size = 1000,
        joining: Size | None = None,
        scale: Positive = 5000.0,
        rescaled: bool = True,
        lowest: Exponent = -4.0,
        highest: Exponent = 0.0,
        acquisition: Acquisition = "ei",
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed, drawn, fidelity=fidelity)
        if not lowest < highest:
            raise ZeronasError(f"Searcher 'hnas' needs lowest < highest, but got ({lowest=:g}, {highest=:g}).")
        self.metric, self.condition = metric, condition
        self.root = metric == "ntk_trace" if root is None else root
        self.joining, self.scale, self.rescaled = joining, scale, rescaled
        self.lowest, self.highest = lowest, highest
        self.acquisition: Acquisition = acquisition
        self._tried: list[tuple[Array, str]] = []  # target and exponent, and the candidate asked for
        self._trying: Array | None = None
        self._joined: NDArray[np.bool_] | None = None

    def prepare(self, labels: Sequence[str]) -> None:
        """Finds metric and condition number among the run's proxies.

        Raises:
            ZeronasError: one is not there.
        """
        super().prepare(labels)
        self._column(self.metric, "metric")
        self._column(self.condition, "condition")

    def _eligible(self, result: Result) -> bool:
        value = self._values(result)[self._column(self.metric, "metric")]
        return feasible(result) and value is not None and (value >= 0 or not self.root)

    def _chosen(self, most: int) -> list[str]:
        keys, scores = self._table()
        free = self._free()
        rounds = min(self._total, len(self._truths) + int(free.sum()))
        if not free.any():
            return []
        if self._trying is None:
            self._trying = self._targets(rounds)
            self._join(len(keys))
        metric, condition = self._metrics(scores)
        target, exponent = self._trying
        values = objective(metric, condition, target * self.scale, 10**exponent)
        taking_part = free & self._joined if self._joined is not None and (free & self._joined).any() else free
        return [keys[int(np.argmin(np.where(taking_part, values, np.inf)))]]

    def _metrics(self, scores: Array) -> tuple[Array, Array]:
        """Returns M and kappa (n,)."""
        metric = scores[:, self._column(self.metric, "metric")]
        metric = np.sqrt(metric) if self.root else metric
        if self.rescaled and (highest := float(metric.max())) > 0:
            metric = metric * (self.scale / highest)
        condition = np.abs(scores[:, self._column(self.condition, "condition")])
        return metric, np.where(np.isfinite(condition), condition, _SINGULAR)

    def _targets(self, rounds: int) -> Array:
        """Returns the next target and exponent."""
        from nas.search.box import finite, suggest  # scikit-learn takes a second to import

        probes = min(int(rounds * _PROBED), _MOST_PROBED)
        if len(self._tried) < probes:
            return np.array([np.linspace(0, 1, probes)[len(self._tried)], (self.lowest + self.highest) / 2])
        rng = seeds.generator(self.seed, "searcher", self.name, "targets", len(self._tried))
        values = finite([self._truths[key] for _, key in self._tried])
        box = np.array([[0.0, 1.0], [self.lowest, self.highest]])
        return suggest([point for point, _ in self._tried], values, box, self.acquisition, rng)

    def _join(self, count: int) -> None:
        """Lets further candidates take part."""
        if self.joining is None:
            return
        rng = seeds.generator(self.seed, "searcher", self.name, "joining", len(self._tried))
        joined = np.zeros(count, dtype=bool) if self._joined is None else self._joined
        joined[rng.integers(count, size=self.joining)] = True
        self._joined = joined

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores and truths; a truth ends the round."""
        super().tell(results)
        for result in results:
            if result.truth is not None and result.architecture.key in self._truths and self._trying is not None:
                self._tried.append((self._trying, result.architecture.key))
                self._trying = None

    def notes(self) -> dict[str, Any]:
        """Returns the target and the exponent of the best truth."""
        if not self._tried:
            return {}
        (target, exponent), _ = max(self._tried, key=lambda one: self._truths.get(one[1], -math.inf))
        return {"target": float(target), "coefficient": float(10**exponent), "rounds": len(self._tried)}
