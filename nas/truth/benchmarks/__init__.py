"""Benchmarks: tables of trained architectures with their ground truth, found by name.

Importing this package is cheap: torch is not imported, and no table is read before it is asked for.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.registry import Registry
from nas.truth.benchmarks.base import Benchmark, Datasheet, Diverged, Entry, Run, Standing, Truth
from nas.truth.benchmarks.csv_table import CsvTable
from nas.truth.benchmarks.flexibert import FlexiBERT
from nas.truth.benchmarks.mini import MiniBERT, MiniRNN, MiniTable
from nas.truth.benchmarks.nas_bench_nlp import NasBenchNLP
from nas.truth.benchmarks.wikitext2 import NasBenchNLPWikiText2

__all__ = ["BENCHMARKS", "Benchmark", "Datasheet", "Diverged", "Entry", "MiniTable", "Run", "Standing", "Truth", "get"]

BENCHMARKS: Registry[type[Benchmark]] = Registry("benchmark")
for _benchmark in (NasBenchNLP, NasBenchNLPWikiText2, FlexiBERT, MiniRNN, MiniBERT, CsvTable):
    BENCHMARKS.register(_benchmark.name)(_benchmark)


def get(name: str, data_dir: Path | str | None = None, space: str | None = None, **options: Any) -> Benchmark:
    """Returns the benchmark registered as ``name``; its files are read when first needed.

    Args:
        data_dir: folder with the public files (default: NAS_DATA_DIR, else the cache, which is filled on first use).
        space: name of the space in force, for a benchmark that reads the architectures of any; others have their own.
        options: the benchmark's own options, e.g. ``runs="all"`` of nas_bench_nlp.

    Raises:
        ZeronasError: unknown name or option.
    """
    factory = BENCHMARKS.get(name)
    parameters = inspect.signature(factory).parameters
    accepted = [option for option in parameters if option not in ("data_dir", "space")]
    for option in options:
        if option not in accepted:
            hint = did_you_mean(option, accepted) if accepted else " It has none."
            raise ZeronasError(f"Unknown option '{option}' of benchmark '{name}'.{hint}")
    if "space" in parameters:
        if space is None:
            raise ZeronasError(
                f"Benchmark '{name}' reads the architectures of any space, so it needs to be told which."
            )
        options["space"] = space
    return factory(data_dir=Path(data_dir) if data_dir else None, **options)
