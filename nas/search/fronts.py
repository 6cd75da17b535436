"""Order among points with several objectives: ranks of dominance, crowding, niches of reference directions.

Sources: crowding distance, Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE Trans.
Evol. Comput. 6(2), 2002), section III-B; reference directions and niching, Deb & Jain, "An evolutionary many-objective
optimization algorithm using reference-point-based nondominated sorting" (NSGA-III, IEEE Trans. Evol. Comput. 18(4),
2014), Algorithms 2 to 4.

Non-dominated sorting is moocore's, and so are the indicators (see ``nas.judge.pareto``). pymoo has survival, too, but
takes a second to import and brings, beside moocore, eight packages that nothing here needs (progress bars, CMA-ES,
automatic differentiation). What is left to say is a page, and draws from the project's own random streams.

All objectives are minimised, all values are finite.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["Normaliser", "associated", "crowding", "directions", "divisions", "niched", "ranks"]

Array = NDArray[np.float64]


def ranks(points: Array) -> NDArray[np.int64]:
    """Returns the front that each point (n, m) is in: 0 for those that no other dominates, and so on."""
    import moocore  # a third of a second that no other search is to wait for

    return np.asarray(moocore.pareto_rank(points), dtype=np.int64)


def crowding(points: Array) -> Array:
    """Returns the crowding distance of each point of one front (n, m).

    It is the sum over objectives of the distance between a point's neighbours, in units of the front's range; the first
    and the last of each objective have an infinite one.
    """
    count, objectives = points.shape
    distance = np.zeros(count)
    for j in range(objectives):
        order = np.argsort(points[:, j], kind="stable")
        values = points[order, j]
        spread = values[-1] - values[0]
        distance[order[[0, -1]]] = np.inf
        if spread > 0:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / spread
    return distance


def directions(objectives: int, parts: int) -> Array:
    """Returns the C(objectives + parts - 1, parts) points on the unit simplex whose coordinates are multiples of
    1 / parts (Das & Dennis 1998), as (h, m)."""
    bars = combinations(range(objectives + parts - 1), objectives - 1)
    rows = [np.diff([-1, *places, objectives + parts - 1]) - 1 for places in bars]
    return np.array(rows, dtype=float) / parts


def divisions(objectives: int, most: int) -> int:
    """Returns the greatest number of parts that gives no more than ``most`` directions, at least 1."""
    if objectives == 1:
        return 1
    parts = 1
    while comb(objectives + parts, parts + 1) <= most:
        parts += 1
    return parts


class Normaliser:
    """The hyperplane of NSGA-III: ideal point and intercepts, from all that was seen.

    The extreme point of an axis is the one of the least achievement scalarising function (the largest coordinate, those
    of the other axes times 10^6); where the extreme points span no hyperplane with positive intercepts, the largest
    values of the first front stand in, as the authors advise.
    """

    def __init__(self, objectives: int) -> None:
        self.ideal = np.full(objectives, np.inf)
        self._extremes = np.empty((0, objectives))

    def __call__(self, points: Array, front: Array) -> Array:
        """Returns points (n, m) relative to the ideal point in units of the intercepts.

        Args:
            points: those that a selection is made of.
            front: the non-dominated of them.
        """
        self.ideal = np.minimum(self.ideal, points.min(axis=0))
        candidates = np.concatenate([self._extremes, points])
        shifted = candidates - self.ideal
        weights = np.where(np.eye(len(self.ideal), dtype=bool), 1.0, 1e6)
        self._extremes = candidates[[int(np.argmin((shifted * row).max(axis=1))) for row in weights]]
        return (points - self.ideal) / self._intercepts(front)

    def _intercepts(self, front: Array) -> Array:
        nadir = front.max(axis=0) - self.ideal
        extremes = self._extremes - self.ideal
        try:
            found = 1 / np.linalg.solve(extremes, np.ones(len(self.ideal)))
        except np.linalg.LinAlgError:
            found = nadir
        if not np.isfinite(found).all() or (found <= 1e-6).any():
            found = nadir
        return np.where(found > 1e-12, found, 1.0)


def associated(points: Array, lines: Array) -> tuple[NDArray[np.int64], Array]:
    """Returns for each normalised point (n, m) the nearest of the lines through the origin (h, m), and how far it is.

    The distance is the perpendicular one; of equally near lines it is the first.
    """
    units = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    along = (points[:, None] * units[None]).sum(axis=2, keepdims=True)  # (n, h, 1)
    across = np.linalg.norm(points[:, None] - along * units[None], axis=2)
    across = across.round(12)  # so that no processor's rounding decides between equals
    nearest = across.argmin(axis=1)
    return nearest.astype(np.int64), across[np.arange(len(points)), nearest]


def niched(
    lines: NDArray[np.int64],
    distances: Array,
    taken: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """Returns which ``count`` of the last front are taken, in order (NSGA-III, Algorithm 4).

    Each time a line with the fewest members gives the next: the nearest to it where it has none yet, else any.

    Args:
        lines, distances: of the last front's points, as ``associated`` has them.
        taken: lines of the points taken before.
        count: at most as many as the last front has.
    """
    members = np.bincount(taken, minlength=int(lines.max()) + 1)
    left = list(range(len(lines)))
    chosen: list[int] = []
    while len(chosen) < count:
        open_ = np.unique(lines[left])
        fewest = open_[members[open_] == members[open_].min()]
        line = fewest[rng.integers(len(fewest))]
        there = [i for i in left if lines[i] == line]
        at = min(there, key=lambda i: distances[i]) if members[line] == 0 else there[rng.integers(len(there))]
        chosen.append(at)
        left.remove(at)
        members[line] += 1
    return chosen
