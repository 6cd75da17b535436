"""``zeronas rank``: score every architecture of a benchmark with a list of proxies and compare with the truth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.cli import guarded
from experiments.commands.app import command
from nas.core.errors import ZeronasError
from nas.core.options import flag
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.trials import PROXIES, Trial
from nas.report.rank import lines, noise_line, published_lines, report
from nas.settings import identity, make, number, run_folder
from nas.truth.benchmarks import Benchmark, Entry

__all__ = ["main", "run"]

BASELINES = ("parameters", "random")


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one ranking and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    resamples = number(config, "resamples", "resamples", low=0)
    settings = make(config)
    benchmark = settings.needed_truth()
    entries = chosen_entries(benchmark, settings.space.contains, config)
    task = settings.task(BASELINES if flag(config, "baselines") else ())
    folder = run_folder(config, "rank")
    with Journal(folder, identity(config, "rank")[0], fresh=flag(config, "fresh")) as journal:
        progress = Progress(len(entries))
        with Evaluator(task, settings.workers) as evaluator:
            trials = [Trial(entry.architecture) for entry in entries]
            evaluations = answered(trials, {PROXIES: evaluator}, journal, progress)
        wall = progress.finish()
        results = report(folder, settings, task.proxies, entries, evaluations, resamples, wall)
    print(f"{benchmark.name}: {len(entries):,} of {len(benchmark.entries):,} unique architectures; {benchmark.metric}")
    print("\n".join(lines(results)))
    print(noise_line(results))
    for text in published_lines(results):
        print(text)
    print(f"scored in {wall:.1f} s; folder: {folder} (summary.md, table.csv, results.json, plots)")
    return results


def chosen_entries(benchmark: Benchmark, contains: Any, config: dict[str, Any]) -> Sequence[Entry]:
    """Returns the entries to score: those the reduction allows, ``limit`` of them drawn evenly over the truth.

    Raises:
        ZeronasError: the reduction leaves none, or the limit is no number of 1 or more.
    """
    entries = [entry for entry in benchmark.entries if contains(entry.architecture)]
    if not entries:
        raise ZeronasError(f"None of the architectures of '{benchmark.name}' obeys the reduction; widen it.")
    if config["limit"] is None:
        return entries
    limit = number(config, "limit", "limit", low=1)
    order = sorted(range(len(entries)), key=lambda i: entries[i].value)
    picks = np.unique(np.linspace(0, len(entries) - 1, min(limit, len(entries))).round().astype(int))
    return [entries[i] for i in sorted(order[p] for p in picks)]


main = command(run, "rank")


if __name__ == "__main__":
    sys.exit(guarded(main))
