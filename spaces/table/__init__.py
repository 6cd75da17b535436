"""A user's table as a search space: its rows are the architectures, and all that is known of them stands in it."""

from spaces.table.architecture import Row
from spaces.table.file import Table
from spaces.table.probe import TableProbe
from spaces.table.space import TableSpace

__all__ = ["Row", "Table", "TableProbe", "TableSpace"]
