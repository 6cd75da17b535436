"""A stack of recurrent layers: its value, its key, its JSON form and its graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nas.core.errors import ZeronasError
from nas.core.options import shown

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["DEPTHS", "KINDS", "WIDTHS", "Layer", "Stack", "parse_stack"]

DEPTHS = (1, 2, 3, 4)
#: kind of layer -> how many gates it has, each a matrix of its own
KINDS = {"RNN": 1, "LSTM": 4, "GRU": 3}
WIDTHS = (16, 32, 64)


@dataclass(frozen=True)
class Layer:
    """One recurrent layer: a name in ``torch.nn`` and its hidden size."""

    kind: str
    width: int


@dataclass(frozen=True)
class Stack:
    """Layers from the input to the output; with ``residual`` a layer as wide as what it reads adds that to its output.

    Where no two neighbours are equally wide the flag changes nothing, and is False: equal stacks are equal values.
    """

    layers: tuple[Layer, ...]
    residual: bool = False

    def __post_init__(self) -> None:
        if not any(self.adds):
            object.__setattr__(self, "residual", False)

    @property
    def adds(self) -> list[bool]:
        """Whether each layer's input is added to its output; the first one's, the embedding, never is."""
        return [False, *(self.residual and a.width == b.width for a, b in pairwise(self.layers))]

    @cached_property
    def key(self) -> str:
        """``stack-`` and 64 bits of SHA-256 of the JSON form."""
        return "stack-" + hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Returns ``{"layers": [["LSTM", 32], ...], "residual": false}``."""
        return {"layers": [[layer.kind, layer.width] for layer in self.layers], "residual": self.residual}

    def to_graph(self) -> nx.DiGraph:
        """Returns the chain of the layers, with a sum after each that adds its input."""
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph()
        graph.add_node("x", op="input", label="x")
        last = "x"
        for number, (layer, adds) in enumerate(zip(self.layers, self.adds, strict=True), start=1):
            name = f"layer {number}"
            graph.add_node(name, op=layer.kind, label=f"{layer.kind}\n{layer.width}")
            graph.add_edge(last, name)
            if adds:
                graph.add_node(f"sum {number}", op="sum", label="+")
                graph.add_edges_from([(last, f"sum {number}"), (name, f"sum {number}")])
            last = f"sum {number}" if adds else name
        return graph


def parse_stack(data: Any) -> Stack:
    """Reads a stack from JSON text or the decoded object.

    Raises:
        ZeronasError: malformed; the sentence names the place and the value.
    """
    if isinstance(data, Stack):
        return data
    if isinstance(data, (str, bytes)):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            raise ZeronasError(f"The stack {shown(data)} is no valid JSON.") from None
    if not isinstance(data, Mapping) or set(data) != {"layers", "residual"}:
        raise ZeronasError(f"A stack is an object with the keys layers and residual, but got {shown(data)}.")
    layers, residual = data["layers"], data["residual"]
    if not isinstance(layers, (list, tuple)) or len(layers) not in DEPTHS:
        raise ZeronasError(f"layers of a stack is a list of 1 to 4 layers, but got {shown(layers)}.")
    if not isinstance(residual, bool):
        raise ZeronasError(f"residual of a stack is true or false, but got {shown(residual)}.")
    return Stack(tuple(_layer(item, number) for number, item in enumerate(layers, start=1)), residual)


def _layer(item: Any, number: int) -> Layer:
    if isinstance(item, (list, tuple)) and len(item) == 2:
        kind, width = item
        if isinstance(kind, str) and kind in KINDS and type(width) is int and width in WIDTHS:
            return Layer(kind, width)
    kinds, widths = ", ".join(KINDS), ", ".join(map(str, WIDTHS))
    raise ZeronasError(f"Layer {number} is {shown(item)}, but [one of {kinds}, one of {widths}] is needed.")
