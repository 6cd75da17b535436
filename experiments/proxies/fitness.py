"""``python -m experiments.proxies.fitness``: how the project's own fitness ranks, by halves; its cost; a few labels.

The fitness was designed on the architectures whose key has an even SHA-256 (``experiments.mini.pilot.even``); the other
half was not looked at. With labels: 32 cells of the half that is reported, drawn 20 times, and the surrogate of the
search (``nas.search.surrogate``), with the fitness in its mean, predicts the rest of that half.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import proxies
from experiments.guard import guarded
from experiments.mini.pilot import even
from experiments.paper.metrics import Proxies
from experiments.paper.runs import composed
from experiments.paper.tables import save
from experiments.proxies.published import RESULTS
from nas import judge
from nas.core import seeds
from nas.core.files import versions
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator, Scorer
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.trials import PROXIES, Trial
from nas.judge.pairs import over_all
from nas.judge.statistics import kendall, tied_last
from nas.search.surrogate import Candidates, levelled, predict
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import Entry

__all__ = ["HALVES", "LABELS", "RESULTS", "TABLES", "main"]

_LONG, _SHORT = ({"name": "zeronas", "training": training} for training in ("long", "short"))
_OF_BERT: Proxies = {"zeronas": {}, "zerolm": {}, "nsc": {}}
_OF_CELLS: Proxies = {"zeronas, long": _LONG, "zeronas, short": _SHORT, "hidden_covariance": {}}
#: table -> overrides, and label -> the proxies compared there
TABLES: dict[str, tuple[tuple[str, ...], Proxies]] = {
    "flexibert": (("space=bert", "bert_reading=trained"), _OF_BERT),
    "mini_bert": (("space=bert", "bert_reading=stated"), _OF_BERT),
    "nas_bench_nlp": (("space=rnn", "probe=micro"), _OF_CELLS),
    "mini_rnn": (("space=rnn", "probe=micro"), _OF_CELLS),
    "mini_rnn, three layers": (("space=rnn", "probe=stack"), {"zeronas, short": {**_SHORT, "layers": 3}}),
    "nas_bench_nlp, three layers": (("space=rnn", "probe=stack"), {"zeronas, long": {**_LONG, "layers": 3}}),
}
#: what a score is judged on: whether a key counts
HALVES: dict[str, Callable[[str], bool]] = {
    "designed on": even,
    "reported": lambda key: not even(key),
    "all": lambda key: True,
}
LABELS, _DRAWS = 32, 20
_TIMED = 200


def main() -> None:
    """Scores every table, judges by halves, times, and writes results/fitness.json."""
    found: dict[str, Any] = {}
    for name in TABLES:
        members, scorer, scores = _scored(name)
        truth = {key: value for key, _, value in members}
        found[name] = {
            "proxies": {label: _judged(scores[label], truth) for label in TABLES[name][1]},
            "baselines": {label: _judged(scores[label], truth) for label in ("hidden x layers",) if label in scores},
            "seconds": {label: _timed(scorer, label, members) for label in TABLES[name][1]},
        }
        if name in ("nas_bench_nlp", "mini_rnn"):
            found[name]["labels"] = _labelled(name, members, scores)
    save(RESULTS / "fitness.json", {"tables": found, "labels": LABELS, "draws": _DRAWS, "versions": versions()})


Member = tuple[str, Any, float | None]


def _scored(name: str) -> tuple[list[Member], Scorer, dict[str, dict[str, float | None]]]:
    """Returns members (key, architecture, truth or None where it diverged), the scorer, and label -> key -> score."""
    overrides, compared = TABLES[name]
    table = name.split(",")[0]
    folder = Path("runs") / "proxies" / f"fitness_{name.replace(', ', '_').replace(' ', '_')}"
    config = composed("search", *overrides, f"benchmark={table}", f"run.dir={folder}")
    settings = make({**config, "proxies": compared}, SearchSettings)
    benchmark, space = settings.needed_truth(), settings.space
    views = proxies.listed(space.views(settings.probe), space.name, "view_") if space.name == "rnn" else {}
    scorer = Scorer(space, settings.probe, {**settings.measured(), **views}, settings.seed)
    members: list[Member] = [
        (m.key, m.architecture, benchmark.sign * m.value if isinstance(m, Entry) else None) for m in benchmark.members
    ]
    trials = [Trial(architecture) for _, architecture, _ in members]
    with (
        Journal(folder, settings.identity) as journal,
        Evaluator(scorer) as evaluator,
        Progress(len(trials)) as progress,
    ):
        answers = answered(trials, {PROXIES: evaluator}, journal, progress)
    scores = {label: {one.key: one.scores[label].value for one in answers} for label in scorer.proxies}
    if space.name == "bert":
        scores["hidden x layers"] = {key: float(a.hidden_size * len(a.layers)) for key, a, _ in members}
    return members, scorer, scores


def _judged(scores: Mapping[str, float | None], truth: Mapping[str, float | None]) -> dict[str, Any]:
    judged = {}
    for half, counts in HALVES.items():
        keys = [key for key in truth if counts(key)]
        columns = [tied_last([of[key] for key in keys]) for of in (scores, truth)]
        valid = [key for key in keys if truth[key] is not None]
        paired, tau = over_all(*columns), over_all(*(tied_last([of[key] for key in valid]) for of in (scores, truth)))
        judged[half] = {
            "architectures": len(keys),
            "diverged": len(keys) - len(valid),
            "tie-broken": paired.tau,
            "interval": list(paired.tau_interval),
            "tau-b": kendall(*columns),
            "trained": tau.tau,
            "trained interval": list(tau.tau_interval),
        }
    return judged


def _timed(scorer: Scorer, label: str, members: Sequence[Member]) -> dict[str, float]:
    """Returns seconds of one core: an architecture (median), and all together."""
    alone = Scorer(scorer.space, scorer.probe, {label: scorer.proxies[label]}, scorer.seed)
    spent = []
    for _, architecture, _ in members[:: max(1, len(members) // _TIMED)]:
        begun = time.process_time()
        alone(architecture)
        spent.append(time.process_time() - begun)
    return {"median": float(np.median(spent)), "mean": float(np.mean(spent)), "architectures": len(spent)}


def _labelled(
    name: str, members: Sequence[Member], scores: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, float]]:
    """Returns the mean tau, over draws of labels, of what predicts the unlabelled cells of the reported half."""
    rest = [member for member in members if HALVES["reported"](member[0]) and member[2] is not None]
    truth = np.array([value for _, _, value in rest], dtype=float)
    fitness = "zeronas, short" if name == "mini_rnn" else "zeronas, long"
    labels = [fitness, *(label for label in scores if label.startswith("view_"))]
    columns = np.array([[_number(scores[label][key]) for label in labels] for key, _, _ in rest])
    space = make(composed("search", "space=rnn", "benchmark=none"), SearchSettings).space
    candidates = Candidates(columns, np.stack([space.features(architecture) for _, architecture, _ in rest]))
    taus: dict[str, list[float]] = {"fitness alone": [], "surrogate": []}
    for draw in range(_DRAWS):
        known = seeds.generator(draw, "labels").choice(len(rest), LABELS, replace=False)
        others = np.setdiff1d(np.arange(len(rest)), known)
        mean, _ = predict("gp", candidates, [int(i) for i in known], levelled(truth[known].tolist()), draw)
        alone = tied_last([value if np.isfinite(value) else None for value in columns[others, 0].tolist()])
        taus["fitness alone"].append(kendall(alone, truth[others]))
        taus["surrogate"].append(kendall(mean[others], truth[others]))
    told = {}
    for method, values in taus.items():
        mean_tau, _, error = judge.mean_and_error(values)
        told[method] = {"mean": mean_tau, "error": error, "least": min(values), "cells": len(rest) - LABELS}
    return told


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


if __name__ == "__main__":
    sys.exit(guarded(main))
