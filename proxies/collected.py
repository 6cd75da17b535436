"""Metrics that collect one value from each of several tensors of a network, and are their mean or their sum."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from nas.core.options import validated
from proxies.base import ProxyFailure, Record, Variant, VariantProxy, Weight
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Collected", "gradient", "total_saliency"]


class Collected(VariantProxy):
    """A metric that collects values from tensors.

    Class attributes:
        collects: what the tensors are, for the reason of a failure.

    Args:
        variant: "released" or "corrected".
        normalised: the mean over the tensors, else their sum, which mostly counts layers.
    """

    source = "Serianni & Kalita 2023, section 3"
    layers = 1
    collects: ClassVar[str]

    @validated
    def __init__(self, variant: Variant = "corrected", normalised: bool = True) -> None:
        super().__init__(variant)
        self.normalised = normalised

    def __call__(self, record: Record) -> float:
        """Returns the metric.

        Raises:
            ProxyFailure: hidden states are not finite, or what it needs is not in the network or the record.
        """
        require_finite_states(record)
        key = (self.name, self.variant)  # the normalised metric and the other share what is expensive
        if key not in record.kept:
            record.kept[key] = tuple(self._values(record))
        values = record.kept[key]
        if self.normalised and not values:
            raise ProxyFailure(f"the network has no {self.collects}")
        return math.fsum(values) / (len(values) if self.normalised else 1)

    @abstractmethod
    def _values(self, record: Record) -> list[float]:
        """Returns one value for each tensor that is collected."""


def gradient(weight: Weight, released: bool) -> Tensor:
    """Returns a weight's gradient from the released or the corrected seed.

    Raises:
        ProxyFailure: the record does not hold it.
    """
    grad = weight.released_grad if released else weight.grad
    if grad is None:
        raise ProxyFailure("the record holds no gradients of weights")
    return grad


def total_saliency(weight: Weight, released: bool) -> float:
    """Returns the sum over the entries of a weight W of |W dL/dW|, in float64."""
    return float((weight.value.double() * gradient(weight, released).double()).abs().sum())
