"""The answer of a ranking: how each proxy agrees with the truth of a whole benchmark, beside its baselines."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas import judge
from nas.core.files import number, versions, write_csv, write_json, write_text
from nas.engine.evaluate import Evaluation
from nas.report import plots
from nas.settings import Settings
from nas.truth.benchmarks import Benchmark, Entry
from proxies.base import Proxy
from spaces.base import Space

__all__ = ["lines", "noise_line", "ordered", "published_lines", "report"]


def report(
    folder: Path,
    settings: Settings,
    proxies: Mapping[str, Proxy],
    entries: Sequence[Entry],
    evaluations: Sequence[Evaluation],
    resamples: int,
    wall: float,
) -> dict[str, Any]:
    """Writes summary.md, table.csv, results.json and one scatter plot a proxy; returns what results.json holds.

    Args:
        proxies: label -> proxy, baselines included.
        entries: the benchmark's architectures that were scored.
        evaluations: their scores, same order.
        resamples: of the bootstrap.
        wall: seconds the scoring took this session.
    """
    benchmark = settings.needed_truth()
    labels = list(proxies)
    rows = [
        [e.key, e.value, len(e.runs), *(ev.scores[label].value for label in labels), _failed(ev, labels)]
        for e, ev in zip(entries, evaluations, strict=True)
    ]
    write_csv(folder / "table.csv", ["key", "truth", "runs", *labels, "failure"], rows)
    judged = {
        label: _judge(label, proxies[label], benchmark, entries, evaluations, resamples, settings.space)
        for label in labels
    }
    results: dict[str, Any] = {
        "command": "rank",
        "space": settings.space.name,
        "reduction": settings.space.rule.to_json(),
        "benchmark": benchmark.name,
        "metric": benchmark.metric,
        "architectures": len(entries),
        "of": len(benchmark.entries),
        "noise": {
            "ceiling": None if benchmark.ceiling is None else benchmark.ceiling[0],
            "trained_twice": None if benchmark.ceiling is None else benchmark.ceiling[1],
            "standard_deviation": benchmark.noise,
            "unit": benchmark.unit,
        },
        "caveat": benchmark.caveat,
        "probe": settings.config["probe"].get("name"),
        "seed": settings.seed,
        "proxies": judged,
        "seconds": {"wall": wall, "scoring": sum(e.seconds for e in evaluations)},
        "config": settings.config,
        "versions": versions(),
    }
    results["plots"] = [_plot(folder, label, benchmark, entries, evaluations, judged[label]) for label in labels]
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", "\n".join(_summary(results)) + "\n")
    return results


def _failed(evaluation: Evaluation, labels: Sequence[str]) -> str:
    scores = evaluation.scores
    return "; ".join(f"{label}: {scores[label].reason}" for label in labels if scores[label].value is None)


def _judge(
    label: str,
    proxy: Proxy,
    benchmark: Benchmark,
    entries: Sequence[Entry],
    evaluations: Sequence[Evaluation],
    resamples: int,
    space: Space[Any],
) -> dict[str, Any]:
    pairs = [(e, ev.scores[label]) for e, ev in zip(entries, evaluations, strict=True)]
    valid = [(e, score.value) for e, score in pairs if score.value is not None]
    scores = [value for _, value in valid]
    agreement = judge.agreement(scores, [benchmark.sign * e.value for e, _ in valid], resamples)
    times = [ev.times for ev in evaluations if label in ev.times]
    own = float(np.mean([t[label] for t in times])) if times else float("nan")
    shared = 0.0
    if times and "forward" in proxy.needs:
        shared = float(np.mean([t["pass"] for t in times]))
    elif proxy.needs:  # they only read shapes, which the pass makes
        shapes = space.matrices if "matrices" in proxy.needs else space.counts
        start = time.perf_counter()
        for entry in entries[:100]:
            shapes(entry.architecture)
        shared = (time.perf_counter() - start) / len(entries[:100])
    return {
        "agreement": None if agreement is None else vars(agreement),
        "ties": len(scores) - len(set(scores)),
        "failures": dict(Counter(score.reason for _, score in pairs if score.value is None)),
        "milliseconds": 1000 * (own + shared),
        "milliseconds_scoring": 1000 * own,
        "source": proxy.source,
        "runs": _by_run(proxy, benchmark, valid),
    }


def _by_run(proxy: Proxy, benchmark: Benchmark, valid: Sequence[tuple[Entry, float]]) -> dict[str, Any]:
    """Compares over single trainings, as published tables do, and with the published column of the metric."""
    runs = [(score, run) for entry, score in valid for run in entry.runs]
    if len(runs) < 3:
        return {}
    scores = [score for score, _ in runs]
    truth = [benchmark.sign * run.value for _, run in runs]
    result: dict[str, Any] = {"count": len(runs), "tau": judge.kendall(scores, truth)}
    column = benchmark.published_column(proxy)
    if column is None:
        return result
    both = [(s, run.published[column], t) for (s, run), t in zip(runs, truth, strict=True) if column in run.published]
    if len(both) >= 3:
        mine, published, values = zip(*both, strict=True)
        result["published"] = {
            "column": column,
            "count": len(both),
            "spearman": judge.spearman(mine, published),
            "kendall": judge.kendall(mine, published),
            "tau_of_column": judge.kendall(published, values),
            "tau": judge.kendall(mine, values),
        }
    return result


def _plot(
    folder: Path,
    label: str,
    benchmark: Benchmark,
    entries: Sequence[Entry],
    evaluations: Sequence[Evaluation],
    judged: Mapping[str, Any],
) -> str:
    scores = [(ev.scores[label].value, e.value) for e, ev in zip(entries, evaluations, strict=True)]
    valid = [(s, t) for s, t in scores if s is not None]
    a = judged["agreement"] or {"tau": float("nan"), "rho": float("nan")}
    title = f"{benchmark.name}, {len(valid)} architectures: tau {a['tau']:.3f}, rho {a['rho']:.3f}"
    path = folder / f"truth_{label}.png"
    plots.scatter(
        path, [s for s, _ in valid], [t for _, t in valid], f"{label} (higher is better)", benchmark.metric, title
    )
    return path.name


def lines(results: Mapping[str, Any]) -> list[str]:
    """Returns the table that the command prints, one line a proxy, best tau first."""
    shown = [["proxy", "tau [95%]", "rho [95%]", "top-10% recall", "ms/architecture", "failures", "ties"]]
    for label, r in ordered(results["proxies"]):
        a = r["agreement"]
        failures = ", ".join(f"{n} {reason}" for reason, n in r["failures"].items()) or "0"
        cells = ["n/a"] * 3
        if a is not None:
            cells = [
                f"{a['tau']:.3f} [{a['tau_interval'][0]:.3f}, {a['tau_interval'][1]:.3f}]",
                f"{a['rho']:.3f} [{a['rho_interval'][0]:.3f}, {a['rho_interval'][1]:.3f}]",
                f"{a['recall']:.2f}",
            ]
        shown.append([label, *cells, number(r["milliseconds"], 3), failures, str(r["ties"])])
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def noise_line(results: Mapping[str, Any]) -> str:
    """Returns what the noise of the truth is, in one sentence."""
    noise = results["noise"]
    table = f"; {results['caveat']}" if results["caveat"] else ""
    if noise["ceiling"] is None:
        return f"noise ceiling: unknown, too few architectures were trained twice{table}"
    return (
        f"noise ceiling: tau {noise['ceiling']:.3f} between two trainings of the same {noise['trained_twice']:,} "
        f"architectures; one training's standard deviation is {number(noise['standard_deviation'])} {noise['unit']}"
        f"{table}"
    )


def ordered(judged: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns (label, judgement) of the proxies, best tau first, those without one last."""

    def tau(item: tuple[str, dict[str, Any]]) -> float:
        agreement = item[1]["agreement"]
        value = agreement["tau"] if agreement else math.nan
        return -9.0 if value is None or math.isnan(value) else value

    return sorted(judged.items(), key=tau, reverse=True)


