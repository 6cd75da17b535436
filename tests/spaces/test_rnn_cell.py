"""RNN cells: reading recipes, canonical keys, equality exactly up to isomorphism."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import DiGraphMatcher

from nas.core.errors import ZeronasError
from spaces.rnn import COMMUTATIVE, OPERATIONS, Cell, Node, RNNSpace, named_cell, parse_cell
from spaces.rnn.cell import find_problem

ROOT = Path(__file__).parents[2]
KEYS = {
    "RNN": "rnn-cb5998fafbf38c161bef",
    "LSTM": "rnn-9a352c1b9d7de6f2bf43",
    "GRU": "rnn-5a7e7f55d7965701ef50",
}
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def linear(*inputs: str) -> dict[str, Any]:
    return node("linear", *inputs)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """A generated cell after up to six random edits (edits reach what the generator cannot draw)."""
    rng = np.random.default_rng(draw(seeds))
    space = RNNSpace().reduce({"hidden_states": draw(st.sampled_from([1, 2, 3]))})
    cell = space.sample(rng)
    for _ in range(draw(st.integers(0, 6))):
        cell = space.mutate(cell, rng)
    return cell


# An independent judge of equality: networkx's matcher on labelled graphs, over all orders of the hidden states.


def labelled(cell: Cell, order: tuple[int, ...]) -> nx.DiGraph:
    """State j is called ``order[j]``; positions matter only where the operation does not commute."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("x", label=("source", "x"))
    names = {f"h_new_{j}": called for j, called in enumerate(order)}
    for j, called in enumerate(order):
        graph.add_node(f"h_prev_{j}", label=("source", called))
    for item in cell.nodes:
        graph.add_node(item.name, label=(item.op, names.get(item.name, -1)))
    for item in cell.nodes:
        for position, source in enumerate(item.inputs):
            graph.add_edge(source, item.name, position=0 if item.op in COMMUTATIVE else position)
    return graph


def isomorphic(first: Cell, second: Cell) -> bool:
    if first.states != second.states:
        return False
    fixed = labelled(first, tuple(range(first.states)))
    return any(
        DiGraphMatcher(
            fixed,
            labelled(second, (0, *order)),
            node_match=lambda a, b: a["label"] == b["label"],
            edge_match=lambda a, b: a["position"] == b["position"],
        ).is_isomorphic()
        for order in itertools.permutations(range(1, first.states))
    )


def rewritten(cell: Cell, rng: random.Random) -> Cell:
    """The same graph with other names, another order of nodes and of commuting inputs, and later states permuted."""
    later = list(range(1, cell.states))
    rng.shuffle(later)
    order = [0, *later]
    names = {"x": "x"}
    for j in range(cell.states):
        names[f"h_prev_{j}"], names[f"h_new_{j}"] = f"h_prev_{order[j]}", f"h_new_{order[j]}"
    inner = [item.name for item in cell.nodes if item.name not in names]
    fresh = [f"v{i}" for i in range(len(inner))]
    rng.shuffle(fresh)
    names.update(zip(inner, fresh, strict=True))
    nodes = []
    for item in cell.nodes:
        inputs = [names[source] for source in item.inputs]
        if item.op in COMMUTATIVE:
            rng.shuffle(inputs)
        nodes.append(Node(names[item.name], item.op, tuple(inputs)))
    rng.shuffle(nodes)
    return Cell.checked(tuple(nodes))


# Keys


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_named_cells_never_change(name: str) -> None:
    assert named_cell(name).key == KEYS[name]


