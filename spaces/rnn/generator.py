"""The NAS-Bench-NLP generator: an integer seed gives one random cell, draw by draw as the benchmark's authors made it.

All randomness is numpy's legacy ``RandomState(seed)``, whose stream numpy keeps frozen. A draw takes some hundred
numbers of a few microseconds each, were they drawn one by one, and most draws are rejected. So the stream is read as
the 32-bit words that it consists of, and ``choice`` is made of them as numpy makes it: of two words a uniform double,
and a search in the cumulative probabilities; for draws without replacement a permutation, that is a shuffle whose
places come from words masked and rejected.

Source: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116), released generator at commit a6d90a3.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from spaces.rnn.cell import Cell, Node, parse_cell

__all__ = ["INTERMEDIATE", "NAMED_CELLS", "drawable", "generate", "named_cell", "valid_seeds"]

#: vertices drawn before the hidden states' share (the benchmark's setting; the code's default was 7)
INTERMEDIATE = 13

_OPERATIONS = ("linear", "blend", "elementwise_prod", "elementwise_sum")
_ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
_OTHER_FIRST = {1: (1,), 2: (2, 1), 3: (2, 1, 3)}  # h_prev_0 is source 1


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
    word = _words(seed)
    sources = ["x", *(f"h_prev_{j}" for j in range(states))]
    ops: list[str] = []
    inputs: list[list[int]] = []  # sources are 0 .. H, node i is H + 1 + i
    first = 1 + states
    for_linear, for_others = list(range(first)), list(_OTHER_FIRST[states])
    while len(ops) < states + intermediate:
        op = _OPERATIONS[bisect_right(_OPERATION_CDF, _uniform(word))]
        place = first + len(ops)
        if op == "linear":
            wanted = 2 + bisect_right(_LINEAR_CDF, _uniform(word))
            inputs.append([for_linear[i] for i in _shuffled(len(for_linear), word)[:wanted]])
            ops += op, _ACTIVATIONS[bisect_right(_ACTIVATION_CDF, _uniform(word))]
            inputs.append([place])
            for_linear.append(place + 1)
            for_others += place, place + 1
        else:
            arity = 3 if op == "blend" else 2
            if arity <= len(for_others):
                inputs.append([for_others[i] for i in _shuffled(len(for_others), word)[:arity]])
                ops.append(op)
                for_others.append(place)
    outputs = [first + i for i in _shuffled(len(ops), word)[:states]]
    if any(0 < source < first for output in outputs for source in inputs[output - first]):
        return None
    used: set[int] = set()
    waiting = list(outputs)
    while waiting:
        place = waiting.pop()
        if place not in used:
            used.add(place)
            if place >= first:
                waiting += inputs[place - first]
    if not all(source in used for source in range(first)):
        return None
    names = [*sources, *(f"node_{i}" for i in range(len(ops)))]
    for j, output in enumerate(outputs):
        names[output] = f"h_new_{j}"
    # an output goes to the end of the recipe
    order = [place for place in range(first, len(names)) if place in used and place not in outputs] + outputs
    return Cell(
        tuple(Node(names[i], ops[i - first], tuple(names[source] for source in inputs[i - first])) for i in order)
    )


class _Stream(threading.local):
    """A generator to seed anew for each draw: making one costs a hundred times as much."""

    def __init__(self) -> None:
        self.bits = np.random.MT19937()
        self.state = np.random.RandomState(self.bits)


_STREAM = _Stream()


def _words(seed: int) -> Callable[[], int]:
    """Returns what gives the 32-bit words of ``RandomState(seed)``, one with each call, until it is called again."""
    _STREAM.state.seed(seed)
    read = _STREAM.bits.random_raw
    blocks = (read(count).tolist() for count in itertools.chain([160], itertools.repeat(64)))
    return itertools.chain.from_iterable(blocks).__next__


def _uniform(word: Callable[[], int]) -> float:
    """Returns a double of [0, 1), as numpy makes it of two words."""
    return ((word() >> 5) * 67108864 + (word() >> 6)) / 9007199254740992


_MASKS = [(1 << i.bit_length()) - 1 for i in range(64)]


def _shuffled(n: int, word: Callable[[], int]) -> list[int]:
    """Returns the permutation of 0 .. n - 1 that numpy's legacy shuffle makes."""
    _MASKS.extend((1 << i.bit_length()) - 1 for i in range(len(_MASKS), n))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        mask = _MASKS[i]
        j = word() & mask
        while j > i:
            j = word() & mask
        order[i], order[j] = order[j], order[i]
    return order


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
