"""The loop: ask, answer, tell, within a budget for each measure; resumable at any moment.

A resumed run asks the searcher again from the start and finds the answers in the journal, so it continues exactly where
it was; the tables it writes are those of an uninterrupted run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nas.core.errors import ZeronasError
from nas.core.progress import Progress, Truths
from nas.core.workers import TRANSIENT
from nas.engine.journal import Journal, no_garbage
from nas.engine.trials import PROXIES, TRUTH, Evaluation, Left, Measure, Result, Trial, TrialId
from proxies.base import Score

__all__ = ["Asking", "answered", "search"]

_IDLE = 1000  # rounds that cost nothing, one after the other, before a search counts as going in circles
_ROUNDING = 1e-9


class Asking(Protocol):
    """What the loop needs of a searcher (see ``nas.search.base``)."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns up to ``n`` trials; none when it has nothing more to ask."""
        ...

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in the results of what was asked for, in the order asked."""
        ...


def answered(
    trials: Sequence[Trial],
    measures: Mapping[str, Measure],
    journal: Journal,
    progress: Progress | None = None,
    clock: dict[str, float] | None = None,
    number: int | None = None,
) -> list[Evaluation]:
    """Returns the answers in the order of ``trials``; what the journal knows is not measured again, the rest is kept.

    Answers are written as they come, so what is finished behind a slow one is kept too.

    Args:
        clock: measure -> seconds, to which what each took is added.
        number: of the round of a search that asks for them.

    Raises:
        ZeronasError: a trial asks for what nothing here measures, a measure stops, or the journal cannot be written.
    """
    unknown: dict[TrialId, Evaluation] = {}
    for name in dict.fromkeys(trial.measure for trial in trials):
        if name not in measures:
            raise ZeronasError(f"The search asks for {name}, which this run cannot measure; give a benchmark.")
        measure = measures[name]
        missing: dict[TrialId, Trial] = {}
        places: list[int] = []
        for at, trial in enumerate(trials):
            if trial.measure == name:
                known = journal.known.get(trial.id)
                if not _complete(known, measure.labels):
                    if trial.id not in missing:
                        places.append(at)
                    missing[trial.id] = trial
                elif progress is not None and known is not None:
                    _count(progress, known, False)
        asked, begun = list(missing.values()), time.monotonic()
        if progress is not None and asked:
            progress.begin(truths=name == TRUTH)
        for place, evaluation in measure.answer(asked):
            if evaluation.known:
                of_round = None if number is None or name != PROXIES else (number, places[place])
                journal.add(evaluation, asked[place].architecture, of_round)
            else:
                unknown[asked[place].id] = evaluation
            if progress is not None and evaluation.known:
                _count(progress, evaluation, True)
        if clock is not None:
            clock[name] = clock.get(name, 0.0) + time.monotonic() - begun
    return [journal.known[t.id] if t.id in journal.known else unknown[t.id] for t in trials]


def _count(progress: Progress, evaluation: Evaluation, computed: bool) -> None:
    """Counts an answer; ``computed`` is False where the journal knew it."""
    if evaluation.measure == PROXIES:
        progress.step(_first(evaluation), computed)
    else:
        progress.asked(evaluation.key, evaluation.fidelity, _first(evaluation), computed)


def _first(evaluation: Evaluation) -> float | None:
    return next(iter(evaluation.scores.values())).value


def _complete(known: Evaluation | None, labels: Sequence[str]) -> bool:
    # What failed for want of time or memory is tried again: the machine or the limit may be another now.
    scores = known.scores if known is not None else {}
    return all(label in scores and scores[label].reason not in TRANSIENT for label in labels)


def search(
    searcher: Asking,
    measures: Mapping[str, Measure],
    journal: Journal,
    budgets: Mapping[str, float],
    batch: int,
    restore: Callable[[bytes, str], Any] | None = None,
    progress: Progress | None = None,
) -> tuple[list[Result], dict[str, float]]:
    """Runs a search until the searcher has nothing more to ask, or no budget is left for what it asks.

    ``batch`` trials are asked for before the searcher is told any result: it bounds how many can be measured side by
    side, and does not depend on the number of workers, so neither does the result. What no longer fits a budget is not
    measured, and the searcher is not told of it.

    Args:
        measures: measure -> what answers it.
        budgets: measure -> architectures to score (``PROXIES``), truths to ask for (``TRUTH``; a truth at a share of
            the protocol costs that share, a diverged one as much as any other).
        restore: makes an architecture of the JSON and the key in the journal. With it a searcher that can be told what
            it asked (``Searcher.recall``) is not asked again, as long as nothing is computed anew.
        progress: is told how far it is; without one, one is made.

    Returns:
        All results in the order told, and measure -> seconds that it took this session.

    Raises:
        ZeronasError: as ``answered``, or the searcher asks for what it knows for ever.
    """
    left = dict(budgets)
    results: list[Result] = []
    reached: dict[tuple[str, str], float] = {}  # key and measure -> highest fidelity asked so far
    known: dict[str, dict[str, Score]] = {}
    clock: dict[str, float] = {}
    idle, number = 0, 0
    with progress or Progress(round(budgets.get(PROXIES, 0)), truths=Truths(budgets.get(TRUTH, 0.0))) as shown:
        with no_garbage():
            while again := _recalled(searcher, measures, journal, left, batch, number, restore):
                for trial, evaluation in again:
                    reached[trial.key, PROXIES] = 1.0
                    known[trial.key] = dict(evaluation.scores)
                told = [Result(trial, evaluation.scores) for trial, evaluation in again]
                shown.took_up([_first(evaluation) for _, evaluation in again])
                left[PROXIES] -= len(told)
                results += told
                searcher.tell(told)
                number += 1
        while idle < _IDLE:
            trials = _affordable(searcher.ask(batch, dict(left)), left, reached)
            if not trials:
                return results, clock
            told = []
            evaluations = answered(trials, measures, journal, shown, clock, number)
            number += 1
            for trial, evaluation in zip(trials, evaluations, strict=True):
                cost = _cost(trial, reached) if evaluation.known else 0.0
                if cost:
                    left[trial.measure] -= cost
                    reached[trial.key, trial.measure] = trial.fidelity
                scores = known.setdefault(trial.key, {})
                scores.update({label: score for label, score in evaluation.scores.items() if label != TRUTH})
                truth = {label: score for label, score in evaluation.scores.items() if label == TRUTH}
                told.append(Result(trial, {**scores, **truth}, cost, evaluation.known))
            idle = 0 if any(result.cost for result in told) else idle + 1
            results += told
            searcher.tell(told)
    raise ZeronasError(
        f"Searcher '{searcher.name}' proposed nothing new that can be evaluated, {_IDLE} times in a row; "
        "what was computed is kept."
    )


def _recalled(
    searcher: Asking,
    measures: Mapping[str, Measure],
    journal: Journal,
    left: Left,
    batch: int,
    number: int,
    restore: Callable[[bytes, str], Any] | None,
) -> list[tuple[Trial, Evaluation]]:
    """Returns the trials of a round that the journal holds whole and the searcher takes as asked for, else none.

    A round that the budget cut short is none: now that there is more, it may be a longer one.
    """
    recall = getattr(searcher, "recall", None)
    size = min(batch, int(left.get(PROXIES, 0) + _ROUNDING))
    if recall is None or restore is None or PROXIES not in measures or not size:
        return []
    trials, labels = journal.recalled(number, size, restore), measures[PROXIES].labels
    evaluations = [journal.known[trial.id] for trial in trials]
    if not trials or not all(_complete(evaluation, labels) for evaluation in evaluations):
        return []
    return list(zip(trials, evaluations, strict=True)) if recall(trials) else []


def _cost(trial: Trial, reached: Mapping[tuple[str, str], float]) -> float:
    """Returns what a trial takes of its measure's budget: what was not asked of this architecture before."""
    before = reached.get((trial.key, trial.measure), 0.0)
    return max(0.0, (trial.fidelity if trial.measure == TRUTH else 1.0) - before)


def _affordable(
    trials: Sequence[Trial], left: Mapping[str, float], reached: Mapping[tuple[str, str], float]
) -> list[Trial]:
    """Returns the trials, in order, that the budgets allow if all are answered; each of several equal ones once."""
    rest, ahead = dict(left), dict(reached)
    kept: dict[TrialId, Trial] = {}
    for trial in trials:
        cost = _cost(trial, ahead)
        if trial.id in kept or cost > rest.get(trial.measure, 0.0) + _ROUNDING:
            continue
        rest[trial.measure] = rest.get(trial.measure, 0.0) - cost
        ahead[trial.key, trial.measure] = max(trial.fidelity, ahead.get((trial.key, trial.measure), 0.0))
        kept[trial.id] = trial
    return list(kept.values())
