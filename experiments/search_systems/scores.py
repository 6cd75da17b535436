"""Every member of the four tables scored once for each probe seed, so that all systems read the same scores.

Scores are kept under ``runs/search_systems`` and are resumable. ``python -m experiments.search_systems.scores``
computes them all; the comparison does so itself where they are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.guard import guarded, named
from experiments.paper.runs import composed
from nas.core.progress import Progress
from nas.engine.evaluate import Evaluator
from nas.engine.journal import Journal
from nas.engine.run import answered
from nas.engine.trials import PROXIES, Evaluation, Trial
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import Benchmark
from spaces.base import Space

__all__ = ["METRICS", "PROBES", "TABLES", "VIEW", "Known", "Scored", "main", "scored"]

#: table -> overrides that say how its members are scored
TABLES: dict[str, tuple[str, ...]] = {
    "nas_bench_nlp": ("space=rnn", "probe=deep"),
    "mini_rnn": ("space=rnn", "probe=deep"),
    "flexibert": ("space=bert", "bert_reading=trained"),
    "mini_bert": ("space=bert", "bert_reading=stated"),
}
#: table -> probe seeds: initialisations and batches under which everything is scored. A BERT configuration takes ten
#: times as long as a cell, so these are scored once, and the largest table of cells twice
PROBES: dict[str, tuple[int, ...]] = {
    "nas_bench_nlp": (0, 1),
    "mini_rnn": (0, 1, 2),
    "flexibert": (0,),
    "mini_bert": (0,),
}
#: what the label of a surrogate's view begins with
VIEW = "view_"

#: RoBoT's six metrics, under the names that they have here
_ROBOT = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacobian_covariance")
#: space -> the metrics that systems of several metrics are given; the first is the field's own for that space. GraSP's
#: Hessian would double the time of a BERT configuration
METRICS: dict[str, tuple[str, ...]] = {
    "rnn": ("hidden_covariance", *_ROBOT, "activation_distance", "naswot", "swap", "ntk_condition", "parameters"),
    "bert": (
        *("zerolm", *(name for name in _ROBOT if name != "grasp")),
        *("softmax_confidence", "naswot", "swap", "ntk_condition", "parameters"),
    ),
}

Scores = Mapping[str, Evaluation]


class Known:
    """Answers proxies from scores that are there already.

    Args:
        scores: key -> evaluation.
        labels: those that are told, in this order; the first is the fitness.
    """

    def __init__(self, scores: Scores, labels: Sequence[str]) -> None:
        self.scores, self.labels = scores, tuple(labels)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, scores)."""
        for place, trial in enumerate(trials):
            one = self.scores[trial.architecture.key]
            yield place, Evaluation(one.key, {label: one.scores[label] for label in self.labels}, 0.0)


@dataclass(frozen=True)
class Scored:
    """A table, and the scores of its members, those that diverged among them.

    Attributes:
        views: labels of a surrogate's views.
        scores: key -> scores of ``METRICS``, of the project's own fitness (``zeronas``), and of the views.
    """

    space: Space[Any]
    benchmark: Benchmark
    views: tuple[str, ...]
    scores: Scores


def scored(name: str, probe: int, workers: int = 1) -> Scored:
    """Returns a table and the scores of its members under a probe seed; what is missing is computed first."""
    folder = Path("runs") / "search_systems" / f"{name}_{probe}"
    overrides = (*TABLES[name], f"benchmark={name}", "searcher=bayes", "queries=1", "pool=benchmark", f"seed={probe}")
    config = composed("search", *overrides, f"run.dir={folder}", f"executor.workers={workers}")
    space = str(config["space"]["name"])
    fitness = {"name": "zeronas", **({"training": "short"} if name == "mini_rnn" else {})}
    asked: dict[str, Any] = {label: {"name": label} for label in METRICS[space]}
    settings = make({**config, "proxies": {**asked, "zeronas": fitness}}, SearchSettings)
    benchmark = settings.needed_truth()
    trials = [Trial(member.architecture) for member in benchmark.members]
    # what scores depend on: not the surrogate's own settings
    kept = {key: value for key, value in settings.identity.items() if key != "searcher"}
    with (
        Journal(folder, kept) as journal,
        Evaluator(settings.scorer(), workers) as evaluator,
        Progress(len(trials)) as progress,
    ):
        found = answered(trials, {PROXIES: evaluator}, journal, progress)
    views = tuple(label for label in found[0].scores if label.startswith(VIEW))
    return Scored(settings.space, benchmark, views, {one.key: one for one in found})


def main() -> None:
    """Scores the tables named, or all."""
    for name in named(TABLES, "table"):
        for probe in PROBES[name]:
            print(name, probe, len(scored(name, probe).scores), flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
