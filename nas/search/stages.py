"""Searches in stages: what one proposes, the next takes up; the simplest last one asks for the truth of the k best."""

from __future__ import annotations

from collections.abc import Sequence

from nas.engine.run import Asking
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial

__all__ = ["Stages", "Verify"]


class Stages:
    """Runs stages one after the other: each asks until it asks nothing more, then the next one does.

    A stage is told the results of what it asked, and so are all stages after it: they hear what was proposed before
    their turn comes.
    """

    def __init__(self, *stages: Asking) -> None:
        self.stages = stages
        self.name = " then ".join(stage.name for stage in stages)
        self._at = 0

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns what the stage in turn asks."""
        while self._at < len(self.stages):
            trials = self.stages[self._at].ask(n, left)
            if trials:
                return trials
            self._at += 1
        return []

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the stage in turn and those after it."""
        for stage in self.stages[self._at :]:
            stage.tell(results)


class Verify:
    """Asks for the truth of the ``k`` best of what it was told, best first (``verify=k``).

    The best are those of the highest fitness, the earlier of equals; failures are never among them.
    """

    name = "verify"

    def __init__(self, k: int) -> None:
        self.k = k
        self._told: list[Result] = []
        self._finalists: list[Trial] | None = None

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns the next finalists, as many as the budget of truths has left."""
        if self._finalists is None:
            self._finalists = [Trial(result.architecture, TRUTH) for result in self.best()]
        most = min(n, int(left.get(TRUTH, 0) + 1e-9))
        asked, self._finalists = self._finalists[:most], self._finalists[most:]
        return asked

    def best(self) -> list[Result]:
        """Returns the results of the k best so far."""
        valid = [result for result in self._told if result.fitness > -float("inf")]
        return sorted(valid, key=lambda result: -result.fitness)[: self.k]  # stable: ties keep their order

    def tell(self, results: Sequence[Result]) -> None:
        """Hears what the stages before it propose."""
        self._told += [result for result in results if result.trial.measure == PROXIES]
