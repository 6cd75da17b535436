"""The plug-in packages of ``docs/examples``, in a process of their own, as nothing else should know them.

``python tests/docs_examples.py FOLDER`` exits with status 0 where all that is asserted holds.
"""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "extension"))

from zeronas_docs import examples


def proxy() -> None:
    """Effective rank: r equal singular values have rank r, and a failure says why."""
    import torch

    import proxies
    import spaces
    from nas.engine.evaluate import Scorer
    from proxies.base import Record

    made = proxies.get("effective_rank")
    space = spaces.get("rnn")
    counts = space.counts(space.known["GRU"])

    def score(states: Any) -> Any:
        return made.score(Record("rnn", "k", 0, counts, hidden=[states]))

    for rank in (1, 3, 5):
        states = torch.zeros(2, 4, 5)  # 8 rows of width 5
        for unit in range(rank):
            states.view(8, 5)[unit, unit] = 2.5
        assert abs(score(states).value - rank) < 1e-9
    two = torch.zeros(1, 2, 2)
    two[0, 0, 0], two[0, 1, 1] = 3.0, 1.0
    assert abs(score(two).value - math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))) < 1e-9
    assert score(torch.zeros(1, 2, 2)).reason == "hidden states are all zero"
    assert score(two / 0).reason == "hidden states are not finite"
    for name in ("rnn", "bert"):
        space = spaces.get(name)
        one = space.sample(np.random.default_rng(0))
        scorer = Scorer(space, space.make_probe(), {"e": proxies.get("effective_rank", name)}, seed=0)
        assert scorer(one).scores["e"].value == scorer(one).scores["e"].value > 1
    assert proxies.get("effective_rank", layer=2).layers == 2


def searcher() -> None:
    """Late acceptance: it goes down as far as it once stood, and is the same again when told the same."""
    import spaces
    from nas import search as searchers
    from nas.core.errors import ZeronasError
    from nas.engine.pools import SpacePool
    from nas.search import Result

    def told(values: list[float], length: int) -> list[float]:
        made = searchers.get("late_acceptance", SpacePool(spaces.get("mlp")), 0, length=length)
        stood = []
        for value in values:
            (trial,) = made.ask(1, {"proxies": 1.0})
            made.tell([Result.of(trial.architecture, value)])
            assert made.current is not None  # type: ignore[attr-defined]
            stood.append(made.current.fitness)  # type: ignore[attr-defined]
        return stood

    assert told([1, 5, 3, 4, 6, 2], length=1) == [1, 5, 5, 5, 6, 6]  # hill climbing
    assert told([1, 5, 3, 4, 6, 2], length=3) == [1, 5, 3, 4, 6, 6]
    assert told([-math.inf, 2, 1], length=2) == [-math.inf, 2, 1]  # a failure is left as soon as there is a way

    def asked() -> list[str]:
        made, keys = searchers.get("late_acceptance", SpacePool(spaces.get("rnn")), 3), []
        for turn in range(12):
            (trial,) = made.ask(1, {"proxies": 1.0})
            keys.append(trial.key)
            made.tell([Result.of(trial.architecture, float(turn % 5))])
        return keys

    assert asked() == asked() and len(set(asked())) == 12
    try:
        searchers.get("late_acceptance", SpacePool(spaces.get("rnn")), 0, length=0)
    except ZeronasError as error:
        assert "length to be a whole number of 1 or more, but got 0" in str(error)
    else:
        raise AssertionError


def space() -> None:
    """Perceptrons: keys and JSON, operators inside a reduction, sizes, and a probe that needs no luck."""
    import spaces
    from mlp_space import GENES, Mlp
    from nas.core.errors import ZeronasError
    from spaces.record import Needs

    whole = spaces.get("mlp")
    members = [Mlp(*genes) for genes in itertools.product(*GENES.values())]
    assert len({one.key for one in members}) == len(members) == math.prod(map(len, GENES.values()))
    assert all(whole.is_key(one.key) and whole.parse(whole.format(one)) == one for one in members)
    rng = np.random.default_rng(0)
    reduced = whole.reduce({"width": [16, 64], "activation": "Tanh"})
    one = reduced.sample(rng)
    for _ in range(30):
        one = reduced.crossover(reduced.mutate(one, rng), reduced.sample(rng), rng)
        assert reduced.contains(one) and one.width != 32 and one.activation == "Tanh"
    assert {other.key for other in reduced.neighbours(Mlp(1, 16, "Tanh"))} == {
        Mlp(1, 64, "Tanh").key,
        *(Mlp(depth, 16, "Tanh").key for depth in (2, 3, 4, 5)),
    }
    assert whole.counts(Mlp(2, 32, "ReLU")).parameters == 16 * 32 + 32 + 32 * 32 + 32
    record = whole.make_probe({"batch": 8}).observe(whole, Mlp(3, 16, "Tanh"), Needs(frozenset({"forward"}), 1), 0)
    assert [tuple(states.shape) for states in record.hidden] == [(1, 8, 16)] * 3
    assert all(bool((states.abs() <= 1).all()) for states in record.hidden)
    for wrong in ("[]", '{"depth": 9, "width": 16, "activation": "Tanh"}', '{"depth": 1}'):
        try:
            whole.parse(wrong)
        except ZeronasError as error:
            assert str(error).startswith("An mlp has a depth, a width and an activation")
        else:
            raise AssertionError(wrong)


if __name__ == "__main__":
    examples.install(Path(sys.argv[1]))
    proxy()
    searcher()
    space()
