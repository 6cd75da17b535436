"""``python -m experiments.search_systems.big_table``: RoBoT on a table as large as NAS-Bench-201, on one core.

The table is made here, of 15,625 rows with six genes of five kinds each: an objective that adds effects of the genes
and of pairs of them, and 13 metrics that see it more or less, one of them constant, one without a value in half of its
rows. The search runs twice, as ``zeronas search space=table searcher=robot`` runs it, to show that a seed has one
trajectory.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from experiments.commands import search
from experiments.guard import guarded
from experiments.paper.runs import composed
from experiments.paper.tables import save
from experiments.search_systems.compare import RESULTS
from nas.core import seeds
from nas.core.files import versions
from nas.core.workers import one_thread

__all__ = ["main", "make_table"]

_GENES, _KINDS, _METRICS = 6, 5, 13
_QUERIES = 100


def make_table(path: Path, seed: int = 0) -> int:
    """Writes the table, and returns how many rows it has."""
    rng = seeds.generator(seed, "big table")
    rows = np.stack(np.meshgrid(*[np.arange(_KINDS)] * _GENES, indexing="ij"), axis=-1).reshape(-1, _GENES)
    single = rng.normal(size=(_GENES, _KINDS))
    pairs = 0.5 * rng.normal(size=(_GENES, _GENES, _KINDS, _KINDS))
    value = sum(single[i, rows[:, i]] for i in range(_GENES))
    value = value + sum(pairs[i, j, rows[:, i], rows[:, j]] for i in range(_GENES) for j in range(i))
    noisy = [value + rng.normal(scale=2.0 + i, size=len(rows)) for i in range(_METRICS)]
    noisy[3] = -np.exp(noisy[3])  # the wrong sign, and a scale of many decades
    noisy[5] = np.full(len(rows), 7.0)
    noisy[8] = np.where(rng.random(len(rows)) < 0.5, np.nan, noisy[8])
    header = ["architecture", *(f"gene{i}" for i in range(_GENES)), "valid", *(f"metric{i}" for i in range(_METRICS))]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for at, row in enumerate(rows):
            told = [f"{value[at]:.6f}", *("" if np.isnan(m[at]) else f"{m[at]:.6g}" for m in noisy)]
            writer.writerow(["".join(map(str, row)), *map(str, row), *told])
    return len(rows)


def _searched(folder: Path, name: str) -> dict[str, Any]:
    overrides = [
        *("space=table", f"space.file={folder / 'table.csv'}", "space.objective=valid"),
        *("space.higher_is_better=[valid]", f"space.genes=[{','.join(f'gene{i}' for i in range(_GENES))}]"),
        *("searcher=robot", "pool=benchmark", "budget=20000", f"queries={_QUERIES}", f"run.dir={folder / name}"),
    ]
    begun, wall = time.process_time(), time.monotonic()
    with one_thread():
        found = search.run(composed("search", *overrides))
    return {
        "processor_seconds": time.process_time() - begun,
        "wall_seconds": time.monotonic() - wall,
        "asked": [query["key"] for query in found["queries"]],
        "notes": found["searcher_notes"],
        "standing": found["found"]["standing"],
    }


def main() -> None:
    """Makes the table, searches it twice and writes results/big_table.json."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = make_table(folder / "table.csv")
        first, second = _searched(folder, "first"), _searched(folder, "second")
    data = {
        "rows": rows,
        "metrics": _METRICS,
        "queries": len(set(first["asked"])),
        "same": first["asked"] == second["asked"],
        "processor_seconds": [first["processor_seconds"], second["processor_seconds"]],
        "wall_seconds": [first["wall_seconds"], second["wall_seconds"]],
        "T0": first["notes"]["T0"],
        "standing": first["standing"],
        "versions": versions(),
    }
    save(RESULTS / "big_table.json", data)
    print({key: value for key, value in data.items() if key != "versions"})


if __name__ == "__main__":
    sys.exit(guarded(main))
