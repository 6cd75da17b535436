"""``python -m experiments.mini.report``: ranks both tables with every proxy there is, and writes results/report.md.

The rankings are resumable run folders under ``runs/mini``; what is committed is this report, results/tables.json and
the figures. The report's prose is ``templates/report.md.j2``; every number in it comes from the files of results.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import spaces
from experiments.guard import guarded, named
from experiments.mini.pilot import RESULTS
from experiments.mini.searches import CHOSEN
from experiments.paper.metrics import Proxies, bert_metrics, peers, rnn_metrics
from experiments.paper.operations import operation_test
from experiments.paper.runs import RESULTS as PAPER
from experiments.paper.runs import ranked, read_results
from experiments.paper.tables import grid, save
from nas import judge
from nas.core.files import number, write_text
from nas.judge.noise import Noise
from nas.judge.outcome import best_reachable
from nas.report import plots
from nas.report.rank import ordered
from nas.report.render import render
from nas.report.tables import estimate, failures, mean_and_error
from nas.truth import benchmarks
from nas.truth.benchmarks import MiniTable
from spaces.rnn import NAMED_CELLS, named_cell, parse_cell
from spaces.rnn.growth import GROWTHS, growth

__all__ = ["RESULTS", "WANTED", "context", "highest_tau", "main", "read_data", "report"]

#: tau with NAS-Bench-NLP from which on a protocol is worth a table of its own
WANTED = 0.45
#: what ``reduction=stable`` allows
_STABLE = ("bounded", "linear")
_SIZES = ("depth", "width", "flops")


def _proxies(space: str) -> Proxies:
    metrics = rnn_metrics if space == "rnn" else bert_metrics
    chosen: Proxies = {
        f"{label}_{variant}": body for variant in ("corrected", "released") for label, body in metrics(variant).items()
    }
    if space == "bert":
        chosen["hidden_covariance"] = {"name": "hidden_covariance", "layer": 2, "variant": "corrected"}
    chosen.update(peers() if space == "bert" else {"swap": {"name": "swap"}})
    return {**chosen, **{name: {"name": name} for name in _SIZES}}


def rank_tables() -> None:
    """Ranks both tables, draws the figures and writes results/tables.json."""
    data: dict[str, Any] = {}
    for name in ("mini_rnn", "mini_bert"):
        benchmark = benchmarks.get(name)
        assert isinstance(benchmark, MiniTable)
        space, measured = benchmark.space, Noise(benchmark)
        # a table that has grown is another ranking
        stamp = f"{len(benchmark.entries) + len(benchmark.diverged)}"
        chosen = _proxies(space)
        sizes = ("probe=small",) if space == "rnn" else ("probe=small", "probe.bert.batch=8")
        what = (f"space={space}", f"benchmark={name}")
        folder = ranked(f"rank_{name}_{stamp}", chosen, *what, *sizes, group="mini")
        found = read_results(folder)
        data[name] = {
            "sheet": {k: v for k, v in benchmark.sheet.items() if k not in ("notes", "retest")},
            "architectures": found["architectures"],
            "diverged": found["diverged"],
            "probe": found["config"]["probe"][space],
            "noise": {
                **found["noise"],
                "reach_of_best": measured.reach(benchmark.best.value),
                "reach_of_median": measured.reach(statistics.median(entry.value for entry in benchmark.entries)),
                "coverage": measured.coverage,
            },
            "proxies": found["proxies"],
            "versions": found["versions"],
        }
        if space == "rnn":
            covariance = {"hidden_covariance": {"name": "hidden_covariance"}}
            micro = ranked(f"micro_{name}_{stamp}", covariance, *what, group="mini")
            data[name]["micro"] = read_results(micro)["proxies"]["hidden_covariance"]
        labels = [label for label in chosen if label.endswith("_corrected")]
        grid(RESULTS / f"{name}.png", folder, benchmark, labels, f"{name}, corrected metrics, untrained")
    configurations = benchmarks.get("mini_bert").entries
    if len(configurations) > 120:  # the full model has a hundred columns
        test = operation_test(
            [e.architecture for e in configurations], [e.value for e in configurations], trained=False
        )
        data["operations"] = dataclasses.asdict(test)
    data["growth"] = _divergence_by_growth()
    data["best"] = _best()
    save(RESULTS / "tables.json", data)


def _divergence_by_growth() -> dict[str, dict[str, Any]]:
    """How the first trainings of the cells ended, by how fast their states can grow."""
    table = benchmarks.get("mini_rnn")
    assert isinstance(table, MiniTable)
    ends: dict[str, list[float | None]] = {kind: [] for kind in GROWTHS}
    for row in table.trainings:
        if row["seed"] == str(table.protocol.seeds[0]):
            kind = growth(parse_cell(row["architecture"]))
            ends[kind].append(float(row["loss"]) if row["loss"] else None)
    found: dict[str, dict[str, Any]] = {}
    for kind, values in ends.items():
        losses = [value for value in values if value is not None]
        median = statistics.median(losses) if losses else None
        found[kind] = {"cells": len(values), "diverged": len(values) - len(losses), "median loss": median}
    return found


def read_data() -> dict[str, Any]:
    """Returns what the report is made of: tables, searches, pilot and the paper's reduction."""
    files = {name: RESULTS / f"{name}.json" for name in ("tables", "searches", "pilot")}
    files["reduction"] = PAPER / "reduction.json"
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items()}


