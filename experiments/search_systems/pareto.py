"""``python -m experiments.search_systems.pareto``: MTF-PDNS, NSGA-II, NSGA-III and random search at equal evaluations.

Every member of a table is scored once (resumable, under ``runs/search_systems``); searches then read from there, so
what differs between two of a method is the search's own chance, not the proxies'. After each evaluation the archive,
filled by proxies and parameters, is judged on truth and parameters (see ``nas.judge.pareto``). Searches of one seed
begin with the same generation, so seeds are pairs for the Wilcoxon signed-rank test. Two sets of objectives: the proxy
that ranks the space best among the published ones, and parameters; and those of MTF-PDNS's authors with parameters in
the place of FLOPs.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guard import guarded, named
from experiments.paper.runs import composed
from experiments.paper.tables import save, saved
from experiments.queries.pools import Known, asked
from nas import judge, search
from nas.core.files import number, versions
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool
from nas.engine.run import answered
from nas.engine.trials import PROXIES, Evaluation, Result, Trial
from nas.judge.pareto import Plane, Quality, course
from nas.report import plots
from nas.report.tables import text_table
from nas.search.objectives import Objectives
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import Benchmark
from spaces.base import Space

__all__ = ["METHODS", "RESULTS", "TABLES", "compared", "figure", "main", "pareto_lines", "tests"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"

#: table -> settings, evaluations (a quarter of the members or a little more; a sixth of NAS-Bench-NLP) and population
TABLES: dict[str, tuple[tuple[str, ...], int, int]] = {
    "nas_bench_nlp": (("space=rnn",), 400, 20),
    "flexibert": (("space=bert", "bert_reading=trained"), 120, 20),
    "mini_rnn": (("space=rnn",), 60, 10),
    "mini_bert": (("space=bert",), 40, 10),
}
#: the proxy of the smaller set of objectives, by space
_PROXY = {"rnn": "hidden_covariance", "bert": "zerolm"}
#: proxies of the larger set, whose distances are those of logarithms, as the authors take them on NAS-Bench-101
_AUTHORS = ("synflow", "jacobian_covariance", "snip")
METHODS = ("mtf_pdns", "nsga2", "nsga3", "random")
#: pairs that are tested, the first against the second
_PAIRS = (("mtf_pdns", "nsga2"), ("nsga3", "nsga2"), ("mtf_pdns", "random"), ("nsga2", "random"))
#: searches of each method, by seed
STARTS = 30
#: shares of the evaluations at which results are told
_AT = (0.25, 0.5, 0.75, 1.0)
_INDICATORS = ("hypervolume", "igd", "igd_plus")


def _sets(space: str) -> dict[str, tuple[str, ...]]:
    """Returns the sets of objectives by name."""
    return {"two": (_PROXY[space], "parameters"), "four": (*_AUTHORS, "parameters")}


def _scored(name: str) -> tuple[Space[Any], Benchmark, dict[str, Evaluation]]:
    """Returns the space, the table, and the scores of its members by key."""
    overrides, _, _ = TABLES[name]
    folder = Path("runs") / "search_systems" / f"pareto_{name}"
    proxies = ",".join((_PROXY[overrides[0].removeprefix("space=")], *_AUTHORS, "parameters"))
    fixed = (f"proxy=[{proxies}]", f"benchmark={name}", "pool=benchmark", "searcher=random")
    settings = make(composed("search", *overrides, *fixed, f"run.dir={folder}"), SearchSettings)
    benchmark = settings.needed_truth()
    trials = [Trial(entry.architecture) for entry in benchmark.entries]
    with Journal(folder, settings.identity) as journal, Evaluator(settings.task()) as evaluator:
        found = answered(trials, {PROXIES: evaluator}, journal, Progress(len(trials)))
    return settings.space, benchmark, {one.key: one for one in found}


class _Table:
    """A table's members, where they lie by truth and parameters, and their scores."""

    def __init__(self, name: str) -> None:
        self.space, benchmark, self.scores = _scored(name)
        self.members = [entry.architecture for entry in benchmark.entries]
        self.pool = BenchmarkPool(self.space, self.members)
        self.truth = {
            entry.key: (-benchmark.sign * entry.value, float(self.space.counts(entry.architecture).parameters))
            for entry in benchmark.entries
        }
        self.plane = Plane(np.array(list(self.truth.values())))

    def objectives(self, chosen: Sequence[str]) -> Objectives:
        """Returns a set of objectives among the scores."""
        labels = list(next(iter(self.scores.values())).scores)
        return Objectives("The comparison", labels, chosen, None, [one for one in chosen if one in _AUTHORS])

    def searched(
        self, method: str, chosen: Sequence[str], seed: int, evaluations: int, population: int
    ) -> dict[str, Any]:
        """Returns what one search finds: the indicators at each of ``_AT``."""
        objectives, options = self.objectives(chosen), {}
        if method != "random":
            logs = tuple(one for one in chosen if one in objectives.logs)
            options = {"population": population, "objectives": tuple(chosen), "logs": logs}
        pool = copy.copy(self.pool)  # features are worked out once
        pool.visited, pool.free = set(), np.ones(len(self.members), dtype=bool)
        searcher = search.get(method, pool, seed, **options)
        searcher.prepare(list(next(iter(self.scores.values())).scores))
        results = asked(searcher, {PROXIES: Known(self.scores)}, {PROXIES: evaluations}, population)
        path = list(course(results, objectives, self.plane, self.truth))
        return _row([path[round(share * evaluations) - 1] for share in _AT])

    def exhausted(self, chosen: Sequence[str]) -> dict[str, Any]:
        """Returns what the archive is worth when every member was evaluated."""
        results = [Result(Trial(one), self.scores[one.key].scores) for one in self.members]
        *_, last = course(results, self.objectives(chosen), self.plane, self.truth)
        return _row([last])


