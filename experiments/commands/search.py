"""``zeronas search``: propose architectures, score them untrained, report the best and how close it came."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.commands.app import command, prepared
from experiments.guard import guarded
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.core.progress import Progress, Truths, told
from nas.engine.evaluate import Evaluator
from nas.engine.gate import Gate, Gated
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.region import Region
from nas.engine.run import search
from nas.engine.started import Started
from nas.engine.trials import PROXIES, TRUTH, Measure
from nas.report.search import answer, report
from nas.search.base import Searcher
from nas.search.comparison import Comparator
from nas.search.funnel import Funnel
from nas.search.stages import Stages
from nas.settings import SearchSettings, Settings, make
from nas.truth.benchmarks import MiniTable
from nas.truth.measures import TableTruth, TrainingTruth, corpus_note
from nas.truth.outcome import Query, queried, scored

__all__ = ["main", "run"]

#: architectures that a searcher which only draws is asked for at once
_DRAWS = 512


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one whole search and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    settings = make(config, SearchSettings)
    given = settings.given
    pool = _pool(settings)
    searcher = _searcher(settings, pool)
    funnel = _funnel(settings, searcher)
    queries = _queries(settings, searcher, funnel)
    if queries > 0:
        for share in (searcher.earliest, *(share for _, share in (funnel.rungs if funnel else ()))):
            settings.needed_truth().share(share)  # what the table cannot answer is found before anything is computed
    elif settings.trains:
        raise ZeronasError("truth=train trains the verify=K best by proxy, but verify is 0; for example verify=3.")
    if settings.benchmark is not None:
        with told(f"reading the table {settings.benchmark.name}"):
            _ = settings.benchmark.entries  # a missing or altered table is found before anything is computed
    folder, begun = settings.folder, time.monotonic()
    scorer = settings.scorer()
    with Journal(folder, settings.identity, fresh=given.fresh) as journal:
        with Evaluator(scorer, settings.executor, given.budget) as evaluator:
            gate = _gate(settings, evaluator, journal)
            measures: dict[str, Measure] = {PROXIES: evaluator if gate is None else Gated(evaluator, gate)}
            if settings.benchmark is not None:
                measures[TRUTH] = _truth(settings, Path(given.run.root))
            stages = searcher if funnel is None else Stages(searcher, funnel)
            # draws do not depend on scores, so many may be asked for at once: the passes are full, the result the same
            batch = max(given.batch, _DRAWS) if searcher.only_draws else given.batch
            budgets = {PROXIES: float(given.budget), TRUTH: queries}
            _started(settings, queries, measures.get(TRUTH), journal).write(folder)
            progress = _progress(settings, queries, measures.get(TRUTH))
            results, seconds = search(stages, measures, journal, budgets, batch, settings.space.restored, progress)
        labels = [*settings.proxies, *settings.statistics]
        rows, asked = scored(results, journal.known, labels), queried(results, settings.benchmark)
        wall, note = time.monotonic() - begun, _note(settings, asked)
        truth_seconds, notes = seconds.get(TRUTH, 0.0), searcher.notes()
        answers = report(folder, settings, rows, asked, pool, wall, note, truth_seconds, gate, notes, searcher.front())
    print("\n".join(answer(answers)) + prepared(scorer))
    made = ", ".join(answers["plots"]) or "no plots"
    print(f"folder: {folder} (report.html, summary.md, table.csv, results.json, {made})")
    if answers["found"] is not None:
        print(f"drawing: {folder / 'architecture.png'}")
    return answers


def _searcher(settings: Settings[SearchSettings], pool: Pool) -> Searcher:
    """Returns the searcher, which has heard what the run compares, measures and knows.

    Raises:
        ZeronasError: an option is wrong, or it asks for truths of what is not scored, and there is a gate.
    """
    given = settings.given
    searcher = searchers.get(given.searcher.name, pool, settings.seed, **given.searcher.options)
    searcher.comparator = Comparator(given.comparator_level)
    if settings.benchmark is not None:
        searcher.shares = settings.benchmark.shares
    searcher.prepare(list(settings.proxies))
    if searcher.measure == TRUTH and not given.gate.is_open:
        raise ZeronasError(
            f"gate={given.gate.name} checks scored architectures, but searcher '{given.searcher.name}' asks for the "
            "truth of its proposals without scoring them; use gate=none, or searcher=zero_cost searcher.proposals=1."
        )
    return searcher


def _funnel(settings: Settings[SearchSettings], searcher: Searcher) -> Funnel | None:
    """Returns the last stage, if there is to be one."""
    given = settings.given
    if not given.verify:
        return None
    # a searcher that asks for truths has had its finalists trained for a share of the protocol already
    comparator = Comparator(given.comparator_level)
    return Funnel(
        settings.space,
        given.verify,
        given.rungs,
        given.eta,
        given.finalists,
        searcher.fidelity if searcher.asks_truth else 0.0,
        settings.seed,
        comparator,
    )


def _queries(settings: Settings[SearchSettings], searcher: Searcher, funnel: Funnel | None) -> float:
    """Returns the budget of truths in trainings: ``queries``, or what the finalists take.

    Raises:
        ZeronasError: the searcher asks for truths and has no budget of them, or there is one and nothing asks.
    """
    given, name = settings.given, settings.given.searcher.name
    asks, reserved = searcher.asks_truth, 0.0 if funnel is None else funnel.reserve
    if asks and not given.queries:
        raise ZeronasError(f"Searcher '{name}' asks for truths while it searches; say how many with queries=N.")
    if given.queries and not asks and funnel is None:
        raise ZeronasError(
            f"queries={given.queries} truths may be asked for, but searcher '{name}' asks for none; verify=K asks for "
            "those of the K best."
        )
    if asks and given.queries and reserved >= given.queries:
        raise ZeronasError(
            f"The finalists (verify={given.verify}, rungs={list(given.rungs)}) take {reserved:g} trainings, which "
            f"leaves none of queries={given.queries} to searcher '{name}'."
        )
    return reserved if given.queries is None else float(given.queries)


def _pool(settings: Settings[SearchSettings]) -> Pool:
    space, chosen = settings.space, settings.given.region
    region = None if chosen.is_open else Region(space, settings.seed, chosen)
    if settings.given.pool == "space":
        return SpacePool(space, region)
    return BenchmarkPool(space, [entry.architecture for entry in settings.needed_truth().entries], region)


def _gate(settings: Settings[SearchSettings], evaluator: Evaluator, journal: Journal) -> Gate | None:
    """Returns the run's gate, if it has one: as the run's folder holds it, else made and written there."""
    chosen, path = settings.given.gate, journal.folder / "gate.json"
    if chosen.is_open:
        return None
    gate = None if settings.given.fresh else Gate.read(path, journal.run)
    if gate is None:
        gate = Gate.of(evaluator, list(settings.statistics), settings.space, settings.seed, chosen)
        gate.write(path, journal.run)
    return gate


def _truth(settings: Settings[SearchSettings], root: Path) -> Measure:
    benchmark = settings.needed_truth()
    if settings.trains:
        return TrainingTruth(benchmark, root, settings.executor)
    return TableTruth(benchmark)


def _progress(settings: Settings[SearchSettings], queries: float, truth: Measure | None) -> Progress:
    benchmark = settings.benchmark
    truths = None if benchmark is None else Truths(queries, benchmark.sign, benchmark.unit)
    others = truth.running if isinstance(truth, TrainingTruth) else None
    return Progress(settings.given.budget, truths=truths, others=others)


def _started(settings: Settings[SearchSettings], queries: float, truth: Measure | None, journal: Journal) -> Started:
    benchmark, given = settings.benchmark, settings.given
    return Started(
        command=given.command,
        wanted={PROXIES: given.budget, TRUTH: queries},
        sign=1 if benchmark is None else int(benchmark.sign),
        unit="" if benchmark is None else benchmark.unit,
        workers=settings.executor.workers,
        trained=os.path.relpath(truth.store, journal.folder) if isinstance(truth, TrainingTruth) else "",
        known=sum(measure == PROXIES for _, measure, _ in journal.known),
    )


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
