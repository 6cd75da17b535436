"""The project's own fitness of BERT configurations: ``proxy=zeronas``."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.options import Size, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.capacity import pieces, scales, variance
from spaces.base import Matrix

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["BertFitness"]


@PROXIES.register("zeronas", "bert")
class BertFitness(Proxy):
    """Capacity that the output can use, and locality: two views of an encoder, from shapes alone.

    - **Capacity** is ln A + ln F. A is the sum of the expected ||W||_F^2 / k over the weight matrices of all
      operations, those that heads share taken head by head, F the same of the feed-forward blocks of all layers but
      the last; k = min(m, n) of an m x n matrix, weights N(0, 0.02). It is ZeroLM's capacity (Chen et al. 2025,
      Algorithm 1), but for three things: the product of both parts needs no weight alpha; heads count; and what the
      last layer's feed-forward block computes is read by no further operation.
    - **Locality** is the mean over layers of ln(T / s), s the number of tokens that an operation mixes before it is
      trained: K for a convolution of K positions, all T for attention (its softmax starts uniform) and for linear
      transforms. What sees its neighbours from the first update learns faster.

    Each view is standardised over a fixed sample of the space (its reading and reduction), and they are added; a view
    that does not vary there adds nothing, as locality under the ``trained`` reading.

    No part is fitted, but the choice between such formulas was made on the architectures of FlexiBERT and mini_bert
    whose key has an even SHA-256. That the last feed-forward block is better left out had been seen on all of
    FlexiBERT before. Figures: ``experiments/proxies/results/report.md``.

    Args:
        sample: architectures that the views are standardised over.
        tokens: T, of a training example.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "zeronas"
    title = "zeronas fitness"
    source = "this project; capacity after Chen et al. 2025 (arXiv 2503.18646)"
    needs = frozenset({"matrices"})

    @validated
    def __init__(self, sample: Annotated[int, Ge(2), Le(1_000_000)] = 500, tokens: Size = 128) -> None:
        self.sample, self.tokens = sample, tokens
        self._known: dict[tuple[Matrix, ...], tuple[float, float, float]] = {}  # layer -> its A, F and locality
        self._scales: tuple[np.ndarray, np.ndarray] | None = None  # means and deviations of the views over a space

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns this proxy with the means and deviations of both views over the space."""
        rng = seeds.generator(0, "fitness", "sample")  # the same sample in every run
        prepared = copy.copy(self)
        prepared._scales = scales([self.views(space.matrices(space.sample(rng))) for _ in range(self.sample)])
        return prepared

    def __call__(self, record: Record) -> float:
        """Returns the sum of both views from the shapes of the record's matrices.

        Raises:
            ProxyFailure: the record has none, the encoder has a single layer, or the proxy was prepared for no space.
        """
        if self._scales is None:
            raise ProxyFailure("the fitness is relative to a space, which the proxy was not prepared for")
        means, spread = self._scales
        capacity, locality = (np.array(self.views(record.matrices)) - means) / spread
        return float(capacity + locality)

    def views(self, layers: tuple[tuple[Matrix, ...], ...]) -> tuple[float, float]:
        """Returns capacity and locality.

        Raises:
            ProxyFailure: there are fewer than two layers.
        """
        if len(layers) < 2:
            raise ProxyFailure("the capacity leaves out the last layer's feed-forward block, and there is no other")
        found = [self._layer(layer) for layer in layers]
        attention = math.fsum(a for a, _, _ in found)
        feed_forward = math.fsum(f for _, f, _ in found[:-1])
        locality = math.fsum(local for _, _, local in found) / len(found)
        return math.log(attention) + math.log(feed_forward), locality

    def _layer(self, layer: tuple[Matrix, ...]) -> tuple[float, float, float]:
        known = self._known.get(layer)
        if known is None:
            parts = {"attention": 0.0, "feed_forward": 0.0}
            span = self.tokens
            for matrix in layer:
                count, rows, columns = pieces(matrix, per_head=True)
                parts[matrix.part] += count * max(rows, columns) * variance(rows, columns, "normal02")
                if matrix.name == "conv_kernel":
                    span = min(self.tokens, matrix.rows // matrix.heads)
            known = parts["attention"], parts["feed_forward"], math.log(self.tokens / span)
            self._known[layer] = known
        return known
