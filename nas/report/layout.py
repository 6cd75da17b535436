"""Where the nodes of an architecture's graph stand in a drawing, layer by layer, and what is written on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Layout", "laid_out"]

_LABELS = {
    "source": "",
    "linear": "linear",
    "blend": "blend",
    "elementwise_prod": "\u00d7",  # times sign
    "elementwise_sum": "+",
    "activation_tanh": "tanh",
    "activation_sigm": "sigmoid",
    "activation_leaky_relu": "leaky ReLU",
}


@dataclass(frozen=True)
class Layout:
    """A drawing of a graph, its sources at the top.

    Attributes:
        place: node -> (x, y); one unit apart in a row, rows at y = 0, -1, -2, ...
        texts: node -> what is written on it, lines parted by newlines.
        sources, outputs: nodes that are read from outside, and those that are handed on as states.
        marks: edge -> its position among the inputs, where the order of them matters.
    """

    place: Mapping[Any, tuple[float, float]]
    texts: Mapping[Any, str]
    sources: frozenset[Any]
    outputs: frozenset[Any]
    marks: Mapping[tuple[Any, Any], str]


def laid_out(graph: Any) -> Layout:
    """Returns the drawing of an architecture's graph.

    Args:
        graph: networkx.DiGraph with node attribute ``op`` (and ``label``, where that is not what is to be written)
            and, where the order of inputs matters, edge attribute ``position``.
    """
    import networkx as nx

    level: dict[Any, int] = {}
    for node in nx.topological_sort(graph):
        level[node] = 1 + max((level[u] for u in graph.predecessors(node)), default=-1)
    outputs = frozenset(n for n in graph if re.fullmatch(r"h_new_\d+", str(n)))
    deepest = max(level.values())
    rows: dict[int, list[Any]] = {}
    for node in graph:
        last = node in outputs and not graph.succ[node]
        rows.setdefault(deepest if last else level[node], []).append(node)
    return Layout(
        _placed(graph, rows),
        {node: _text(graph, node, node in outputs) for node in graph},
        frozenset(node for node in graph if not graph.pred[node]),
        outputs,
        {(u, v): str(data["position"]) for u, v, data in graph.edges(data=True) if graph.nodes[v].get("op") == "blend"},
    )


def _text(graph: Any, node: Any, output: bool) -> str:
    op = str(graph.nodes[node].get("op", ""))
    label = str(graph.nodes[node].get("label", "")) or _LABELS.get(op, op)
    if not label:
        return str(node)
    return f"{node} = {label}" if output else label


def _placed(graph: Any, rows: Mapping[int, list[Any]]) -> dict[Any, tuple[float, float]]:
    # Layer by layer; a few sweeps order each row by the mean place of the neighbours to spare crossings.
    order = {node: float(i) for row in rows.values() for i, node in enumerate(row)}
    for sweep in range(8):
        near = graph.succ if sweep % 2 else graph.pred
        for depth in sorted(rows, reverse=bool(sweep % 2)):

            def centre(node: Any, near: Any = near) -> float:
                places = [order[u] for u in near[node]]
                return sum(places) / len(places) if places else order[node]

            row = sorted(rows[depth], key=centre)
            shift = (len(row) - 1) / 2
            order.update({node: i - shift for i, node in enumerate(row)})
    # A stagger keeps edges that skip rows from running through the boxes between.
    shift = 0.0 if all(len(row) == 1 for row in rows.values()) else 0.18
    return {
        node: (order[node] + shift * (-1) ** (depth + 1), -float(depth)) for depth, row in rows.items() for node in row
    }
