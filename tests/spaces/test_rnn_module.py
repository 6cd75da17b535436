"""The torch module of a cell: every operation by hand, whole cells against a plain walk of the graph."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spaces.rnn import Cell, RNNSizes, RNNSpace, generate, named_cell, parse_cell
from spaces.rnn.counts import parameters
from spaces.rnn.module import CellRNN, unroll
from spaces.rnn.plan import compile_plan

quick = settings(max_examples=30, deadline=None)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def linear(*inputs: str) -> dict[str, Any]:
    return node("linear", *inputs)


def run(recipe: dict[str, Any], weights: dict[int, Any], bias: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """Unrolls a recipe in its own order; x is (T, B, E) and a state (B, h), as nested lists of float64."""
    plan = compile_plan(parse_cell(recipe), canonical=False)
    out, after = unroll(
        plan,
        {register: torch.tensor(w, dtype=torch.float64) for register, w in weights.items()},
        torch.tensor(bias, dtype=torch.float64),
        torch.tensor(x, dtype=torch.float64),
        [torch.tensor(s, dtype=torch.float64) for s in state],
    )
    return out.tolist(), [s.tolist() for s in after]


# One operation at a time. Register 0 is x, register 1 is h_prev_0; the first linear node is block 0.


def test_linear_of_two_inputs() -> None:
    """b + W_x x + W_h h with E = 1, h = 2: x = 3, W_x = [1, -1], h = [2, 5], W_h rows [10, 20], [30, 40]."""
    out, after = run(
        {"h_new_0": linear("x", "h_prev_0")},
        {0: [[1.0, -1.0]], 1: [[10.0, 20.0], [30.0, 40.0]]},
        [[0.5, 0.25]],
        [[[3.0]]],
        [[[2.0, 5.0]]],
    )
    # unit 0: .5 + 3 + 2*10 + 5*30 = 173.5; unit 1: .25 - 3 + 2*20 + 5*40 = 237.25
    assert out == [[[173.5, 237.25]]]
    assert after == [[[173.5, 237.25]]]


def test_linear_carries_its_state_to_the_next_step() -> None:
    out, after = run(
        {"h_new_0": linear("h_prev_0", "x")}, {0: [[2.0]], 1: [[3.0]]}, [[1.0]], [[[1.0]], [[5.0]]], [[[1.0]]]
    )
    # 1 + 2*1 + 3*1 = 6, then 1 + 2*5 + 3*6 = 29
    assert out == [[[6.0]], [[29.0]]] and after == [[[29.0]]]


def test_linear_of_three_inputs_and_of_an_inner_node() -> None:
    """a = .5 + 2x + 3h; h_new = .25 + 7x + 5h + 11a; the fused weights hold one column for each reader."""
    out, _ = run(
        {"a": linear("x", "h_prev_0"), "h_new_0": linear("a", "x", "h_prev_0")},
        {0: [[2.0, 7.0]], 1: [[3.0, 5.0]], 2: [[11.0]]},
        [[0.5], [0.25]],
        [[[1.0]]],
        [[[2.0]]],
    )
    # a = .5 + 2 + 6 = 8.5; .25 + 7 + 10 + 93.5 = 110.75
    assert out == [[[110.75]]]


def through(op: str, value: float) -> float:
    """The value of a one-input operation: l = x, h_new = op(l)."""
    out, _ = run(
        {"l": linear("x", "h_prev_0"), "h_new_0": node(op, "l")},
        {0: [[1.0]], 1: [[0.0]]},
        [[0.0]],
        [[[value]]],
        [[[9.0]]],
    )
    return float(out[0][0][0])


def test_tanh_and_sigmoid() -> None:
    assert through("activation_tanh", math.log(3)) == pytest.approx(0.8, abs=1e-15)  # (9 - 1) / (9 + 1)
    assert through("activation_tanh", 0.0) == 0.0
    assert through("activation_sigm", math.log(3)) == pytest.approx(0.75, abs=1e-15)  # 1 / (1 + 1/3)
    assert through("activation_sigm", 0.0) == 0.5


def test_leaky_relu_has_slope_one_hundredth() -> None:
    assert through("activation_leaky_relu", -2.0) == pytest.approx(-0.02, abs=1e-15)
    assert through("activation_leaky_relu", 3.0) == 3.0


@pytest.mark.parametrize(("op", "expected"), [("elementwise_sum", [8.0, 1.0]), ("elementwise_prod", [15.0, -20.0])])
def test_sum_and_product(op: str, expected: list[float]) -> None:
    """l = x = [3, -4]; h = [5, 5]."""
    out, _ = run(
        {"l": linear("x", "h_prev_0"), "h_new_0": node(op, "l", "h_prev_0")},
        {0: [[1.0, 0.0], [0.0, 1.0]], 1: [[0.0, 0.0], [0.0, 0.0]]},
        [[0.0, 0.0]],
        [[[3.0, -4.0]]],
        [[[5.0, 5.0]]],
    )
    assert out == [[expected]]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("l", "h_prev_0", "m"), 5.0),  # .25 * 8 + .75 * 4
        (("l", "m", "h_prev_0"), 7.0),  # .25 * 4 + .75 * 8
        (("m", "l", "h_prev_0"), -23.0),  # 4 * .25 + (1 - 4) * 8
        (("h_prev_0", "m", "l"), 30.25),  # 8 * 4 + (1 - 8) * .25
    ],
)
def test_blend_weighs_the_second_input_by_the_first(order: tuple[str, ...], expected: float) -> None:
    """l = x = .25, m = 16 x = 4, h = 8."""
    out, _ = run(
        {"l": linear("x", "h_prev_0"), "m": linear("x", "h_prev_0"), "h_new_0": node("blend", *order)},
        {0: [[1.0, 16.0]], 1: [[0.0, 0.0]]},
        [[0.0], [0.0]],
        [[[0.25]]],
        [[[8.0]]],
    )
    assert out == [[[expected]]]


# Whole cells


def walk(module: CellRNN, x: Tensor, states: list[list[Tensor]]) -> tuple[Tensor, list[list[Tensor]]]:
    """Steps through the graph node by node, one layer after the other, with nothing fused."""
    cell = module.cell.canonical()
    graph = cell.to_graph()
    register = {name: i for i, name in enumerate([*cell.sources, *(n.name for n in cell.ordered)])}
    linears = [n.name for n in cell.nodes if n.op == "linear"]
    order = [name for name in nx.topological_sort(graph) if graph.nodes[name]["op"] != "source"]
    after = []
    for layer, state in zip(module.layers, states, strict=True):
        outputs = []
        for step in x:
            value = {"x": step, **{f"h_prev_{j}": s for j, s in enumerate(state)}}
            for name in order:
                op = graph.nodes[name]["op"]
                edges = sorted(graph.in_edges(name, data="position"), key=lambda edge: edge[2])
                args = [value[source] for source, _, _ in edges]
                if op == "linear":
                    at = linears.index(name)
                    total = layer.bias[at]
                    for source, _, _ in edges:
                        total = total + value[source] @ layer.weight_of(at, register[source])
                    value[name] = total
                elif op == "blend":
                    value[name] = args[0] * args[1] + (1 - args[0]) * args[2]
                elif op == "elementwise_prod":
                    value[name] = args[0] * args[1]
                elif op == "elementwise_sum":
                    value[name] = args[0] + args[1]
                elif op == "activation_tanh":
                    value[name] = 1 - 2 / (1 + (2 * args[0]).exp())
                elif op == "activation_sigm":
                    value[name] = 1 / (1 + (-args[0]).exp())
                else:
                    value[name] = torch.where(args[0] > 0, args[0], 0.01 * args[0])
            state = [value[f"h_new_{j}"] for j in range(cell.states)]
            outputs.append(state[0])
        x = torch.stack(outputs)
        after.append(state)
    return x, after


def agree(cell: Cell, seed: int = 0) -> None:
    torch.manual_seed(seed)
    module = CellRNN(cell, 3, [4, 5]).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    states = [[torch.randn(2, h, dtype=torch.float64) for _ in range(cell.states)] for h in (4, 5)]
    out, after = module.run(x, states)
    expected, expected_after = walk(module, x, states)
    # unbounded cells may overflow within the four steps: then both do
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
    for got, wanted in zip(after, expected_after, strict=True):
        torch.testing.assert_close(list(got), wanted, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_named_cells_against_a_walk_of_the_graph(name: str) -> None:
    agree(named_cell(name))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]), st.integers(0, 5))
@quick
def test_random_cells_against_a_walk_of_the_graph(seed: int, states: int, edits: int) -> None:
    space, rng = RNNSpace().reduce({"hidden_states": states}), np.random.default_rng(seed)
    cell = space.sample(rng)
    for _ in range(edits):
        cell = space.mutate(cell, rng)
    agree(cell, seed % 1000)


def test_rnn_cell_is_torch_rnn() -> None:
    torch.manual_seed(0)
    ours, theirs = CellRNN(named_cell("RNN"), 3, 4), torch.nn.RNN(3, 4)
    layer = ours.layers[0]
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(layer.weight_of(0, 0).T)
        theirs.weight_hh_l0.copy_(layer.weight_of(0, 1).T)
        theirs.bias_ih_l0.copy_(layer.bias[0])
        theirs.bias_hh_l0.zero_()
    x, h = torch.randn(6, 2, 3), torch.randn(1, 2, 4)
    for state in (None, h):
        out, after = ours(x, None if state is None else (state,))
        expected, last = theirs(x, state)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(after[0], last)


def test_equal_cells_run_equally() -> None:
    """Random weights belong to the canonical cell, so writing a cell differently changes nothing."""
    gru = named_cell("GRU")
    other = parse_cell(
        {
            "q": linear("h_prev_0", "x"),
            "u": node("activation_sigm", "q"),
            "w": linear("h_prev_0", "x"),
            "v": node("activation_sigm", "w"),
            "m": node("elementwise_prod", "h_prev_0", "v"),
            "h_new_0": node("blend", "u", "h_prev_0", "t"),
            "n": linear("m", "x"),
            "t": node("activation_tanh", "n"),
        }
    )
    assert other == gru
    x = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(1))
    outputs = []
    for cell in (gru, other):
        torch.manual_seed(7)
        outputs.append(CellRNN(cell, 3, 4, num_layers=2)(x)[0])
    assert torch.equal(*outputs)


def test_a_plan_in_recipe_order_belongs_to_the_recipe_and_not_to_its_equals() -> None:
    """Equal cells written in another order must not share one cached plan where the recipe's order is asked for."""
    first = parse_cell({"p": linear("x", "h_prev_0"), "q": linear("p", "h_prev_0"), "h_new_0": linear("p", "q")})
    second = parse_cell({"q": linear("h_prev_0", "p"), "p": linear("x", "h_prev_0"), "h_new_0": linear("p", "q")})
    assert first == second
    assert compile_plan(first) == compile_plan(second)
    assert compile_plan(first, canonical=False).linears == ((0, 1), (2, 1), (2, 3))
    assert compile_plan(second, canonical=False).linears == ((1, 2), (0, 1), (2, 3))


