"""The trust region: what is unlike all that the sampler draws is not proposed.

A proxy's agreement with the truth was measured on drawn architectures. Edit by edit, an optimiser leaves them far
behind, to where nothing is known of the proxy. How unlike two architectures are, every space says by the L1 distance of
their features (``Space.features``); the region holds what is no further from its fifth nearest draw than nearly all
draws are from theirs. Features are mostly counts, many of them nearly always zero, so distances to draws describe the
sampler better than an ellipsoid: of cells with 79 features, one fitted to 1,000 draws turns away 2.5% of fresh ones
where it should turn away 1%, and has to hold all draws before it holds the LSTM; this region turns away .6%, the LSTM
inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from scipy.spatial.distance import cdist

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
    """The region of a space's own draws, reduction and all; the well-known members of the space are inside.

    Args:
        seed: of the run; the draws have a stream of their own.

    Attributes:
        reach: the largest distance to the fifth nearest draw that is inside.
        held: share of the draws that is inside, each judged by the others.
    """

    def __init__(self, space: Space[Any], seed: int, settings: RegionSettings) -> None:
        self.space, self.settings = space, settings
        drawn = [space.sample(seeds.generator(seed, "region", i)) for i in range(settings.draws)]
        self._points = np.stack([space.features(one) for one in drawn])
        parts = [self._points[i : i + _ROWS] for i in range(0, len(self._points), _ROWS)]
        own = np.concatenate([self._distances(part, _NEIGHBOUR + 1) for part in parts])  # each is nearest to itself
        within = float(np.quantile(own, settings.share, method="higher"))
        known = [one for one in space.known.values() if space.contains(one)]
        self.reach = max([within, *(self.distance(one) for one in known)])
        self.held = float((own <= self.reach * (1 + _ROUNDING)).mean())

    def _distances(self, features: np.ndarray, neighbour: int) -> np.ndarray:
        """Returns the L1 distance of each row (n, features) to its neighbour-th nearest draw, (n,)."""
        distances = cdist(features, self._points, "cityblock")
        return np.partition(distances, neighbour - 1, axis=1)[:, neighbour - 1]

    def distance(self, architecture: Any) -> float:
        """Returns the L1 distance to the fifth nearest draw."""
        return float(self._distances(self.space.features(architecture)[None], _NEIGHBOUR)[0])

    def holds(self, architecture: Any) -> bool:
        """Returns whether an architecture is inside."""
        return self.distance(architecture) <= self.reach * (1 + _ROUNDING)

    def to_json(self) -> dict[str, Any]:
        """Returns what results.json holds of it."""
        return {"share": self.settings.share, "draws": self.settings.draws, "reach": self.reach, "held": self.held}
