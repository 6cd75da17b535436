"""The registry, the sentences of errors, and the random streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.registry import Registry

ROOT = Path(__file__).parents[1]


class First:
    pass


class Second:
    pass


def test_names_find_their_objects_in_order_of_registration() -> None:
    registry: Registry[type] = Registry("thing")
    assert registry.register("b")(First) is First
    registry.register("a")(Second)
    assert registry.get("b") is First and registry.get("a") is Second
    assert registry.names() == list(registry) == ["b", "a"]
    assert "a" in registry and "c" not in registry and 3 not in registry


def test_a_name_has_one_owner() -> None:
    registry: Registry[type] = Registry("thing")
    registry.register("a")(First)
    assert registry.register("a")(First) is First  # a module loaded twice registers the same object
    with pytest.raises(ZeronasError) as error:
        registry.register("a")(Second)
    module = First.__module__
    assert str(error.value) == (
        f"thing 'a' is already registered by {module}.First; {module}.Second must take another name."
    )
    assert registry.get("a") is First


def test_unknown_names_are_told_the_nearest() -> None:
    registry: Registry[type] = Registry("thing")
    registry.register("width")(First)
    registry.register("depth")(Second)
    with pytest.raises(ZeronasError) as error:
        registry.get("dept")
    assert str(error.value) == "Unknown thing 'dept'. Did you mean 'depth'? Available: depth, width."
    with pytest.raises(ZeronasError) as error:
        registry.get("zzz")
    assert str(error.value) == "Unknown thing 'zzz'. Available: depth, width."


def test_did_you_mean() -> None:
    assert did_you_mean("tap", ["top", "map", "zebra"]) == " Did you mean 'top'? Available: map, top, zebra."
    assert did_you_mean("q", ["b", "a"]) == " Available: a, b."
    assert did_you_mean(10**5000, ["b", "a"]) == " Available: a, b."
    assert issubclass(ZeronasError, ValueError)


def test_streams_are_functions_of_seed_and_purpose() -> None:
    def first(seed: int, *purpose: object) -> float:
        return float(seeds.generator(seed, *purpose).random())

    assert first(0, "a", 1) == first(0, "a", 1) == first(np.int64(0), "a", "1")  # type: ignore[arg-type]
    streams = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "ab"), (0, "a", 1), (0, "a", 11), (-1,)]
    assert len({first(*stream) for stream in streams}) == len(streams)
    assert len({seeds.integer(*stream) for stream in streams}) == len(streams)


def test_streams_never_change() -> None:
    """Run folders and keys' weights depend on these values; they are pinned, here and in another process."""
    code = (
        "from nas.core import seeds; print(seeds.integer(0, 'a', 1), repr(float(seeds.generator(0, 'a', 1).random())))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(seeds.integer(0, "a", 1)), repr(float(seeds.generator(0, "a", 1).random()))]
    assert found.stdout.split() == ["4424143583225978915", "0.7636731918309884"]


def test_integers_fit_the_generators_that_take_them() -> None:
    values = [seeds.integer(seed, "x") for seed in range(300)]
    assert all(0 <= value < 2**63 for value in values)
    assert len(set(values)) == 300
    # uniform over 63 bits: the top bit is set in half of them, within five standard errors (8.7)
    assert abs(sum(value >= 2**62 for value in values) - 150) < 5 * 8.7
