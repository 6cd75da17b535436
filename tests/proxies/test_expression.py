"""The language of formulas: what it reads, what it refuses, and what a formula is worth, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import proxies
import spaces
from nas.core.errors import ZeronasError
from proxies.base import Needs, Record, Tap, Weight
from proxies.expression import LEAVES, OPERATIONS, Expression, Kind, Node, parse
from proxies.expression.evaluate import of_record, of_table
from proxies.expression.parser import DEEPEST, LONGEST
from spaces.base import Counts

TENSORS, NUMBERS, NUMBER = Kind.TENSORS, Kind.NUMBERS, Kind.NUMBER


def nodes(kind: Kind, levels: int) -> st.SearchStrategy[Node]:
    """Every formula of the grammar up to a depth."""
    leaves = [Node(name, kind) for name, leaf in LEAVES.items() if leaf.kind is kind]
    ends = [st.sampled_from(leaves)] if leaves else []
    if levels > 0 or not ends:
        for one in (one for one in OPERATIONS if one.gives is kind):
            inner = st.tuples(*(nodes(part, levels - 1) for part in one.takes))
            ends.append(inner.map(lambda arguments, one=one: Node.of(one, *arguments)))  # type: ignore[misc]
    return st.one_of(ends)


@settings(max_examples=200)
@given(nodes(NUMBER, 3))
def test_the_text_of_a_formula_is_read_back(node: Node) -> None:
    assert parse(node.text) == node
    assert parse(node.text.replace("(", " (\t").replace(", ", " ,\n")) == node
    assert node.size == sum(1 for _ in node.parts()) >= node.depth


@given(st.text(alphabet="sumtdhien(), x1_;\\'\n\x00ü", max_size=30))
def test_any_other_text_is_one_sentence(text: str) -> None:
    try:
        parse(text)
    except ZeronasError as error:
        assert "place" in str(error) or "must give a number" in str(error)
        assert str(error).endswith(".") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "The formula '' has the end at place 1, where an operation or a leaf is needed."),
        ("sum(std(hiden))", "has 'hiden' at place 9, which is no leaf. Did you mean 'hidden'?"),
        ("summ(std(hidden))", "has 'summ' at place 1, which is no operation. Did you mean 'sum'?"),
        ("sum(std(hidden)", "has the end at place 16, where a comma or a closing parenthesis is needed."),
        ("sum(std(hidden)) depth", "has 'depth' at place 18, where the formula should end."),
        ("sum(std(hidden), )", "has ')' at place 18, where an operation or a leaf is needed."),
        ("depth + width", "has '+' at place 7, which is no letter, parenthesis or comma."),
        ("__import__", "has '__import__' at place 1, which is no leaf."),
        ("sum", "has 'sum' at place 1, which is an operation and needs its arguments in parentheses."),
        ("sum(hidden)", "'sum' at place 1, which takes one number for each tensor, but got tensors."),
        ("add(depth)", "has 'add' at place 1, which takes a number and a number, but got a number."),
        ("mean(depth)", "takes tensors or one number for each tensor, but got a number."),
        ("hidden", "A formula must give a number, but 'hidden' gives tensors."),
        ("std(hidden)", "'std(hidden)' gives one number for each tensor; sum, mean, min, max, last, log_product make"),
        ("x" * (LONGEST + 1), "A formula has at most 2,000 characters, but this one has 2,001."),
        ("log(" * DEEPEST + "depth" + ")" * DEEPEST, "which is deeper than 40 operations."),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ZeronasError) as error:
        proxies.get("expression", formula=text) if text else parse(text)
    assert says in str(error.value)


def record() -> Record:
    """Two layers: states [[1, -2], [3, -4]] and [[0, 2], [0, -2]], weights of 2 and 0."""
    first = torch.tensor([[[1.0, -2.0]], [[3.0, -4.0]]])  # (T, B, d) = (2, 1, 2)
    second = torch.tensor([[[0.0, 2.0]], [[0.0, -2.0]]])
    weights = [Weight("a", "linear", layer, 0, torch.full((2, 2), 2.0 - 2 * layer)) for layer in range(2)]
    weights.append(Weight("e", "embedding", 0, 0, torch.full((3, 2), 100.0)))
    tap = Tap("activation_tanh", 0, torch.tensor([[0.0, math.log(3)]], dtype=torch.float64))
    return Record("made up", "key", 0, Counts(120, 30, 4, 0), hidden=[first, second], taps=[tap], weights=weights)


HAND = [
    ("parameters", 120),
    ("divide(parameters, flops)", 4),
    ("divide(parameters, width)", 0),  # by zero
    ("log(width)", math.log(1e-30)),
    ("subtract(multiply(depth, depth), negative(add(flops, width)))", 46),
    ("sum(mean(hidden))", -0.5 + 0),
    ("mean(mean_abs(hidden))", (2.5 + 1) / 2),
    ("max(std(hidden))", math.sqrt((1 + 4 + 9 + 16) / 4 - 0.25)),
    ("last(frobenius(hidden))", math.sqrt(8)),
    ("min(min(hidden))", -4),
    ("last(max(hidden))", 2),
    ("log_product(frobenius(hidden))", math.log(math.sqrt(30)) + math.log(math.sqrt(8))),
    ("log_product(frobenius(weights))", math.log(4) + math.log(1e-30)),  # and no embedding
    ("sum(mean(abs(hidden)))", 2.5 + 1),
    ("sum(mean(square(hidden)))", 7.5 + 2),
    ("last(mean(sqrt(hidden)))", math.sqrt(2) / 2),
    ("last(mean(log(hidden)))", (math.log(2) + math.log(1e-30)) / 2),
    ("sum(mean(relu(hidden)))", 1 + 0.5),
    ("last(mean(sigmoid(hidden)))", 0.5),
    ("last(max(softmax(activations)))", 0.75),  # of ln 1 and ln 3
    ("last(entropy(softmax(activations)))", 0.25 * math.log(4) + 0.75 * math.log(4 / 3)),
    ("last(entropy(hidden))", 0),  # each row has one entry
    ("last(std(normalise(hidden)))", 1),
    ("last(frobenius(normalise(weights)))", 0),  # constant
    ("last(spectral(hidden))", math.sqrt(8)),
    ("sum(spectral(weights))", 4),
    # the first layer's two units go exactly against each other (eigenvalues 2, 0), in the second one is constant (1, 0)
    ("sum(logdet(hidden))", math.log((2 + 1e-5) * 1e-5) + math.log((1 + 1e-5) * 1e-5)),
]


@pytest.mark.parametrize(("text", "value"), HAND, ids=[text for text, _ in HAND])
def test_values_by_hand(text: str, value: float) -> None:
    assert Expression(text)(record()) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_every_operation_is_among_those_by_hand() -> None:
    used = {part.operation for text, _ in HAND for _, part in parse(text).parts()}
    assert set(OPERATIONS) <= used


def test_spectral_and_logdet_are_those_of_linear_algebra() -> None:
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).double()
    x[:, 0] *= 3
    for rows in (x, x[:4]):  # more rows than units, and fewer
        made = record()
        made.hidden = [rows]
        centred = rows - rows.mean(dim=0)
        correlation = np.corrcoef(centred.numpy().T)
        expected = np.linalg.slogdet(correlation + 1e-5 * np.eye(6))[1]
        assert Expression("sum(logdet(hidden))")(made) == pytest.approx(expected, rel=1e-6)
        assert Expression("sum(spectral(hidden))")(made) == pytest.approx(np.linalg.norm(rows, 2), rel=1e-3)


def test_what_is_not_there_or_not_finite_is_a_failure() -> None:
    made = record()
    assert Expression("sum(std(queries))").score(made).reason == "the network has no queries"
    assert Expression("sum(std(weight_gradients))").score(made).reason == "the network has no weight gradients"
    made.hidden = [torch.full((2, 1, 2), 1e200, dtype=torch.float64)]
    assert Expression("sum(mean(square(hidden)))").score(made).value is None
    made.hidden = [torch.tensor([[[math.nan]]])]
    assert Expression("sum(mean(weights))").score(record()).value == 2
    made = record()
    made.hidden[0][0, 0, 0] = math.nan
    assert Expression("sum(mean(weights))").score(made).value is None  # the network has overflowed


def test_formulas_share_what_a_record_keeps_and_do_not_mix_it_up() -> None:
    texts = [text for text, _ in HAND]
    shared = record()
    together = [Expression(text)(shared) for text in [*texts, *texts[::-1]]]
    alone = [Expression(text)(record()) for text in texts]
    assert together == alone + alone[::-1]


def test_a_table_gives_what_a_record_gives() -> None:
    node = parse("divide(subtract(sum(std(hidden)), log(width)), multiply(parameters, negative(flops)))")
    columns = ["sum(std(hidden))", "width", "parameters", "flops"]
    table = {text: np.array([of_record(parse(text), record())] * 3) for text in columns}
    assert of_table(node, table) == pytest.approx([of_record(node, record())] * 3, rel=1e-12)


@pytest.mark.parametrize("space", ["rnn", "bert", "stack"])
def test_a_formula_needs_what_its_leaves_need(space: str) -> None:
    """Each leaf that a probe gives is there, over all layers, with nothing else asked for."""
    made = spaces.get(space)
    probe = made.make_probe({"rnn": {"hidden": [6, 6]}, "bert": {"batch": 2, "steps": 4}, "stack": {}}[space])
    rng = np.random.default_rng(1)
    config = {"operation_type": "SA"} if space == "bert" else {}
    architecture = made.reduce(config).sample(rng)
    for name, leaf in LEAVES.items():
        formula = Expression(name if leaf.kind is NUMBER else f"sum(std({name}))")
        if not leaf.needs <= probe.gives:
            continue
        alone = probe.observe(made, architecture, Needs.union([formula]), 0)
        beside = probe.observe(made, architecture, Needs(probe.gives, 1), 0)
        if leaf.kind is TENSORS:
            assert len(leaf.tensors(alone)) == len(leaf.tensors(beside)) > 0
        assert formula(alone) == pytest.approx(formula(beside), rel=1e-5)
