"""``python -m experiments.proxies.survival``: what happens to the project's own fitness of cells under evolution.

Evolution of 2,000 cells in the open space, with ``proxy=zeronas`` for short trainings as the fitness, and drawing 2,000
cells with the same fitness, on seeds that nothing was chosen on; the three finalists of each are trained under
``mini_rnn``. Settings were chosen on seeds 1 and 2. Searches and trainings are resumable under ``runs``.
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
from experiments.proxies.published import RESULTS
from nas.core.files import versions

__all__ = ["METHODS", "RESULTS", "SEEDS", "main"]

#: nothing was chosen on them
SEEDS = (40, 41, 42, 43, 44, 45)
#: the fitness, and three trainings of what it finds
FITNESS = (
    "proxy=zeronas",
    "proxies.zeronas.training=short",
    "proxies.zeronas.layers=3",
    "probe=stack",
    "benchmark=mini_rnn",
    "truth=train",
    "budget=2000",
    "verify=3",
)
METHODS: dict[str, tuple[str, ...]] = {
    "evolution": ("searcher=evolution",),
    "drawing": ("searcher=random",),
}


def main() -> None:
    """Searches, trains and writes results/survival.json; what it holds already is not done again."""
    path = RESULTS / "survival.json"
    before = saved(path).get("runs", [])
    done = {(run["method"], run["seed"]): run for run in before}
    for seed in SEEDS:
        for method in METHODS:
            if (method, seed) not in done:
                done[method, seed] = _run(method, seed)
                save(path, {"runs": list(done.values()), "settings": list(FITNESS), "versions": versions()})


def _run(method: str, seed: int) -> dict[str, Any]:
    folder = Path("runs") / "proxies" / f"survival_{method}_{seed}"
    overrides = (f"seed={seed}", f"run.dir={folder}", f"executor.workers={WORKERS}")
    results = search.run(composed("search", *FITNESS, *METHODS[method], *overrides))
    return {
        "method": method,
        "seed": seed,
        "keys": [query["key"] for query in results["queries"]],
        "losses": [query["truth"] for query in results["queries"]],
        "reasons": [query["reason"] for query in results["queries"]],
        "fitness": [query["fitness"] for query in results["queries"]],
        "evaluations": results["evaluations"],
        "seconds": results["seconds"],
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
