"""The outcome of a run as plain rows: the architectures scored, and the truths asked for, each in its order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.engine.trials import PROXIES, TRUTH, Evaluation, Result, TrialId
from nas.truth.benchmarks import Benchmark, Entry, Standing
from proxies.base import Score

__all__ = ["UNSCORED", "Query", "Scored", "queried", "scored"]

#: why what only its truth was asked of has no score
UNSCORED = "not scored"


@dataclass(frozen=True)
class Scored:
    """One architecture of a run with its scores; ``index`` counts from 1 in the order asked."""

    index: int
    architecture: Any
    evaluation: Evaluation


@dataclass(frozen=True)
class Query:
    """One truth asked for, in the order made.

    Without a truth ``entry`` and ``standing`` are None; ``reason`` says why where it was trained and diverged.

    Attributes:
        fitness: the first proxy's score; -inf for a failure and where only the truth was asked of it.
        entry, standing: of the whole protocol's value, so None at a share of it.
        fidelity: share of the protocol after which the value was taken.
        value: after that share, in the benchmark's unit; None where it diverged or nothing is known.
        cost: in trainings: the share of the protocol that was not asked of this architecture before.
    """

    architecture: Any
    fitness: float
    entry: Entry | None
    standing: Standing | None
    reason: str = ""
    fidelity: float = 1.0
    value: float | None = None
    cost: float = 1.0


def scored(results: Sequence[Result], known: Mapping[TrialId, Evaluation], labels: Sequence[str]) -> list[Scored]:
    """Returns every architecture of a run once, in the order asked, with what the proxies gave it.

    One that only its truth was asked of has no score, and the reason says so.

    Args:
        known: the journal's answers.
        labels: of the proxies.
    """
    distinct = {result.key: result.architecture for result in reversed(results)}
    rows: list[Scored] = []
    for key in dict.fromkeys(result.key for result in results):
        unscored = Evaluation(key, dict.fromkeys(labels, Score(None, UNSCORED)), 0.0)
        rows.append(Scored(len(rows) + 1, distinct[key], known.get((key, PROXIES, 1.0), unscored)))
    return rows


def queried(results: Sequence[Result], benchmark: Benchmark | None) -> list[Query]:
    """Returns the truths asked for, in order; what was trained elsewhere takes its place among the benchmark's entries.

    Truths of a run that the benchmark does not hold are told to it (``Benchmark.trained``), so that they can be placed.
    """
    queries = []
    for result in results:
        if result.trial.measure != TRUTH or benchmark is None:
            continue
        truth, trial = result.truth, result.trial
        if trial.fidelity >= 1 and truth is not None and truth.value is not None:
            benchmark.remember(trial.architecture, benchmark.sign * truth.value)
        entry = benchmark.lookup(trial.architecture) if trial.fidelity >= 1 else None
        standing = None if entry is None else benchmark.place(entry)
        reason = truth.reason if result.known and truth is not None and truth.value is None else ""
        value = entry.value if entry is not None else _value(truth, benchmark)
        fitness = next((score.fitness for label, score in result.scores.items() if label != TRUTH), -math.inf)
        queries.append(Query(trial.architecture, fitness, entry, standing, reason, trial.fidelity, value, result.cost))
    return queries


def _value(truth: Score | None, benchmark: Benchmark) -> float | None:
    return None if truth is None or truth.value is None else benchmark.sign * truth.value
