"""What a searcher is: ``ask`` proposes trials, ``tell`` reports their results, in turns.

To add a searcher: subclass ``Searcher`` with its options as annotated parameters of a ``validated`` constructor,
register it in ``SEARCHERS``, add ``conf/searcher/NAME.yaml`` with its options, and add one line to
``tests/conformance``. One that only proposes architectures says how in ``_propose``, be they for the proxies to score
or for their truth to be asked (``_of``); one that scores candidates and asks for the truths of some of them starts from
``nas.search.candidates``; any other overrides ``ask`` (the examples in ``tests/nas/test_contract.py`` do so in twenty
lines each). A searcher's state is a function of its seed and of the history it was told, so a run is resumed by asking
again and telling what the journal knows. Searchers are stages of each other through ``nas.search.stages``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Seed, validated
from nas.core.registry import Registry
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.comparison import MEANS, Comparator

__all__ = ["SEARCHERS", "Of", "Result", "Searcher", "Trial"]

#: what the fitness of a search is: the first proxy's score, or the truth
Of = Literal["proxies", "truth"]

_ROUNDING = 1e-9  # of budgets, which are sums of shares

SEARCHERS: Registry[type[Searcher]] = Registry("searcher")


class Searcher(ABC):
    """Proposes unvisited members of a pool.

    Args:
        pool: where architectures come from.
        seed: of all random draws.

    Attributes:
        comparator: how what was scored is to be compared, where the searcher compares at all; set before it is asked.
        labels: of the run's proxies, once it heard them.
        shares: of a training, after which the truth is known; set before it is asked.
        measure: what its proposals are asked for: ``PROXIES``, or ``TRUTH``, unscored.
        fidelity: share of a training after which truths are taken.
        together: truths of one round, which can be made side by side.
    """

    kind: ClassVar[str] = "Searcher"
    name: ClassVar[str]
    #: it returns nothing but what the pool draws at random (see ``Space.draws``)
    only_draws: ClassVar[bool] = False
    #: whether it asks for truths itself, so that it needs a benchmark and a budget of them (``queries=N``); where the
    #: options decide, it is the searcher's own
    asks_truth: bool = False
    #: whether it learns from the space's views, which are then scored beside the proxies (see ``Space.views``)
    wants_views: ClassVar[bool] = False
    fidelity: float = 1.0
    together: int = 1

    @validated
    def __init__(self, pool: Pool, seed: Seed) -> None:
        self.pool = pool
        self.seed = seed
        self.comparator: Comparator = MEANS
        self.shares: Sequence[float] = (1.0,)
        self.measure = PROXIES
        self.labels: tuple[str, ...] | None = None
        self._draws = 0

    def prepare(self, labels: Sequence[str]) -> None:
        """Hears the labels of the run's proxies before anything is computed; the first is the fitness's.

        Raises:
            ZeronasError: they are not what the searcher needs.
        """
        self.labels = tuple(labels)

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns up to ``n`` trials; none when there is nothing more to ask.

        By default each is a distinct architecture that was not proposed before, for the proxies to score, or for its
        truth.

        Args:
            left: measure -> what is left of its budget.
        """
        asked: list[Trial] = []
        n = n if self.measure == PROXIES else min(n, self._at_once)
        cost = self.fidelity if self.measure == TRUTH else 1.0
        while len(asked) < n and cost * (len(asked) + 1) <= left.get(self.measure, 0) + _ROUNDING:
            architecture = self._propose()
            if architecture is None:
                break
            asked.append(Trial(self.pool.take(architecture), self.measure, cost))
        return asked

    def _propose(self) -> Any | None:
        """Returns the next unvisited architecture, or None when there is none."""
        raise NotImplementedError(f"Searcher '{self.name}' must define _propose or ask.")

    @abstractmethod
    def tell(self, results: Sequence[Result]) -> None:
        """Takes in the results of what was asked for, in the order asked."""

    def recall(self, trials: Sequence[Trial]) -> bool:
        """Takes a round of trials as what it asks for next, where it can without proposing them again.

        They are what it asked for at this point in an earlier session, for the proxies. A searcher that returns True
        is then told their results, and goes on as if it had proposed them; False leaves it as it was.
        """
        return False

    def _recall(self, trials: Sequence[Trial]) -> bool:
        """Recalls trials of a searcher that draws one generator for each, and looks up the pool's visited alone."""
        if self.measure != PROXIES or not self.pool.recall(trial.key for trial in trials):
            return False
        self._draws += len(trials)
        return True

    @property
    def earliest(self) -> float:
        """The earliest share of a training after which it asks for truths."""
        return self.fidelity

    def notes(self) -> dict[str, Any]:
        """Returns what a report should tell of the search beyond what it asked for: numbers and words by name."""
        return {}

    def front(self) -> list[Result] | None:
        """Returns what it found that nothing else found is better than in all objectives; None where it has one."""
        return None

    def _of(self, of: Of, fidelity: float, together: int = 1) -> None:
        """Makes the fitness that of the proxies, or the truth after a share of a training; for a constructor.

        Args:
            together: truths that are asked for before any of them is heard.

        Raises:
            ZeronasError: an option of truths is given, but none is asked for.
        """
        for name, value in (("fidelity", fidelity), ("together", together)):
            if of == "proxies" and value != 1:
                raise ZeronasError(
                    f"Searcher '{self.name}' has {name}={value:g}, which concerns truths, but it searches by a proxy; "
                    "use of=truth to search by the truth."
                )
        self.asks_truth, self.fidelity, self.together = of == "truth", fidelity, together
        self.measure = TRUTH if of == "truth" else PROXIES

    def _heard(self, results: Sequence[Result]) -> list[Result]:
        """Returns results as proposals are compared by them: their fitness is the proxy's, or the truth where it is.

        What nothing is known of is left out.
        """
        if self.measure == PROXIES:
            return list(results)
        return [Result(one.trial, {TRUTH: one.truth}, one.cost) for one in results if one.known and one.truth]

    @property
    def _at_once(self) -> int:
        """How many proposals can be made before the truth of any is heard."""
        return self.together

    @property
    def _compared(self) -> Comparator:
        return self.comparator if self.measure == PROXIES else MEANS  # a truth is one value

    def _rng(self) -> Any:
        """Returns a fresh generator for the next proposal."""
        self._draws += 1
        return seeds.generator(self.seed, "searcher", self.name, self._draws)
