"""``python -m experiments.search_systems.optuna_cost [cost] [found]``: Optuna before and after codes of fixed length.

``cost``: seconds that a proposal takes, asked and told, of conditional suggestions and of codes. Both searches take
turns of a batch, so that whatever else the machine does slows both. Two fitnesses: one that costs nothing, the distance
of the features to those of a drawn architecture, and hidden covariance at the micro probe. The search of conditional
suggestions stops when its time is up. Gaussian processes ask for one truth at a time.

``found``: the best fitness of as many evaluations by both, on paired seeds. Runs are kept under
``runs/search_systems`` and are resumable.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import spaces
from experiments.guard import guarded, named
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from experiments.search_systems.conditional import ConditionalSearch
from experiments.search_systems.pareto import RESULTS
from nas import search
from nas.core.files import versions
from nas.core.lines import LineFile, whole_lines
from nas.engine.evaluate import Evaluator
from nas.engine.pools import SpacePool
from nas.engine.trials import TRUTH, Result
from nas.judge.effects import signed_rank
from nas.report.tables import text_table
from nas.search.base import Searcher
from nas.settings import SearchSettings, make
from proxies.base import Score
from spaces.base import Space

__all__ = ["BATCH", "main", "summary", "timed"]

#: as ``zeronas search`` asks by default
BATCH = 16
#: seconds of processor time for the search that is slow, of one sampler on one space by one fitness
LIMIT = 100.0
#: a cost is that of so many evaluations before the one named
_WINDOW = 64
#: paired seeds, and evaluations of each
SEEDS, BUDGET = 10, 300
_RUNS = Path("runs/search_systems")

#: sampler -> evaluations after which costs are told
_AT: dict[str, tuple[int, ...]] = {"tpe": (300, 2000), "nsga2": (300, 2000), "gp": (50, 100)}
#: (space, fitness, sampler) that are timed; BERT's hidden covariance takes a hundred times as long as a proposal
_TIMED = [
    *(("rnn", "nothing", sampler) for sampler in _AT),
    *(("rnn", "hidden_covariance", sampler) for sampler in ("tpe", "nsga2")),
    *(("bert", "nothing", sampler) for sampler in _AT),
]
#: (space, fitness, sampler) whose finds are compared
_COMPARED = [
    *(("rnn", "hidden_covariance", sampler) for sampler in ("tpe", "nsga2")),
    *(("bert", "nothing", sampler) for sampler in ("tpe", "nsga2")),
]

Judge = Callable[[Sequence[Any]], list[Score]]


def _searcher(which: str, space: Space[Any], seed: int, sampler: str) -> Searcher:
    if which == "before":
        return ConditionalSearch(SpacePool(space), seed, sampler)
    return search.get("optuna", SpacePool(space), seed, sampler=sampler, of="truth" if sampler == "gp" else "proxies")


def _distance(space: Space[Any], seed: int) -> Judge:
    """Returns how near architectures are to one that is drawn."""
    target = space.features(space.sample(np.random.default_rng(seed)))
    return lambda found: [Score(-float(np.abs(space.features(one) - target).sum())) for one in found]


def _covariance(evaluator: Evaluator) -> Judge:
    def judged(found: Sequence[Any]) -> list[Score]:
        answers = {one.key: one for one in evaluator.map(found)}
        return [answers[one.key].scores["hidden_covariance"] for one in found]

    return judged


def _turn(searcher: Searcher, judge: Judge, count: int) -> tuple[list[float], tuple[float, float]]:
    """Asks and tells once; returns the fitnesses, and the wall and processor time of asking and telling."""
    begun = time.perf_counter(), time.process_time()
    trials = searcher.ask(count, {searcher.measure: count})
    asked = time.perf_counter(), time.process_time()
    scores = judge([trial.architecture for trial in trials])
    label = TRUTH if searcher.measure == TRUTH else "fitness"
    results = [Result(trial, {label: score}) for trial, score in zip(trials, scores, strict=True)]
    scored = time.perf_counter(), time.process_time()
    searcher.tell(results)
    told = time.perf_counter(), time.process_time()
    wall, processor = (asked[i] - begun[i] + told[i] - scored[i] for i in (0, 1))
    return [score.fitness for score in scores], (wall, processor)


def timed(
    searchers: Mapping[str, Searcher], judge: Judge, budget: int, batch: int, limit: float
) -> dict[str, list[tuple[float, float]]]:
    """Returns, for each search, the (wall, processor) seconds of each evaluation, a batch's shared out evenly."""
    costs: dict[str, list[tuple[float, float]]] = {which: [] for which in searchers}
    while True:
        going = [
            which
            for which, spent in costs.items()
            if len(spent) < budget and sum(processor for _, processor in spent) < limit
        ]
        if not going:
            return costs
        for which in going:
            count = min(batch, budget - len(costs[which]))
            found, (wall, processor) = _turn(searchers[which], judge, count)
            costs[which] += [(wall / len(found), processor / len(found))] * len(found)


