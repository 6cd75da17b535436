"""State growth: hand-worked cells, and no weights that break a bound."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import spaces
from spaces.rnn import named_cell, parse_cell
from spaces.rnn.generator import generate
from spaces.rnn.growth import GROWTHS, growth
from spaces.rnn.module import CellRNN


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


LINEAR = node("linear", "x", "h_prev_0")
SIGMOID = {"a": LINEAR, "gate": node("activation_sigm", "a")}

T = node("activation_tanh", "a")
BY_HAND: list[tuple[str, dict[str, Any]]] = [
    ("bounded", {"a": LINEAR, "h_new_0": T}),
    ("bounded", {**SIGMOID, "t": T, "h_new_0": node("elementwise_prod", "t", "gate")}),
    ("linear", {**SIGMOID, "h_new_0": node("elementwise_prod", "gate", "h_prev_0")}),
    ("linear", {**SIGMOID, "h_new_0": node("elementwise_sum", "gate", "h_prev_0")}),
    ("linear", {**SIGMOID, "t": T, "h_new_0": node("blend", "gate", "h_prev_0", "t")}),
    ("exponential", {"h_new_0": LINEAR}),
    ("exponential", {"a": LINEAR, "h_new_0": node("activation_leaky_relu", "a")}),
    # gains of one each add up to two
    (
        "exponential",
        {
            "a": LINEAR,
            "t": T,
            "b": node("elementwise_sum", "t", "h_prev_0"),
            "h_new_0": node("elementwise_sum", "b", "h_prev_0"),
        },
    ),
    # a factor whose size is not known
    (
        "exponential",
        {"a": LINEAR, "t": T, "b": node("linear", "x", "t"), "h_new_0": node("elementwise_prod", "b", "h_prev_0")},
    ),
    # a gate that tanh makes may be -1, then the rest is 2
    (
        "exponential",
        {"a": LINEAR, "t": T, "gate": node("activation_sigm", "a"), "h_new_0": node("blend", "t", "gate", "h_prev_0")},
    ),
    ("superexponential", {"a": LINEAR, "b": LINEAR, "h_new_0": node("elementwise_prod", "a", "b")}),
    ("superexponential", {"a": LINEAR, "t": T, "h_new_0": node("blend", "a", "h_prev_0", "t")}),
    ("superexponential", {"h_new_1": LINEAR, "h_new_0": node("elementwise_prod", "h_prev_1", "h_prev_0")}),
    # the product is of states that tanh bounds
    (
        "bounded",
        {
            "a": node("linear", "x", "h_prev_1"),
            "h_new_1": T,
            "b": node("linear", "x", "h_prev_2"),
            "h_new_2": node("activation_sigm", "b"),
            "c": node("elementwise_prod", "h_prev_1", "h_prev_2"),
            "h_new_0": node("elementwise_sum", "c", "t"),
            "t": node("activation_tanh", "h_prev_0"),
        },
    ),
]


@pytest.mark.parametrize(("wanted", "recipe"), BY_HAND)
def test_growth_by_hand(wanted: str, recipe: dict[str, Any]) -> None:
    assert growth(parse_cell(recipe)) == wanted


def test_growth_of_the_known_cells() -> None:
    assert [growth(named_cell(name)) for name in ("RNN", "LSTM", "GRU")] == ["bounded", "linear", "linear"]


def largest(cell: Any, steps: int, seed: int) -> list[float]:
    """The largest state after every step, with weights far larger than any a training begins with."""
    torch.manual_seed(seed)
    module = CellRNN(cell, 3, (4,)).double()
    state, found = None, []
    with torch.no_grad():
        for weights in module.parameters():
            weights.normal_(0, 20)
        for x in torch.randn(steps, 1, 2, 3, dtype=torch.float64):
            _, state = module(x, state)
            found.append(float(torch.cat([s.flatten() for layer in _flat(state) for s in layer]).abs().max()))
    return found


def _flat(state: Any) -> list[Any]:
    return [layer if isinstance(layer, (list, tuple)) else (layer,) for layer in state]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), states=st.integers(1, 3))
def test_no_weights_break_the_bound(seed: int, states: int) -> None:
    cell = generate(seed, states)
    if cell is None:
        return
    kind = growth(cell)
    found = largest(cell, 400, seed)
    if kind == "bounded":  # the most is there early and never passed by much
        assert max(found[200:]) <= 10 * max(found[:200])
    elif kind == "linear":  # a constant more each step at the most
        assert max(found[200:]) <= 10 * max(found[:200]) + 1e-9
    assert kind in GROWTHS


def test_what_the_names_promise_does_happen() -> None:
    squared, grown = (parse_cell(next(r for kind, r in BY_HAND if kind == name)) for name in GROWTHS[:1:-1])
    assert not largest(squared, 20, 0)[-1] < 1e300  # overflows within twenty steps
    steps = largest(grown, 60, 0)
    assert 1e300 > steps[-1] > 1e3 * steps[30] > 1e6 * steps[5]


def test_the_stable_reduction_holds_for_sampling_and_mutation() -> None:
    import numpy as np

    space = spaces.get("rnn").reduce({"state_growth": ["bounded", "linear"]})
    rng = np.random.default_rng(0)
    cell = space.sample(rng)
    for _ in range(60):
        cell = space.mutate(cell, rng)
        assert growth(cell) in ("bounded", "linear")
