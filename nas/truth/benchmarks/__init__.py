"""Benchmarks: tables of trained architectures with their ground truth, found by name.

Importing this package is cheap: torch is not imported, and no table is read before it is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import spaces
from nas.core.errors import ZeronasError
from nas.core.options import construct, parameters
from nas.core.registry import Registry
from nas.truth.benchmarks.base import Benchmark, Datasheet, Diverged, Entry, Run, Standing, Truth
from nas.truth.benchmarks.csv_table import CsvTable
from nas.truth.benchmarks.data import given_folder
from nas.truth.benchmarks.flexibert import FlexiBERT
from nas.truth.benchmarks.mini import MiniBERT, MiniRNN, MiniTable
from nas.truth.benchmarks.nas_bench_nlp import NasBenchNLP
from nas.truth.benchmarks.table import TableBenchmark
from nas.truth.benchmarks.wikitext2 import NasBenchNLPWikiText2
from spaces.base import Space

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Datasheet",
    "Diverged",
    "Entry",
    "MiniTable",
    "Run",
    "Standing",
    "Truth",
    "automatic",
    "get",
    "own",
]

BENCHMARKS: Registry[type[Benchmark]] = Registry("benchmark")
for _benchmark in (NasBenchNLP, NasBenchNLPWikiText2, FlexiBERT, MiniRNN, MiniBERT, CsvTable, TableBenchmark):
    BENCHMARKS.register(_benchmark.name)(_benchmark)


def automatic(space: Space[Any], data_dir: Path | str | None, trains: bool) -> str:
    """Returns what ``benchmark=auto`` means: of the space's benchmarks the first that is available, or, where what it
    lacks is to be trained, the first that training extends; where there is none of the kind, the first of all.

    Args:
        space: one that names a benchmark or more.
        data_dir: as ``get`` has it; a folder that is given holds the public tables, or whoever named it is told.
        trains: whether what the benchmark lacks is to be trained.
    """
    first, extended = space.benchmarks[0], own(space)
    if trains:
        return first if extended is None else extended.name
    given = given_folder(data_dir) is not None
    return next((name for name in space.benchmarks if given or get(name, None, space).at_hand), first)


def own(space: Space[Any]) -> Benchmark | None:
    """Returns the first benchmark of a space that trainings here extend, or None."""
    return next((get(name) for name in space.benchmarks if BENCHMARKS.get(name).protocol_name is not None), None)


def get(
    name: str, data_dir: Path | str | None = None, space: Space[Any] | str | None = None, /, **options: Any
) -> Benchmark:
    """Returns the benchmark registered as ``name``; its files are read when first needed.

    Args:
        data_dir: folder with the public files (default: NAS_DATA_DIR, else the cache, which is filled on first use).
        space: the space in force, or its name, for a benchmark that reads the architectures of any, or is part of it;
            others have their own.
        options: the benchmark's own options, e.g. ``runs="all"`` of nas_bench_nlp.

    Raises:
        ZeronasError: unknown name or option.
    """
    factory = BENCHMARKS.get(name)
    folder, owner = Path(data_dir) if data_dir else None, f"Benchmark '{name}'"
    if "space" not in parameters(factory):
        return construct(factory, owner, options, folder)
    if space is None:
        raise ZeronasError(f"Benchmark '{name}' belongs to the space that is searched, so that space must be given.")
    return construct(factory, owner, options, folder, spaces.get(space) if isinstance(space, str) else space)
