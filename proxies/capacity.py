"""Capacities of weight matrices at initialisation: ZeroLM and NSC, which need shapes and neither data nor a pass.

Sources: ZeroLM, Chen et al. 2025 (arXiv 2503.18646); NSC, neural spectral capacity, Zhu et al. 2026 (arXiv 2609.23087).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.options import validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from spaces.base import Matrix

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["NSC", "Aggregate", "Init", "ZeroLM", "pieces", "psi", "scales", "variance"]

#: how weights start: N(0, 0.02) as BERT's do; Xavier; the default of ``torch.nn.Linear``
Init = Literal["normal02", "xavier", "torch"]

#: how NSC puts layers together
Aggregate = Literal["sum", "product"]

#: the weight matrices of each layer
Layers = Sequence[tuple[Matrix, ...]]

_PARTS = ("attention", "feed_forward")


def variance(rows: int, columns: int, init: str) -> float:
    """Returns the variance of an entry of a (rows, columns) = (outputs, inputs) matrix under an initialisation.

    N(0, 0.02): 0.0004; Xavier: 2 / (rows + columns); torch's default U(-1/sqrt(columns), 1/sqrt(columns)):
    1 / (3 columns).
    """
    if init == "normal02":
        return 0.02**2
    return 2 / (rows + columns) if init == "xavier" else 1 / (3 * columns)


def scales(sample: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns what numbers of a sample (n, k) are standardised by: means and deviations, each (k,).

    A number that never varies says nothing: its deviation is infinite.
    """
    values = np.array(sample)
    spread = values.std(axis=0)
    spread[spread <= 1e-12 * np.abs(values).max(axis=0)] = np.inf
    return values.mean(axis=0), spread


def _layers(record: Record) -> Layers:
    if not record.matrices:
        raise ProxyFailure("the record does not say which weight matrices the network has")
    return record.matrices


def pieces(matrix: Matrix, per_head: bool) -> tuple[int, int, int]:
    """Returns (how many, rows, columns): one matrix, or one for each head that shares its rows."""
    heads = matrix.heads if per_head else 1
    return heads, matrix.rows // heads, matrix.columns


@PROXIES.register("zerolm")
class ZeroLM(Proxy):
    """ZeroLM: the capacity of attention matrices and that of feed-forward matrices, weighted and added.

    The capacity of an m x n matrix W is C(W) = ||W||_F^2 / k, k = min(m, n): its mean squared singular value. With A
    the sum over all Linears of the operations and F over all of the feed-forward blocks,
    S = alpha A + (1 - alpha) F. ``alpha=auto`` takes no labels: A and F are standardised by their mean and standard
    deviation over a fixed sample of the space (its reading and reduction) and added; the paper finds alpha from a few
    trained architectures. Embeddings, biases and norms do not count; the published .53 and .76 are those of BERT
    configurations in the ``scored`` reading.

    Args:
        alpha: weight of attention, or "auto".
        norm: "fro2_over_k" (C above) or "fro" (||W||_F).
        init: "normal02", "xavier" or "torch".
        form: "closed" (from E||W||_F^2 = m n variance, by shapes alone) or "sampled" (weights are drawn).
        per_head: take the rows of each head as one matrix (query, key, value and what else heads split).
        sample: architectures that "auto" draws.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "zerolm"
    title = "ZeroLM"
    source = "Chen et al. 2025, Algorithm 1"
    needs = frozenset({"matrices"})

    @validated
    def __init__(
        self,
        alpha: float | Literal["auto"] = "auto",
        norm: Literal["fro2_over_k", "fro"] = "fro2_over_k",
        init: Init = "normal02",
        form: Literal["closed", "sampled"] = "closed",
        per_head: bool = False,
        sample: Annotated[int, Ge(2), Le(1_000_000)] = 200,
    ) -> None:
        self.alpha, self.norm, self.init, self.form = alpha, norm, init, form
        self.per_head, self.sample = per_head, sample
        self._known: dict[tuple[Matrix, ...], tuple[float, float]] = {}  # layer -> its A and F
        self._scales: tuple[float, ...] | None = None  # means and deviations of A and F over a space

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns this proxy with the means and deviations over the space that ``alpha=auto`` standardises by."""
        if self.alpha != "auto":
            return self
        rng = seeds.generator(0, "capacity", "pool")  # the same sample in every run
        drawn = [space.sample(rng) for _ in range(self.sample)]
        means, spread = scales([self.parts(space.matrices(a), 0, a.key) for a in drawn])
        prepared = copy.copy(self)
        prepared._scales = (*means.tolist(), *spread.tolist())
        return prepared

    def __call__(self, record: Record) -> float:
        """Returns S from the shapes of the record's matrices.

        Raises:
            ProxyFailure: the record has none, or alpha=auto was prepared for no space.
        """
        attention, feed_forward = self.parts(_layers(record), record.seed, record.key)
        if self.alpha != "auto":
            return float(self.alpha) * attention + (1 - float(self.alpha)) * feed_forward
        if self._scales is None:
            raise ProxyFailure("alpha=auto is relative to a space, which the proxy was not prepared for")
        mean_a, mean_f, sd_a, sd_f = self._scales
        return (attention - mean_a) / sd_a + (feed_forward - mean_f) / sd_f

    def parts(self, layers: Layers, seed: int = 0, key: str = "") -> tuple[float, float]:
        """Returns the capacities A of attention and F of feed-forward; seed and key matter to form=sampled."""
        if self.form == "sampled":
            return self._sampled(layers, seed, key)
        known, found = self._known, []
        for layer in layers:
            both = known.get(layer)
            if both is None:
                a, f = (sum(self._capacity(m) for m in layer if m.part == part) for part in _PARTS)
                both = known[layer] = (a, f)
            found.append(both)
        # exactly rounded sums: the same layers in another order are a tie
        return math.fsum(a for a, _ in found), math.fsum(f for _, f in found)

    def _capacity(self, matrix: Matrix) -> float:
        count, rows, columns = pieces(matrix, self.per_head)
        return count * self._of_square(
            rows * columns * variance(matrix.rows, matrix.columns, self.init), min(rows, columns)
        )

    def _of_square(self, square: float, k: int) -> float:
        return square / k if self.norm == "fro2_over_k" else math.sqrt(square)

    def _sampled(self, layers: Layers, seed: int, key: str) -> tuple[float, float]:
        rng = seeds.generator(seed, key, "capacity")
        totals = dict.fromkeys(_PARTS, 0.0)
        for matrix in (matrix for layer in layers for matrix in layer if matrix.part in totals):
            count, rows, columns = pieces(matrix, self.per_head)
            shape, spread = (count, rows * columns), math.sqrt(variance(matrix.rows, matrix.columns, self.init))
            if self.init == "torch":
                bound = math.sqrt(3) * spread
                weights = rng.uniform(-bound, bound, shape)
            else:
                weights = rng.normal(0.0, spread, shape)
            squares = np.einsum("ij,ij->i", weights, weights)
            totals[matrix.part] += sum(self._of_square(float(s), min(rows, columns)) for s in squares)
        return totals["attention"], totals["feed_forward"]