def test_keys_do_not_depend_on_the_process() -> None:
    code = (
        "from spaces.rnn import generate, named_cell; "
        "print(*[named_cell(n).key for n in ('RNN', 'LSTM', 'GRU')], "
        "*[c.key for h in (1, 2, 3) for s in range(60) if (c := generate(s, h)) is not None])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "77")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0][:3] == list(KEYS.values()) and len(outputs[0]) > 20


@given(cells(), st.randoms(use_true_random=False))
@quick
def test_writing_a_cell_differently_keeps_key_and_equality(cell: Cell, rng: random.Random) -> None:
    other = rewritten(cell, rng)
    assert isomorphic(cell, other)
    assert other.key == cell.key and other == cell and hash(other) == hash(cell)
    assert other.canonical().nodes == cell.canonical().nodes


@given(cells(), st.data())
@quick
def test_a_change_keeps_the_key_only_where_the_graph_stays_the_same(cell: Cell, data: st.DataObject) -> None:
    """One change of an operation, an input, or two inputs of a blend, against networkx's verdict."""
    drafts: list[tuple[Node, ...]] = []
    for i, item in enumerate(cell.nodes):
        changed = [
            Node(item.name, op, item.inputs)
            for op, arity in OPERATIONS.items()
            if op != item.op and len(item.inputs) in arity
        ]
        for at in range(len(item.inputs)):
            for source in (*cell.sources, *cell.by_name):
                changed.append(Node(item.name, item.op, (*item.inputs[:at], source, *item.inputs[at + 1 :])))
        if item.op == "blend":
            changed += [Node(item.name, "blend", order) for order in itertools.permutations(item.inputs)]
        drafts += [(*cell.nodes[:i], item, *cell.nodes[i + 1 :]) for item in changed]
    valid = [draft for draft in drafts if find_problem(draft) is None]
    for draft in data.draw(st.lists(st.sampled_from(valid), min_size=1, max_size=25)):
        other = rewritten(Cell(draft), random.Random(0))
        same = isomorphic(cell, other)
        assert (other == cell) == same
        assert (other.key == cell.key) == same


@given(cells())
@quick
def test_canonical_cell_is_equal_valid_and_its_own_canonical_cell(cell: Cell) -> None:
    canonical = cell.canonical()
    assert canonical == cell and canonical.form == cell.form
    assert find_problem(canonical.nodes) is None
    assert canonical.canonical().nodes == canonical.nodes
    assert len(canonical.nodes) == len(cell.nodes)


@given(cells())
@quick
def test_recipe_round_trips_in_its_own_order(cell: Cell) -> None:
    for form in (cell.to_json(), json.dumps(cell.to_json()), RNNSpace().format(cell).encode()):
        assert parse_cell(form).nodes == cell.nodes


def test_blend_inputs_are_ordered_and_sum_inputs_are_not() -> None:
    def cell(op: str, *inputs: str) -> Cell:
        return parse_cell(
            {"a": linear("x", "h_prev_0"), "b": node("activation_tanh", "a"), "h_new_0": node(op, *inputs)}
        )

    orders = [cell("blend", *order) for order in itertools.permutations(("a", "b", "h_prev_0"))]
    assert len(set(orders)) == 6 and len({c.key for c in orders}) == 6
    assert cell("elementwise_sum", "a", "b") == cell("elementwise_sum", "b", "a")
    assert cell("elementwise_sum", "a", "b") != cell("elementwise_prod", "a", "b")
    assert cell("linear", "a", "b", "h_prev_0") == cell("linear", "h_prev_0", "a", "b")


def test_only_the_later_hidden_states_are_interchangeable() -> None:
    def cell(out: str, one: str, two: str) -> Cell:
        return parse_cell(
            {
                "a": linear("x", "h_prev_0", "h_prev_1"),
                "b": linear("a", "h_prev_2"),
                out: node("activation_tanh", "b"),
                one: node("activation_sigm", "b"),
                two: node("activation_leaky_relu", "b"),
            }
        )

    def swapped(c: Cell) -> Cell:  # h_prev_1 <-> h_prev_2 in what is read
        turn = {"h_prev_1": "h_prev_2", "h_prev_2": "h_prev_1"}
        return Cell.checked(tuple(Node(n.name, n.op, tuple(turn.get(i, i) for i in n.inputs)) for n in c.nodes))

    first = cell("h_new_0", "h_new_1", "h_new_2")
    assert swapped(cell("h_new_0", "h_new_2", "h_new_1")) == first  # written and read names move together
    assert cell("h_new_0", "h_new_2", "h_new_1") != first  # only what is written moves
    assert swapped(first) != first  # only what is read moves
    assert cell("h_new_1", "h_new_0", "h_new_2") != first  # h_new_0 is the output


def symmetric(pairs: list[tuple[int, int]], groups: list[tuple[int, int, int]]) -> Cell:
    """Six equal linear nodes, six sums of two of them each, two sums of three of those, and the output."""
    recipe: dict[str, Any] = {f"a{i}": linear("x", "h_prev_0") for i in range(6)}
    recipe.update({f"s{k}": node("elementwise_sum", f"a{i}", f"a{j}") for k, (i, j) in enumerate(pairs)})
    recipe.update({f"l{k}": linear(*(f"s{i}" for i in group)) for k, group in enumerate(groups)})
    return parse_cell({**recipe, "h_new_0": node("elementwise_sum", "l0", "l1")})


def test_cells_that_colour_refinement_cannot_tell_apart() -> None:
    """A hexagon of sums against two triangles: every node looks alike from nearby, the cells differ."""
    triangles = symmetric([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)], [(0, 1, 2), (3, 4, 5)])
    hexagon = symmetric([(i, (i + 1) % 6) for i in range(6)], [(0, 2, 4), (1, 3, 5)])
    assert not isomorphic(triangles, hexagon)
    assert triangles != hexagon and triangles.key != hexagon.key
    for cell in (triangles, hexagon):
        for seed in range(8):
            assert rewritten(cell, random.Random(seed)).key == cell.key


