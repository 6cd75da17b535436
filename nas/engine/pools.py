"""Pools: what a searcher may draw from. Both kinds offer a space's operators and never give the same member twice.

``SpacePool`` is open-ended. ``BenchmarkPool`` holds the architectures that have a truth: whatever the space's
operator proposes is mapped to the nearest member (L1 distance of the features) that was not visited yet.

Both keep inside a trust region, if there is one: what lies outside is no member.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Any, Self

import numpy as np

from nas.core.errors import ZeronasError
from nas.engine.region import Region
from spaces.base import Space

__all__ = ["BenchmarkPool", "Pool", "SpacePool"]

_ATTEMPTS = 200


class Pool(ABC):
    """Source of not yet visited architectures; every method but ``neighbours`` returns None when nothing is left.

    Attributes:
        turned_away: how many proposals lay outside the region.
    """

    def __init__(self, space: Space[Any], region: Region | None = None) -> None:
        self.space, self.region = space, region
        self.visited: set[str] = set()
        self.turned_away = 0

    def contains(self, architecture: Any) -> bool:
        """Returns whether an architecture, visited or not, obeys the reduction and lies in the region."""
        return self.space.contains(architecture) and (self.region is None or self.region.holds(architecture))

    @abstractmethod
    def admit(self, architecture: Any) -> Any | None:
        """Returns the unvisited member that stands for a proposed architecture, or None."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Any | None:
        """Draws an unvisited member."""

    @property
    def size(self) -> int | None:
        """Number of members, or None where it is not known."""
        return None

    @property
    def exhausted(self) -> bool:
        """Whether every member is known to be visited."""
        return False

    def take(self, architecture: Any) -> Any:
        """Marks a member as visited and returns it."""
        self.visited.add(architecture.key)
        return architecture

    def recall(self, keys: Iterable[str]) -> bool:
        """Marks architectures as visited by their keys alone, where drawing them leaves no other trace."""
        return False

    def anew(self) -> Self:
        """Returns a pool of the same members, none of them visited."""
        other = copy(self)
        other.visited, other.turned_away = set(), 0
        return other

    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any | None:
        """Returns an unvisited member one edit away (for a benchmark: the nearest to it)."""
        return self._first(lambda: self.space.mutate(architecture, rng), rng)

    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any | None:
        """Returns an unvisited member that recombines two."""
        return self._first(lambda: self.space.crossover(first, second, rng), rng)

    def neighbours(self, architecture: Any) -> Iterator[Any]:
        """Yields the unvisited members one edit away, in a fixed order."""
        given: set[str] = set()
        for neighbour in self.space.neighbours(architecture):
            member = self.admit(neighbour)
            if member is not None and member.key not in given:
                given.add(member.key)
                yield member

    def _first(self, propose: Any, rng: np.random.Generator) -> Any | None:
        for _ in range(_ATTEMPTS):
            member = self.admit(propose())
            if member is not None:
                return member
        return self.sample(rng)


class SpacePool(Pool):
    """Every member of the space, or of it what lies in the region."""

    def recall(self, keys: Iterable[str]) -> bool:
        """Marks them, unless there is a region, which counts what it turns away."""
        if self.region is not None:
            return False
        self.visited.update(keys)
        return True

    def admit(self, architecture: Any) -> Any | None:
        if architecture.key in self.visited:
            return None
        if self.region is not None and not self.region.holds(architecture):
            self.turned_away += 1
            return None
        return architecture

    def sample(self, rng: np.random.Generator) -> Any | None:
        """Draws an unvisited member; None after 200 draws that were all visited before, or outside the region.

        The region holds at least half of the draws, so that the latter alone do not come to 200. Of a space that lists
        its members one is then drawn of those that are left.
        """
        for _ in range(_ATTEMPTS):
            member = self.admit(self.space.sample(rng))
            if member is not None:
                return member
        left = [
            one
            for one in self.space.members()
            if one.key not in self.visited and (self.region is None or self.region.holds(one))
        ]
        return left[rng.integers(len(left))] if left else None


class BenchmarkPool(Pool):
    """The given members of the space that obey its reduction, and lie in the region.

    Raises:
        ZeronasError: reduction and region leave no member.
    """

    def __init__(self, space: Space[Any], architectures: Sequence[Any], region: Region | None = None) -> None:
        super().__init__(space, region)
        members = {a.key: a for a in reversed(architectures) if space.contains(a)}
        self.members = [a for a in reversed(members.values()) if region is None or region.holds(a)]
        if members and not self.members:
            raise ZeronasError(
                f"None of the benchmark's {len(members)} architectures lies in the region; use region=none."
            )
        if not self.members:
            raise ZeronasError(
                f"None of the benchmark's {len(architectures)} architectures obeys the reduction "
                f"{space.rule.to_json()}; widen it or use pool=space."
            )
        self.features = np.stack([space.features(a) for a in self.members])
        self.free = np.ones(len(self.members), dtype=bool)
        self.index = {a.key: i for i, a in enumerate(self.members)}

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.members)

    @property
    def exhausted(self) -> bool:
        """Whether every member is visited."""
        return not self.free.any()

    def take(self, architecture: Any) -> Any:
        """Marks a member as visited and returns it."""
        self.free[self.index[architecture.key]] = False
        return super().take(architecture)

    def anew(self) -> Self:
        other = super().anew()
        other.free = np.ones(len(self.members), dtype=bool)
        return other

    def admit(self, architecture: Any) -> Any | None:
        at = self.index.get(architecture.key)
        if at is not None and self.free[at]:
            return self.members[at]
        left = np.flatnonzero(self.free)
        if not len(left):
            return None
        return self.members[left[_nearest(self.features[left], self.space.features(architecture))]]

    def neighbours(self, architecture: Any) -> Iterator[Any]:
        """Yields the unvisited members nearest to what is one edit away, in a fixed order."""
        left = np.flatnonzero(self.free)
        if not len(left):
            return
        theirs, given = self.features[left], set[int]()
        for place, features in zip(*self.around(architecture), strict=True):
            if place < 0 or not self.free[place]:
                place = int(left[_nearest(theirs, features)])
            if place not in given:
                given.add(place)
                yield self.members[place]

    def around(self, architecture: Any) -> tuple[list[int], np.ndarray]:
        """Returns what is one edit away: its places among the members, -1 for what is none, and (n, d) features."""
        near = list(self.space.neighbours(architecture))
        features = np.array([self.space.features(one) for one in near]).reshape(len(near), self.features.shape[1])
        return [self.index.get(one.key, -1) for one in near], features

    def sample(self, rng: np.random.Generator) -> Any | None:
        """Draws uniformly among the unvisited members."""
        left = np.flatnonzero(self.free)
        return self.members[left[rng.integers(len(left))]] if len(left) else None


def _nearest(rows: np.ndarray, one: np.ndarray) -> int:
    """Returns the first of the rows that are equally near, by the sum of differences."""
    from scipy.spatial.distance import cdist  # half a second to import

    return int(cdist(rows, one[None], "cityblock").argmin())
