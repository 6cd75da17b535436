"""Capacities of weight matrices at initialisation: ZeroLM and NSC, which need shapes and neither data nor a pass.

Sources: ZeroLM, Chen et al. 2025 (arXiv 2503.18646); NSC, neural spectral capacity, Zhu et al. 2026 (arXiv 2609.23087).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from spaces.bert.matrices import Matrix, layer_matrices
from spaces.bert.readings import LayerPlan, Plan, plan

if TYPE_CHECKING:
    from spaces.base import Space

__all__ = ["INITS", "NSC", "ZeroLM", "labelled_alpha", "psi", "variance"]

#: how weights start: N(0, 0.02) as BERT's do; Xavier; the default of ``torch.nn.Linear``
INITS = ("normal02", "xavier", "torch")
NORMS = ("fro2_over_k", "fro")
FORMS = ("closed", "sampled")
OPS = ("published", "real")

_PARTS = ("attention", "feed_forward")


def variance(rows: int, columns: int, init: str) -> float:
    """Returns the variance of an entry of a (rows, columns) = (outputs, inputs) matrix under an initialisation.

    N(0, 0.02): 0.0004; Xavier: 2 / (rows + columns); torch's default U(-1/sqrt(columns), 1/sqrt(columns)):
    1 / (3 columns).
    """
    if init == "normal02":
        return 0.02**2
    return 2 / (rows + columns) if init == "xavier" else 1 / (3 * columns)


def _chosen(proxy: str, option: str, value: Any, accepted: Sequence[str]) -> str:
    if value not in accepted:
        raise ZeronasError(f"{proxy} has no {option}={value!r}.{did_you_mean(str(value), accepted)}")
    return str(value)


def _plan_of(record: Record) -> Plan:
    if record.origin is None or record.architecture is None:
        raise ProxyFailure("the record does not say which space and architecture it is of")
    return _plan(record.architecture, getattr(record.origin, "reading", "stated"))


_plan = lru_cache(maxsize=4096)(plan)


def _pieces(matrix: Matrix, per_head: bool) -> tuple[int, int, int]:
    """Returns (how many, rows, columns): one matrix, or one for each head that shares its rows."""
    heads = matrix.heads if per_head else 1
    return heads, matrix.rows // heads, matrix.columns


@PROXIES.register("zerolm")
class ZeroLM(Proxy):
    """ZeroLM: the capacity of attention matrices and that of feed-forward matrices, weighted and added.

    The capacity of an m x n matrix W is C(W) = ||W||_F^2 / k, k = min(m, n): its mean squared singular value. With A
    the sum over all Linears of the operations and F over all of the feed-forward blocks,
    S = alpha A + (1 - alpha) F. ``alpha=auto`` takes no labels: A and F are standardised by their mean and standard
    deviation over a fixed sample of the space (its reading and reduction) and added. ``labelled_alpha`` finds alpha
    from a few trained architectures, as the paper does. Embeddings, biases and norms do not count; the published .53
    and .76 are those of the ``released`` reading.

    Args:
        alpha: weight of attention, or "auto".
        norm: "fro2_over_k" (C above) or "fro" (||W||_F).
        init: one of ``INITS``.
        form: "closed" (from E||W||_F^2 = m n variance, by shapes alone) or "sampled" (weights are drawn).
        per_head: take the rows of each head as one matrix (query, key, value and what else heads split).
        sample: architectures that "auto" draws.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "zerolm"
    title = "ZeroLM"
    source = "Chen et al. 2025, Algorithm 1"
    needs = frozenset({"shapes"})
    spaces = ("bert",)

    def __init__(
        self,
        alpha: float | str = "auto",
        norm: str = "fro2_over_k",
        init: str = "normal02",
        form: str = "closed",
        per_head: bool = False,
        sample: int = 200,
    ) -> None:
        if alpha != "auto" and (isinstance(alpha, (str, bool)) or not math.isfinite(alpha)):
            raise ZeronasError(f"zerolm needs alpha to be a number or auto, but got alpha={alpha!r}.")
        if not isinstance(sample, int) or isinstance(sample, bool) or sample < 2:
            raise ZeronasError(f"zerolm needs a sample of 2 architectures or more, but got sample={sample!r}.")
        self.alpha = alpha
        self.norm = _chosen("zerolm", "norm", norm, NORMS)
        self.init = _chosen("zerolm", "init", init, INITS)
        self.form = _chosen("zerolm", "form", form, FORMS)
        self.per_head, self.sample = bool(per_head), sample
        self._known: dict[tuple[Any, int], tuple[float, float]] = {}  # (layer, hidden) -> its A and F
        self._pools: dict[int, tuple[Any, tuple[float, ...]]] = {}  # id of a space -> it, means and deviations

    def __call__(self, record: Record) -> float:
        """Returns S from the shapes of the record's architecture."""
        attention, feed_forward = self.parts(_plan_of(record), record.seed, record.key)
        if self.alpha != "auto":
            return float(self.alpha) * attention + (1 - float(self.alpha)) * feed_forward
        assert record.origin is not None
        mean_a, mean_f, sd_a, sd_f = self._pool(record.origin)
        return (attention - mean_a) / sd_a + (feed_forward - mean_f) / sd_f

    def parts(self, planned: Plan, seed: int = 0, key: str = "") -> tuple[float, float]:
        """Returns the capacities A of attention and F of feed-forward; seed and key matter to form=sampled."""
        if self.form == "sampled":
            return self._sampled(planned, seed, key)
        hidden, known, found = planned.hidden_size, self._known, []
        for layer in planned.layers:
            both = known.get((layer, hidden))
            if both is None:
                a, f = (
                    sum(self._capacity(m) for m in layer_matrices(layer, hidden) if m.part == part) for part in _PARTS
                )
                both = known[layer, hidden] = (a, f)
            found.append(both)
        # exactly rounded sums: the same layers in another order are a tie
        return math.fsum(a for a, _ in found), math.fsum(f for _, f in found)

    def _capacity(self, matrix: Matrix) -> float:
        count, rows, columns = _pieces(matrix, self.per_head)
        return count * self._of_square(
            rows * columns * variance(matrix.rows, matrix.columns, self.init), min(rows, columns)
        )

    def _of_square(self, square: float, k: int) -> float:
        return square / k if self.norm == "fro2_over_k" else math.sqrt(square)

    def _sampled(self, planned: Plan, seed: int, key: str) -> tuple[float, float]:
        rng = seeds.generator(seed, key, "capacity")
        totals = dict.fromkeys(_PARTS, 0.0)
        for layer in planned.layers:
            for matrix in layer_matrices(layer, planned.hidden_size):
                count, rows, columns = _pieces(matrix, self.per_head)
                shape, spread = (count, rows * columns), math.sqrt(variance(matrix.rows, matrix.columns, self.init))
                if self.init == "torch":
                    bound = math.sqrt(3) * spread
                    weights = rng.uniform(-bound, bound, shape)
                else:
                    weights = rng.normal(0.0, spread, shape)
                squares = np.einsum("ij,ij->i", weights, weights)
                totals[matrix.part] += sum(self._of_square(float(s), min(rows, columns)) for s in squares)
        return totals["attention"], totals["feed_forward"]

    def _pool(self, space: Space[Any]) -> tuple[float, ...]:
        known = self._pools.get(id(space))
        if known is None or known[0] is not space:
            rng = seeds.generator(0, "capacity", "pool")  # the same sample in every run
            drawn = [space.sample(rng) for _ in range(self.sample)]
            reading = getattr(space, "reading", "stated")
            parts = np.array([self.parts(plan(a, reading), 0, a.key) for a in drawn])
            spread = parts.std(axis=0)
            spread[spread <= 1e-12 * np.abs(parts).max(axis=0)] = np.inf  # a part that never varies says nothing
            known = self._pools[id(space)] = (space, (*parts.mean(axis=0).tolist(), *spread.tolist()))
        return known[1]