def published_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns one sentence per proxy that has a published column: published beside recomputed."""
    found = []
    for label, r in results["proxies"].items():
        p = r["runs"].get("published")
        if p:
            found.append(
                f"{label} against the published column '{p['column']}' ({p['count']:,} trainings): Spearman "
                f"{p['spearman']:.4f}; tau with the truth {p['tau']:.4f}, published column {p['tau_of_column']:.4f}"
            )
    return found


def _summary(results: Mapping[str, Any]) -> list[str]:
    out = [
        f"# {results['benchmark']}: {results['architectures']:,} of {results['of']:,} unique architectures, "
        f"probe {results['probe']}",
        "",
        f"Truth: {results['metric']}; tau and rho are positive where a higher score goes with a better truth. "
        "Brackets: 95% bootstrap intervals over architectures. Time: one core, the score and the pass that all proxies "
        "of this run share.",
        "",
        "| proxy | tau [95%] | rho [95%] | top-10% recall | ms/architecture | failures | ties |",
        "|---|---|---|---|---|---|---|",
    ]
    for line, (label, _) in zip(lines(results)[1:], ordered(results["proxies"]), strict=True):
        cells = [cell for cell in line[len(label) :].split("  ") if cell.strip()]
        out.append(f"| {label} | " + " | ".join(cell.strip() for cell in cells) + " |")
    out += ["", f"- {noise_line(results)}"] + [f"- {text}" for text in published_lines(results)]
    seconds, made = results["seconds"], results["versions"]
    out += [
        "",
        f"Scoring took {seconds['scoring']:.1f} s of processor time in all ({seconds['wall']:.1f} s this session); "
        "made by " + ", ".join(f"{name} {version}" for name, version in made.items()) + ".",
    ]
    return out
