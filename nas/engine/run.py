"""The two loops: search (ask, score, tell) and rank (score every member of a benchmark), resumable at any moment.

A resumed run asks the searcher again from the start and finds the scores in the journal, so it continues exactly
where it was; the tables it writes are those of an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.progress import Progress
from nas.engine.evaluate import TRANSIENT, Evaluation, Evaluator, Task
from nas.engine.journal import Journal
from nas.search.base import Result, Searcher
from nas.truth.benchmarks.base import Entry, Standing

__all__ = ["Query", "Scored", "best", "score_all", "search", "verify"]


@dataclass(frozen=True)
class Scored:
    """One architecture of a run with its evaluation; ``index`` counts from 1 in the order asked."""

    index: int
    architecture: Any
    evaluation: Evaluation


@dataclass(frozen=True)
class Query:
    """One look-up of the ground truth, in the order made.

    Without a truth ``entry`` and ``standing`` are None; ``reason`` says why where it was trained and diverged.
    """

    architecture: Any
    fitness: float
    entry: Entry | None
    standing: Standing | None
    reason: str = ""


def score_all(
    architectures: Sequence[Any],
    evaluator: Evaluator,
    journal: Journal,
    labels: Sequence[str],
    progress: Progress,
) -> list[Evaluation]:
    """Returns the evaluations in order; what the journal knows is not computed again, the rest is written to it."""
    missing = [a for a in architectures if not _known(journal, a.key, labels)]
    computed = evaluator.map(missing)
    found = []
    for architecture in architectures:
        fresh = not _known(journal, architecture.key, labels)
        if fresh:
            journal.add(next(computed), architecture)
        evaluation = journal.known[architecture.key]
        found.append(evaluation)
        progress.step(evaluation.scores[labels[0]].value, fresh)
    return found


def _known(journal: Journal, key: str, labels: Sequence[str]) -> bool:
    # What failed for want of time or memory is tried again: the machine or the limit may be another now.
    scores = journal.known[key].scores if key in journal.known else {}
    return all(label in scores and scores[label].reason not in TRANSIENT for label in labels)


def search(
    searcher: Searcher, task: Task, journal: Journal, budget: int, batch: int, workers: int
) -> tuple[list[Scored], float]:
    """Runs a search until ``budget`` distinct architectures are scored or the pool is used up.

    ``batch`` architectures are asked for before the searcher is told any score: it bounds how many can be computed
    side by side, and does not depend on ``workers``, so neither does the result.

    Returns:
        What was scored, in order, and the seconds it took.
    """
    labels = list(task.proxies)
    scored: list[Scored] = []
    progress = Progress(budget)
    with Evaluator(task, workers) as evaluator:
        while len(scored) < budget:
            asked = searcher.ask(min(batch, budget - len(scored)))
            if not asked:
                break
            evaluations = score_all(asked, evaluator, journal, labels, progress)
            results = []
            for architecture, evaluation in zip(asked, evaluations, strict=True):
                scored.append(Scored(len(scored) + 1, architecture, evaluation))
                results.append(Result(architecture, evaluation.scores[labels[0]].fitness))
            searcher.tell(results)
    return scored, progress.finish()


def best(scored: Sequence[Scored], fitness: str, k: int) -> list[Scored]:
    """Returns the ``k`` best by fitness, best first; ties: the earlier found. Failures are never among them."""
    valid = [s for s in scored if s.evaluation.scores[fitness].value is not None]
    return sorted(valid, key=lambda s: -s.evaluation.scores[fitness].fitness)[:k]  # stable: ties keep their order


def verify(
    scored: Sequence[Scored],
    fitness: str,
    lookup: Callable[[Any], tuple[Entry | None, Standing | None]],
    k: int,
    failed: Mapping[str, str] | None = None,
) -> list[Query]:
    """Looks up the truth of the ``k`` best by fitness, best first, each once.

    Args:
        failed: key -> why its training gave no truth, here or in the table.
    """
    queries = []
    for item in best(scored, fitness, k):
        entry, standing = lookup(item.architecture)
        reason = (failed or {}).get(item.architecture.key, "")
        queries.append(Query(item.architecture, item.evaluation.scores[fitness].fitness, entry, standing, reason))
    return queries
