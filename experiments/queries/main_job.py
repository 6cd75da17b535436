"""``python -m experiments.queries.main_job``: what the main job finds at the cost of ten trainings, and its controls.

The open-ended pool of cells, truth by training under ``mini_rnn``, seeds that no setting was chosen on. Beside the main
job (``experiment=ten_trainings``): the same without the well-known cells among its starts; drawing by hidden covariance
and training its ten best, as the main job did before; and ten random cells (expected over the table, exactly). Searches
and trainings are resumable under ``runs``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.commands import search
from experiments.guard import guarded
from experiments.mini.pilot import WORKERS
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from experiments.queries.pools import RESULTS
from nas import judge
from nas.core.files import versions
from nas.truth import benchmarks
from spaces.rnn import NAMED_CELLS, named_cell

__all__ = ["METHODS", "QUERIES", "SEEDS", "main"]

QUERIES = 10
#: nothing was chosen on them
SEEDS = (30, 31, 32, 33, 34, 35)
METHODS = {
    "main job": ("experiment=ten_trainings",),
    "drawing by hidden covariance": (
        "searcher=random",
        "reduction=stable",
        "proxies.hidden_covariance.floor=0.0005",
        "truth=train",
        f"verify={QUERIES}",
    ),
    "main job, no known cells": ("experiment=ten_trainings", "searcher.known=false"),
}


def main() -> None:
    """Searches, trains and writes results/main_job.json; what it holds already is not done again."""
    path = RESULTS / "main_job.json"
    before = saved(path).get("runs", [])
    done = {(run["method"], run["seed"]): run for run in before}
    for method in METHODS:
        for seed in SEEDS:
            if (method, seed) not in done:
                done[method, seed] = _run(method, seed)
                save(path, {"runs": list(done.values()), "random": _random(), "versions": versions()})


def _run(method: str, seed: int) -> dict[str, Any]:
    folder = Path("runs") / "queries" / f"{method.replace(' ', '_').replace(',', '')}_{seed}"
    overrides = ("benchmark=mini_rnn", f"seed={seed}", f"run.dir={folder}", f"executor.workers={WORKERS}")
    results = search.run(composed("search", *METHODS[method], *overrides))
    gru = named_cell("GRU").key
    whole = [query for query in results["queries"] if query["fidelity"] == 1]
    table = benchmarks.get("mini_rnn")
    others = [query["truth"] for query in whole if query["truth"] is not None and query["key"] != gru]
    second = min(entry.value for entry in table.entries if entry.key != gru)
    return {
        "method": method,
        "seed": seed,
        "cost": results["queries_used"],
        "asked": results["truths"]["architectures"],
        "found": results["found"]["key"],
        "named": {named_cell(name).key: name for name in NAMED_CELLS}.get(results["found"]["key"]),
        "loss": results["found"]["truth"],
        "regret": results["found"]["truth"] - table.best.value,
        "loss without GRU": min(others, default=None),
        "regret without GRU": min(others, default=float("inf")) - second,
        "diverged": sum(bool(query["reason"]) for query in results["queries"]),
        "losses": [query["truth"] for query in whole],
        "seconds": results["seconds"],
        "cell": results["found"]["architecture"],
    }


def _random() -> dict[str, float]:
    """Expected regret of as many random cells, those that diverge among them: of the table with and without the GRU."""
    table, gru = benchmarks.get("mini_rnn"), named_cell("GRU").key
    losses = {entry.key: entry.value for entry in table.entries}
    others = {key: loss for key, loss in losses.items() if key != gru}
    diverged = len(table.diverged)

    def expected(values: dict[str, float]) -> float:
        best = min(values.values())
        return float(judge.random_regret([loss - best for loss in values.values()], QUERIES, diverged)[-1])

    return {"regret": expected(losses), "regret without GRU": expected(others)}


if __name__ == "__main__":
    sys.exit(guarded(main))
