"""The table behind the space: a CSV read once, checked cell by cell, its rows grouped by architecture.

A row is a training. Rows of one id are trainings of one architecture: of their objectives, metrics and costs the mean
of those that are there counts, and their genes, parameters and FLOPs must be the same. A number is missing where the
field is empty, NaN, infinite or a sentinel. Architectures are in the order of their keys, which are hashes of the ids:
where the first of equals is taken, a table that is sorted by its truth must not give it away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.core.csv_file import CsvFile
from nas.core.errors import ZeronasError
from nas.core.options import shown
from spaces.rules import Value
from spaces.table.architecture import Row, key_of
from spaces.table.settings import Columns

__all__ = ["Cells", "Means", "Table"]

V = TypeVar("V")


@dataclass(frozen=True)
class Cells:
    """The numbers of a column, row by row of the file; NaN where one is missing, for the reason of that row."""

    values: NDArray[np.float64]
    reasons: dict[int, str]


@dataclass(frozen=True)
class Means:
    """The numbers of a column, architecture by architecture; NaN where all are missing, for the first one's reason."""

    values: list[float]
    reasons: dict[int, str]


class Table:
    """A table of architectures.

    Args:
        path: of the CSV.
        columns: which column is what.

    Attributes:
        architectures: in the order of their keys.
        place: id -> place among them.
        rows: for each architecture its rows in the file, from 0, in order.
        genes: name -> the values that stand in the table, numbers or texts in increasing order.
        codes: (genes, architectures) place of each one's value among these.
        metrics: names of the columns of scores.
        guessed: whether the metrics are what was left over.
        cells: column of numbers -> what stands in it.
        means: the same -> their means over the rows of each architecture.
        why: row of the file -> what stands in its column "reason", if there is one.
        sizes: "parameters" and "flops", those that are given -> one whole number for each architecture.

    Raises:
        ZeronasError: the file cannot be read, or something in it is wrong; the sentence names line, column and reason.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.file, self.columns = CsvFile(path), columns
        columns.check(self.file.header, str(path))
        self._fields = dict(zip(self.file.header, zip(*self.file.rows, strict=True), strict=True))
        self._words = {word.strip() for word in columns.sentinels if isinstance(word, str)}
        self._numbers = {float(number) for number in columns.sentinels if not isinstance(number, str)}
        grouped = self._grouped()
        self.rows = list(grouped.values())
        self._repeated = [at for at, rows in enumerate(self.rows) if len(rows) > 1]
        self.genes, self.codes, genes = self._read_genes()
        self.architectures = [
            Row(id, tuple(zip(self.genes, own, strict=True))) for id, own in zip(grouped, genes, strict=True)
        ]
        self.place = {id: at for at, id in enumerate(grouped)}
        self.guessed = columns.metrics is None
        self.metrics = self._left_over() if columns.metrics is None else columns.metrics
        numeric = dict.fromkeys([*columns.truths, *columns.costs, *self.metrics])
        self.cells = {column: self._read_numbers(column) for column in numeric}
        for option, column in (("objective", columns.objective), ("reported", columns.reported)):
            if column is not None and np.isnan(self.cells[column].values).all():
                raise ZeronasError(f"The column '{column}' (space.{option}) of '{path}' has no value in any row.")
        for column in [*self.metrics, *columns.costs]:
            if np.isnan(self.cells[column].values).all():
                raise ZeronasError(f"The column '{column}' of '{path}' has no value in any row; leave it out.")
        self.sizes = {
            option: self._read_sizes(option, column, unit)
            for option, column, unit in (
                ("parameters", columns.parameters, columns.parameters_unit),
                ("flops", columns.flops, columns.flops_unit),
            )
            if column is not None
        }
        self.means = {column: self._averaged(cells) for column, cells in self.cells.items()}
        self.why = {row: text.strip() for row, text in enumerate(self._fields.get("reason", ())) if text.strip()}
        del self._fields
        self.file.rows.clear()  # all that is needed of them is read

    def _grouped(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, text in enumerate(self._fields[self.columns.id]):
            if not (id := text.strip()):
                raise self.file.wrong(self.file.lines[row], self.columns.id, "the architecture's id is empty.")
            found.setdefault(id, []).append(row)
        return dict(sorted(found.items(), key=lambda item: key_of(item[0])))

    def _same(self, column: str, rows: list[int], values: Sequence[V]) -> V:
        """Returns what all rows of an architecture say in a column, whose values are given row by row.

        Raises:
            ZeronasError: they differ.
        """
        first = values[rows[0]]
        for row in rows[1:]:
            if (other := values[row]) != first:
                id = self._fields[self.columns.id][row].strip()
                raise self.file.wrong(
                    self.file.lines[row],
                    column,
                    f"it is {shown(other)}, but line {self.file.lines[rows[0]]} has {shown(first)} for the same "
                    f"architecture {shown(id)}.",
                )
        return first

    def _read_genes(self) -> tuple[dict[str, tuple[Value, ...]], NDArray[np.int32], list[tuple[Value, ...]]]:
        values: dict[str, tuple[Value, ...]] = {}
        codes = np.zeros((len(self.columns.genes), len(self.rows)), dtype=np.int32)
        held: list[list[Value]] = []
        for at, name in enumerate(self.columns.genes):
            texts = [text.strip() for text in self._fields[name]]
            if "" in texts:
                why = "it is empty, but every architecture needs a value of its genes; write one, such as none."
                raise self.file.wrong(self.file.lines[texts.index("")], name, why)
            read = _read_as(set(texts))
            every = [read[text] for text in texts]
            held.append([self._same(name, rows, every) for rows in self.rows])
            values[name] = tuple(sorted(set(held[-1])))  # all numbers, or all texts
            place = {value: code for code, value in enumerate(values[name])}
            codes[at] = [place[value] for value in held[-1]]
        own: Iterable[tuple[Value, ...]] = zip(*held, strict=True) if held else [()] * len(self.rows)
        return values, codes, list(own)

    def _left_over(self) -> tuple[str, ...]:
        """Returns the columns of numbers that have no role.

        Raises:
            ZeronasError: most of what stands in one is a number, but not all.
        """
        taken = {column for option, column in self.columns.named() if not option.endswith("_is_better")}
        return tuple(c for c in self.file.header if c not in taken and self._is_numeric(c))

    def _is_numeric(self, column: str) -> bool:
        numbers, wrong = 0, []
        for row, text in enumerate(self._fields[column]):
            try:
                _, reason = self._number(text)
            except ValueError:
                wrong.append(row)
                continue
            numbers += not reason
        if numbers and wrong and numbers > len(wrong):
            self._read_numbers(column)  # which tells what is wrong
        return bool(numbers) and not wrong

    def _number(self, text: str) -> tuple[float, str]:
        """Returns a number, and why it is missing, else "".

        Raises:
            ValueError: it is another text.
        """
        text = text.strip()
        if not text:
            return math.nan, "no value"
        if text in self._words:
            return math.nan, f"the value is {shown(text)}"
        value = float(text)
        if not math.isfinite(value) or value in self._numbers:
            return math.nan, f"the value is {text}"
        return value, ""

    def _read_numbers(self, column: str) -> Cells:
        texts, reasons = self._fields[column], dict[int, str]()
        values, asked = np.empty(len(texts)), list(range(len(texts)))
        if not self._words:
            with suppress(ValueError):  # most columns hold numbers alone, which saves a call for each
                values = np.array(list(map(float, texts)))
                asked = np.flatnonzero(~np.isfinite(values) | np.isin(values, list(self._numbers))).tolist()
        for row in asked:
            try:
                values[row], reason = self._number(texts[row])
            except ValueError:
                why = f"it is {shown(texts[row].strip(), 40)}, but a number is needed."
                raise self.file.wrong(self.file.lines[row], column, why) from None
            if reason:
                reasons[row] = reason
        return Cells(values, reasons)

    def _averaged(self, cells: Cells) -> Means:
        every = cells.values.tolist()
        values = [every[rows[0]] for rows in self.rows]
        for at in self._repeated:
            there = [value for row in self.rows[at] if not math.isnan(value := every[row])]
            values[at] = math.fsum(there) / len(there) if there else math.nan
        reasons = {at: cells.reasons[self.rows[at][0]] for at in np.flatnonzero(np.isnan(values)).tolist()}
        return Means(values, reasons)

    def _read_sizes(self, option: str, column: str, unit: float) -> list[int]:
        """Returns a whole number of 1 or more for each architecture.

        Raises:
            ZeronasError: one is missing, or none of these.
        """
        cells = self._read_numbers(column)
        every = cells.values.tolist()
        for row, value in enumerate(every):
            line = self.file.lines[row]
            if math.isnan(value):
                raise self.file.wrong(line, column, f"{cells.reasons[row]}, but space.{option} needs one in every row.")
            if unit == 1 and not value.is_integer():
                why = f"it is {value:g}, but a whole number is needed; space.{option}_unit=1e6 if it is in millions."
                raise self.file.wrong(line, column, why)
            if round(value * unit) < 1:
                why = f"it is {value:g}, which is {value * unit:g} {option}, but 1 or more are needed."
                raise self.file.wrong(line, column, why)
        return [round(self._same(column, rows, every) * unit) for rows in self.rows]


def _read_as(texts: set[str]) -> dict[str, Value]:
    """Returns text -> value of a gene: whole numbers where all are, else numbers, else the texts themselves."""
    for kind in (int, float):
        try:
            found: dict[str, Value] = {text: kind(text) for text in texts}
        except ValueError:
            continue
        if len(set(found.values())) == len(texts) and all(math.isfinite(value) for value in found.values()):  # type: ignore[arg-type]
            return found
    return {text: text for text in texts}
