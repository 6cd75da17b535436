"""The weight matrices of a BERT encoder's layers, as shapes from its plan, for metrics that need no weights."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from spaces.base import Matrix
from spaces.bert.readings import LayerPlan

__all__ = ["layer_matrices"]


@lru_cache(maxsize=4096)
def layer_matrices(layer: LayerPlan, hidden: int) -> tuple[Matrix, ...]:
    """Returns the Linears of one layer in the order of its module; convolutions (DSC) are none."""
    h, n, a = hidden, layer.heads, layer.heads * layer.head_size
    if layer.operation in ("DFT", "DCT"):
        operation = [("input", h, h, n)]
    elif layer.operation == "DSC":
        operation = [(name, a, h, n) for name in ("query", "key", "value")]
        operation += [("conv_kernel", n * layer.kernel, a, n), ("conv_out", a, h, n), ("output", h, 2 * a, 1)]
    else:
        operation = [(name, h, h, n) for name in ("query", "key", "value")]
        operation += [("weight", h, h, n)] if layer.operation == "WMA" else []
        operation += [("output", h, h, 1)]
    chain = (h, *layer.feed_forward, h)
    found = [Matrix(name, "attention", rows, columns, heads) for name, rows, columns, heads in operation]
    names = ("dense_in", *["extra"] * (len(layer.feed_forward) - 1), "dense_out")
    for name, (columns, rows) in zip(names, pairwise(chain), strict=True):
        found.append(Matrix(name, "feed_forward", rows, columns, 1))
    return tuple(found)
