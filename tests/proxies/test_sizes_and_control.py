"""The size baselines, the random control, and how a raw value becomes a score."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

import proxies
from nas.core.errors import ZeronasError
from proxies.base import Proxy, Record
from spaces.base import Counts
from spaces.rnn import RNNSpace, named_cell

ROOT = Path(__file__).parents[2]


def record(key: str = "key", seed: int = 0) -> Record:
    return Record("rnn", key, seed, Counts(parameters=11, flops=22, depth=3, width=4))


@pytest.mark.parametrize(("name", "value"), [("parameters", 11.0), ("flops", 22.0), ("depth", 3.0), ("width", 4.0)])
def test_sizes_are_the_counts(name: str, value: float) -> None:
    proxy = proxies.get(name)
    assert proxy(record()) == value and proxy.score(record()).value == value
    assert proxy.needs == {"shapes"} and proxy.layers == 0


def test_sizes_of_a_cell_by_hand() -> None:
    counts = RNNSpace(sizes={"vocabulary": 10, "embedding": 3, "hidden": [4, 5, 3]}).counts(named_cell("RNN"))
    seen = Record("rnn", named_cell("RNN").key, 0, counts)
    values = {name: proxies.get(name)(seen) for name in ("parameters", "flops", "depth", "width")}
    assert values == {"parameters": 149, "flops": 278, "depth": 2, "width": 1}


def test_options_that_do_not_exist() -> None:
    with pytest.raises(ZeronasError) as error:
        proxies.get("depth", layer=1)
    assert str(error.value) == "Proxy 'depth' has no option 'layer'. It has none."
    with pytest.raises(ZeronasError, match=r"^Unknown proxy 'dept'\. Did you mean 'depth'\? Near it: "):
        proxies.get("dept")


def test_random_depends_on_seed_and_key_alone() -> None:
    control = proxies.get("random")
    assert control(record()) == control(record()) == proxies.get("random")(record())
    assert control(record()) != control(record(seed=1)) and control(record()) != control(record(key="other"))
    other = Record("bert", "key", 0, Counts(5, 5, 5, 5))
    assert control(other) == control(record())
    assert control.needs == frozenset()


def test_random_is_uniform_and_independent() -> None:
    """2,000 keys: mean and variance of U(0, 1) within five standard errors, and no correlation of seeds."""
    control = proxies.get("random")
    first = [control(record(f"k{i}")) for i in range(2000)]
    second = [control(record(f"k{i}", seed=1)) for i in range(2000)]
    assert all(0 <= value < 1 for value in first) and len(set(first)) == 2000
    mean = sum(first) / 2000
    assert abs(mean - 0.5) < 5 * math.sqrt(1 / 12 / 2000)
    assert abs(sum((v - mean) ** 2 for v in first) / 2000 - 1 / 12) < 5 * math.sqrt(1 / 180 / 2000)
    assert abs(sum((a - 0.5) * (b - 0.5) for a, b in zip(first, second, strict=True)) * 12 / 2000) < 5 / math.sqrt(2000)


def test_random_is_the_same_in_another_process() -> None:
    code = (
        "import proxies; from proxies.base import Record; from spaces.base import Counts; "
        "print(repr(proxies.get('random')(Record('rnn', 'key', 3, Counts(1, 1, 1, 1)))))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(found.stdout) == proxies.get("random")(record(seed=3))


class Fixed(Proxy):
    name, title, source, needs = "fixed", "fixed", "test", frozenset()

    def __init__(self, value: float, higher: bool = True) -> None:
        self.value = value
        self.higher_is_better = higher  # type: ignore[misc]

    def __call__(self, record: Record) -> float:
        return self.value


def test_scores_are_higher_for_better_and_name_their_failures() -> None:
    assert Fixed(2.5).score(record()).value == 2.5
    assert Fixed(2.5, higher=False).score(record()).value == -2.5
    assert Fixed(2.5).score(record()).fitness == 2.5
    assert Fixed(math.nan).score(record()).reason == "the score is NaN"
    for value in (math.inf, -math.inf):
        score = Fixed(value).score(record())
        assert (score.value, score.reason, score.fitness) == (None, "the score is infinite", -math.inf)
