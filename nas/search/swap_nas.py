"""SWAP-NAS: evolution in which many mutants of a strong parent compete for one place, and the worst leaves.

Source: Peng et al., "SWAP-NAS: Sample-wise activation patterns for ultra-fast NAS" (ICLR 2024, arXiv 2403.04161),
Algorithm 1. Its code is not released, and the sizes that it was run with are not known here: those of population,
sample and mutants and the share of crossover are this project's choices (the number of cycles is what ``budget``
allows). The fitness is the run's first proxy; the paper's is regularised SWAP (``experiment=swap_nas``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Seed, Share, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import Left, Result, Trial
from nas.search.base import SEARCHERS, Searcher

__all__ = ["SwapNAS"]


@SEARCHERS.register("swap_nas")
class SwapNAS(Searcher):
    """SWAP-NAS's evolution.

    Each cycle a sample of the population is drawn; its best is the parent, or a recombination of its best two. Mutants
    of the parent are scored, the best of them joins the population, and the worst of the population leaves (not the
    oldest; of equally bad ones the oldest). The mutants of a cycle are told together, so the batch does not matter.

    Args:
        population: size P; as many architectures are drawn at random first.
        sample: size S of the sample, drawn without replacement.
        mutants: number M of the parent's mutants that are scored in a cycle.
        crossover: probability that the parent is a recombination of the best two.
    """

    name = "swap_nas"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: Annotated[int, Ge(2), Le(1_000_000)] = 50,
        sample: Annotated[int, Ge(2), Le(1_000_000)] = 10,
        mutants: Size = 5,
        crossover: Share = 0.5,
    ) -> None:
        super().__init__(pool, seed)
        if sample > population:
            raise ZeronasError(f"Searcher 'swap_nas' needs sample <= population, but got ({sample=}, {population=}).")
        self.size, self.sample, self.mutants, self.crossover = population, sample, mutants, crossover
        self.population: list[Result] = []
        self._cycle = 0
        self._proposed = 0  # of the cycle, or of the first population
        self._children: list[Result] = []
        self._parent: Any = None

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns up to ``n`` trials, and none of two cycles together."""
        wanted = self.mutants if self.population else self.size
        return super().ask(min(n, wanted - self._proposed % wanted), left)

    def _propose(self) -> Any | None:
        rng = self._rng()
        self._proposed += 1
        if not self.population:
            return self.pool.sample(rng)
        if self._parent is None:
            self._parent = self._chosen()
        return self.pool.mutate(self._parent, rng)

    def _chosen(self) -> Any:
        """Returns the parent of this cycle."""
        rng = seeds.generator(self.seed, "searcher", self.name, "parent", self._cycle)
        drawn = rng.choice(len(self.population), size=self.sample, replace=False)
        rivals = [self.population[i] for i in sorted(drawn)]
        best = (self.comparator.top(rivals, 2, rng) or rivals[:1])[:2]
        if len(best) == 2 and rng.random() < self.crossover:
            return self.pool.space.crossover(best[0].architecture, best[1].architecture, rng)
        return best[0].architecture

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in mutants; after a cycle's last the best of them joins and the worst of all leaves."""
        self._children.extend(results)
        if not self.population:
            if len(self._children) >= self.size:
                self.population, self._children, self._proposed = self._children, [], 0
        elif len(self._children) >= self.mutants:
            rng = seeds.generator(self.seed, "searcher", self.name, "child", self._cycle)
            self.population.append(self.comparator.best(self._children, rng))
            del self.population[min(range(self.size + 1), key=lambda i: self.population[i].fitness)]
            self._children, self._parent, self._proposed, self._cycle = [], None, 0, self._cycle + 1

    def notes(self) -> dict[str, Any]:
        """Returns how many cycles were completed."""
        return {"cycles": self._cycle}
