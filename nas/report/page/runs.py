"""Run folders as the page reads them: results, the rows of the table, checksums."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.report.finished import read_results, search_results
from nas.report.page.packed import packed_words, room_of

__all__ = ["ROW_BYTES", "Row", "Run", "read_folders"]

#: what the rows of all runs of a page may take in it. Of more, a third are the best by truth, a third the best by the
#: fitness, and the rest is an even share of all others, in the order asked
ROW_BYTES = 5_300_000

_COMMANDS = ("search", "rank", "compare")
_NEEDED = ("space", "benchmark", "proxies", "probe", "selection", "noise", "config", "versions", "seconds")


@dataclass(frozen=True, slots=True)
class Row:
    """One architecture of a run's table.

    Attributes:
        index: place in the order asked, counted as the table does.
        scores: label -> score, None for a failure.
        truth: in the benchmark's unit, None where it is unknown or the training diverged.
        failure: why scores are missing, "" where none is.
        architecture: its JSON, "" where the table has none.
        name: what a table of the user's own calls it, else "".
    """

    index: int
    key: str
    scores: Mapping[str, float | None]
    truth: float | None
    failure: str
    architecture: str
    name: str


@dataclass(frozen=True)
class Run:
    """What a page knows of a finished run.

    Attributes:
        folder: as it was named.
        results: what results.json holds.
        rows: of table.csv in its order; ``left_out`` others are not among them.
        checksums: file -> SHA-256.
    """

    folder: Path
    results: Mapping[str, Any]
    rows: Sequence[Row]
    left_out: int
    checksums: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Labels of the proxies."""
        return list(self.results["proxies"])

    @property
    def benchmark(self) -> Mapping[str, Any]:
        """What a search tells of its benchmark; a ranking tells it elsewhere, and without one it is empty."""
        return (self.results["benchmark"] or {}) if self.results["command"] == "search" else {}

    @property
    def higher_is_better(self) -> bool:
        """Whether a high truth is a good one."""
        of = self.benchmark if self.results["command"] == "search" else self.results
        return bool(of.get("higher_is_better"))

    @property
    def fitness(self) -> str:
        """The proxy that comes first: what was searched by, or the one that ranks best."""
        return str(self.results["fitness"]) if self.results["command"] == "search" else self.labels[0]


def read_folders(folders: Sequence[Path]) -> list[Run]:
    """Returns the searches and rankings of run folders, each once; a comparison stands for the runs it compares.

    Raises:
        ZeronasError: a folder is none, or holds no finished run of these commands, or a file cannot be read.
    """
    named: dict[Path, Mapping[str, Any]] = {}
    for folder in folders:
        results = _results(folder)
        if results["command"] != "compare":
            named[folder] = results
            continue
        for one in results["runs"]:
            named[Path(one)] = _results(Path(one))
    return [_run(folder, results, ROW_BYTES // len(named)) for folder, results in named.items()]


def _results(folder: Path) -> Mapping[str, Any]:
    path, results = folder / "results.json", read_results(folder)
    command = results.get("command") if isinstance(results, dict) else None
    if command not in _COMMANDS:
        raise ZeronasError(
            f"'{path}' is not the result of a search, a ranking or a comparison; a page takes folders that "
            "`zeronas search`, `zeronas rank` and `zeronas compare` made."
        )
    if command == "search":
        return search_results(results, folder)
    missing = [key for key in (_NEEDED if command == "rank" else ("runs",)) if key not in results]
    if missing:
        raise ZeronasError(
            f"'{path}' lacks '{missing[0]}': another version of zeronas wrote it; run it again with this one."
        )
    return {**results, "folder": str(folder)}


def _run(folder: Path, results: Mapping[str, Any], room: int) -> Run:
    """Reads the table of a run, of which its rows may take so many bytes of the page."""
    path = folder / "table.csv"
    run = Run(folder, results, (), 0)
    try:
        kept, left_out = _kept(path, run, room) if path.exists() else ([], 0)  # a comparison needs no tables
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise ZeronasError(f"'{path}' cannot be read ({error}); run it again.") from None
    files = (path, folder / "journal.jsonl")
    checksums = {one.name: _checksum(one) for one in files if one.exists()}
    return Run(folder, results, kept, left_out, checksums)


def _kept(path: Path, run: Run, room: int) -> tuple[list[Row], int]:
    """Returns the rows of a table that are on the page, and how many are not."""
    kept: list[Row] = []
    columns = {label: array("d") for label in run.labels}
    truths, keys, names, reasons = array("d"), list[str](), list[str](), set[str]()
    least = 10 + 5 * (len(columns) + 1)  # bytes, of a key and of numbers of 32 bits: more rows are not kept in memory
    for row in _rows(path, run.labels):
        for label, score in row.scores.items():
            columns[label].append(math.nan if score is None else score)
        truths.append(math.nan if row.truth is None else row.truth)
        reasons.add(row.failure)
        keys.append(row.key)
        names.append(row.name)
        if len(kept) * least <= room:
            kept.append(row)
    count = len(truths)
    numbers = [np.array(column) for column in (*columns.values(), truths)]
    texts = sum(len(json.dumps(packed_words(words))) for words in (keys, names if any(names) else []))
    texts += len(json.dumps(sorted(reasons)))
    if len(kept) == count and room_of(numbers, len(reasons) > 1) + texts <= room:
        return kept, 0
    share = room / (room_of(numbers, len(reasons) > 1, part=True) + texts)
    truth = numbers[-1] if run.higher_is_better else -numbers[-1]
    chosen = _chosen(truth, np.array(columns[run.fitness]), int(share * count))
    return [row for row, is_in in zip(_rows(path, run.labels), chosen, strict=True) if is_in], int((~chosen).sum())


def _chosen(truths: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """Returns which rows are on the page, (rows,).

    Args:
        truths, scores: (rows,), higher is better, NaN where there is none.
        count: of those on the page.
    """
    chosen = np.zeros(len(truths), dtype=bool)
    for values in (truths, scores):
        best = np.argsort(-values, kind="stable")[: count // 3]  # NaN last
        chosen[best[~np.isnan(values[best])]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, count - int(chosen.sum())).astype(int)]] = True
    return chosen


def _rows(path: Path, labels: Sequence[str]) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            yield Row(
                int(row.get("index") or number),
                row["key"],
                {label: _value(row[label]) for label in labels},
                _value(row["truth"]),
                row["failure"],
                row.get("architecture", ""),
                row.get("id") or _id(row.get("architecture", "")),
            )


def _id(architecture: str) -> str:
    """Returns what a table of the user's own calls an architecture, "" for one with a graph."""
    return str(json.loads(architecture)["id"]) if architecture.startswith('{"id":') else ""


def _value(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); run it again.") from None
