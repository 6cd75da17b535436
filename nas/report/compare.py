"""Collates finished searches: what each method found against the benchmark's best, over seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas import judge
from nas.core.errors import ZeronasError, printable
from nas.core.files import number, write_csv, write_json, write_text
from nas.report import plots
from nas.report.tables import markdown_table, mean_and_error, text_table

__all__ = ["baselines", "by_benchmark", "collated", "compare", "lines", "tables"]


def compare(runs: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Writes summary.md, table.csv (one row a run), results.json and plots; returns what results.json holds.

    Raises:
        ZeronasError: two runs are of the same method and seed, or the folder cannot be written.
    """
    results, methods, names = _grouped(runs)
    write_csv(folder / "table.csv", *_table(runs, names))
    results["plots"] = _plots(folder, methods, results)
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", _summary(results))
    return results


def collated(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what the runs of each method found, over seeds.

    Runs that differ in their seed alone form one method. Regret is in the benchmark's unit; standard errors are over
    seeds. Methods on different benchmarks are tabulated apart.

    Raises:
        ZeronasError: two runs are of the same method and seed.
    """
    return _grouped(runs)[0]


def _grouped(
    runs: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, list[Mapping[str, Any]]], list[str]]:
    """Returns results, method -> its runs, and the method of every run."""
    seen: dict[str, str] = {}
    methods: dict[str, list[Mapping[str, Any]]] = {}
    names = _names(runs)
    for run, name in zip(runs, names, strict=True):
        identity = json.dumps([name, run["seed"]])
        if identity in seen:
            raise ZeronasError(
                f"The run folders '{seen[identity]}' and '{run['folder']}' hold the same method and "
                "seed; name only one of them."
            )
        seen[identity] = run["folder"]
        methods.setdefault(name, []).append(run)
    results: dict[str, Any] = {
        "command": "compare",
        "runs": [run["folder"] for run in runs],
        "methods": {name: _method(group) for name, group in methods.items()},
    }
    return results, methods, names


def _names(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names every run by the settings in which the runs on the same benchmark differ, the seed left out.

    Options of a proxy, searcher or probe are named only where runs of the same one differ in them.
    """
    tables = [(run["benchmark"] or {}).get("name") for run in runs]
    names = [""] * len(runs)
    for table in set(tables):
        places = [i for i, name in enumerate(tables) if name == table]
        for i, name in zip(places, _told_apart([runs[i] for i in places]), strict=True):
            names[i] = name if len(set(tables)) == 1 else f"{table}: {name}"
    return names


def _told_apart(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    flat = [_settings(run) for run in runs]
    keys = []
    for key in flat[0]:
        owner = _OWNERS.get(key)
        groups: dict[Any, set[str]] = {}
        for settings in flat:
            groups.setdefault(settings.get(owner) if owner else None, set()).add(json.dumps(settings.get(key)))
        if any(len(values) > 1 for values in groups.values()):
            keys.append(key)
    return [", ".join(_shown(key, settings[key]) for key in keys or ["fitness"]) for settings in flat]


#: settings that are read as options of another setting
_OWNERS = {
    "proxy options": "fitness",
    "searcher options": "searcher",
    "probe settings": "probe",
    "benchmark": "space",
    "space settings": "reading",
    "benchmark options": "benchmark",
}


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    config = run["config"]
    found = {
        "space": run["space"],
        "benchmark": (run["benchmark"] or {}).get("name", "none"),
        "pool": run["pool"],
        "reduction": run["reduction"],
        "searcher": run["searcher"],
        "searcher options": config["searcher"],
        "fitness": run["fitness"],
        "proxy options": config["proxies"].get(run["fitness"]),
        "probe": run["probe"],
        "probe settings": config["probe"].get(run["space"]),
        "reading": config["space"].get("reading"),
        "budget": config["budget"],
        "verify": config["verify"],
        "queries": config.get("queries"),
        "samples": config.get("samples", 1),
        "comparator": config.get("comparator", "mean"),
    }
    rest = {"batch": config.get("batch"), "device": config.get("device"), "space settings": config["space"]}
    return {**found, **rest, "benchmark options": config["benchmark"]}


def _shown(key: str, value: Any) -> str:
    if key in ("fitness", "searcher", "space", "benchmark"):
        return str(value)
    if isinstance(value, dict):
        value = " ".join(f"{k}={v}" for k, v in value.items()) or "none"
    return f"{key} {value}"


def _method(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = [run for run in group if run["found"] and run["found"]["truth"] is not None]
    summary: dict[str, Any] = {
        "seeds": [run["seed"] for run in group],
        "with_truth": len(known),
        "evaluations": _spread([run["evaluations"] for run in group]),
        "seconds": _spread([run["seconds"]["scoring"] for run in group]),
        "benchmark": group[0]["benchmark"],
    }
    if known:
        summary["truth"] = _spread([run["found"]["truth"] for run in known])
        summary["regret"] = _spread([run["found"]["standing"]["regret"] for run in known])
        summary["rank"] = _spread([run["found"]["standing"]["rank"] for run in known])
        apart = [run["found"]["reported"] for run in known if run["found"].get("reported")]
        if apart:
            summary["reported"] = _spread([one["value"] for one in apart])
            summary["reported_rank"] = _spread([one["standing"]["rank"] for one in apart])
        summary["queries"] = _spread([run["queries_used"] for run in known])
        curves = [run["regret"] for run in known if run["regret"]]
        if curves:
            shortest = min(len(c["best_so_far"]) for c in curves)
            sized = [c for c in curves if c["parameters"]]
            stacked, by_chance, by_size = (
                _stacked([c[of] for c in those], shortest)
                for of, those in (("best_so_far", curves), ("random", curves), ("parameters", sized))
            )
            summary["curve"] = stacked.mean(axis=0).tolist()
            summary["curve_error"] = (
                (stacked.std(axis=0, ddof=1) / np.sqrt(len(curves))).tolist() if len(curves) > 1 else [0.0] * shortest
            )
            summary["random_curve"] = by_chance.mean(axis=0).tolist()
            if sized:  # where the space knows its sizes
                summary["parameters_curve"] = by_size.mean(axis=0).tolist()
    return summary


def _stacked(curves: Sequence[Sequence[float | None]], most: int) -> np.ndarray:
    """Returns (curves, at most ``most``), all cut to the shortest; None becomes NaN."""
    end = min([most, *map(len, curves)])
    return np.array([curve[:end] for curve in curves], dtype=float)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    mean, median, error = judge.mean_and_error(values)
    return {"mean": mean, "median": median, "standard_error": error, "values": list(values)}


def _table(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    header = [
        "method",
        "seed",
        "benchmark",
        "found",
        "score",
        "truth",
        "rank",
        "regret",
        "queries",
        "evaluations",
        "folder",
    ]
    rows = []
    for run, name in zip(runs, names, strict=True):
        chosen = run["found"] or {}
        at = chosen.get("standing") or {}
        score = chosen.get("scores", {}).get(run["fitness"])
        rows.append(
            [
                name,
                run["seed"],
                (run["benchmark"] or {}).get("name"),
                chosen.get("key"),
                score,
                chosen.get("truth"),
                at.get("rank"),
                at.get("regret"),
                run["queries_used"],
                run["evaluations"],
                run["folder"],
            ]
        )
    return header, rows


def _ordered(results: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns (name, method), best mean regret first, those without one last."""
    return sorted(results["methods"].items(), key=lambda item: item[1].get("regret", {"mean": float("inf")})["mean"])


def by_benchmark(results: Mapping[str, Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Returns benchmark ("" for none) -> (name, method), best mean regret first, those without one last."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, method in _ordered(results):
        found.setdefault((method["benchmark"] or {}).get("name", ""), []).append((name, method))
    return found


def lines(results: Mapping[str, Any]) -> list[str]:
    """Returns the comparison as lines of text, best mean regret first, one table per benchmark."""
    out: list[str] = []
    for title, header, rows in tables(results):
        out += [*([title] if title else []), *text_table(header, rows)]
    return out


_HEADER = [
    *("method", "seeds", "found: mean +- s.e.", "median", "best", "regret: mean +- s.e.", "median"),
    *("rank: mean +- s.e.", "regret of random search"),
]
#: beside it where a table has a value that is reported and not searched by
_REPORTED = ["reported: mean +- s.e."]


def tables(results: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Returns title, header and rows of the table of every benchmark."""
    found = []
    for benchmark in _benchmarks(results):
        rows, title = [], ""
        apart = any(
            "reported" in m for m in results["methods"].values() if (m["benchmark"] or {}).get("name") == benchmark
        )
        for name, m in _ordered(results):
            of = m["benchmark"] or {}
            if of.get("name") != benchmark:
                continue
            if of:
                title = f"{benchmark}: {of['metric']}, {of['architectures']:,} unique architectures"
            best = number(of.get("best", {}).get("value"), 5)
            cells = ["no truth", "", best, "no truth", "", "", ""]
            if "truth" in m:
                t, r = m["truth"], m["regret"]
                cells = [
                    mean_and_error(t, 5),
                    number(t["median"], 5),
                    best,
                    mean_and_error(r),
                    number(r["median"], 3),
                    mean_and_error(m["rank"], 4),
                    number(m["random_curve"][-1], 3) if "random_curve" in m else "",
                ]
            seeds = len(m["seeds"])
            counted = str(seeds) if m["with_truth"] in (0, seeds) else f"{m['with_truth']} of {seeds}"
            told = [mean_and_error(m["reported"], 5) if "reported" in m else ""] if apart else []
            rows.append([name, counted, *cells, *told])
        found.append((title, [*_HEADER, *(_REPORTED if apart else [])], rows))
    return found


def _benchmarks(results: Mapping[str, Any]) -> list[str | None]:
    return list(dict.fromkeys((m["benchmark"] or {}).get("name") for m in results["methods"].values()))


def _summary(results: Mapping[str, Any]) -> str:
    parts = "\n\n".join(
        "\n".join([*([title, ""] if title else []), *markdown_table(header, rows)])
        for title, header, rows in tables(results)
    )
    return (
        f"# {len(results['runs'])} searches compared\n\n{parts}\n\n"
        "*found* is the true value of the architecture that a search selected, *best* is the best of the benchmark, "
        "and *regret* is the difference. Rank 1 is the best. The standard error (s.e.) is over the seeds that found an "
        "architecture with a truth. The regret of random search is its exact expectation with the same number of "
        "queries on the same pool (their cost in trainings, rounded up).\n\n"
        "Files: table.csv (one row a run), results.json. "
        f"Plots: {', '.join(results['plots']) or 'none, no run has a truth'}.\n"
    )


def _plots(folder: Path, methods: Mapping[str, Sequence[Mapping[str, Any]]], results: Mapping[str, Any]) -> list[str]:
    made = []
    for benchmark in _benchmarks(results):
        shown = [
            (n, m) for n, m in _ordered(results) if (m["benchmark"] or {}).get("name") == benchmark and "regret" in m
        ]
        if not shown:
            continue
        unit = shown[0][1]["benchmark"]["unit"]
        path = folder / f"found_{benchmark}.png"
        figure, axes = plots.subplots(width=7.2, height=1.9 + 0.45 * len(shown))
        ax = axes[0, 0]
        for i, (_, m) in enumerate(reversed(shown)):
            values, r = m["regret"]["values"], m["regret"]
            ax.scatter(values, [i] * len(values), s=26, color=plots.COLOURS[0], alpha=0.7, zorder=3)
            ax.errorbar(
                [r["mean"]], [i], xerr=[r["standard_error"]], fmt="D", color=plots.COLOURS[1], capsize=4, zorder=2
            )
        ax.set_yticks(range(len(shown)), [printable(n) for n, _ in reversed(shown)], parse_math=False)
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.set_xlim(left=0)
        random = [(i, m["random_curve"][-1]) for i, (_, m) in enumerate(reversed(shown)) if "random_curve" in m]
        if random:
            at, values = [value for _, value in random], [i for i, _ in random]
            ax.scatter(at, values, marker="|", s=500, color="#555555", label="random search (expected)")
            ax.legend(fontsize=8, loc="lower right", markerscale=0.5)
        ax.set_xlabel(f"regret of the result ({unit}); dots: seeds, diamond: mean and s.e.")
        figure.suptitle(f"{benchmark}: results of searches, against the best of the benchmark", fontsize=11)
        made.append(plots.save(figure, path).name)
        curves = {n: m["curve"] for n, m in shown if "curve" in m}
        if curves:
            errors = {n: m["curve_error"] for n, m in shown if "curve" in m}
            both = {**curves, **baselines(shown)}
            path = folder / f"regret_{benchmark}.png"
            made.append(
                plots.regret_curves(
                    path, both, unit, f"{benchmark}: mean over seeds, bands: standard error", errors
                ).name
            )
    return made


def baselines(shown: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, list[float]]:
    """Returns the curves of random search and of the largest by parameters, once for every pool they differ on."""
    found: dict[str, list[float]] = {}
    for key, label in zip(("random_curve", "parameters_curve"), plots.BASELINES, strict=True):
        distinct = {json.dumps(m[key]): (n, m[key]) for n, m in reversed(shown) if key in m}
        for n, curve in distinct.values():
            found[label if len(distinct) == 1 else f"{label}: {n}"] = curve
    return found
