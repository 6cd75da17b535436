"""A searcher that asks for truths while it searches: it climbs from the best truth so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.core.options import Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search import Searcher


class Greedy(Searcher):
    """Draws, asks for the truth of each draw's best by proxy, and then changes the best truth found.

    Args:
        draw: architectures scored before each truth is asked for.
    """

    name = "greedy"
    asks_truth = True

    @validated
    def __init__(self, pool: Pool, seed: int, draw: Size = 5) -> None:
        super().__init__(pool, seed)
        self.draw = draw
        self.scored: list[Result] = []
        self.known: list[Result] = []

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns proposals, or after each ``draw`` of them the best one for its truth."""
        if len(self.scored) >= self.draw or (self.scored and not left[PROXIES]):
            best = max(self.scored, key=lambda result: result.fitness)
            self.scored = []
            return [Trial(best.architecture, TRUTH)]
        return super().ask(min(n, self.draw - len(self.scored)), left)

    def _propose(self) -> Any | None:
        if not self.known:
            return self.pool.sample(self._rng())
        best = max(self.known, key=lambda result: result.truth.fitness if result.truth else 0.0)
        return self.pool.mutate(best.architecture, self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        """Remembers what was scored since the last truth, and all truths."""
        for result in results:
            (self.known if result.truth is not None else self.scored).append(result)
