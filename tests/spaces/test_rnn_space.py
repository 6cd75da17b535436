"""The RNN space: counts by hand, every kind of edit by hand, recombination, reductions, suggestions."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import ZeronasError
from spaces.rnn import Cell, RNNSizes, RNNSpace, named_cell, parse_cell
from spaces.rnn.cell import find_problem
from spaces.rnn.counts import counts, depth, parameters, width
from spaces.rnn.edits import EDITS, MAX_EXTRA_NODES, crossed

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=30, deadline=None)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def linear(*inputs: str) -> dict[str, Any]:
    return node("linear", *inputs)


def tanh(source: str) -> dict[str, Any]:
    return node("activation_tanh", source)


def cell(**recipe: dict[str, Any]) -> Cell:
    return parse_cell(recipe)


# Counts


SMALL = RNNSizes(vocabulary=10, embedding=3, hidden=(4, 5, 3))


def test_rnn_parameters_by_hand() -> None:
    """Embedding 10 x 3, decoder bias 10; a layer of in -> h has h in + h h + h: 32, 50 and 27."""
    assert SMALL.layers == [(3, 4), (4, 5), (5, 3)]
    assert parameters(named_cell("RNN"), SMALL) == 30 + 10 + 32 + 50 + 27
    # 4,010,000 + (600*400 + 600*600 + 600) + (600*600 + 600*600 + 600) + (400*600 + 400*400 + 400)
    assert parameters(named_cell("RNN"), RNNSizes()) == 5_731_600
    wikitext = RNNSizes(vocabulary=33_278)
    assert parameters(named_cell("RNN"), wikitext) - 5_731_600 == (33_278 - 10_000) * 401


def test_lstm_and_gru_parameters_are_four_and_three_times_those_of_rnn() -> None:
    around = 30 + 10
    assert parameters(named_cell("LSTM"), SMALL) == around + 4 * (32 + 50 + 27)
    assert parameters(named_cell("GRU"), SMALL) == around + 3 * (32 + 50 + 27)


def test_a_third_input_adds_one_matrix_and_no_bias() -> None:
    two = cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0"), h_new_0=tanh("b"))
    three = cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0", "x"), h_new_0=tanh("b"))
    assert parameters(three, SMALL) - parameters(two, SMALL) == 4 * 3 + 5 * 4 + 3 * 5


def test_rnn_flops_by_hand() -> None:
    """Decoder 2*10*3; layer: 2 (h in + h h) for the products, h for the bias, h for tanh: 64, 100 and 54."""
    found = counts(named_cell("RNN"), SMALL)
    assert (found.parameters, found.flops) == (149, 60 + 64 + 100 + 54)
    assert (found.depth, found.width) == (2, 1)


def test_gru_flops_by_hand() -> None:
    """h = in = 2, V = 1: three linears of 2*8 + 2, two sigmoids, one product, one tanh of 2, a blend of 4*2."""
    sizes = RNNSizes(vocabulary=1, embedding=2, hidden=(2,))
    assert counts(named_cell("GRU"), sizes).flops == 2 * 1 * 2 + 3 * 18 + 2 * 2 + 2 + 2 + 8


def test_depth_and_width_by_hand() -> None:
    assert (depth(named_cell("LSTM")), width(named_cell("LSTM"))) == (6, 4)
    # r -> r_act -> rh -> h_tilde -> h_tilde_act -> h_new_0, with z and z_act beside the first two
    assert (depth(named_cell("GRU")), width(named_cell("GRU"))) == (6, 2)
    skip = cell(a=linear("x", "h_prev_0"), b=tanh("a"), c=tanh("b"), h_new_0=node("elementwise_sum", "a", "c"))
    assert (depth(skip), width(skip)) == (4, 1)


# Edits. Each kind on the cell f = linear(x, h_prev_0), h_new_0 = tanh(f).

RNN = named_cell("RNN")


def results(kind: str, start: Cell) -> list[Cell]:
    """Distinct valid results other than the start, in order."""
    found: list[Cell] = []
    for edit in EDITS[kind](start):
        result = edit()
        if result is not None:
            assert find_problem(result.nodes) is None
            if result not in found and result != start:
                found.append(result)
    return found


def test_change_operation_by_hand() -> None:
    """The linear node reads x, so only the activation can change."""
    assert results("change_operation", RNN) == [
        cell(f=linear("x", "h_prev_0"), h_new_0=node("activation_sigm", "f")),
        cell(f=linear("x", "h_prev_0"), h_new_0=node("activation_leaky_relu", "f")),
    ]


def test_change_operation_of_gru() -> None:
    """rh: linear or sum; 3 activations x 2 others; the blend may become a linear node; the others read x."""
    gru = named_cell("GRU")
    found = results("change_operation", gru)
    assert len(found) == 2 + 3 * 2 + 1
    recipe = gru.to_json()
    for name, op in [("rh", "linear"), ("rh", "elementwise_sum"), ("z_act", "activation_tanh"), ("h_new_0", "linear")]:
        assert parse_cell({**recipe, name: {**recipe[name], "op": op}}) in found


def test_rewire_by_hand() -> None:
    """x and h_prev_0 are both needed and each is read once: no input can be moved."""
    assert results("rewire", RNN) == []
    start = cell(f=linear("x", "h_prev_0"), g=tanh("f"), h_new_0=node("elementwise_sum", "f", "g"))
    assert results("rewire", start) == [
        cell(f=linear("x", "h_prev_0"), g=tanh("h_prev_0"), h_new_0=node("elementwise_sum", "f", "g")),
        cell(f=linear("x", "h_prev_0"), g=tanh("f"), h_new_0=node("elementwise_sum", "h_prev_0", "g")),
        cell(f=linear("x", "h_prev_0"), h_new_0=node("elementwise_sum", "f", "h_prev_0")),  # g is dead
    ]


def test_add_node_by_hand() -> None:
    """On the edges x -> f, h_prev_0 -> f, f -> h_new_0; f already reads both sources, so no third input is left.

    A linear node on x -> f or h_prev_0 -> f gives the same cell as one on f -> h_new_0 that reads the other source.
    """
    found = results("add_node", RNN)
    acts = ["activation_tanh", "activation_sigm", "activation_leaky_relu"]
    expected = [cell(n=linear("x", "h_prev_0"), f=linear("n", "h_prev_0"), h_new_0=tanh("f"))]  # x -> f
    expected += [cell(n=node(op, "h_prev_0"), f=linear("x", "n"), h_new_0=tanh("f")) for op in acts]  # h_prev_0 -> f
    expected += [cell(n=linear("x", "h_prev_0"), f=linear("x", "n"), h_new_0=tanh("f"))]
    between = [node(op, "f") for op in acts]  # f -> h_new_0
    between += [node(op, "f", "h_prev_0") for op in ("elementwise_prod", "elementwise_sum")]
    expected += [cell(f=linear("x", "h_prev_0"), n=body, h_new_0=tanh("n")) for body in between]
    assert set(found) == set(expected) and len(found) == len(expected) == 10


def test_add_third_input_by_hand() -> None:
    start = cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0"), h_new_0=tanh("b"))
    assert cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0", "x"), h_new_0=tanh("b")) in results(
        "add_node", start
    )
    three = cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0", "x"), h_new_0=tanh("b"))
    assert start in results("drop_node", three)


def test_drop_node_by_hand() -> None:
    """Dropping the output makes its input the output; dropping f would leave tanh(x) or no x at all."""
    assert results("drop_node", RNN) == [cell(h_new_0=linear("x", "h_prev_0"))]
    start = cell(f=linear("x", "h_prev_0"), g=tanh("f"), h_new_0=node("activation_sigm", "g"))
    assert results("drop_node", start) == [
        cell(f=linear("x", "h_prev_0"), h_new_0=node("activation_sigm", "f")),
        cell(f=linear("x", "h_prev_0"), h_new_0=tanh("f")),
    ]


def test_drop_node_prunes_what_is_dead() -> None:
    """h_new_0 = f * tanh(g), g read by nothing else: dropping the product in favour of f takes tanh and g along."""
    start = cell(
        f=linear("x", "h_prev_0"),
        g=linear("x", "h_prev_0"),
        t=tanh("g"),
        p=node("elementwise_prod", "f", "t"),
        h_new_0=tanh("p"),
    )
    assert RNN in results("drop_node", start)


def test_move_output_by_hand() -> None:
    """h_new_0 moves to f and the old output dies."""
    assert results("move_output", RNN) == [cell(h_new_0=linear("x", "h_prev_0"))]


def test_move_output_swaps_two_outputs() -> None:
    """h_new_0 = f and h_new_1 = tanh(f) change places; moving one output onto nothing else is possible."""
    start = cell(h_new_0=linear("x", "h_prev_0", "h_prev_1"), h_new_1=tanh("h_new_0"))
    assert results("move_output", start) == [cell(h_new_1=linear("x", "h_prev_0", "h_prev_1"), h_new_0=tanh("h_new_1"))]


@given(seeds, st.sampled_from([1, 2, 3]))
@settings(max_examples=6, deadline=None)
def test_neighbours_are_valid_distinct_and_belong_to_the_graph_not_to_its_names(seed: int, states: int) -> None:
    space = RNNSpace().reduce({"hidden_states": states})
    start = space.sample(np.random.default_rng(seed))
    found = list(space.neighbours(start))
    assert start not in found and len(set(found)) == len(found) > 0
    assert all(find_problem(n.nodes) is None and len(n.nodes) <= states + MAX_EXTRA_NODES for n in found)
    assert [n.nodes for n in space.neighbours(start)] == [n.nodes for n in found]
    assert set(space.neighbours(start.canonical())) == set(found)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_neighbours_of_named_cells_do_not_depend_on_their_names(name: str) -> None:
    """The LSTM recipe has inner nodes called h_new_1_part1 and h_new_1_act: names, not outputs."""
    space = RNNSpace()
    assert set(space.neighbours(named_cell(name))) == set(space.neighbours(named_cell(name).canonical()))


def test_any_name_will_do_for_a_node() -> None:
    """Edits must not mistake a node's name for an argument of their own."""
    odd = parse_cell({"cell": linear("x", "h_prev_0"), "h_new_0": tanh("cell")})
    assert set(RNNSpace().neighbours(odd)) == set(RNNSpace().neighbours(RNN))


