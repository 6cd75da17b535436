"""``python -m experiments.queries.report``: writes results/report.md of what the other commands here measured.

The report's prose is ``templates/report.md.j2``; every number in it comes from the files of results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.guard import guarded
from experiments.queries.pools import AT, RESULTS
from nas import judge
from nas.core.files import write_text
from nas.report.render import render

__all__ = ["RESULTS", "context", "main", "pooled", "read_data", "report", "summed"]

#: results of ``experiments.queries.pools``
_POOLS = ("nas_bench_nlp", "nas_bench_nlp_by_zeronas", "flexibert", "flexibert_by_zeronas")
_FILES = ("main_job", *_POOLS, "halving", "optimised")
_NAMES = {
    "gp": "surrogate, Gaussian process",
    "forest": "surrogate, forest",
    "top": "the proxy's own top",
    "spread": "control that sees no truth",
}


def read_data() -> dict[str, Any]:
    """Returns what the report is made of, by file."""
    return {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in _FILES}


def report(data: Mapping[str, Any]) -> str:
    """Returns the report of what ``read_data`` gives."""
    return render("experiments.queries", "report.md.j2", context(data))


def summed(runs: Sequence[Mapping[str, Any]], what: str) -> tuple[float, float]:
    """Returns mean and standard error over seeds of what runs hold under a name."""
    mean, _, error = judge.mean_and_error([run[what] for run in runs])
    return mean, error


def pooled(data: Mapping[str, Any], pool: str, method: str) -> list[dict[str, float]]:
    """Returns for each of ``AT`` mean and standard error of rank and regret of a method on a pool, and the runs."""
    told = [value for row, value in data["rows"].items() if row.startswith(f"{pool}; {method}; ")]
    found: list[dict[str, float]] = []
    if not told:
        return found
    for i in range(len(AT)):
        rank, _, rank_error = judge.mean_and_error([one[i]["rank"] for one in told])
        regret, _, error = judge.mean_and_error([one[i]["regret"] for one in told])
        found.append({"rank": rank, "rank_error": rank_error, "regret": regret, "error": error, "runs": len(told)})
    return found


def context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the template shows, out of the data: values, and cells of tables as text."""
    return {
        "job": _job(data["main_job"]),
        "pools": [_pools(name, data[name]) for name in _POOLS],
        "halving": [_halving(name, table) for name, table in data["halving"]["tables"].items()],
        "halving_seeds": data["halving"]["seeds"],
        "curve": _curve(data["optimised"]),
        "versions": {name: data[name]["versions"] for name in _FILES},
    }


def _job(data: Mapping[str, Any]) -> dict[str, Any]:
    rows, runs = [], []
    for method in dict.fromkeys(run["method"] for run in data["runs"]):
        these = [run for run in data["runs"] if run["method"] == method]
        (mean, error), (without, around) = summed(these, "regret"), summed(these, "regret without GRU")
        found = sum(run["named"] == "GRU" for run in these)
        better = sum(run["regret"] < 0 for run in these)
        cells = [f"{mean:.3f} +- {error:.3f}", f"{without:.3f} +- {around:.3f}", f"{found}", f"{better}"]
        rows.append([method, str(len(these)), f"{summed(these, 'cost')[0]:.1f}", *cells])
        for run in these:
            losses = ", ".join("diverged" if loss is None else f"{loss:.3f}" for loss in run["losses"])
            name = run["named"] or run["found"]
            runs.append([method, str(run["seed"]), str(run["asked"]), losses, name, f"{run['regret']:.3f}"])
    expected = data["random"]
    rows.append(
        [
            "random cells (expected)",
            "",
            "",
            f"{expected['regret']:.3f}",
            f"{expected['regret without GRU']:.3f}",
            "",
            "",
        ]
    )
    alone = any("no known" in run["method"] for run in data["runs"])
    return {"rows": rows, "runs": runs, "alone": alone, "seeds": len({run["seed"] for run in data["runs"]})}


def _pools(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    pools = [key.removeprefix("random ") for key in data if key.startswith("random ")]
    rows = []
    for pool in pools:
        random = data[f"random {pool}"]
        rows.append([pool, "random (expected)", "", *(f"{one['rank']:.1f} / {one['regret']:.3f}" for one in random)])
        for method, title in _NAMES.items():
            found = pooled(data, pool, method)
            if found:
                cells = [
                    f"{one['rank']:.1f} +- {one['rank_error']:.1f} / {one['regret']:.3f} +- {one['error']:.3f}"
                    for one in found
                ]
                rows.append([pool, title, f"{found[0]['runs']:.0f}", *cells])
    sizes = ", ".join(f"{pool} {data[f'members {pool}']:,}" for pool in pools)
    return {"name": name, "rows": rows, "at": [str(n) for n in AT], "sizes": sizes, "settings": data["settings"]}


def _halving(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for row in data["rows"]:
        lost = f" ({row['nothing']} seeds found nothing)" if row["nothing"] else ""
        order = data["proxy"] if row["order"] == "proxy" else row["order"]
        rows.append(
            [
                order,
                str(row["budget"]),
                row["plan"],
                str(row["finalists"]),
                f"{row['cost']:.2f}",
                f"{row['regret']:.4f} +- {row['error']:.4f}{lost}",
            ]
        )
    return {"name": name, "rows": rows, "members": data["members"], "of": data["of"], "unit": data["unit"]}


def _curve(data: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for point in data["curve"]:
        low, high = point["interval"]
        loss = "n/a" if point["loss"] is None else f"{point['loss']:.3f}"
        rows.append(
            [
                f"{point['n']:,}",
                "sampler" if point["gate"] else "none",
                f"{100 * point['quantile']:.0f} [{100 * low:.0f}, {100 * high:.0f}]",
                f"{point['diverged']} of {point['trainings']}",
                loss,
                "n/a" if point["best"] is None else f"{point['best']:.3f}",
            ]
        )
    return {"rows": rows, "table": data["table"]}


def main() -> None:
    """Writes the report."""
    write_text(RESULTS / "report.md", report(read_data()))


if __name__ == "__main__":
    sys.exit(guarded(main))
