"""The charts of a page as data, which its script draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.core.files import number
from nas.report import plots
from nas.report.compare import baselines, by_benchmark
from nas.report.page.packed import packed_numbers, packed_places, packed_words
from nas.report.page.runs import Run
from nas.report.tables import estimate

__all__ = ["points", "regret_of_methods", "regret_of_search", "scatter", "selection"]


#: points of a chart of lines, beyond which every k-th is drawn
_POINTS = 20_000


def points(run: Run, name: str) -> dict[str, Any]:
    """Returns the architectures of a run, column by column, as the charts and the table of the page share them."""
    reasons = list(dict.fromkeys(row.failure for row in run.rows)) or [""]
    place = {reason: number for number, reason in enumerate(reasons)}
    count = len(run.rows)
    return {
        "name": name,
        "count": count,
        "labels": run.labels,
        "index": packed_places([row.index for row in run.rows], range(1, count + 1)),
        "key": packed_words([row.key for row in run.rows]),
        "named": packed_words([row.name for row in run.rows]) if any(row.name for row in run.rows) else None,
        "scores": {label: packed_numbers([row.scores[label] for row in run.rows]) for label in run.labels},
        "truth": packed_numbers([row.truth for row in run.rows]),
        "failure": packed_places([place[row.failure] for row in run.rows], [0] * count),
        "reasons": reasons,
        "unit": unit(run),
        "fitness": run.fitness,
    }


def unit(run: Run) -> str:
    """Returns the unit of the truth, "" where there is none."""
    of = run.results["noise"] if run.results["command"] == "rank" else run.benchmark
    return str(of.get("unit", ""))


def metric(run: Run) -> str:
    """Returns what the truth measures."""
    of = run.results if run.results["command"] == "rank" else run.benchmark
    return str(of.get("metric", "truth"))


def scatter(run: Run, place: int, label: str) -> dict[str, Any] | None:
    """Returns the chart of truth against the score of a proxy; None with fewer than three points.

    Args:
        place: of the run among those of the page; in the chart, ``place`` is that of the find among the run's rows.
    """
    results = run.results
    both = [row for row in run.rows if row.truth is not None and row.scores[label] is not None]
    if len(both) < 3:
        return None
    search = results["command"] == "search"
    judged = (results.get("agreement") or {}) if search else results["proxies"]
    agreement = judged.get(label) if search else judged[label]["agreement_all"]
    found = (results["found"] or {}) if search else {}
    deviation = run.benchmark.get("noise") if search else results["noise"]["standard_deviation"]
    middle = found.get("truth") if search else float(np.median([row.truth for row in both if row.truth is not None]))
    band = None
    if deviation is not None and middle is not None:
        where = "the find" if search else "the median"
        band = {
            "low": middle - deviation,
            "high": middle + deviation,
            "label": f"noise of one training: {where} +- {number(deviation)}",
        }
    within = plots.linear_within(np.array([row.scores[label] for row in both], dtype=float))
    return {
        "kind": "scatter",
        "run": place,
        "label": label,
        "count": len(both),
        "x": {"label": f"{label} (higher is better)", "within": within},
        "y": {"label": f"truth ({unit(run)})"},
        "metric": metric(run),
        "told": "" if not agreement else f"Kendall tau {estimate(agreement)}.",
        "band": band,
        "place": next((i for i, row in enumerate(run.rows) if row.key == found.get("key")), None),
    }


def selection(run: Run) -> dict[str, Any] | None:
    """Returns the over-optimisation curve: the truth of what is picked, against how strongly the proxy selects."""
    found = run.results["selection"]
    if found["why"]:
        return None
    if found.get("kind") == "blocks":
        return _course(run, found)
    series = [_curve(label, found["proxies"][label]["points"]) for label in run.labels if label in found["proxies"]]
    series.append({**_curve("by truth", found["oracle"]["points"], band=False), "style": "dash"})
    return {
        "kind": "lines",
        "x": {"label": "n: the proxy picks the best of n random architectures", "log": True},
        "y": {"label": "expected percentile of the pick's truth", "low": 0, "high": 100},
        "series": series,
        "rules": [{"y": 100 * found["oracle"]["points"][0]["quantile"], "label": "random search"}],
    }


def _curve(name: str, made: Sequence[Mapping[str, Any]], band: bool = True) -> dict[str, Any]:
    ends = [one["quantile_interval"] for one in made]
    has = band and all(end[0] is not None for end in ends)
    return {
        "name": name,
        "x": [one["n"] for one in made],
        "y": [_percent(one["quantile"]) for one in made],
        "low": [_percent(end[0]) for end in ends] if has else None,
        "high": [_percent(end[1]) for end in ends] if has else None,
        "style": "line",
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _course(run: Run, found: Mapping[str, Any]) -> dict[str, Any]:
    made = found["blocks"]
    means = [((b["first"] + b["last"]) / 2, b["quantile"]) for b in made if b["known"]]
    best = [(b["last"], b["best_quantile"]) for b in made if b["best_known"]]
    known = [(k["index"], k["quantile"]) for k in found["known"] if not k["asked"]]
    every = max(1, -(-len(known) // _POINTS))
    shown = "truth of an evaluation" if every == 1 else f"truth of one in {every} evaluations"
    parts = [
        (shown, known[::every], "points"),
        ("mean of a block", means, "line"),
        (f"best by {run.fitness} so far", best, "line"),
    ]
    return {
        "kind": "lines",
        "x": {"label": "evaluations, in the order asked", "log": False, "whole": True},
        "y": {"label": "percentile of the truth in the table", "low": 0, "high": 100},
        "series": [
            {"name": name, "x": [x for x, _ in line], "y": [_percent(y) for _, y in line], "style": style}
            for name, line, style in parts
            if line
        ],
        "rules": [{"y": 50, "label": "the table's median"}],
    }


def regret_of_search(run: Run) -> dict[str, Any] | None:
    """Returns regret against queries of one search, beside its baselines."""
    regret = run.results["regret"]
    if not regret or not regret["best_so_far"]:
        return None
    parts = [("this search", regret["best_so_far"], "line"), (plots.BASELINES[0], regret["random"], "dash")]
    if regret["parameters"]:
        parts.append((plots.BASELINES[1], regret["parameters"], "dash"))
    return _regrets([{"name": name, "y": curve, "style": style} for name, curve, style in parts], unit(run))


def regret_of_methods(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns benchmark -> regret against queries of all methods, with bands of a standard error over seeds."""
    made = {}
    for table, methods in by_benchmark(results).items():
        shown = [(name, method) for name, method in methods if method.get("curve")]
        if not shown:
            continue
        series: list[dict[str, Any]] = []
        for label, method in shown:
            one: dict[str, Any] = {"name": label, "y": method["curve"], "style": "line"}
            if len(method["seeds"]) > 1:
                pairs = list(zip(method["curve"], method["curve_error"], strict=True))
                one["low"] = [None if _gone(y, e) else max(0.0, y - e) for y, e in pairs]
                one["high"] = [None if _gone(y, e) else y + e for y, e in pairs]
            series.append(one)
        series += [{"name": name, "y": curve, "style": "dash"} for name, curve in baselines(shown).items()]
        made[table] = _regrets(series, shown[0][1]["benchmark"]["unit"])
    return made


def _gone(*values: float | None) -> bool:
    return any(value is None or value != value for value in values)


def _regrets(series: Sequence[dict[str, Any]], of: str) -> dict[str, Any]:
    return {
        "kind": "lines",
        "x": {"label": "truths asked for (cost in trainings)", "log": False, "whole": True},
        "y": {"label": f"regret of the best so far ({of})", "low": 0},
        "series": [{**one, "x": list(range(1, len(one["y"]) + 1))} for one in series],
        "rules": [],
    }
