"""``zeronas search``: propose architectures, score them untrained, report the best and how close it came."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from experiments.cli import guarded
from experiments.commands.app import command
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.core.options import flag, mapping
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.run import best, search, verify
from nas.report.search import answer, report
from nas.settings import Settings, choice, identity, make, number, run_folder
from nas.truth.benchmarks import MiniTable
from nas.truth.training import corpus_note, train_missing

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one whole search and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    budget = number(config, "budget", "budget", low=1)
    batch = number(config, "batch", "batch", low=1)
    k = number(config, "verify", "verify", low=0)
    kind = choice(config, "pool", ("space", "benchmark"))
    settings = make(config)
    if k > 0:
        settings.needed_truth()
    elif settings.trains:
        raise ZeronasError("truth=train trains the verify=K best by proxy, but verify is 0; for example verify=3.")
    if settings.benchmark is not None:
        _ = settings.benchmark.entries  # a missing or altered table is found before anything is computed
    pool = _pool(kind, settings)
    options = mapping(config, "searcher", "searcher.name=evolution")
    searcher = searchers.get(options.pop("name"), pool, settings.seed, **options)
    task = settings.task()
    folder = run_folder(config, "search")
    note, truth_seconds = "", 0.0
    with Journal(folder, identity(config, "search")[0], fresh=flag(config, "fresh")) as journal:
        scored, seconds = search(searcher, task, journal, budget, batch, settings.workers)
        failed = {key: one.reason for key, one in settings.benchmark.diverged.items()} if settings.benchmark else {}
        if settings.trains:
            assert isinstance(settings.benchmark, MiniTable)
            candidates = [s.architecture for s in best(scored, settings.fitness, k)]
            begun = time.monotonic()
            here = train_missing(settings.benchmark, candidates, Path(config["run"]["root"]), settings.workers)
            truth_seconds = time.monotonic() - begun
            failed = {**failed, **here}
            if here or settings.benchmark.trained:
                note = corpus_note(settings.benchmark)
        queries = verify(scored, settings.fitness, lambda a: _truth(settings, a), k, failed)
        members = pool.members if isinstance(pool, BenchmarkPool) else None
        results = report(folder, settings, scored, queries, members, seconds + truth_seconds, note, truth_seconds)
    print("\n".join(answer(results)))
    print(f"folder: {folder} (summary.md, table.csv, results.json, {', '.join(results['plots']) or 'no plots'})")
    if results["found"] is not None:
        print(f"drawing: {folder / 'architecture.png'}")
    return results


def _pool(kind: str, settings: Settings) -> Pool:
    if kind == "space":
        return SpacePool(settings.space)
    return BenchmarkPool(settings.space, [entry.architecture for entry in settings.needed_truth().entries])


def _truth(settings: Settings, architecture: Any) -> tuple[Any, Any]:
    benchmark = settings.needed_truth()
    entry = benchmark.lookup(architecture)
    return entry, None if entry is None else benchmark.place(entry)


main = command(run, "search")


if __name__ == "__main__":
    sys.exit(guarded(main))
