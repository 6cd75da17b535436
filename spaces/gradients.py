"""Gradients that the probes of several spaces take: of first and second order, and of single examples.

The gradient of one example at a weight (out, in) is the product of two tensors that a pass has anyway, what the linear
reads (B, T, in) and the gradient of its output (B, T, out), summed over positions or steps: one backward pass gives
those of all examples, as long as no example sees another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from spaces.record import Need, Record, Weight

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXAMPLES", "LINEARS", "gradients", "hessian_times_gradient", "see_examples"]

#: needs of the gradients of single examples
EXAMPLES = frozenset({"example_moments", "tangent_kernel"})
#: needs of the gradients of the linears' outputs
LINEARS = EXAMPLES | {"linear_backward"}
#: entries of each example's gradient that are worked on at once
_CHUNK = 1 << 14


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


def see_examples(
    record: Record, weights: Sequence[Weight], passes: Iterable[tuple[Tensor, Tensor]], kinds: frozenset[Need]
) -> list[Weight]:
    """Gives the record its kernel, where ``kinds`` has it; the gradients of one matrix are held at a time.

    Args:
        weights: of the linears, in order; more may follow.
        passes: for each of them what it reads (B, T, in), and the gradient of its output (B, T, out).

    Returns:
        the weights, with the moments where ``kinds`` has them.
    """
    found = list(weights)
    for place, (read, slope) in enumerate(passes):
        grads = slope.transpose(1, 2) @ read  # (B, out, in)
        if "tangent_kernel" in kinds:
            record.kernel = _inner_products(grads) + (0 if record.kernel is None else record.kernel)
        if "example_moments" in kinds:
            mean, deviation = _moments(grads)
            found[place] = replace(found[place], example_mean=mean, example_deviation=deviation)
    return found


def _moments(grads: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the mean of |g| and the standard deviation of g, divisor B, over the examples of (B, out, in)."""
    import torch

    flat = grads.flatten(1)
    size, deviation = torch.empty_like(flat[0]), torch.empty_like(flat[0])
    parts = (tensor.split(_CHUNK, dim=-1) for tensor in (flat, size, deviation))
    for part, of_size, of_deviation in zip(*parts, strict=True):  # what fits a cache is many times faster
        torch.mean(part.abs(), 0, out=of_size)
        torch.mean((part - part.mean(0)).square_(), 0, out=of_deviation)
    return size.view_as(grads[0]), deviation.sqrt_().view_as(grads[0])


def _inner_products(grads: Tensor) -> Tensor:
    """Returns the products of each two examples' gradients (B, out, in): (B, B), summed in float64."""
    parts = (part.double() for part in grads.flatten(1).split(_CHUNK, dim=1))
    return sum(part @ part.T for part in parts)
