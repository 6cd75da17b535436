"""``python -m experiments.proxies.report``: writes results/report.md and its figure from what the others measured.

The report's prose is ``templates/report.md.j2``; every number in it comes from the files of results, or is a published
figure of ``experiments.proxies.published``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.guard import guarded
from experiments.proxies.published import PUBLISHED, RESULTS, SOURCES
from nas import judge
from nas.core.files import write_text
from nas.report import plots
from nas.report.render import render
from nas.report.tables import estimate, point

__all__ = ["RESULTS", "best_of_three", "context", "figure", "main", "read_data", "report"]

_FILES = ("fitness", "survival", "variation", "tables", "evolved")


def read_data() -> dict[str, Any]:
    """Returns what the report is made of, by file."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in _FILES}


def report(data: Mapping[str, Any]) -> str:
    """Returns the report of what ``read_data`` gives."""
    return render("experiments.proxies", "report.md.j2", context(data))


def context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the template shows, out of the data: values, and cells of tables as text."""
    return {
        "fitness": _fitness(data["fitness"]),
        "survival": _survival(data["survival"]),
        "variation": _variation(data["variation"]),
        "tables": [_table(name, table) for name, table in data["tables"].items()],
        "evolved": [_evolved(name, table) for name, table in data["evolved"].items()],
        "sources": SOURCES,
        "versions": {name: data[name]["versions"] for name in ("fitness", "survival", "variation")},
    }


def _fitness(data: Mapping[str, Any]) -> dict[str, Any]:
    rows, costs, labelled = [], [], []
    for table, found in data["tables"].items():
        for label, halves in {**found["proxies"], **found["baselines"]}.items():
            for half, judged in halves.items():
                low, high = judged["interval"]
                trained = f"{judged['trained']:.3f}" if judged["diverged"] else ""
                value = f"{judged['tie-broken']:.3f} [{low:.3f}, {high:.3f}]"
                rows.append(
                    [table, label, half, f"{judged['architectures']:,}", value, f"{judged['tau-b']:.3f}", trained]
                )
        for label, spent in found["seconds"].items():
            costs.append([table, label, f"{1000 * spent['median']:.2f}", f"{1000 * spent['mean']:.2f}"])
        for method, told in found.get("labels", {}).items():
            value = f"{told['mean']:.3f} +- {told['error']:.3f}"
            labelled.append([table, method, value, f"{told['least']:.3f}", f"{told['cells']:,}"])
    return {"rows": rows, "costs": costs, "labelled": labelled, "labels": data["labels"], "draws": data["draws"]}


def best_of_three(runs: Sequence[Mapping[str, Any]], method: str) -> list[float]:
    """Returns the least loss of each seed's trainings, infinite where all diverged, seeds in order."""
    these = sorted((run for run in runs if run["method"] == method), key=lambda run: run["seed"])
    return [min((loss for loss in run["losses"] if loss is not None), default=float("inf")) for run in these]


def _survival(data: Mapping[str, Any]) -> dict[str, Any]:
    runs, rows, summary = data["runs"], [], {}
    methods = list(dict.fromkeys(run["method"] for run in runs))
    for run in sorted(runs, key=lambda run: (run["seed"], methods.index(run["method"]))):
        losses = ", ".join("diverged" if loss is None else f"{loss:.3f}" for loss in run["losses"])
        fitness = ", ".join(f"{value:.3f}" for value in run["fitness"])
        rows.append([str(run["seed"]), run["method"], fitness, losses])
    for method in methods:
        mean, _, error = judge.mean_and_error(best_of_three(runs, method))
        these = [loss for run in runs if run["method"] == method for loss in run["losses"]]
        summary[method] = {
            "mean": mean,
            "error": error,
            "trainings": len(these),
            "diverged": sum(loss is None for loss in these),
            "seeds": len(best_of_three(runs, method)),
        }
    pairs = list(zip(*(best_of_three(runs, method) for method in ("evolution", "drawing")), strict=True))
    mean, _, error = judge.mean_and_error([a - b for a, b in pairs])
    difference = {"mean": mean, "error": error, "better": sum(a < b for a, b in pairs), "seeds": len(pairs)}
    cells = [
        [m, f"{s['seeds']} seeds", f"{s['mean']:.3f} +- {s['error']:.3f}", f"{s['diverged']} of {s['trainings']}"]
        for m, s in summary.items()
    ]
    return {"rows": rows, "summary": cells, "difference": difference, "settings": " ".join(data["settings"])}


