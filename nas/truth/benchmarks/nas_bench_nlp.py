"""NAS-Bench-NLP on Penn Treebank: RNN cells trained for 50 epochs, with the metrics published for each training.

Two published tables are read, both strictly: every line is kept or counted under the reason why it is not, and a line
of an unknown shape is an error. ``RNN_results.csv`` holds the trainings with metrics, ``RNN_parameters.csv`` all
trainings with their parameter counts.

Sources: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116); Serianni & Kalita (ACL 2023, arXiv 2306.00288).
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nas.core.errors import ZeronasError
from nas.core.options import validated
from nas.truth.benchmarks.base import Benchmark, Datasheet, Entry, Run
from nas.truth.benchmarks.data import read
from nas.truth.benchmarks.recipes import cell_of, log_id
from spaces.rnn.cell import Cell

__all__ = ["NasBenchNLP", "ParameterTable", "Training", "read_parameters", "read_results"]

RESULTS = "nas-bench-nlp/RNN_results.csv"
PARAMETERS = "nas-bench-nlp/RNN_parameters.csv"

#: which finite trainings count: those with a row of metrics, or all

_RELEASED = {"variant": "released"}
_UNITS = {**_RELEASED, "axis": "units", "k": 1e-5, "floor": 0.0}
#: published column -> proxy, and the options that matter to it
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"Layer {n} Hidden Covariance": ("hidden_covariance", {**_UNITS, "layer": n}) for n in (1, 2, 3)},
    "Activation Distance": ("activation_distance", _RELEASED),
    "Jacobian Covariance": ("jacobian_covariance", _RELEASED),
    "Jacobian Cosine": ("jacobian_cosine", _RELEASED),
    "Large Noise Jacobian": ("noised_jacobian_covariance", {**_RELEASED, "noise": "large"}),
    "More Noised Jacobian": ("noised_jacobian_covariance", {**_RELEASED, "noise": "more"}),
    "Large Noise Jacobian Cosine": ("noised_jacobian_cosine", {**_RELEASED, "noise": "large"}),
    "More Noised Jacobian Cosine": ("noised_jacobian_cosine", {**_RELEASED, "noise": "more"}),
    "Synaptic Saliency": ("synaptic_saliency", _RELEASED),
    "Hidden Synaptic Saliency": ("hidden_synaptic_saliency", _RELEASED),
}

_HEADER = ["log name", "loss", "perplexity", "bits per word"]
_PARAMETERS_HEADER = ",".join([*_HEADER, "trainable paramters", "total paramters"])  # sic
_REPEATED_HEADER = "log name,loss,perplexity,trainable paramters,total paramters"
_NOT_LOGS = ("logs.zip", "logs", ".DS_Store")


@dataclass(frozen=True)
class Training:
    """One training in RNN_parameters.csv: its log's name, its loss (nats per word, NaN where it failed), its size."""

    log: str
    loss: float
    parameters: int