def test_every_edit_of_a_pair_can_be_undone() -> None:
    """One edit leads back wherever one edit led, for edits that neither prune nor add more than one node."""
    space = RNNSpace()
    start = cell(a=linear("x", "h_prev_0"), b=tanh("a"), h_new_0=node("blend", "b", "a", "h_prev_0"))
    for kind in ("change_operation", "rewire", "move_output"):
        for found in results(kind, start):
            if len(found.nodes) == len(start.nodes):
                assert start in set(space.neighbours(found))


# Recombination


def test_crossover_by_hand() -> None:
    """The candidate of GRU takes the place of the RNN's linear node: the graft keeps its own inputs."""
    found = crossed(RNN, "f", named_cell("GRU"), "h_tilde")
    assert found == cell(
        r=linear("x", "h_prev_0"),
        s=node("activation_sigm", "r"),
        m=node("elementwise_prod", "s", "h_prev_0"),
        f=linear("x", "m"),
        h_new_0=tanh("f"),
    )


def test_crossover_reads_missing_states_as_the_first() -> None:
    """LSTM's f_act * h_prev_1 in a cell of one state reads h_prev_0."""
    found = crossed(RNN, "h_new_0", named_cell("LSTM"), "h_new_1_part1")
    assert found == cell(
        f=linear("x", "h_prev_0"), s=node("activation_sigm", "f"), h_new_0=node("elementwise_prod", "s", "h_prev_0")
    )
    double = cell(
        h_new_1=linear("x", "h_prev_0"),
        a=linear("h_prev_0", "h_prev_1", "x"),
        h_new_0=node("elementwise_sum", "a", "h_new_1"),
    )
    assert crossed(RNN, "f", double, "a") is None  # h_prev_0 twice


