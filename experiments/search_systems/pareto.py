"""``python -m experiments.search_systems.pareto``: MTF-PDNS, NSGA-II, NSGA-III and random search at equal evaluations.

Searches read scores that are there (see ``experiments.search_systems.scores``). After each evaluation the archive,
filled by proxies and parameters, is judged on truth and parameters (see ``nas.judge.pareto``). Searches in generations
begin, with the same seed, with the same generation, so seeds are pairs for the Wilcoxon signed-rank test (random search
draws its own). Two sets of objectives: the field's own metric of the space and parameters; and those of MTF-PDNS's
authors, with parameters in the place of FLOPs. What diverged can be chosen as well, and counts as having the worst loss
of what trained.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guard import guarded, named
from experiments.paper.tables import save, saved
from experiments.queries.pools import asked
from experiments.search_systems.scores import METRICS, PROBES, Known, scored
from nas import judge, search
from nas.core.files import number, versions
from nas.engine.pools import BenchmarkPool
from nas.engine.trials import PROXIES, Result, Trial
from nas.judge.effects import holm, signed_rank
from nas.judge.pareto import Plane, Quality, course
from nas.report import plots
from nas.report.tables import text_table
from nas.search.objectives import Objectives

__all__ = ["INDICATORS", "METHODS", "RESULTS", "TABLES", "compared", "figure", "main", "pareto_lines", "significance"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"

#: table -> evaluations (a quarter of the members or fewer) and size of the population
TABLES: dict[str, tuple[int, int]] = {
    "nas_bench_nlp": (400, 20),
    "flexibert": (120, 20),
    "mini_rnn": (60, 10),
    "mini_bert": (40, 10),
}
#: proxies of the larger set, whose distances are those of logarithms, as the authors take them on NAS-Bench-101
_AUTHORS = ("synflow", "jacobian_covariance", "snip")
METHODS = ("mtf_pdns", "nsga2", "nsga3", "random")
#: pairs that are tested, the first against the second
_PAIRS = (("mtf_pdns", "nsga2"), ("nsga3", "nsga2"), ("mtf_pdns", "random"), ("nsga2", "random"))
#: searches of each method, by seed, shared out over the table's probe seeds
STARTS = 30
#: shares of the evaluations at which results are told
_AT = (0.25, 0.5, 0.75, 1.0)
INDICATORS = ("hypervolume", "igd", "igd_plus")


def _sets(space: str) -> dict[str, tuple[str, ...]]:
    """Returns the sets of objectives by name."""
    return {"two": (METRICS[space][0], "parameters"), "four": (*_AUTHORS, "parameters")}


class _Table:
    """A table's members, where they lie by truth and parameters, and their scores under one probe seed."""

    def __init__(self, name: str, probe: int) -> None:
        found = scored(name, probe)
        space, benchmark = found.space, found.benchmark
        self.space, self.scores = space, found.scores
        self.members = [member.architecture for member in benchmark.members]
        self.pool = BenchmarkPool(space, self.members)
        self.truth = {
            entry.key: (-benchmark.sign * entry.value, float(space.counts(entry.architecture).parameters or 0))
            for entry in benchmark.entries
        }
        self.plane = Plane(np.array(list(self.truth.values())))
        self.truth |= {
            one.key: (float(self.plane.high[0]), float(space.counts(one.architecture).parameters or 0))
            for one in benchmark.diverged.values()
        }

    def objectives(self, chosen: Sequence[str]) -> Objectives:
        """Returns a set of objectives."""
        return Objectives("The comparison", chosen, None, None, [one for one in chosen if one in _AUTHORS])

    def searched(
        self, method: str, chosen: Sequence[str], seed: int, evaluations: int, population: int
    ) -> dict[str, Any]:
        """Returns what one search finds: the indicators at each of ``_AT``."""
        objectives, options = self.objectives(chosen), {}
        if method != "random":
            logs = tuple(one for one in chosen if one in objectives.logs)
            options = {"population": population, "logs": logs}
        pool = copy.copy(self.pool)  # features are worked out once
        pool.visited, pool.free = set(), np.ones(len(self.members), dtype=bool)
        searcher = search.get(method, pool, seed, **options)
        searcher.prepare(chosen)
        results = asked(searcher, {PROXIES: Known(self.scores, chosen)}, {PROXIES: evaluations}, population)
        path = list(course(results, objectives, self.plane, self.truth))
        return _row([path[round(share * evaluations) - 1] for share in _AT])

    def exhausted(self, chosen: Sequence[str]) -> dict[str, Any]:
        """Returns what the archive is worth when every member was evaluated."""
        results = [Result(Trial(one), self.scores[one.key].scores) for one in self.members]
        *_, last = course(results, self.objectives(chosen), self.plane, self.truth)
        return _row([last])


