"""Tables of a report, for the terminal and in Markdown, and how the numbers in them are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nas.core.errors import printable
from nas.core.files import number

__all__ = ["estimate", "failures", "markdown_table", "mean_and_error", "point", "text_table"]

Rows = Sequence[Sequence[str]]


def text_table(header: Sequence[str], rows: Rows, right: Collection[int] = ()) -> list[str]:
    """Returns the lines of a table in columns that are two spaces apart.

    Args:
        right: the columns that are aligned to the right, counted from 0.
    """
    everything = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in everything
    ]


def markdown_table(header: Sequence[str], rows: Rows) -> list[str]:
    """Returns the lines of a table in Markdown; a bar in a cell is written so that it ends none."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"

    return [line(header), "|" + "---|" * len(header), *map(line, rows)]


def estimate(judged: Mapping[str, Any] | None, of: str = "tau", signed: bool = False) -> str:
    """Returns an estimate of a judged agreement and its 95% interval, "n/a" where there is none or it is NaN.

    Args:
        judged: an ``Agreement`` as a mapping; numbers that are not finite may be None.
        of: "tau" or "rho".
        signed: with a plus where it is positive.
    """
    if not judged or judged.get(of) is None or judged[of] != judged[of]:
        return "n/a"
    form = "+.3f" if signed else ".3f"
    low, high = judged[f"{of}_interval"]
    value = f"{judged[of]:{form}}"
    return value if low is None or high is None or low != low else f"{value} [{low:{form}}, {high:{form}}]"


def point(judged: Mapping[str, Any] | None, of: str = "tau") -> str:
    """Returns an estimate as ``estimate`` does, without its interval."""
    return "n/a" if not judged or judged.get(of) is None or judged[of] != judged[of] else f"{judged[of]:.3f}"


def failures(judged: Mapping[str, Any]) -> str:
    """Returns how many failures for which reason, "0" for none."""
    return ", ".join(f"{count} {reason}" for reason, count in judged["failures"].items()) or "0"


def mean_and_error(spread: Mapping[str, Any], digits: int = 3) -> str:
    """Returns a mean over seeds and its standard error, which one seed does not have."""
    error = number(spread["standard_error"], 2) if len(spread["values"]) > 1 else "n/a"
    return f"{number(spread['mean'], digits)} +- {error}"
