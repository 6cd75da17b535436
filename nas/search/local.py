"""Local search with restarts.

Source: White et al., "Local Search is State of the Art for NAS Benchmarks" (arXiv 2005.02960), in the
first-improvement form: start from the best of a few random architectures, try its neighbours in random order, move as
soon as one is better (to the best of the batch told at once), and start again at a local optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.core.options import Fidelity, Seed, Size, validated
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Of, Result, Searcher

__all__ = ["LocalSearch"]


@SEARCHERS.register("local")
class LocalSearch(Searcher):
    """First-improvement local search.

    Args:
        starts: random architectures drawn at every (re)start; the best is the start.
        of: "proxies", the first of which is the fitness, or "truth", which is asked of each proposal, unscored.
        fidelity: share of a training after which a truth is taken.
        together: with of=truth, truths that are asked for before any of them is heard, and can be made side by side.
    """

    name = "local"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        starts: Size = 10,
        of: Of = "proxies",
        fidelity: Fidelity = 1.0,
        together: Size = 1,
    ) -> None:
        super().__init__(pool, seed)
        self._of(of, fidelity, together)
        self.starts = starts
        self._climb = 0  # climbs are numbered; a batch can hold the last neighbours of one and the starts of the next
        self._climb_of: dict[str, int] = {}
        self._at: dict[int, Result] = {}
        self._drawn = 0
        self._neighbours: list[Any] = []

    def _propose(self) -> Any | None:
        proposed = self._next()
        if proposed is not None:
            self._climb_of[proposed.key] = self._climb
        return proposed

    def _next(self) -> Any | None:
        if self._drawn >= self.starts and self._climb in self._at:
            while self._neighbours:
                neighbour = self._neighbours.pop()
                if neighbour.key not in self.pool.visited:
                    return neighbour
            self._climb += 1  # every neighbour was tried: a local optimum, unless the last ones told prove better
            self._drawn = 0
        self._drawn += 1
        return self.pool.sample(self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        """Moves to the best improvement told, if there is one (during the starts: to the best so far).

        An improvement among the last neighbours of the climb before goes on with that climb.
        """
        moved: set[int] = set()
        for result in self._heard(results):
            climb = self._climb_of.pop(result.architecture.key, self._climb)
            if climb not in self._at or self._compared.better(result, self._at[climb]):
                self._at[climb] = result
                moved.add(climb)
        if not moved:
            return
        if min(moved) < self._climb:
            self._climb, self._drawn = min(moved), self.starts
        self._neighbours = list(self.pool.neighbours(self._at[self._climb].architecture))
        self._rng().shuffle(self._neighbours)