def _row(path: Sequence[Quality]) -> dict[str, Any]:
    return {name: [_rounded(getattr(one, name)) for one in path] for name in INDICATORS}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def compared(name: str, done: dict[str, Any], keep: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Returns a table's results: what ``done`` holds of them, and what was missing.

    Args:
        keep: is told of what there is after each method.
    """
    evaluations, population = TABLES[name]
    rows, probes = done.setdefault("rows", {}), PROBES[name]
    tables = [_Table(name, probe) for probe in probes]
    done |= {
        "members": len(tables[0].members),
        "evaluations": evaluations,
        "population": population,
        "probes": list(probes),
        "front": len(tables[0].plane.front),
        "best": vars(tables[0].plane.best),
        "sets": _sets(tables[0].space.name),
    }
    for label, chosen in done["sets"].items():
        for table, probe in zip(tables, probes, strict=True):
            rows.setdefault(f"{label}; all; {probe}", table.exhausted(chosen))
        for method in METHODS:
            for start in range(STARTS):
                row = f"{label}; {method}; {start}"
                if row not in rows:
                    table = tables[start % len(tables)]
                    rows[row] = table.searched(method, chosen, start, evaluations, population)
            keep(done)
            print(name, label, method, file=sys.stderr, flush=True)
    return done


def _values(table: Mapping[str, Any], label: str, method: str, indicator: str, at: int = -1) -> list[float]:
    """Returns an indicator of each run of a method, by seed; at the end, or at one of ``_AT``."""
    return [row[indicator][at] for name, row in table["rows"].items() if name.startswith(f"{label}; {method}; ")]


def significance(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns for each set, pair and indicator the mean difference at the end, how often the first of the pair is
    better and worse, and the p-value of Wilcoxon's two-sided signed-rank test: raw (1 where all pairs are equal), and
    corrected after Holm for all tests of the table."""
    found = []
    for label in table["sets"]:
        for first, second in _PAIRS:
            for indicator in INDICATORS:
                a, b = (np.array(_values(table, label, method, indicator)) for method in (first, second))
                better = a > b if indicator == "hypervolume" else a < b
                found.append(
                    {
                        "set": label,
                        "pair": [first, second],
                        "indicator": indicator,
                        "difference": float((a - b).mean()),
                        "better": int(better.sum()),
                        "worse": int((a != b).sum() - better.sum()),
                        "p": signed_rank(a - b),
                    }
                )
    for one, corrected in zip(found, holm([one["p"] for one in found]), strict=True):
        one["p_holm"] = float(corrected)
    return found


def pareto_lines(data: Mapping[str, Any]) -> list[str]:
    """Returns the comparison as a text table: mean and standard error at the end, and p of MTF-PDNS against NSGA-II."""
    header = ["table", "objectives", "method", "runs", "hypervolume", "IGD", "IGD+"]
    rows = []
    for name, table in data["tables"].items():
        for label, chosen in table["sets"].items():
            for method in (*METHODS, "all"):
                cells, runs = [], 0
                for indicator in INDICATORS:
                    values = _values(table, label, method, indicator)
                    (mean, _, error), runs = judge.mean_and_error(values), len(values)
                    cells.append(f"{mean:.4f} +- {error:.4f}")
                rows.append([name, "+".join(chosen), method, str(runs), *cells])
            best = table["best"]
            rows.append([name, "", "the table's own front", "", *(f"{best[one]:.4f}" for one in INDICATORS)])
    out = text_table(header, rows)
    out += ["", "Wilcoxon signed rank over pairs of seeds, p corrected after Holm for all tests of a table:"]
    header = ["table", "objectives", "pair", "indicator", "difference", "better", "worse", "p", "p (Holm)"]
    rows = [
        [
            name,
            one["set"],
            " - ".join(one["pair"]),
            one["indicator"],
            f"{one['difference']:+.4f}",
            str(one["better"]),
            str(one["worse"]),
            number(one["p"], 2),
            number(one["p_holm"], 2),
        ]
        for name, table in data["tables"].items()
        for one in table.get("tests", ())
    ]
    return out + text_table(header, rows, right=(5, 6, 7, 8))


def figure(data: Mapping[str, Any], path: Path) -> None:
    """Draws the hypervolume missing to the table's own front against evaluations, a panel a table and set."""
    tables = data["tables"]
    chart, axes = plots.subplots(len(tables), 2, width=3.6, height=3.2)
    for column, (name, table) in enumerate(tables.items()):
        for line, (label, chosen) in enumerate(table["sets"].items()):
            ax, best = axes[line, column], table["best"]["hypervolume"]
            x = [share * table["evaluations"] for share in _AT]
            for method, colour, marker in zip(METHODS, plots.COLOURS, "osD^", strict=False):
                runs = best - np.array([_values(table, label, method, "hypervolume", i) for i in range(len(_AT))])
                mean, error = runs.mean(axis=1), runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])
                style = "--" if method == "random" else "-"
                ax.errorbar(
                    x, mean, error, color=colour, marker=marker, markersize=4, ls=style, capsize=2, label=method
                )
            limit = best - np.mean(_values(table, label, "all", "hypervolume"))
            ax.axhline(limit, color="#555555", linewidth=0.9, linestyle=":", label="every member evaluated")
            ax.set_ylim(bottom=0)
            ax.set_title(f"{name}, {table['members']:,} members\n{', '.join(chosen[:-1])} + {chosen[-1]}", fontsize=8)
            ax.tick_params(labelsize=8)
    handles, names = axes[0, 0].get_legend_handles_labels()
    chart.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9, frameon=False)
    chart.supxlabel("evaluations", fontsize=10)
    chart.supylabel("hypervolume missing to the table's own front", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(chart, path)


def main() -> None:
    """Compares on all tables, or on those named, and writes results/pareto.json and the figure."""
    path = RESULTS / "pareto.json"
    data = {"tables": {}, "at": list(_AT), **saved(path)}
    for name in named(TABLES, "table"):

        def keep(table: Mapping[str, Any], name: str = name) -> None:
            found = {**data["tables"], name: table}
            data["tables"] = {one: found[one] for one in TABLES if one in found}
            save(path, {**data, "versions": versions()})

        table = compared(name, data["tables"].get(name, {}), keep)
        keep({**table, "tests": significance(table)})
    figure(data, RESULTS / "pareto.png")
    print("\n".join(pareto_lines(data)))


if __name__ == "__main__":
    sys.exit(guarded(main))
