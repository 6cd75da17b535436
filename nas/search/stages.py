"""Searches in stages: each continues with the proposals of the one before (for a last one: ``nas.search.funnel``)."""

from __future__ import annotations

from collections.abc import Sequence

from nas.engine.run import Asking
from nas.engine.trials import TRUTH, Left, Result, Trial

__all__ = ["Stages"]


class Stages:
    """Runs stages one after the other: each asks until it asks nothing more, then the next one does.

    A stage is told the results of what it asked, and so are all stages after it: they hear what was proposed before
    their turn comes. Of the budget of truths a stage is left what those after it do not reserve (``reserve``, in
    trainings).
    """

    def __init__(self, *stages: Asking) -> None:
        self.stages = stages
        self.name = " then ".join(stage.name for stage in stages)
        self._at = 0

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns what the stage in turn asks."""
        while self._at < len(self.stages):
            later = sum(getattr(stage, "reserve", 0.0) for stage in self.stages[self._at + 1 :])
            trials = self.stages[self._at].ask(n, {**left, TRUTH: max(0.0, left.get(TRUTH, 0.0) - later)})
            if trials:
                return trials
            self._at += 1
        return []

    def recall(self, trials: Sequence[Trial]) -> bool:
        """Lets the stage in turn take trials as what it asks for next, where it can."""
        return self._at < len(self.stages) and bool(getattr(self.stages[self._at], "recall", lambda _: False)(trials))

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the stage in turn and those after it."""
        for stage in self.stages[self._at :]:
            stage.tell(results)
