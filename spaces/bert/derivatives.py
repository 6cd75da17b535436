"""Derivatives that single proxies ask for: H g, gradients of the Linears' outputs and of examples, SynFlow's pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spaces.bert.linears import Watched, weights_of
from spaces.gradients import EXAMPLES, gradients, hessian_times_gradient, see_examples
from spaces.record import Need, Record, Tap, Weight

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["curved", "differentiate_linears", "flow"]


def curved(weights: Sequence[Weight], total: Tensor) -> list[Weight]:
    """Returns the weights with H g of ``total``, taken over the Linears together; the graph is kept."""
    found = iter(hessian_times_gradient(total, [w.value for w in weights if w.part != "embedding"], retain=True))
    return [replace(w, curvature=next(found)) if w.part != "embedding" else w for w in weights]


def differentiate_linears(
    record: Record, weights: list[Weight], watched: Sequence[Watched], total: Tensor, kinds: frozenset[Need]
) -> list[Weight]:
    """Gives the record the gradients of the Linears' outputs, and what is kept of those of single examples.

    Returns:
        the weights, with the moments where they are asked for.
    """
    slopes = gradients(total, [out for _, out in watched])
    if "linear_backward" in kinds:
        record.outputs = [
            Tap(w.name, w.layer, out.detach(), slope)
            for w, (_, out), slope in zip(weights, watched, slopes, strict=False)
        ]
    if not kinds & EXAMPLES:
        return weights
    passes = ((read.detach(), slope) for (read, _), slope in zip(watched, slopes, strict=True))
    return see_examples(record, weights, passes, kinds)


def flow(layers: Any, steps: int) -> list[Weight]:
    """Returns the weights of the Linears as SynFlow's pass has them, absolute and in float64, with their gradients.

    The pass starts where the embedding ends, from one example of ``steps`` tokens that are 1 everywhere, and ends in
    the sum of the output. All parameters are absolute. LayerNorms are left out: with gain 1 and bias 0 their output
    sums to zero whatever the input is, and so every gradient would vanish. Drop-out is off.
    """
    import torch

    layers = copy.deepcopy(layers).double().eval()
    for layer in layers:
        for block in (layer.operation, layer.feed_forward):
            if hasattr(block, "norm"):
                block.norm = torch.nn.Identity()
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.abs_()
    weights = weights_of(layers)
    first = weights[0].value  # (out, h)
    hidden = first.detach().new_ones(1, steps, first.shape[1])
    with torch.enable_grad():
        for layer in layers:
            hidden = layer(hidden)
        grads = gradients(hidden.sum(), [w.value for w in weights])
    return [replace(w, value=w.value.detach(), grad=grad) for w, grad in zip(weights, grads, strict=True)]
