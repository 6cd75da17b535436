"""Codes of cells by hand: what slots read, what is left out, and what is added so that every code is a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spaces
from spaces.rnn import encoding
from spaces.rnn.cell import Cell, find_problem, parse_cell
from spaces.rnn.generator import named_cell

STATES = (1, 2, 3)
#: every slot is an RNN's linear node and tanh, the output is the first
PLAIN = {name: choices[0] for name, choices in encoding.dimensions(STATES).items()}


def code(**changes: Any) -> dict[str, Any]:
    """The plain code with changes; "slot1_a" stands for "slot1.a"."""
    return {**PLAIN, **{n.replace("_", ".") if n.startswith("slot") else n: value for n, value in changes.items()}}


def cell(**nodes: list[str]) -> Cell:
    return parse_cell({name: {"op": op, "input": inputs} for name, (op, *inputs) in nodes.items()})


def test_the_plain_code_is_the_plain_cell() -> None:
    """Slot 1 reads x twice, so the second time the next: h_prev_0. No other slot reaches the output."""
    assert encoding.decode(PLAIN) == named_cell("RNN")
    assert list(PLAIN)[:5] == ["hidden_states", "slot1", "slot1.a", "slot1.b", "slot1.c"]
    assert len(PLAIN) == 1 + 4 * encoding.SLOTS + 3
    assert encoding.dimensions((1,))["slot3.a"] == ("x", "h_prev_0", 1, 2)


def test_what_may_not_be_read_is_the_next_that_may() -> None:
    """A sum reads no x, and one state has no h_prev_2: after it come slot 1, and h_prev_0 once more from the start."""
    found = encoding.decode(
        code(slot2="elementwise_sum", slot2_a="h_prev_2", slot2_b=1, output0=2)
    )  # a: slot 1; b: slot 1 is taken, x is none for a sum, so h_prev_0
    assert found == cell(
        f=["linear", "x", "h_prev_0"], t=["activation_tanh", "f"], h_new_0=["elementwise_sum", "t", "h_prev_0"]
    )


def test_a_slot_with_too_little_to_read_is_the_plain_one() -> None:
    assert encoding.decode(code(slot1="blend")) == named_cell("RNN")


def test_an_unread_source_joins_a_linear_node_of_two_inputs() -> None:
    found = encoding.decode(code(hidden_states=2, output0=1, output1=2))
    assert found == cell(
        f=["linear", "x", "h_prev_0", "h_prev_1"],
        h_new_0=["activation_tanh", "f"],
        g=["linear", "x", "h_prev_0"],
        h_new_1=["activation_tanh", "g"],
    )


def test_where_none_is_there_a_linear_node_is_put_under_the_output() -> None:
    found = encoding.decode(code(slot1="activation_sigm"))  # of x, which it may not read: of h_prev_0
    assert found == cell(s=["activation_sigm", "h_prev_0"], h_new_0=["linear", "s", "x"])


def test_the_output_is_brought_within_reach_of_x() -> None:
    """h_new_0 is the tanh of its own last value; x is read by the other state alone, which it does not read."""
    found = encoding.decode(code(hidden_states=2, slot1="activation_tanh", slot2_b="h_prev_1", output0=1, output1=2))
    assert found == cell(
        t=["activation_tanh", "h_prev_0"],
        h_new_0=["linear", "t", "x"],
        g=["linear", "x", "h_prev_1"],
        h_new_1=["activation_tanh", "g"],
    )


def test_two_outputs_of_one_slot_take_the_next_too() -> None:
    last = encoding.SLOTS
    found = encoding.decode(code(hidden_states=2, output0=last, output1=last, slot1_b="h_prev_1"))
    assert found == encoding.decode(code(hidden_states=2, output0=last, output1=1, slot1_b="h_prev_1"))


def test_a_chain_of_all_slots_keeps_within_the_most_nodes() -> None:
    """Eighteen nodes with one state are three too many: the last three activations go, and the sum below them stays."""
    chain = code(output0=9, **{f"slot{slot}_b": slot - 1 for slot in range(2, 10)})
    found = encoding.decode(chain)
    assert len(found.nodes) == 15 and [node.op for node in found.ordered].count("linear") == 9
    assert found.by_name["h_new_0"].op == "linear"


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_known_cells_have_codes(name: str) -> None:
    found = encoding.encode(named_cell(name), STATES)
    assert found is not None and encoding.decode(found) == named_cell(name)
    assert encoding.encode(named_cell(name), (3,)) is None


def test_nearly_all_draws_have_codes_and_all_codes_are_cells() -> None:
    space, rng = spaces.get("rnn"), np.random.default_rng(0)
    coded = 0
    for _ in range(200):
        drawn = space.sample(rng)
        found = encoding.encode(drawn, STATES)
        coded += found is not None
        assert found is None or encoding.decode(found) == drawn
    assert coded >= 197
    for _ in range(500):
        made = encoding.decode({name: c[rng.integers(len(c))] for name, c in encoding.dimensions(STATES).items()})
        assert find_problem(made.nodes) is None and len(made.nodes) <= made.states + 14


def test_growing_states_are_squashed_where_the_rule_forbids_them() -> None:
    """A sum of the last state and a linear node grows without bound; a tanh on top of it is what the rule allows."""
    reduced = spaces.get("rnn").reduce({"hidden_states": 1, "state_growth": "bounded"})
    grown = {**code(slot1="linear2", slot2="elementwise_sum", slot2_a="h_prev_0", slot2_b=1, output0=2)}
    assert reduced.decode(grown) == cell(
        f=["linear", "x", "h_prev_0"], s=["elementwise_sum", "f", "h_prev_0"], h_new_0=["activation_tanh", "s"]
    )
