"""The blocks of a network: their outputs, and what random signs at the output of one make at its input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nas.core import seeds
from spaces.record import Block

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BLOCKS", "blocks_of"]

#: needs that ask for blocks
BLOCKS = frozenset({"blocks", "block_backward"})


def blocks_of(outputs: Sequence[Tensor], seed: int, backward: bool, examples: int = 0) -> list[Block]:
    """Returns the blocks with these outputs; the graph of the outputs is kept.

    Args:
        outputs: (B, T, d) or (T, B, d), each computed from the one before.
        seed: the run's; the signs are the same for all architectures whose outputs have the same shapes.
        backward: give all blocks but the first signs and a gradient.
        examples: the axis of the examples.
    """
    found = [Block(output.detach(), examples=examples) for output in outputs[:1]]
    for place, (below, above) in enumerate(pairwise(outputs), start=1):
        signs = _signs(above, seed, place) if backward else None
        grad = None if signs is None else _gradient(above, below, signs)
        found.append(Block(above.detach(), signs, grad, examples))
    return found


def _signs(like: Tensor, seed: int, place: int) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(seeds.integer(seed, "block", place))
    return (torch.randint(0, 2, like.shape, generator=generator) * 2 - 1).to(like)


def _gradient(above: Tensor, below: Tensor, signs: Tensor) -> Tensor:
    """Returns the gradient of the sum of signs * above at ``below``; zeros where nothing leads from there to here."""
    import torch

    if not (above.requires_grad and below.requires_grad):
        return torch.zeros_like(below)
    (grad,) = torch.autograd.grad(above, below, signs, retain_graph=True, materialize_grads=True)
    return grad
