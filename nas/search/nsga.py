"""NSGA-II and NSGA-III on proxies as objectives.

Sources: Deb et al. 2002 (NSGA-II) and Deb & Jain 2014 (NSGA-III), see ``nas.search.fronts``. Variation is the space's
own crossover and mutation instead of SBX and polynomial mutation, and no architecture is evaluated twice. A failure
counts as infeasible: it loses every tournament against a value, and survives only where values are too few. The found
front is the archive of everything evaluated, not the last population.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.core.options import Seed, Share, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import Result
from nas.search.base import SEARCHERS
from nas.search.fronts import Array, Normaliser, associated, crowding, directions, divisions, niched, ranks
from nas.search.generations import Generations, Labels, PopulationSize
from nas.search.objectives import Archive

__all__ = ["NSGA2", "NSGA3"]

#: reference directions; the paper has about as many as parents
_MOST = 100_000


class _NSGA(Generations):
    def _survivors(self, archive: Archive) -> list[Result]:
        valid, points, failed = archive.objectives.split([*self.parents, *self._children])
        kept = self._kept(points) if len(valid) else []
        return [*(valid[i] for i in kept), *failed][: self.size]

    def _kept(self, points: Array) -> list[int]:
        """Returns which of the points (n, m) survive: whole fronts, then a part of the last one that fits."""
        front = ranks(points)
        kept: list[int] = []
        for rank in range(int(front.max()) + 1):
            members = [int(i) for i in np.flatnonzero(front == rank)]
            room = self.size - len(kept)
            if len(members) > room:
                return kept + (self._part(points, kept, members, room) if room else [])
            kept += members
        return kept

    def _part(self, points: Array, kept: list[int], last: list[int], room: int) -> list[int]:
        raise NotImplementedError


@SEARCHERS.register("nsga2")
class NSGA2(_NSGA):
    """NSGA-II: survival by non-dominated rank and crowding distance.

    Args:
        population: parents, and children of a generation.
        crossover: probability that a child recombines its parents; else it is a mutant of the first.
        mutation: probability that a child of two is mutated, too.
        objectives: labels of the proxies that are objectives; null: all of the run.
        minimise: labels of the objectives that are minimised; null: parameters and flops, where they are objectives.
        logs: labels of the objectives whose distances are those of sign(x) log10(1 + |x|), for ones of many decades.
    """

    name = "nsga2"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: PopulationSize = 20,
        crossover: Share = 0.9,
        mutation: Share = 0.67,
        objectives: Labels | None = None,
        minimise: tuple[str, ...] | None = None,
        logs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(pool, seed, population, crossover, mutation, objectives, minimise, logs)
        self._places: list[tuple[float, float]] = []  # of the parents: front, minus crowding

    def _part(self, points: Array, kept: list[int], last: list[int], room: int) -> list[int]:
        distance = crowding(points[last])
        return [last[i] for i in np.argsort(-distance, kind="stable")[:room]]

    def _survivors(self, archive: Archive) -> list[Result]:
        kept = super()._survivors(archive)
        valid, points, _ = archive.objectives.split(kept)
        self._places = [(np.inf, 0.0)] * len(kept)  # failures are last
        front = ranks(points) if len(valid) else np.empty(0, dtype=np.int64)
        for rank in np.unique(front):
            members = np.flatnonzero(front == rank)
            for i, distance in zip(members, crowding(points[members]), strict=True):
                self._places[i] = (float(rank), -float(distance))
        return kept

    def _pair(self, rng: Any, place: int) -> tuple[Any, Any]:
        return self._winner(rng), self._winner(rng)

    def _winner(self, rng: Any) -> Any:
        """Returns the better of two parents, the first drawn where neither is."""
        first, second = rng.choice(len(self.parents), size=2, replace=False)
        return self.parents[min(first, second, key=lambda i: self._places[i])].architecture


@SEARCHERS.register("nsga3")
class NSGA3(_NSGA):
    """NSGA-III: survival by non-dominated rank and niches of reference directions; parents are drawn at random.

    Args:
        population: parents, and children of a generation.
        crossover: probability that a child recombines its parents; else it is a mutant of the first.
        mutation: probability that a child of two is mutated, too.
        divisions: parts that each axis of the simplex of reference directions is divided into; null: as many as give
            no more directions than parents.
        objectives: labels of the proxies that are objectives; null: all of the run.
        minimise: labels of the objectives that are minimised; null: parameters and flops, where they are objectives.
        logs: labels of the objectives whose distances are those of sign(x) log10(1 + |x|), for ones of many decades.
    """

    name = "nsga3"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: PopulationSize = 20,
        crossover: Share = 0.9,
        mutation: Share = 0.67,
        divisions: Size | None = None,
        objectives: Labels | None = None,
        minimise: tuple[str, ...] | None = None,
        logs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(pool, seed, population, crossover, mutation, objectives, minimise, logs)
        self.divisions = divisions
        self._lines: Array | None = None
        self._normaliser: Normaliser | None = None

    def prepare(self, labels: Sequence[str]) -> None:
        """Finds the objectives among the run's proxies.

        Raises:
            ZeronasError: as for other searchers in generations, or there would be too many reference directions.
        """
        super().prepare(labels)
        count = len(self._chosen or labels)
        if self.divisions is not None and (many := comb(count + self.divisions - 1, self.divisions)) > _MOST:
            raise ZeronasError(
                f"Searcher 'nsga3' would have {many:,} reference directions with divisions={self.divisions} and "
                f"{count} objectives; it takes up to {_MOST:,}, so use fewer divisions."
            )

    def _kept(self, points: Array) -> list[int]:
        if self._lines is None or self._normaliser is None:
            objectives = points.shape[1]
            self._lines = directions(objectives, self.divisions or divisions(objectives, self.size))
            self._normaliser = Normaliser(objectives)
        return super()._kept(points)

    def _part(self, points: Array, kept: list[int], last: list[int], room: int) -> list[int]:
        assert self._lines is not None and self._normaliser is not None
        considered = points[[*kept, *last]]
        front = considered[ranks(considered) == 0]
        lines, distances = associated(self._normaliser(considered, front), self._lines)
        n = len(kept)
        chosen = niched(lines[n:], distances[n:], lines[:n], room, self._stream("niches"))
        return [last[i] for i in chosen]

    def _pair(self, rng: Any, place: int) -> tuple[Any, Any]:
        drawn: Sequence[int] = rng.choice(len(self.parents), size=2, replace=False)
        first, second = (self.parents[i].architecture for i in drawn)
        return first, second
