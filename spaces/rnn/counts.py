"""Parameters, FLOPs, depth and width of a cell's language model, from shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.core.options import Size, Sizes, parse
from spaces.base import Counts
from spaces.rnn.cell import Cell

__all__ = ["RNNSizes", "counts", "depth", "parameters", "width"]


@dataclass(frozen=True)
class RNNSizes:
    """Sizes of the language model around the cell; the defaults are NAS-Bench-NLP's on Penn Treebank.

    Attributes:
        vocabulary: number of words V (10,000 for Penn Treebank, 33,278 for WikiText-2).
        embedding: embedding size e; the decoder is tied to the embedding.
        hidden: hidden size of each layer; layer l reads the vectors of layer l - 1.
    """

    vocabulary: Size = 10_000
    embedding: Size = 400
    hidden: Sizes = (600, 600, 400)

    @classmethod
    def of(cls, sizes: Any) -> RNNSizes:
        """Returns the sizes given by name.

        Raises:
            ZeronasError: an unknown name, or a size that is no whole number of 1 or more.
        """
        return parse(cls, sizes, "Space 'rnn'", "sizes.")

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(input size, hidden size) of every layer."""
        return list(zip([self.embedding, *self.hidden[:-1]], self.hidden, strict=True))


def parameters(cell: Cell, sizes: RNNSizes) -> int:
    """Returns the number of trainable scalars: tied embedding, decoder bias, and per layer every weight and bias.

    ``V e + V + sum over layers and linear nodes of (h + sum over inputs of h (in or h))``, the count of all 12,341
    runs of NAS-Bench-NLP that report one.
    """
    total = sizes.vocabulary * sizes.embedding + sizes.vocabulary
    for size_in, hidden in sizes.layers:
        total += sum(_weights(node.inputs, size_in, hidden) + hidden for node in cell.nodes if node.op == "linear")
    return total


def counts(cell: Cell, sizes: RNNSizes) -> Counts:
    """Returns the counts of the full model; FLOPs are 2 per multiply-add, per token, decoder included.

    Element-wise operations count one FLOP per unit (blend four). Depth is the longest path through the cell, in
    nodes; width the largest number of nodes at the same depth.
    """
    elementwise = {"blend": 4, "linear": 1}
    flops = 2 * sizes.vocabulary * sizes.embedding
    for size_in, hidden in sizes.layers:
        for node in cell.nodes:
            flops += elementwise.get(node.op, 1) * hidden
            if node.op == "linear":
                flops += 2 * _weights(node.inputs, size_in, hidden)
    return Counts(parameters(cell, sizes), flops, depth(cell), width(cell))


def _weights(inputs: tuple[str, ...], size_in: int, hidden: int) -> int:
    return sum(hidden * (size_in if name == "x" else hidden) for name in inputs)


def _levels(cell: Cell) -> dict[str, int]:
    level = dict.fromkeys(cell.sources, 0)
    for node in cell.ordered:
        level[node.name] = 1 + max(level[name] for name in node.inputs)
    return {node.name: level[node.name] for node in cell.nodes}


def depth(cell: Cell) -> int:
    """Returns the number of nodes on the longest path from a source to a new hidden state."""
    return max(_levels(cell).values())


def width(cell: Cell) -> int:
    """Returns the largest number of nodes at the same distance (longest path) from the sources."""
    levels = list(_levels(cell).values())
    return max(levels.count(level) for level in set(levels))
