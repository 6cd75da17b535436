"""What every proxy must do, on every space it applies to. Registered proxies are covered by being registered."""

from __future__ import annotations

import inspect
import math
import pickle
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import proxies
import spaces
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Task
from proxies.base import NEEDS, Needs, Proxy, Record

#: a smaller probe of each space: what a proxy sees is of the same kind as in a real run
MICRO: dict[str, dict[str, Any]] = {
    "rnn": {"embedding": 8, "hidden": [10, 10, 8], "batch": 5, "steps": 6, "vocabulary": 50},
    "bert": {"batch": 5, "steps": 8, "vocabulary": 50},
    "stack": {"embedding": 8, "batch": 5, "steps": 6, "vocabulary": 50},
}
#: whole numbers of few values, at these sizes often the same
COARSE = ("depth", "width", "swap")
#: small members, and BERT ones that have the attention which some proxies look at
RULES: dict[str, dict[str, Any]] = {
    "rnn": {},
    "bert": {"layers": 2, "hidden_size": 128, "operation_type": "SA"},
    "stack": {},
}
SPACES = {name: spaces.get(name).reduce(rule) for name, rule in RULES.items()}


def probe_of(space: str) -> Any:
    return SPACES[space].make_probe(MICRO[space])


def spaces_of(name: str) -> list[str]:
    """Names of the spaces that a proxy applies to: those it names, and those whose probe gives what it needs.

    What is defined for BERT alone reads what only its encoder has.
    """
    kinds, needs = proxies.kinds_of(name), proxies.get(name).needs
    gives = {space: getattr(spaces.get(space).probe, "gives", frozenset()) for space in spaces.SPACES}
    return [*kinds, *(space for space in gives if space not in kinds and "rnn" in kinds and needs <= gives[space])]


CASES = [(name, space) for name in proxies.PROXIES for space in spaces_of(name)]


@cache
def architectures(space: str, n: int = 3) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return tuple(SPACES[space].sample(rng) for _ in range(n))


def scores(space: str, names: Iterable[str], items: Iterable[Any], seed: int = 0) -> list[dict[str, Any]]:
    """One probe pass for each architecture, whatever the number of proxies."""
    run = Task(SPACES[space], probe_of(space), {name: proxies.get(name, space) for name in names}, seed)
    return [{label: (score.value, score.reason) for label, score in run(item).scores.items()} for item in items]


@cache
def together(space: str, seed: int = 0) -> list[dict[str, Any]]:
    """The scores of all proxies of a space from shared passes."""
    return scores(space, [name for name, at in CASES if at == space], architectures(space), seed)


def test_everything_registered_is_covered() -> None:
    assert {name for name, _ in CASES} == set(proxies.PROXIES)
    assert {space for _, space in CASES} <= set(spaces.SPACES)
    assert set(MICRO) == set(RULES) == set(spaces.SPACES)


@pytest.mark.parametrize("name", proxies.PROXIES.names())
def test_proxies_say_what_they_are(name: str) -> None:
    kind = proxies.PROXIES.get(name)
    assert issubclass(kind, Proxy) and kind.name == name
    assert kind.title and kind.source and isinstance(kind.higher_is_better, bool) and inspect.getdoc(kind)
    assert kind.needs <= NEEDS
    assert kind.spaces and set(kind.spaces) <= set(spaces.SPACES)
    made = proxies.get(name, **proxies.options_of(name))
    assert type(made) is kind
    assert made.layers >= 1 if "forward" in kind.needs else made.layers == 0


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
    if proxies.get(name, space).needs == {"shapes"}:
        assert first == second
    elif name not in COARSE:
        assert first != second


def test_equal_cells_score_equally() -> None:
    names = [name for name, space in CASES if space == "rnn"]
    assert scores("rnn", names, [c.canonical() for c in architectures("rnn")]) == together("rnn")


@pytest.mark.parametrize(("name", "space"), CASES)
def test_proxies_only_look(name: str, space: str) -> None:
    """A proxy reads what it declared to need, changes nothing in the record, and keeps no state."""
    proxy = proxies.get(name, space)
    probe = probe_of(space)
    a, b = (probe.observe(SPACES[space], item, Needs.union([proxy]), 0) for item in architectures(space)[:2])
    before = [h.clone() for h in a.hidden]
    first = proxy(a)
    proxy(b)
    assert proxy(a) == first == proxies.get(name, space)(a)
    assert all(torch.equal(x, y) for x, y in zip(before, a.hidden, strict=True))
    assert pickle.loads(pickle.dumps(proxy))(a) == first
    if "forward" not in proxy.needs:
        assert a.hidden == []


@pytest.mark.parametrize(("name", "space"), [case for case in CASES if "forward" in proxies.get(*case).needs])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_networks_are_failures_with_a_reason(name: str, space: str, value: float) -> None:
    proxy = proxies.get(name, space)
    item = architectures(space)[0]
    record: Record = probe_of(space).observe(SPACES[space], item, Needs.union([proxy]), 0)
    record.hidden = [h.clone() for h in record.hidden]
    record.hidden[proxy.layers - 1][1, 0, 0] = value
    score = proxy.score(record)
    assert score.value is None and score.reason and score.fitness == -math.inf


def test_a_proxy_of_another_space_is_refused() -> None:
    class Elsewhere(Proxy):
        name, title, source, needs, spaces = "elsewhere", "elsewhere", "test", frozenset(), ("rnn",)

        def __call__(self, record: Record) -> float:
            return 0.0

    with pytest.raises(ZeronasError) as error:
        Task(spaces.get("bert"), probe_of("bert"), {"e": Elsewhere()}, 0)
    assert str(error.value) == "Proxy 'e' does not apply to space 'bert', only to: rnn."
