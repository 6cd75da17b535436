"""``python -m experiments.scale.page [cells=2000] [rows=100000]``: how large the page of a large run is, and its cost.

Two runs are made under ``runs/scale-page``, where they are continued if they were stopped: a search that draws cells of
the open space, and one that draws all rows of a made table with three columns of scores. Their pages are then built
three times; the least processor time is kept. results/page.json has the sizes. It ends with status 2 where a page is
larger than it may be.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands import search
from experiments.guard import guarded
from experiments.paper.runs import composed
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.files import versions, write_csv, write_json
from nas.core.folders import made_folder
from nas.report.page import PAGE, read_folders, write_page

__all__ = ["LIMITS", "built", "main", "searched", "write_table"]

RESULT = Path(__file__).parent / "results" / "page.json"

#: evaluations -> bytes that a page of so many may have
LIMITS = {2_000: 2_000_000, 100_000: 6_000_000}

_BUILDS = 3


def write_table(path: Path, rows: int) -> None:
    """Writes a table of made architectures: two noisy scores and one of 16 sizes, a truth, and one beside it."""
    rng = seeds.generator(0, "page", rows)
    quality = rng.normal(size=rows)
    size = rng.integers(16, size=rows)
    near, far = quality + rng.normal(size=rows), 10 ** (quality + rng.normal(size=rows))
    valid = 90 + 2 * quality + 0.5 * rng.normal(size=rows)
    test = valid - rng.random(size=rows)
    columns = [column.tolist() for column in (size, near, far, valid, test)]
    names = [f"architecture {number:06d}" for number in range(rows)]
    write_csv(path, ["architecture", "size", "near", "far", "valid", "test"], zip(names, *columns, strict=True))


def searched(folder: Path, kind: str, count: int) -> Path:
    """Makes or continues a run in a folder, and returns the run's folder.

    Args:
        kind: "cells" of the open space, scored by their parameters, or "rows" of a made table.
    """
    run = folder / f"{kind}-{count}"
    if (run / "results.json").exists():
        return run
    overrides = ["searcher=random", f"budget={count}", f"run.dir={run}", "verify=10"]
    if kind == "cells":
        made = composed("search", *overrides, "proxy=parameters", "benchmark=mini_rnn")
    else:
        table = folder / f"table-{count}.csv"
        if not table.exists():
            write_table(table, count)
        made = composed("search", *overrides, "space=table", "pool=benchmark")
        made["space"] |= {"file": str(table), "objective": "valid", "reported": "test"}
        made["space"] |= {"higher_is_better": ["valid", "test"], "metrics": ["near", "far", "size"]}
    search.run(made)
    return run


def built(run: Path) -> dict[str, Any]:
    """Builds the page of a run and returns its bytes, the rows that it holds, and the seconds that it took."""
    seconds = []
    for _ in range(_BUILDS):
        begun = time.process_time()
        page = write_page([run], run / PAGE)
        seconds.append(time.process_time() - begun)
    (read,) = read_folders([run])
    evaluations = len(read.rows) + read.left_out
    return {
        "evaluations": evaluations,
        "truths": int(np.sum([row.truth is not None for row in read.rows])),
        "on_the_page": len(read.rows),
        "bytes": page.stat().st_size,
        "limit": next((limit for most, limit in LIMITS.items() if evaluations <= most), None),
        "seconds_to_build": round(min(seconds), 2),
    }


def _asked() -> dict[str, int]:
    asked = {"cells": 2_000, "rows": 100_000}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        if name not in asked or not value.isdigit() or len(value) > 7 or int(value) < 100:
            raise ZeronasError(f"cells=N and rows=N are accepted, N from 100 to 9,999,999, but got {argument!r}.")
        asked[name] = int(value)
    return asked


def main() -> int:
    """Makes both runs and their pages, writes results/page.json, and returns 2 where a page is too large."""
    asked = _asked()
    folder = made_folder(Path("runs") / "scale-page")
    found = {kind: built(searched(folder, kind, count)) for kind, count in asked.items()}
    write_json(RESULT, {**found, "versions": versions()})
    print(json.dumps(found, indent=1))
    return 2 if any(one["limit"] is not None and one["bytes"] > one["limit"] for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
