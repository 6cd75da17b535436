"""The learned upper reference: how well the truth is predicted from labels of the same table, by cross-validation.

A proxy sees no label. What a regressor reaches that was shown four fifths of a table's truths, and is asked for the
last fifth, tells how much of the ranking the architectures' features (and cheap label-free views of the untrained
architectures) hold at all. It is no bound: a better learner, or a proxy that sees more than the features, may pass it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.core import seeds
from nas.judge.pairs import over_all
from nas.judge.statistics import tied_last

__all__ = ["FOLDS", "LEARNERS", "LEAST", "MOST", "REPEATS", "Reference", "reference"]

Array = NDArray[np.float64]

#: five folds, over three random divisions; as many architectures are needed as make a tau mean anything
FOLDS, REPEATS, LEAST = 5, 3, 20
#: labels that a learner is shown at most: of a large table, so many of the training part, drawn at random
MOST = 2_000
#: the forest of the surrogate (``nas.search.surrogate.forest``), and ridge regression whose penalty is chosen by
#: leave-one-out in the training part; set before any result was seen, and the same for all tables
LEARNERS = ("extra trees", "ridge")
_PENALTIES = np.logspace(-2, 4, 13)


@dataclass(frozen=True)
class Reference:
    """What a learner reaches.

    Attributes:
        tau: tie-broken tau of the out-of-fold predictions of all architectures, the mean over the divisions.
        tau_interval: 95% interval over architectures: the mean over the divisions of the jackknife interval of each.
        values: tau of each division.
        deviation: their standard deviation.
    """

    tau: float
    tau_interval: tuple[float, float]
    values: tuple[float, ...]
    deviation: float


def reference(truth: Sequence[float | None], features: Array, views: Array, seed: int = 0) -> dict[str, Reference]:
    """Returns learner -> what it reaches, none with fewer than ``LEAST`` architectures or a constant truth.

    It learns the normal scores of the truth's ranks in its training part, as only ranks are judged.

    Args:
        truth: one per architecture, higher is better, None where the training diverged, which is learned as the lowest.
        features: (n, f), as ``Space.features`` has them.
        views: (n, v) scores of label-free proxies, NaN for a failure; v may be 0.
        seed: of divisions and forests.
    """
    places = tied_last(truth)
    if len(truth) < LEAST or len(set(places)) < 2:
        return {}
    found = {}
    for learner in LEARNERS:
        predicted = [_out_of_fold(learner, places, features, views, seed, repeat) for repeat in range(REPEATS)]
        judged = [over_all(one, places) for one in predicted]
        values = tuple(one.tau for one in judged)
        low, high = np.mean([one.tau_interval for one in judged], axis=0)
        found[learner] = Reference(
            float(np.mean(values)), (float(low), float(high)), values, float(np.std(values, ddof=1))
        )
    return found


def _out_of_fold(learner: str, places: Array, features: Array, views: Array, seed: int, repeat: int) -> Array:
    """Returns the prediction (n,) for each architecture by a learner that was not shown it."""
    from sklearn.linear_model import RidgeCV
    from threadpoolctl import threadpool_limits

    from nas.search.surrogate import Candidates, forest, normal_scores

    rows = Candidates(views, features).rows
    order = seeds.generator(seed, "reference", repeat).permutation(len(places))
    found = np.empty(len(places))
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        known = order[np.arange(len(order)) % FOLDS != fold][:MOST]
        target = normal_scores(places[known])
        with threadpool_limits(1):
            if learner == "ridge":
                fitted = RidgeCV(_PENALTIES).fit(rows[known], target)
            else:
                fitted = forest(rows[known], target, seeds.integer(seed, "reference", repeat, fold))
            found[held] = fitted.predict(rows[held])
    return found
