"""ZiCo: how much the gradients of a network's weights agree over examples."""

from __future__ import annotations

import math

from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.pruning import layer_weights

__all__ = ["ZiCo"]

#: a deviation below so many units in the last place of the mean is rounding
_ROUNDING = 16


@PROXIES.register("zico")
class ZiCo(Proxy):
    """ZiCo: the sum over weight matrices of ln(sum over their entries of mean |g| / std g), over examples.

    g is what one example adds to the gradient of L, the scalar that ``proxies.pruning`` describes in the loss's place;
    the scale of L does not matter. Li et al. 2023 (arXiv 2301.11300) define it over training examples; their released
    code (compute_zico.py) has a few batches in their place, each with the gradient of its mean loss. As there, std is
    that of g itself, with divisor B, and entries whose gradient is the same for all examples, or zero, are left out, as
    is a matrix of such entries alone.

    The weights of the linears of all layers count, no embedding or bias. The sum is over matrices and in the logarithm
    over entries, so deeper and wider networks score higher for their size alone.
    """

    name = "zico"
    title = "ZiCo"
    source = "Li et al. 2023"
    needs = frozenset({"forward", "weights", "example_moments"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns it for the means and deviations (out, in) of the weights.

        Raises:
            ProxyFailure: no entry's gradient differs between examples, as with one alone, or one is not finite.
        """
        import torch

        found = []
        for weight in layer_weights(record):
            mean, deviation = weight.example_mean, weight.example_deviation
            if mean is None or deviation is None:
                raise ProxyFailure("the pass made no gradients of examples")
            if not bool(torch.isfinite(mean).all() and torch.isfinite(deviation).all()):
                raise ProxyFailure("gradients are not finite")
            varies = deviation > _ROUNDING * torch.finfo(mean.dtype).eps * mean
            if bool(varies.any()):
                ratios = torch.where(varies, mean / deviation, 0.0)
                found.append(math.log(float(ratios.sum(dtype=torch.float64))))
        if not found:
            raise ProxyFailure("gradients do not differ between examples")
        return math.fsum(found)
