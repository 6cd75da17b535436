"""Canonical labelling of a cell: an exact form, equal for isomorphic cells and for no others.

Colour refinement splits the nodes into classes; a class that refinement cannot split is split by trying each of its
members (individualisation), and the smallest resulting code is kept. A member that an automorphism maps onto one tried
before, colours and all, has the same codes; the ends of the two first paths tell, so highly symmetric graphs are as
good as any. The code lists every node with its operation and
inputs, so equal codes prove isomorphism: the key is a hash of the code, and equality compares the code itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nas.core.errors import ZeronasError

if TYPE_CHECKING:
    from spaces.rnn.cell import Node

__all__ = ["canonical_form", "digest"]

#: splits of classes that a key is looked for with; the cells of the space take up to a few dozen
_SPLITS = 10_000

#: (op, output name or "", input vertices, whether inputs commute), vertices numbered sources first
_Vertex = tuple[str, str, tuple[int, ...], bool]
#: where a path of the search ends: the code, and the colours of the nodes in its order
_End = tuple[str, tuple[int, ...]]


def digest(form: str) -> str:
    """Returns 20 hex digits of the SHA-256 of a canonical form (collisions: 2^-80 a pair)."""
    return hashlib.sha256(form.encode()).hexdigest()[:20]


def canonical_form(nodes: Sequence[Node], states: int, commutative: frozenset[str]) -> str:
    """Returns the canonical code of a valid cell as JSON: ``[[output name, op, [input indices]], ...]``.

    Index i < 1 + H stands for source i (``x, h_prev_0, ..``), later ones for the node listed at i - (1 + H). Hidden
    states beyond the first are interchangeable (``h_prev_j`` and ``h_new_j`` move together), so the least code over
    their orders is taken.

    Raises:
        ZeronasError: the cell is so symmetric that the code is not found within a bounded number of steps.
    """
    codes = []
    for order in itertools.permutations(range(1, states)):
        renumber = (0, *order)  # state j is called renumber[j]
        codes.append(_least_code(_vertices(nodes, states, renumber, commutative), 1 + states))
    return min(codes)


def _vertices(
    nodes: Sequence[Node], states: int, renumber: tuple[int, ...], commutative: frozenset[str]
) -> list[_Vertex]:
    index = {"x": 0}
    index.update({f"h_prev_{j}": 1 + renumber[j] for j in range(states)})
    index.update({node.name: 1 + states + i for i, node in enumerate(nodes)})
    output = {f"h_new_{j}": f"h_new_{renumber[j]}" for j in range(states)}
    vertices: list[_Vertex] = [("", "", (), True)] * (1 + states)
    for node in nodes:
        inputs = tuple(index[name] for name in node.inputs)
        vertices.append((node.op, output.get(node.name, ""), inputs, node.op in commutative))
    return vertices


def _least_code(vertices: list[_Vertex], sources: int) -> str:
    consumers: list[list[tuple[int, int]]] = [[] for _ in vertices]
    for v, (_, _, inputs, commute) in enumerate(vertices):
        for position, u in enumerate(inputs):
            consumers[u].append((v, 0 if commute else position))
    # Sources keep their own identity; nodes start from operation and output name.
    labels = [("", f"{v:03d}") if v < sources else vertices[v][:2] for v in range(len(vertices))]
    return _search(vertices, consumers, _rank(labels), sources, itertools.count())[0]


def _rank(labels: Sequence[object]) -> list[int]:
    order = {label: i for i, label in enumerate(sorted(set(labels)))}  # type: ignore[type-var]
    return [order[label] for label in labels]


def _refine(vertices: list[_Vertex], consumers: list[list[tuple[int, int]]], colours: list[int]) -> list[int]:
    classes = len(set(colours))
    while classes < len(colours):  # where each has a colour of its own, nothing is left to tell apart
        labels = []
        for v, (_, _, inputs, commute) in enumerate(vertices):
            below = [colours[u] for u in inputs]
            above = sorted((colours[u], position) for u, position in consumers[v])
            labels.append((colours[v], tuple(sorted(below) if commute else below), tuple(above)))
        colours = _rank(labels)
        if len(set(colours)) == classes:
            break
        classes = len(set(colours))
    return colours


def _search(
    vertices: list[_Vertex],
    consumers: list[list[tuple[int, int]]],
    colours: list[int],
    sources: int,
    splits: Iterator[int],
) -> tuple[str, _End]:
    """Returns the least code below a colouring, and the end of the first path there.

    Args:
        splits: counts them.
    """
    colours = _refine(vertices, consumers, colours)
    group = _tied(colours)
    if not group:
        end = _end(vertices, colours, sources)
        return end[0], end
    twins = {(tuple(sorted(vertices[v][2])), tuple(sorted(consumers[v]))) for v in group}
    # Twins (same inputs, same consumers) are interchangeable: any of them gives the same code.
    tries = group[:1] if len(twins) == 1 and vertices[group[0]][3] else group
    code, first = _search(vertices, consumers, _split(colours, tries[0], splits), sources, splits)
    ends = {first}
    for chosen in tries[1:]:
        split = _split(colours, chosen, splits)
        if _first_end(vertices, consumers, split, sources, splits) not in ends:
            found, end = _search(vertices, consumers, split, sources, splits)
            code = min(code, found)
            ends.add(end)
    return code, first


def _first_end(
    vertices: list[_Vertex],
    consumers: list[list[tuple[int, int]]],
    colours: list[int],
    sources: int,
    splits: Iterator[int],
) -> _End:
    """Returns the end of the path that always splits off the first member."""
    colours = _refine(vertices, consumers, colours)
    while group := _tied(colours):
        colours = _refine(vertices, consumers, _split(colours, group[0], splits))
    return _end(vertices, colours, sources)


def _tied(colours: list[int]) -> list[int]:
    """Returns the vertices of the least colour that several have; none where all differ."""
    if len(set(colours)) == len(colours):
        return []
    members: dict[int, list[int]] = {}
    for v, colour in enumerate(colours):
        members.setdefault(colour, []).append(v)
    return next(group for _, group in sorted(members.items()) if len(group) > 1)


def _split(colours: list[int], chosen: int, splits: Iterator[int]) -> list[int]:
    if next(splits) >= _SPLITS:
        raise ZeronasError(
            f"The recipe has no key within {_SPLITS:,} steps: too many of its nodes are alike; leave some of them out."
        )
    return [2 * c + (1 if c == colours[chosen] and v != chosen else 0) for v, c in enumerate(colours)]


def _end(vertices: list[_Vertex], colours: list[int], sources: int) -> _End:
    order = _order(vertices, colours, sources)
    return _code(vertices, order, sources), tuple(colours[v] for v in order)


def _order(vertices: list[_Vertex], colours: list[int], sources: int) -> list[int]:
    """Returns the nodes so that each follows its inputs, the least colour first."""
    placed = set(range(sources))
    waiting = sorted(range(sources, len(vertices)), key=colours.__getitem__)
    order: list[int] = []
    while waiting:
        v = next(v for v in waiting if placed.issuperset(vertices[v][2]))
        placed.add(v)
        order.append(v)
        waiting.remove(v)
    return order


def _code(vertices: list[_Vertex], order: list[int], sources: int) -> str:
    position = {v: v for v in range(sources)} | {v: sources + i for i, v in enumerate(order)}
    code = []
    for v in order:
        op, output, inputs, commute = vertices[v]
        refs = [position[u] for u in inputs]
        code.append([output, op, sorted(refs) if commute else refs])
    return json.dumps(code, separators=(",", ":"))
