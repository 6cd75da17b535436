"""ProxyBO: a surrogate of the truth and the proxies merged by ranks, each as far as it agrees with the truths so far.

Source: Shen et al., "ProxyBO: Accelerating Neural Architecture Search via Bayesian Optimization with Zero-cost Proxies"
(AAAI 2023, arXiv 2110.10423). No code of it was found. Its abstract was read, which names the two parts: the
measurement of generalisation ability, and the combination by dynamic influence. The formulas below are written from
what is reported of the paper elsewhere, and were not compared with its text: that the measurement is Kendall's tau, for
the surrogate on held-out truths; that influences are the softmax of the measurements under a temperature
tau_0 / (1 + ln t) that falls with the iteration t; and that the acquisition is the sum of ranks weighted by them. The
default of tau_0, the number of first truths and the number of folds are this project's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.options import Count, Fidelity, Positive, Seed, Size, validated
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS
from nas.search.candidates import CandidateSearch

__all__ = ["ProxyBOSearch", "concordance", "influences"]

Array = NDArray[np.float64]
Folds = Annotated[int, Ge(2), Le(1000)]

#: trees of the surrogate, and of each that is made to measure it
_TREES, _FOLD_TREES = 100, 20


def concordance(scores: Sequence[float] | Array, truths: Sequence[float] | Array) -> float:
    """Returns Kendall's tau of scores with truths: concordant less discordant pairs, over all pairs; 0 for fewer than
    two.

    Higher is better in both. What is not finite, a failure or a divergence, ranks lowest; ties count as neither.
    """
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    first, second = (rankdata(np.where(np.isfinite(values), values, -np.inf)) for values in (scores, truths))
    count = len(first)
    if count < 2:
        return 0.0
    signs = np.sign(first[:, None] - first[None]) * np.sign(second[:, None] - second[None])
    return float(signs.sum() / (count * (count - 1)))


def influences(measured: Sequence[float] | Array, temperature: float) -> Array:
    """Returns the softmax of what was measured, divided by the temperature."""
    scaled = np.asarray(measured, dtype=float) / temperature
    weights = np.exp(scaled - scaled.max())
    return np.asarray(weights / weights.sum())


@SEARCHERS.register("proxybo")
class ProxyBOSearch(CandidateSearch):
    """Asks for the truth of the candidate with the lowest sum of ranks, those of the surrogate and of all proxies.

    Candidates are drawn and scored first: ``drawn`` of them, or all members of a closed pool. The first truths are
    those of candidates at random. Then each round adds mutants of the best by truth, and ranks all candidates by the
    expected improvement of a forest over the features, and by each proxy of the run; a failure ranks lowest. A rank
    counts as its source agrees with the truths so far (Kendall's tau; for the forest in cross-validation), the more
    exclusively the longer the search is: a proxy that is wrong fades out. A training that diverged is told to the
    forest as the worst that it tells apart, and ranks lowest among the truths.

    Args:
        drawn: candidates drawn first.
        start: truths asked of candidates at random.
        temperature: tau_0.
        folds: of the cross-validation.
        children: mutants of the best by truth that join the candidates before each round.
        parents: how many of the best by truth they are made of.
        fidelity: share of the training protocol after which truths are taken.
    """

    name = "proxybo"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        drawn: Size = 1000,
        start: Size = 5,
        temperature: Positive = 0.05,
        folds: Folds = 5,
        children: Count = 50,
        parents: Size = 5,
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed, drawn, children, parents, fidelity=fidelity)
        self.start, self.temperature, self.folds = start, temperature, folds
        self._measured: dict[str, float] = {}
        self._influence: dict[str, float] = {}

    @property
    def _starts(self) -> int:
        return self.start

    def _chosen(self, most: int) -> list[str]:
        keys, scores = self._table()
        free = self._free()
        if not free.any():
            return []
        if len(self._truths) < self.start or not self._best():
            return self._at_random([key for key, one in zip(keys, free, strict=True) if one], "start")[:1]
        sums = self._summed(keys, scores)
        return [keys[int(np.argmin(np.where(free, sums, np.inf)))]]

    def _summed(self, keys: list[str], scores: Array) -> Array:
        """Returns the sum (n,) of each candidate's ranks by the surrogate and each proxy, 1 the best, by influence."""
        from scipy.stats import rankdata

        from nas.search.surrogate import expected_improvement, levelled  # scikit-learn takes a second to import

        known = [self._place[key] for key in self._truths if key in self._place]
        values = np.array([self._truths[keys[i]] for i in known])
        truths, rows = levelled(list(values)), self._features_of(keys)
        mean, deviation = self._forest(rows, known, truths, rows)
        gain = expected_improvement(mean, deviation, float(truths.max()))
        measured = [self._validated(rows, known, truths, values)]
        measured += [concordance(scores[known, j], values) for j in range(scores.shape[1])]
        names = ["surrogate", *(f"proxy {label}" if label == "surrogate" else label for label in self._names)]
        iteration = len(self._truths) - self.start + 1
        weights = influences(measured, self.temperature / (1 + math.log(max(iteration, 1))))
        self._measured = dict(zip(names, measured, strict=True))
        self._influence = dict(zip(names, map(float, weights), strict=True))
        columns = [gain, *np.where(np.isfinite(scores), scores, -np.inf).T]
        return np.stack([rankdata(-column) for column in columns], axis=1) @ weights

    def _forest(self, rows: Array, known: Any, truths: Array, others: Array, fold: int = 0) -> tuple[Array, Array]:
        """Returns mean and standard deviation (m,) of the trees' predictions of other rows (m, d)."""
        from threadpoolctl import threadpool_limits

        from nas.search.surrogate import forest

        seed = seeds.integer(self.seed, "searcher", self.name, "forest", len(self._truths), fold)
        with threadpool_limits(1):
            made = forest(rows[known], truths, seed, _FOLD_TREES if fold else _TREES)
            each = np.stack([tree.predict(others) for tree in made.estimators_])
        return each.mean(axis=0), each.std(axis=0)

    def _validated(self, rows: Array, known: Sequence[int], truths: Array, values: Array) -> float:
        """Returns the tau of the surrogate's predictions of held-out truths with them."""
        count, of = len(known), rows[list(known)]
        predicted = np.zeros(count)
        order = seeds.generator(self.seed, "searcher", self.name, "folds", len(self._truths)).permutation(count)
        for fold, held in enumerate(np.array_split(order, min(self.folds, count)), 1):
            kept = np.setdiff1d(np.arange(count), held)
            if len(kept):
                predicted[held] = self._forest(of, kept, truths[kept], of[held], fold)[0]
        return concordance(predicted, values)

    def notes(self) -> dict[str, Any]:
        """Returns what was measured of the surrogate and of each proxy in the last round, and their influences."""
        return {"agreement": dict(self._measured), "influence": dict(self._influence)} if self._measured else {}
