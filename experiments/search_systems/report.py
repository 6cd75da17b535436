"""``python -m experiments.search_systems.report``: writes results/report.md and its figure of what was measured.

The report's prose is ``templates/report.md.j2``; every number in it comes from the files of results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guard import guarded
from experiments.search_systems.claims import CLAIMS, LEVEL, SPACES, VERDICTS, Advice, Claim, advised, column, outcomes
from experiments.search_systems.compare import AT, PAIRS, POOLS, RESULTS
from experiments.search_systems.pareto import INDICATORS, METHODS
from experiments.search_systems.scores import METRICS, PROBES, TABLES
from experiments.search_systems.systems import SYSTEMS, TOPS
from nas import judge
from nas.core.files import number, write_text
from nas.judge.effects import holm, signed_rank
from nas.report import plots
from nas.report.render import render

__all__ = ["RESULTS", "better", "context", "figure", "main", "read_data", "report", "winners"]

#: what is drawn of each table; the others would hide each other
_DRAWN = (
    *("random", "top by the field's metric", "ageing evolution", "local search", "bananas", "bayes", "bayes, zeronas"),
    *("robot", "proxybo"),
)
#: space -> what its members are called
_SPACES = {"rnn": "cells", "bert": "BERT"}
_METHOD = {"all": "every member"}


def read_data() -> dict[str, Any]:
    """Returns what the report is made of, by file."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in (*TABLES, "pareto")}


def report(data: Mapping[str, Any]) -> str:
    """Returns the report of what ``read_data`` gives."""
    return render("experiments.search_systems", "report.md.j2", context(data))


