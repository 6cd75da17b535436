"""``zeronas rank``: score every architecture of a benchmark with a list of proxies and compare with the truth."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.commands.app import command, prepared
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.progress import Progress, told
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.started import Started
from nas.engine.trials import PROXIES, Trial
from nas.judge.statistics import resamples_of
from nas.report.apart import ranked_line
from nas.report.rank import lines, members_line, noise_line, published_lines, report, samples_lines
from nas.report.scrutiny import reference_line
from nas.settings import RankSettings, make
from nas.truth.benchmarks import Benchmark, Diverged, Entry

__all__ = ["main", "run"]

BASELINES = ("parameters", "random")


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Runs one ranking and returns what its results.json holds.

    Raises:
        ZeronasError: any setting is wrong, or the run folder cannot be used.
    """
    settings = make(config, RankSettings)
    given, benchmark = settings.given, settings.needed_truth()
    with told(f"reading the table {benchmark.name}"):
        _ = benchmark.members
    members = chosen_members(benchmark, settings.space.contains, given.limit)
    baselines = [name for name in BASELINES if settings.space.counted or name != "parameters"]
    scorer = settings.scorer(baselines if given.baselines else ())
    folder = settings.folder
    with Journal(folder, settings.identity, fresh=given.fresh) as journal:
        Started(
            command=given.command,
            wanted={PROXIES: len(members)},
            workers=settings.executor.workers,
            known=len(journal.known),
        ).write(folder)
        progress = Progress(len(members))
        with Evaluator(scorer, settings.executor, len(members)) as evaluator, progress:
            trials = [Trial(member.architecture) for member in members]
            evaluations = answered(trials, {PROXIES: evaluator}, journal, progress)
        wall = progress.finish()
        resamples = resamples_of(len(members)) if given.resamples is None else given.resamples
        results = report(folder, settings, scorer.proxies, members, evaluations, resamples, wall)
    print(members_line(results))
    print("\n".join(lines(results)))
    print(noise_line(results))
    print(reference_line(results))
    for text in published_lines(results):
        print(text)
    for text in [*samples_lines(results), *ranked_line(results)]:
        print(text)
    files = "report.html, summary.md, table.csv, results.json, plots"
    print(f"scored in {wall:.1f} s{prepared(scorer)}; folder: {folder} ({files})")
    return results


def chosen_members(benchmark: Benchmark, contains: Any, limit: int | None) -> Sequence[Entry | Diverged]:
    """Returns what is scored: the entries and the diverged that the reduction allows, in the order of the table.

    ``limit`` of them are drawn evenly over the truth, the diverged last in it.

    Raises:
        ZeronasError: the reduction leaves none.
    """
    members = [member for member in benchmark.members if contains(member.architecture)]
    if not any(isinstance(member, Entry) for member in members):
        raise ZeronasError(f"None of the architectures of '{benchmark.name}' obeys the reduction; widen it.")
    if limit is None:
        return members

    def place(i: int) -> float:
        member = members[i]
        return member.value if isinstance(member, Entry) else -benchmark.sign * math.inf

    order = sorted(range(len(members)), key=place)
    picks = np.unique(np.linspace(0, len(members) - 1, min(limit, len(members))).round().astype(int))
    return [members[i] for i in sorted(order[p] for p in picks)]


main = command(run, "rank")


if __name__ == "__main__":
    sys.exit(guarded(main))
