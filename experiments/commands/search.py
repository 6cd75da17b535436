"""``zeronas search``: propose architectures, score them untrained, report the best and how close it came."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cli import guarded
from experiments.commands.app import command
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.core.options import flag, mapping
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.run import search
from nas.engine.trials import PROXIES, TRUTH, Measure
from nas.report.search import answer, report
from nas.search.stages import Stages, Verify
from nas.settings import Settings, choice, identity, make, number, run_folder
from nas.truth.benchmarks import MiniTable
from nas.truth.measures import TableTruth, TrainingTruth, corpus_note
from nas.truth.outcome import Query, queried, scored

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
    folder = run_folder(config, "search")
    with Journal(folder, identity(config, "search")[0], fresh=flag(config, "fresh")) as journal:
        begun = time.monotonic()
        with Evaluator(settings.task(), settings.workers) as evaluator:
            measures: dict[str, Measure] = {PROXIES: evaluator}
            if settings.benchmark is not None:
                measures[TRUTH] = _truth(settings, Path(config["run"]["root"]))
            stages = Stages(searcher, Verify(k)) if k else searcher
            results = search(stages, measures, journal, {PROXIES: budget, TRUTH: k}, batch)
        rows, queries = scored(results, journal.known), queried(results, settings.benchmark)
        members = pool.members if isinstance(pool, BenchmarkPool) else None
        note = _note(settings, queries)
        answers = report(folder, settings, rows, queries, members, time.monotonic() - begun, note)
    print("\n".join(answer(answers)))
    print(f"folder: {folder} (summary.md, table.csv, results.json, {', '.join(answers['plots']) or 'no plots'})")
    if answers["found"] is not None:
        print(f"drawing: {folder / 'architecture.png'}")
    return answers


def _pool(kind: str, settings: Settings) -> Pool:
    if kind == "space":
        return SpacePool(settings.space)
    return BenchmarkPool(settings.space, [entry.architecture for entry in settings.needed_truth().entries])


def _truth(settings: Settings, root: Path) -> Measure:
    benchmark = settings.needed_truth()
    if settings.trains:
        assert isinstance(benchmark, MiniTable)
        return TrainingTruth(benchmark, root, settings.workers)
    return TableTruth(benchmark)


def _note(settings: Settings, queries: Sequence[Query]) -> str:
    """Returns what must be known of the text, where anything was trained here."""
    benchmark = settings.benchmark
    if not settings.trains or not isinstance(benchmark, MiniTable):
        return ""
    held = {*benchmark.by_key, *benchmark.diverged}
    here = [q for q in queries if q.architecture.key not in held and (q.entry is not None or q.reason)]
    return corpus_note(benchmark) if here else ""


main = command(run, "search")


if __name__ == "__main__":
    sys.exit(guarded(main))
