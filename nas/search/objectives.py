"""What a search of several objectives compares: the scores of a result as a point, and the archive of the best points.

Source of the archive: the unbounded elitist archive of MTF-PDNS (GECCO 2024, arXiv 2407.20656, released code).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown
from nas.engine.trials import TRUTH, Result

__all__ = ["COMPLEXITIES", "Archive", "Objectives"]

Array = NDArray[np.float64]

#: labels of what is minimised where nobody says what is: a score is "higher is better", but a complexity is a cost
COMPLEXITIES = ("parameters", "flops")


class Objectives:
    """The objectives of a search, by label of the proxies.

    Args:
        owner: how a sentence names the searcher.
        labels: of the run's proxies.
        chosen: which of them are objectives; None: all.
        minimise: which objectives are; None: ``COMPLEXITIES``.
        logs: which objectives are taken as sign(x) log10(1 + |x|). It changes no dominance, only distances.

    Raises:
        ZeronasError: an objective is no proxy of the run, or named twice; or what is minimised, or taken as a
            logarithm, is no objective.
    """

    def __init__(
        self,
        owner: str,
        labels: Sequence[str],
        chosen: Sequence[str] | None = None,
        minimise: Sequence[str] | None = None,
        logs: Sequence[str] = (),
    ) -> None:
        self.labels = tuple(labels if chosen is None else chosen)
        for label in self.labels:
            if label not in labels:
                raise ZeronasError(
                    f"{owner} has the objective {shown(label)}, which is no proxy of this run."
                    f"{did_you_mean(label, labels)}"
                )
        if twice := [label for label in self.labels if self.labels.count(label) > 1]:
            raise ZeronasError(f"{owner} has the objective {shown(twice[0])} twice; name each once.")
        for what, some in (("minimise", minimise or ()), ("take the logarithm of", logs)):
            for label in some:
                if label not in self.labels:
                    raise ZeronasError(
                        f"{owner} is to {what} {shown(label)}, which is no objective.{did_you_mean(label, self.labels)}"
                    )
        self.logs = frozenset(logs)
        self.minimised = frozenset(COMPLEXITIES if minimise is None else minimise)

    @property
    def aims(self) -> Mapping[str, str]:
        """Label -> "higher" or "lower", what is better."""
        return {label: "lower" if label in self.minimised else "higher" for label in self.labels}

    def point(self, result: Result) -> Array | None:
        """Returns a result's objectives, all to be minimised; None where one of them is a failure.

        Where the fitness is none of them its failure counts, too: so a gate says what is infeasible.
        """
        if result.fitness == -math.inf:
            return None
        values = []
        for label in self.labels:
            value = result.scores[label].value if label in result.scores else None
            if value is None:
                return None
            if label in self.logs:
                value = math.copysign(math.log10(1 + abs(value)), value)
            values.append(value if label in self.minimised else -value)
        return np.array(values)

    def split(self, results: Iterable[Result]) -> tuple[list[Result], Array, list[Result]]:
        """Returns the results that have all objectives, their points (n, m), and the others, each in order."""
        points = [(result, self.point(result)) for result in results]
        valid = [(result, point) for result, point in points if point is not None]
        rows = np.array([point for _, point in valid]).reshape(len(valid), len(self.labels))
        return [result for result, _ in valid], rows, [result for result, point in points if point is None]

    @classmethod
    def of(cls, result: Result) -> Objectives:
        """Returns all scores of a result as objectives, for a search that was not told which proxies there are."""
        return cls("A search", [label for label in result.scores if label != TRUTH])


class Archive:
    """Every result, of all that were added, that no other one dominates, in the order added.

    Results of the same objectives dominate none another: all of them stay. Failures never join.
    """

    def __init__(self, objectives: Objectives) -> None:
        self.objectives = objectives
        self.members: list[Result] = []
        self.points: Array = np.empty((0, len(objectives.labels)))

    def add(self, result: Result) -> bool:
        """Takes a result in, unless a member dominates it; those that it dominates leave. Returns whether it joined."""
        point = self.objectives.point(result)
        if point is None:
            return False
        if ((self.points <= point).all(axis=1) & (self.points < point).any(axis=1)).any():
            return False
        kept = np.logical_not((point <= self.points).all(axis=1) & (point < self.points).any(axis=1))
        self.members = [*(self.members[i] for i in np.flatnonzero(kept)), result]
        self.points = np.concatenate([self.points[kept], point[None]])
        return True

    def distances(self, points: Array) -> Array:
        """Returns the mean Euclidean distance of each point (n, m) to all members.

        Objectives are first normalised to [0, 1] by their least and greatest values among points and members.
        """
        everything = np.concatenate([points, self.points])
        low, high = everything.min(axis=0), everything.max(axis=0)
        spread = np.where(high > low, high - low, 1.0)
        ours, theirs = (points - low) / spread, (self.points - low) / spread
        # rounded, so that no processor's order of a sum decides between equals
        return np.asarray(np.linalg.norm(ours[:, None] - theirs[None], axis=2).mean(axis=1).round(12))
