"""``python -m experiments.proxies.variation``: Stat-TOPK against plain means, and against more architectures.

Every member of a table is scored with several initialisations and batches (resumable, under ``runs/proxies``). For each
of 30 seeds a set of members is drawn; its finalists are chosen by the mean of the samples, or by Stat-TOPK
(Rumiantsev & Coates 2025). For the same number of passes one can score that many times as many members once each.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from experiments.guard import guarded
from experiments.paper.runs import composed
from experiments.paper.tables import save
from experiments.proxies.published import RESULTS
from nas import judge
from nas.core import seeds
from nas.core.files import versions
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.trials import PROXIES, Trial
from nas.search.comparison import stat_topk
from nas.settings import RankSettings, make

__all__ = ["FINALISTS", "RESULTS", "SAMPLES", "SEEDS", "SIGNIFICANCE", "TABLES", "main"]

#: table -> overrides, and members that a seed draws to be scored with several samples
TABLES: dict[str, tuple[tuple[str, ...], int]] = {
    "nas_bench_nlp": (("space=rnn", "proxy=hidden_covariance"), 200),
    "mini_rnn": (("space=rnn", "proxy=hidden_covariance"), 60),
    "mini_bert": (("space=bert", "bert_reading=stated", "proxy=softmax_confidence"), 30),
}
SAMPLES, SIGNIFICANCE, SEEDS = 5, 0.05, 30
#: finalists whose best truth counts
FINALISTS = (1, 3, 10)


def main() -> None:
    """Scores, chooses, and writes results/variation.json."""
    tables = {name: _compared(name) for name in TABLES}
    settings = {"samples": SAMPLES, "significance": SIGNIFICANCE, "seeds": SEEDS}
    save(RESULTS / "variation.json", {"tables": tables, **settings, "versions": versions()})


def _compared(name: str) -> dict[str, Any]:
    overrides, count = TABLES[name]
    folder = Path("runs") / "proxies" / f"variation_{name}"
    config = composed("rank", *overrides, f"benchmark={name}", f"samples={SAMPLES}", f"run.dir={folder}")
    settings = make(config, RankSettings)
    benchmark = settings.needed_truth()
    trials = [Trial(entry.architecture) for entry in benchmark.entries]
    with (
        Journal(folder, settings.identity) as journal,
        Evaluator(settings.scorer()) as evaluator,
        Progress(len(trials)) as progress,
    ):
        answers = answered(trials, {PROXIES: evaluator}, journal, progress)
    scored = [next(iter(one.scores.values())) for one in answers]
    kept = [i for i, score in enumerate(scored) if score.value is not None]
    samples = np.array([scored[i].samples for i in kept], dtype=float)  # (n, V)
    regrets = np.abs(np.array([benchmark.entries[i].value for i in kept]) - benchmark.best.value)
    regret: dict[str, dict[int, list[float]]] = {}
    for seed in range(SEEDS):
        for method, chosen in _chosen(samples, count, seed).items():
            for k in FINALISTS:
                regret.setdefault(method, {}).setdefault(k, []).append(float(regrets[chosen[:k]].min()))
    return {
        "proxy": settings.fitness,
        "members": len(kept),
        "drawn": count,
        "unit": benchmark.unit,
        "methods": {
            method: {str(k): _told(values[k], regret["means"][k]) for k in FINALISTS}
            for method, values in regret.items()
        },
    }


def _chosen(samples: np.ndarray, count: int, seed: int) -> Mapping[str, np.ndarray]:
    """Returns the finalists of each method, best first, as places in ``samples``.

    All but the last cost count x SAMPLES passes.
    """
    order = seeds.generator(seed, "variation").permutation(len(samples))
    few, many = order[:count], order[: count * SAMPLES]
    by_test = stat_topk(samples[few], FINALISTS[-1], SIGNIFICANCE, seeds.generator(seed, "variation", "ties"))
    return {
        "means": few[np.argsort(-samples[few].mean(axis=1), kind="stable")],
        "Stat-TOPK": few[by_test],
        "one sample of more": many[np.argsort(-samples[many, 0], kind="stable")],
        "one sample": few[np.argsort(-samples[few, 0], kind="stable")],
    }


def _told(values: list[float], means: list[float]) -> dict[str, float | None]:
    """Returns mean and standard error over seeds, the same of the difference from plain means, and its p-value."""
    mean, _, error = judge.mean_and_error(values)
    less = np.array(values) - np.array(means)
    difference, _, around = judge.mean_and_error(less)
    p = float(wilcoxon(less).pvalue) if np.any(less) else None
    return {"mean": mean, "error": error, "difference": difference, "difference error": around, "p": p}


if __name__ == "__main__":
    sys.exit(guarded(main))
