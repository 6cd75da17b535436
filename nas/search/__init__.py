"""Searchers: ask for architectures, tell their scores."""

from __future__ import annotations

import inspect
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import checked
from nas.engine.pools import Pool
from nas.search import evolution, local, optuna, random, stages
from nas.search.base import SEARCHERS, Result, Searcher, Trial

__all__ = ["SEARCHERS", "Result", "Searcher", "Trial", "evolution", "get", "local", "optuna", "random", "stages"]


def get(name: str, pool: Pool, seed: int, **options: Any) -> Searcher:
    """Returns the searcher registered as ``name`` on a pool.

    Raises:
        ZeronasError: unknown searcher, unknown option, or an option out of its range.
    """
    kind = SEARCHERS.get(name)
    parameters = inspect.signature(kind.__init__).parameters
    accepted = {key: p.default for key, p in parameters.items() if key not in ("self", "pool", "seed")}
    for option in options:
        if option not in accepted:
            raise ZeronasError(f"Searcher '{name}' has no option '{option}'.{did_you_mean(option, accepted)}")
    return kind(pool, seed, **checked(f"Searcher '{name}'", options, accepted))
