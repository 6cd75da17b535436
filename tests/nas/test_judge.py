"""Statistics, against values worked out by hand and against scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from nas import judge
from nas.core import seeds
from nas.judge.ranking import rankings
from nas.judge.statistics import agreement
from spaces.base import Counts


def test_kendall_by_hand() -> None:
    # pairs: (1,2) (1,3) agree, (2,3) disagrees -> (2 - 1) / 3
    assert judge.kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    # tau-b with one tie on the left: (C - D) / sqrt((n0 - ties_a) n0) = 2 / sqrt(2 * 3)
    assert judge.kendall([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))


def test_spearman_is_scipys_and_nan_for_a_constant() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 40), rng.normal(size=40)
    assert judge.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert math.isnan(judge.spearman([1, 1, 1], [1, 2, 3]))


def test_recall_by_hand() -> None:
    truth = list(range(20))  # the top 10% are members 18 and 19
    assert judge.recall_at_top(truth, truth) == 1.0
    scores = [0.0] * 20
    scores[19], scores[0] = 2.0, 1.0  # one of the two is found
    assert judge.recall_at_top(scores, truth) == 0.5


def test_recall_gives_ties_their_share_only() -> None:
    truth = list(range(20))
    # all tied: 2 places spread over 20 members, so each true one is inside with probability 1/10
    assert judge.recall_at_top([0.0] * 20, truth) == pytest.approx(0.1)


@given(st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=7), st.integers(1, 7))
def test_random_regret_is_the_mean_over_all_draws(regrets: list[float], queries: int) -> None:
    curve = judge.random_regret(regrets, queries)
    assert len(curve) == min(queries, len(regrets))
    for k, value in enumerate(curve, 1):
        exact = np.mean([min(draw) for draw in itertools.combinations(regrets, k)])
        assert value == pytest.approx(exact, abs=1e-9)


def test_random_regret_of_many_members_stays_exact() -> None:
    # the expected minimum of k of {0, .., n-1} drawn without replacement is (n - k) / (k + 1)
    curve = judge.random_regret(list(range(2499)), 10)
    assert curve == pytest.approx([(2499 - k) / (k + 1) for k in range(1, 11)])


def test_ranked_regret_without_ties_is_the_running_minimum() -> None:
    assert judge.ranked_regret([3, 1, 2], [0.5, 0.0, 0.7], 3) == [0.5, 0.5, 0.0]


def test_ranked_regret_is_the_expectation_over_the_orders_of_ties() -> None:
    # first query: the sole best; second: either of two tied members, regrets .2 and .4; third: both
    curve = judge.ranked_regret([9, 5, 5, 1], [0.6, 0.2, 0.4, 0.0], 3)
    assert curve == pytest.approx([0.6, 0.3, 0.2])
    # all tied: random search
    regrets = [0.6, 0.2, 0.4, 0.0]
    assert judge.ranked_regret([1, 1, 1, 1], regrets, 4) == pytest.approx(judge.random_regret(regrets, 4))


def test_ranked_regret_uses_up_a_query_of_what_diverged() -> None:
    assert judge.ranked_regret([3, 2, 1], [math.inf, 0.4, 0.2], 3) == [math.inf, 0.4, 0.2]
    # first two tied: the draws with a value give .3; then .2 or, where the other one diverged, still .3
    curve = judge.ranked_regret([2, 2, 1, 1], [math.inf, 0.3, 0.2, math.inf], 4)
    assert curve == pytest.approx([0.3, 0.3, 0.25, 0.2])


def test_best_so_far() -> None:
    assert judge.best_so_far([3.0, 4.0, 1.0]) == [3.0, 3.0, 1.0]
    assert judge.best_so_far([]) == []


def test_mean_median_and_standard_error() -> None:
    mean, median, error = judge.mean_and_error([1.0, 2.0, 6.0])
    assert (mean, median) == (3.0, 2.0)
    assert error == pytest.approx(math.sqrt(((2**2 + 1 + 3**2) / 2) / 3))
    assert judge.mean_and_error([5.0]) == (5.0, 5.0, 0.0)


def test_agreement_brackets_its_estimate_and_repeats() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=200)
    scores = truth + rng.normal(size=200)
    found = judge.agreement(scores, truth, resamples=200)
    assert found is not None
    assert found.tau_interval[0] < found.tau < found.tau_interval[1]
    assert found.rho_interval[0] < found.rho < found.rho_interval[1]
    # the standard error of tau at n = 200 is near .04, so the interval is about .16 wide
    assert 0.08 < found.tau_interval[1] - found.tau_interval[0] < 0.25
    assert judge.agreement(scores, truth, resamples=200) == found
    assert judge.agreement([1.0, 2.0], [1.0, 2.0]) is None


def test_what_has_no_value_is_tied_last() -> None:
    assert judge.tied_last([2.0, None, -5.0, None]).tolist() == [4.0, 1.5, 3.0, 1.5]


def test_random_regret_of_a_pool_that_all_diverged_is_infinite() -> None:
    assert judge.random_regret([], 3, without=2) == [math.inf, math.inf]
    assert judge.random_regret([], 3) == []


def test_recall_gives_ties_of_the_truth_their_share_too() -> None:
    # 2 places in the truth: member 0, and one of the nineteen tied last; the scores put 0 and 1 first
    truth = judge.tied_last([1.0] + [None] * 19)
    scores = [20.0 - i for i in range(20)]
    assert judge.recall_at_top(scores, truth) == pytest.approx((1 + 1 / 19) / 2)


def test_the_bootstrap_interval_is_that_of_the_drawn_statistics() -> None:
    rows = np.arange(10.0)[:, None]
    [found] = judge.bootstrap(lambda drawn: (drawn.mean(),), rows, 200, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    means = [rows[rng.integers(10, size=10)].mean() for _ in range(200)]
    assert found == pytest.approx(np.percentile(means, [2.5, 97.5]))
    assert [math.isnan(end) for end in judge.bootstrap(lambda drawn: (0.0,), rows, 0, rng)[0]] == [True, True]


def test_a_proxy_gains_nothing_by_failing_and_pays_for_what_diverges() -> None:
    truth: list[float | None] = [6.0, 5.0, 4.0, 3.0, 2.0, None, None]
    honest: list[float | None] = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    picky: list[float | None] = [6.0, None, 4.0, 3.0, None, None, None]  # silent on a good one
    fooled: list[float | None] = [6.0, 5.0, 4.0, 3.0, 2.0, 8.0, 7.0]  # the untrainable first
    sizes = [Counts(100, 200, 3, 4)] * 7
    found = rankings({"honest": honest, "picky": picky, "fooled": fooled}, truth, sizes, resamples=20)
    valid = {label: one.valid for label, one in found.items()}
    assert all(one is not None and one.tau == pytest.approx(1.0) for one in valid.values())
    assert [one.count for one in valid.values() if one] == [5, 3, 5]
    overall = {label: one.overall for label, one in found.items()}
    assert all(one is not None and one.count == 7 for one in overall.values())  # the same set for each
    lowest = -math.inf
    by_scipy = {
        label: kendalltau(
            [lowest if s is None else s for s in column], [lowest if t is None else t for t in truth]
        ).statistic
        for label, column in (("honest", honest), ("picky", picky), ("fooled", fooled))
    }
    assert {label: one.tau for label, one in overall.items() if one} == pytest.approx(by_scipy)
    assert by_scipy["honest"] > by_scipy["picky"] > by_scipy["fooled"]
    assert all(one.common_count == 3 and one.common == pytest.approx(1.0) for one in found.values())
    # all are of like size, so that size explains nothing and no pair is left out
    for label, one in found.items():
        assert one.overall is not None and one.like_size.pairs == 21
        assert one.like_size.tau == pytest.approx(one.overall.tie_broken)
        assert one.given_size.tau == pytest.approx(by_scipy[label])


def orders_of_ties(scores: list[int]) -> list[tuple[int, ...]]:
    """All rankings without ties that agree with the scores."""
    places = range(len(scores))
    return [
        order
        for order in itertools.permutations(places)
        if all(order[i] < order[j] for i in places for j in places if scores[i] < scores[j])
    ]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=6))
def test_tie_broken_tau_is_the_mean_over_all_orders_of_the_ties(pairs: list[tuple[int, int]]) -> None:
    scores, truth = [s for s, _ in pairs], [t for _, t in pairs]
    found = judge.tie_broken(scores, truth)
    taus = [kendalltau(order, truth).statistic for order in orders_of_ties(scores)]
    if len(set(truth)) < 2:
        assert math.isnan(found) and all(math.isnan(tau) for tau in taus)
    else:
        assert found == pytest.approx(np.mean(taus), abs=1e-12)


def test_tie_broken_tau_by_hand() -> None:
    # scores 1 1 2, truth 1 2 3: two pairs agree, one is tied: 2 / 3; tau-b is 2 / sqrt(2 * 3)
    assert judge.tie_broken([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / 3)
    assert judge.tie_broken([5, 5, 5], [1, 2, 3]) == 0.0
    # two levels that agree with the truth wherever they differ: tau-b rewards them, and a coin does not
    coarse, truth = [0] * 50 + [1] * 50, list(range(100))
    assert judge.kendall(coarse, truth) == pytest.approx(2500 / math.sqrt(2500 * 4950))
    assert judge.tie_broken(coarse, truth) == pytest.approx(2500 / 4950)


def test_the_interval_of_the_tie_broken_tau_is_that_of_the_architectures_drawn() -> None:
    # copies of an architecture in a sample are no ties of the proxy: without ties it is tau-b in every sample
    rng = np.random.default_rng(3)
    truth = rng.normal(size=30)
    found = agreement(truth + rng.normal(size=30), truth, resamples=50)
    assert found is not None and found.tie_broken == found.tau
    assert found.tie_broken_interval == pytest.approx(found.tau_interval)
    coarse = agreement((truth > 0).astype(float), truth, resamples=50)
    assert coarse is not None and coarse.tie_broken_interval[1] < coarse.tau_interval[0]


def test_the_bootstrap_of_rho_is_scipys() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 6, 25), rng.integers(0, 6, 25)
    found = agreement(a, b, resamples=30)
    draws = seeds.generator(0, "bootstrap", 25)
    rhos = [spearmanr(a[rows], b[rows]).statistic for rows in (draws.integers(25, size=25) for _ in range(30))]
    assert found is not None and found.rho_interval == pytest.approx(np.percentile(rhos, [2.5, 97.5]))


def test_where_nothing_failed_and_nothing_diverged_there_is_one_tau() -> None:
    sizes = [Counts(100, 200, 3, 4)] * 3
    found = rankings({"a": [1.0, 3.0, 2.0], "never": [None, None, None]}, [1.0, 2.0, 3.0], sizes, resamples=5)
    assert found["a"].overall == found["a"].valid
    assert found["a"].common_count == 3  # a proxy that scored none takes no part in what is common
    assert found["never"].valid is None and math.isnan(found["never"].common)