def _row(path: Sequence[Quality]) -> dict[str, Any]:
    return {name: [_rounded(getattr(one, name)) for one in path] for name in _INDICATORS}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def compared(name: str, done: dict[str, Any], keep: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Returns a table's results: what ``done`` holds of them, and what was missing.

    Args:
        keep: is told of what there is after each method.
    """
    overrides, evaluations, population = TABLES[name]
    rows = done.setdefault("rows", {})
    table = _Table(name)
    done |= {
        "settings": list(overrides),
        "members": len(table.members),
        "evaluations": evaluations,
        "population": population,
        "front": len(table.plane.front),
        "best": vars(table.plane.best),
        "sets": _sets(table.space.name),
    }
    for label, chosen in done["sets"].items():
        rows.setdefault(f"{label}; all; 0", table.exhausted(chosen))
        for method in METHODS:
            for start in range(STARTS):
                row = f"{label}; {method}; {start}"
                if row not in rows:
                    rows[row] = table.searched(method, chosen, start, evaluations, population)
            keep(done)
            print(name, label, method, file=sys.stderr, flush=True)
    return done


def _values(table: Mapping[str, Any], label: str, method: str, indicator: str, at: int = -1) -> list[float]:
    """Returns an indicator of each run of a method, by seed; at the end, or at one of ``_AT``."""
    return [row[indicator][at] for name, row in table["rows"].items() if name.startswith(f"{label}; {method}; ")]


def tests(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns for each set, pair and indicator the mean difference at the end, how often the first of the pair is
    better, and the p-value of Wilcoxon's signed-rank test (two-sided; None where no pair differs)."""
    from scipy.stats import wilcoxon

    found = []
    for label in table["sets"]:
        for first, second in _PAIRS:
            for indicator in _INDICATORS:
                a, b = (np.array(_values(table, label, method, indicator)) for method in (first, second))
                better = a > b if indicator == "hypervolume" else a < b
                p = float(wilcoxon(a, b).pvalue) if (a != b).any() else None
                found.append(
                    {
                        "set": label,
                        "pair": [first, second],
                        "indicator": indicator,
                        "difference": float((a - b).mean()),
                        "better": int(better.sum()),
                        "worse": int((a != b).sum() - better.sum()),
                        "p": p,
                    }
                )
    return found


def pareto_lines(data: Mapping[str, Any]) -> list[str]:
    """Returns the comparison as a text table: mean and standard error at the end, and p of MTF-PDNS against NSGA-II."""
    header = ["table", "objectives", "method", "runs", "hypervolume", "IGD", "IGD+"]
    rows = []
    for name, table in data["tables"].items():
        for label, chosen in table["sets"].items():
            for method in (*METHODS, "all"):
                cells, runs = [], 0
                for indicator in _INDICATORS:
                    values = _values(table, label, method, indicator)
                    (mean, _, error), runs = judge.mean_and_error(values), len(values)
                    cells.append(f"{mean:.4f} +- {error:.4f}")
                rows.append([name, "+".join(chosen), method, str(runs), *cells])
            best = table["best"]
            rows.append([name, "", "the table's own front", "", *(f"{best[one]:.4f}" for one in _INDICATORS)])
    out = text_table(header, rows)
    out += ["", "Wilcoxon signed rank over paired seeds (first better / worse):"]
    for name, table in data["tables"].items():
        for one in table["tests"]:
            what = f"{name}, {one['set']}, {one['indicator']}: {' against '.join(one['pair'])}"
            out.append(f"{what} {one['difference']:+.4f}, {one['better']}/{one['worse']}, p {number(one['p'], 2)}")
    return out


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
    axes[0, 0].legend(fontsize=8)
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
        keep({**table, "tests": tests(table)})
    figure(data, RESULTS / "pareto.png")
    print("\n".join(pareto_lines(data)))


if __name__ == "__main__":
    sys.exit(guarded(main))
