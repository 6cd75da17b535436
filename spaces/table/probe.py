"""The probe of a table: nothing is run, it reads what the table holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from spaces.record import Need, Needs, Record

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.table.architecture import Row

__all__ = ["TableProbe"]


@dataclass(frozen=True)
class TableProbe:
    """It has no settings."""

    #: what it can be asked for
    gives: ClassVar[frozenset[Need]] = frozenset({"columns", "shapes", "described"})

    def observe(self, space: Space[Any], architecture: Row, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Returns the record of what stands in the row."""
        return Record.of(space, architecture, needs, seed)
