"""``python -m experiments.mini.searches``: what a search by proxy alone finds, against the truth of training.

The main job with other searchers, floors under the size of the states, and seeds; the three best of each are trained.
The main job's choice was made on some seeds, and others say what it is worth. Searches and trainings are resumable
under ``runs``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.cli import guarded
from experiments.commands import search
from experiments.mini.pilot import RESULTS, WORKERS
from experiments.paper.runs import composed
from experiments.paper.tables import save
from nas import judge
from nas.core.files import versions
from nas.engine.evaluate import Evaluator
from nas.settings import RankSettings, make

__all__ = ["CHOSEN", "main"]

#: the main job's searcher and floor: the smallest standard deviation of the states, about the plain RNN's
CHOSEN = ("random", 0.03)

#: searcher, floors and seeds that the choice was made on; evolution's floor first
_CHOICE = (
    ("evolution", (0.0, 0.001, 0.01, 0.03), (10, 11)),
    ("evolution", (0.0, 0.03), (0, 1, 2)),
    ("random", (0.0, 0.03), (0, 1, 2)),
)
_TEST = (("evolution", (0.03,), (20, 21, 22)), ("random", (0.03,), (20, 21, 22)))


def main() -> None:
    """Searches, trains and writes results/searches.json."""
    runs = [
        {"role": role, **_searched(searcher, floor, seed)}
        for role, wanted in (("choice", _CHOICE), ("test", _TEST))
        for searcher, floors, seeds in wanted
        for floor in floors
        for seed in seeds
    ]
    save(RESULTS / "searches.json", {"runs": runs, "drawn": _drawn(), "versions": versions()})


def _drawn() -> dict[str, dict[str, Any]]:
    """What three random cells of the table give: of all, of the reduced space, and of its cells over the floor.

    So what the reduction and the floor give by themselves is told apart from what the proxy gives.
    """
    settings = make(_main_job("rank", CHOSEN[1], "benchmark=mini_rnn"), RankSettings)
    table, fitness = settings.needed_truth(), settings.fitness
    cells = [e.architecture for e in table.entries] + [d.architecture for d in table.diverged.values()]
    stable = [c for c in cells if settings.space.contains(c)]
    with Evaluator(settings.task()) as evaluator:
        over = {e.key for e in evaluator.map(stable) if e.scores[fitness].reason != "vanishing units"}
    pools = {
        "all": cells,
        "reduction=stable": stable,
        "reduction=stable, over the floor": [c for c in stable if c.key in over],
    }
    found = {}
    for name, pool in pools.items():
        regrets = [table.place(entry).regret for c in pool if (entry := table.lookup(c)) is not None]
        expected = judge.random_regret(regrets, 3, len(pool) - len(regrets))[-1]
        found[name] = {"cells": len(pool), "diverged": len(pool) - len(regrets), "regret of three": expected}
    return found


def _main_job(command: str, floor: float, *overrides: str) -> dict[str, Any]:
    return composed(command, "reduction=stable", f"proxies.hidden_covariance.floor={floor}", *overrides)


def _searched(searcher: str, floor: float, seed: int) -> dict[str, Any]:
    folder = Path("runs") / "mini" / f"search_{searcher}_{floor}_{seed}"
    verified = ("verify=3", "truth=train", f"executor.workers={WORKERS}")
    results = search.run(
        _main_job("search", floor, f"searcher={searcher}", f"seed={seed}", f"run.dir={folder}", *verified)
    )
    found = results["found"]
    return {
        "searcher": searcher,
        "floor": floor,
        "seed": seed,
        "losses": [query["truth"] for query in results["queries"]],  # null: diverged
        "found": found["key"],
        "standing": found["standing"],
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