@lru_cache(maxsize=4096)
def psi(rows: int, columns: int, variance: float) -> float:
    """Returns psi_MP = E ln det(I + W^T W) of a (rows, columns) random matrix, by the Marchenko-Pastur law.

    With N = min, M = max, g = N/M: N times the integral of ln(1 + M s^2 x) over the law with ratio g, which has the
    closed form (Tulino & Verdu 2004, "Random Matrix Theory and Wireless Communications", equation 1.14)
    ln(1 + y - F/4) + ln(1 + y g - F/4) / g - F / (4 g y), with y = M s^2 and
    F = (sqrt(y (1 + sqrt g)^2 + 1) - sqrt(y (1 - sqrt g)^2 + 1))^2.

    Args:
        variance: s^2, of an entry.
    """
    n, m = sorted((rows, columns))
    if n < 1:
        return 0.0
    g, y = n / m, m * variance
    root = math.sqrt(g)
    f = (math.sqrt(y * (1 + root) ** 2 + 1) - math.sqrt(y * (1 - root) ** 2 + 1)) ** 2
    return n * (math.log(1 + y - f / 4) + math.log(1 + y * g - f / 4) / g - f / (4 * g * y))


@PROXIES.register("nsc")
class NSC(Proxy):
    """NSC, neural spectral capacity: the sum over weight matrices of the expected ln det(I + W^T W).

    ``aggregate=product`` is the authors' ablation "product over layers": the product of the layers' sums, in logarithms
    the sum over layers of the ln of a layer's sum, as their code has it. It favours depth over width.

    Args:
        aggregate: "sum" or "product".
        init: "normal02", "xavier" or "torch"; the published one is Xavier.
        per_head: take the rows of each head as one matrix.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "nsc"
    title = "NSC"
    source = "Zhu et al. 2026, Marchenko-Pastur closed form"
    needs = frozenset({"matrices"})

    @validated
    def __init__(self, init: Init = "xavier", per_head: bool = False, aggregate: Aggregate = "sum") -> None:
        self.init, self.per_head, self.aggregate = init, per_head, aggregate
        self._known: dict[tuple[Matrix, ...], float] = {}  # layer -> its capacity

    def __call__(self, record: Record) -> float:
        """Returns the capacity from the shapes of the record's matrices; of the product, its natural logarithm.

        Raises:
            ProxyFailure: the record has none.
        """
        found = []
        for layer in _layers(record):
            value = self._known.get(layer)
            if value is None:
                value = self._known[layer] = math.fsum(n * psi(r, c, s2) for n, r, c, s2 in self._shapes(layer))
            found.append(value)
        if self.aggregate == "product":
            found = [math.log(value) for value in found]
        return math.fsum(found)  # exactly rounded: the same layers in another order are a tie

    def _shapes(self, layer: Sequence[Matrix]) -> list[tuple[int, int, int, float]]:
        """Returns for each matrix of a layer how many such there are, rows, columns and the variance of an entry."""
        return [(*pieces(matrix, self.per_head), variance(matrix.rows, matrix.columns, self.init)) for matrix in layer]
