"""The course of a search whose draws depend on what it heard: the truth of what it evaluates, early and late.

The best of n draws (``nas.judge.selection``) tells of a search that only draws. One that adapts, as evolution does,
selects harder with every generation; its evaluations in the order asked, in blocks, show what that does to the truth.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["Block", "blocks", "quantiles"]

Values = Sequence[float | None]


@dataclass(frozen=True)
class Block:
    """Evaluations ``first`` to ``last`` of a search, counted from 1, in the order asked.

    Attributes:
        known: how many of them have a truth that was not asked for because of their score; ``diverged`` of these have
            no value.
        quantile: mean quantile of these, among the table's truths; NaN where none is known.
        best: place of the best by proxy so far, counted from 1; None where all failed.
        best_known: whether there is a truth of it, a divergence included.
        best_truth: the truth of it, None without one.
        best_quantile: its quantile among the table's truths, NaN where it is not known.
    """

    first: int
    last: int
    known: int
    diverged: int
    quantile: float
    best: int | None
    best_known: bool
    best_truth: float | None
    best_quantile: float


def quantiles(truth: Values, reference: Values, members: Sequence[bool]) -> np.ndarray:
    """Returns the quantile of each truth among those of a table: the share of them that is worse, and half its equals.

    Args:
        truth: higher is better, None where the training diverged: worse than all that did not.
        reference: the table's.
        members: whether each truth is one of them, and so not among those that it is compared with.
    """
    ordered = np.sort([-math.inf if one is None else one for one in reference])
    values, own = np.array([-math.inf if one is None else one for one in truth]), np.array(members, dtype=bool)
    worse = np.searchsorted(ordered, values, side="left")
    equal = np.searchsorted(ordered, values, side="right") - worse - own
    others = len(ordered) - own
    return np.where(others > 0, (worse + equal / 2) / np.maximum(others, 1), math.nan)


def blocks(
    scores: Values,
    known: Mapping[int, float | None],
    reference: Values,
    chosen: Collection[int] = (),
    count: int = 10,
) -> list[Block]:
    """Returns the course of a search in up to ``count`` blocks of equal size.

    Args:
        scores: of all evaluations in the order asked, higher is better, None for a failure.
        known: place of an evaluation, from 0 -> its truth, higher is better, None where it diverged.
        reference: truths of the table.
        chosen: places of those whose truth is known because the search asked for it, and that are not in the table:
            they are no sample of their block, and take no part in its mean.
    """
    ends = np.unique(np.linspace(0, len(scores), min(count, len(scores)) + 1).round().astype(int)).tolist()
    at = dict(
        zip(known, quantiles(list(known.values()), reference, [i not in chosen for i in known]).tolist(), strict=True)
    )
    found: list[Block] = []
    best: int | None = None
    for first, last in pairwise(ends):
        for i in range(first, last):
            score, highest = scores[i], None if best is None else scores[best]
            if score is not None and (highest is None or score > highest):
                best = i
        inside = [i for i in range(first, last) if i in known and i not in chosen]
        found.append(
            Block(
                first + 1,
                last,
                len(inside),
                sum(known[i] is None for i in inside),
                float(np.mean([at[i] for i in inside])) if inside else math.nan,
                None if best is None else best + 1,
                best in known,
                None if best is None else known.get(best),
                math.nan if best is None else at.get(best, math.nan),
            )
        )
    return found
