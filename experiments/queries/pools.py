"""``python -m experiments.queries.pools``: queries of truth on the public tables, every method on the same pool.

Every member of a table is scored once for each probe seed (resumable, under ``runs/queries``); searches then read
scores and truths from there. Settings of the surrogate were chosen on the even half of NAS-Bench-NLP
(``experiments.mini.pilot.even``); results stand for that half, for the other, and for all.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from experiments.guard import guarded, named
from experiments.mini.pilot import even
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from nas import judge
from nas.core.files import versions
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool
from nas.engine.run import Asking, answered, search
from nas.engine.trials import PROXIES, TRUTH, Evaluation, Measure, Result, Trial
from nas.search.bayes import BayesSearch
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import Benchmark, Entry
from nas.truth.measures import TableTruth
from spaces.base import Space

__all__ = ["AT", "RESULTS", "SETTINGS", "TABLES", "Pool", "asked", "main", "pools", "scored", "top", "truths"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"

#: table ("_by_" and another proxy behind it) -> its settings: proxy, probe and reading, all fixed beforehand; the
#: project's own fitness (zeronas) was itself designed on the even half
TABLES: dict[str, tuple[str, ...]] = {
    "nas_bench_nlp": ("space=rnn", "proxy=hidden_covariance", "probe=deep"),
    "flexibert": ("space=bert", "proxy=zerolm", "probe=micro", "bert_reading=trained"),
    "nas_bench_nlp_by_zeronas": ("space=rnn", "proxy=zeronas", "probe=deep"),
    "flexibert_by_zeronas": ("space=bert", "proxy=zeronas", "probe=micro", "bert_reading=trained"),
}
#: queries at which results are told
AT = (10, 20, 50, 100)
#: of the surrogate, chosen on the even half of NAS-Bench-NLP
SETTINGS: dict[str, Any] = {"start": 8, "spread": 2}
#: seeds of the probe, and of the search for each of them: 30 together
PROBES, STARTS = 3, 10

Scores = Mapping[str, Evaluation]


class Known:
    """Answers proxies from a ranking that is there already."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.labels = tuple(next(iter(scores.values())).scores)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, scores)."""
        for place, trial in enumerate(trials):
            yield place, self.scores[trial.architecture.key]


