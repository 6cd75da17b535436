"""``zeronas reduce``: which features the truth depends on, and how well the reduced space they imply does unseen."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from experiments.commands.app import command
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.files import versions
from nas.core.folders import claimed
from nas.judge.reduction import Table, fit, half, outcome
from nas.report.reduce import answer, conditions_of, overrides_of, write
from nas.settings import ReduceSettings, Settings, make
from nas.truth.benchmarks import Benchmark, Entry
from spaces.base import Space
from spaces.rules import Rule

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Analyses one half of a benchmark, judges the implied rule on the other, and returns what results.json holds.

    Source: the qualitative search-space reduction of Serianni & Kalita (ACL 2023, arXiv 2306.00288).

    Raises:
        ZeronasError: any setting is wrong, there is no truth, or the run folder cannot be used.
    """
    settings = make(config, ReduceSettings)
    benchmark, space = settings.needed_truth(), settings.space
    with claimed(settings.folder, settings.identity, settings.given.fresh) as folder:
        return _analysed(folder, settings, benchmark, space)


def _analysed(
    folder: Path, settings: Settings[ReduceSettings], benchmark: Benchmark, space: Space[Any]
) -> dict[str, Any]:
    given = settings.given
    members = [entry for entry in benchmark.entries if space.contains(entry.architecture)]
    halves = {name: [e for e in members if half(e.key) == name] for name in ("fitting", "testing")}
    described = {e.key: space.describe(e.architecture) for e in members}
    truth = np.array([benchmark.sign * e.value for e in halves["fitting"]])
    table = Table([described[e.key] for e in halves["fitting"]], truth, space.feature_specs)
    fitted = fit(table, given.effect, given.keep, given.significance)
    rules = {"implied": fitted.conditions, **_published(space)}
    reduced = space.reduce(fitted.conditions)
    results: dict[str, Any] = {
        "command": "reduce",
        "space": space.name,
        "reduction": conditions_of(space.rule),
        "benchmark": {key: getattr(benchmark, key) for key in ("name", "metric", "unit", "higher_is_better")},
        "halves": {name: len(entries) for name, entries in halves.items()},
        "rule": fitted.conditions,
        "whole_rule": conditions_of(reduced.rule),
        "command_line": overrides_of(conditions_of(reduced.rule)),
        "rules": rules,
        "steps": [asdict(step) for step in fitted.steps],
        "refused": None if fitted.next is None else asdict(fitted.next),
        "testing": _outcomes(halves["testing"], rules, described, space, benchmark),
        "whole_table": _outcomes(members, rules, described, space, benchmark),
        "members": _sizes(space, rules),
        "config": settings.config,
        "versions": versions(),
    }
    values = np.array([entry.value for entry in halves["testing"]])
    kept = _kept(halves["testing"], fitted.conditions, described, space)
    write(folder, results, fitted, values, kept, benchmark)
    print("\n".join(answer(results, fitted)))
    print(f"folder: {folder} (summary.md, features.csv, results.json, reduction.yaml, reduction.png)")
    return results


def _published(space: Space[Any]) -> dict[str, Any]:
    # the paper's rule is about FlexiBERT's features; no other space has them
    text = (files("conf") / "reduction" / "paper.yaml").read_text(encoding="utf-8")
    rule = {str(name): condition for name, condition in OmegaConf.create(text).items()}
    return {"paper": rule} if all(name in space.feature_specs for name in rule) else {}


def _kept(entries: Sequence[Entry], rule: Mapping[str, Any], described: Mapping[str, Any], space: Space[Any]) -> Any:
    parsed = Rule.parse(rule, space.feature_specs, space.name)
    return np.array([parsed.allows(described[entry.key]) for entry in entries], dtype=bool)


def _outcomes(
    entries: Sequence[Entry],
    rules: Mapping[str, Mapping[str, Any]],
    described: Mapping[str, Any],
    space: Space[Any],
    benchmark: Benchmark,
) -> dict[str, Any]:
    values = [entry.value for entry in entries]
    return {
        name: asdict(outcome(values, _kept(entries, rule, described, space), benchmark.sign))
        for name, rule in rules.items()
    }


def _sizes(space: Space[Any], rules: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Returns how many distinct members the space and its reductions have, where the space can tell."""
    found = {"whole": _size(space)}
    for name, rule in rules.items():
        try:
            found[name] = _size(space.reduce(rule))
        except ZeronasError:  # the reduction in force forbids the rule
            found[name] = 0
    return {name: size for name, size in found.items() if size is not None}


def _size(space: Space[Any]) -> int | None:
    size = getattr(space, "size", None)
    return None if size is None else int(size())


main = command(run, "reduce")


if __name__ == "__main__":
    sys.exit(guarded(main))
