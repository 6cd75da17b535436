"""NAS-Bench-NLP on WikiText-2: the trainings whose full logs were released, one JSON log per training.

Source: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116), released logs at commit a6d90a3.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.core.errors import ZeronasError
from nas.truth.benchmarks.base import Benchmark, Datasheet, Entry, Run
from nas.truth.benchmarks.data import read
from nas.truth.benchmarks.nas_bench_nlp import group
from nas.truth.benchmarks.recipes import log_id
from spaces.rnn.cell import Cell, parse_cell

__all__ = ["EPOCHS", "TASKS", "NasBenchNLPWikiText2", "TrainingLog", "read_log"]

LOGS = "nas-bench-nlp/wikitext-2-logs.zip"
EPOCHS = 50
TASKS = ("last_epoch", "best_validation_epoch")


@dataclass(frozen=True)
class TrainingLog:
    """One log.

    Attributes:
        name: the log's file name, which is the run's id.
        id: the id of the training (see ``nas.truth.benchmarks.recipes``).
        cell: the recipe as the log writes it, its order of nodes and inputs kept.
        parameters: trainable scalars as the training reported them.
        status: "OK", or why the training stopped.
        validation, test: loss after each epoch that ran, in nats per word.
    """

    name: str
    id: int
    cell: Cell
    parameters: int
    status: str
    validation: tuple[float, ...]
    test: tuple[float, ...]

    @property
    def scores(self) -> dict[str, float]:
        """Task -> test loss: after the last epoch, and after the epoch with the lowest validation loss."""
        best = min(range(len(self.test)), key=self.validation.__getitem__)
        return {"last_epoch": self.test[-1], "best_validation_epoch": self.test[best]}


def read_log(name: str, log: Mapping[str, Any]) -> TrainingLog:
    """Reads one decoded log.

    Raises:
        ZeronasError: a field is missing, the ids differ, the recipe is not valid, or a complete log lacks epochs.
    """
    for key in ("recepie_id", "recepie", "num_params", "val_losses", "test_losses", "status"):  # sic
        if key not in log:
            raise ZeronasError(f"The log '{name}' lacks the field '{key}'.")
    if log["recepie_id"] != log_id(name):
        raise ZeronasError(f"The log '{name}' has the id {log['recepie_id']}, expected the {log_id(name)} of its name.")
    validation, test = tuple(map(float, log["val_losses"])), tuple(map(float, log["test_losses"]))
    if log["status"] == "OK" and not len(validation) == len(test) == EPOCHS:
        raise ZeronasError(
            f"The log '{name}' has {len(validation)} validation and {len(test)} test losses, expected {EPOCHS} of each."
        )
    cell = parse_cell(log["recepie"])
    return TrainingLog(name, log["recepie_id"], cell, log["num_params"], log["status"], validation, test)


class NasBenchNLPWikiText2(Benchmark):
    """NAS-Bench-NLP on WikiText-2; one entry per unique cell, its value the mean test loss after the last epoch.

    ``Entry.tasks`` adds the test loss after the epoch with the lowest validation loss.
    """

    name = "nas_bench_nlp_wikitext2"
    space = "rnn"
    metric = "WikiText-2 test loss after the last epoch"
    unit = "nats/word"
    higher_is_better = False
    files = (LOGS,)
    shares = tuple(epoch / EPOCHS for epoch in range(1, EPOCHS + 1))

    @cached_property
    def logs(self) -> list[TrainingLog]:
        """All logs, failed trainings included, in the archive's order."""
        with zipfile.ZipFile(io.BytesIO(read(LOGS, self.data_dir))) as archive:
            return [read_log(name, json.loads(archive.read(name))) for name in archive.namelist()]

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads the logs; entries are in the order of their first log in the archive."""
        skipped: Counter[str] = Counter()
        kept: dict[str, TrainingLog] = {}
        for log in self.logs:
            if log.status != "OK":
                skipped[f"training stopped: {log.status.rstrip('!')}"] += 1
            elif not math.isfinite(log.test[-1]):
                skipped["loss not finite"] += 1
            else:
                kept[log.name] = log
        entries = []
        for entry in group((log.cell, Run(log.name, log.test[-1])) for log in kept.values()):
            scores = [kept[run.id].scores for run in entry.runs]
            tasks = {task: math.fsum(score[task] for score in scores) / len(scores) for task in TASKS}
            tests = [kept[run.id].test for run in entry.runs]
            means = [math.fsum(at) / len(at) for at in zip(*tests, strict=True)]
            curve = tuple(zip(self.shares, means, strict=True))
            entries.append(Entry(entry.key, entry.architecture, entry.value, entry.runs, tasks, curve[:-1]))
        sheet = Datasheet(
            title="NAS-Bench-NLP, WikiText-2",
            source="Klyuchnikov et al. 2020 (arXiv 2006.07116), training logs "
            "(github.com/fmsnew/nas-bench-nlp-release, commit a6d90a3)",
            licence="Apache-2.0",
            files=(LOGS,),
            rows=len(self.logs),
            kept=len(kept),
            unique=len(entries),
            skipped=dict(skipped),
            notes=(
                "The three hand-written cells (RNN, LSTM, GRU) are among them.",
                "The vocabulary has 33,278 words (Penn Treebank: 10,000), so losses of the two tables do not compare.",
            ),
        )
        return entries, sheet
