"""The surrogates by hand: scales, kernel, both models against formulas, expected improvement by integration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.ensemble import ExtraTreesRegressor
from threadpoolctl import threadpool_limits

from nas.search.surrogate import (
    Candidates,
    covariances,
    expected_improvement,
    levelled,
    normal_scores,
    predict,
    variances,
)


def candidates(n: int = 40, views: int = 3, features: int = 4) -> Candidates:
    rng = np.random.default_rng(0)
    return Candidates(rng.normal(size=(n, views)), rng.integers(0, 5, size=(n, features)).astype(float))


def test_truths_have_mean_0_and_variance_1_in_their_order() -> None:
    truths = [3.0, 1.0, 2.0, 4.0]
    found = levelled(truths)
    assert found.mean() == pytest.approx(0, abs=1e-12) and found.std() == pytest.approx(1)
    assert list(np.argsort(found)) == [1, 2, 0, 3]
    assert found == pytest.approx((np.array(truths) - 2.5) / math.sqrt(1.25))


def test_the_bad_tail_is_moved_to_a_floor_and_so_is_what_diverged() -> None:
    """Of 11 truths the median is 5 and the .9 quantile 9: the floor is 5 - 2 x 4 = -3."""
    truths = [-1000.0, *(float(i) for i in range(1, 11))]
    found = levelled([*truths, -math.inf])
    by_hand = np.array([-3.0, *truths[1:], -3.0])
    assert found == pytest.approx((by_hand - by_hand.mean()) / by_hand.std())
    # another depth of the bad one changes nothing
    assert levelled([-1e9, *truths[1:], -math.inf]) == pytest.approx(found)


def test_what_diverged_is_the_worst_that_is_told_apart_never_less() -> None:
    found = levelled([1.0, 2.0, -math.inf])  # median 1.5, floor max(1, 1.5 - 2 x .4) = 1: as bad as the worst
    assert found[2] == found[0] < found[1] and np.isfinite(found).all()
    assert levelled([5.0, -math.inf]) == pytest.approx([0, 0])  # nothing is told apart
    assert list(levelled([-math.inf] * 3)) == [0, 0, 0] and list(levelled([7.0])) == [0]
    assert len(levelled([])) == 0


def test_columns_become_normal_quantiles_of_ranks() -> None:
    columns = np.array([[10.0, 5.0], [1000.0, 5.0], [-3.0, np.nan], [20.0, 7.0]])
    found = normal_scores(columns)
    assert found[:, 0] == pytest.approx(norm.ppf([0.375, 0.875, 0.125, 0.625]))
    # ties share the mean of ranks 2 and 3; a failure is the lowest
    assert found[:, 1] == pytest.approx(norm.ppf([0.5, 0.5, 0.125, 0.875]))
    assert normal_scores(np.array([[np.inf], [np.nan], [1.0]]))[:, 0] == pytest.approx(
        norm.ppf([1 / 3, 1 / 3, 5 / 6])  # nor is infinity a high score
    )
    stretched = np.exp(columns / 100)
    assert normal_scores(stretched) == pytest.approx(found)  # only the order counts


def test_rows_are_proxy_views_and_features_that_differ() -> None:
    scores = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    features = np.array([[7.0, 1.0], [7.0, 2.0], [7.0, 3.0]])  # the first says nothing
    made = Candidates(scores, features)
    levels, scaled = normal_scores(scores), np.array([-1, 0, 1]) / math.sqrt(2 / 3)
    assert made.views == 2
    assert made.rows == pytest.approx(np.column_stack([levels[:, 0], levels, scaled]))
    same = Candidates(scores, np.ones((3, 2)))
    assert same.rows.shape == (3, 3)


def by_hand(x: np.ndarray, y: np.ndarray, views: int) -> np.ndarray:
    """.3 a b of the proxy, and .5 of a Matern 5/2 over views and over features."""
    found = 0.3 * x[:, :1] * y[:, 0]
    for part in (slice(1, 1 + views), slice(1 + views, None)):
        left, right = x[:, part], y[:, part]
        if left.shape[1]:
            distance = np.sqrt(((left[:, None] - right[None]) ** 2).sum(axis=2)) * math.sqrt(5 / left.shape[1])
            found = found + 0.5 * (1 + distance + distance**2 / 3) * np.exp(-distance)
    return found


@pytest.mark.parametrize(("views", "features"), [(1, 0), (3, 4), (1, 6)])
def test_the_kernel_is_its_formula_and_positive_semi_definite(views: int, features: int) -> None:
    made = candidates(40, views, features)
    x = made.rows
    found = covariances(x, x, made.views)
    assert found == pytest.approx(by_hand(x, x, made.views))
    assert covariances(x[:7], x[5:], made.views) == pytest.approx(by_hand(x[:7], x[5:], made.views))
    assert variances(x, made.views) == pytest.approx(np.diag(found))
    assert found == pytest.approx(found.T)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    for places in ([3, 1], [1, 7, 3], [7]):  # columns that were computed before are the same ones
        assert made.covariances(places) == pytest.approx(found[:, places])


def test_a_gaussian_process_predicts_as_its_formula() -> None:
    """Rasmussen & Williams 2006, equations 2.25 and 2.26, with noise .1."""
    made, known = candidates(), [3, 8, 15, 16, 23]
    truths = levelled([1.0, 4.0, -math.inf, 2.0, 2.5])
    mean, deviation = predict("gp", made, known, truths, 0)
    x, data = made.rows, made.rows[known]
    noisy = by_hand(data, data, made.views) + 0.1 * np.eye(len(known))
    across = by_hand(x, data, made.views)
    assert mean == pytest.approx(across @ np.linalg.solve(noisy, truths), abs=1e-8)
    prior = np.diag(by_hand(x, x, made.views))
    variance = prior - np.einsum("ij,ji->i", across, np.linalg.solve(noisy, across.T))
    assert deviation == pytest.approx(np.sqrt(variance), abs=1e-6)
    rest = [i for i in range(40) if i not in known]
    assert deviation[known].max() < deviation[rest].min()


def test_its_mean_follows_the_proxy_beyond_what_is_known() -> None:
    """Truth is the proxy; known are the lower ones, and above them the mean goes on rising."""
    proxy = np.arange(30.0)[:, None]
    made = Candidates(proxy, np.zeros((30, 1)))
    mean, _ = predict("gp", made, list(range(15)), levelled(list(proxy[:15, 0])), 0)
    assert mean[29] > mean[14] > mean[0]


def test_a_forest_predicts_as_its_trees() -> None:
    made, known = candidates(), list(range(0, 30, 2))
    truths = levelled(list(np.sin(np.arange(15.0))))
    mean, deviation = predict("forest", made, known, truths, 5)
    forest = ExtraTreesRegressor(100, max_features=1 / 3, random_state=5).fit(made.rows[known], truths)
    trees = np.stack([tree.predict(made.rows) for tree in forest.estimators_])
    assert mean == pytest.approx(trees.mean(axis=0)) and mean == pytest.approx(forest.predict(made.rows))
    assert deviation == pytest.approx(trees.std(axis=0))
    assert deviation[known] == pytest.approx(np.zeros(15))  # grown to the end, trees repeat what they know
    assert not np.allclose(predict("forest", made, known, truths, 6)[0], mean)
    predict("forest", made, known, truths, 2**40 + 5)  # seeds of any size


@pytest.mark.parametrize("model", ["gp", "forest"])
def test_threads_do_not_change_a_prediction(model: Any) -> None:
    made, known = candidates(400), list(range(60))
    truths = levelled(list(np.sin(np.arange(60.0))))
    with threadpool_limits(1):
        one = predict(model, made, known, truths, 0)
    with threadpool_limits(2):
        two = predict(model, made, known, truths, 0)
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize(
    ("mean", "deviation", "best"),
    [(0.0, 1.0, 0.0), (0.3, 0.5, 1.0), (-2.0, 0.7, 0.1), (2.0, 0.2, 1.0), (0.0, 3.0, 2.0)],
)
def test_expected_improvement_is_the_integral(mean: float, deviation: float, best: float) -> None:
    def improvement(truth: float) -> float:
        return (truth - best) * float(norm.pdf(truth, mean, deviation))

    upper = max(best, mean) + 12 * deviation
    integral, _ = quad(improvement, best, upper, epsabs=1e-12, points=[min(max(mean, best), upper)])
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(integral, abs=1e-9)


def test_without_a_doubt_it_is_what_the_mean_is_above_the_best() -> None:
    found = expected_improvement(np.array([1.5, 1.0, 0.5]), np.zeros(3), 1.0)
    assert found == pytest.approx([0.5, 0, 0], abs=1e-8) and np.isfinite(found).all()
