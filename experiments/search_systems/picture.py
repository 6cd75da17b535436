"""``python -m experiments.search_systems.picture``: the README's picture, a found cell beside curves of regret.

The cell is the main job's best on its held-out seeds (experiments/queries/results/main_job.json); the curves are those
of the comparison on NAS-Bench-NLP.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.guard import guarded
from experiments.queries.pools import RESULTS as QUERIES
from experiments.search_systems.compare import PAIRS, RESULTS
from nas.report import plots
from spaces.rnn import parse_cell

__all__ = ["DRAWN", "best_run", "main"]

TABLE = "nas_bench_nlp"
#: system of the comparison -> what the picture calls it
DRAWN = {
    "random": "random search",
    "top by the field's metric": "best by hidden covariance, one after the other",
    "top by zeronas": "best by zeronas, one after the other",
    "bayes, zeronas": "surrogate of the truth (searcher=bayes, proxy=zeronas)",
}


def best_run() -> Mapping[str, Any]:
    """Returns the main job's run of the least loss among its held-out seeds."""
    runs = json.loads((QUERIES / "main_job.json").read_text(encoding="utf-8"))["runs"]
    return min((run for run in runs if run["method"] == "main job"), key=lambda run: float(run["loss"]))


def main() -> None:
    """Writes results/picture.png."""
    run = best_run()
    data = json.loads((RESULTS / f"{TABLE}.json").read_text(encoding="utf-8"))
    systems = data["pools"]["all"]
    figure, axes = plots.subplots(2, width=6.4, height=4.8)
    left, right = axes[0]
    plots.draw_graph(
        left, parse_cell(run["cell"]).to_graph(), f"found by make search, seed {run['seed']}: loss {run['loss']:.3f}"
    )
    for colour, (name, label) in zip(plots.COLOURS, DRAWN.items(), strict=False):
        curve, error = np.array(systems[name]["curve"]), np.array(systems[name]["error"])
        queries = np.arange(1, len(curve) + 1)
        right.plot(queries, curve, "--" if name == "random" else "-", color=colour, label=label)
        right.fill_between(queries, curve - error, curve + error, color=colour, alpha=0.18, linewidth=0)
    right.set_xscale("log")
    right.set_ylim(bottom=0)
    right.set_xlabel("architectures trained (queries of truth)")
    right.set_ylabel(f"regret of the best so far ({data['unit']})")
    right.set_title(f"NAS-Bench-NLP, mean of {PAIRS} searches and its standard error", fontsize=11)
    right.legend(fontsize=8, loc="upper right")
    plots.save(figure, RESULTS / "picture.png")


if __name__ == "__main__":
    sys.exit(guarded(main))
