"""``zeronas score arch=FILE``: one architecture of the user's own, its proxies, sizes and, where known, its truth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from experiments.commands.app import command
from experiments.commands.arch import read_architecture
from experiments.guard import guarded
from nas.core.files import number
from nas.engine.evaluate import Evaluator
from nas.report.apart import about_reported, kept_apart, reported_lines
from nas.report.plots import draw_architecture
from nas.settings import ScoreSettings, make

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Scores one architecture, prints what is known of it and returns it.

    Raises:
        ZeronasError: any setting or the architecture is wrong.
    """
    settings = make(config, ScoreSettings)
    given = settings.given
    architecture = read_architecture(settings.space, given.arch, given.data_dir)
    with Evaluator(settings.scorer()) as evaluator:
        evaluation = next(iter(evaluator.map([architecture])))
    counts = settings.space.counts(architecture)
    print(f"key: {architecture.key}")
    for label, score in evaluation.scores.items():
        print(f"{label}: {number(score.value, 8) if score.value is not None else f'none, {score.reason}'}")
    sizes = {
        "parameters": counts.parameters,
        "FLOPs per token": counts.flops,
        "depth": counts.depth,
        "width": counts.width,
    }
    told = [f"{name}: {size:,}" for name, size in sizes.items() if size is not None]
    print("; ".join(told) or "sizes: not known")
    described = settings.space.describe(architecture)
    print(f"features: {json.dumps({k: v for k, v in described.items() if k != 'parameters'})}")
    truth = None
    if settings.benchmark is None:
        print(f"truth: unknown, {settings.no_truth}")
    else:
        entry = settings.benchmark.lookup(architecture)
        if architecture.key in settings.benchmark.diverged:
            reason = settings.benchmark.diverged[architecture.key].reason
            table = settings.benchmark.name
            why = reason if settings.benchmark.as_told else f"{table} trained it and it {reason}"
            print(f"truth: none, {why}")
        elif entry is None:
            print(f"truth: unknown, the architecture is not in {settings.benchmark.name}")
        else:
            truth = entry.value
            at = settings.benchmark.place(entry)
            print(
                f"truth: {number(truth, 5)} {settings.benchmark.unit} ({settings.benchmark.name}), mean of "
                f"{len(entry.runs)} trainings; rank {at.rank:,} of {at.of:,}, percentile {at.percentile:.1f}, "
                f"regret {number(at.regret)}"
            )
            benchmark = {"unit": settings.benchmark.unit, **about_reported(settings.benchmark)}
            for text in reported_lines(kept_apart(settings.benchmark, architecture), benchmark):
                print(text)
            if settings.benchmark.caveat:
                print(f"table: {settings.benchmark.caveat}")
    if given.draw:
        path = Path(given.draw)
        draw_architecture(path, settings.space.readable(architecture).to_graph(), architecture.key)
        print(f"drawing: {path}")
    return {
        "key": architecture.key,
        "scores": {label: score.value for label, score in evaluation.scores.items()},
        "truth": truth,
    }


main = command(run, "score")


if __name__ == "__main__":
    sys.exit(guarded(main))
