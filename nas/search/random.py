"""Random search: the baseline that every searcher must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.search.base import SEARCHERS, Result, Searcher

__all__ = ["RandomSearch"]


@SEARCHERS.register("random")
class RandomSearch(Searcher):
    """Draws members of the pool, each at most once."""

    name = "random"
    only_draws = True

    def _propose(self) -> Any | None:
        return self.pool.sample(self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        """Does nothing: the draws do not depend on the scores."""
