"""The space of a table's rows: drawn uniformly, edited and recombined by their genes, and never left."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nas.core.csv_file import csv_path
from nas.core.errors import ZeronasError
from nas.core.options import shown, validated
from spaces.base import Counts, Reading, Space
from spaces.rules import Feature, Rule, Value
from spaces.table.architecture import Row
from spaces.table.file import Table
from spaces.table.probe import TableProbe
from spaces.table.settings import Columns, Name, Names, Sentinels, Unit

if TYPE_CHECKING:
    import torch

__all__ = ["TableSpace"]


class TableSpace(Space[Row]):
    """The architectures of a CSV of the user's own, which is their benchmark, too (``nas.truth.benchmarks.table``).

    The file is read when something in it is first needed. Without genes all architectures are equally unlike: a
    mutation is another one at random.

    Args:
        file: UTF-8, comma-separated, with a header; a row is a training of an architecture.
        id: column of the architecture's id.
        objective: column of the value that is searched by.
        reported: column of the value that reports tell beside it and no search sees; null: none.
        metrics: columns of scores (``proxy=columns``); null: all columns of numbers that have no other role.
        higher_is_better, lower_is_better: columns by direction. The objective and what is reported must stand in one;
            metrics are better the higher, unless they stand in the latter.
        costs: columns of what a training cost, such as seconds.
        parameters, flops: columns of sizes; null: not known.
        parameters_unit, flops_unit: what one unit of them counts; 1e6 where they are in millions.
        genes: columns of categories, in order; those that differ in one of them are neighbours.
        sentinels: numbers and words that stand for a missing value, beside empty, NaN and infinite ones.

    Raises:
        ZeronasError: an option is not of its type. What is wrong with the file is told when it is read.
    """

    name = "table"
    probe = TableProbe
    benchmarks = ("table",)
    key_pattern = "table-[0-9a-f]{16}"

    @validated
    def __init__(
        self,
        file: str | None = None,
        id: Name = "architecture",
        objective: Name | None = None,
        reported: Name | None = None,
        metrics: Names | None = None,
        higher_is_better: Names = (),
        lower_is_better: Names = (),
        costs: Names = (),
        parameters: Name | None = None,
        parameters_unit: Unit = 1,
        flops: Name | None = None,
        flops_unit: Unit = 1,
        genes: Names = (),
        sentinels: Sentinels = (),
    ) -> None:
        self.file, self.rule = file, Rule()
        self._objective = objective
        self.columns = Columns(
            id, objective or "", None if reported == objective else reported, metrics, higher_is_better,
            lower_is_better, costs, parameters, parameters_unit, flops, flops_unit, genes, sentinels,
        )  # fmt: skip

    @cached_property
    def table(self) -> Table:
        """What the file holds, read once.

        Raises:
            ZeronasError: ``file`` or ``objective`` is not given, or the table is bad.
        """
        path, _ = csv_path("space.file", self.file), self.objective
        return Table(path, self.columns)

    @property
    def objective(self) -> str:
        """The column that is searched by.

        Raises:
            ZeronasError: it is not given.
        """
        if self._objective is None:
            raise ZeronasError(
                "space=table needs space.objective, the column that is searched by, such as space.objective=accuracy "
                "space.higher_is_better=[accuracy]."
            )
        return self._objective

    @property
    def metrics(self) -> tuple[str, ...]:
        """The table's columns of scores."""
        return self.table.metrics

    @property
    def counted(self) -> bool:
        """Whether a column of parameters is named."""
        return self.columns.parameters is not None

    @property
    def fingerprint(self) -> str:
        """That of the file."""
        return self.table.file.sha256

    def named(self, text: str) -> Row | None:
        """Returns the architecture of an id or a key, or None."""
        at = self.table.place.get(text.strip(), self.place_of(text))
        return None if at is None else self.table.architectures[at]

    def place_of(self, key: str) -> int | None:
        """Returns the place of an architecture in the table by its key, or None."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {row.key: at for at, row in enumerate(self.table.architectures)}

    def members(self) -> Sequence[Row]:
        """Returns the rows that the reduction allows."""
        return [self.table.architectures[at] for at in self._allowed]

    def size(self) -> int:
        """Returns how many they are."""
        return len(self._allowed)

    @property
    def feature_specs(self) -> Mapping[str, Feature]:
        """The genes, and the columns of parameters and FLOPs by their own names; none without a file."""
        if self.file is None:
            return {}
        genes = {name: Feature(values, doc=f"gene {name}") for name, values in self.table.genes.items()}
        sizes = {column: Feature(low=1, doc=option) for option, column in self._size_columns.items()}
        return {**sizes, **genes}

    @property
    def _size_columns(self) -> dict[str, str]:
        given = {"parameters": self.columns.parameters, "flops": self.columns.flops}
        return {option: column for option, column in given.items() if column is not None}

    def describe(self, architecture: Row) -> dict[str, Any]:
        """Returns feature name -> value."""
        at = self._at(architecture)
        sizes = {column: self.table.sizes[option][at] for option, column in self._size_columns.items()}
        return {**sizes, **dict(architecture.genes)}

    def _at(self, architecture: Row) -> int:
        at = self.table.place.get(architecture.id)
        if at is None:
            raise ZeronasError(f"The table '{self.file}' has no architecture {shown(architecture.id)}.")
        return at

    def parse(self, data: Any) -> Row:
        """Reads ``{"id": ...}``; genes that stand beside the id must be the table's.

        Raises:
            ZeronasError: malformed, no such id, or other genes.
        """
        if isinstance(data, Row):
            data = data.to_json()
        if isinstance(data, (str, bytes)):
            try:
                data = json.loads(data)
            except (ValueError, RecursionError):
                raise ZeronasError(f"The architecture {shown(data)} is no valid JSON.") from None
        id = data.get("id") if isinstance(data, Mapping) and set(data) <= {"id", "genes"} else None
        if isinstance(id, int) and not isinstance(id, bool):
            id = str(id)
        if not isinstance(id, str):
            raise ZeronasError(
                'An architecture of a table is an object with its id, such as {"id": "17"}, and its genes if wanted, '
                f"but got {shown(data)}."
            )
        found = self.table.architectures[self._at(Row(id))]
        genes = data.get("genes", dict(found.genes))
        if genes != dict(found.genes):
            raise ZeronasError(
                f"The architecture {shown(id)} has other genes in '{self.file}' than {shown(genes)}: "
                f"{shown(dict(found.genes), 200)}."
            )
        return found

    def reduce(self, conditions: Mapping[str, Any] | None) -> TableSpace:
        """Returns this space restricted further.

        Raises:
            ZeronasError: malformed conditions, or a feature is left without any value.
        """
        if not conditions:
            return self
        made = copy.copy(self)
        made.rule = self.rule.restricted(Rule.parse(conditions, self.feature_specs, self.name))
        for name in ("_allowed", "_codes", "_twins"):
            made.__dict__.pop(name, None)
        return made

    def features(self, architecture: Row) -> NDArray[np.float64]:
        """Returns half-valued one-hots of the genes: the L1 distance is how many differ. Without genes a 0 alone."""
        found: NDArray[np.float64] = self._features[self._at(architecture)]
        return found

    @cached_property
    def _features(self) -> NDArray[np.float64]:
        blocks = [
            0.5 * (codes[:, None] == np.arange(len(values)))
            for codes, values in zip(self.table.codes, self.table.genes.values(), strict=True)
        ]
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(self.table.architectures), 1))

    def counts(self, architecture: Row) -> Counts:
        """Returns what the columns of sizes say; depth and width are not known."""
        at, sizes = self._at(architecture), self.table.sizes
        parameters, flops = (sizes[of][at] if of in sizes else None for of in ("parameters", "flops"))
        return Counts(parameters, flops, None, None)

    def readings(self, architecture: Row) -> dict[str, Reading]:
        """Returns what each metric's column says, the mean over the rows of the architecture."""
        at, higher = self._at(architecture), self.columns.higher
        return {
            name: Reading(None, higher(name), means.reasons[at])
            if at in (means := self.table.means[name]).reasons
            else Reading(means.values[at], higher(name))
            for name in self.metrics
        }

    def build(self, architecture: Row, **sizes: Any) -> torch.nn.Module:
        """A table holds no networks.

        Raises:
            ZeronasError: always.
        """
        return self._no_networks()

    def _no_networks(self) -> NoReturn:
        raise ZeronasError("Space 'table' holds what was measured of networks, and no networks.")

    @cached_property
    def _allowed(self) -> NDArray[np.int64]:
        """Places of the architectures that the reduction allows."""
        rows = self.table.architectures
        return np.array([at for at, row in enumerate(rows) if self.contains(row)], dtype=np.int64)

    @cached_property
    def _codes(self) -> NDArray[np.int32]:
        """(genes, allowed) values of the allowed ones."""
        return np.ascontiguousarray(self.table.codes[:, self._allowed])

    @cached_property
    def _twins(self) -> int:
        """The largest number of allowed architectures with the same genes."""
        if not len(self._codes):
            return max(1, len(self._allowed))
        return int(np.unique(self._codes, axis=1, return_counts=True)[1].max(initial=1))

    def _apart(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns in how many genes each allowed architecture differs from some values of all genes."""
        apart = np.zeros(len(self._allowed), dtype=np.int64)
        for column, value in zip(self._codes, codes, strict=True):
            apart += column != value
        return apart

    def _near(self, codes: NDArray[np.int32], *others: Row) -> NDArray[np.int64]:
        """Returns the places of the nearest allowed architectures that are none of ``others``."""
        apart = self._apart(codes)
        for other in others:
            apart[self._allowed == self._at(other)] = len(self._codes) + 1
        nearest = apart.min(initial=len(self._codes) + 1)
        return self._allowed[apart == nearest] if nearest <= len(self._codes) else self._allowed[:0]

    def _edits(self, architecture: Row) -> NDArray[np.int64]:
        """Returns the places of those that differ in one gene at most, or of the nearest where there is none."""
        codes = self.table.codes[:, self._at(architecture)]
        found = self._allowed[self._apart(codes) <= 1]
        found = found[found != self._at(architecture)]
        return found if len(found) else self._near(codes, architecture)

    def neighbours(self, architecture: Row) -> Iterator[Row]:
        """Yields the others that differ in one gene at most, or, where there is none, the nearest."""
        for at in self._edits(architecture):
            yield self.table.architectures[at]

    def _drawn(self, places: NDArray[np.int64], rng: np.random.Generator) -> Row | None:
        return self.table.architectures[places[rng.integers(len(places))]] if len(places) else None

    def _sample(self, rng: np.random.Generator) -> Row | None:
        return self._drawn(self._allowed, rng)

    def _mutate(self, architecture: Row, rng: np.random.Generator) -> Row | None:
        return self._drawn(self._edits(architecture), rng)

    def _crossover(self, first: Row, second: Row, rng: np.random.Generator) -> Row | None:
        """Takes each gene from either parent; of the others, one of the nearest to that."""
        parents = self.table.codes[:, [self._at(first), self._at(second)]]
        child = parents[np.arange(len(parents)), rng.integers(2, size=len(parents))]
        return self._drawn(self._near(child, first, second), rng)

    @property
    def encoding(self) -> Mapping[str, tuple[Value, ...]]:
        """The genes; where several rows have the same, or there are none, "(architecture)" chooses.

        Raises:
            ZeronasError: the reduction leaves nothing.
        """
        if not len(self._allowed):
            raise ZeronasError(f"No architecture of the table obeys the reduction {self.rule.to_json()}; widen it.")
        which = {"(architecture)": tuple(range(self._twins))} if self._twins > 1 else {}
        return {**self.table.genes, **which}

    def encode(self, architecture: Row) -> dict[str, Value] | None:
        """See Space: None for a row that the reduction forbids."""
        at = self._at(architecture)
        twins = list(self._near(self.table.codes[:, at]))
        if at not in twins:
            return None
        return {**dict(architecture.genes), **({"(architecture)": twins.index(at)} if self._twins > 1 else {})}

    def _decode(self, code: Mapping[str, Value]) -> Row:
        chosen = [values.index(code[name]) for name, values in self.table.genes.items()]
        nearest = self._near(np.array(chosen, dtype=np.int32))
        return self.table.architectures[nearest[int(code.get("(architecture)", 0)) % len(nearest)]]
