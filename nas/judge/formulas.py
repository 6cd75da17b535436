"""How well a formula ranks the architectures that it is designed on, and which formulas are rejected at once.

Rejected are formulas that a rank correlation cannot judge, or has judged before: the anomaly pruning of LPZero (Dong et
al. 2024, arXiv 2410.04808), whose released code turns down scores that are zero, not finite or all the same. Here a
formula that ranks exactly as one before it is turned down too, or the best of a population would be one formula
written in many ways.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from nas.judge.statistics import agreement, tie_broken, tied_last
from nas.search.formulas import Answer
from proxies.expression import Node
from proxies.expression.evaluate import of_table

__all__ = ["CONSTANT", "DUPLICATE", "NOT_FINITE", "TIES", "Worth", "judged"]

CONSTANT, NOT_FINITE, TIES, DUPLICATE = "constant", "not finite", "nearly all tied", "ranks as one before"

#: a formula may fail on this share of the architectures, and needs this share of distinct scores
_FAILED, _DISTINCT = 0.1, 0.1
#: scores that agree in so many significant digits are a tie: beyond lies rounding, which processors do differently
_DIGITS = 9


class Worth:
    """The fitness of a formula: tie-broken tau with the truth, less a price for each of its parts.

    Args:
        table: text -> values (n,) of what formulas are made of, NaN for a failure.
        truth: (n,), higher is better, None where the training diverged.
        parsimony: price of a leaf or an operation.
    """

    def __init__(self, table: Mapping[str, np.ndarray], truth: Sequence[float | None], parsimony: float) -> None:
        self.table, self.parsimony = table, parsimony
        self.truth = tied_last(truth)
        self._seen: set[str] = set()

    def __call__(self, node: Node) -> Answer:
        """Returns the answer; a second formula of the same ranks is rejected, so the order of asking matters."""
        scores = of_table(node, self.table)
        finite = np.isfinite(scores)
        if finite.mean() < 1 - _FAILED:
            return Answer(node, None, NOT_FINITE)
        places = self._places(scores)
        distinct = len(set(places[finite].tolist()))
        if distinct == 1:
            return Answer(node, None, CONSTANT)
        if distinct < _DISTINCT * len(scores):
            return Answer(node, None, TIES)
        ranks = hashlib.sha256(places.tobytes()).hexdigest()[:16]
        if ranks in self._seen:
            return Answer(node, None, DUPLICATE)
        return self.remember(Answer(node, tie_broken(places, self.truth) - self.parsimony * node.size, "", ranks))

    def remember(self, answer: Answer) -> Answer:
        """Takes in an answer that was given before, as by a run that was cut off, and returns it."""
        self._seen.add(answer.ranks)
        return answer

    def _places(self, scores: np.ndarray) -> np.ndarray:
        return tied_last([float(f"{s:.{_DIGITS}g}") if math.isfinite(s) else None for s in scores.tolist()])


def judged(
    scores: Sequence[float | None], truth: Sequence[float | None], resamples: int
) -> tuple[float, tuple[float, float]]:
    """Returns tie-broken tau and its 95% bootstrap interval over architectures, NaN with fewer than three of them.

    Args:
        scores: higher is better, None for a failure, which is tied last.
        truth: higher is better, None where the training diverged, which is tied last.
    """
    found = agreement(tied_last(scores), tied_last(truth), resamples)
    return (math.nan, (math.nan, math.nan)) if found is None else (found.tie_broken, found.tie_broken_interval)
