"""Figures that the pages quote, as ``{{ group.name }}``: each is written from a committed result, none is typed.

A page that names a figure that is not here does not build.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from experiments.mini.searches import RESULTS as MINI
from experiments.paper.runs import RESULTS as PAPER
from experiments.proxies.published import RESULTS as PROXIES
from experiments.queries import report as queries
from experiments.queries.main_job import SEEDS
from experiments.queries.pools import RESULTS as QUERIES
from nas import judge
from nas.judge.noise import Noise
from nas.truth.benchmarks import MiniBERT, MiniRNN

__all__ = ["Figures", "figures"]

#: group -> name -> figure; groups may be nested
Figures = dict[str, Any]


@cache
def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _tables() -> dict[str, Any]:
    return dict(_read(PROXIES / "tables.json"))


def figures() -> Figures:
    """Returns all figures."""
    return {
        "proxy": _proxies(),
        "noise": _noise(),
        "halves": _halves(),
        "readings": _readings(),
        "variants": _variants(),
        "drawn": _drawn(),
        "queries": _queries(),
        "job": _main_job(),
        "mini": _mini(),
    }


def _proxies() -> Figures:
    """Table -> label -> what a ranking says of a proxy: tau, ties broken, distinct values, the ten best."""
    found: Figures = {}
    for table, data in _tables().items():
        found[table] = {"architectures": f"{data['architectures'] + data['diverged']:,}"}
        for label, judged in data["proxies"].items():
            whole, top = judged["agreement_all"], judged["top"]
            low, high = whole["tie_broken_interval"]
            if low is None:  # a constant has none
                continue
            found[table][label] = {
                "tau": f"{whole['tau']:.3f}",
                "broken": f"{whole['tie_broken']:.3f}",
                "interval": f"{low:.3f} to {high:.3f}",
                "distinct": f"{judged['distinct']:,}",
                "valid": f"{judged['agreement']['tau']:.3f}",
                "best": f"{top['best_rank']:.0f}",
                "median": f"{top['median_rank']:.0f}",
                "regret": f"{top['regret']:.3f}",
            }
        lot = data["lot"]
        found[table]["lot"] = {
            "best": f"{lot['best_rank']:.0f}",
            "median": f"{lot['median_rank']:,.0f}",
            "regret": f"{lot['regret']:.3f}",
        }
    return found


def _noise() -> Figures:
    """Table -> how its trainings agree."""
    found: Figures = {}
    for table, data in _tables().items():
        noise = data["noise"]
        retest = noise["retest"]
        if retest["tau"] is not None:
            found[table] = {
                "retest": f"{retest['tau']:.2f}",
                "with_diverged": f"{retest['tau_all']:.2f}",
                "ceiling": f"{noise['ceiling']:.2f}",
                "deviation": f"{noise['standard_deviation']:.3f}",
                "repeated": f"{retest['repeated']:,}",
                "diverged": str(retest["diverged"]),
            }
    return found


def _halves() -> Figures:
    """The fitness of the project by the half of each table that it was designed on, and the other."""
    fitness = _read(PROXIES / "fitness.json")["tables"]
    found: Figures = {}
    for table, label in (("flexibert", "zeronas"), ("nas_bench_nlp", "zeronas, long"), ("mini_rnn", "zeronas, short")):
        judged = fitness[table]["proxies"][label]
        found[table] = {
            "reported": f"{judged['reported']['tie-broken']:.3f}",
            "designed": f"{judged['designed on']['tie-broken']:.3f}",
        }
    sizes = fitness["flexibert"]["baselines"]["hidden x layers"]["all"]
    found["size"] = {"tau": f"{sizes['tau-b']:.3f}", "broken": f"{sizes['tie-broken']:.3f}"}
    return found


def _readings() -> Figures:
    """Tau on FlexiBERT of three metrics in the three readings of a configuration."""
    data = _read(PAPER / "bert_corrected.json")
    labels = {"zerolm": "zerolm_auto", "nsc": "nsc_real", "parameters": "parameters"}
    return {
        reading: {name: f"{data[reading]['proxies'][label]['agreement']['tau']:.3f}" for name, label in labels.items()}
        for reading in ("stated", "scored", "trained")
    }


def _variants() -> Figures:
    """Softmax confidence, summed over the layers, in both variants on mini_bert; noise of released gradients."""
    mini = _read(MINI / "tables.json")["mini_bert"]["proxies"]
    return {
        variant: f"{mini[f'softmax_confidence_{variant}']['agreement_all']['tau']:.2f}"
        for variant in ("released", "corrected")
    }


def _drawn() -> Figures:
    """What the best of n draws by hidden covariance is worth after a training, without the gate and with it."""
    points = _read(QUERIES / "optimised.json")["curve"]
    found: Figures = {"open": {}, "gated": {}}
    for point in points:
        group = found["gated" if point["gate"] else "open"]
        group[f"n{point['n']}"] = f"{100 * point['quantile']:.0f}"
    for name, gate in (("open", False), ("gated", True)):
        found[name]["diverged"] = str(sum(point["diverged"] for point in points if point["gate"] == gate))
        found[name]["trained"] = str(sum(point["trainings"] for point in points if point["gate"] == gate))
    return found


def _queries() -> Figures:
    """Regret on the cells of NAS-Bench-NLP after 10, 20, 50 and 100 truths."""
    data = _read(QUERIES / "nas_bench_nlp_by_zeronas.json")
    methods = {
        "surrogate": queries.pooled(data, "all", "gp"),
        "top": queries.pooled(data, "all", "top"),
        "random": data["random all"],
    }
    at = (10, 20, 50, 100)
    return {
        method: {f"q{n}": f"{one['regret']:.3f}" for n, one in zip(at, points, strict=True)}
        for method, points in methods.items()
    }


def _main_job() -> Figures:
    """The main job on held-out seeds, and drawing beside it."""
    data = _read(QUERIES / "main_job.json")

    def said(method: str, what: str) -> str:
        mean, error = queries.summed([run for run in data["runs"] if run["method"] == method], what)
        return f"{mean:.3f} ± {error:.3f}"

    return {
        "seeds": str(len(SEEDS)),
        "regret": said("main job", "regret"),
        "beyond": said("main job", "regret without GRU"),
        "drawing": said("drawing by hidden covariance", "regret"),
        "random": f"{data['random']['regret']:.3f}",
    }


def _mini() -> Figures:
    """Sizes of the tables that the package carries, and the seconds of a training."""
    rnn, bert = MiniRNN(), MiniBERT()
    seconds = [float(row["seconds"]) for row in rnn.trainings if row["loss"]]
    mean, _, _ = judge.mean_and_error(seconds)
    return {
        "cells": str(len(rnn.entries) + len(rnn.diverged)),
        "trained": str(len(rnn.entries)),
        "diverged": str(len(rnn.diverged)),
        "encoders": str(len(bert.entries)),
        "deviation": f"{Noise(rnn).deviation:.3f}",
        "seconds": f"{mean:.0f}",
    }
