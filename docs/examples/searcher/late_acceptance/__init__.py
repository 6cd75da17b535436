"""Late acceptance hill climbing: a step must beat where the search stood some steps ago.

Source: Burke & Bykov, "The late acceptance hill-climbing heuristic" (European Journal
of Operational Research, 2017).
"""

from collections.abc import Sequence
from typing import Any

from nas.core.options import Seed, Size, validated
from nas.engine.pools import Pool
from nas.search import SEARCHERS, Result, Searcher

#: the package that holds the settings of what is registered here
CONFIGURATION = "late_acceptance.conf"


@SEARCHERS.register("late_acceptance")
class LateAcceptance(Searcher):
    """Mutates the current architecture, and may go down for a while, as far as it once stood.

    Args:
        length: how many steps back a step is compared with; 1 is plain hill climbing.
    """

    name = "late_acceptance"

    @validated
    def __init__(self, pool: Pool, seed: Seed, length: Size = 20) -> None:
        super().__init__(pool, seed)
        self.length = length
        self.current: Result | None = None
        self.past: list[float] = []  # the current fitness at the last ``length`` steps

    def _propose(self) -> Any | None:
        if self.current is None:
            return self.pool.sample(self._rng())
        return self.pool.mutate(self.current.architecture, self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        """Takes each step or refuses it, in the order asked."""
        for result in results:
            if self.current is None or result.fitness >= min(self.past[0], self.past[-1]):
                self.current = result
            self.past = [*self.past, self.current.fitness][-self.length :]
