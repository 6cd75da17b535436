"""What the best by a proxy hold, against all orders of its ties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.judge.top import top


def test_top_by_hand() -> None:
    # the two best by score have true ranks 1 and 4, and the truths 9 and 5
    found = top([5, 4, 3, 2], [9.0, 5.0, 7.0, 6.0], size=2)
    assert found is not None
    assert (found.size, found.best_rank, found.median_rank, found.regret, found.diverged) == (2, 1.0, 2.5, 0.0, 0.0)
    # the best is not among them
    found = top([1, 4, 3, 2], [9.0, 5.0, 7.0, 6.0], size=2)
    assert found is not None and (found.best_rank, found.median_rank, found.regret) == (2.0, 3.0, 2.0)


def test_a_higher_tau_is_not_a_better_top() -> None:
    truth = [float(i) for i in range(100)]
    fooled = [*truth[:90], *(-value for value in truth[90:])]  # right about all but the best
    coin = [0.0] * 90 + [1.0] * 10
    by_fooled, by_coin = top(fooled, truth), top(coin, truth)
    assert by_fooled is not None and by_coin is not None
    assert (by_fooled.best_rank, by_fooled.median_rank) == (11.0, 15.5)
    assert (by_coin.best_rank, by_coin.median_rank) == (1.0, 5.5)


def test_what_diverged_is_last_and_told() -> None:
    # three diverged share the places 3 to 5
    found = top([5, 4, 3, 2, 1], [None, 2.0, None, 3.0, None], size=3)
    assert found is not None
    assert (found.best_rank, found.median_rank, found.regret, found.diverged) == (2.0, 4.0, 1.0, 2.0)
    gone = top([5, 4, 3, 2, 1], [None, None, None, 3.0, 2.0], size=3)
    assert gone is not None and (gone.best_rank, gone.regret) == (4.0, math.inf)
    assert top([1, 2], [None, None]) is None


def test_ten_by_lot_of_many() -> None:
    found = top([0.0] * 499, [float(i) for i in range(499)])
    # the lowest of 10 of 1 .. 499 is expected at 500 / 11, the median at the middle
    assert found is not None and found.best_rank == pytest.approx(500 / 11) and found.median_rank == pytest.approx(250)
    assert found.regret == pytest.approx(500 / 11 - 1)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 4))), min_size=1, max_size=7),
    st.integers(1, 7),
)
def test_top_is_the_mean_over_the_orders_of_ties(rows: list[tuple[int, int | None]], size: int) -> None:
    scores, truth = [s for s, _ in rows], [None if t is None else float(t) for _, t in rows]
    found = top(scores, truth, size)
    if all(t is None for t in truth):
        assert found is None
        return
    order = sorted((-math.inf if t is None else t for t in truth), reverse=True)
    ranks = [
        float(np.mean([i + 1 for i, o in enumerate(order) if o == (-math.inf if t is None else t)])) for t in truth
    ]
    best = max(t for t in truth if t is not None)
    taken = min(size, len(rows))
    sets = {
        frozenset(order[:taken])
        for order in itertools.permutations(range(len(rows)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    }
    assert found is not None and found.size == taken
    assert found.best_rank == pytest.approx(np.mean([min(ranks[i] for i in one) for one in sets]))
    assert found.median_rank == pytest.approx(np.mean([np.median([ranks[i] for i in one]) for one in sets]))
    assert found.diverged == pytest.approx(np.mean([sum(truth[i] is None for i in one) for one in sets]))
    regrets = [best - max(held) for one in sets if (held := [t for i in one if (t := truth[i]) is not None])]
    if len(regrets) == len(sets):
        assert found.regret == pytest.approx(np.mean(regrets))
    if not regrets:
        assert found.regret == math.inf
