"""``zeronas evolve-proxy``: find a proxy by genetic programming on half of a benchmark, and judge it on the other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import proxies
import spaces
from experiments.commands.app import command
from experiments.guard import guarded
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator, Scorer
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.statistics import measured
from nas.engine.trials import PROXIES, Trial
from nas.judge.formulas import Worth
from nas.judge.generations import Generations
from nas.judge.reduction import half
from nas.report.evolve import Scored, lines, report
from nas.search.formulas import Evolution, Generation, Grammar, best
from nas.settings import EvolveSettings, Settings, make
from nas.truth import benchmarks
from nas.truth.benchmarks import Benchmark, Diverged, Entry
from proxies.base import Proxy
from proxies.expression import Expression
from spaces.base import Space

__all__ = ["main", "run"]

#: fewest architectures that formulas are designed on, and as many must be left to judge them
_FEWEST = 10
_FOUND = 10

Members = Sequence[Entry | Diverged]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Finds formulas on one half of a benchmark, judges them elsewhere, and returns what results.json holds.

    Source: LPZero (Dong et al. 2024, arXiv 2410.04808), which designs and judges on architectures of one benchmark.

    Raises:
        ZeronasError: any setting is wrong, there is no truth, or the run folder cannot be used.
    """
    settings = make(config, EvolveSettings)
    given, benchmark = settings.given, settings.needed_truth()
    if "forward" not in settings.probe.gives:
        raise ZeronasError(
            "zeronas evolve-proxy builds formulas from what a probe records of a network, but the probe of space "
            f"'{settings.space.name}' records nothing of one."
        )
    baselines = _baselines(given.baselines, settings)
    design, held_out = _halves(benchmark, settings)
    folder = settings.folder
    with Journal(folder, settings.identity, fresh=given.fresh) as journal:
        if given.fresh:
            _forget(folder)
        generations = _evolved(settings, benchmark, design, folder, journal.run)
        formulas = _told(generations)
        scored = [
            _scored("design", benchmark, settings.space, design, settings, baselines, formulas, journal),
            _scored("reported", benchmark, settings.space, held_out, settings, baselines, formulas, journal),
        ]
        designed_on = {member.key for member in design}
        for table, space in _tables(settings, benchmark):
            members = [member for member in _members(table, space) if member.key not in designed_on]
            with Journal(folder / table.name, settings.identity, fresh=given.fresh) as other:
                scored.append(_scored(table.name, table, space, members, settings, baselines, formulas, other))
        results = report(folder, settings, generations, scored, list(baselines), _FOUND)
    print("\n".join(lines(results)))
    print(f"folder: {folder} (summary.md, table.csv, formulas.csv, results.json, generations.png)")
    return results


def _members(benchmark: Benchmark, space: Space[Any]) -> list[Entry | Diverged]:
    return [member for member in benchmark.members if space.contains(member.architecture)]


def _halves(benchmark: Benchmark, settings: Settings[EvolveSettings]) -> tuple[Members, Members]:
    """Returns the architectures that formulas are designed on, and those that they are judged on.

    Raises:
        ZeronasError: there are too few.
    """
    members = _members(benchmark, settings.space)
    design = [member for member in members if half(member.key) == "fitting"]
    held_out = [member for member in members if half(member.key) == "testing"]
    if min(len(design), len(held_out)) < _FEWEST:
        raise ZeronasError(
            f"The halves of '{benchmark.name}' hold {len(design)} and {len(held_out)} architectures; evolve-proxy "
            f"needs at least {_FEWEST} in each."
        )
    count = settings.given.architectures
    if count is not None and count < len(design):
        rng = seeds.generator(settings.seed, "architectures that formulas are designed on")
        design = [design[place] for place in np.sort(rng.choice(len(design), size=count, replace=False))]
    return design, held_out


