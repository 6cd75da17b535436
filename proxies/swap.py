"""SWAP: how many distinct sample-wise activation patterns an untrained network makes.

Source: Peng et al., "SWAP-NAS: Sample-wise activation patterns for ultra-fast NAS" (ICLR 2024, arXiv 2403.04161), and
its extension to transformers (arXiv 2605.07378).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError
from proxies.base import PROXIES, Proxy, ProxyFailure, Record, Tap
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Swap", "distinct_patterns", "regulariser", "signs"]

#: taps that are outputs of an activation function -> its centre, below which the sign is -1
CENTRES: dict[str, float] = {
    "activation": 0.0,  # GELU of BERT
    "activation_tanh": 0.0,
    "activation_sigm": 0.5,
    "activation_leaky_relu": 0.0,
}


def signs(name: str, value: Tensor) -> Tensor:
    """Returns the sign in {-1, 0, 1} of an activation's output, of a sigmoid's that of its distance from 0.5."""
    import torch

    centre = CENTRES[name]
    return torch.sign(value - centre if centre else value)


def distinct_patterns(blocks: Iterable[Tensor], seed: int = 0) -> int:
    """Returns how many distinct columns all blocks have together.

    Columns are told apart by a random 64-bit linear hash: among 10^6 patterns two are confused with a probability
    below 10^-6.

    Args:
        blocks: sign matrices (S, V), one row per sample, the same S in all; one column is a value's pattern.
        seed: of the hash.

    Raises:
        ProxyFailure: a value is not finite.
    """
    import torch

    hashes = []
    factors: list[int] = []
    for block in blocks:
        if not bool(torch.isfinite(block).all()):
            raise ProxyFailure("activations are not finite")
        while len(factors) < block.shape[0]:
            factors.append(seeds.integer(seed, "swap", len(factors)))
        codes = torch.zeros(block.shape[1], dtype=torch.int64, device=block.device)
        for factor, row in zip(factors, block.to(torch.int64), strict=False):
            codes += factor * row  # wraps around
        hashes.append(codes)
    return int(torch.unique(torch.cat(hashes)).numel()) if hashes else 0


def regulariser(parameters: float, mu: float, sigma: float) -> float:
    """Returns exp(-(P - mu)^2 / sigma), all in thousands of parameters (sigma in their square)."""
    return math.exp(-((parameters - mu) ** 2) / sigma)


@PROXIES.register("swap")
class Swap(Proxy):
    """SWAP: the number of distinct sample-wise activation patterns; more (greater expressivity) is better.

    A value that an activation function outputs (a unit at a position or a step) has as its pattern its signs over the
    samples of the minibatch; samples are examples for BERT and streams for cells. Signs are -1, 0 or 1, of a sigmoid
    relative to 0.5. The score is the mean over initialisations where the probe makes several. It is bounded by the
    number of values and by 2^samples: with many samples it counts the activation values of the network, with few it
    saturates.

    The regularised score is multiplied by exp(-(P - mu)^2 / sigma), P being the parameters in thousands. Left open, mu
    is the given quantile of the parameters of a fixed sample of the space, and sigma the square of the distance
    between its quartiles.

    Args:
        regularised: multiply as above.
        mu, sigma: of the regulariser; null: from the space.
        quantile: of the parameters, for mu.
        sample: architectures drawn for the quantiles.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "swap"
    title = "SWAP"
    source = "Peng et al. 2024, definition 3.2 (patterns) and section 3.3 (regularised)"
    needs = frozenset({"forward", "activations"})
    spaces = ("rnn", "bert")
    layers = 1

    def __init__(
        self,
        regularised: bool = False,
        mu: float | None = None,
        sigma: float | None = None,
        quantile: float = 0.5,
        sample: int = 200,
    ) -> None:
        if sigma is not None and not sigma > 0:
            raise ZeronasError(f"swap needs sigma > 0, but got sigma={sigma!r}.")
        if not 0 <= quantile <= 1:
            raise ZeronasError(f"swap needs a quantile from 0 to 1, but got quantile={quantile!r}.")
        if not isinstance(sample, int) or isinstance(sample, bool) or sample < 4:
            raise ZeronasError(f"swap needs sample to be 4 or more, but got sample={sample!r}.")
        self.regularised, self.mu, self.sigma = bool(regularised), mu, sigma
        self.quantile, self.sample = quantile, sample
        self._pools: dict[int, tuple[Any, float, float]] = {}  # id of a space -> it, mu and sigma

    def __call__(self, record: Record) -> float:
        """Returns the mean number of patterns, regularised if so configured.

        Raises:
            ProxyFailure: the network has no activation function, or one outputs a value that is not finite.
        """
        require_finite_states(record)
        counts = [self._patterns(r) for r in (record, *record.repeats)]
        value = sum(counts) / len(counts)
        if not self.regularised:
            return value
        mu, sigma = self.constants(record)
        return value * regulariser(record.counts.parameters / 1000, mu, sigma)

    def _patterns(self, record: Record) -> int:
        taps = [tap for tap in record.taps if tap.name in CENTRES]
        if not taps:
            raise ProxyFailure("the network has no activation function")
        return distinct_patterns((_by_sample(record.space, tap) for tap in taps), record.seed)

    def constants(self, record: Record) -> tuple[float, float]:
        """Returns mu and sigma, in thousands of parameters and their square.

        Raises:
            ProxyFailure: they are to come from the space, which the record does not name or which has one size only.
        """
        if self.mu is not None and self.sigma is not None:
            return self.mu, self.sigma
        space = record.origin
        if space is None:
            raise ProxyFailure("the record does not say which space it is of, so mu and sigma must be given")
        known = self._pools.get(id(space))
        if known is None or known[0] is not space:
            rng = seeds.generator(0, "swap", "pool")  # the same sample in every run
            sizes = [space.counts(space.sample(rng)).parameters / 1000 for _ in range(self.sample)]
            low, middle, high = np.quantile(sizes, [0.25, self.quantile, 0.75])
            known = self._pools[id(space)] = (space, float(middle), float((high - low) ** 2))
        _, mu, sigma = known
        sigma = self.sigma if self.sigma is not None else sigma
        if not sigma > 0:
            raise ProxyFailure("the quartiles of the space's parameters are equal, so sigma must be given")
        return (self.mu if self.mu is not None else mu), sigma


def _by_sample(space: str, tap: Tap) -> Tensor:
    value = signs(tap.name, tap.value)
    if space == "rnn":
        value = value.transpose(0, 1)  # (T, B, d) -> (B, T, d)
    return value.flatten(1)  # (B, T, d) -> (B, T*d)
