"""Local search with restarts.

Source: White et al., "Local Search is State of the Art for NAS Benchmarks" (arXiv 2005.02960), in the
first-improvement form: start from the best of a few random architectures, try its neighbours in random order, move to
the first that is better, and start again at a local optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.pools import Pool
from nas.search.base import SEARCHERS, Result, Searcher, whole

__all__ = ["LocalSearch"]


@SEARCHERS.register("local")
class LocalSearch(Searcher):
    """First-improvement local search.

    Args:
        starts: random architectures drawn at every (re)start; the best is the start.
    """

    name = "local"

    def __init__(self, pool: Pool, seed: int, starts: int = 10) -> None:
        super().__init__(pool, seed)
        self.starts = whole(self.name, "starts", starts, 1)
        self._restart()

    def _restart(self) -> None:
        self.current: Result | None = None
        self._drawn = 0
        self._neighbours: list[Any] = []

    def _propose(self) -> Any | None:
        if self._drawn >= self.starts and self.current is not None:
            while self._neighbours:
                neighbour = self._neighbours.pop()
                if neighbour.key not in self.pool.visited:
                    return neighbour
            self._restart()  # every neighbour was tried: a local optimum
        self._drawn += 1
        return self.pool.sample(self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        """Moves to the first improvement, if there is one (during the starts: to the best so far)."""
        moved = False
        for result in results:
            if self.current is None or result.fitness > self.current.fitness:
                self.current, moved = result, True
        if moved and self.current is not None:
            self._neighbours = list(self.pool.neighbours(self.current.architecture))
            self._rng().shuffle(self._neighbours)
