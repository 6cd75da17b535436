"""SWAP: how many distinct sample-wise activation patterns an untrained network makes.

Source: Peng et al., "SWAP-NAS: Sample-wise activation patterns for ultra-fast NAS" (ICLR 2024, arXiv 2403.04161), and
its extension to transformers (arXiv 2605.07378).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le

from nas.core import seeds
from nas.core.options import NotNegative, Share, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record, Tap
from proxies.jacobian import require_finite_states
from proxies.sizes import counted

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["Swap", "distinct_patterns", "regulariser", "signs"]


def signs(tap: Tap) -> Tensor:
    """Returns the signs in {-1, 0, 1} of an activation's output, one row per example (B, n); a sigmoid's about 0.5."""
    import torch

    value = tap.by_example()
    return torch.sign(value - tap.centre if tap.centre else value)


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
    samples of the minibatch, its examples (for cells, streams). Signs are -1, 0 or 1, of a sigmoid
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
    layers = 1

    @validated
    def __init__(
        self,
        regularised: bool = False,
        mu: NotNegative | None = None,
        sigma: Annotated[float, Gt(0)] | None = None,
        quantile: Share = 0.5,
        sample: Annotated[int, Ge(4), Le(1_000_000)] = 200,
    ) -> None:
        self.regularised, self.mu, self.sigma = regularised, mu, sigma
        self.quantile, self.sample = quantile, sample
        self._constants = (mu, sigma)

    @property
    def constants(self) -> tuple[float | None, float | None]:
        """Mu and sigma, in thousands of parameters and their square, as given or as the space has them."""
        return self._constants

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns this proxy with the mu and sigma of a space where they were left open."""
        if not self.regularised or (self.mu is not None and self.sigma is not None):
            return self
        rng = seeds.generator(0, "swap", "pool")  # the same sample in every run
        drawn = [space.counts(space.sample(rng)).parameters for _ in range(self.sample)]
        sizes = [parameters / 1000 for parameters in drawn if parameters is not None]
        if not sizes:
            return self
        low, middle, high = np.quantile(sizes, [0.25, self.quantile, 0.75])
        prepared = copy.copy(self)
        prepared._constants = (
            self.mu if self.mu is not None else float(middle),
            self.sigma if self.sigma is not None else float((high - low) ** 2),
        )
        return prepared

    def __call__(self, record: Record) -> float:
        """Returns the mean number of patterns, regularised if so configured.

        Raises:
            ProxyFailure: the network has no activation function, or one outputs a value that is not finite; mu or
                sigma is neither given nor known from a space, or that has architectures of one size only.
        """
        require_finite_states(record)
        counts = [self._patterns(r) for r in (record, *record.repeats)]
        value = sum(counts) / len(counts)
        if not self.regularised:
            return value
        mu, sigma = self._constants
        if mu is None or sigma is None:
            raise ProxyFailure("mu and sigma must be given, or be those of a space that the proxy is prepared for")
        if not sigma > 0:
            raise ProxyFailure("the quartiles of the space's parameters are equal, so sigma must be given")
        return value * regulariser(counted(record, "parameters") / 1000, mu, sigma)

    def _patterns(self, record: Record) -> int:
        taps = [tap for tap in record.taps if tap.is_activation]
        if not taps:
            raise ProxyFailure("the network has no activation function")
        return distinct_patterns(map(signs, taps), record.seed)
