"""Pairs counted by merging are those that are counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.judge.counting import alike, untied
from nas.judge.statistics import places


def one_by_one(first: np.ndarray, second: np.ndarray) -> list[int]:
    signs = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
    return signs.sum(axis=1).tolist()


def test_three_by_hand() -> None:
    """Of 0-1, 0-2 and 1-2 the second ranking turns the last one round: 2 and 0 and 0."""
    assert alike(np.array([0, 1, 2]), np.array([0, 2, 1])).tolist() == [2, 0, 0]
    assert untied(np.array([0, 0, 1])).tolist() == [1, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_with_many_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array([pair[i] for pair in pairs], dtype=int) for i in (0, 1))
    assert alike(places(first), places(second)).tolist() == one_by_one(first, second)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 300])
def test_without_ties_and_around_powers_of_two(count: int) -> None:
    rng = np.random.default_rng(count)
    first, second = rng.permutation(count), rng.permutation(count)
    assert alike(first, second).tolist() == one_by_one(first, second) == alike(second, first).tolist()