# torch.nn.LSTM's interface

CELLS = {name: named_cell(name) for name in ("RNN", "LSTM", "GRU")}
CELLS["three states"] = next(cell for seed in range(500) if (cell := generate(seed, 3)) is not None)


@pytest.mark.parametrize("name", CELLS)
def test_shapes_and_state_carried_over_two_halves(name: str) -> None:
    cell = CELLS[name]
    torch.manual_seed(3)
    module = CellRNN(cell, 5, 4, num_layers=3)
    x = torch.randn(8, 2, 5)
    out, state = module(x)
    assert out.shape == (8, 2, 4)
    assert isinstance(state, tuple) and [s.shape for s in state] == [(3, 2, 4)] * cell.states
    assert torch.equal(out[-1], state[0][-1])  # the last output is the top layer's h_0
    zero = tuple(torch.zeros(3, 2, 4) for _ in range(cell.states))
    assert torch.equal(module(x, zero)[0], out)
    first, middle = module(x[:3])
    second, last = module(x[3:], middle)
    torch.testing.assert_close(torch.cat([first, second]), out)
    for got, wanted in zip(last, state, strict=True):
        torch.testing.assert_close(got, wanted)


def test_examples_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(3)
    module = CellRNN(named_cell("LSTM"), 5, 4, num_layers=2)
    x = torch.randn(6, 3, 5)
    out, state = module(x)
    alone, alone_state = module(x[:, 1:2])
    torch.testing.assert_close(out[:, 1:2], alone)
    torch.testing.assert_close(state[1][:, 1:2], alone_state[1])


