"""The trust region: architectures unlike anything that the sampler draws are not proposed.

A proxy's agreement with the truth was measured on drawn architectures. Edit by edit, an optimiser leaves them far
behind, to where nothing is known of the proxy. How unlike two architectures are, every space says by the L1 distance of
their features (``Space.features``). The region holds what is no further from its fifth nearest draw than nearly all
draws are from theirs, and what is as near to one of the well-known architectures.

Features are mostly counts, many of them nearly always zero, so distances to draws describe the sampler better than an
ellipsoid does. One fitted to 1,000 cells (79 features, shrunk covariance) turns away 2.5% of fresh ones where it should
turn away 1%, and the LSTM lies further out than any draw; this region turns away .6%.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from nas.core import seeds
from spaces.base import Space

__all__ = ["Region", "RegionSettings"]

#: the neighbour that counts: the first few are too much a matter of chance
_NEIGHBOUR = 5
_ROUNDING = 1e-9  # of sums of features, relative
_ROWS = 500  # of distances at a time


@dataclass(frozen=True)
class RegionSettings:
    """``conf/region``.

    Attributes:
        name: "none", or "sampler": the region of the sampler's own architectures.
        share: of the draws, at least this share lies inside.
        draws: architectures of the sampler that the region is made of.
    """

    name: Literal["none", "sampler"]
    share: Annotated[float, Ge(0.5), Le(1)] = 0.99
    draws: Annotated[int, Ge(20), Le(20_000)] = 1000

    @property
    def is_open(self) -> bool:
        """Whether everything is inside."""
        return self.name == "none"


class Region:
    """The region around a space's own draws, reduction and all, and around its well-known members.

    Args:
        seed: of the run; the draws have a stream of their own.

    Attributes:
        reach: the largest distance that is inside (see ``distance``).
        held: share of the draws that is inside, each judged by the others.
    """

    def __init__(self, space: Space[Any], seed: int, settings: RegionSettings) -> None:
        self.space, self.settings = space, settings
        drawn = [space.sample(seeds.generator(seed, "region", i)) for i in range(settings.draws)]
        self._draws = np.stack([space.features(one) for one in drawn])
        self._known = [space.features(one) for one in space.known.values() if space.contains(one)]
        parts = [self._draws[i : i + _ROWS] for i in range(0, len(drawn), _ROWS)]
        own = np.concatenate([self._distances(part, _NEIGHBOUR + 1) for part in parts])  # each is nearest to itself
        self.reach = float(np.quantile(own, settings.share, method="higher"))
        self.held = float((own <= self._limit).mean())

    @property
    def _limit(self) -> float:
        return self.reach * (1 + _ROUNDING)

    def _distances(self, features: np.ndarray, neighbour: int) -> np.ndarray:
        """Returns the distances of rows (n, features) to their neighbour-th nearest draw or nearest known one, (n,)."""
        from scipy.spatial.distance import cdist

        distances = cdist(features, self._draws, "cityblock")
        found = np.partition(distances, neighbour - 1, axis=1)[:, neighbour - 1]
        if self._known:
            found = np.minimum(found, cdist(features, self._known, "cityblock").min(axis=1))
        return found

    def distance(self, architecture: Any) -> float:
        """Returns the L1 distance to the fifth nearest draw, or to the nearest known architecture if that is less."""
        return float(self._distances(self.space.features(architecture)[None], _NEIGHBOUR)[0])

    def holds(self, architecture: Any) -> bool:
        """Returns whether an architecture is inside."""
        return self.distance(architecture) <= self._limit

    def to_json(self) -> dict[str, Any]:
        """Returns what results.json holds of it."""
        return {"share": self.settings.share, "draws": self.settings.draws, "reach": self.reach, "held": self.held}
