"""Regularised (ageing) evolution.

Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search" (AAAI 2019, arXiv 1802.01548),
Algorithm 1: a tournament picks a parent from the population, its mutant joins at the young end, the oldest leaves.
Crossover is an option (off by default, as in the paper).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le

from nas.core.errors import ZeronasError
from nas.core.options import Fidelity, Seed, Share, Size, validated
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Of, Result, Searcher, Trial

__all__ = ["RegularizedEvolution"]


@SEARCHERS.register("evolution")
class RegularizedEvolution(Searcher):
    """Ageing evolution.

    Args:
        population: size P of the population; the first P architectures are random.
        tournament: size S of a tournament, drawn without replacement; its fittest is the parent.
        crossover: probability that a child recombines two tournament winners before anything else.
        of: "proxies", the first of which is the fitness, or "truth", which is asked of each proposal, unscored. A
            training that diverged ages with the others and wins no tournament from one that did not.
        fidelity: share of a training after which a truth is taken.
        together: with of=truth, truths that are asked for before any of them is heard, and can be made side by side.
    """

    name = "evolution"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: Annotated[int, Ge(2), Le(1_000_000)] = 100,
        tournament: Size = 25,
        crossover: Share = 0.0,
        of: Of = "proxies",
        fidelity: Fidelity = 1.0,
        together: Size = 1,
    ) -> None:
        super().__init__(pool, seed)
        self._of(of, fidelity, together)
        if tournament > population:
            raise ZeronasError(
                f"Searcher 'evolution' needs tournament <= population, but got ({tournament=}, {population=})."
            )
        self.size, self.tournament, self.crossover = population, tournament, crossover
        self.population: deque[Result] = deque(maxlen=self.size)
        self._asked = 0

    @property
    def _at_once(self) -> int:
        return max(self.together, self.size - self._asked)  # the first are random

    def _propose(self) -> Any | None:
        rng = self._rng()
        self._asked += 1
        if self._asked <= self.size or not self.population:
            return self.pool.sample(rng)
        parent = self._winner(rng)
        if self.crossover and rng.random() < self.crossover:
            return self.pool.crossover(parent, self._winner(rng), rng)
        return self.pool.mutate(parent, rng)

    def _winner(self, rng: Any) -> Any:
        drawn = rng.choice(len(self.population), size=min(self.tournament, len(self.population)), replace=False)
        return self._compared.best([self.population[i] for i in sorted(drawn)], rng).architecture

    def recall(self, trials: Sequence[Trial]) -> bool:
        """Takes trials as its next children: of the past it needs what was told of them."""
        if not self._recall(trials):
            return False
        self._asked += len(trials)
        return True

    def tell(self, results: Sequence[Result]) -> None:
        """Adds the children to the population, in order; the oldest members leave."""
        self.population.extend(self._heard(results))