def test_a_class_of_alike_nodes_that_are_not_interchangeable() -> None:
    """Hexagon and triangles in one cell: refinement puts nodes of both into one class, so each must be tried."""
    recipe: dict[str, Any] = {}
    pairs = [(i, (i + 1) % 6) for i in range(6)] + [(6, 7), (7, 8), (8, 6), (9, 10), (10, 11), (11, 9)]
    recipe.update({f"a{i}": linear("x", "h_prev_0") for i in range(12)})
    recipe.update({f"s{k}": node("elementwise_sum", f"a{i}", f"a{j}") for k, (i, j) in enumerate(pairs)})
    for k, group in enumerate([(0, 2, 4), (1, 3, 5), (6, 7, 8), (9, 10, 11)]):
        recipe[f"l{k}"] = linear(*(f"s{i}" for i in group))
    recipe["m0"], recipe["m1"] = node("elementwise_sum", "l0", "l1"), node("elementwise_sum", "l2", "l3")
    cell = parse_cell({**recipe, "h_new_0": node("elementwise_sum", "m0", "m1")})
    assert Cell.checked(cell.nodes[::-1]).key == cell.key  # the other component's nodes come first


def test_twins_and_nested_symmetry() -> None:
    """Nine twins below three equal sums (1,296 automorphisms), and four storeys of three equal activations."""
    tree: dict[str, Any] = {f"a{i}": linear("x", "h_prev_0") for i in range(9)}
    tree.update({f"b{i}": linear(*(f"a{3 * i + j}" for j in range(3))) for i in range(3)})
    tree["h_new_0"] = linear("b0", "b1", "b2")
    storeys: dict[str, Any] = {"m0": linear("x", "h_prev_0")}
    for i in range(4):
        storeys.update({f"a{i}{j}": node("activation_tanh", f"m{i}") for j in range(3)})
        storeys["h_new_0" if i == 3 else f"m{i + 1}"] = linear(*(f"a{i}{j}" for j in range(3)))
    for recipe in (tree, storeys):
        cell = parse_cell(recipe)
        for seed in range(3):
            other = rewritten(cell, random.Random(seed))
            assert other.key == cell.key and other.canonical().nodes == cell.canonical().nodes


def test_graph_has_sources_operations_and_positions() -> None:
    graph = named_cell("GRU").to_graph()
    assert graph.nodes["x"]["op"] == graph.nodes["h_prev_0"]["op"] == "source"
    assert graph.nodes["h_new_0"]["op"] == "blend"
    assert {u: d["position"] for u, _, d in graph.in_edges("h_new_0", data=True)} == {
        "z_act": 0,
        "h_prev_0": 1,
        "h_tilde_act": 2,
    }
    assert len(graph) == 10 and nx.is_directed_acyclic_graph(graph)


# Malformed recipes: the exact sentence

