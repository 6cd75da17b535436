"""What every search space must do. To cover a new space, add its line (and one of a reduction of it) to ``CASES``."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import optuna
import pytest
import torch

import made_table
import spaces
from nas.core.errors import ZeronasError
from spaces.base import Architecture, Space

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """A space, how its module is run at a small size, and rules that leave some, more and no members.

    Attributes:
        run: builds an architecture and returns the shape of its output, which should be ``shape``; None where the space
            holds no networks.
        rule: the reduction of this case ({} for the whole space).
        further: a rule that more than a tenth of the members obey, given on top of ``rule``.
        impossible: a well-formed rule that no member obeys.
    """

    name: str
    options: dict[str, Any]
    rule: dict[str, Any]
    further: dict[str, Any]
    impossible: dict[str, Any]
    run: Callable[[Space[Any], Any], tuple[int, ...]] | None
    shape: tuple[int, ...]

    def whole(self) -> Space[Any]:
        return spaces.get(self.name, **self.options)

    def space(self) -> Space[Any]:
        return self.whole().reduce(self.rule)


def _run_rnn(space: Space[Any], architecture: Any) -> tuple[int, ...]:
    out, _ = space.build(architecture, input_size=3, hidden_size=4)(torch.zeros(5, 2, 3))
    return tuple(out.shape)


def _run_bert(space: Space[Any], architecture: Any) -> tuple[int, ...]:
    out = space.build(architecture, vocabulary=20).eval()(torch.zeros(2, 7, dtype=torch.long))
    return tuple(out.shape[:2])


def _run_stack(space: Space[Any], architecture: Any) -> tuple[int, ...]:
    out, _ = space.build(architecture, input_size=3)(torch.zeros(5, 2, 3))
    return tuple(out.shape[:2])


def _rnn(rule: dict[str, Any]) -> Case:
    return Case("rnn", {}, rule, {"sums": {"min": 1}}, {"linears": 0}, _run_rnn, (5, 2, 4))


def _bert(reading: str, rule: dict[str, Any]) -> Case:
    further, impossible = {"lt_layers": {"max": 1}}, {"layers": 2, "dsc_layers": 4}
    return Case("bert", {"reading": reading}, rule, further, impossible, _run_bert, (2, 7))


def _stack(rule: dict[str, Any]) -> Case:
    return Case("stack", {}, rule, {"lstms": {"max": 1}}, {"layers": 1, "lstms": 4}, _run_stack, (5, 2))


def _table(rule: dict[str, Any]) -> Case:
    return Case("table", made_table.options(), rule, {"depth": {"max": 2}}, {"kind": "skip", "depth": 4}, None, ())


_BERT_RULE = {"hidden_size": 256, "sa_layers": {"min": 1}, "num_operation_heads": 4}
CASES: dict[str, Case] = {
    "rnn": _rnn({}),
    "rnn reduced": _rnn({"hidden_states": [1, 2], "linears": {"min": 2, "max": 5}}),
    "bert": _bert("stated", {}),
    "bert reduced": _bert("stated", _BERT_RULE),
    "bert scored": _bert("scored", {}),
    "bert scored reduced": _bert("scored", _BERT_RULE),
    "bert trained": _bert("trained", {}),
    "bert trained reduced": _bert("trained", _BERT_RULE),
    "stack": _stack({}),  # of another package, tests/plugin
    "stack reduced": _stack({"layers": [2, 3], "kind": ["LSTM", "GRU"]}),
    "table": _table({}),
    "table reduced": _table({"kind": ["conv", "skip"], "params": {"max": 64_000}}),
}


def test_every_registered_space_is_covered_whole_and_reduced() -> None:
    for name in spaces.SPACES:
        cases = [case for case in CASES.values() if case.name == name]
        assert any(not case.rule for case in cases) and any(case.rule for case in cases), name
    from spaces.bert import READINGS

    assert {case.options["reading"] for case in CASES.values() if case.name == "bert"} == set(READINGS)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def space(case: Case) -> Space[Any]:
    return case.space()


def draw(space: Space[Any], n: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


def test_space_names_itself_and_keeps_its_rule(case: Case, space: Space[Any]) -> None:
    assert space.name == case.name
    assert bool(space.rule) == bool(case.rule)
    assert space.rule.names() == set(case.rule)
    assert not case.whole().rule  # reducing gives a new space


def test_members_are_architectures(space: Space[Any]) -> None:
    for member in draw(space, 5):
        assert isinstance(member, Architecture)
        assert member.key.startswith(f"{space.name}-")
        with pytest.raises(AttributeError):
            member.extra = 1
        json.dumps(member.to_json())
        graph = member.to_graph()
        assert nx.is_directed_acyclic_graph(graph) and nx.is_weakly_connected(graph)
        assert all(isinstance(op, str) and op for _, op in graph.nodes(data="op"))


def test_members_round_trip(space: Space[Any]) -> None:
    for member in draw(space, 15):
        text = space.format(member)
        assert "\n" not in text
        for form in (text, member.to_json(), json.loads(text), text.encode()):
            again = space.parse(form)
            assert again == member and hash(again) == hash(member) and again.key == member.key
            assert space.format(again) == text
        assert pickle.loads(pickle.dumps(member)) == member


def test_equality_is_that_of_the_keys(space: Space[Any]) -> None:
    members = draw(space, 40)
    for a, b in itertools.combinations(members, 2):
        assert (a == b) == (a.key == b.key)
    assert len({m.key for m in members}) > 10
    assert members[0] != "x" and members[0] != None  # noqa: E711


def test_malformed_architectures_are_refused_in_one_sentence(space: Space[Any]) -> None:
    for data in ("", "{", "null", "[]", "3", '"x"', "{}", b"\xff", None, 3, [], {}, {"x": 1}, "[" * 50_000):
        with pytest.raises(ZeronasError) as error:
            space.parse(data)
        assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_draws_depend_on_the_generator_alone(space: Space[Any]) -> None:
    first = draw(space, 10)
    np.random.seed(1)
    torch.manual_seed(1)
    assert draw(space, 10) == first
    assert draw(space, 10, seed=1) != first
    a, b = first[:2]
    for operator in (lambda rng: space.mutate(a, rng), lambda rng: space.crossover(a, b, rng)):
        assert operator(np.random.default_rng(5)).key == operator(np.random.default_rng(5)).key


def test_operators_stay_inside(space: Space[Any]) -> None:
    rng = np.random.default_rng(0)
    members = draw(space, 12)
    current = members[0]
    for other in members:
        assert space.contains(other)
        mutated = space.mutate(current, rng)
        assert space.contains(mutated) and mutated.key != current.key
        child = space.crossover(mutated, other, rng)
        assert space.contains(child)
        assert space.parse(space.format(child)) == child  # which checks every rule of the space
        assert space.contains(space.crossover(child, child, rng))
        current = child


def test_operators_leave_their_arguments_alone(space: Space[Any]) -> None:
    a, b = draw(space, 2)
    before = space.format(a), space.format(b), a.key, b.key
    rng = np.random.default_rng(0)
    for _ in range(5):
        space.mutate(a, rng)
        space.crossover(a, b, rng)
    assert (space.format(a), space.format(b), a.key, b.key) == before


def test_neighbours_are_distinct_members_in_a_fixed_order(space: Space[Any]) -> None:
    member = min(draw(space, 6), key=lambda m: len(space.format(m)))  # a small one has fewer
    found = list(space.neighbours(member))
    keys = [n.key for n in found]
    assert found and len(set(keys)) == len(keys) and member.key not in keys
    assert all(space.contains(n) for n in found)
    assert [n.key for n in space.neighbours(space.parse(space.format(member)))] == keys


def test_mutation_is_a_neighbour_for_most_draws(space: Space[Any]) -> None:
    """``mutate`` may repeat a draw, never jump: where the space has a neighbour it is at a small distance."""
    rng = np.random.default_rng(0)
    members = draw(space, 8)
    near = [space.distance(m, space.mutate(m, rng)) for m in members for _ in range(5)]
    apart = [space.distance(a, b) for a, b in itertools.combinations(members, 2)]
    assert np.mean(near) < np.mean(apart)
    assert min(near) > 0 or space.name == "rnn"  # features of cells are counts: different cells may share them


def test_described_values_are_those_of_the_features(space: Space[Any]) -> None:
    for member in draw(space, 10):
        described = space.describe(member)
        assert set(described) == set(space.feature_specs)
        for name, feature in space.feature_specs.items():
            value = described[name]
            assert isinstance(value, tuple) == feature.per_layer
            for item in value if feature.per_layer else (value,):
                if feature.choices is not None:
                    assert item in feature.choices, name
                else:
                    assert feature.low <= item <= feature.high, name
            assert feature.doc


def test_feature_vectors(space: Space[Any]) -> None:
    members = draw(space, 8)
    vectors = [space.features(m) for m in members]
    assert {v.shape for v in vectors} == {vectors[0].shape} and vectors[0].ndim == 1
    assert all(v.dtype == np.float64 and np.isfinite(v).all() for v in vectors)
    for a, b, c in itertools.permutations(members[:4], 3):
        assert space.distance(a, a) == 0 and space.distance(a, b) == space.distance(b, a)
        assert space.distance(a, c) <= space.distance(a, b) + space.distance(b, c) + 1e-9


def test_counts_are_positive_whole_numbers(space: Space[Any]) -> None:
    for member in draw(space, 5):
        counts = space.counts(member)
        sizes = [counts.parameters, counts.flops]
        sizes += [counts.depth, counts.width] if space.protocols else []  # a table knows no more
        for value in sizes:
            assert type(value) is int and value > 0


def test_members_can_be_built_and_run(case: Case, space: Space[Any]) -> None:
    if case.run is None:
        with pytest.raises(ZeronasError, match="and no networks"):
            space.build(draw(space, 1)[0])
        return
    for member in draw(space, 3, seed=3):
        assert case.run(space, member) == case.shape


def test_networks_take_the_sizes_they_name(case: Case, space: Space[Any]) -> None:
    if case.run is None:
        with pytest.raises(ZeronasError, match="and no networks"):
            space.network(draw(space, 1)[0])
        return
    sizes = space.network_sizes()
    with torch.device("meta"):
        network = space.network(draw(space, 1)[0], **sizes)
    assert any(parameter.requires_grad for parameter in network.parameters())
    assert not sizes or all(name in space.manual for name in sizes)
    with pytest.raises((ZeronasError, TypeError), match="no_such_size"):
        space.network(draw(space, 1)[0], no_such_size=1)


def codes(space: Space[Any], n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{name: c[rng.integers(len(c))] for name, c in space.encoding.items()} for _ in range(n)]


def test_codes_of_fixed_length_are_members(space: Space[Any]) -> None:
    """Each is a member, the same each time, and of those that break the rule most have one near."""
    drawn = codes(space, 60)
    found = [space.decode(code) for code in drawn]
    members = [member for member in found if member is not None]
    assert len(members) >= 57 and all(space.contains(member) for member in members)
    assert [space.parse(space.format(member)) for member in members] == members  # which checks every rule of the space
    assert [space.decode(code) for code in drawn[:10]] == found[:10]
    assert len({member.key for member in members}) > 10


def test_members_have_codes(space: Space[Any]) -> None:
    members = [*draw(space, 40), *(known for known in space.known.values() if space.contains(known))]
    coded = [(member, code) for member in members if (code := space.encode(member)) is not None]
    assert len(coded) >= 0.9 * len(members)
    for member, code in coded:
        assert list(code) == list(space.encoding)
        assert all(code[name] in choices for name, choices in space.encoding.items())
        assert space.decode(code) == member


def test_suggestions_are_the_values_of_codes(space: Space[Any]) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(3):
        trial = study.ask()
        with contextlib.suppress(optuna.TrialPruned):
            member = space.suggest(trial)
            assert space.decode(trial.params) == member
            assert list(trial.params) == list(space.encoding)


def test_reducing_further_keeps_both_rules(case: Case, space: Space[Any]) -> None:
    both, whole = space.reduce(case.further), case.whole()
    only = whole.reduce(case.further)
    seen = [both.contains(m) for m in draw(whole, 60)]
    assert seen == [space.contains(m) and only.contains(m) for m in draw(whole, 60)]
    for member in draw(both, 10):
        assert space.contains(member) and only.contains(member)
    assert space.reduce({}).rule == space.rule and space.reduce(None).rule == space.rule


def test_rules_round_trip(case: Case, space: Space[Any]) -> None:
    text = json.dumps(space.rule.to_json())  # what a run folder records
    assert case.whole().reduce(json.loads(text)).rule == space.rule


def test_an_impossible_rule_ends_in_a_sentence(case: Case) -> None:
    with pytest.raises(ZeronasError) as error:
        case.whole().reduce(case.impossible).sample(np.random.default_rng(0))
    assert str(error.value).startswith(f"No member of space '{case.name}' in 2000 draws obeys the reduction ")
    assert str(error.value).endswith("; widen it.")


def test_unknown_features_are_told_the_nearest(case: Case, space: Space[Any]) -> None:
    name = next(iter(space.feature_specs))
    with pytest.raises(ZeronasError) as error:
        space.reduce({name + "x": 1})
    accepted = ", ".join(sorted(space.feature_specs))
    assert str(error.value) == (
        f"The reduction names '{name}x', which is no feature of space '{case.name}'. Did you mean '{name}'? "
        f"Available: {accepted}."
    )


def test_what_belongs_to_a_space_is_its_own(case: Case, space: Space[Any]) -> None:
    """Its probe, its protocols, its benchmarks, its keys and its known members, whole or reduced."""
    from nas.truth.benchmarks import BENCHMARKS

    assert space.make_probe() == type(space.make_probe())()
    with pytest.raises(ZeronasError, match=rf"^The probe of space '{space.name}' has no option 'no_such_setting'\."):
        space.make_probe({"no_such_setting": 1})
    if space.protocols:
        assert space.own_protocol is next(iter(space.protocols.values()))
    assert all(p.name == name and p.space == space.name for name, p in space.protocols.items())
    assert space.benchmarks and all(BENCHMARKS.get(name).space == space.name for name in space.benchmarks)
    for member in (*draw(space, 5), *space.known.values()):
        assert space.is_key(member.key)
        assert space.named(member.key) in (None, member)
        assert not any(spaces.get(other).is_key(member.key) for other in spaces.SPACES if other != space.name)
        assert space.parse(space.format(member)) == member


def test_a_language_model_of_every_space_has_a_loss_that_can_be_lowered(case: Case) -> None:
    from spaces.language_model import LanguageModel

    @dataclass(frozen=True)
    class Text:
        splits: dict[str, np.ndarray]

    text = Text({name: np.arange(4, 3_000, dtype=np.int32) % 36 + 4 for name in ("train", "valid")})
    space = case.whole()
    if not space.protocols:
        with pytest.raises(ZeronasError, match="has no language model"):
            _ = space.own_protocol
        return
    protocol = replace(space.own_protocol, steps=2, batch=2, sequence=6, vocabulary=40, cutoffs=(10,))
    model = space.language_model(draw(space, 1)[0], protocol, 40)
    assert isinstance(model, LanguageModel) and model.protocol is protocol
    carried = None
    for step in range(2):
        loss, carried = model.loss(text, step, 0, carried)
        loss.backward()
    assert all(p.grad is not None for p in model.softmax.parameters())
    assert 0 < model.eval().validate(text) < 100


@pytest.mark.parametrize("name", spaces.SPACES.names())
def test_unknown_options_end_in_a_sentence(name: str) -> None:
    with pytest.raises(ZeronasError, match="no_such_option"):
        spaces.get(name, no_such_option=1)


def test_unknown_spaces_are_told_the_nearest() -> None:
    with pytest.raises(ZeronasError, match=r"^Unknown space 'rn'\. Did you mean 'rnn'\? Available: "):
        spaces.get("rn")


def test_spaces_travel_to_worker_processes(space: Space[Any]) -> None:
    again = pickle.loads(pickle.dumps(space))
    assert draw(again, 3) == draw(space, 3) and again.rule == space.rule
    assert [again.counts(m) for m in draw(space, 3)] == [space.counts(m) for m in draw(space, 3)]


def test_draws_are_the_same_in_another_process() -> None:
    code = (
        "import numpy as np, spaces\n"
        f"options = {{'table': {made_table.options()!r}}}\n"
        "for name in spaces.SPACES:\n"
        "    s, r = spaces.get(name, **options.get(name, {})), np.random.default_rng(3)\n"
        "    a = [s.sample(r) for _ in range(4)]\n"
        "    print(*[m.key for m in (*a, s.mutate(a[0], r), s.crossover(a[1], a[2], r))])\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": os.environ["PYTHONPATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] and len(outputs[0].split()) == 6 * len(spaces.SPACES.names())