def labelled_alpha(
    attention: Sequence[float], feed_forward: Sequence[float], truth: Sequence[float], clip: bool = True
) -> float:
    """Returns ZeroLM's alpha from trained architectures: the mean of the two alphas of [-1.5, 1.5] with the best tau.

    The grid's step is 0.1. Among few architectures the best alpha is erratic, so by default it is clipped to [0, 1].

    Args:
        attention: A of each.
        feed_forward: F of each.
        truth: greater is better.

    Raises:
        ZeronasError: the three differ in length, or there are fewer than three.
    """
    from nas.judge import kendall

    if not 3 <= len(truth) == len(attention) == len(feed_forward):
        raise ZeronasError(
            "alpha by labels needs three or more architectures with both capacities and truth, "
            f"but got {len(attention)}, {len(feed_forward)} and {len(truth)} values."
        )
    a, f = np.asarray(attention, float), np.asarray(feed_forward, float)
    grid = np.round(np.arange(-1.5, 1.55, 0.1), 1)
    taus = np.nan_to_num([kendall((x * a + (1 - x) * f).tolist(), list(truth)) for x in grid], nan=-2.0)
    best = float(grid[np.argsort(-taus, kind="stable")[:2]].mean())
    return min(max(best, 0.0), 1.0) if clip else best


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

    ``ops=published`` counts the matrices that the authors' code lists, which are not those of the modules: with h the
    hidden size, F the feed-forward width and f the number of feed-forward activations, a layer has a (3h, h) and an
    (h, h) matrix for self-attention, two (h, h) for a linear transform, one for a convolution, and f pairs of
    (F // f, h) and (h, F // f). Under the ``stated`` reading it gives the published tau .695 and rho .884 exactly.
    ``ops=real`` counts the Linears that the reading has.

    Args:
        ops: "published" or "real".
        init: one of ``INITS``; the published one is Xavier.
        per_head: with ops=real, take the rows of each head as one matrix.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "nsc"
    title = "NSC"
    source = "Zhu et al. 2026, Marchenko-Pastur closed form"
    needs = frozenset({"shapes"})
    spaces = ("bert",)

    def __init__(self, ops: str = "real", init: str = "xavier", per_head: bool = False) -> None:
        self.ops = _chosen("nsc", "ops", ops, OPS)
        self.init = _chosen("nsc", "init", init, INITS)
        self.per_head = bool(per_head)
        self._known: dict[tuple[Any, int], float] = {}

    def __call__(self, record: Record) -> float:
        """Returns the capacity from the shapes of the record's architecture."""
        return self.capacity(_plan_of(record))

    def capacity(self, planned: Plan) -> float:
        """Returns the sum over the matrices of a plan."""
        hidden, known, found = planned.hidden_size, self._known, []
        for layer in planned.layers:
            value = known.get((layer, hidden))
            if value is None:
                shapes = self._published(layer, hidden) if self.ops == "published" else self._real(layer, hidden)
                value = known[layer, hidden] = math.fsum(n * psi(r, c, s2) for n, r, c, s2 in shapes)
            found.append(value)
        return math.fsum(found)  # exactly rounded: the same layers in another order are a tie

    def _published(self, layer: LayerPlan, h: int) -> list[tuple[int, int, int, float]]:
        square, repeats = (h, h), len(layer.feed_forward)
        if layer.operation in ("SDP", "WMA"):
            shapes = [(3 * h, h), square]
        else:
            shapes = [square] if layer.operation == "DSC" else [square, square]
        width = layer.feed_forward[-1] // repeats
        shapes += [(width, h), (h, width)] * repeats
        return [(1, rows, columns, variance(rows, columns, self.init)) for rows, columns in shapes]

    def _real(self, layer: LayerPlan, hidden: int) -> list[tuple[int, int, int, float]]:
        found = []
        for matrix in layer_matrices(layer, hidden):
            found.append((*_pieces(matrix, self.per_head), variance(matrix.rows, matrix.columns, self.init)))
        return found
