"""``python -m experiments.search_systems.compare``: every system on every table, on paired seeds.

Each row is one search: a system on a pool, under one seed of the scores and one of the search. Rows are kept as they
come under ``runs/search_systems``, so the command goes on where it stopped; arguments name tables. ``workers=N`` before
them sets the number of processes.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from experiments.guard import guarded, named
from experiments.paper.tables import save
from experiments.queries.pools import Spread, asked
from experiments.search_systems.scores import PROBES, TABLES, Known, Scored, scored
from experiments.search_systems.systems import SYSTEMS, TOPS, labels_of
from nas import judge, search
from nas.core.files import versions
from nas.engine.pools import BenchmarkPool
from nas.engine.trials import PROXIES, TRUTH, Measure, Result
from nas.truth.measures import TableTruth

__all__ = ["AT", "MOST", "PAIRS", "POOLS", "RESULTS", "main", "searched", "seeds_of", "summed"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"

#: queries at which results are told, and that a search may make at most
AT = (10, 20, 50, 100)
MOST = AT[-1]
#: searches of each system on a pool, shared out over the table's probe seeds
PAIRS = 30
#: proposals that are scored before a search hears of any, as `zeronas search` has it
_BATCH = 16
#: which members of a table are searched
POOLS = ("all", "without its best")


#: key -> keys and features of what is one edit away; it depends on the space alone, and so is kept for all pools
_AROUND: dict[str, tuple[list[str], np.ndarray]] = {}


class _Members(BenchmarkPool):
    """A closed pool that remembers what is around a member, for the searches that come after."""

    def around(self, architecture: Any) -> tuple[list[int], np.ndarray]:
        if architecture.key not in _AROUND:
            near = list(self.space.neighbours(architecture))
            features = np.array([self.space.features(one) for one in near], dtype=np.float32)  # whole numbers
            _AROUND[architecture.key] = [one.key for one in near], features
        keys, features = _AROUND[architecture.key]
        return [self.index.get(key, -1) for key in keys], features


class Pool:
    """The members of a table that are searched, those that diverged among them, and where a truth stands.

    Attributes:
        closed: the pool that searches are given, anew for each.
        best: the best truth, higher is better.
        worst: what counts until a search has a truth: the worst that a member has.
    """

    def __init__(self, table: Scored, what: str) -> None:
        benchmark = table.benchmark
        without = {benchmark.best.key} if what == "without its best" else set()
        self.table = table
        self.members = [member.architecture for member in benchmark.members if member.key not in without]
        self.closed = _Members(table.space, self.members)
        self.truths = [self._truth(a.key) for a in self.members]
        self.sorted = np.sort([value for value in self.truths if value > -math.inf])[::-1]
        self.best, self.worst = float(self.sorted[0]), float(self.sorted[-1])

    def _truth(self, key: str) -> float:
        entry = self.table.benchmark.by_key.get(key)
        return -math.inf if entry is None else self.table.benchmark.sign * entry.value

    def rank(self, truth: float) -> int:
        """Returns 1 for the best."""
        return 1 + int((self.sorted > truth).sum())

    def told(self, best: Sequence[float]) -> dict[str, list[float]]:
        """Returns regret and rank of the best truth so far, query by query."""
        known = [max(value, self.worst) for value in best]
        return {"regret": [self.best - value for value in known], "rank": [float(self.rank(value)) for value in known]}


#: (table, probe seed) -> its scores, read once; other processes are given them
_READ: dict[tuple[str, int], Scored] = {}


@cache
def pool_of(table: str, probe: int, what: str) -> Pool:
    """Returns a pool of a table under a probe seed."""
    if (table, probe) not in _READ:
        _READ[table, probe] = scored(table, probe)
    return Pool(_READ[table, probe], what)


def best_by_cost(results: Sequence[Result]) -> list[float]:
    """Returns the best truth after 1, 2, .. ``MOST`` whole trainings; truths at a share cost that share.

    Only a whole training counts as a find; what was spent on others is spent. A search that stops early keeps its best.
    """
    best = np.full(MOST, -math.inf)
    spent = 0.0
    for result in results:
        if result.trial.measure != TRUTH:
            continue
        spent += result.cost
        at = max(1, math.ceil(spent - 1e-9))
        if result.trial.fidelity >= 1 and result.truth is not None and at <= MOST:
            best[at - 1 :] = np.maximum(best[at - 1 :], result.truth.fitness)
    return best.tolist()


def searched(table: str, what: str, name: str, probe: int, start: int) -> dict[str, Any]:
    """Returns regret and rank at each of ``AT`` (None where the system is not run with that budget) of one system.

    Where one search tells of all budgets, "curve" is its regret, query by query.
    """
    pool = pool_of(table, probe, what)
    if name in TOPS:
        told = _top(pool, name)
    elif budgets := SYSTEMS[name].budgets:
        ends = {n: _run(pool, name, 100 * probe + start, n) for n in budgets}
        return {
            value: [float(f"{ends[n][value][n - 1]:.6g}") if n in ends else None for n in AT]
            for value in ("regret", "rank")
        }
    else:
        told = _run(pool, name, 100 * probe + start, MOST)
    found: dict[str, Any] = {value: [float(f"{told[value][n - 1]:.6g}") for n in AT] for value in ("regret", "rank")}
    return {**found, "curve": [float(f"{value:.6g}") for value in told["regret"]]}


def _run(pool: Pool, name: str, seed: int, queries: int) -> dict[str, list[float]]:
    """Returns regret and rank, query by query, of one search."""
    system, table = SYSTEMS[name], pool.table
    labels = [*labels_of(table, system.given), *(table.views if system.views else ())]
    closed = pool.closed.anew()
    if system.searcher == "spread":
        searcher: search.Searcher = Spread(closed, seed)
    else:
        searcher = search.get(system.searcher, closed, seed, **system.options)
    searcher.shares = table.benchmark.shares
    searcher.prepare(labels)
    measures: dict[str, Measure] = {PROXIES: Known(table.scores, labels), TRUTH: TableTruth(table.benchmark)}
    members = len(pool.members)
    scores = min(members, max(round(system.scored * members), 2 * queries))
    results = asked(searcher, measures, {PROXIES: scores, TRUTH: min(queries, members)}, _BATCH)
    return pool.told(best_by_cost(results))


def _top(pool: Pool, name: str) -> dict[str, list[float]]:
    """Returns what querying the proxy's best gives, expected over the orders of ties."""
    labels = labels_of(pool.table, TOPS[name])
    columns = [[pool.table.scores[a.key].scores[label].fitness for a in pool.members] for label in labels]
    # AZ-NAS's sum of the logarithms of ranks, where there are several
    places = [rankdata([-value for value in column]) for column in columns]
    fitness = columns[0] if len(columns) == 1 else (-np.log(np.array(places)).sum(axis=0)).tolist()
    floored = [max(value, pool.worst) for value in pool.truths]
    most = min(MOST, len(pool.members))
    regret = judge.ranked_regret(fitness, [pool.best - value for value in floored], most)
    rank = judge.ranked_regret(fitness, [float(pool.rank(value)) for value in floored], most)
    return {"regret": regret, "rank": rank}


