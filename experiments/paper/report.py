"""Writes ``results/report.md`` from the committed numbers of the steps: what reproduces, what does not, and why.

The prose is ``templates/report.md.j2``; every number in it comes from the files of results.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import proxies
from experiments.paper.metrics import PEERS_PUBLISHED, bert_metrics, peers, rnn_metrics
from experiments.paper.runs import RESULTS
from experiments.paper.steps import READINGS
from nas.core.files import write_text
from nas.report.render import render
from nas.report.tables import estimate, failures

__all__ = ["context", "read_data", "report", "write_report"]

Data = Mapping[str, Any]

#: subsets of the architectures, as ``steps`` names them
_SUBSET = "loss below 5"
_REDUCED = "256, 4 layers"
#: Spearman with the published column under which a metric is named
_LOW = 0.99


def write_report() -> Path:
    """Writes the report and returns its path; steps that were not run are named in it."""
    path = RESULTS / "report.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, report(read_data()))
    return path


def read_data() -> dict[str, Any]:
    """Returns the committed numbers by step, None for one that was not run."""
    paths = {name: RESULTS / f"{name}.json" for name in _SECTIONS}
    return {
        name: json.loads(path.read_text(encoding="utf-8")) if path.exists() else None for name, path in paths.items()
    }


def report(data: Data) -> str:
    """Returns the report of what ``read_data`` gives."""
    return render("experiments.paper", "report.md.j2", context(data))


def context(data: Data) -> dict[str, Any]:
    """Returns what the template shows, out of the data: values, and cells of tables as text."""
    found: dict[str, Any] = {
        name: None if data[name] is None else section(data[name]) for name, section in _SECTIONS.items()
    }
    if found["rnn_published"] and data["rnn_truth"]:
        column = data["rnn_truth"]["published"]["Jacobian Covariance"]
        found["rnn_published"] |= {"distinct": column["distinct"], "column_trainings": column["trainings"]}
    return {**found, "subset": _SUBSET, "reduced": _REDUCED}


def _cell(value: float | None, digits: int = 3) -> str:
    # a correlation of three digits with its sign, one near 1 with four
    return "n/a" if value is None else f"{value:+.3f}" if digits == 3 else f"{value:.{digits}f}"


def _tau(judged: Data | None, subset: str | None = None) -> str:
    if judged is None:
        return "-"
    return estimate(judged["subsets"].get(subset) if subset else judged["agreement"], signed=True)


def _inside(judged: Data, subset: str) -> str:
    return _cell((judged["subsets"][subset] or {}).get("tau"))


def _rnn_published(data: Data) -> dict[str, Any]:
    rows, low = [], []
    for label in rnn_metrics("released"):
        published = data["proxies"][label]["runs"].get("published")
        if not published:
            continue
        spearman = [published["spearman"], data["same_recipe"][label]["same"]["spearman"]]
        taus = [published["tau_of_column"], published["tau"]]
        rows.append([label, published["column"], *(_cell(s, 4) for s in spearman), *(_cell(tau) for tau in taus)])
        if published["spearman"] < _LOW:
            low.append(label)
    count = next(iter(data["same_recipe"].values()))
    saliency, probe = data["same_recipe"]["synaptic_saliency"], data["probe"]["rnn"]
    return {
        "cells": data["architectures"],
        "rows": rows,
        "low": ", ".join(low) or "none",
        "threshold": _LOW,
        "same": count["same"]["trainings"],
        "other": count["other"]["trainings"],
        "trainings": count["same"]["trainings"] + count["other"]["trainings"],
        "saliency_same": saliency["same"]["spearman"],
        "saliency_other": saliency["other"]["spearman"],
        "steps": probe["steps"],
        "row": probe["batch"] * probe["embedding"],
        "distinct": None,
        "seconds": data["seconds"]["scoring"] / data["architectures"],
    }


def _rnn_truth(data: Data) -> dict[str, Any]:
    judged, published, columns = data["proxies"], data["published"], _rnn_columns()
    rows = []
    for label in rnn_metrics("released"):
        released, corrected = judged[f"{label}_released"], judged[f"{label}_corrected"]
        column = published.get(columns.get(label, ""), {})
        rows.append(
            [
                label,
                _cell(column.get("tau")),
                _cell(column.get("subsets", {}).get(_SUBSET)),
                _tau(released),
                _tau(corrected),
                _inside(corrected, _SUBSET),
                f"{corrected['milliseconds']:.1f}",
                failures(released) + " / " + failures(corrected),
            ]
        )
    for label in ("swap", "parameters", "depth", "width", "random"):
        one = judged[label]
        milliseconds = f"{one['milliseconds']:.2f}"
        rows.append([label, "", "", "", _tau(one), _inside(one, _SUBSET), milliseconds, failures(one)])
    probe = data["probe"]["rnn"]
    return {
        "cells": data["architectures"],
        "probe": probe,
        "rows": rows,
        "observations": probe["batch"] * probe["steps"],
        "units": probe["hidden"][0],
        "column_tau": published[columns["hidden_covariance_1"]]["tau"],
    }


def _probe_agreement(data: Data) -> dict[str, Any]:
    probes = data["probes"]
    rows = []
    for label in rnn_metrics("released"):
        agreements = [probe["spearman"][label] for probe in probes.values()]
        best = max((a for a in agreements if a is not None), default=None)
        found = data["all cells"].get(label)
        if found is None:
            rows.append([label, "none", _cell(best), "", "", "", ""])
            continue
        probe = probes[found["probe"]]
        rows.append(
            [
                label,
                found["probe"],
                _cell(probe["spearman"][label]),
                f"{probe['milliseconds, all metrics']:.0f} ({found['milliseconds']:.1f})",
                _tau(found),
                _inside(found, _SUBSET),
                failures(found),
            ]
        )
    return {
        "cells": data["cells"],
        "threshold": data["threshold"],
        "rows": rows,
        "tried": "; ".join(f"{n} ({p['milliseconds, all metrics']:.0f} ms)" for n, p in probes.items()),
        "paper": data["paper, milliseconds"],
        "timed": data["timed cells"],
    }


def _costs(data: Data) -> dict[str, Any]:
    rows = [
        [name, f"{c['together, ms']:.0f}", c["dearest"], f"{c['dearest alone, ms']:.0f}", f"{c['ratio']:.2f}"]
        for name, c in data["cases"].items()
    ]
    return {"architectures": data["architectures"], "rows": rows}


def _rnn_columns() -> dict[str, str]:
    from nas.truth import benchmarks

    found, benchmark = {}, benchmarks.get("nas_bench_nlp")
    for label, body in rnn_metrics("released").items():
        options = dict(body)
        column = benchmark.published_column(proxies.get(options.pop("name"), "rnn", **options))
        if column:
            found[label] = column
    return found


def _bert_published(data: Data) -> dict[str, Any]:
    rows = []
    for label in bert_metrics("released"):
        judged = data["proxies"][label]
        published = judged["runs"].get("published") or {}
        compared = [_cell(published.get("spearman"), 4), _cell(published.get("tau_of_column"))]
        found = [_tau(judged), _inside(judged, _REDUCED), failures(judged)]
        rows.append([label, published.get("column", "-"), *compared, *found])
    equal, of = data["parameters_equal"]
    return {
        "configurations": data["architectures"],
        "rows": rows,
        "equal": equal,
        "of": of,
        "sizes": data["probe"]["bert"],
        "distance": data["proxies"]["activation_distance_normalised"]["runs"]["published"]["spearman"],
    }


def _bert_corrected(data: Data) -> dict[str, Any]:
    sizes = ["hidden_covariance", "parameters", "flops", "depth", "width", "random"]
    labels = [*bert_metrics("corrected"), *peers(), *sizes]
    rows = []
    for label in labels:
        cells = [label]
        for reading in READINGS:
            judged = data[reading]["proxies"].get(label)
            cells += [_tau(judged), "-" if judged is None else _inside(judged, _REDUCED)]
        rows.append(cells)
    rows += [
        [name, estimate(found, signed=True), *[""] * (2 * len(READINGS) - 1)]
        for name, found in data["baselines"].items()
    ]
    listed = []
    for label, published in PEERS_PUBLISHED.items():
        found = {reading: data[reading]["proxies"][label] for reading in READINGS}
        agreements = {reading: one["agreement"] for reading, one in found.items() if one["agreement"]}
        listed.append(
            {
                "title": published.title,
                "published": published.said,
                "here": "; ".join(f"{reading} {a['tau']:.3f} / {a['rho']:.3f}" for reading, a in agreements.items()),
                "scoring": f"{found[READINGS[0]]['milliseconds_scoring']:.3g}",
            }
        )
    best = max(data["baselines"], key=lambda name: data["baselines"][name]["tau"])
    taus: dict[str, float] = {}
    for label, one in ((label, one) for r in READINGS for label, one in data[r]["proxies"].items()):
        tau = (one["agreement"] or {}).get("tau")
        taus[label] = max(taus.get(label, -1.0), -1.0 if tau is None else tau)
    subsets = [one["subsets"][_REDUCED] for r in READINGS for one in data[r]["proxies"].values()]
    inside = [one for one in subsets if one and one["tau_interval"][0] is not None]
    return {
        "configurations": data[READINGS[0]]["architectures"],
        "header": ["metric", *(text for reading in READINGS for text in (reading, f"{reading}, in {_REDUCED}"))],
        "rows": rows,
        "peers": listed,
        "best": best,
        "beaten_by": [label for label, tau in taus.items() if tau > data["baselines"][best]["tau"]],
        "inside": inside[0]["count"],
        "half_width": statistics.median((one["tau_interval"][1] - one["tau_interval"][0]) / 2 for one in inside),
    }


def _rounding_noise(data: Data) -> dict[str, Any]:
    columns = ("Spearman float32 with float64", "Spearman between seeds", "tau between seeds")
    rows = [
        [name, f"{m['float32 over float64, median']:.3g}", *(_cell(m[column]) for column in columns)]
        for name, m in data["metrics"].items()
    ]
    return {**{key: data[key] for key in ("configurations", "batch", "steps")}, "rows": rows}


def _ablations(data: Data) -> list[dict[str, Any]]:
    out = []
    for space in ("rnn", "bert"):
        rows = []
        for label, init in data[space]["initialisations"].items():
            batch = data[space]["batches"][label]
            if "tau between replicates, mean" not in init or "tau between replicates, mean" not in batch:
                continue
            low, high = init["tau with truth, range"]
            truth = f"{_cell(init['tau with truth, mean'])} [{_cell(low)}, {_cell(high)}]"
            rows.append([label, *_replicates(init), truth, *_replicates(batch)])
        out.append({"space": space.upper(), "architectures": len(data[space]["architectures"]), "rows": rows})
    return out


def _replicates(found: Data) -> list[str]:
    variation = [found[f"coefficient of variation, {of}"] for of in ("median", "largest")]
    taus = [found[f"tau between replicates, {of}"] for of in ("mean", "least")]
    return [f"{variation[0]:.3g} ({variation[1]:.2g})", f"{_cell(taus[0])} ({_cell(taus[1])})"]


def _reduction(data: Data) -> dict[str, Any]:
    spaces = []
    for space in ("bert", "rnn"):
        result = data[space]
        if not result["rule"]:
            spaces.append({"space": space, "refused": result["refused"]})
            continue
        rule = ", ".join(f"{name} = {value}" for name, value in result["rule"].items())
        implied = result["testing"]["implied"]
        spaces.append({"space": space, "refused": None, "rule": rule, "unit": result["benchmark"]["unit"], **implied})
    return {"spaces": spaces, "test": data["operation_test"]}


_SECTIONS = {
    "rnn_published": _rnn_published,
    "rnn_truth": _rnn_truth,
    "probe_agreement": _probe_agreement,
    "bert_published": _bert_published,
    "bert_corrected": _bert_corrected,
    "rounding_noise": _rounding_noise,
    "ablations": _ablations,
    "costs": _costs,
    "reduction": _reduction,
}
