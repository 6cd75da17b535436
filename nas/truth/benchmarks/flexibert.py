"""The FlexiBERT benchmark: 500 BERT configurations pre-trained as ELECTRA and fine-tuned on GLUE.

Source: Serianni & Kalita (ACL 2023, arXiv 2306.00288); space of Tuli et al. 2022 (arXiv 2205.11656).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.core.errors import ZeronasError
from nas.truth.benchmarks.base import Benchmark, Datasheet, Entry, Run
from nas.truth.benchmarks.data import read
from spaces.bert.config import BertConfig, parse_config

__all__ = ["TASKS", "FlexiBERT", "TrainedConfig", "read_metrics", "read_rows"]

BENCHMARK = "flexibert/BERT_benchmark.json"
METRICS = "flexibert/BERT_results_activation.csv"
TASKS = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
#: the column of METRICS with the released parameter counts
PARAMETERS_COLUMN = "Number of Parameters"

_SUM = {"variant": "released", "normalised": False}
_MEAN = {"variant": "released", "normalised": True}
_BOTH = {
    "Synaptic Diversity": "synaptic_diversity",
    "Synaptic Saliency": "synaptic_saliency",
    "Head Importance": "head_importance",
    "Head Confidence": "head_confidence",
    "Head Softmax Confidence": "softmax_confidence",
}
#: published column -> proxy, and the options that matter to it; the column "Activation Distance" holds leaked hooks,
#: so no metric has it
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    **{column: (name, _SUM) for column, name in _BOTH.items()},
    **{f"{column} Normalized": (name, _MEAN) for column, name in _BOTH.items()},
    "Activation Distance Normalized": ("activation_distance", _MEAN),
    "Jacobian Score": ("jacobian_covariance", {"variant": "released"}),
    "Jacobian Score Normalized": ("jacobian_cosine", {"variant": "released"}),
}


@dataclass(frozen=True)
class TrainedConfig:
    """One row: its id, its configuration, its GLUE score and the score of each task, in points."""

    id: int
    config: BertConfig
    glue: float
    tasks: Mapping[str, float]


def read_rows(rows: Any) -> list[TrainedConfig]:
    """Reads the decoded BERT_benchmark.json.

    Raises:
        ZeronasError: a row is not complete, its configuration is not valid, or its GLUE score is not its tasks' mean.
    """
    found = []
    for number, row in enumerate(rows):
        place = f"Row {number} of {BENCHMARK}"
        if row.get("id") != number or row.get("completed") is not True:
            raise ZeronasError(
                f"{place} has id {row.get('id')!r} and completed {row.get('completed')!r}, expected {number} and true."
            )
        scores = {name: float(value) for name, value in row["scores"].items()}
        if set(scores) != {*TASKS, "glue"} or not all(map(math.isfinite, scores.values())):
            raise ZeronasError(f"{place} has the scores {scores}, expected finite ones of glue, {', '.join(TASKS)}.")
        glue, tasks = scores["glue"], {task: scores[task] for task in TASKS}
        mean = math.fsum(tasks.values()) / len(tasks)
        if abs(mean - glue) > 1e-9:
            raise ZeronasError(f"{place} has the GLUE score {glue}, expected the mean of its tasks, {mean}.")
        found.append(TrainedConfig(number, parse_config(row["hparams"]), glue, tasks))
    return found


def read_metrics(text: str) -> dict[int, dict[str, float]]:
    """Reads BERT_results_activation.csv: id -> column -> value, the GLUE score among them.

    Raises:
        ZeronasError: a repeated id, or a value that is no finite number.
    """
    found: dict[int, dict[str, float]] = {}
    for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
        try:
            id, values = int(row.pop("ID")), {name.strip(): float(value) for name, value in row.items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ZeronasError(f"Line {number} of {METRICS} is not an ID and numbers.") from None
        if id in found or not all(map(math.isfinite, values.values())):
            raise ZeronasError(f"Line {number} of {METRICS} repeats ID {id} or holds a value that is not finite.")
        found[id] = values
    return found


class FlexiBERT(Benchmark):
    """The FlexiBERT benchmark; one entry per unique configuration, its value the mean GLUE score of its runs."""

    name = "flexibert"
    space = "bert"
    metric = "GLUE score, the mean of eight dev scores"
    unit = "points"
    higher_is_better = True
    files = (BENCHMARK, METRICS)
    columns = COLUMNS

    @cached_property
    def rows(self) -> list[TrainedConfig]:
        """All trainings, by id."""
        return read_rows(json.loads(read(BENCHMARK, self.data_dir)))

    @cached_property
    def metrics(self) -> dict[int, dict[str, float]]:
        """Id -> published column -> value."""
        return read_metrics(read(METRICS, self.data_dir).decode("utf-8-sig"))

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads both files, joined by id; entries are in the order of their first id."""
        found: dict[str, list[TrainedConfig]] = {}
        for row in self.rows:
            found.setdefault(row.config.key, []).append(row)
        entries = [
            Entry(
                key,
                rows[0].config,
                math.fsum(row.glue for row in rows) / len(rows),
                tuple(Run(str(row.id), row.glue, self._published(row)) for row in rows),
                {task: math.fsum(row.tasks[task] for row in rows) / len(rows) for task in TASKS},
            )
            for key, rows in found.items()
        ]
        sheet = Datasheet(
            title="FlexiBERT subset, GLUE",
            source="Serianni & Kalita, ACL 2023 (arXiv 2306.00288) "
            "(github.com/aaronserianni/training-free-nas, commit 2d76e01)",
            licence="CC BY 4.0",
            files=(BENCHMARK, METRICS),
            rows=len(self.rows),
            kept=len(self.rows),
            unique=len(entries),
            skipped={},
            notes=(
                "The released training code never applies the operation type: by it, every trained model is a plain "
                "scaled-dot-product encoder.",
                "The published metrics and parameter counts are those of hidden size 256 and feed-forward width 1024, "
                "whatever the configuration says.",
                "The published column 'Jacobian Score Normalized' is the Jacobian cosine score; 'Activation Distance' "
                "grows with the order of the runs, its normalised column does not.",
            ),
        )
        return entries, sheet

    def _published(self, row: TrainedConfig) -> dict[str, float]:
        values = dict(self.metrics.get(row.id, {}))
        score = values.pop("GLUE Score", None)
        if score is None or abs(score - row.glue) > 1e-9:
            raise ZeronasError(f"ID {row.id} has the GLUE score {row.glue} in {BENCHMARK} and {score} in {METRICS}.")
        return values