def report(data: Mapping[str, Any]) -> str:
    """Returns the report of what ``read_data`` gives."""
    return render("experiments.mini", "report.md.j2", context(data))


def context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the template shows, out of the data: values, and cells of tables as text."""
    tables = data["tables"]
    return {
        "tables": [_table(name, tables[name]) for name in ("mini_rnn", "mini_bert")],
        "growth": [
            [kind, str(ends["cells"]), str(ends["diverged"]), number(ends["median loss"], 4)]
            for kind, ends in tables["growth"].items()
        ],
        "searches": _searches(data["searches"]),
        "best": tables["best"],
        "pilot": {
            "cells": len(data["pilot"]["cells"]),
            "rows": _pilot(data["pilot"]),
            "most": highest_tau(data["pilot"]),
            "wanted": WANTED,
        },
        "operations": tables.get("operations"),
        "flexibert": data["reduction"]["operation_test"],
    }


def _table(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    sheet, noise, judged = data["sheet"], data["noise"], data["proxies"]
    agreement = sheet.get("agreement") or {}
    common = next(iter(judged.values()))["common"]["count"]
    rows = [
        [
            label,
            estimate(one["agreement_all"], signed=True),
            estimate(one["agreement"], signed=True),
            str((one["agreement"] or {}).get("count", "n/a")),
            "n/a" if one["common"]["tau"] is None else f"{one['common']['tau']:+.3f}",
            "n/a" if (rho := (one["agreement_all"] or {}).get("rho")) is None else f"{rho:+.3f}",
            number(one["milliseconds"], 3),
            failures(one),
        ]
        for label, one in ordered(judged)
    ]
    return {
        "name": name,
        "architectures": data["architectures"],
        "diverged": data["diverged"],
        "finished": sheet["finished"],
        "wanted": sheet["wanted"],
        "protocol": sheet["protocol_hash"],
        "corpus": sheet["corpus"]["fingerprint"][:12],
        "seconds": sheet["seconds"]["median"],
        "failures": ", ".join(f"{n} {reason}" for reason, n in sheet["failures"].items()) or "none",
        **{key: noise[key] for key in ("retest", "ceiling", "coverage", "reach_of_best", "reach_of_median")},
        "shared": agreement.get("shared"),
        "rest": agreement.get("shared, not of the pilot's half"),
        "micro": data.get("micro"),
        "small": judged.get("hidden_covariance_1_released"),
        "common": common,
        "rows": rows,
    }


def _searches(data: Mapping[str, Any]) -> dict[str, Any]:
    tests = [run for run in data["runs"] if run["role"] == "test" and run["searcher"] == CHOSEN[0]]
    tested = next((run for run in tests if run["floor"] == CHOSEN[1]), tests[0])
    drawn, queries = data["drawn"], len(tested["losses"])
    stable, over = (drawn[of]["cells"] for of in ("reduction=stable", "reduction=stable, over the floor"))
    groups: dict[tuple[str, float, str], list[float | None]] = {}
    runs = []
    for run in data["runs"]:
        at = run["standing"]
        groups.setdefault((run["searcher"], run["floor"], run["role"]), []).append(at["regret"] if at else None)
        losses = ", ".join("diverged" if loss is None else f"{loss:.3f}" for loss in run["losses"])
        place = ["n/a"] * 2 if at is None else [f"{at['rank']} of {at['of']}", number(at["regret"], 3)]
        runs.append([run["searcher"], f"{run['floor']:g}", f"{run['seed']} ({run['role']})", losses, *place])
    means = [[name, f"{low:g}", role, *_regret_cells(found)] for (name, low, role), found in groups.items()]
    for name, one in drawn.items():
        expected = f"{one['regret of three']:.3f} expected"
        none = f"{one['diverged']} of {one['cells']} cells have no loss"
        means.append([f"best of {queries} of the table at random", "", name, expected, "", none])
    return {
        "searcher": tested["searcher"],
        "floor": tested["floor"],
        "stable": stable,
        "excluded": stable - over,
        "excluded_share": (stable - over) / stable,
        "runs": runs,
        "means": means,
        "known_seeds": data.get("known_seeds"),
        "known": [_known_row(name, one) for name, one in data.get("known", {}).items()],
        "drawn_median": data.get("drawn_median"),
    }


def _regret_cells(found: Sequence[float | None]) -> list[str]:
    """Returns mean and standard error, median, and how many seeds found nothing that trains, of some seeds' regrets."""
    finite = [regret for regret in found if regret is not None]
    without = f"{len(found) - len(finite)} of {len(found)} seeds"
    if not finite:
        return ["n/a", "n/a", without]
    mean, median, error = judge.mean_and_error(finite)
    return [
        mean_and_error({"mean": mean, "standard_error": error, "values": finite}),
        number(median, 3),
        without,
    ]


