"""The contract of every search: a searcher proposes trials, a measure answers them, the searcher receives results.

A trial is an architecture and what to measure of it: the proxies, or the truth, the latter at a share of the training
protocol if wanted. Three things measure: the evaluator (proxies), a table and a training (truth). Each measure has a
budget of its own. Every answer is a line of the run's journal, and none is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from proxies.base import Score

__all__ = ["PROXIES", "TRUTH", "Evaluation", "Left", "Measure", "Recalled", "Result", "Trial", "TrialId"]

#: what can be measured; the second is also the label of the score that it gives
PROXIES, TRUTH = "proxies", "truth"

#: what makes two trials one: key, measure, fidelity
TrialId = tuple[str, str, float]

#: measure -> what is left of its budget: architectures to score, truths to ask for
Left = Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """What a searcher asks for.

    Attributes:
        architecture: a member of the space.
        measure: ``PROXIES`` or ``TRUTH``.
        fidelity: of a truth, the share of the training protocol after which it is taken, above 0 and up to 1 (all).
    """

    architecture: Any
    measure: str = PROXIES
    fidelity: float = 1.0

    @property
    def key(self) -> str:
        """The architecture's key."""
        return str(self.architecture.key)

    @property
    def id(self) -> TrialId:
        """What makes two trials one."""
        return self.key, self.measure, self.fidelity


class Recalled(Trial):
    """A trial for the proxies that an earlier session of a run asked for, as its journal holds it.

    The architecture is made when it is first looked at: of a million recalled, most never are.

    Args:
        key: the architecture's.
        form: its JSON.
        restore: makes it of both.
    """

    def __init__(self, key: str, form: bytes, restore: Callable[[bytes, str], Any]) -> None:
        mine = self.__dict__  # a frozen dataclass lets nothing else write
        mine["_key"], mine["_form"], mine["_restore"] = key, form, restore

    @property
    def key(self) -> str:
        """The architecture's key, without making it."""
        key: str = self.__dict__["_key"]
        return key

    @cached_property
    def architecture(self) -> Any:
        """The architecture."""
        mine = self.__dict__
        return mine["_restore"](mine["_form"], mine["_key"])


@dataclass(frozen=True)
class Evaluation:
    """What a measure answers: one line of the journal.

    Attributes:
        key: the architecture's key.
        scores: label -> score, higher is better, or a failure with its reason.
        seconds: what it took: wall time of a pass and all proxies, processor time of a training.
        times: "pass" and proxy labels -> seconds of each part.
        measure, fidelity: of the trial.
        known: False where the measure has no answer (a table that does not hold the architecture). The scores then say
            so; it costs nothing and is not kept, as another source of truth may have an answer.
    """

    key: str
    scores: Mapping[str, Score]
    seconds: float
    times: Mapping[str, float] = field(default_factory=dict)
    measure: str = PROXIES
    fidelity: float = 1.0
    known: bool = True

    @property
    def id(self) -> TrialId:
        """That of the trial it answers."""
        return self.key, self.measure, self.fidelity


@dataclass(frozen=True)
class Result:
    """What a searcher is told of one trial.

    Attributes:
        trial: what was asked.
        scores: label -> score of all that this run knows of the architecture so far, the proxies first in their order;
            under ``TRUTH`` the truth at the trial's fidelity, its sign turned so that higher is better. A training
            that diverged is a failure with its reason, and so is what a table does not hold.
        cost: what it took of the measure's budget: 1 for an architecture scored; for a truth the share of the protocol
            that was not asked of this architecture before; 0 for what was known, or is not known at all.
        known: False where the measure had no answer.
    """

    trial: Trial
    scores: Mapping[str, Score]
    cost: float = 1.0
    known: bool = True

    @classmethod
    def of(cls, architecture: Any, fitness: float) -> Result:
        """Returns the result of one proxy; -inf is a failure."""
        score = Score(fitness) if fitness > -float("inf") else Score(None, "failed")
        return cls(Trial(architecture), {"fitness": score})

    @property
    def architecture(self) -> Any:
        """The trial's architecture."""
        return self.trial.architecture

    @property
    def key(self) -> str:
        """The key of the architecture, which need not be made for it."""
        return self.trial.key

    @property
    def fitness(self) -> float:
        """The first score, which is the first proxy's where the proxies were asked; -inf for a failure."""
        return next(iter(self.scores.values())).fitness if self.scores else -float("inf")

    @property
    def samples(self) -> tuple[float, ...]:
        """Those of the fitness; none where the proxies were sampled once, or failed."""
        return next(iter(self.scores.values())).samples if self.scores else ()

    @property
    def truth(self) -> Score | None:
        """The truth, or why there is none, if this trial asked for it."""
        return self.scores.get(TRUTH) if self.trial.measure == TRUTH else None


class Measure(Protocol):
    """What answers trials of one kind."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the scores that a complete answer has."""
        ...

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place among ``trials``, answer), each as soon as it is there, in whatever order.

        A failure is an answer. What was yielded before an error stands.
        """
        ...