def seeds_of(table: str) -> list[tuple[int, int]]:
    """Returns the seeds of the scores and of the search, of each of the ``PAIRS``."""
    probes = PROBES[table]
    return [(probe, start) for probe in probes for start in range(PAIRS // len(probes))]


def _rows(table: str, what: str) -> Iterator[tuple[str, str, str, int, int]]:
    for probe, start in seeds_of(table):
        for name in (*TOPS, *SYSTEMS):
            if name not in TOPS or start == 0:
                yield table, what, name, probe, start


def _row(row: tuple[str, str, str, int, int]) -> dict[str, Any]:
    return {"row": list(row), **searched(*row)}


def _kept(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]  # a torn last line is computed again
    return {tuple(row["row"]): row for row in rows}


def summed(rows: Mapping[tuple[Any, ...], Mapping[str, Any]], table: str) -> dict[str, Any]:
    """Returns pool -> system -> what is committed of its searches.

    That is regret and rank of each pair of seeds (probe after probe) at each of ``AT``, and the mean regret with its
    standard error query by query. A top has one row for each probe, which stands for all searches of that probe.
    """
    found: dict[str, Any] = {}
    for what in POOLS:
        for name in (*TOPS, *SYSTEMS):
            keys = [(table, what, name, p, 0 if name in TOPS else s) for p, s in seeds_of(table)]
            these = [rows[key] for key in keys if key in rows]
            if len(these) < len(keys):
                continue  # not yet done
            one: dict[str, Any] = {value: [row[value] for row in these] for value in ("regret", "rank")}
            if "curve" in these[0]:
                curves = np.array([row["curve"] for row in these])
                error = curves.std(axis=0, ddof=1) / math.sqrt(len(curves))
                one["curve"] = [float(f"{value:.4g}") for value in curves.mean(axis=0)]
                one["error"] = [float(f"{value:.4g}") for value in error]
            if name in TOPS:
                one["no truth"] = [row["curve"][0] for row in these]
            found.setdefault(what, {})[name] = one
    return found


def main() -> None:
    """Runs what is missing on the tables named, or on all, and writes results/TABLE.json."""
    workers = 1
    if len(sys.argv) > 1 and sys.argv[1].startswith("workers="):
        workers = int(sys.argv.pop(1).removeprefix("workers="))
    tables = named(TABLES, "table")
    for what, table in product(POOLS, tables):
        for probe in PROBES[table]:
            if (table, probe) not in _READ:
                _READ[table, probe] = scored(table, probe, workers)
        path = Path("runs") / "search_systems" / f"{table}.jsonl"
        done = _kept(path)
        wanted = [row for row in _rows(table, what) if row not in done]
        read = {key: one for key, one in _READ.items() if key[0] == table}
        with (
            path.open("a", encoding="utf-8") as file,
            ProcessPoolExecutor(workers, None, _READ.update, (read,)) as processes,
        ):
            for row in processes.map(_row, wanted):
                file.write(json.dumps(row) + "\n")
                file.flush()
                done[tuple(row["row"])] = row
        benchmark = _READ[table, PROBES[table][0]].benchmark
        told = {
            "members": {one: len(pool_of(table, PROBES[table][0], one).members) for one in POOLS},
            "unit": benchmark.unit,
            "metric": benchmark.metric,
            "shares": list(benchmark.shares),
        }
        save(RESULTS / f"{table}.json", {**told, "pools": summed(done, table), "versions": versions()})


if __name__ == "__main__":
    sys.exit(guarded(main))
