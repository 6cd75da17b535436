"""How the scores of a proxy rank a whole table, what it failed on and what diverged in training included.

A proxy that fails on hard architectures must not gain by it, and one that puts an untrainable architecture first must
pay for it. So the agreement that counts is over all architectures of the table: those without a score are tied last
among the scores, those without a truth tied last in the truth. Published figures leave both out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.judge.pairs import Paired, partial, within
from nas.judge.statistics import Agreement, agreement, kendall, tied_last
from nas.judge.top import Top, top
from spaces.base import Counts

__all__ = ["UNSIZED", "Ranking", "rankings"]

Values = Sequence[float | None]


#: what depends on sizes, where they are not known
UNSIZED = Paired(0, math.nan, (math.nan, math.nan), "the parameters are not known")


@dataclass(frozen=True)
class Ranking:
    """A proxy's agreement with the truth.

    Attributes:
        overall: over all architectures, failures and diverged ones tied last; the same set for every proxy.
        valid: over those that have a score and a truth, as published figures are; another set for every proxy.
        common: Kendall tau over those that have a truth and a score by every proxy that scored any, NaN where it is
            not defined.
        common_count: how many those are.
        like_size: tie-broken tau over the pairs of architectures whose parameters differ by at most 10%, of the same
            architectures as ``overall``, as all that follows.
        given_size: partial tau given parameters and FLOPs, or parameters alone where FLOPs are not known.
        top: what its ten best hold.
    """

    overall: Agreement | None
    valid: Agreement | None
    common: float
    common_count: int
    like_size: Paired
    given_size: Paired
    top: Top | None


def rankings(
    scores: Mapping[str, Values], truth: Values, sizes: Sequence[Counts], resamples: int
) -> dict[str, Ranking]:
    """Returns the ranking of each proxy.

    Args:
        scores: label -> one score per architecture, higher is better, None for a failure.
        truth: of the same architectures, higher is better, None where the training diverged.
        sizes: of the same architectures.
        resamples: of the bootstrap.
    """
    parameters = _known([size.parameters for size in sizes])
    flops = _known([size.flops for size in sizes])
    given = [] if parameters is None else [parameters, *([] if flops is None else [flops])]
    scored = [column for column in scores.values() if any(value is not None for value in column)]
    common = [
        i for i, value in enumerate(truth) if value is not None and all(column[i] is not None for column in scored)
    ]
    places = tied_last(truth)
    found = {}
    for label, column in scores.items():
        pairs = [(s, t) for s, t in zip(column, truth, strict=True) if s is not None and t is not None]
        valid = agreement([s for s, _ in pairs], [t for _, t in pairs], resamples)
        ranks = tied_last(column)
        whole = valid if len(pairs) == len(truth) else agreement(ranks, places, resamples)
        shared = [(s, places[i]) for i in common if (s := column[i]) is not None]
        tau = kendall([s for s, _ in shared], [t for _, t in shared]) if len(shared) > 2 else math.nan
        found[label] = Ranking(
            whole,
            valid,
            tau,
            len(common),
            UNSIZED if parameters is None else within(ranks, places, parameters),
            partial(ranks, places, given) if given else UNSIZED,
            top(ranks, truth),
        )
    return found


def _known(sizes: Sequence[int | None]) -> list[float] | None:
    """Returns the sizes, None where one is not known."""
    found = [float(size) for size in sizes if size is not None]
    return found if len(found) == len(sizes) else None