def context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the template shows, out of the data: values, and cells of tables as text."""
    return {
        "at": [str(n) for n in AT],
        "pairs": PAIRS,
        "probes": {name: len(probes) for name, probes in PROBES.items()},
        "tables": [_table(name, data[name]) for name in TABLES],
        "best": [_best(name, data[name]) for name in TABLES],
        "advice": [_advice(advised(data, space, at)) for space in SPACES for at in (0, *AT)],
        "claims": [_claim(claim, data) for claim in CLAIMS],
        "verdicts": list(VERDICTS),
        "pools": len(TABLES) * len(POOLS),
        "metrics": {space: ", ".join(labels) for space, labels in METRICS.items()},
        "fronts": _fronts(data["pareto"]),
        "tests": _tests(data["pareto"]),
        "versions": {name: data[name]["versions"] for name in TABLES},
    }


def better(systems: Mapping[str, Any], than: str, at: int) -> dict[str, tuple[float, float]]:
    """Returns system -> mean difference of its regret to another's, and p, at one of ``AT``.

    p is of a two-sided Wilcoxon signed-rank test over pairs of seeds, corrected after Holm for all systems; 1 where all
    pairs are equal.
    """
    place = AT.index(at)
    others = {name: one for name, one in systems.items() if name != than and one["regret"][0][place] is not None}
    told = {name: np.subtract(column(one, at), column(systems[than], at)) for name, one in others.items()}
    corrected = holm([signed_rank(gap) for gap in told.values()])
    return {name: (float(told[name].mean()), p) for name, p in zip(told, corrected, strict=True)}


def winners(systems: Mapping[str, Any], at: int) -> list[str]:
    """Returns the system of the least mean regret, and behind it those that it is not significantly better than."""
    run = {name: column(one, at) for name, one in systems.items() if one["regret"][0][AT.index(at)] is not None}
    means = {name: float(np.mean(values)) for name, values in run.items()}
    first = min(means, key=lambda name: means[name])
    beaten = {name for name, (gap, p) in better(systems, first, at).items() if gap > 0 and p < LEVEL}
    return [first, *(name for name in sorted(means, key=lambda name: means[name]) if name not in {first, *beaten})]


def _advice(advice: Advice) -> list[str]:
    told = [
        f"{table}{'' if pool == 'all' else ' ' + pool}: {_around(regret, error)} (random {random:.3g})"
        for table, pool, regret, error, random in advice.told
    ]
    return [_SPACES[advice.space], str(advice.at), advice.system, *told]


def _claim(claim: Claim, data: Mapping[str, Any]) -> list[str]:
    found = outcomes(claim, data)
    places = {
        verdict: [f"{one.table}{'' if one.pool == 'all' else '*'}" for one in found if one.verdict == verdict]
        for verdict in VERDICTS
    }
    return [claim.said, str(claim.at), *(", ".join(pools) or "none" for pools in places.values())]


def _around(mean: float, error: float) -> str:
    """Returns a mean and its standard error; what the sum of equal numbers is rounded by is no error."""
    return f"{mean:.3g} +- {0.0 if error < 1e-12 * abs(mean) else error:.2g}"


def _best(name: str, data: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for what in POOLS:
        systems = data["pools"][what]
        for at in AT:
            first, *others = winners(systems, at)
            mean, _, error = judge.mean_and_error(column(systems[first], at))
            rows.append([name, what, str(at), first, _around(mean, error), "; ".join(others) or "none"])
    return rows


def _table(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "unit": data["unit"],
        "metric": data["metric"],
        "pools": [
            {"what": what, "members": data["members"][what], "rows": _rows(data["pools"][what])} for what in POOLS
        ],
    }


def _rows(systems: Mapping[str, Any]) -> list[list[str]]:
    tops = [name for name in TOPS if name in systems]
    rows = []
    against_random = [better(systems, "random", at) for at in AT]
    lead = [min(tops, key=lambda name: float(np.mean(column(systems[name], at)))) for at in AT]
    against_top = [better(systems, top, at) for top, at in zip(lead, AT, strict=True)]
    for name in (*TOPS, *SYSTEMS):
        if name not in systems:
            continue
        one = systems[name]
        cells = [name]
        if "no truth" in one:
            mean, _, error = judge.mean_and_error(one["no truth"])
            cells.append(_around(mean, error))
        else:
            cells.append("")
        for place, at in enumerate(AT):
            if one["regret"][0][place] is None:
                cells.append("")
                continue
            mean, _, error = judge.mean_and_error(column(one, at))
            rank, _, around = judge.mean_and_error(column(one, at, "rank"))
            marks = [
                _mark(against_random[place].get(name), "r"),
                _mark(against_top[place].get(name), "t"),
            ]
            cells.append(f"{_around(mean, error)} / {rank:.1f} +- {around:.1f} {''.join(marks)}".strip())
        rows.append(cells)
    return rows


def _mark(found: tuple[float, float] | None, letter: str) -> str:
    """Returns +r, say, for significantly better than what r stands for, -r for worse, else nothing."""
    if found is None or found[1] >= LEVEL or found[0] == 0:
        return ""
    return f"+{letter}" if found[0] < 0 else f"-{letter}"


def _fronts(data: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, table in data["tables"].items():
        for label, chosen in table["sets"].items():
            for method in (*METHODS, "all"):
                these = [row for what, row in table["rows"].items() if what.startswith(f"{label}; {method}; ")]
                cells = [judge.mean_and_error([row[indicator][-1] for row in these]) for indicator in INDICATORS]
                told = [f"{mean:.4f} +- {error:.4f}" for mean, _, error in cells]
                evaluations = table["members"] if method == "all" else table["evaluations"]
                rows.append([name, " + ".join(chosen), _METHOD.get(method, method), f"{evaluations:,}", *told])
        own = [f"{table['best'][indicator]:.4f}" for indicator in INDICATORS]
        rows.append([name, "", "the table's own front", f"{table['members']:,}", *own])
    return rows


def _tests(data: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, table in data["tables"].items():
        for one in table["tests"]:
            objectives, pair = " + ".join(table["sets"][one["set"]]), " against ".join(one["pair"])
            found = [f"{one['difference']:+.4f}", f"{one['better']} / {one['worse']}"]
            p_values = [number(one["p"], 2), number(one["p_holm"], 2)]
            rows.append([name, objectives, pair, one["indicator"], *found, *p_values])
    return rows


def figure(data: Mapping[str, Any], path: Path) -> None:
    """Draws mean regret against queries, with its standard error, one panel for each table and pool.

    What plans by its budget is a point for each budget it was run with.
    """
    drawn, axes = plots.subplots(len(TABLES), len(POOLS), width=4.2, height=3.4)
    for at, name in enumerate(TABLES):
        for row, what in enumerate(POOLS):
            ax, systems = axes[row][at], data[name]["pools"][what]
            for place, system in enumerate(one for one in _DRAWN if one in systems):
                if "curve" not in systems[system]:
                    ran = [n for n in AT if systems[system]["regret"][0][AT.index(n)] is not None]
                    ends = [float(np.mean(column(systems[system], n))) for n in ran]
                    colour, style = ("#444444", "s:") if system == "robot" else ("#444444", "^:")
                    ax.plot(ran, ends, style, color=colour, markersize=5, label=system)
                    continue
                curve, error = np.array(systems[system]["curve"]), np.array(systems[system]["error"])
                queries = np.arange(1, len(curve) + 1)
                colour = plots.COLOURS[place % len(plots.COLOURS)]
                style = "-" if place < len(plots.COLOURS) else "--"
                ax.plot(queries, curve, style, color=colour, linewidth=1.4, label=system)
                ax.fill_between(queries, curve - error, curve + error, color=colour, alpha=0.15, linewidth=0)
            ax.set_xscale("log")
            ax.set_yscale("symlog", linthresh=0.02)
            ax.set_ylim(bottom=0)
            ax.set_title(f"{name}, {what}", fontsize=9)
            ax.set_xlabel("queries", fontsize=8)
            ax.set_ylabel(f"regret ({data[name]['unit']})", fontsize=8)
            ax.tick_params(labelsize=7)
    handles, labels = axes[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    plots.save(drawn, path)


def main() -> None:
    """Writes results/report.md and results/convergence.png."""
    data = read_data()
    write_text(RESULTS / "report.md", report(data))
    figure(data, RESULTS / "convergence.png")


if __name__ == "__main__":
    sys.exit(guarded(main))
