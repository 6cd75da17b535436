"""Metrics that somebody computed before: the columns of a table whose rows are the architectures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["Column", "Columns"]

#: what stands in a run's tables beside the scores
_TAKEN = ("key", "truth", "runs", "index", "failure", "architecture")


class _Read(Proxy):
    """Reads a column; which one, the table may have to tell."""

    source = "the table"
    needs = frozenset({"columns"})
    column: str | None

    def __call__(self, record: Record) -> float:
        """Returns what stands there, its sign turned where lower is better; the first column where none is named."""
        name = next(iter(record.columns), None) if self.column is None else self.column
        if name is None or name not in record.columns:
            raise ProxyFailure(f"no column {name}")
        reading = record.columns[name]
        if reading.value is None:
            raise ProxyFailure(reading.reason)
        return reading.value if reading.higher_is_better else -reading.value

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Finds out whether the table has the column.

        Raises:
            ZeronasError: it has not.
        """
        _checked(self.name, [] if self.column is None else [self.column], space)
        return self


@PROXIES.register("column")
class Column(_Read):
    """One metric column of a table, by its name.

    Args:
        column: its name; null: the first.
    """

    name = "column"
    title = "a column"

    @validated
    def __init__(self, column: str | None = None) -> None:
        self.column = column


@PROXIES.register("columns")
class Columns(_Read):
    """All metric columns of a table, each a proxy that is called as the column is; the first is the fitness.

    Args:
        columns: their names, in the order wanted; null: all, in the order of the table.
    """

    name = "columns"
    title = "the columns"

    @validated
    def __init__(self, columns: tuple[str, ...] | None = None) -> None:
        self.columns = columns
        self.column = columns[0] if columns else None

    def expanded(self, label: str, space: Space[Any]) -> Mapping[str, Proxy]:
        """Returns label -> proxy of each column; letters that no label has are underscores there.

        Raises:
            ZeronasError: there is none, or no such column, or two would have one label.
        """
        if "columns" not in getattr(space.probe, "gives", ()):
            return {label: self}  # which is then told that the space has none
        wanted = space.metrics if self.columns is None else self.columns
        _checked(self.name, wanted, space)
        if not wanted:
            raise ZeronasError("Proxy 'columns' was given none of the table's columns; proxy=random ranks at random.")
        found: dict[str, Proxy] = {}
        for column in wanted:
            plain = re.sub(r"[^\w.,=+@ -]", "_", column)[:60]
            plain = plain if re.match(r"\w", plain) and plain not in _TAKEN else f"column_{plain}"[:60]
            if plain in found:
                raise ZeronasError(
                    f"Proxy 'columns' has two columns that would both be called '{plain}'; name those wanted with "
                    "proxies.columns.columns=[...], and the others with proxy=column under labels of their own."
                )
            found[plain] = Column(column)
        return found


def _checked(name: str, columns: Sequence[str], space: Space[Any]) -> None:
    held = space.metrics
    if not held:
        raise ZeronasError(
            f"Proxy '{name}' needs a column of metrics, but the table has none beside those that have another role; "
            "proxy=random ranks at random."
        )
    for column in columns:
        if column not in held:
            raise ZeronasError(f"The table has no metric '{column}'.{did_you_mean(column, held)}")