GOOD = {"f": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "f")}
FORM = '{"NODE": {"op": ..., "input": [...]}, ...}'
OPS = ", ".join(sorted(OPERATIONS))
LATE: dict[str, Any] = {
    "a": linear("x", "h_prev_1"),
    "h_new_1": node("activation_tanh", "a"),
    "b": linear("h_prev_0", "c"),
    "c": node("activation_tanh", "h_prev_0"),
    "h_new_0": node("activation_sigm", "b"),
}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            "{",
            f"The recipe is not JSON (line 1, column 2: Expecting property name enclosed in double quotes); "
            f"expected {FORM}.",
        ),
        (b"\xff", "The recipe is not JSON: it is not UTF-8 text."),
        ("[" * 100_000, "The recipe is not JSON: it is nested too deeply."),
        ("{}", f"The recipe is empty; expected a mapping {FORM}."),
        ({}, f"The recipe is empty; expected a mapping {FORM}."),
        ("[1]", f"The recipe is a list; expected a mapping {FORM}."),
        (3, f"The recipe is a int; expected a mapping {FORM}."),
        ({"h_new_0": 3}, 'Node \'h_new_0\' is 3; expected {"op": ..., "input": [...]}.'),
        ({"h_new_0": {"op": "linear"}}, "Node 'h_new_0' lacks the field 'input'; op and input are both needed."),
        ({"h_new_0": {"input": []}}, "Node 'h_new_0' lacks the field 'op'; op and input are both needed."),
        (
            {"h_new_0": {**linear("x", "h_prev_0"), "bias": True}},
            "Node 'h_new_0' has the field 'bias'; only op and input are accepted.",
        ),
        (
            {"h_new_0": {"op": "linear", "input": "x"}},
            "Node 'h_new_0' has the input 'x'; expected a list of node names.",
        ),
        (
            {"h_new_0": {"op": "linear", "input": ["x", 1]}},
            "Node 'h_new_0' has the input ['x', 1]; expected a list of node names.",
        ),
        (
            {**GOOD, "x": linear("f", "h_prev_0")},
            "Node 'x' has the name of a source; x and h_prev_* cannot be computed.",
        ),
        (
            {**GOOD, "h_prev_0": linear("f", "x")},
            "Node 'h_prev_0' has the name of a source; x and h_prev_* cannot be computed.",
        ),
        (
            {"f": linear("x", "h_prev_0"), "g": node("activation_tanh", "f")},
            "The recipe has no output: a node 'h_new_0' is needed, the nodes are f, g.",
        ),
        (
            {"f": linear("x", "h_prev_0"), "h_new_1": node("activation_tanh", "f")},
            "The outputs are h_new_1; they must be h_new_0 to h_new_{H-1} with H from 1 to 3.",
        ),
        (
            {"h_new_2": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "h_new_2")},
            "The outputs are h_new_0, h_new_2; they must be h_new_0 to h_new_{H-1} with H from 1 to 3.",
        ),
        (
            {f"h_new_{j}": linear("x", f"h_prev_{j}") for j in range(4)},
            "The outputs are h_new_0, h_new_1, h_new_2, h_new_3; they must be h_new_0 to h_new_{H-1} "
            "with H from 1 to 3.",
        ),
        (
            {"f": linear("x", "h_prev_0"), "h_new_0": node("activation_tan", "f")},
            f"Node 'h_new_0' has the unknown operation 'activation_tan'. Did you mean 'activation_tanh'? "
            f"Available: {OPS}.",
        ),
        (
            {"f": linear("x", "h_prev_0"), "h_new_0": node("?", "f")},
            f"Node 'h_new_0' has the unknown operation '?'. Available: {OPS}.",
        ),
        (
            {"h_new_0": linear("x")},
            "Node 'h_new_0' (linear) takes 2 or 3 inputs, but got 1: [x].",
        ),
        (
            {**GOOD, "h_new_0": node("blend", "f", "h_prev_0")},
            "Node 'h_new_0' (blend) takes 3 inputs, but got 2: [f, h_prev_0].",
        ),
        (
            {**GOOD, "h_new_0": node("activation_tanh")},
            "Node 'h_new_0' (activation_tanh) takes 1 inputs, but got 0: [].",
        ),
        (
            {"gate": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "gates")},
            "Node 'h_new_0' reads the unknown node 'gates'. Did you mean 'gate'? "
            "Available: gate, h_new_0, h_prev_0, x.",
        ),
        (
            {"f": linear("x", "h_prev_1"), "h_new_0": node("activation_tanh", "f")},
            "Node 'f' reads the unknown node 'h_prev_1'. Did you mean 'h_prev_0'? Available: f, h_new_0, h_prev_0, x.",
        ),
        (
            {"h_new_0": linear("x", "h_prev_0", "x")},
            "Node 'h_new_0' reads the same node twice: [x, h_prev_0, x]; inputs must be distinct.",
        ),
        (
            {"a": node("activation_tanh", "x"), "h_new_0": linear("a", "h_prev_0")},
            "Node 'a' (activation_tanh) reads 'x'; only linear nodes may, for x has a size of its own.",
        ),
        (
            {"f": linear("x", "h_prev_0", "g"), "g": node("activation_tanh", "f"), "h_new_0": linear("f", "g")},
            "The recipe has a cycle: f -> g -> f; a cell must be acyclic.",
        ),
        (
            {"h_new_0": linear("x", "h_prev_0", "h_new_0")},
            "The recipe has a cycle: h_new_0 -> h_new_0; a cell must be acyclic.",
        ),
        (
            {**GOOD, "dead": node("activation_sigm", "f")},
            "Node 'dead' reaches no output; every node must reach one of h_new_0 to h_new_0.",
        ),
        (
            {"f": node("activation_tanh", "h_prev_0"), "h_new_0": linear("f", "h_prev_0")},
            "The source 'x' is never used; x and every h_prev_* must be.",
        ),
        (
            {"h_new_1": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "h_new_1")},
            "The source 'h_prev_1' is never used; x and every h_prev_* must be.",
        ),
        (LATE, "The output 'h_new_0' cannot be reached from the input 'x', not even through the hidden states."),
    ],
)
def test_malformed_recipes(data: Any, sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        parse_cell(data)
    assert str(error.value) == sentence


def test_output_may_be_reached_from_x_through_the_recurrence() -> None:
    cell = parse_cell({**LATE, "b": linear("h_prev_1", "c")})
    assert cell.states == 2


def test_names_must_be_distinct() -> None:
    twice = (Node("f", "linear", ("x", "h_prev_0")), *(Node("h_new_0", "activation_tanh", ("f",)),) * 2)
    with pytest.raises(ZeronasError) as error:
        Cell.checked(twice)
    assert str(error.value) == "Node 'h_new_0' is defined 2 times; names must be distinct."


def test_leading_zeros_do_not_make_an_output() -> None:
    """``h_new_01`` is an ordinary name: it must not be counted as the hidden state 1."""
    cell = parse_cell({"h_new_01": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "h_new_01")})
    assert cell.states == 1 and cell == named_cell("RNN")


