"""How good a found front is on truth and parameters: hypervolume, IGD and IGD+ against a benchmark's own front.

Sources: the evaluation of MTF-PDNS (GECCO 2024, arXiv 2407.20656): an archive that was filled by training-free
objectives is judged on the truth and the complexity of its members, those dominated there left out; IGD+, Ishibuchi et
al. 2015. The indicators are moocore's.

Declared once for all numbers: truth as a loss (its sign turned where higher is better) and parameters are each min-max
normalised over the benchmark's architectures, so 0 is the best and 1 the worst of them; the reference point of the
hypervolume is (1.05, 1.05), so it is at most 1.1025; IGD and IGD+ are the mean distance of the benchmark's own
non-dominated points to what was found, lower is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.engine.trials import Result
from nas.search.objectives import Archive, Objectives

__all__ = ["REFERENCE", "Plane", "Quality", "course", "non_dominated"]

Array = NDArray[np.float64]

#: of the hypervolume, in normalised units
REFERENCE = (1.05, 1.05)


def non_dominated(points: Array) -> NDArray[np.bool_]:
    """Returns which points (n, m), all minimised, no other dominates; of equal ones the first."""
    import moocore

    return np.asarray(moocore.is_nondominated(points), dtype=bool)


@dataclass(frozen=True)
class Quality:
    """What a set of points is worth; IGD and IGD+ are None for an empty one."""

    hypervolume: float
    igd: float | None
    igd_plus: float | None


class Plane:
    """Loss and parameters of a benchmark's architectures, normalised.

    Args:
        points: loss and parameters of each of them, (n, 2), one or more.

    Attributes:
        low, high: least and greatest loss and parameters.
        front: the normalised non-dominated points, by increasing loss.
        best: the quality of that front.
    """

    def __init__(self, points: Array) -> None:
        self.low, self.high = points.min(axis=0), points.max(axis=0)
        found = self.normalised(points)[non_dominated(points)]
        self.front: Array = found[np.argsort(found[:, 0], kind="stable")]
        self.best = self.quality(points)

    def normalised(self, points: Array) -> Array:
        """Returns points (n, 2) in units of the benchmark's ranges; where all have one value, that is 0."""
        spread = self.high - self.low
        return np.asarray((points - self.low) / np.where(spread > 0, spread, 1.0))

    def quality(self, points: Array) -> Quality:
        """Returns how good loss and parameters (n, 2) of what was found are, dominated ones left out."""
        import moocore

        if not len(points):
            return Quality(0.0, None, None)
        found = self.normalised(points)
        found = found[non_dominated(found)]
        return Quality(
            float(moocore.hypervolume(found, ref=REFERENCE)),
            float(moocore.igd(found, ref=self.front)),
            float(moocore.igd_plus(found, ref=self.front)),
        )


def course(
    results: Sequence[Result], objectives: Objectives, plane: Plane, truth: Mapping[str, tuple[float, float]]
) -> Iterator[Quality]:
    """Yields the quality of the archive after each result, in order: filled by objectives, judged on truth.

    Args:
        truth: key -> loss and parameters; members without one are left out.
    """
    archive, quality = Archive(objectives), Quality(0.0, None, None)
    for result in results:
        if archive.add(result):
            known = [truth[one.architecture.key] for one in archive.members if one.architecture.key in truth]
            quality = plane.quality(np.array(known, dtype=float).reshape(-1, 2))
        yield quality
