"""Which column of a table is what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le, MinLen

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import Said

__all__ = ["Columns", "Name", "Names", "Sentinels", "Unit"]

#: a column by its name in the header
Name = Annotated[str, Said("the name of a column"), MinLen(1)]
Names = tuple[Name, ...]
#: numbers and words that stand for a missing value
Sentinels = tuple[float | str, ...]
#: how much one unit of a column of sizes counts
Unit = Annotated[float, Gt(0), Le(1e15)]

#: roles beside which a column has no other: what else held the truth would give it away
_ALONE = ("id", "objective", "reported")


@dataclass(frozen=True)
class Columns:
    """The role of each column; see ``TableSpace`` for what they are."""

    id: str
    objective: str
    reported: str | None
    metrics: Names | None
    higher_is_better: Names
    lower_is_better: Names
    costs: Names
    parameters: str | None
    parameters_unit: float
    flops: str | None
    flops_unit: float
    genes: Names
    sentinels: Sentinels

    @property
    def truths(self) -> list[str]:
        """The objective and, where it is another column, what is reported."""
        return list(dict.fromkeys([self.objective, self.reported or self.objective]))

    def named(self) -> Iterator[tuple[str, str]]:
        """Yields (option, column) of all columns that the settings name."""
        for option in ("id", "objective", "reported", "parameters", "flops"):
            if (column := getattr(self, option)) is not None:
                yield option, column
        for option in ("genes", "costs", "metrics", "higher_is_better", "lower_is_better"):
            for column in getattr(self, option) or ():
                yield option, column

    def check(self, header: Sequence[str], file: str) -> None:
        """Checks the settings against the header of the table.

        Raises:
            ZeronasError: a column is missing or named twice, has two roles that exclude each other, or no direction.
        """
        for option, column in self.named():
            if column not in header:
                hint = did_you_mean(column, header)
                raise ZeronasError(f"The table '{file}' has no column '{column}' (space.{option}).{hint}")
        for option in ("genes", "costs", "metrics", "higher_is_better", "lower_is_better"):
            twice = [column for column, count in Counter(getattr(self, option) or ()).items() if count > 1]
            if twice:
                raise ZeronasError(f"space.{option} names the column '{twice[0]}' twice.")
        alone = {column: option for option, column in reversed(list(self.named())) if option in _ALONE}
        for option, column in self.named():
            if column in alone and option != alone[column] and not option.endswith("_is_better"):
                raise ZeronasError(
                    f"The column '{column}' is both space.{alone[column]} and space.{option}, and can only be one of "
                    "them."
                )
        for column in self.truths:
            ways = (column in self.higher_is_better) + (column in self.lower_is_better)
            if ways != 1:
                raise ZeronasError(
                    f"space=table needs to know which values of '{column}' are the better ones, and a silent default "
                    f"could turn every result round: it must stand in either space.higher_is_better=['{column}'] or "
                    f"space.lower_is_better=['{column}'], but it stands in {'both' if ways else 'neither'}."
                )
        both = sorted({*self.higher_is_better} & {*self.lower_is_better})
        if both:
            raise ZeronasError(f"'{both[0]}' stands in space.higher_is_better and in space.lower_is_better.")

    def higher(self, column: str) -> bool:
        """Returns the direction of a column; metrics are better the higher unless they are named as lower."""
        return column not in self.lower_is_better
