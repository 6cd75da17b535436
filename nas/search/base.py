"""What a searcher is: ``ask(n)`` proposes architectures, ``tell(results)`` reports their scores, in turns.

To add a searcher: subclass ``Searcher``, register it in ``SEARCHERS``, add ``conf/searcher/NAME.yaml`` with its
options, and add one line to ``tests/conformance``. A searcher's state is a function of its seed and of the history it
was told, so a run is resumed by asking again and telling the journal's scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.registry import Registry
from nas.engine.pools import Pool

__all__ = ["SEARCHERS", "Result", "Searcher", "whole"]

SEARCHERS: Registry[type[Searcher]] = Registry("searcher")


@dataclass(frozen=True)
class Result:
    """One evaluated architecture; ``fitness`` is higher for better, -inf for a failure."""

    architecture: Any
    fitness: float


class Searcher(ABC):
    """Proposes unvisited members of a pool.

    Args:
        pool: where architectures come from.
        seed: of all random draws.
    """

    name: ClassVar[str]
    #: it returns nothing but what the pool draws at random (see ``Space.draws``)
    only_draws: ClassVar[bool] = False

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.seed = seed
        self._draws = 0

    def ask(self, n: int) -> list[Any]:
        """Returns up to ``n`` distinct architectures that were not proposed before; none when the pool is used up."""
        asked: list[Any] = []
        while len(asked) < n:
            architecture = self._propose()
            if architecture is None:
                break
            asked.append(self.pool.take(architecture))
        return asked

    @abstractmethod
    def _propose(self) -> Any | None:
        """Returns the next unvisited architecture, or None when there is none."""

    @abstractmethod
    def tell(self, results: Sequence[Result]) -> None:
        """Takes in the scores of what was asked for, in the order asked."""

    def _rng(self) -> Any:
        """Returns a fresh generator for the next proposal."""
        self._draws += 1
        return seeds.generator(self.seed, "searcher", self.name, self._draws)


def whole(searcher: str, name: str, value: Any, low: int) -> int:
    """Returns ``value`` if it is a whole number of ``low`` or more.

    Raises:
        ZeronasError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ZeronasError(f"Searcher '{searcher}' needs {name} to be a whole number of {low} or more, got {value!r}.")
    return value


def share(searcher: str, name: str, value: Any) -> float:
    """Returns ``value`` if it is a number from 0 to 1.

    Raises:
        ZeronasError: it is not.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ZeronasError(f"Searcher '{searcher}' needs {name} to be a number from 0 to 1, but got {value!r}.")
    return float(value)
