"""``python -m experiments.queries.optimised``: what happens to hidden covariance when it is optimised, by training.

In the open space of cells, the best by hidden covariance of n draws is trained, for n from 1 to 10,000 and several
independent streams of draws, without and with the gate of the sampler's own quantiles. Where its truth lies among
those of ``mini_rnn``, the diverged last, is the over-optimisation curve. Scores and trainings are resumable under
``runs``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guard import guarded
from experiments.mini.pilot import WORKERS
from experiments.paper.runs import composed
from experiments.paper.tables import save
from experiments.queries.pools import RESULTS
from nas import judge
from nas.core import seeds
from nas.core.executors import LocalExecutor
from nas.core.files import versions
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.gate import Gate
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.trials import PROXIES, TRUTH, Trial
from nas.judge.course import quantiles
from nas.report import plots
from nas.settings import SearchSettings, make
from nas.truth.measures import TrainingTruth

__all__ = ["SIZES", "STREAMS", "curve", "figure", "main"]

#: draws that the best is taken of
SIZES = (1, 10, 100, 1_000, 10_000)
#: independent streams of draws: trainings behind each point
STREAMS = 6
#: of the first stream; no other experiment draws from these
_SEED = 900


def main() -> None:
    """Draws, scores, trains, and writes results/optimised.json and the figure."""
    picks: list[dict[str, Any]] = []
    for stream in range(STREAMS):
        picks += _picked(_SEED + stream)
    settings = make(composed("search", "space=rnn", "benchmark=mini_rnn", "truth=train", "verify=1"), SearchSettings)
    table, space = settings.needed_truth(), settings.space
    cells = {pick["key"]: space.parse(pick["cell"]) for pick in picks}
    trials = [Trial(cell, TRUTH) for cell in cells.values()]
    found: dict[str, dict[str, Any]] = {}
    for place, evaluation in TrainingTruth(table, Path("runs"), LocalExecutor(WORKERS)).answer(trials):
        score = evaluation.scores[TRUTH]
        found[trials[place].architecture.key] = {"truth": score.value, "reason": score.reason}
    reference = [table.sign * entry.value for entry in table.entries] + [None] * len(table.diverged)
    held = {*table.by_key, *table.diverged}
    places = quantiles([found[p["key"]]["truth"] for p in picks], reference, [p["key"] in held for p in picks])
    rows = [{**pick, **found[pick["key"]], "quantile": float(place)} for pick, place in zip(picks, places, strict=True)]
    data = {"rows": rows, "curve": curve(rows), "table": table.name, "versions": versions()}
    save(RESULTS / "optimised.json", data)
    figure(data, RESULTS / "optimised.png")


def _picked(seed: int) -> list[dict[str, Any]]:
    """Returns the best by proxy of the first n draws of a stream, for each n, without and with the gate."""
    settings = make(
        composed("search", "space=rnn", "benchmark=mini_rnn", "gate=sampler", f"seed={seed}"), SearchSettings
    )
    plain = make(composed("search", "space=rnn", "benchmark=mini_rnn", f"seed={seed}"), SearchSettings)
    space, fitness = settings.space, settings.fitness
    cells = [space.sample(seeds.generator(seed, "optimised", i)) for i in range(SIZES[-1])]
    trials = [Trial(cell) for cell in cells]
    folder = Path("runs") / "queries"
    with (
        Journal(folder / f"optimised_{seed}", plain.identity) as journal,
        Evaluator(plain.scorer(), 1) as evaluator,
        Progress(len(trials)) as progress,
    ):
        scores = answered(trials, {PROXIES: evaluator}, journal, progress)
    values = np.array([evaluation.scores[fitness].fitness for evaluation in scores])
    with Evaluator(settings.scorer(), 1) as evaluator:  # the gate takes gradients: it looks at the best alone
        gate = Gate.of(evaluator, list(settings.statistics), space, seed, settings.given.gate)
        picked = []
        for n in SIZES:
            order = [int(i) for i in np.argsort(-values[:n], kind="stable")]
            # where the gate refuses all of them, the next draw stands in
            feasible = (i for i in (*order, *range(n, len(cells))) if not _refusal(gate, evaluator, cells[i]))
            allowed = next(feasible)
            refused = order.index(allowed) if allowed in order else len(order)
            for gated, at in ((False, order[0]), (True, allowed)):
                picked.append(
                    {
                        "n": n,
                        "gate": gated,
                        "seed": seed,
                        "key": cells[at].key,
                        "fitness": float(values[at]),
                        "refused": refused if gated else 0,
                        "cell": cells[at].to_json(),
                    }
                )
    return picked


def _refusal(gate: Gate, evaluator: Evaluator, cell: Any) -> str:
    return gate.refusal(next(iter(evaluator.map([cell]))).scores)


def curve(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns for each n, without and with the gate, the mean quantile of the truth with its 95% interval, how many of
    the trainings diverged, and the mean loss of the others."""
    points = []
    for gated in (False, True):
        for n in SIZES:
            these = [row for row in rows if row["n"] == n and row["gate"] == gated]
            places = np.array([[row["quantile"]] for row in these])
            rng = seeds.generator(0, "optimised", n, gated)
            ((low, high),) = judge.bootstrap(lambda drawn: (float(drawn.mean()),), places, 2000, rng)
            losses = [-row["truth"] for row in these if row["truth"] is not None]
            points.append(
                {
                    "n": n,
                    "gate": gated,
                    "trainings": len(these),
                    "diverged": len(these) - len(losses),
                    "loss": float(np.mean(losses)) if losses else None,
                    "best": min(losses, default=None),
                    "quantile": float(places.mean()),
                    "interval": [low, high],
                }
            )
    return points


def figure(data: dict[str, Any], path: Path) -> None:
    """Draws the curve: the truth's percentile against the number of draws, without and with the gate."""
    chart, axes = plots.subplots()
    axis = axes[0, 0]
    for gated, label, colour in ((False, "no gate", "C3"), (True, "gate", "C0")):
        points = [point for point in data["curve"] if point["gate"] == gated]
        sizes = [point["n"] for point in points]
        axis.plot(sizes, [100 * point["quantile"] for point in points], "o-", color=colour, label=label)
        axis.fill_between(
            sizes,
            [100 * point["interval"][0] for point in points],
            [100 * point["interval"][1] for point in points],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axis.set(xscale="log", ylim=(0, 100))
    axis.set_xlabel("draws of which the best by hidden covariance is trained")
    axis.set_ylabel(f"percentile of its truth in {data['table']}, diverged last")
    axis.axhline(50, color="grey", linewidth=0.8, linestyle=":")
    axis.legend(frameon=False)
    plots.save(chart, path)


if __name__ == "__main__":
    sys.exit(guarded(main))
