"""The noise of the truth: what a retest says, what a noiseless predictor could reach, what divergence does to both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas import judge
from nas.judge.noise import Noise, ceiling, retest
from nas.truth import benchmarks


@pytest.mark.parametrize("reliability", [0.5, 0.83, 0.97])
def test_a_noiseless_predictor_beats_the_retest_by_what_the_ceiling_says(reliability: float) -> None:
    rng = np.random.default_rng(0)
    expected = rng.normal(size=6000)
    trainings = expected + rng.normal(size=(3, 6000)) * math.sqrt(1 / reliability - 1)
    tau = judge.kendall(trainings[0], trainings[1])
    # the standard error of tau at n = 6000 is below .009
    assert ceiling(tau) == pytest.approx(judge.kendall(expected, trainings[0]), abs=0.02)
    assert ceiling(tau, 3) == pytest.approx(judge.kendall(expected, trainings.mean(axis=0)), abs=0.02)
    assert tau < ceiling(tau) < ceiling(tau, 3) < 1


def test_the_ceiling_at_its_ends() -> None:
    assert ceiling(1.0) == ceiling(1.0, 5) == pytest.approx(1.0)
    assert ceiling(0.0) == ceiling(-0.3, 4) == 0.0
    # r = sin(pi / 6) = 1/2, so asin(sqrt(1/2)) = pi / 4
    assert ceiling(1 / 3) == pytest.approx(0.5)


def test_the_retest_says_over_how_many_and_what_the_diverged_do_to_it() -> None:
    results = [[4.0, 4.0, 4.0], [3.0, 3.0, 3.0], [2.0, 2.0, 2.0], [1.0, None, 1.0], [9.0], [None, None]]
    found = retest(results, fewest=3)
    assert (found.architectures, found.repeated, found.diverged) == (3, 4, 1)
    assert (found.trainings, found.trainings_diverged) == (12, 1)
    assert found.tau == found.tau_all == 1.0  # the worst diverged, which is where it is tied
    swapped = retest([[4.0, None, 4.0], *results[1:3], [1.0, 1.0, 1.0]], fewest=3)
    assert swapped.tau == 1.0
    # first with second: the best is last, 3 of 6 pairs are turned; so third with second; first with third agree
    assert swapped.tau_all == pytest.approx((0 + 0 + 1) / 3)
    few = retest(results[:3])
    assert few.tau is None and few.tau_all is None and few.repeated == 3


def test_where_some_were_trained_twice_only_it_is_the_first_with_the_second() -> None:
    rng = np.random.default_rng(0)
    results = [list(rng.normal(size=2 + i % 2)) for i in range(20)]
    first, second = ([r[i] for r in results] for i in (0, 1))
    assert retest(results).tau == pytest.approx(kendalltau(first, second).statistic)


def test_the_cells_of_mini_rnn_that_diverge_under_another_seed_are_counted() -> None:
    table = benchmarks.get("mini_rnn")
    assert isinstance(table, benchmarks.MiniTable)
    rows: dict[str, list[float | None]] = {}
    for row in table.trainings:
        rows.setdefault(row["key"], []).append(float(row["loss"]) if row["loss"] else None)
    repeated = [values for values in rows.values() if len(values) > 1]
    found = Noise(table).retest
    assert found.repeated == len(repeated)
    assert found.diverged == sum(None in values for values in repeated) > 0
    assert found.tau is not None and found.tau_all is not None and found.tau_all < found.tau
    assert found.tau < ceiling(found.tau)
