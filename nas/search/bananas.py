"""BANANAS: an ensemble of networks predicts the truth, and independent Thompson sampling says what to ask next.

Source: White, Neiswanger & Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
Search" (AAAI 2021, arXiv 1910.11858), Algorithm 1; numbers as in its code, naszilla. Its path encoding is of cells of
operations on nodes; here the ensemble reads the features of the space. Proxies as further inputs: White et al. 2021,
"How Powerful are Performance Predictors" (arXiv 2104.01177).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.options import Count, Fidelity, Positive, Seed, Size, validated
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS
from nas.search.candidates import CandidateSearch

__all__ = ["BananasSearch"]

Array = NDArray[np.float64]
Members = Annotated[int, Ge(2), Le(100)]
Layers = Annotated[int, Ge(1), Le(100)]
Epochs = Annotated[int, Ge(1), Le(100_000)]


@SEARCHERS.register("bananas")
class BananasSearch(CandidateSearch):
    """Asks for the truths of the candidates whose draws from the ensemble's prediction are highest.

    Candidates are drawn and scored first: ``drawn`` of them, or all members of a closed pool. The first truths are
    those of candidates at random. Then, round by round, mutants of the best by truth join the candidates; five networks
    are trained on the truths so far; each candidate draws one value from the normal distribution with mean and standard
    deviation of the five predictions, and those with the highest draws are asked for. A training that diverged is told
    to the networks as the worst that they tell apart.

    Args:
        drawn: candidates drawn first.
        start: truths asked of candidates at random.
        together: truths of one round.
        among: "mutants": the candidates that a round chooses among are the ``children`` nearest to one of the best by
            truth (L1 distance of features), which in an open space are mostly its mutants. "all": all candidates.
        children: mutants that join before each round (of a closed pool none, as all members are candidates).
        parents: how many of the best by truth they are made of.
        proxies: whether the networks also read the proxies of the run, as normal quantiles of their ranks.
        members, layers, width: of the ensemble: networks, hidden layers, units of a layer.
        epochs, rate: of its training.
        fidelity: share of the training protocol after which truths are taken.
    """

    name = "bananas"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        drawn: Size = 1000,
        start: Size = 10,
        together: Size = 10,
        among: Literal["mutants", "all"] = "mutants",
        children: Count = 100,
        parents: Size = 1,
        proxies: bool = False,
        members: Members = 5,
        layers: Layers = 10,
        width: Size = 20,
        epochs: Epochs = 150,
        rate: Positive = 0.01,
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed, drawn, children, parents, together, fidelity)
        self.start, self.among, self.proxies = start, among, proxies
        self.members, self.layers, self.width, self.epochs, self.rate = members, layers, width, epochs, rate

    @property
    def _starts(self) -> int:
        return self.start

    def _chosen(self, most: int) -> list[str]:
        keys, scores = self._table()
        free = np.flatnonzero(self._free())
        if not len(free):
            return []
        first = self.start - len(self._truths)
        if first > 0 or not self._best():
            return self._at_random([keys[i] for i in free], "start")[: min(most, max(first, 1))]
        rows = self._rows(keys, scores)
        if self.among == "mutants":
            free = self._near(
                rows[1], free, [self._place[key] for key in self._best()[: self.parents] if key in self._place]
            )
        each = self._predicted(rows[0], [self._place[key] for key in self._truths if key in self._place], keys, free)
        rng = seeds.generator(self.seed, "searcher", self.name, "sampling", len(self._truths) + len(self._unknown))
        draws = rng.normal(each.mean(axis=0), each.std(axis=0))
        return [keys[free[i]] for i in np.argsort(-draws, kind="stable")[:most]]

    def _rows(self, keys: list[str], scores: Array) -> tuple[Array, Array]:
        """Returns what the networks read of the candidates (n, d), and their features (n, f)."""
        from nas.search.surrogate import normal_scores  # scikit-learn takes a second to import

        features = self._features_of(keys)
        return (np.concatenate([normal_scores(scores), features], axis=1) if self.proxies else features), features

    def _near(self, features: Array, free: NDArray[np.intp], parents: list[int]) -> NDArray[np.intp]:
        """Returns those of ``free`` that are nearest to a parent, as many as there are children of a round."""
        distances = np.min([np.abs(features[free] - features[at]).sum(axis=1) for at in parents], axis=0)
        return np.sort(free[np.argsort(distances, kind="stable")[: max(self.children, self.together)]])

    def _predicted(self, rows: Array, known: list[int], keys: list[str], free: NDArray[np.intp]) -> Array:
        """Returns the networks' predictions (members, m) for the candidates at ``free``."""
        from nas.search.ensemble import ensemble
        from nas.search.surrogate import levelled

        truths = levelled([self._truths[keys[i]] for i in known])
        seed = seeds.integer(self.seed, "searcher", self.name, "ensemble", len(self._truths))
        shape = {"members": self.members, "layers": self.layers, "width": self.width, "epochs": self.epochs}
        return ensemble(rows[known], truths, rows[free], seed, rate=self.rate, **shape)
