"""The NAS-Bench-NLP generator: an integer seed gives one random cell, draw by draw as the benchmark's authors made it.

All randomness is numpy's legacy ``RandomState(seed)``, whose stream numpy keeps frozen. The draws of ``choice`` are
made through the calls it consists of (one uniform double and a search in the cumulative probabilities; a permutation
for draws without replacement), which is the same stream at a third of the cost.

Source: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116), released generator at commit a6d90a3.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from spaces.rnn.cell import Cell, Node, parse_cell

__all__ = ["INTERMEDIATE", "NAMED_CELLS", "drawable", "generate", "named_cell", "valid_seeds"]

#: vertices drawn before the hidden states' share (the benchmark's setting; the code's default was 7)
INTERMEDIATE = 13

_OPERATIONS = ("linear", "blend", "elementwise_prod", "elementwise_sum")
_ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
_OTHER_FIRST = {1: ["h_prev_0"], 2: ["h_prev_1", "h_prev_0"], 3: ["h_prev_1", "h_prev_0", "h_prev_2"]}


def _cumulative(p: list[float]) -> list[float]:
    total = np.cumsum(np.array(p))
    total /= total[-1]
    return [float(value) for value in total]


_OPERATION_CDF = _cumulative([3 / 6, 1 / 6, 1 / 6, 1 / 6])
_LINEAR_CDF = _cumulative([0.8, 0.2])
_ACTIVATION_CDF = _cumulative([1 / 3, 1 / 3, 1 / 3])


def generate(seed: int, states: int, intermediate: int = INTERMEDIATE) -> Cell | None:
    """Returns the cell of a seed, or None where the benchmark rejects the draw.

    A draw is rejected unless ``x`` and every ``h_prev_*`` are used, and no ``h_new_*`` reads an ``h_prev_*`` directly.

    Args:
        seed: the generator's seed, 0 to 2**32 - 1.
        states: the number of hidden states H, 1 to 3.
        intermediate: vertices drawn beside the H hidden ones.
    """
    rng: Any = np.random.RandomState(seed)
    uniform, permutation = rng.random_sample, rng.permutation
    base = ["x", *(f"h_prev_{j}" for j in range(states))]
    recipe: dict[str, tuple[str, list[str]]] = {}
    activations: list[str] = []
    count = 0
    while count < states + intermediate:
        op = _OPERATIONS[bisect_right(_OPERATION_CDF, uniform())]
        if op == "linear":
            wanted = 2 + bisect_right(_LINEAR_CDF, uniform())
            candidates = base + activations
            picked = permutation(len(candidates))[: min(wanted, len(candidates))]
            recipe[f"node_{count}"] = (op, [candidates[i] for i in picked])
            activation = _ACTIVATIONS[bisect_right(_ACTIVATION_CDF, uniform())]
            recipe[f"node_{count + 1}"] = (activation, [f"node_{count}"])
            activations.append(f"node_{count + 1}")
            count += 2
        else:
            arity = 3 if op == "blend" else 2
            candidates = _OTHER_FIRST[states] + list(recipe)
            if arity <= len(candidates):
                picked = permutation(len(candidates))[:arity]
                recipe[f"node_{count}"] = (op, [candidates[i] for i in picked])
                count += 1
    names = list(recipe)
    for j, chosen in enumerate(permutation(len(names))[:states]):
        old, new = names[chosen], f"h_new_{j}"
        body = recipe.pop(old)
        if any(source.startswith("h_prev") for source in body[1]):
            return None
        recipe[new] = body
        for _, inputs in recipe.values():
            inputs[:] = [new if name == old else name for name in inputs]
    return _pruned(recipe, states, base)


def _pruned(recipe: dict[str, tuple[str, list[str]]], states: int, base: list[str]) -> Cell | None:
    used: set[str] = set()
    stack = [f"h_new_{j}" for j in range(states)]
    while stack:
        name = stack.pop()
        if name not in used:
            used.add(name)
            if name in recipe:
                stack.extend(recipe[name][1])
    if not used.issuperset(base):
        return None
    return Cell(tuple(Node(name, op, tuple(inputs)) for name, (op, inputs) in recipe.items() if name in used))


def drawable(cell: Cell, intermediate: int = INTERMEDIATE) -> bool:
    """Returns whether ``generate`` gives this cell for some stream of random numbers.

    It draws no output that reads an ``h_prev_*`` directly (so no GRU), no activation but the one that it draws with
    every linear node, of that node (so no LSTM), no linear node of other inputs than sources and activations, and no
    more vertices than it has, unused ones included.
    """
    activation_of: dict[str, str] = {}
    for node in cell.nodes:
        if node.op in _ACTIVATIONS:
            if node.inputs[0] in activation_of:
                return False
            activation_of[node.inputs[0]] = node.name
    drawn = 0
    for node in cell.nodes:
        if node.name.startswith("h_new") and any(name.startswith("h_prev") for name in node.inputs):
            return False
        if len(set(node.inputs)) < len(node.inputs):
            return False
        if node.op == "linear":
            drawn += 2  # with its activation, used or not
            allowed = set(cell.sources) | set(activation_of.values())
            if not allowed.issuperset(node.inputs):
                return False
        elif node.op not in _ACTIVATIONS:
            drawn += 1
            if "x" in node.inputs:
                return False
        if node.name in activation_of and node.op != "linear":
            return False
    wanted = cell.states + intermediate
    if drawn <= wanted:
        return True
    # one vertex more is drawn where the last draw is a linear node, whose activation then comes on top
    read = {name for node in cell.nodes for name in node.inputs}
    return drawn == wanted + 1 and any(
        node.op == "linear"
        and (activation_of.get(node.name) not in read)
        and all(node.name not in other.inputs for other in cell.nodes if other.name != activation_of.get(node.name))
        for node in cell.nodes
    )


def valid_seeds(states: int) -> Iterator[tuple[int, Cell]]:
    """Yields (seed, cell) for the valid seeds 0, 1, 2, ... of H = ``states`` in increasing order, without end."""
    seed = 0
    while True:
        cell = generate(seed, states)
        if cell is not None:
            yield seed, cell
        seed += 1


@cache
def _named_cells() -> dict[str, Cell]:
    return {name: parse_cell(recipe) for name, recipe in _NAMED_RECIPES.items()}


def _linear(*inputs: str) -> dict[str, Any]:
    return {"op": "linear", "input": list(inputs)}


def _apply(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


#: the hand-written cells at the head of the benchmark's list, as it writes them
_NAMED_RECIPES: dict[str, dict[str, Any]] = {
    "RNN": {"f": _linear("x", "h_prev_0"), "h_new_0": _apply("activation_tanh", "f")},
    "LSTM": {
        "i": _linear("x", "h_prev_0"),
        "i_act": _apply("activation_tanh", "i"),
        "j": _linear("x", "h_prev_0"),
        "j_act": _apply("activation_sigm", "j"),
        "f": _linear("x", "h_prev_0"),
        "f_act": _apply("activation_sigm", "f"),
        "o": _linear("x", "h_prev_0"),
        "o_act": _apply("activation_tanh", "o"),
        "h_new_1_part1": _apply("elementwise_prod", "f_act", "h_prev_1"),
        "h_new_1_part2": _apply("elementwise_prod", "i_act", "j_act"),
        "h_new_1": _apply("elementwise_sum", "h_new_1_part1", "h_new_1_part2"),
        "h_new_1_act": _apply("activation_tanh", "h_new_1"),
        "h_new_0": _apply("elementwise_prod", "h_new_1_act", "o_act"),
    },
    "GRU": {
        "r": _linear("x", "h_prev_0"),
        "r_act": _apply("activation_sigm", "r"),
        "z": _linear("x", "h_prev_0"),
        "z_act": _apply("activation_sigm", "z"),
        "rh": _apply("elementwise_prod", "r_act", "h_prev_0"),
        "h_tilde": _linear("x", "rh"),
        "h_tilde_act": _apply("activation_tanh", "h_tilde"),
        "h_new_0": _apply("blend", "z_act", "h_prev_0", "h_tilde_act"),
    },
}
NAMED_CELLS = ("RNN", "LSTM", "GRU")


def named_cell(name: str) -> Cell:
    """Returns one of the benchmark's hand-written cells: RNN, LSTM or GRU (ids 1000000 to 1000002)."""
    return _named_cells()[name]
