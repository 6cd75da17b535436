"""How the scores of a proxy rank a whole table, what it failed on and what diverged in training included.

A proxy that fails on hard architectures must not gain by it, and one that puts an untrainable architecture first must
pay for it. So the agreement that counts is over all architectures of the table: those without a score are tied last
among the scores, those without a truth tied last in the truth. Published figures leave both out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.judge.statistics import Agreement, agreement, kendall, tied_last

__all__ = ["Ranking", "rankings"]

Values = Sequence[float | None]


@dataclass(frozen=True)
class Ranking:
    """A proxy's agreement with the truth.

    Attributes:
        overall: over all architectures, failures and diverged ones tied last; the same set for every proxy.
        valid: over those that have a score and a truth, as published figures are; another set for every proxy.
        common: Kendall tau over those that have a truth and a score by every proxy that scored any, NaN where it is
            not defined.
        common_count: how many those are.
    """

    overall: Agreement | None
    valid: Agreement | None
    common: float
    common_count: int


def rankings(scores: Mapping[str, Values], truth: Values, resamples: int) -> dict[str, Ranking]:
    """Returns the ranking of each proxy.

    Args:
        scores: label -> one score per architecture, higher is better, None for a failure.
        truth: of the same architectures, higher is better, None where the training diverged.
        resamples: of the bootstrap.
    """
    scored = [column for column in scores.values() if any(value is not None for value in column)]
    common = [
        i for i, value in enumerate(truth) if value is not None and all(column[i] is not None for column in scored)
    ]
    places = tied_last(truth)
    found = {}
    for label, column in scores.items():
        pairs = [(s, t) for s, t in zip(column, truth, strict=True) if s is not None and t is not None]
        valid = agreement([s for s, _ in pairs], [t for _, t in pairs], resamples)
        whole = valid if len(pairs) == len(truth) else agreement(tied_last(column), places, resamples)
        shared = [(s, places[i]) for i in common if (s := column[i]) is not None]
        tau = kendall([s for s, _ in shared], [t for _, t in shared]) if len(shared) > 2 else math.nan
        found[label] = Ranking(whole, valid, tau, len(common))
    return found
