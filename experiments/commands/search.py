"""``zeronas search``: propose architectures, score them untrained, report the best and how close it came."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.commands.app import command
from experiments.guard import guarded
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.run import search
from nas.engine.trials import PROXIES, TRUTH, Measure
from nas.report.search import answer, report
from nas.search.stages import Stages, Verify
from nas.settings import SearchSettings, Settings, make
from nas.truth.benchmarks import MiniTable
from nas.truth.measures import TableTruth, TrainingTruth, corpus_note
from nas.truth.outcome import Query, queried, scored

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one whole search and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    settings = make(config, SearchSettings)
    given, k, queries = settings.given, settings.given.verify, _queries(settings)
    if queries > 0:
        settings.needed_truth()
    elif settings.trains:
        raise ZeronasError("truth=train trains the verify=K best by proxy, but verify is 0; for example verify=3.")
    if settings.benchmark is not None:
        _ = settings.benchmark.entries  # a missing or altered table is found before anything is computed
    pool = _pool(settings)
    searcher = searchers.get(given.searcher.name, pool, settings.seed, **given.searcher.options)
    folder = settings.folder
    with Journal(folder, settings.identity, fresh=given.fresh) as journal:
        begun = time.monotonic()
        with Evaluator(settings.task(), settings.workers) as evaluator:
            measures: dict[str, Measure] = {PROXIES: evaluator}
            if settings.benchmark is not None:
                measures[TRUTH] = _truth(settings, Path(given.run.root))
            stages = Stages(searcher, Verify(k)) if k else searcher
            results, seconds = search(stages, measures, journal, {PROXIES: given.budget, TRUTH: queries}, given.batch)
        rows, asked = scored(results, journal.known, list(settings.proxies)), queried(results, settings.benchmark)
        members = pool.members if isinstance(pool, BenchmarkPool) else None
        wall, note = time.monotonic() - begun, _note(settings, asked)
        answers = report(folder, settings, rows, asked, members, wall, note, seconds.get(TRUTH, 0.0))
    print("\n".join(answer(answers)))
    print(f"folder: {folder} (summary.md, table.csv, results.json, {', '.join(answers['plots']) or 'no plots'})")
    if answers["found"] is not None:
        print(f"drawing: {folder / 'architecture.png'}")
    return answers


def _queries(settings: Settings[SearchSettings]) -> int:
    """Returns the budget of truths: ``queries``, or as many as are verified.

    Raises:
        ZeronasError: the searcher asks for truths and has no budget of them, or there is one and nothing asks.
    """
    given, name = settings.given, settings.given.searcher.name
    asks = searchers.SEARCHERS.get(name).asks_truth
    if asks and not given.queries:
        raise ZeronasError(f"Searcher '{name}' asks for truths while it searches; say how many with queries=N.")
    if given.queries and not asks and not given.verify:
        raise ZeronasError(
            f"queries={given.queries} truths may be asked for, but searcher '{name}' asks for none; verify=K asks for "
            "those of the K best."
        )
    return given.verify if given.queries is None else given.queries


def _pool(settings: Settings[SearchSettings]) -> Pool:
    if settings.given.pool == "space":
        return SpacePool(settings.space)
    return BenchmarkPool(settings.space, [entry.architecture for entry in settings.needed_truth().entries])


def _truth(settings: Settings[SearchSettings], root: Path) -> Measure:
    benchmark = settings.needed_truth()
    if settings.trains:
        return TrainingTruth(benchmark, root, settings.workers)
    return TableTruth(benchmark)


def _note(settings: Settings[SearchSettings], queries: Sequence[Query]) -> str:
    """Returns what must be known of the text, where anything was trained here."""
    benchmark = settings.benchmark
    if not settings.trains or not isinstance(benchmark, MiniTable):
        return ""
    held = {*benchmark.by_key, *benchmark.diverged}
    here = [q for q in queries if q.architecture.key not in held and (q.value is not None or q.reason)]
    return corpus_note(benchmark) if here else ""


main = command(run, "search")


if __name__ == "__main__":
    sys.exit(guarded(main))