def summary(costs: Sequence[tuple[float, float]], at: Sequence[int]) -> dict[str, Any]:
    """Returns median and 90% quantile, in milliseconds, of the evaluations before each of some, and before the last."""
    told = {}
    for number in (*(n for n in at if n <= len(costs)), *([] if len(costs) in at else [len(costs)])):
        near = 1e3 * np.array(costs[max(0, number - _WINDOW) : number])
        told[str(number)] = {
            kind: {"median": float(np.median(near[:, i])), "p90": float(np.quantile(near[:, i], 0.9))}
            for i, kind in enumerate(("wall", "processor"))
        } | {"mean_so_far": 1e3 * float(np.mean([processor for _, processor in costs[:number]]))}
    return told


def _evaluator(space: str) -> Evaluator:
    settings = make(composed("search", f"space={space}", "proxy=hidden_covariance", "benchmark=none"), SearchSettings)
    return Evaluator(settings.scorer())


def _costs() -> list[dict[str, Any]]:
    rows = []
    for name, fitness, sampler in _TIMED:
        space, at = spaces.get(name), _AT[sampler]
        with _evaluator(name) as evaluator:
            judge = _distance(space, 99) if fitness == "nothing" else _covariance(evaluator)
            for which in ("before", "after"):  # what is imported at the first proposal is no cost of it
                _turn(_searcher(which, space, 1, sampler), judge, 1)
            searchers = {which: _searcher(which, space, 0, sampler) for which in ("before", "after")}
            costs = timed(searchers, judge, at[-1], 1 if sampler == "gp" else BATCH, LIMIT)
        for which, spent in costs.items():
            row = {"space": name, "fitness": fitness, "sampler": sampler, "which": which, "evaluations": len(spent)}
            rows.append({**row, "milliseconds": summary(spent, at)})
            print(*row.values(), json.dumps(rows[-1]["milliseconds"]), flush=True)
    return rows


def _found() -> list[dict[str, Any]]:
    rows = []
    for name, fitness, sampler in _COMPARED:
        best = {which: _best(which, name, fitness, sampler) for which in ("before", "after")}
        gains = np.subtract(best["after"], best["before"])
        row = {
            "space": name,
            "fitness": fitness,
            "sampler": sampler,
            **best,
            "better": int((gains > 0).sum()),
            "worse": int((gains < 0).sum()),
            "p": signed_rank(gains),
        }
        rows.append(row)
    return rows


def _best(which: str, name: str, fitness: str, sampler: str) -> list[float]:
    """Returns the best fitness of each seed's search."""
    path = _RUNS / f"optuna-{which}-{name}-{fitness}-{sampler}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {row["seed"]: row["best"] for row in map(json.loads, whole_lines(path, mend=True))}
    space = spaces.get(name)
    with LineFile(path) as file, _evaluator(name) as evaluator:
        for seed in range(SEEDS):
            if seed in known:
                continue
            judge = _distance(space, seed) if fitness == "nothing" else _covariance(evaluator)
            searcher = _searcher(which, space, seed, sampler)
            values: list[float] = []
            while len(values) < BUDGET:
                values += _turn(searcher, judge, min(BATCH, BUDGET - len(values)))[0]
            known[seed] = max(values)
            file.add({"seed": seed, "best": known[seed]})
    return [known[seed] for seed in range(SEEDS)]


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    models = [line.split(":")[1].strip() for line in path.read_text().splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()


def main() -> None:
    """Measures what is named, or both, and writes results/optuna_cost.json."""
    parts = named(("cost", "found"), "part")
    path = RESULTS / "optuna_cost.json"
    kept = saved(path)
    made: dict[str, Callable[[], Any]] = {"cost": _costs, "found": _found}
    for part in parts:
        kept[part] = {
            "rows": made[part](),
            "batch": BATCH,
            "limit_seconds": LIMIT,
            "processor": _processor(),
            "versions": versions(),
        }
        save(path, kept)
    print("\n".join(_lines(kept)))


def _lines(results: Mapping[str, Any]) -> list[str]:
    lines = []
    if "cost" in results:
        header = ["space", "fitness", "sampler", "", "evaluations", "median ms", "90%", "wall", "mean so far"]
        cells = [
            [
                *(row[key] for key in ("space", "fitness", "sampler", "which")),
                at,
                *(f"{told['processor'][key]:.1f}" for key in ("median", "p90")),
                f"{told['wall']['median']:.1f}",
                f"{told['mean_so_far']:.1f}",
            ]
            for row in results["cost"]["rows"]
            for at, told in row["milliseconds"].items()
        ]
        lines += text_table(header, cells)
    if "found" in results:
        header = ["space", "fitness", "sampler", "before", "after", "better", "worse", "p"]
        cells = [
            [
                *(row[key] for key in ("space", "fitness", "sampler")),
                *(f"{np.mean(row[which]):.4g}" for which in ("before", "after")),
                *(str(row[key]) for key in ("better", "worse")),
                f"{row['p']:.2g}",
            ]
            for row in results["found"]["rows"]
        ]
        lines += ["", *text_table(header, cells)]
    return lines


if __name__ == "__main__":
    sys.exit(guarded(main))
