"""``python -m experiments.mini.report``: ranks both tables with every proxy there is, and writes results/report.md.

The rankings are resumable run folders under ``runs/mini``; what is committed is this report, results/tables.json and
the figures.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
from typing import Any

from experiments.cli import guarded
from experiments.mini.pilot import RESULTS
from experiments.mini.searches import CHOSEN
from experiments.paper.metrics import Proxies, bert_metrics, peers, rnn_metrics
from experiments.paper.report import agreement_text, failures_text, markdown_table, number_text, tau_text
from experiments.paper.runs import RESULTS as PAPER
from experiments.paper.runs import ranked, read_results
from experiments.paper.tables import grid, save
from nas.core.files import number, write_text
from nas.judge.effects import operation_test
from nas.report.rank import ordered
from nas.truth import benchmarks
from nas.truth.benchmarks import MiniTable
from spaces.rnn import parse_cell
from spaces.rnn.growth import GROWTHS, growth

__all__ = ["RESULTS", "main", "report"]

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
        space = benchmark.space
        # a table that has grown is another ranking
        stamp = f"{len(benchmark.entries)}"
        chosen = _proxies(space)
        sizes = ("probe=small",) if space == "rnn" else ("probe=small", "probe.bert.batch=8")
        what = (f"space={space}", f"benchmark={name}")
        folder = ranked(f"rank_{name}_{stamp}", chosen, *what, *sizes, group="mini")
        found = read_results(folder)
        data[name] = {
            "sheet": {k: v for k, v in benchmark.sheet.items() if k != "notes"},
            "architectures": found["architectures"],
            "probe": found["config"]["probe"][space],
            "noise": {
                **found["noise"],
                "reach_of_best": benchmark.reach(benchmark.best.value),
                "reach_of_median": benchmark.reach(statistics.median(entry.value for entry in benchmark.entries)),
                "coverage": benchmark.coverage,
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


def report(data: dict[str, Any]) -> str:
    """Returns the report."""
    out = [
        "# The project's own tables, and what every proxy is worth on them",
        "",
        "Nobody tuned a proxy on these: the tables were made after the proxies were written. tau is positive where a "
        "higher score goes with a lower loss; brackets are 95% bootstrap intervals over architectures. (The floor of "
        "the main job, below, was chosen on trainings of what searches found, and takes no part in these rankings.)",
    ]
    for name in ("mini_rnn", "mini_bert"):
        out += ["", *_table(name, data[name])]
    rows = [
        [kind, str(ends["cells"]), str(ends["diverged"]), number(ends["median loss"], 4)]
        for kind, ends in data["growth"].items()
    ]
    out += ["", "## Which cells diverge (mini_rnn)", ""]
    out += markdown_table(["states can grow", "cells", "diverged", "median loss of the others"], rows)
    out += [
        "",
        "The class follows from the graph alone (`spaces/rnn/growth.py`, the worst over weights). `reduction=stable` "
        "is the space of the first two; without it evolution on hidden covariance ends among cells that cannot be "
        "trained.",
    ]
    out += ["", *_searches(json.loads((RESULTS / "searches.json").read_text(encoding="utf-8")))]
    out += ["", *_pilot(json.loads((RESULTS / "pilot.json").read_text(encoding="utf-8")))]
    out += ["", "## The effect of the operation type in mini_bert", ""]
    test = data.get("operations")
    other = json.loads((PAPER / "reduction.json").read_text(encoding="utf-8"))["operation_test"]
    if test:
        out.append(
            f"F{tuple(test['df'])} = {test['f']:.2f}, p = {test['p']:.2g}: added to heads, feed-forward and the class "
            f"of hidden size and depth ({test['r2_base']:.2f} of the variance without it, {test['r2_full']:.2f} with "
            f"it). In FlexiBERT the same test gives F{tuple(other['df'])} = {other['f']:.2f}, p = {other['p']:.2f}: "
            "there the operations never ran."
        )
    else:
        out.append("Too few configurations are trained so far for the test.")
    return "\n".join(out) + "\n"


def _table(name: str, data: dict[str, Any]) -> list[str]:
    sheet, noise, judged = data["sheet"], data["noise"], data["proxies"]
    ceiling = "unknown so far" if noise["ceiling"] is None else f"tau {noise['ceiling']:.3f} between two trainings"
    out = [
        f"## {name}: {data['architectures']} architectures, {sheet['finished']} of {sheet['wanted']} trainings",
        "",
        f"Protocol {sheet['protocol_hash']}, corpus {sheet['corpus']['fingerprint'][:12]}, median "
        f"{sheet['seconds']['median']:.0f} s a training. Noise ceiling: {ceiling}; failures: "
        f"{', '.join(f'{n} {reason}' for reason, n in sheet['failures'].items()) or 'none'}.",
    ]
    if noise["coverage"] is not None:
        out[-1] += (
            f" 95% of a training's noise is within {number(noise['reach_of_best'], 2)} nats at the best value and "
            f"{number(noise['reach_of_median'], 2)} at the median (checked on architectures left out: "
            f"{noise['coverage']:.1%} of their trainings are)."
        )
    agreement = sheet.get("agreement")
    if agreement:
        shared, rest = agreement["shared"], agreement["shared, not of the pilot's half"]
        out[-1] += (
            f" Agreement with NAS-Bench-NLP: tau {agreement_text(shared)} over {shared['cells']} shared cells, "
            f"{agreement_text(rest)} over the {rest['cells']} that the protocol was not chosen on."
        )
    if "micro" in data:
        hc, small = data["micro"], judged["hidden_covariance_1_released"]
        out += [
            "",
            f"Hidden covariance at the micro probe, as a search uses it by default: tau {tau_text(hc)}; at the small "
            f"probe of the table below {tau_text(small)}. That the small probe ranks better was seen on NAS-Bench-NLP "
            "after the fact (experiments/paper/results/report.md); this is the test of it on another truth.",
        ]
    rows = [
        [
            label,
            tau_text(one),
            number_text((one["agreement"] or {}).get("rho")),
            number(one["milliseconds"], 3),
            failures_text(one),
        ]
        for label, one in ordered(judged)
    ]
    table = markdown_table(["proxy", "tau [95%]", "rho", "ms", "failures"], rows)
    return [*out, "", *table, "", f"[Scatter plots]({name}.png)"]


def _searches(data: dict[str, Any]) -> list[str]:
    searcher, floor = CHOSEN
    out = [
        "## What a search by proxy alone finds (mini_rnn)",
        "",
        "`python -m experiments.mini.searches`: hidden covariance (micro probe), 2,000 cells of `reduction=stable`, "
        "the three best trained. A correlation does not see how large the states are, and without a floor evolution "
        "ends among products of so many factors that the states vanish (standard deviations of 1e-5 and less, where "
        f"half of the drawn cells have .05 and more): nothing can be learnt from them. A floor of {floor:g}, the plain "
        "RNN's, ends that, and excludes a third of the drawn cells, LSTM and GRU among them. Evolution still leaves "
        "what the proxy was ever compared on (its finds have up to 15 nodes, and may diverge); among cells that are "
        f"drawn it is worth more. The main job therefore draws its cells (searcher={searcher}) over the floor. That "
        "was chosen on the seeds marked so; the others are its test.",
        "",
    ]
    rows = []
    regrets: dict[tuple[str, float, str], list[float | None]] = {}
    for run in data["runs"]:
        at = run["standing"]
        regrets.setdefault((run["searcher"], run["floor"], run["role"]), []).append(at["regret"] if at else None)
        rows.append(
            [
                run["searcher"],
                f"{run['floor']:g}",
                f"{run['seed']} ({run['role']})",
                ", ".join("diverged" if loss is None else f"{loss:.3f}" for loss in run["losses"]),
                *(["n/a"] * 2 if at is None else [f"{at['rank']} of {at['of']}", number(at["regret"], 3)]),
            ]
        )
    out += markdown_table(["searcher", "floor", "seed", "losses of the three best", "rank", "regret"], rows)
    means = []
    for (name, low, role), found in regrets.items():
        finite = [regret for regret in found if regret is not None]
        none = f", {len(found) - len(finite)} of {len(found)} found nothing that trains" if None in found else ""
        mean = f"mean regret {statistics.mean(finite):.3f}" if finite else "no regret"
        means.append([name, f"{low:g}", role, f"{mean}{none}"])
    for name, one in data["drawn"].items():
        diverged = f", {one['diverged']} of {one['cells']} have no value"
        means.append(
            ["three of the table at random", "", name, f"expected regret {one['regret of three']:.3f}{diverged}"]
        )
    return [*out, "", *markdown_table(["searcher", "floor", "seeds, or of which", "found"], means)]


def _pilot(data: dict[str, Any]) -> list[str]:
    out = [
        "## How the protocol of mini_rnn was chosen",
        "",
        f"`python -m experiments.mini.pilot`: {len(data['cells'])} cells that NAS-Bench-NLP holds too, spread evenly "
        "over its losses, trained once under each protocol. All of them are of the half (by key hash) that the "
        "agreement of the table's other half, above, leaves out.",
        "",
    ]
    rows = []
    for name, one in data["protocols"].items():
        by_step = one["tau by updates"].values()
        rows.append(
            [
                f"{name} ({one['hash']})",
                agreement_text(one),
                " ".join(f"{tau:+.2f}" for tau in by_step),
                "-" if name == "chosen" else agreement_text(one["beside the chosen"]),
                f"{len(data['cells']) - one['finite']}",
                f"{one['seconds, median']:.0f}",
            ]
        )
    header = ["protocol", "tau with NAS-Bench-NLP [95%]", "tau after each eighth", "more than the chosen [95%]"]
    return [*out, *markdown_table([*header, "diverged", "s a cell"], rows)]


def main() -> None:
    """Ranks and writes the report."""
    rank_tables()
    path = RESULTS / "report.md"
    write_text(path, report(json.loads((RESULTS / "tables.json").read_text(encoding="utf-8"))))
    print(f"report: {path}")


if __name__ == "__main__":
    sys.exit(guarded(main))
