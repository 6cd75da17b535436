"""Any table as a benchmark: a CSV with an architecture and a value in each row, of whichever space reads them.

A row is a training. Rows of equal architectures are trainings of one; a value that is empty, NaN or infinite is that of
a training that diverged, for the reason in the column ``reason`` if there is one. Nothing is skipped silently.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from nas.core.csv_file import CsvFile, csv_path
from nas.core.errors import ZeronasError, did_you_mean
from nas.truth.benchmarks.base import Benchmark, Datasheet, Diverged, Entry, Run, named_after
from spaces.base import Space

__all__ = ["CsvTable"]


class CsvTable(Benchmark):
    """A CSV of the user's own; one entry per unique architecture, its value the mean of its finite ones.

    Args:
        data_dir: not used; ``file`` is a path of its own.
        space: the space that reads the architectures.
        file: UTF-8, comma-separated, with a header.
        value: name of the column that holds the value of each training.
        higher_is_better: direction of the value; there is no default, for a wrong one would turn every result round.
        architecture: name of the column that holds the architecture as JSON.
        metric: what the value is, for reports (default: the column's name).
        unit: of the value, for reports (default: the column's name).

    Raises:
        ZeronasError: an argument is missing or wrong.
    """

    name = "csv"
    space = ""  # any
    metric = "the column benchmark.value of benchmark.file, a table of yours"
    unit = ""
    higher_is_better = False
    as_told = True

    def __init__(
        self,
        data_dir: Path | None,
        space: Space[Any],
        file: str | None = None,
        value: str | None = None,
        higher_is_better: bool | None = None,
        architecture: str = "architecture",
        metric: str | None = None,
        unit: str | None = None,
    ) -> None:
        super().__init__(data_dir)
        self.path = csv_path("benchmark.file", file)
        if not isinstance(higher_is_better, bool):
            raise ZeronasError(
                "benchmark=csv needs to know which values are the better ones: benchmark.higher_is_better must be true "
                f"or false, but got {higher_is_better!r}."
            )
        self.space, self._parse = space.name, space.parse
        self.value_column = _text("value", value, "the name of a column, such as benchmark.value=loss")
        self.architecture_column = _text("architecture", architecture, "the name of a column of JSON")
        self.higher_is_better = higher_is_better
        self.metric = self.value_column if metric is None else _text("metric", metric, "a text")
        self.unit = self.value_column if unit is None else _text("unit", unit, "a text")
        self.name = named_after("csv", self.path)

    @property
    def at_hand(self) -> bool:
        """See Benchmark."""
        return os.path.exists(self.path)  # False for a name that is too long

    @property
    def diverged(self) -> dict[str, Diverged]:
        """See Benchmark; the reason is that of the first training."""
        return self._read[1]

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads the table strictly; entries are in the order of their first row.

        Raises:
            ZeronasError: the file cannot be read, has no such column, no row or no finite value, or a row is wrong.
        """
        entries, _, datasheet = self._read
        return entries, datasheet

    @cached_property
    def _read(self) -> tuple[list[Entry], dict[str, Diverged], Datasheet]:
        parse = cache(self._parse)
        members: dict[str, Any] = {}
        runs: dict[str, list[Run]] = {}
        reasons: dict[str, list[str]] = {}
        for line, row in self._rows():
            text = row[self.architecture_column]
            try:
                architecture = parse(text)
            except ZeronasError as error:
                raise self._wrong(line, self.architecture_column, str(error)) from None
            key = architecture.key
            if row.get("key", "") not in ("", key):
                raise self._wrong(line, "key", f"it is {row['key']!r}, but the architecture's key is {key!r}.")
            members.setdefault(key, architecture)
            value, reason = self._value(line, row)
            if reason:
                reasons.setdefault(key, []).append(reason)
            else:
                runs.setdefault(key, []).append(Run(f"line {line}", value))
        if not runs:
            raise ZeronasError(f"The column '{self.value_column}' of '{self.path}' has no finite value in any row.")
        entries = [
            Entry(key, members[key], math.fsum(run.value for run in runs[key]) / len(runs[key]), tuple(runs[key]))
            for key in members
            if key in runs
        ]
        diverged = {key: Diverged(key, members[key], reasons[key][0]) for key in members if key not in runs}
        skipped = Counter(reason.partition(":")[0] for found in reasons.values() for reason in found)
        kept = sum(map(len, runs.values()))
        datasheet = Datasheet(
            title=self.path.name,
            source=str(self.path),
            licence="its owner's",
            files=(str(self.path),),
            rows=kept + sum(skipped.values()),
            kept=kept,
            unique=len(entries),
            skipped=dict(skipped),
        )
        return entries, diverged, datasheet

    def _value(self, line: int, row: dict[str, str]) -> tuple[float, str]:
        """Returns a row's value, and why it is none, else ""."""
        text = row[self.value_column].strip()
        try:
            value = float(text or "nan")
        except ValueError:
            raise self._wrong(line, self.value_column, f"it is {text[:40]!r}, but a number is needed.") from None
        if math.isfinite(value):
            return value, ""
        return value, row.get("reason", "").strip() or ("no value" if not text else f"the value is {text}")

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yields the number of the line on which a row ends, and the row.

        Raises:
            ZeronasError: the file is no table with these columns.
        """
        found = CsvFile(self.path, "each training")
        for option, column in (("value", self.value_column), ("architecture", self.architecture_column)):
            if column not in found.header:
                hint = did_you_mean(column, found.header)
                raise ZeronasError(f"The table '{self.path}' has no column '{column}' (benchmark.{option}).{hint}")
        for line, fields in zip(found.lines, found.rows, strict=True):
            yield line, dict(zip(found.header, fields, strict=True))

    def _wrong(self, line: int, column: str, why: str) -> ZeronasError:
        return ZeronasError(f"Line {line} of '{self.path}', column '{column}': {why}")


def _text(option: str, value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ZeronasError(f"benchmark.{option} must be {what}, but got {value!r}.")
    return value