@dataclass(frozen=True)
class ParameterTable:
    """RNN_parameters.csv.

    Attributes:
        trainings: one per log, in file order, those without a finite loss included.
        recovered: logs whose record had the header glued to it, without a newline between.
        skipped: reason -> number of records that are no training.
    """

    trainings: list[Training]
    recovered: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Records in the file, its first header apart; a glued line holds two."""
        return len(self.trainings) + sum(self.skipped.values())


def read_parameters(text: str) -> ParameterTable:
    """Reads RNN_parameters.csv.

    The published file has one line that is a record and a header glued together (both are used), headers and empty
    rows repeated at its end, and rows for files that are no logs.

    Raises:
        ZeronasError: a line of any other shape; the sentence names its number.
    """
    lines = text.splitlines()
    if not lines or lines[0] != _PARAMETERS_HEADER:
        raise ZeronasError(f"{PARAMETERS} begins with {_show(lines)}, expected the header '{_PARAMETERS_HEADER}'.")
    table, seen, skipped = ParameterTable([]), set(), Counter[str]()
    for number, line in enumerate(lines[1:], start=2):
        record = line.removesuffix(_REPEATED_HEADER)
        if record != line:
            skipped["header repeated"] += 1
            if not record:
                continue
        fields = record.split(",")
        name, values = fields[0], fields[1:]
        if len(values) != 5:
            raise ZeronasError(f"Line {number} of {PARAMETERS} has {len(fields)} fields, expected 6: {line[:80]!r}.")
        if all(value == "nan" for value in values):
            if name in _NOT_LOGS:
                skipped["not a log"] += 1
                continue
            if name in seen:
                skipped["empty repeat of a log"] += 1
                continue
        if name in seen:
            raise ZeronasError(
                f"Line {number} of {PARAMETERS} repeats the log '{name}', expected one row for each log."
            )
        log_id(name)
        trainable, total = values[3:]
        if trainable != total or not re.fullmatch(r"[0-9]+", total):
            raise ZeronasError(
                f"Line {number} of {PARAMETERS} has the parameter counts {trainable!r} and {total!r}, expected one "
                "whole number twice."
            )
        if record != line:
            table.recovered.append(name)
        seen.add(name)
        table.trainings.append(Training(name, _number(values[0], number, PARAMETERS), int(total)))
    table.skipped.update(skipped)
    return table


def read_results(text: str) -> list[Run]:
    """Reads RNN_results.csv: one run per row, its loss in nats per word, with the published metrics under their names.

    Raises:
        ZeronasError: another header, a repeated log, or a value that is no finite number.
    """
    rows = csv.reader(text.splitlines())
    header = [name.strip() for name in next(rows, [])]
    if header[:4] != _HEADER or len(set(header)) != len(header):
        raise ZeronasError(f"{RESULTS} begins with {_show(header)}, expected the header '{','.join(_HEADER)},...'.")
    metrics, runs, seen = header[4:], [], set()
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ZeronasError(f"Line {number} of {RESULTS} has {len(row)} fields, expected {len(header)}.")
        name = row[0]
        if name in seen:
            raise ZeronasError(f"Line {number} of {RESULTS} repeats the log '{name}', expected one row for each log.")
        seen.add(name)
        loss, *published = [_number(row[i], number, RESULTS) for i in (1, *range(4, len(row)))]
        if not all(map(math.isfinite, (loss, *published))):
            raise ZeronasError(f"Line {number} of {RESULTS} holds a value that is not finite, expected finite numbers.")
        runs.append(Run(name, loss, dict(zip(metrics, published, strict=True))))
    return runs


class NasBenchNLP(Benchmark):
    """NAS-Bench-NLP on Penn Treebank; one entry per unique cell, its value the mean test loss of its finite runs.

    The cells are not in the tables: they are regenerated from the ids in the names of the logs.

    Args:
        data_dir: folder with the public files (default: NAS_DATA_DIR, else the cache).
        runs: "results" for the runs that have published metrics (8,794 of them, the set that published correlations
            are over), "all" for every run with a finite loss (10,032).

    Raises:
        ZeronasError: unknown choice of runs.
    """

    name = "nas_bench_nlp"
    space = "rnn"
    metric = "Penn Treebank test loss after the last epoch"
    unit = "nats/word"
    higher_is_better = False
    files = (RESULTS, PARAMETERS)
    columns = COLUMNS

    @validated
    def __init__(self, data_dir: Path | None = None, runs: Literal["results", "all"] = "results") -> None:
        super().__init__(data_dir)
        self.runs = runs

    @cached_property
    def parameter_table(self) -> ParameterTable:
        """RNN_parameters.csv."""
        return read_parameters(read(PARAMETERS, self.data_dir).decode("utf-8"))

    @property
    def parameters(self) -> dict[str, int]:
        """Log name -> trainable parameters as the training reported them, for all trainings, failed ones included."""
        return {training.log: training.parameters for training in self.parameter_table.trainings}

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads both tables and regenerates the cells; entries are in the order of their first run in the files."""
        runs = read_results(read(RESULTS, self.data_dir).decode("utf-8-sig"))
        table = self.parameter_table
        losses = {training.log: training.loss for training in table.trainings}
        for run in runs:
            if losses.get(run.id) != run.value:
                raise ZeronasError(
                    f"The run '{run.id}' has the loss {run.value} in {RESULTS} and {losses.get(run.id)} in "
                    f"{PARAMETERS}, expected the same in both."
                )
        with_metrics = {run.id for run in runs}
        finite = [Run(t.log, t.loss) for t in table.trainings if math.isfinite(t.loss) and t.log not in with_metrics]
        skipped = {"loss not finite": sum(not math.isfinite(t.loss) for t in table.trainings)}
        if self.runs == "all":
            runs = runs + finite
        else:
            skipped["finite loss but no published metrics"] = len(finite)
        entries = group((cell_of(log_id(run.id)), run) for run in runs)
        sheet = Datasheet(
            title="NAS-Bench-NLP, Penn Treebank",
            source="Klyuchnikov et al. 2020 (arXiv 2006.07116); tables released with Serianni & Kalita, ACL 2023 "
            "(github.com/aaronserianni/training-free-nas, commit 2d76e01)",
            licence="CC BY 4.0",
            files=(RESULTS, PARAMETERS),
            rows=table.records,
            kept=len(runs),
            unique=len(entries),
            skipped={**skipped, **table.skipped},
            notes=(
                f"RNN_results.csv has {len(with_metrics):,} rows, all used; RNN_parameters.csv lists the same runs and "
                f"more, and is what is counted here; records recovered from a glued line: {len(table.recovered)}.",
                "The published column 'Jacobian Covariance' comes from the embedding output, not from a Jacobian.",
                "Cells are regenerated from the ids; equal cells drawn from different seeds are one entry.",
            ),
        )
        return entries, sheet


def group(runs: Iterable[tuple[Cell, Run]]) -> list[Entry]:
    """Returns one entry per unique cell with the mean of its runs, in the order of first appearance."""
    cells: dict[str, Cell] = {}
    found: dict[str, list[Run]] = {}
    for cell, run in runs:
        cells.setdefault(cell.key, cell)
        found.setdefault(cell.key, []).append(run)
    return [
        Entry(key, cell, math.fsum(run.value for run in found[key]) / len(found[key]), tuple(found[key]))
        for key, cell in cells.items()
    ]


def _number(text: str, line: int, file: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ZeronasError(f"Line {line} of {file} has {text!r} where a number is expected.") from None


def _show(found: list[str]) -> str:
    return repr(found[0][:80]) if found else "nothing"