def tree(branches: int) -> dict[str, Any]:
    """A sum of branches that are all alike."""
    recipe: dict[str, Any] = {}
    for i in range(branches):
        recipe[f"a{i}"] = {"op": "linear", "input": ["x", "h_prev_0"]}
        recipe[f"b{i}"] = {"op": "activation_tanh", "input": [f"a{i}"]}
    names = [f"b{i}" for i in range(branches)]
    while len(names) > 1:
        name = "h_new_0" if len(names) == 2 else f"s{len(recipe)}"
        recipe[name] = {"op": "elementwise_sum", "input": [names.pop(0), names.pop(0)]}
        names.append(name)
    return recipe


def test_a_key_takes_a_bounded_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_cell(tree(16)).key == parse_cell(dict(reversed(tree(16).items()))).key
    monkeypatch.setattr("spaces.rnn.canonical._SPLITS", 20)
    with pytest.raises(ZeronasError, match="has no key within 20 steps: too many of its nodes are alike"):
        parse_cell(tree(16))


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (tree(34), "The recipe has 101 nodes, but at most 100 are accepted."),
        ({"n" * 101: {"op": "linear", "input": ["x", "h_prev_0"]}}, "a name is a word of up to 100 letters"),
        ({"a\x1b[2J": {"op": "linear", "input": ["x", "h_prev_0"]}}, r"a node called 'a\x1b[2J'"),
        ({"h_new_0": {"op": 10**6000, "input": ["x"]}}, "the operation a whole number of about 6,001 digits"),
    ],
)
def test_what_no_one_would_write_is_refused_at_once(recipe: dict[str, Any], told: str) -> None:
    with pytest.raises(ZeronasError) as found:
        parse_cell(recipe)
    assert told in str(found.value) and len(str(found.value)) < 400