class Spread(BayesSearch):
    """The control that sees no truth: each query is where the Gaussian process is least certain.

    It tells what is found by spreading out over views and features alone, such as an outlier of structure.
    """

    def _gain(self, mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
        return deviation


def scored(name: str, seed: int) -> tuple[Space[Any], Benchmark, dict[str, Evaluation]]:
    """Returns the space, the table, and the scores of its members by key, views included."""
    folder = Path("runs") / "queries" / f"{name}_{seed}"
    table = name.split("_by_")[0]
    overrides = (*TABLES[name], f"benchmark={table}", "searcher=bayes", "queries=1", "pool=benchmark", f"seed={seed}")
    settings = make(composed("search", *overrides, f"run.dir={folder}"), SearchSettings)
    benchmark = settings.needed_truth()
    trials = [Trial(entry.architecture) for entry in benchmark.entries]
    # what scores depend on: not the surrogate's own settings
    kept = {key: value for key, value in settings.identity.items() if key != "searcher"}
    with Journal(folder, kept) as journal, Evaluator(settings.scorer()) as evaluator, Progress(len(trials)) as progress:
        found = answered(trials, {PROXIES: evaluator}, journal, progress)
    return settings.space, benchmark, {one.key: one for one in found}


class Pool:
    """The members that a comparison is over, and where a truth stands among them."""

    def __init__(self, space: Space[Any], benchmark: Benchmark, entries: Sequence[Entry]) -> None:
        self.space, self.benchmark = space, benchmark
        self.architectures = [entry.architecture for entry in entries]
        self.values = np.sort([benchmark.sign * entry.value for entry in entries])[::-1]

    def rank(self, truth: float) -> int:
        """Returns 1 for the best."""
        return 1 + int((self.values > truth).sum())

    def regret(self, truth: float) -> float:
        """Returns how much worse than the best, in the table's unit."""
        return float(self.values[0] - truth)

    def random(self, queries: int) -> dict[str, float]:
        """Returns the expected rank and regret of the best of that many at random."""
        regrets = [self.regret(value) for value in self.values]
        rank = (len(self.values) + 1) / (queries + 1)
        return {"rank": rank, "regret": float(judge.random_regret(regrets, queries)[-1])}

    def told(self, truths: Sequence[float]) -> list[dict[str, float]]:
        """Returns rank and regret of the best so far at each of ``AT``."""
        best = np.maximum.accumulate(truths)
        return [{"rank": self.rank(best[n - 1]), "regret": self.regret(best[n - 1])} for n in AT]


def asked(
    searcher: Asking, measures: Mapping[str, Measure], budgets: Mapping[str, float], batch: int = 1
) -> list[Result]:
    """Returns what a search was told, by the loop that every search goes through, its journal thrown away."""
    with TemporaryDirectory() as folder, Journal(Path(folder), {}) as journal:
        return search(searcher, measures, journal, budgets, batch)[0]


def truths(pool: Pool, scores: Scores, searcher: BayesSearch) -> list[float]:
    """Returns the truths that a searcher asks for, in order, higher is better."""
    measures: dict[str, Measure] = {PROXIES: Known(scores), TRUTH: TableTruth(pool.benchmark)}
    members = len(pool.architectures)
    results = asked(searcher, measures, {PROXIES: members, TRUTH: AT[-1]}, members)
    return [result.truth.fitness for result in results if result.truth is not None]


def top(pool: Pool, fitness: Mapping[str, float]) -> list[dict[str, float]]:
    """Returns rank and regret of the best of the highest-scored members at each of ``AT``, over all orders of ties.

    Args:
        fitness: key -> score, higher is better.
    """
    scores = [fitness[a.key] for a in pool.architectures]
    values = [pool.benchmark.sign * pool.benchmark.by_key[a.key].value for a in pool.architectures]
    regret = judge.ranked_regret(scores, [pool.regret(value) for value in values], AT[-1])
    rank = judge.ranked_regret(scores, [float(pool.rank(value)) for value in values], AT[-1])
    return [{"rank": rank[n - 1], "regret": regret[n - 1]} for n in AT]


def _searched(method: str, pool: Pool, scores: Scores, seed: int) -> list[float]:
    closed = BenchmarkPool(pool.space, pool.architectures)
    if method == "spread":
        return truths(pool, scores, Spread(closed, seed, **SETTINGS))
    return truths(pool, scores, BayesSearch(closed, seed, model="forest" if method == "forest" else "gp", **SETTINGS))


def pools(space: Space[Any], benchmark: Benchmark) -> dict[str, Pool]:
    """Returns the pools of a table by name."""
    entries = benchmark.entries
    outlier = benchmark.best if benchmark.name == "nas_bench_nlp" else None
    kept = [entry for entry in entries if entry is not outlier]
    halves = {"even half": [e for e in kept if even(e.key)], "other half": [e for e in kept if not even(e.key)]}
    chosen = {"all": entries, **({} if outlier is None else {"without the outlier": kept}), **halves}
    return {what: Pool(space, benchmark, members) for what, members in chosen.items()}


def _starts(method: str, what: str) -> int:
    """Returns how many searches a probe seed has: all of the Gaussian process, some of what stands beside it."""
    if method == "gp":
        return STARTS
    if method == "top":
        return 1
    return int("half" not in what)


def _compared(name: str) -> None:
    path = RESULTS / f"{name}.json"
    done: dict[str, Any] = saved(path)
    rows = done.get("rows", {})
    for probe in range(PROBES):
        space, benchmark, scores = scored(name, probe)
        for what, pool in pools(space, benchmark).items():
            for method in ("gp", "spread", "top", "forest"):
                for start in range(STARTS):
                    row = f"{what}; {method}; {probe}; {start}"
                    if row in rows or start >= _starts(method, what):
                        continue
                    if method == "top":
                        fitness = {key: next(iter(one.scores.values())).fitness for key, one in scores.items()}
                        rows[row] = top(pool, fitness)
                    else:
                        rows[row] = pool.told(_searched(method, pool, scores, 100 * probe + start))
            done |= {"random " + what: [pool.random(n) for n in AT], "members " + what: len(pool.architectures)}
            save(
                path, {**done, "rows": rows, "settings": SETTINGS, "table": list(TABLES[name]), "versions": versions()}
            )
            print(name, what, probe, _line(rows, what), file=sys.stderr, flush=True)


def _line(rows: Mapping[str, Any], what: str) -> str:
    """Returns mean rank and regret of each method so far."""
    text = []
    for method in ("gp", "spread", "forest", "top"):
        told = [value for row, value in rows.items() if row.startswith(f"{what}; {method};")]
        if not told:
            continue
        means = [
            (statistics.mean(t[i]["rank"] for t in told), statistics.mean(t[i]["regret"] for t in told))
            for i in range(len(AT))
        ]
        text.append(f"{method} " + " ".join(f"{rank:.1f}/{regret:.3f}" for rank, regret in means))
    return "; ".join(text)


def main() -> None:
    """Compares on both tables, or on those named."""
    for name in named(TABLES, "table"):
        _compared(name)


if __name__ == "__main__":
    sys.exit(guarded(main))
