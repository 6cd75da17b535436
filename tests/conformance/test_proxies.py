"""What every proxy must do, on every space it applies to. Registered proxies are covered by being registered."""

from __future__ import annotations

import ast
import inspect
import math
import pickle
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import made_table
import proxies
import spaces
from nas.core.errors import ZeronasError
from nas.core.options import parameters
from nas.engine.evaluate import Scorer
from proxies.base import NEEDS, Needs, Proxy, Record
from spaces.record import STILL

#: a smaller probe of each space: what a proxy sees is of the same kind as in a real run
MICRO: dict[str, dict[str, Any]] = {
    "rnn": {"embedding": 8, "hidden": [16, 16, 8], "batch": 5, "steps": 6, "vocabulary": 50},
    "bert": {"batch": 5, "steps": 8, "vocabulary": 50},
    "stack": {"embedding": 8, "batch": 5, "steps": 6, "vocabulary": 50},
    "table": {},
}
#: whole numbers of few values, at these sizes often the same
COARSE = ("depth", "width", "swap")
#: options that make a proxy cheaper to prepare
LESS: dict[str, dict[str, Any]] = {"rank_aggregation": {"sample": 40}, "az_nas": {"sample": 40}}
#: what a table could tell, and does not
UNKNOWN = {("depth", "table"), ("width", "table")}
CASES = [(name, space) for name in proxies.PROXIES for space in proxies.spaces_of(name) if (name, space) not in UNKNOWN]

#: small members, and BERT ones that have the attention which some proxies look at
RULES: dict[str, dict[str, Any]] = {
    "rnn": {},
    "bert": {"layers": 2, "hidden_size": 128, "operation_type": "SA"},
    "stack": {},
    "table": {},
}
OPTIONS = {"table": made_table.options()}
SPACES = {name: spaces.get(name, **OPTIONS.get(name, {})).reduce(rule) for name, rule in RULES.items()}


def probe_of(space: str) -> Any:
    return SPACES[space].make_probe(MICRO[space])


@cache
def architectures(space: str, n: int = 3) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return tuple(SPACES[space].sample(rng) for _ in range(n))


def made(name: str, space: str) -> Proxy:
    return proxies.get(name, space, **LESS.get(name, {}))


def scores(space: str, names: Iterable[str], items: Iterable[Any], seed: int = 0) -> list[dict[str, Any]]:
    """One probe pass for each architecture, whatever the number of proxies."""
    run = Scorer(SPACES[space], probe_of(space), {name: made(name, space) for name in names}, seed)
    return [{label: (score.value, score.reason) for label, score in run(item).scores.items()} for item in items]


@cache
def together(space: str, seed: int = 0) -> list[dict[str, Any]]:
    """The scores of all proxies of a space from shared passes."""
    return scores(space, [name for name, at in CASES if at == space], architectures(space), seed)


def test_everything_registered_is_covered() -> None:
    assert {name for name, _ in CASES} == set(proxies.PROXIES)
    assert {space for _, space in CASES} <= set(spaces.SPACES)
    for space in SPACES:  # where a proxy applies follows from what it needs and what the probe gives, and nothing else
        gives = SPACES[space].probe.gives
        assert gives <= NEEDS
        assert {name for name, at in CASES if at == space} == {
            name
            for name in proxies.PROXIES
            if proxies.PROXIES.get(name, space)().needs <= gives and (name, space) not in UNKNOWN
        }
    scored = Scorer(SPACES["table"], probe_of("table"), {name: made(name, "table") for name, _ in UNKNOWN}, 0)
    reasons = {label: score.reason for label, score in scored(architectures("table")[0]).scores.items()}
    assert reasons == {name: f"{name} not known" for name, _ in UNKNOWN}


def test_what_a_space_does_not_give_is_not_scored() -> None:
    applies = {space: {name for name, at in CASES if at == space} for space in SPACES}
    assert applies["rnn"] >= {"hidden_covariance", "swap", "hidden_synaptic_saliency", "noised_jacobian_cosine"}
    assert not applies["rnn"] & {"zerolm", "nsc", "head_importance", "synaptic_diversity"}
    assert not applies["bert"] & {"hidden_synaptic_saliency", "noised_jacobian_cosine", "noised_jacobian_covariance"}
    assert applies["stack"] >= {"hidden_covariance", "jacobian_cosine", "synaptic_saliency", "hidden_synaptic_saliency"}
    assert not applies["stack"] & {"swap", "activation_distance", "noised_jacobian_cosine", "nsc", "head_confidence"}
    assert applies["bert"] >= {"zerolm", "nsc", "head_importance", "synaptic_diversity", "activation_distance"}


def test_proxies_name_no_space() -> None:
    """But for the file of definitions that hold in one space alone, which is called after it."""
    files = sorted(Path(inspect.getfile(proxies)).parent.glob("*.py"))
    assert len(files) > 10
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        for space in set(SPACES) - set(file.stem.split("_")):
            assert space not in words, f"{file.name} names the space {space}"
            assert not any(module.startswith(f"spaces.{space}") for module in modules), file.name
        if file.stem not in SPACES:
            names = {node.value.id for node in ast.walk(tree) if _is_space_of(node)}  # type: ignore[attr-defined]
            assert "record" not in names, f"{file.name} asks which space a record is of"


