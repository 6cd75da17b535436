"""Files of a run folder: written whole or not at all; numbers in full precision, the same on every run."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from nas import __version__
from nas.core.errors import ZeronasError

__all__ = [
    "command_line",
    "commanded",
    "number",
    "plain",
    "replacing",
    "versions",
    "write_csv",
    "write_json",
    "write_text",
]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside ``path`` that takes its place when the block ends well.

    Raises:
        ZeronasError: the folder cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        try:
            with partial.open("wb") as file:
                yield file
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be written ({error.strerror}); choose another folder.") from None


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Raises:
        ZeronasError: the folder cannot be written.
    """
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table; floats with all their digits, None as an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[("" if v is None else repr(v) if isinstance(v, float) else v) for v in row] for row in rows])
    write_text(path, out.getvalue())


def write_json(path: Path, data: Any) -> None:
    """Writes indented JSON; NaN and infinities become null."""
    write_text(path, json.dumps(plain(data), indent=1) + "\n")


def plain(data: Any) -> Any:
    """Returns data as JSON can hold it: tuples as lists, NaN and infinities as None, numpy numbers as Python's."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if hasattr(data, "item"):
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number for people: ``digits`` significant digits, thousands apart, "n/a" for None and NaN.

    From 10^15 on it is written with an exponent.
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    if abs(value) >= 1e15:
        return f"{value:.{digits}g}"
    if value == int(value) and abs(value) >= 1:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


#: the command line that this process, or this job of a sweep, carries out; "" where Python code called a command
_COMMAND: ContextVar[str] = ContextVar("command", default="")


def commanded(command: str) -> None:
    """Notes down the command line that what follows carries out."""
    _COMMAND.set(command)


def command_line() -> str:
    """Returns the command line that made a result, "" where there was none."""
    return _COMMAND.get()


def versions() -> dict[str, str]:
    """Returns the versions and the machine that made a result."""
    found = {"zeronas": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "networkx", "optuna", "hydra-core"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["machine"] = f"{platform.machine()}, {_cores()} cores, {sys.platform}"
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
