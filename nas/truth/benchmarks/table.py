"""The truth of a table that is a space, too: one column that is searched by, and perhaps one that is reported.

Both are told apart for good: a search asks for the first (``Benchmark.truth``); the second is a benchmark of its own,
``reported``, that only reports look at.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from nas.core.csv_file import csv_path
from nas.core.errors import ZeronasError
from nas.truth.benchmarks.base import Benchmark, Datasheet, Diverged, Entry, Run, named_after
from spaces.base import Space
from spaces.table import Row, TableSpace

__all__ = ["TableBenchmark"]


class TableBenchmark(Benchmark):
    """A column of a table (``space=table``); one entry per architecture, its value the mean of its rows that have one.

    One whose value is missing in all its rows has diverged, for the reason in the column ``reason`` if there is one.

    Args:
        data_dir: not used; the table is a file of its own.
        space: the space of the table.

    Raises:
        ZeronasError: the space is another one, or does not say what is searched by.
    """

    name = "table"
    space = "table"
    metric = "the column space.objective of space.file, a table of yours"
    unit = ""
    higher_is_better = True
    as_told = True

    def __init__(self, data_dir: Path | None, space: Space[Row]) -> None:
        super().__init__(data_dir)
        if not isinstance(space, TableSpace):
            raise ZeronasError(
                f"Benchmark 'table' is the truth of space=table, but space={space.name} was chosen; benchmark=csv "
                "takes a table of architectures of any space."
            )
        self._space = space
        self._of(space.objective)

    def _of(self, column: str) -> None:
        self._column = self.metric = self.unit = column
        self.higher_is_better = self._space.columns.higher(column)
        self.name = named_after("table", csv_path("space.file", self._space.file))

    @property
    def at_hand(self) -> bool:
        """See Benchmark."""
        return os.path.exists(csv_path("space.file", self._space.file))

    @cached_property
    def reported(self) -> Benchmark | None:
        """The benchmark of the column that is reported, if there is one beside the objective."""
        column = self._space.columns.reported
        if column in (None, self._column):
            return None
        made = TableBenchmark(self.data_dir, self._space)
        made._of(column)
        return made

    @property
    def costs(self) -> tuple[str, ...]:
        """The columns of costs."""
        return self._space.columns.costs

    def cost(self, key: str) -> Mapping[str, float]:
        """Returns the mean cost of the trainings of an architecture, column by column."""
        at, means = self._space.place_of(key), self._space.table.means
        return {} if at is None else {c: means[c].values[at] for c in self.costs if at not in means[c].reasons}

    @property
    def caveat(self) -> str:
        """That the metrics were guessed, where they were."""
        table = self._space.table
        if not table.guessed or not table.metrics:
            return ""
        return (
            f"its {len(table.metrics)} columns of numbers without another role are taken for metrics "
            f"({', '.join(table.metrics)}); space.metrics=[...] names them, and must where one of them is a truth"
        )

    @property
    def diverged(self) -> Mapping[str, Diverged]:
        """Those without a value; the reason is that of the first row."""
        return self._read[1]

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Returns the entries in the order of the keys (see ``spaces.table.file``).

        Raises:
            ZeronasError: the table is bad.
        """
        return self._read[0], self._read[2]

    @cached_property
    def _read(self) -> tuple[list[Entry], dict[str, Diverged], Datasheet]:
        table = self._space.table
        cells, means, lines = table.cells[self._column], table.means[self._column], table.file.lines
        entries, diverged, skipped = [], {}, Counter[str]()
        for at, (architecture, rows) in enumerate(zip(table.architectures, table.rows, strict=True)):
            reasons = {row: table.why.get(row) or cells.reasons[row] for row in rows if row in cells.reasons}
            skipped.update(reason.partition(":")[0] for reason in reasons.values())
            key = architecture.key
            if at in means.reasons:
                diverged[key] = Diverged(key, architecture, reasons[rows[0]])
                continue
            values = {row: float(cells.values[row]) for row in rows}
            runs = tuple(Run(f"line {lines[row]}", v) for row, v in values.items() if not math.isnan(v))
            trainings = tuple(None if math.isnan(v) else v for v in values.values()) if reasons else ()
            entries.append(Entry(key, architecture, means.values[at], runs, trainings=trainings))
        path, kept = str(table.file.path), sum(len(entry.runs) for entry in entries)
        sheet = Datasheet(
            title=table.file.path.name,
            source=path,
            licence="its owner's",
            files=(path,),
            rows=kept + sum(skipped.values()),
            kept=kept,
            unique=len(entries),
            skipped=dict(skipped),
        )
        return entries, diverged, sheet
