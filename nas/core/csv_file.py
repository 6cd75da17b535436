"""A CSV file of the user's own, read strictly: an error names the line and the reason."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.options import shown

__all__ = ["CsvFile", "csv_path", "fingerprint"]


def csv_path(option: str, file: Any) -> Path:
    """Returns the path that an option names, ``~`` expanded.

    Raises:
        ZeronasError: it is no text, or an empty one.
    """
    if not isinstance(file, str) or not file.strip():
        example = f"{option}=my_table.csv"
        raise ZeronasError(f"{option} must be a CSV file, such as {example}, but got {shown(file)}.")
    return Path(os.path.expanduser(file))


def fingerprint(path: Path) -> str:
    """Returns the first half of the SHA-256 of a file, which tells whether it is still the same.

    Raises:
        ZeronasError: it cannot be read.
    """
    return _half_hash(_content(path))


def _half_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


class CsvFile:
    """UTF-8, comma-separated, with a header; what stands in it is read once, when it is made.

    Args:
        path: of the file.
        row: what a row stands for, for the sentence about a file that has none.

    Attributes:
        header: names of the columns, without the blanks around them.
        rows: the fields of each row, as many as the header has; empty lines are left out.
        lines: for each row the number of the line on which it ends.
        sha256: its ``fingerprint``.

    Raises:
        ZeronasError: the file cannot be read, or is no such table.
    """

    def __init__(self, path: Path, row: str = "each architecture") -> None:
        self.path = path
        content = _content(path)
        self.sha256 = _half_hash(content)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ZeronasError(f"Line {line} of the table '{path}' is not UTF-8 text.") from None
        self.header: list[str] = []
        self.rows: list[list[str]] = []
        self.lines: list[int] = []
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            for fields in reader:
                if not fields:
                    continue
                if not self.header:
                    self.header = self._header(fields)
                    continue
                if len(fields) != len(self.header):
                    raise ZeronasError(
                        f"Line {reader.line_num} of '{path}' has {len(fields)} fields, expected {len(self.header)}."
                    )
                self.rows.append(fields)
                self.lines.append(reader.line_num)
        except csv.Error as error:
            raise ZeronasError(f"Line {reader.line_num} of '{path}' cannot be read as CSV ({error}).") from None
        if not self.rows:
            raise ZeronasError(f"The table '{path}' has no rows; expected a header, and a row for {row}.")

    def _header(self, fields: list[str]) -> list[str]:
        header = [field.strip() for field in fields]
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise ZeronasError(f"The table '{self.path}' has the column '{twice[0]}' twice.")
        return header

    def wrong(self, line: int, column: str, why: str) -> ZeronasError:
        """Returns the sentence about a field; ``why`` ends with a full stop."""
        return ZeronasError(f"Line {line} of '{self.path}', column '{column}': {why}")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ZeronasError(f"The table '{path}' cannot be read ({reason}).") from None
