"""What an unrolled stack holds, told apart: one matrix for each input of each linear node, one tap for each node.

``spaces.rnn.module.unroll`` fuses the weights of all linear nodes that read the same register. What proxies see is
listed layer by layer, linear node by linear node, input by input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from spaces.record import Tap, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.rnn.module import Tape
    from spaces.rnn.plan import Plan

__all__ = ["Weights", "activations", "blocks", "used_rows", "weights_of"]

#: per layer, the fused weight of each register and the biases (n, h), as ``spaces.rnn.module.unroll`` takes them
Weights: TypeAlias = "list[tuple[dict[int, Tensor], Tensor]]"


def blocks(plan: Plan, fused: Mapping[int, Tensor]) -> Iterator[Tensor]:
    """Yields the matrices (h, in) of one layer, of its fused weights or of anything shaped like them."""
    for linear, inputs in enumerate(plan.linears):
        for register in inputs:
            readers = plan.readers[register]
            yield fused[register].chunk(len(readers), dim=1)[readers.index(linear)].T  # (in, h) -> (h, in)


def weights_of(plan: Plan, weights: Weights, grads: Sequence[Mapping[int, Tensor]]) -> list[Weight]:
    """Returns all weights of the stack, with their gradients where ``grads`` holds fused ones for each layer."""
    found = []
    for layer, (fused, _) in enumerate(weights):
        values = blocks(plan, {register: weight.detach() for register, weight in fused.items()})
        slopes = blocks(plan, grads[layer]) if grads else None
        for linear, inputs in enumerate(plan.linears):
            for position in range(len(inputs)):
                grad = next(slopes) if slopes is not None else None
                found.append(Weight(f"linear {linear}", "linear", layer, position, next(values), grad))
    return found


def used_rows(x: Tensor, grad: Tensor | None, ids: Tensor) -> Weight:
    """Returns the rows (n, e) of the embedding table whose tokens occur; the gradient of all others is zero."""
    import torch

    tokens, row = torch.unique(ids.flatten(), return_inverse=True)
    row = row.to(x.device)
    value = x.new_zeros(len(tokens), x.shape[2])
    value[row] = x.flatten(0, 1)
    slope = None if grad is None else torch.zeros_like(value).index_add_(0, row, grad.flatten(0, 1))
    return Weight("embedding", "embedding", 0, 0, value, slope)


def activations(plan: Plan, tapes: Sequence[Tape]) -> list[Tap]:
    """Returns the outputs (T, B, h) of the activation nodes of each layer."""
    import torch

    ops = {step.output: step.op for step in plan.instructions}
    return [
        Tap(ops[register], layer, torch.stack(values).detach(), examples=1)  # T x (B, h) -> (T, B, h)
        for layer, tape in enumerate(tapes)
        for register, values in tape.activations.items()
    ]
