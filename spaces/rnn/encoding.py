"""Cells as codes of fixed length: as many values for every cell, none of them conditional, each combination a cell.

A code is a row of slots and the choice of those that are read as outputs, as in Cartesian genetic programming (Miller &
Thomson, EuroGP 2000): a slot says what it computes and which earlier slots or sources it reads, and what no output
needs is left out, so that many codes are one cell. Whatever a code says that the space does not allow means the next
that it does; a source that nothing reads is read by a linear node more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from spaces.rnn.cell import MAX_STATES, Cell, Node
from spaces.rnn.edits import MAX_EXTRA_NODES, Recipe
from spaces.rules import Value

__all__ = ["SLOTS", "decode", "dimensions", "encode"]

#: slots of a code: 99.5% of the generator's cells, and 99.7% of NAS-Bench-NLP's, need no more
SLOTS = 9

_ROLES = "abc"
_SOURCES = ("x", *(f"h_prev_{j}" for j in range(MAX_STATES)))
_BELOW = "_linear"  # what the linear node under an activation is called


class _Kind(NamedTuple):
    """What a slot computes: an operation of so many inputs, and the activation on top of it ("" for none)."""

    op: str
    arity: int
    activation: str = ""


_ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
_KINDS: dict[str, _Kind] = {
    **{
        f"linear{arity}{activation.replace('activation', '')}": _Kind("linear", arity, activation)
        for arity in (2, 3)
        for activation in (*_ACTIVATIONS, "")
    },
    "blend": _Kind("blend", 3),
    "elementwise_prod": _Kind("elementwise_prod", 2),
    "elementwise_sum": _Kind("elementwise_sum", 2),
    **{activation: _Kind(activation, 1) for activation in _ACTIVATIONS},
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def dimensions(states: tuple[int, ...]) -> dict[str, tuple[Value, ...]]:
    """Returns name -> choices of all values of a code, in order.

    Args:
        states: the numbers of hidden states that a cell may have.
    """
    most = max(states)
    sources = _SOURCES[: most + 1]
    found: dict[str, tuple[Value, ...]] = {"hidden_states": states}
    for slot in range(1, SLOTS + 1):
        found[f"slot{slot}"] = tuple(_KINDS)
        found.update({f"slot{slot}.{role}": (*sources, *range(1, slot)) for role in _ROLES})
    found.update({f"output{j}": tuple(range(1, SLOTS + 1)) for j in range(most)})
    return found


def decode(code: Mapping[str, Value]) -> Cell:
    """Returns the cell of a code, which is always a valid one."""
    states = int(code["hidden_states"])
    outputs: list[int] = []
    for j in range(states):
        slot = int(code[f"output{j}"])
        while slot in outputs:
            slot = slot % SLOTS + 1
        outputs.append(slot)
    read: dict[int, tuple[_Kind, list[int]]] = {}
    waiting = list(outputs)
    while waiting:
        slot = waiting.pop()
        if slot not in read:
            read[slot] = _slot(code, slot, states)
            waiting += [place - states for place in read[slot][1] if place > states]
    names = ["x", *(f"h_prev_{j}" for j in range(states)), *(f"node_{slot}" for slot in range(1, SLOTS + 1))]
    for j, slot in enumerate(outputs):
        names[states + slot] = f"h_new_{j}"
    recipe: Recipe = {}
    for slot, (kind, places) in sorted(read.items()):
        name, inputs = names[states + slot], tuple(names[place] for place in places)
        if kind.activation:
            recipe[name + _BELOW] = (kind.op, inputs)
            recipe[name] = (kind.activation, (name + _BELOW,))
        else:
            recipe[name] = (kind.op, inputs)
    recipe = _shortened(_reaching(recipe, states), states + MAX_EXTRA_NODES)
    return Cell(tuple(Node(name, op, inputs) for name, (op, inputs) in recipe.items()))


def _slot(code: Mapping[str, Value], slot: int, states: int) -> tuple[_Kind, list[int]]:
    """Returns what a slot computes of what: of places among x, the hidden states and the slots before it.

    A place that it may not read means the next that it may.
    """
    kind, count = _KINDS[str(code[f"slot{slot}"])], states + slot
    if count - (kind.op != "linear") < kind.arity:  # too little to read; a linear node always has x and h_prev_0
        kind = _KINDS["linear2_tanh"]
    places: list[int] = []
    for role in _ROLES[: kind.arity]:
        value = code[f"slot{slot}.{role}"]
        place = states + value if isinstance(value, int) else min(_SOURCES.index(str(value)), states + 1)
        while place >= count or place in places or (place == 0 and kind.op != "linear"):
            place = place + 1 if place + 1 < count else 0
        places.append(place)
    return kind, places


def _reaching(recipe: Recipe, states: int) -> Recipe:
    """Returns the recipe with every source read, and ``h_new_0`` within reach of x."""
    outputs = [f"h_new_{j}" for j in range(states)]
    sources = {name for _, inputs in recipe.values() for name in inputs}
    for source in ("x", *(f"h_prev_{j}" for j in range(states))):
        if source not in sources:
            recipe = _reading(recipe, source, outputs)
    reached = outputs[:1]
    while "x" not in (used := _used(recipe, reached)):
        further = [f"h_new_{j}" for j in range(states) if f"h_prev_{j}" in used and f"h_new_{j}" not in reached]
        if not further:
            recipe = _reading(recipe, "x", reached)
        reached += further
    return recipe


def _used(recipe: Recipe, roots: list[str]) -> set[str]:
    used: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += recipe[name][1] if name in recipe else ()
    return used


def _reading(recipe: Recipe, source: str, roots: list[str]) -> Recipe:
    """Returns the recipe in which a source is read on the way to the roots.

    The first linear node of two inputs reads it, else a new one between the first root and what was its value.
    """
    used = _used(recipe, roots)
    for name, (op, inputs) in recipe.items():
        if name in used and op == "linear" and len(inputs) == 2:
            return {**recipe, name: (op, (*inputs, source))}
    root, before = roots[0], f"{roots[0]}_before_{source}"
    moved = {
        before if name == root else name: (op, tuple(before if read == root else read for read in inputs))
        for name, (op, inputs) in recipe.items()
    }
    return {**moved, root: ("linear", (before, source))}


def _shortened(recipe: Recipe, most: int) -> Recipe:
    """Returns the recipe with no more nodes than allowed: the last activations on linear nodes are left out."""
    for name in [name for name in reversed(recipe) if name + _BELOW in recipe][: max(0, len(recipe) - most)]:
        recipe = {other: body for other, body in recipe.items() if other != name + _BELOW} | {
            name: recipe[name + _BELOW]
        }
    return recipe


def encode(cell: Cell, states: tuple[int, ...]) -> dict[str, Value] | None:
    """Returns a code of a cell, or None where it needs more slots than there are, or other numbers of states.

    Slots that it does not need have the first of their choices.
    """
    code = {name: choices[0] for name, choices in dimensions(states).items()}
    if cell.states not in states:
        return None
    nodes = cell.canonical().ordered
    by_name = {node.name: node for node in nodes}
    readers: dict[str, list[Node]] = {name: [] for name in (*cell.sources, *by_name)}
    for node in nodes:
        for name in node.inputs:
            readers[name].append(node)
    below = {
        node.name
        for node in nodes
        if node.op == "linear"
        and not node.name.startswith("h_new_")
        and [reader.op in _ACTIVATIONS for reader in readers[node.name]] == [True]
    }
    tops = [node for node in nodes if node.name not in below]
    if len(tops) > SLOTS:
        return None
    places: dict[str, Value] = {name: name for name in cell.sources}
    code["hidden_states"] = cell.states
    for slot, node in enumerate(tops, 1):
        kind, inputs = _Kind(node.op, len(node.inputs)), node.inputs
        if node.inputs[0] in below:
            linear = by_name[node.inputs[0]]
            kind, inputs = _Kind("linear", len(linear.inputs), node.op), linear.inputs
        code[f"slot{slot}"] = _NAMES[kind]
        code.update({f"slot{slot}.{role}": places[name] for role, name in zip(_ROLES, inputs, strict=False)})
        places[node.name] = slot
    code.update({f"output{j}": places[f"h_new_{j}"] for j in range(cell.states)})
    return code
