"""``zeronas search``: propose architectures, score them untrained, report the best and how close it came."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.cli import guarded
from experiments.commands.app import command
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.run import best, search, verify
from nas.report.search import answer, report
from nas.settings import SearchSettings, Settings, make
from nas.truth.benchmarks import MiniTable
from nas.truth.training import corpus_note, train_missing

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one whole search and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    settings = make(config, SearchSettings)
    given, k = settings.given, settings.given.verify
    if k > 0:
        settings.needed_truth()
    elif settings.trains:
        raise ZeronasError("truth=train trains the verify=K best by proxy, but verify is 0; for example verify=3.")
    if settings.benchmark is not None:
        _ = settings.benchmark.entries  # a missing or altered table is found before anything is computed
    pool = _pool(settings)
    searcher = searchers.get(given.searcher.name, pool, settings.seed, **given.searcher.options)
    task = settings.task()
    folder = settings.folder
    note = ""
    with Journal(folder, settings.identity, fresh=given.fresh) as journal:
        scored, seconds = search(searcher, task, journal, given.budget, given.batch, settings.workers)
        failed = {key: one.reason for key, one in settings.benchmark.diverged.items()} if settings.benchmark else {}
        if settings.trains:
            assert isinstance(settings.benchmark, MiniTable)
            candidates = [s.architecture for s in best(scored, settings.fitness, k)]
            here = train_missing(settings.benchmark, candidates, Path(given.run.root), settings.workers)
            failed = {**failed, **here}
            if here or settings.benchmark.trained:
                note = corpus_note(settings.benchmark)
        queries = verify(scored, settings.fitness, lambda a: _truth(settings, a), k, failed)
        members = pool.members if isinstance(pool, BenchmarkPool) else None
        results = report(folder, settings, scored, queries, members, seconds, note)
    print("\n".join(answer(results)))
    print(f"folder: {folder} (summary.md, table.csv, results.json, {', '.join(results['plots']) or 'no plots'})")
    if results["found"] is not None:
        print(f"drawing: {folder / 'architecture.png'}")
    return results


def _pool(settings: Settings[SearchSettings]) -> Pool:
    if settings.given.pool == "space":
        return SpacePool(settings.space)
    return BenchmarkPool(settings.space, [entry.architecture for entry in settings.needed_truth().entries])


def _truth(settings: Settings[SearchSettings], architecture: Any) -> tuple[Any, Any]:
    benchmark = settings.needed_truth()
    entry = benchmark.lookup(architecture)
    return entry, None if entry is None else benchmark.place(entry)


main = command(run, "search")


if __name__ == "__main__":
    sys.exit(guarded(main))
