"""Run folders as the page reads them: results, the rows of the table, checksums."""

from __future__ import annotations

import csv
import hashlib
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.report.finished import read_results, search_results

__all__ = ["MOST", "Row", "Run", "read_folders"]

#: rows of one run that a page holds; of more, those with a truth come first, then the best by the fitness
MOST = 20_000

_COMMANDS = ("search", "rank", "compare")
_NEEDED = ("space", "benchmark", "proxies", "probe", "selection", "noise", "config", "versions", "seconds")


@dataclass(frozen=True)
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
    return [_run(folder, results) for folder, results in named.items()]


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


def _run(folder: Path, results: Mapping[str, Any]) -> Run:
    path, labels = folder / "table.csv", list(results["proxies"])
    fitness = results["fitness"] if results["command"] == "search" else labels[0]

    def matter(row: Row) -> tuple[bool, float]:
        score = row.scores[fitness]
        return row.truth is not None, -math.inf if score is None else score

    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in _rows(path, labels):
            count += 1
            yield row

    try:
        kept = heapq.nlargest(MOST, counted(), key=matter) if path.exists() else []  # a comparison needs no tables
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise ZeronasError(f"'{path}' cannot be read ({error}); run it again.") from None
    kept.sort(key=lambda row: row.index)
    files = (path, folder / "journal.jsonl")
    checksums = {one.name: _checksum(one) for one in files if one.exists()}
    return Run(folder, results, kept, count - len(kept), checksums)


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
                row.get("id", ""),
            )


def _value(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); run it again.") from None
