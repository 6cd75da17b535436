"""What a searcher is: ``ask`` proposes trials, ``tell`` reports their results, in turns.

To add a searcher: subclass ``Searcher`` with its options as annotated parameters of a ``validated`` constructor,
register it in ``SEARCHERS``, add ``conf/searcher/NAME.yaml`` with its options, and add one line to
``tests/conformance``. One that only proposes architectures for the proxies to score says
how in ``_propose``; one that asks for truth too, or for several fidelities, overrides ``ask`` (the examples in
``tests/nas/test_contract.py`` do so in twenty lines each). A searcher's state is a function of its seed and of the
history it was told, so a run is resumed by asking again and telling what the journal knows. Searchers are stages of
each other through ``nas.search.stages``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from nas.core import seeds
from nas.core.options import Seed, validated
from nas.core.registry import Registry
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, Left, Result, Trial
from nas.search.comparison import MEANS, Comparator

__all__ = ["SEARCHERS", "Result", "Searcher", "Trial"]

SEARCHERS: Registry[type[Searcher]] = Registry("searcher")


class Searcher(ABC):
    """Proposes unvisited members of a pool.

    Args:
        pool: where architectures come from.
        seed: of all random draws.

    Attributes:
        comparator: how what was scored is to be compared, where the searcher compares at all; set before it is asked.
    """

    kind: ClassVar[str] = "Searcher"
    name: ClassVar[str]
    #: it returns nothing but what the pool draws at random (see ``Space.draws``)
    only_draws: ClassVar[bool] = False
    #: whether it asks for truths itself, so that it needs a benchmark and a budget of them (``queries=N``)
    asks_truth: ClassVar[bool] = False
    #: whether it learns from the space's views, which are then scored beside the proxies (see ``Space.views``)
    wants_views: ClassVar[bool] = False

    @validated
    def __init__(self, pool: Pool, seed: Seed) -> None:
        self.pool = pool
        self.seed = seed
        self.comparator: Comparator = MEANS
        self._draws = 0

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns up to ``n`` trials; none when there is nothing more to ask.

        By default each is a distinct architecture that was not proposed before, for the proxies to score.

        Args:
            left: measure -> what is left of its budget.
        """
        asked: list[Trial] = []
        while len(asked) < min(n, left.get(PROXIES, 0)):
            architecture = self._propose()
            if architecture is None:
                break
            asked.append(Trial(self.pool.take(architecture)))
        return asked

    def _propose(self) -> Any | None:
        """Returns the next unvisited architecture, or None when there is none."""
        raise NotImplementedError(f"Searcher '{self.name}' must define _propose or ask.")

    @abstractmethod
    def tell(self, results: Sequence[Result]) -> None:
        """Takes in the results of what was asked for, in the order asked."""

    def _rng(self) -> Any:
        """Returns a fresh generator for the next proposal."""
        self._draws += 1
        return seeds.generator(self.seed, "searcher", self.name, self._draws)