def test_second_crossover_does_not_mix_up_names() -> None:
    """What came from one crossover must not be overwritten by the names of the next graft."""
    donor = cell(f=linear("x", "h_prev_0"), g=tanh("f"), h_new_0=node("elementwise_prod", "g", "h_prev_0"))
    start = cell(a=linear("x", "h_prev_0"), b=tanh("a"), h_new_0=node("elementwise_sum", "a", "b"))
    once = crossed(start, "b", donor, "g")  # b = tanh(f'), f' = linear
    assert once is not None
    other = cell(f=linear("h_prev_0", "x", "k"), k=node("activation_sigm", "h_prev_0"), h_new_0=tanh("f"))
    twice = crossed(once, "a", other, "f")
    assert twice == cell(
        k=node("activation_sigm", "h_prev_0"),
        a=linear("h_prev_0", "x", "k"),
        f=linear("x", "h_prev_0"),
        b=tanh("f"),
        h_new_0=node("elementwise_sum", "a", "b"),
    )


# Reductions


def test_reducing_twice_keeps_both_rules() -> None:
    space = RNNSpace().reduce({"hidden_states": [1, 2]}).reduce({"linears": {"max": 2}})
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = space.sample(rng)
        assert found.states in (1, 2) and sum(n.op == "linear" for n in found.nodes) <= 2
    assert not space.contains(named_cell("LSTM")) and space.contains(RNN)


def test_sizes_survive_a_reduction() -> None:
    space = RNNSpace(sizes={"vocabulary": 10, "embedding": 3, "hidden": [4, 5, 3]}).reduce({"hidden_states": 1})
    assert space.counts(RNN).parameters == 149