def _known_row(name: str, one: Mapping[str, Any]) -> list[str]:
    drawn = "yes" if one["drawn"] else "no"
    return [name, number(one["median"], 2), number(one["least"], 2), f"{one['loss']:.3f}", str(one["rank"]), drawn]


def highest_tau(data: Mapping[str, Any]) -> float:
    """Returns the highest tau with NAS-Bench-NLP of all protocols of the pilot, after whatever number of updates."""
    return max(tau for one in data["protocols"].values() for tau in one["tau by updates"].values())


def _pilot(data: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            f"{name} ({one['hash']})",
            estimate(one, signed=True),
            " ".join(f"{tau:+.2f}" for tau in one["tau by updates"].values()),
            estimate(one["beside the chosen"], signed=True) if name != "chosen" else "-",
            str(len(data["cells"]) - one["finite"]),
            f"{one['seconds, median']:.0f}",
        ]
        for name, one in data["protocols"].items()
    ]


def draw_pilot(data: Mapping[str, Any]) -> None:
    """Draws each protocol's tau with NAS-Bench-NLP against the share of its updates, beside what was wanted."""
    figure, axes = plots.subplots(width=8.0)
    ax = axes[0, 0]
    for i, (name, one) in enumerate(data["protocols"].items()):
        taus = one["tau by updates"]
        last = max(int(step) for step in taus)
        x = [int(step) / last for step in taus]
        line = "-" if i < len(plots.COLOURS) else "--"
        ax.plot(
            x,
            list(taus.values()),
            line,
            marker="o",
            markersize=4,
            color=plots.COLOURS[i % len(plots.COLOURS)],
            label=name,
        )
    ax.axhline(WANTED, color="grey", linestyle=":", label="wanted for a second table")
    ax.set_xlabel("share of the protocol's updates")
    ax.set_ylabel("Kendall's tau with NAS-Bench-NLP")
    ax.set_title(f"{len(data['cells'])} cells under each protocol, one training each", fontsize=11)
    ax.set_xlim(0, 1.02)
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    plots.save(figure, RESULTS / "pilot.png")


def _best() -> dict[str, Any]:
    """The best cell of mini_rnn, and how far behind it the best is that a search of drawn cells can return."""
    table, space = benchmarks.get("mini_rnn"), spaces.get("rnn").reduce({"state_growth": list(_STABLE)})
    best = table.best
    reachable = best_reachable(table, space.draws)
    name = next((name for name in NAMED_CELLS if named_cell(name).key == best.key), best.key)
    return {
        "name": name,
        "value": best.value,
        "drawn": space.draws(best.architecture),
        "reachable": None if reachable is None else reachable.value,
    }


def main() -> None:
    """Ranks, unless only "render" is asked for, and writes the report."""
    if named(("rank", "render"), "part") != ["render"]:
        rank_tables()
    path, data = RESULTS / "report.md", read_data()
    draw_pilot(data["pilot"])
    write_text(path, report(data))
    print(f"report: {path}")


if __name__ == "__main__":
    sys.exit(guarded(main))