def _variation(data: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for name, table in data["tables"].items():
        for method, told in table["methods"].items():
            for k, one in told.items():
                less = f"{one['difference']:+.4f} +- {one['difference error']:.4f}" if method != "means" else ""
                p = "" if one["p"] is None else f"{one['p']:.2g}"
                regret = f"{one['mean']:.4f} +- {one['error']:.4f}"
                rows.append([name, table["proxy"], str(table["drawn"]), f"best of {k}", method, regret, less, p])
    return {"rows": rows, **{what: data[what] for what in ("samples", "seeds", "significance")}}


def _table(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for label, judged in _ordered(data):
        claims, differs = PUBLISHED.get(name, {}).get(label, ((), ""))
        said = "; ".join(f"{_said(claim.tau)} / {_said(claim.rho)} {claim.source}" for claim in claims)
        top = judged["top"] or {}
        whole, trained = judged["agreement_all"], judged["agreement"]
        rows.append(
            [
                label,
                said,
                estimate(whole),
                point(whole, "rho"),
                point(trained, "tau") if data["diverged"] else "",
                point(whole, "tie_broken"),
                f"{judged['distinct']:,}",
                point(judged["like_size"], "tau"),
                point(judged["given_size"], "tau"),
                *(f"{top[what]:,.0f}" if top else "n/a" for what in ("best_rank", "median_rank")),
                f"{judged['milliseconds_scoring']:.1f}",
                differs,
            ]
        )
    learned = [
        [inputs, learner, estimate(one)]
        for inputs, learners in data["reference"]["inputs"].items()
        for learner, one in learners.items()
    ]
    return {
        "name": name,
        "rows": rows,
        "learned": learned,
        **{k: data[k] for k in ("architectures", "diverged", "noise", "probe")},
    }


def _evolved(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    parts = data["architectures"]

    def row(label: str, on: Mapping[str, Any]) -> list[str]:
        return [label, *(estimate(on[part]) for part in parts)]

    baselines = sorted(data["baselines"].items(), key=lambda item: -item[1]["on"]["design"]["tau"])
    return {
        "name": name,
        "settings": " ".join(data["settings"]),
        "header": ["", *(f"{part} ({count:,})" for part, count in parts.items())],
        "rows": [
            *(row(f"`{one['text']}`", one["on"]) for one in data["formulas"][:3]),
            *(row(label, one["on"]) for label, one in baselines[:5]),
        ],
        "rejected": ", ".join(f"{count:,} {reason}" for reason, count in data["rejected"].items()) or "none",
        **{what: data[what] for what in ("asked", "generations", "first", "last")},
    }


def _ordered(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    def tau(item: tuple[str, Any]) -> float:
        whole = item[1]["agreement_all"]
        value = None if whole is None else whole["tie_broken"]
        return -2.0 if value is None or value != value else float(value)

    return sorted(data["proxies"].items(), key=tau, reverse=True)


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def figure(data: Mapping[str, Any], path: Path) -> Path:
    """Draws the tie-broken tau of every proxy on every table with its interval, and published figures beside it."""
    tables = data["tables"]
    most = max(len(table["proxies"]) for table in tables.values())
    canvas, axes = plots.subplots(columns=len(tables), width=4.6, height=0.21 * most + 1.0)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        rows = [item for item in _ordered(table) if point(item[1]["agreement_all"], "tie_broken") != "n/a"][::-1]
        for place, (label, judged) in enumerate(rows):
            whole = judged["agreement_all"]
            own = label.startswith("zeronas")
            colour = plots.COLOURS[1] if own else plots.COLOURS[0]
            low, high = (whole["tie_broken_interval"][i] for i in (0, 1))
            ax.plot([low, high], [place, place], color=colour, linewidth=1.2)
            ax.plot(whole["tie_broken"], place, "o", color=colour, markersize=4)
            for claim in PUBLISHED.get(name, {}).get(label, ((), ""))[0]:
                if claim.tau is not None:
                    ax.plot(claim.tau, place, "x", color=plots.COLOURS[6], markersize=4)
        ax.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=7)
        ax.axvline(0, color="grey", linewidth=0.8)
        ax.set(title=name, xlabel="Kendall tau with the truth, ties broken", ylim=(-0.7, len(rows) - 0.3))
    axes[0][0].plot([], [], "o", color=plots.COLOURS[0], label="measured here, 95% interval")
    axes[0][0].plot([], [], "x", color=plots.COLOURS[6], label="published (tau-b)")
    axes[0][0].legend(fontsize=7, loc="lower right")
    return plots.save(canvas, path)


def main() -> None:
    """Writes the report and the figure."""
    data = read_data()
    write_text(RESULTS / "report.md", report(data))
    figure(data, RESULTS / "proxies.png")


if __name__ == "__main__":
    sys.exit(guarded(main))
