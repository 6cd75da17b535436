"""Searchers: ask for architectures, tell their scores."""

from __future__ import annotations

from typing import Any

from nas.core.options import construct
from nas.engine.pools import Pool
from nas.search import (
    bananas,
    bayes,
    comparison,
    evolution,
    funnel,
    halving,
    hnas,
    local,
    nsga,
    optuna,
    pdns,
    proxybo,
    random,
    robot,
    stages,
    swap_nas,
    zero_cost,
)
from nas.search.base import SEARCHERS, Result, Searcher, Trial

__all__ = [
    "SEARCHERS",
    "Result",
    "Searcher",
    "Trial",
    "bananas",
    "bayes",
    "comparison",
    "evolution",
    "funnel",
    "get",
    "halving",
    "hnas",
    "local",
    "nsga",
    "optuna",
    "pdns",
    "proxybo",
    "random",
    "robot",
    "stages",
    "swap_nas",
    "zero_cost",
]


def get(name: str, pool: Pool, seed: int, /, **options: Any) -> Searcher:
    """Returns the searcher registered as ``name`` on a pool.

    Raises:
        ZeronasError: unknown searcher, unknown option, or an option out of its range.
    """
    return construct(SEARCHERS.get(name), f"Searcher '{name}'", options, pool, seed)
