"""A small table of architectures, all values made up, that tests write into a folder of their own.

66 architectures of four genes: kind (text), width and depth (numbers), residual; skip is never four deep. Every tenth
was trained twice. Two have no validation score (one says why), some metrics are missing.
"""

from __future__ import annotations

import atexit
import csv
import itertools
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["GENES", "HEADER", "options", "overrides", "rows"]

GENES = {"kind": ("conv", "pool", "skip"), "width": (8, 16, 32), "depth": (1, 2, 3, 4), "residual": ("no", "yes")}
HEADER = [
    *("architecture", *GENES, "valid", "test", "seconds", "params", "flops", "good", "noise", "latency", "reason"),
]


def rows() -> list[list[Any]]:
    """Returns the rows below the header."""
    rng, found = np.random.default_rng(0), []
    for number, (kind, width, depth, residual) in enumerate(itertools.product(*GENES.values())):
        if (kind, depth) == ("skip", 4):
            continue
        worth = {"conv": 2.0, "pool": 1.0, "skip": 0.0}[kind] + width / 32 + depth / 4 + 0.5 * (residual == "yes")
        size = 1000 * depth * width
        metrics = [round(worth + 0.3 * rng.normal(), 4), round(rng.normal(), 4), round(5 - worth + rng.normal(), 4)]
        if number % 13 == 0:
            metrics[1] = "nan"
        if number % 17 == 0:
            metrics[2] = -1e8
        for _ in range(1 + (number % 10 == 0)):
            valid, test = (round(60 + 8 * worth + rng.normal(), 3) for _ in range(2))
            reason = ""
            if number in (7, 20):
                valid, reason = "", "power cut: at night" if number == 20 else ""
            seconds = 10 * depth + width
            found.append([f"a{number:02d}", kind, width, depth, residual, valid, test, seconds, size, 2 * size])
            found[-1] += [*metrics, reason]
    return found


@cache
def options(folder: str | None = None) -> dict[str, Any]:
    """Returns the options of ``space=table`` for the table, which is written into a folder that ends with the tests."""
    if folder is None:
        made = tempfile.TemporaryDirectory(prefix="zeronas-table-")
        atexit.register(made.cleanup)
        folder = made.name
    path = Path(folder) / "made.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows()])
    return {
        "file": str(path),
        "objective": "valid",
        "reported": "test",
        "higher_is_better": ["valid", "test"],
        "lower_is_better": ["latency"],
        "metrics": ["good", "noise", "latency"],
        "costs": ["seconds"],
        "parameters": "params",
        "flops": "flops",
        "genes": list(GENES),
        "sentinels": [-1e8],
    }


def overrides(**changed: Any) -> list[str]:
    """Returns the same for the command line."""
    told = {**options(), **changed}
    return ["space=table", *(f"space.{name}={_written(value)}" for name, value in told.items())]


def _written(value: Any) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else "null" if value is None else str(value)
