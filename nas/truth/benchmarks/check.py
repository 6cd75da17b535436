"""Recomputes what must hold if the public files and this package's readers, generators and counts are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.core.errors import ZeronasError
from nas.truth.benchmarks.data import FILES, MissingFile, locate
from nas.truth.benchmarks.flexibert import PARAMETERS_COLUMN, FlexiBERT
from nas.truth.benchmarks.nas_bench_nlp import NasBenchNLP
from nas.truth.benchmarks.recipes import cell_of, locate_id, log_id
from nas.truth.benchmarks.wikitext2 import NasBenchNLPWikiText2
from spaces.bert.counts import count
from spaces.bert.sampler import published_sample
from spaces.rnn.counts import RNNSizes, parameters

__all__ = ["CheckResult", "check"]

# the numbers that hold on the published files
_LOGS = 342
_RNN_COUNTS = 12_341
_BERT_ROWS = 500
_EXAMPLES = 3


@dataclass(frozen=True)
class CheckResult:
    """One fact: how many cases agree (``found``) of how many must (``expected``), and which do not (``detail``)."""

    name: str
    passed: bool
    found: int
    expected: int
    detail: str = ""


def check(data_dir: Path | str | None = None) -> list[CheckResult]:
    """Checks the files' SHA-256, then recipes and parameter counts; a fact that does not hold is a result.

    Raises:
        ZeronasError: a file is not there at all, so that there is nothing to check.
    """
    folder = Path(data_dir) if data_dir else None
    facts: list[tuple[str, int, Callable[[Path | None], tuple[int, list[str], str]]]] = [
        ("SHA-256 of the public files", len(FILES), _files),
        ("recipes of the WikiText-2 logs", _LOGS, _recipes),
        ("parameter counts of NAS-Bench-NLP", _RNN_COUNTS, _rnn_counts),
        ("parameter counts of FlexiBERT", _BERT_ROWS, _bert_counts),
        ("replay of the FlexiBERT sampler", _BERT_ROWS, _bert_sample),
    ]
    results = []
    for name, expected, fact in facts:
        try:
            found, wrong, note = fact(folder)
        except MissingFile:
            raise
        except ZeronasError as error:
            found, wrong, note = 0, [str(error)], ""
        detail = "; ".join([*wrong[:_EXAMPLES], *([f"and {len(wrong) - _EXAMPLES} more"] if wrong[_EXAMPLES:] else [])])
        results.append(CheckResult(name, found == expected and not wrong, found, expected, detail or note))
    return results


def _files(folder: Path | None) -> tuple[int, list[str], str]:
    wrong = []
    for relative in FILES:
        try:
            locate(relative, folder)
        except MissingFile:
            raise
        except ZeronasError as error:
            wrong.append(str(error))
    return len(FILES) - len(wrong), wrong, ""


def _recipes(folder: Path | None) -> tuple[int, list[str], str]:
    """Every generated recipe, order of nodes and of inputs included (Node by Node, not just as graphs)."""
    logs = [log for log in NasBenchNLPWikiText2(folder).logs if not isinstance(locate_id(log.id), str)]
    wrong = [
        f"{log.name} has another recipe than id {log.id} gives"
        for log in logs
        if log.cell.nodes != cell_of(log.id).nodes
    ]
    return len(logs) - len(wrong), wrong, "order of nodes and inputs included"


def _rnn_counts(folder: Path | None) -> tuple[int, list[str], str]:
    table, sizes = NasBenchNLP(folder).parameter_table, RNNSizes()
    wrong, whole = [], 0
    for training in table.trainings:
        counted = parameters(cell_of(log_id(training.log)), sizes)
        if counted != training.parameters:
            wrong.append(f"{training.log} has {training.parameters} parameters, counted {counted}")
        elif training.log not in table.recovered:
            whole += 1
    return whole, wrong, f"whole rows; {len(table.recovered)} more, recovered from a glued line, is checked too"


def _bert_counts(folder: Path | None) -> tuple[int, list[str], str]:
    benchmark = FlexiBERT(folder)
    wrong = []
    for row in benchmark.rows:
        counted = count(row.config, reading="scored").parameters
        published = benchmark.metrics.get(row.id, {}).get(PARAMETERS_COLUMN)
        if counted != published:
            wrong.append(f"id {row.id} has {published} parameters, counted {counted}")
    return len(benchmark.rows) - len(wrong), wrong, "hidden size 256 and feed-forward width 1024, as released"


def _bert_sample(folder: Path | None) -> tuple[int, list[str], str]:
    rows = FlexiBERT(folder).rows
    drawn = published_sample(len(rows))
    wrong = [
        f"id {row.id} is not what the sampler draws"
        for row, config in zip(rows, drawn, strict=True)
        if row.config != config
    ]
    return len(rows) - len(wrong), wrong, "seed 0"