def test_a_stack_is_its_layers_one_after_the_other() -> None:
    torch.manual_seed(5)
    module = CellRNN(named_cell("GRU"), 3, [4, 6, 5])
    x = torch.randn(4, 2, 3)
    out, after = module.run(x)
    value = x
    for layer, state in zip(module.layers, after, strict=True):
        value, last = layer(value)
        assert torch.equal(last[0], state[0])
    assert torch.equal(out, value) and out.shape == (4, 2, 5)


def test_wrong_shapes_are_refused() -> None:
    module = CellRNN(named_cell("LSTM"), 5, 4)
    with pytest.raises(ValueError, match=r"x must be \(T, B, 5\), but has the shape \(2, 3, 4\)\."):
        module(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=r"x must be \(T, B, 5\), but has the shape \(2, 5\)\."):
        module(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"The cell has 2 hidden states, but 1 were given\."):
        module(torch.zeros(2, 3, 5), (torch.zeros(1, 3, 4),))
    with pytest.raises(ValueError, match=r"forward needs equal hidden sizes, got \(4, 5\); use run\(\) instead\."):
        CellRNN(named_cell("RNN"), 5, [4, 5])(torch.zeros(2, 3, 5))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_gradients_reach_every_parameter_and_the_input(name: str) -> None:
    torch.manual_seed(0)
    module = CellRNN(named_cell(name), 3, 4, num_layers=2)
    x = torch.randn(4, 2, 3, requires_grad=True)
    out, _ = module(x)
    out.sum().backward()
    assert x.grad is not None and bool((x.grad != 0).any(dim=2).all())
    for parameter in module.parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any())


def test_gradient_is_exact() -> None:
    torch.manual_seed(0)
    module = CellRNN(named_cell("GRU"), 2, 3).double()
    x = torch.randn(3, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: module(value)[0], (x,))


def test_weights_start_within_the_bound_of_the_benchmark() -> None:
    torch.manual_seed(0)
    module = CellRNN(named_cell("LSTM"), 50, 64)
    values = torch.cat([p.detach().flatten() for p in module.parameters()])
    assert values.abs().max() <= 1 / 8  # 1 / sqrt(64)
    assert values.abs().max() > 0.124 and abs(values.mean()) < 0.001  # uniform: 29,440 draws fill the interval


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]))
@quick
def test_parameters_of_the_module_are_those_of_the_formula(seed: int, states: int) -> None:
    cell = RNNSpace().reduce({"hidden_states": states}).sample(np.random.default_rng(seed))
    module = CellRNN(cell, 3, [5, 4, 3])
    sizes = RNNSizes(vocabulary=11, embedding=3, hidden=(5, 4, 3))
    around = 11 * 3 + 11  # tied embedding and decoder bias, which the stack does not have
    assert sum(p.numel() for p in module.parameters()) == parameters(cell, sizes) - around
