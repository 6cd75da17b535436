"""Single edits of a cell: change an operation, rewire an input, add a node, drop a node, move an output.

Every edit is a pure function of the cell and returns None where the result breaks a rule. Nodes that no longer reach
an output are pruned, so one edit can remove more than one node.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial

from spaces.rnn.cell import OPERATIONS, Cell, Node, ancestors, find_problem

__all__ = ["COUNTS", "EDITS", "MAX_EXTRA_NODES", "crossed", "squashed", "tidy"]

#: a cell has at most this many nodes beside its outputs (the generator's own bound is 14)
MAX_EXTRA_NODES = 14

Edit = Callable[[], "Cell | None"]
Recipe = dict[str, tuple[str, tuple[str, ...]]]


def tidy(recipe: Recipe, states: int) -> Cell | None:
    """Returns the cell of a draft with dead nodes pruned, or None where it is not a valid member of the space."""
    nodes = {name: Node(name, op, inputs) for name, (op, inputs) in recipe.items()}
    used = ancestors(nodes, [f"h_new_{j}" for j in range(states)])
    kept = tuple(node for name, node in nodes.items() if name in used)
    if len(kept) > states + MAX_EXTRA_NODES or find_problem(kept) is not None:
        return None
    return Cell(kept)


def _recipe(cell: Cell) -> Recipe:
    return {node.name: (node.op, node.inputs) for node in cell.nodes}


def _fresh(recipe: Recipe) -> str:
    return next(name for i in range(len(recipe) + 1) if (name := f"node_{i}") not in recipe)


def _outputs(cell: Cell) -> set[str]:
    return {f"h_new_{j}" for j in range(cell.states)}


def _with(cell: Cell, /, **changed: tuple[str, tuple[str, ...]]) -> Cell | None:
    return tidy({**_recipe(cell), **changed}, cell.states)


def change_operation(cell: Cell) -> Iterator[Edit]:
    """Yields the edits that give one node another operation of the same number of inputs.

    The inputs of a linear node have no order, those of a blend do: a linear node becomes a blend in every order.
    """
    for node in cell.nodes:
        for op, arity in OPERATIONS.items():
            if op != node.op and len(node.inputs) in arity:
                for inputs in itertools.permutations(node.inputs) if op == "blend" else (node.inputs,):
                    yield partial(_with, cell, **{node.name: (op, inputs)})


def rewire(cell: Cell) -> Iterator[Edit]:
    """Yields the edits that let one input of one node read another vector."""
    for node in cell.nodes:
        for position in range(len(node.inputs)):
            for name in (*cell.sources, *cell.by_name):
                if name not in node.inputs and name != node.name:
                    inputs = (*node.inputs[:position], name, *node.inputs[position + 1 :])
                    yield partial(_with, cell, **{node.name: (node.op, inputs)})


def add_node(cell: Cell) -> Iterator[Edit]:
    """Yields the edits that put a new one- or two-input node on an edge, or give a linear node a third input."""
    fresh = _fresh(_recipe(cell))
    names = (*cell.sources, *cell.by_name)
    for node in cell.nodes:
        for position, source in enumerate(node.inputs):
            inputs = (*node.inputs[:position], fresh, *node.inputs[position + 1 :])
            for op, arity in OPERATIONS.items():
                if 1 in arity:
                    yield partial(_with, cell, **{fresh: (op, (source,)), node.name: (node.op, inputs)})
                elif 2 in arity:
                    for other in names:
                        if other not in (source, node.name):
                            added = {fresh: (op, (source, other)), node.name: (node.op, inputs)}
                            yield partial(_with, cell, **added)
        if node.op == "linear" and len(node.inputs) == 2:
            for name in names:
                if name not in node.inputs and name != node.name:
                    yield partial(_with, cell, **{node.name: (node.op, (*node.inputs, name))})


def drop_node(cell: Cell) -> Iterator[Edit]:
    """Yields the edits that remove one node (its readers read one of its inputs instead), or a third linear input."""
    for node in cell.nodes:
        for source in node.inputs:
            yield partial(_dropped, cell, node, source)
        if node.op == "linear" and len(node.inputs) == 3:
            for position in range(3):
                inputs = (*node.inputs[:position], *node.inputs[position + 1 :])
                yield partial(_with, cell, **{node.name: (node.op, inputs)})


def _dropped(cell: Cell, node: Node, source: str) -> Cell | None:
    recipe = {n.name: (n.op, _renamed(n.inputs, {node.name: source})) for n in cell.nodes if n is not node}
    outputs = _outputs(cell)
    if node.name not in outputs:
        return tidy(recipe, cell.states)
    if source not in recipe or source in outputs:
        return None  # an output must be a node of its own
    names = {source: node.name}  # the input that replaces an output becomes the output
    moved = {names.get(name, name): (op, _renamed(inputs, names)) for name, (op, inputs) in recipe.items()}
    return tidy(moved, cell.states)


def move_output(cell: Cell) -> Iterator[Edit]:
    """Yields the edits that read a new hidden state from another node (two outputs then change places)."""
    for j in range(cell.states):
        for node in cell.nodes:
            if node.name != f"h_new_{j}":
                yield partial(_moved, cell, f"h_new_{j}", node.name)


def _moved(cell: Cell, output: str, target: str) -> Cell | None:
    other = target if target in _outputs(cell) else _fresh(_recipe(cell))
    names = {output: other, target: output}
    return tidy(
        {names.get(n.name, n.name): (n.op, _renamed(n.inputs, names)) for n in cell.nodes},
        cell.states,
    )


def _renamed(inputs: tuple[str, ...], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(names.get(name, name) for name in inputs)


#: the kinds of edit, in the order in which neighbours are listed
EDITS: dict[str, Callable[[Cell], Iterator[Edit]]] = {
    "change_operation": change_operation,
    "rewire": rewire,
    "add_node": add_node,
    "drop_node": drop_node,
    "move_output": move_output,
}


def _count_operations(cell: Cell) -> int:
    found = 0
    for node in cell.nodes:
        for op, arity in OPERATIONS.items():
            if op != node.op and len(node.inputs) in arity:
                found += math.factorial(len(node.inputs)) if op == "blend" else 1
    return found


def _count_rewirings(cell: Cell) -> int:
    names = len(cell.sources) + len(cell.nodes)
    return sum(len(node.inputs) * (names - len(node.inputs) - 1) for node in cell.nodes)


def _count_additions(cell: Cell) -> int:
    names = len(cell.sources) + len(cell.nodes)
    unary = sum(1 in arity for arity in OPERATIONS.values())
    binary = sum(2 in arity and 1 not in arity for arity in OPERATIONS.values())
    on_edges = sum(len(node.inputs) for node in cell.nodes) * (unary + binary * (names - 2))
    return on_edges + (names - 3) * sum(node.op == "linear" and len(node.inputs) == 2 for node in cell.nodes)


def _count_removals(cell: Cell) -> int:
    return sum(len(node.inputs) + 3 * (node.op == "linear" and len(node.inputs) == 3) for node in cell.nodes)


#: how many edits of each kind there are, without making them
COUNTS: dict[str, Callable[[Cell], int]] = {
    "change_operation": _count_operations,
    "rewire": _count_rewirings,
    "add_node": _count_additions,
    "drop_node": _count_removals,
    "move_output": lambda cell: cell.states * (len(cell.nodes) - 1),
}


def squashed(cell: Cell, output: str) -> Cell | None:
    """Returns the cell with a tanh on top of an output, or None where that is a node too many."""
    below = _fresh(_recipe(cell))
    moved = {{output: below}.get(n.name, n.name): (n.op, _renamed(n.inputs, {output: below})) for n in cell.nodes}
    return tidy({**moved, output: ("activation_tanh", (below,))}, cell.states)


def crossed(first: Cell, target: str, second: Cell, root: str) -> Cell | None:
    """Returns ``first`` with node ``target`` computed as ``second`` computes its node ``root``.

    Hidden states that ``first`` does not have are read as its state 0.
    """
    taken = ancestors(second.by_name, [root])
    names = {source: source for source in first.sources}
    names.update({source: "h_prev_0" for source in second.sources if source not in names})
    free = (name for i in itertools.count() if (name := f"node_{i}") not in first.by_name)
    names.update({name: next(free) for name in second.by_name if name in taken})
    names[root] = target
    graft = {names[n.name]: (n.op, _renamed(n.inputs, names)) for n in second.nodes if n.name in taken}
    kept = {name: body for name, body in _recipe(first).items() if name != target}
    return tidy({**kept, **graft}, first.states)
