"""Gradients that the probes of several spaces take: of first and second order, and of single examples.

The gradient of one example at a weight (out, in) is the product of two tensors that a pass has anyway, what the linear
reads (B, T, in) and the gradient of its output (B, T, out), summed over positions or steps: one backward pass gives
those of all examples, as long as no example sees another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["example_gradients", "gradients", "hessian_times_gradient", "inner_products", "moments"]

#: entries of an example's gradient that are converted to float64 at once
_CHUNK = 1 << 15


def gradients(
    total: Tensor, inputs: Sequence[Tensor], retain: bool = False, differentiable: bool = False
) -> list[Tensor]:
    """Returns d total / d input; zeros where nothing leads from one to the other (a state that is constant, say).

    Args:
        retain: keep the graph for another backward pass.
        differentiable: the gradients can be differentiated again.
    """
    import torch

    asked = [tensor for tensor in inputs if tensor.requires_grad]
    if not total.requires_grad or not asked:
        return [torch.zeros_like(tensor) for tensor in inputs]
    given = torch.autograd.grad(
        total, asked, retain_graph=retain or differentiable, create_graph=differentiable, materialize_grads=True
    )
    found = iter(given)
    return [next(found) if tensor.requires_grad else torch.zeros_like(tensor) for tensor in inputs]


def hessian_times_gradient(total: Tensor, weights: Sequence[Tensor], retain: bool = False) -> list[Tensor]:
    """Returns H g for each weight, g the gradient of ``total`` in all weights and H its Hessian; the graph is kept."""
    firsts = gradients(total, weights, differentiable=True)
    product = sum((first * first.detach()).sum() for first in firsts)
    return gradients(product, weights, retain=retain)  # type: ignore[arg-type]


def example_gradients(read: Tensor, slope: Tensor) -> Tensor:
    """Returns the gradient of each example (B, out, in).

    Args:
        read: what the linear reads (B, T, in).
        slope: the gradient of its output (B, T, out).
    """
    return slope.transpose(1, 2) @ read


def moments(grads: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the mean of |g| and the standard deviation of g, divisor B, over the examples of (B, out, in)."""
    return grads.abs().mean(dim=0), grads.std(dim=0, correction=0)


def inner_products(grads: Tensor) -> Tensor:
    """Returns the products of each two examples' gradients (B, out, in): (B, B), summed in float64."""
    parts = (part.double() for part in grads.flatten(1).split(_CHUNK, dim=1))
    return sum(part @ part.T for part in parts)