def test_described_features_by_hand() -> None:
    assert RNNSpace(sizes={"vocabulary": 10, "embedding": 3, "hidden": [4, 5, 3]}).describe(named_cell("GRU")) == {
        "hidden_states": 1,
        "nodes": 8,
        "depth": 6,
        "width": 2,
        "output_op": "blend",
        "state_growth": "linear",
        "parameters": 40 + 3 * 109,
        "linears": 3,
        "blends": 1,
        "products": 1,
        "sums": 0,
        "tanhs": 1,
        "sigmoids": 2,
        "leaky_relus": 0,
    }


def test_distance_by_hand() -> None:
    """RNN -> the same with a sigmoid: one operation less, one more (2), another output operation (2), one edge (2)."""
    space = RNNSpace()
    sigmoid = cell(f=linear("x", "h_prev_0"), h_new_0=node("activation_sigm", "f"))
    assert space.distance(RNN, sigmoid) == 6.0
    assert space.distance(RNN, RNN) == 0.0
    assert space.features(RNN).shape == (79,)


def test_only_linear_nodes_read_x_so_every_member_can_be_built() -> None:
    """x may have another size than the hidden state; nothing but a weight matrix can read it."""
    space, rng = RNNSpace(), np.random.default_rng(1)
    for _ in range(15):
        found = space.mutate(space.mutate(space.sample(rng), rng), rng)
        out, _ = space.build(found, input_size=3, hidden_size=5)(torch.zeros(2, 2, 3))
        assert out.shape == (2, 2, 5)


SIZES = "a list of one or more, each a whole number of 1 or more"


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (
            {"vocab": 10},
            "Space 'rnn' has no option 'sizes.vocab'. Did you mean 'sizes.vocabulary'? "
            "Available: sizes.embedding, sizes.hidden, sizes.vocabulary.",
        ),
        ({"vocabulary": 0}, "Space 'rnn' needs sizes.vocabulary to be a whole number of 1 or more, but got 0."),
        ({"embedding": 2.5}, "Space 'rnn' needs sizes.embedding to be a whole number of 1 or more, but got 2.5."),
        ({"hidden": 600}, f"Space 'rnn' needs sizes.hidden to be {SIZES}, but got 600."),
        ({"hidden": []}, f"Space 'rnn' needs sizes.hidden to be {SIZES}, but got []."),
        ({"hidden": [600, True]}, f"Space 'rnn' needs sizes.hidden to be {SIZES}, but got [600, True]."),
    ],
)
def test_sizes_are_checked(sizes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        RNNSpace(sizes=sizes)
    assert str(error.value) == sentence


def test_a_linear_node_becomes_a_blend_in_every_order() -> None:
    """The inputs of a linear node have no order, so the edit must not depend on how the recipe lists them."""
    start = cell(a=linear("x", "h_prev_0"), b=linear("a", "h_prev_0", "c"), c=tanh("a"), h_new_0=tanh("b"))
    turned = [
        cell(a=linear("x", "h_prev_0"), b=node("blend", *order), c=tanh("a"), h_new_0=tanh("b"))
        for order in permutations(("a", "h_prev_0", "c"))
    ]
    assert len(set(turned)) == 6 and set(turned) <= set(results("change_operation", start))


def test_what_is_drawn_can_be_drawn_and_what_the_generator_rejects_cannot() -> None:
    space = RNNSpace()
    assert all(space.draws(space.sample(np.random.default_rng(seed))) for seed in range(300))
    assert [space.draws(named_cell(name)) for name in ("RNN", "LSTM", "GRU")] == [True, False, False]
    tanh = {"op": "activation_tanh", "input": ["f"]}
    linear = {"op": "linear", "input": ["x", "h_prev_0"]}
    assert space.draws(parse_cell({"f": linear, "h_new_0": tanh}))
    # two activations of one linear node; an activation of a sum; a linear node of a sum; an output that reads h_prev
    other = {"op": "activation_sigm", "input": ["f"]}
    total = {"op": "elementwise_sum", "input": ["a", "h_prev_0"]}
    rejected: list[dict[str, Any]] = [
        {"f": linear, "a": tanh, "b": other, "h_new_0": {"op": "elementwise_prod", "input": ["a", "b"]}},
        {"f": linear, "a": tanh, "s": total, "h_new_0": {"op": "activation_tanh", "input": ["s"]}},
        {"f": linear, "a": tanh, "s": total, "h_new_0": {"op": "linear", "input": ["x", "s"]}},
        {"f": linear, "a": tanh, "h_new_0": total},
    ]
    assert [space.draws(parse_cell(cell)) for cell in rejected] == [False] * 4


def test_what_can_be_drawn_obeys_the_reduction() -> None:
    reduced = RNNSpace().reduce({"hidden_states": 2})
    assert not reduced.draws(named_cell("RNN")) and RNNSpace().draws(named_cell("RNN"))
