"""Random search: the baseline that every searcher must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.core.options import Fidelity, Seed, validated
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Of, Result, Searcher, Trial

__all__ = ["RandomSearch"]


@SEARCHERS.register("random")
class RandomSearch(Searcher):
    """Draws members of the pool, each at most once.

    Args:
        of: "proxies", which score each draw, or "truth", which is asked of each, unscored.
        fidelity: share of a training after which a truth is taken.
    """

    name = "random"
    only_draws = True

    @validated
    def __init__(self, pool: Pool, seed: Seed, of: Of = "proxies", fidelity: Fidelity = 1.0) -> None:
        super().__init__(pool, seed)
        self._of(of, fidelity)

    @property
    def _at_once(self) -> int:
        return 2**31

    def _propose(self) -> Any | None:
        return self.pool.sample(self._rng())

    def recall(self, trials: Sequence[Trial]) -> bool:
        """Takes trials as its next draws."""
        return self._recall(trials)

    def tell(self, results: Sequence[Result]) -> None:
        """Does nothing: the draws do not depend on what is told."""