def _baselines(names: Sequence[str], settings: Settings[EvolveSettings]) -> dict[str, Proxy]:
    """Returns the proxies that the formulas are compared with, of those named what the space's probe gives.

    Their labels are no formula's text: ``parameters`` is a formula, too.

    Raises:
        ZeronasError: a name is no proxy's.
    """
    space, found = settings.space.name, dict[str, Proxy]()
    for name in names:
        if space in proxies.spaces_of(name):
            proxy = proxies.get(name, space)
            if proxy.needs <= settings.probe.gives:
                found[f"proxy {name}"] = proxy
    return found


def _forget(folder: Path) -> None:
    shutil.rmtree(folder / "statistics", ignore_errors=True)
    (folder / "generations.jsonl").unlink(missing_ok=True)


def _evolved(
    settings: Settings[EvolveSettings], benchmark: Benchmark, design: Members, folder: Path, run: str
) -> list[Generation]:
    given = settings.given
    grammar = Grammar.of(settings.probe.gives, given.chain, given.longest)
    columns: dict[str, Proxy] = {column.text: Expression(column.text) for column in grammar.columns}
    progress = Progress(len(design))
    with Evaluator(_scorer(settings, settings.space, columns), settings.executor) as evaluator, progress:
        rows = measured(evaluator, [m.architecture for m in design], folder / "statistics", run, progress)
    table = dict(zip(columns, rows.T.copy(), strict=True))
    found = []
    worth = Worth(table, _truth(benchmark, design), given.parsimony)
    asked = Generations(folder / "generations.jsonl", run, worth)
    with asked as ask, Progress(given.generations + 1, "generations") as progress:
        evolution = Evolution(
            grammar, ask, settings.seed, given.population, given.tournament, given.elites, given.crossover
        )
        for generation in evolution.generations(given.generations):
            ask.add(generation)
            found.append(generation)
            progress.step(generation.population[0].fitness if generation.population else None, True)
    if not any(generation.population for generation in found):
        raise ZeronasError("Every formula was rejected; use more architectures, or a larger population.")
    return found


def _truth(benchmark: Benchmark, members: Members) -> list[float | None]:
    return [benchmark.sign * member.value if isinstance(member, Entry) else None for member in members]


def _told(generations: Sequence[Generation]) -> list[str]:
    """Returns the formulas that are judged: the best so far of each generation, and the best of all."""
    leaders = [generation.population[0] for generation in generations if generation.population]
    return list(dict.fromkeys(answer.text for answer in [*best(generations, _FOUND), *leaders]))


def _tables(settings: Settings[EvolveSettings], benchmark: Benchmark) -> list[tuple[Benchmark, Space[Any]]]:
    """Returns the space's further tables that are at hand, each with the space that its architectures are read in.

    A table that trainings here extend holds what the space is by default, whatever reading is in force.
    """
    given, found = settings.given, []
    for name in settings.space.benchmarks if given.tables else ():
        table = benchmarks.get(name, given.data_dir)
        if name != benchmark.name and table.at_hand:
            own = table.protocol_name is not None
            found.append((table, spaces.get(settings.space.name).reduce(given.reduction) if own else settings.space))
    return found


def _scorer(settings: Settings[EvolveSettings], space: Space[Any], wanted: Mapping[str, Proxy]) -> Scorer:
    return Scorer(space, settings.probe, wanted, settings.seed, settings.given.device, settings.given.executor.timeout)


def _scored(
    name: str,
    benchmark: Benchmark,
    space: Space[Any],
    members: Members,
    settings: Settings[EvolveSettings],
    baselines: Mapping[str, Proxy],
    formulas: Sequence[str],
    journal: Journal,
) -> Scored:
    wanted = {**baselines, **{text: Expression(text) for text in formulas}}
    progress = Progress(len(members))
    with Evaluator(_scorer(settings, space, wanted), settings.executor) as evaluator, progress:
        trials = [Trial(member.architecture) for member in members]
        evaluations = answered(trials, {PROXIES: evaluator}, journal, progress)
    scores = {label: [evaluation.scores[label].value for evaluation in evaluations] for label in wanted}
    keys = [member.key for member in members]
    return Scored(name, benchmark.name, keys, _truth(benchmark, members), benchmark.sign, scores)


main = command(run, "evolve_proxy")


if __name__ == "__main__":
    sys.exit(guarded(main))
