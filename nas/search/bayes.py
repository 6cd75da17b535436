"""Bayesian optimisation of the truth: a surrogate over cheap views of untrained architectures, the proxy in its mean.

Sources: Kandasamy et al. 2018 (arXiv 1802.07191) and White et al. 2021 (BANANAS, arXiv 1910.11858) for surrogates in
architecture search; Abdelfattah et al. 2021 (arXiv 2101.08134) for starting from the proxy's best; Ginsbourger et al.
2010 (kriging believer) for batches. Views and the proxy's place in the mean are this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Count, Fidelity, Seed, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Result
from nas.search.base import SEARCHERS
from nas.search.candidates import CandidateSearch

if TYPE_CHECKING:
    from nas.search.surrogate import Candidates

__all__ = ["BayesSearch"]


@SEARCHERS.register("bayes")
class BayesSearch(CandidateSearch):
    """Asks for the truths of which a surrogate expects the greatest improvement.

    Candidates are drawn and scored first: ``drawn`` of them, or all members of a closed pool. The first truths are
    those of the proxy's best, and of some candidates at random, without which the surrogate would know only what the
    proxy's top is like; further draws join the candidates meanwhile. Then each round adds mutants of the best by truth,
    and asks for the truths of the highest expected improvement. A training that diverged is told to the surrogate as
    the worst it tells apart.

    Args:
        model: "gp", a Gaussian process whose mean is linear in the proxy, or "forest", extremely randomised trees.
        drawn: candidates drawn first.
        start: truths asked of the proxy's best, best first.
        spread: truths asked of candidates at random.
        known: whether the well-known members of the space (RNN, LSTM, GRU) are the first candidates, and their truths
            the first to be asked for. They are what a find must beat, and are bred from as any other.
        children: mutants that join the candidates before each round.
        parents: how many of the best by truth they are made of.
        together: truths of one round, which can be made side by side.
        fidelity: share of the training protocol after which truths are taken.
    """

    name = "bayes"
    wants_views = True

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        model: Literal["gp", "forest"] = "gp",
        drawn: Size = 1000,
        start: Count = 8,
        spread: Count = 2,
        known: bool = False,
        children: Count = 50,
        parents: Size = 5,
        together: Size = 1,
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed, drawn, children, parents, together, fidelity)
        if start + spread == 0:
            raise ZeronasError("Searcher 'bayes' needs a first truth: start or spread of 1 or more, but both are 0.")
        self.model: Literal["gp", "forest"] = model
        self.start, self.spread = start, spread
        members = pool.space.known.values() if known else ()
        self._known = [
            one
            for one in members
            if pool.contains(one) and (member := pool.admit(one)) is not None and member.key == one.key
        ]
        self._rows: dict[str, tuple[list[float | None], np.ndarray]] = {}  # key -> scores and features
        self._made: tuple[int, Candidates] | None = None

    @property
    def _starts(self) -> int:
        return len(self._known) + self.start + self.spread

    def _draw(self, rng: np.random.Generator) -> Any | None:
        fresh = [one for one in self._known if one.key not in self.pool.visited]
        return fresh[0] if fresh else super()._draw(rng)

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores, views among them, and truths."""
        for result in results:
            if result.trial.measure == PROXIES:
                scores = [score.value for label, score in result.scores.items() if label != TRUTH]
                self._rows[result.architecture.key] = scores, self.pool.space.features(result.architecture)
        super().tell(results)

    def _chosen(self, most: int) -> list[str]:
        """Returns the keys of up to ``most`` candidates whose truths are asked for next."""
        asked = self._truths.keys() | self._unknown
        keys = [key for key, result in self._scored.items() if result.fitness > -math.inf]
        open_ = [key for key in keys if key not in asked]
        first = self._starts - len(self._truths)
        if first > 0 or not any(value > -math.inf for value in self._truths.values()):
            return self._first(open_)[: min(most, max(first, 1))]
        return self._expected(keys, most)

    def _first(self, open_: list[str]) -> list[str]:
        known = [one.key for one in self._known if one.key in open_]
        order = sorted(open_, key=lambda key: -self._scored[key].fitness)  # stable: ties keep their order
        count = max(0, len(self._known) + self.start - len(self._truths))
        best = list(dict.fromkeys([*known, *order]))[:count]
        rest = [key for key in open_ if key not in set(best)]
        rng = seeds.generator(self.seed, "searcher", self.name, "spread", len(self._truths) + len(self._unknown))
        return best + [rest[i] for i in rng.permutation(len(rest))]

    def _expected(self, keys: list[str], most: int) -> list[str]:
        """Returns the candidates of the highest expected improvement.

        Each further one of a round is chosen as if the ones before it had come out as predicted.
        """
        from nas.search.surrogate import levelled, predict  # scikit-learn takes a second to import

        place = {key: i for i, key in enumerate(keys)}
        candidates = self._candidates(keys)
        known = [place[key] for key in self._truths if key in place]
        truths = levelled([self._truths[keys[i]] for i in known])
        free = np.array([key not in self._truths and key not in self._unknown for key in keys])
        chosen: list[str] = []
        while len(chosen) < most and free.any():
            mean, deviation = predict(self.model, candidates, known, truths, self.seed + len(self._truths))
            at = int(np.argmax(np.where(free, self._gain(mean, deviation, float(truths.max())), -np.inf)))
            chosen.append(keys[at])
            known, truths, free[at] = [*known, at], np.append(truths, mean[at]), False
        return chosen

    def _gain(self, mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
        """Returns how much each candidate is worth asking for, of the surrogate's prediction."""
        from nas.search.surrogate import expected_improvement

        return expected_improvement(mean, deviation, best)

    def _candidates(self, keys: Sequence[str]) -> Candidates:
        from nas.search.surrogate import Candidates

        # candidates only ever join, so as many of them are the same ones
        if self._made is None or self._made[0] != len(keys):
            scores, features = zip(*(self._rows[key] for key in keys), strict=True)
            self._made = len(keys), Candidates(np.array(scores, dtype=float), np.stack(features))
        return self._made[1]
