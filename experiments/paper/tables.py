"""What the runs say: rank correlations of each metric over all architectures and subsets, beside the published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.paper.runs import read_results, read_table
from nas import judge
from nas.core.files import write_json
from nas.report import plots
from nas.truth.benchmarks import Benchmark, Entry

__all__ = ["Subset", "grid", "published_taus", "save", "saved", "summarise"]

#: label -> which entries belong
Subset = Mapping[str, Callable[[Entry], bool]]


def summarise(folder: Path, benchmark: Benchmark, subsets: Subset) -> dict[str, Any]:
    """Returns per proxy of a ranking: what results.json says, and tau and rho with intervals inside each subset."""
    results = read_results(folder)
    rows = [row for row in read_table(folder) if row["truth"] != ""]
    summary: dict[str, Any] = {}
    for label, judged in results["proxies"].items():
        pairs = [(benchmark.by_key[row["key"]], float(row[label])) for row in rows if row[label] != ""]
        inside = {}
        for name, belongs in subsets.items():
            kept = [(score, benchmark.sign * entry.value) for entry, score in pairs if belongs(entry)]
            found = judge.agreement([s for s, _ in kept], [t for _, t in kept], resamples=300)
            inside[name] = None if found is None else vars(found)
        summary[label] = {**judged, "subsets": inside}
    return {
        "probe": results["config"]["probe"],
        "reading": results["config"].get("bert_reading"),
        "architectures": results["architectures"],
        "seed": results["seed"],
        "proxies": summary,
        "seconds": results["seconds"],
        "versions": results["versions"],
    }


def published_taus(benchmark: Benchmark, subsets: Subset) -> dict[str, dict[str, Any]]:
    """Returns per published column its tau and rho with the truth over all trainings, and tau inside each subset."""
    runs = [(entry, run) for entry in benchmark.entries for run in entry.runs if run.published]
    table: dict[str, dict[str, Any]] = {}
    for column in runs[0][1].published:
        kept = [(e, r.published[column], benchmark.sign * r.value) for e, r in runs if np.isfinite(r.published[column])]
        scores, truth = [score for _, score, _ in kept], [value for _, _, value in kept]
        inside = {}
        for name, belongs in subsets.items():
            some = [(score, value) for entry, score, value in kept if belongs(entry)]
            inside[name] = judge.kendall([s for s, _ in some], [t for _, t in some])
        table[column] = {
            "trainings": len(kept),
            "tau": judge.kendall(scores, truth),
            "rho": judge.spearman(scores, truth),
            "distinct": len(set(scores)),
            "subsets": inside,
        }
    return table


def save(path: Path, data: Mapping[str, Any]) -> None:
    """Writes results that are committed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(data))


def saved(path: Path) -> dict[str, Any]:
    """Returns results that ``save`` wrote, nothing where there are none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def grid(path: Path, folder: Path, benchmark: Benchmark, labels: Sequence[str], title: str, columns: int = 4) -> None:
    """Draws truth against score, one panel a metric, scores on their ranks: rank correlations are what is compared."""
    from scipy.stats import rankdata

    rows = [row for row in read_table(folder) if row["truth"] != ""]
    count = -(-len(labels) // columns)
    figure, axes = plots.subplots(columns, count, width=3.3, height=2.7)
    for ax in axes.ravel()[len(labels) :]:
        ax.set_visible(False)
    for ax, label in zip(axes.ravel(), labels, strict=False):
        pairs = [(float(row[label]), benchmark.by_key[row["key"]].value) for row in rows if row[label] != ""]
        scores, truth = np.array([s for s, _ in pairs]), np.array([t for _, t in pairs])
        ax.scatter(rankdata(scores), truth, s=3, alpha=0.35, linewidths=0, color=plots.COLOURS[0])
        tau = judge.kendall(scores, benchmark.sign * truth)
        ax.set_title(f"{label.replace('_', ' ')}\ntau {tau:+.3f}", fontsize=8)
        ax.tick_params(labelsize=7)
    figure.supxlabel("rank of the score (higher is better)", fontsize=9)
    figure.supylabel(benchmark.metric, fontsize=9)
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(figure, path)