def _is_space_of(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "space" and isinstance(node.value, ast.Name)
    assert set(MICRO) == set(RULES) == set(spaces.SPACES)


DEFINITIONS = [(name, space, kind) for name in proxies.PROXIES for space, kind in proxies.PROXIES.kinds(name).items()]


@pytest.mark.parametrize(("name", "space", "kind"), DEFINITIONS)
def test_proxies_say_what_they_are(name: str, space: str, kind: type[Proxy]) -> None:
    assert issubclass(kind, Proxy) and kind.name == name
    assert kind.title and kind.source and isinstance(kind.higher_is_better, bool) and inspect.getdoc(kind)
    assert kind.needs <= NEEDS
    found = proxies.get(name, space or None, **proxies.options_of(name))
    assert type(found) is kind
    assert found.layers >= 1 if "forward" in kind.needs else found.layers == 0
    # options are the constructor's annotated parameters, and can be read from the object by name
    for option, parameter in parameters(kind).items():
        assert parameter.annotation is not parameter.empty
        assert getattr(found, option) == parameter.default


@pytest.mark.parametrize("name", proxies.PROXIES.names())
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ZeronasError, match="'no_such_option'"):
        proxies.get(name, no_such_option=1)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_scores_are_numbers_that_tell_architectures_apart(name: str, space: str) -> None:
    values = [found[name] for found in together(space)]
    assert all(reason == "" and math.isfinite(value) for value, reason in values)
    if name not in COARSE:
        assert len(set(values)) > 1


@pytest.mark.parametrize(("name", "space"), CASES)
def test_scores_depend_on_seed_and_architecture_alone(name: str, space: str) -> None:
    """Not on the proxies beside it, the order of architectures, the global generators, or the object at hand."""
    np.random.seed(3)
    torch.manual_seed(3)
    torch.rand(7)
    alone = scores(space, [name], architectures(space)[::-1])
    assert alone == [{name: found[name]} for found in together(space)][::-1]
    copy = SPACES[space].parse(SPACES[space].format(architectures(space)[0]))
    assert scores(space, [name], [copy]) == alone[-1:]


@pytest.mark.parametrize(("name", "space"), CASES)
def test_the_seed_moves_what_is_random_and_no_size(name: str, space: str) -> None:
    first, second = ([found[name] for found in together(space, seed)] for seed in (0, 1))
    needs = proxies.get(name, space).needs
    if needs and needs <= STILL:
        assert first == second
    elif name not in COARSE:
        assert first != second


def test_equal_cells_score_equally() -> None:
    names = [name for name, space in CASES if space == "rnn"]
    assert scores("rnn", names, [c.canonical() for c in architectures("rnn")]) == together("rnn")


@pytest.mark.parametrize(("name", "space"), CASES)
def test_proxies_only_look(name: str, space: str) -> None:
    """A proxy reads what it declared to need, changes nothing in the record, and keeps no state."""
    probe = probe_of(space)
    proxy = made(name, space).prepare(SPACES[space], probe)
    a, b = (probe.observe(SPACES[space], item, Needs.union([proxy]), 0) for item in architectures(space)[:2])
    before = [h.clone() for h in a.hidden]
    first = proxy(a)
    proxy(b)
    assert proxy(a) == first == made(name, space).prepare(SPACES[space], probe)(a)
    assert all(torch.equal(x, y) for x, y in zip(before, a.hidden, strict=True))
    assert pickle.loads(pickle.dumps(proxy))(a) == first
    if "forward" not in proxy.needs:
        assert a.hidden == []


@pytest.mark.parametrize(("name", "space"), [case for case in CASES if "forward" in proxies.get(*case).needs])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_networks_are_failures_with_a_reason(name: str, space: str, value: float) -> None:
    proxy, probe = made(name, space), probe_of(space)
    proxy, item = proxy.prepare(SPACES[space], probe), architectures(space)[0]
    record: Record = probe.observe(SPACES[space], item, Needs.union([proxy]), 0)
    record.hidden = [h.clone() for h in record.hidden]
    record.hidden[proxy.layers - 1][1, 0, 0] = value
    score = proxy.score(record)
    assert score.value is None and score.reason and score.fitness == -math.inf


def test_a_proxy_of_another_space_is_refused() -> None:
    with pytest.raises(ZeronasError) as error:
        Scorer(SPACES["rnn"], probe_of("rnn"), {"h": proxies.get("head_confidence", "rnn")}, 0)
    assert str(error.value) == ("Proxy 'h' needs attention, which the probe of space 'rnn' does not give.")


def test_a_definition_for_one_space_alone_is_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(Proxy):
        name, title, source, needs = "elsewhere", "elsewhere", "test", frozenset()

        def __call__(self, record: Record) -> float:
            return 0.0

    monkeypatch.setitem(proxies.PROXIES._items, "elsewhere", {"rnn": Elsewhere})
    assert proxies.spaces_of("elsewhere") == ["rnn"]
    assert type(proxies.get("elsewhere", "rnn")) is type(proxies.get("elsewhere")) is Elsewhere
    with pytest.raises(ZeronasError) as error:
        proxies.get("elsewhere", "bert")
    assert str(error.value) == "Proxy 'elsewhere' does not apply to space 'bert', only to: rnn."


def test_what_a_proxy_knows_of_a_space_is_prepared_once_and_sent_to_workers() -> None:
    """A worker unpickles the scorer, and must not draw the sample of a space again."""
    chosen = {"z": proxies.get("zerolm", "bert"), "s": proxies.get("swap", "bert", regularised=True)}
    scorer = Scorer(SPACES["bert"], probe_of("bert"), chosen, 0)
    assert all(scorer.proxies[label] is not chosen[label] for label in chosen)

    def refused(*arguments: Any) -> None:
        raise AssertionError("drawn again")

    received = pickle.loads(pickle.dumps(scorer))
    object.__setattr__(received.space, "sample", refused)
    for item in architectures("bert"):
        assert received(item).scores == scorer(item).scores
        assert all(score.value is not None for score in scorer(item).scores.values())
