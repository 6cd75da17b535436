"""Statistics over pairs of architectures, against loops over all pairs and against formulas of the literature."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

import spaces
from nas import judge
from nas.judge import pairs
from nas.judge.pairs import over_all, partial, within
from nas.truth import benchmarks

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 30)), min_size=2, max_size=12)


def by_loops(scores: list[int], truth: list[int], sizes: list[int], share: float) -> tuple[int, float]:
    both = told = count = 0
    for i in range(len(scores)):
        for j in range(i):
            if abs(sizes[i] - sizes[j]) <= share * max(sizes[i], sizes[j]):
                count += 1
                told += truth[i] != truth[j]
                both += int(np.sign(scores[i] - scores[j]) * np.sign(truth[i] - truth[j]))
    return count, both / math.sqrt(told * count) if told else math.nan


@given(ROWS, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.sampled_from([1, 20, 10_000]))
def test_within_is_what_loops_over_the_pairs_give(rows: list[tuple[int, int, int]], share: float, held: int) -> None:
    scores, truth, sizes = (list(column) for column in zip(*rows, strict=True))
    count, tau = by_loops(scores, truth, sizes, share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_AT_ONCE", held)  # in blocks of one architecture, of a few, of all
        found = within(scores, truth, sizes, share)
    assert found.pairs == count
    assert found.tau == pytest.approx(tau, nan_ok=True, abs=1e-12)
    assert bool(found.why) == math.isnan(tau)


def test_within_by_hand() -> None:
    # parameters 100 and 108 are alike, 108 and 120 too (10% of 120 is 12), 100 and 120 are not
    found = within([1, 2, 3], [1, 3, 2], [100, 108, 120])
    assert (found.pairs, found.tau) == (2, 0.0)  # one pair agrees, one does not
    assert within([1, 2, 3], [1, 3, 2], [100, 200, 400]).why == "no pairs"
    assert within([1, 2, 3], [5, 5, 5], [100, 100, 100]).why == "no pair differs in the truth"


@given(ROWS)
def test_over_all_pairs_it_is_the_tie_broken_tau(rows: list[tuple[int, int, int]]) -> None:
    scores, truth, _ = (list(column) for column in zip(*rows, strict=True))
    assert over_all(scores, truth).tau == pytest.approx(judge.tie_broken(scores, truth), nan_ok=True, abs=1e-12)


def test_partial_given_one_quantity_is_kendalls_formula() -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(0, 9, 60)
    truth, scores = size + rng.normal(size=60), rng.integers(0, 5, 60) + size
    st_, sz, tz = (kendalltau(a, b).statistic for a, b in ((scores, truth), (scores, size), (truth, size)))
    found = partial(scores, truth, [size])
    assert found.tau == pytest.approx((st_ - sz * tz) / math.sqrt((1 - sz**2) * (1 - tz**2)))
    assert found.pairs == 60 * 59 // 2 and found.why == ""


def test_partial_given_two_quantities_is_that_of_the_inverse_matrix() -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(4, 50))
    columns[1:] += columns[0] * [[0.5], [1.0], [2.0]]
    matrix = np.array([[kendalltau(a, b).statistic for b in columns] for a in columns])
    inverse = np.linalg.inv(matrix)
    expected = -inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1])
    assert partial(columns[0], columns[1], columns[2:]).tau == pytest.approx(expected)
    # what ranks alike counts once, and a constant not at all
    assert partial(columns[0], columns[1], [columns[2], np.exp(columns[2]), np.ones(50)]).tau == pytest.approx(
        partial(columns[0], columns[1], [columns[2]]).tau
    )


def test_partial_is_not_defined_for_the_given_quantities_themselves() -> None:
    rng = np.random.default_rng(2)
    truth, size, other = rng.normal(size=(3, 40))
    for scores in (size, -size, np.exp(size), other):
        found = partial(scores, truth, [size, other])
        assert math.isnan(found.tau) and found.why == "the score ranks as the given sizes do"
    assert partial(np.ones(40), truth, [size]).why == "the score is constant"
    assert partial(other, size, [size]).why == "the truth ranks as the given sizes do"
    assert partial(other, np.ones(40), [size]).why == "the truth is constant"


def test_what_only_size_explains() -> None:
    rng = np.random.default_rng(5)
    size = rng.normal(size=1500)
    truth, scores = size + rng.normal(size=1500), size + rng.normal(size=1500)
    assert judge.kendall(scores, truth) == pytest.approx(1 / 3, abs=0.04)
    # the signs' partial correlation leaves (1/3 - 1/4) / (1 - 1/4) though nothing but size connects the two
    assert partial(scores, truth, [size]).tau == pytest.approx(1 / 9, abs=0.04)
    assert abs(within(scores, truth, np.exp(size)).tau) < 0.06  # three standard errors


@pytest.mark.parametrize("kind", ["within", "partial"])
def test_the_jackknife_leaves_out_each_architecture(kind: str) -> None:
    rng = np.random.default_rng(6)
    scores, truth, size = rng.integers(0, 6, 25), rng.integers(0, 9, 25), rng.integers(80, 120, 25)

    def statistic(kept: np.ndarray) -> pairs.Paired:
        if kind == "within":
            return within(scores[kept], truth[kept], size[kept])
        return partial(scores[kept], truth[kept], [size[kept]])

    found = statistic(np.arange(25))
    without = np.array([statistic(np.delete(np.arange(25), i)).tau for i in range(25)])
    error = math.sqrt(24 / 25 * ((without - without.mean()) ** 2).sum())
    assert found.tau_interval == pytest.approx((found.tau - 1.96 * error, found.tau + 1.96 * error))


def test_the_jackknife_is_as_wide_as_the_bootstrap() -> None:
    rng = np.random.default_rng(7)
    truth = rng.normal(size=300)
    scores = truth + rng.normal(size=300)
    drawn = judge.agreement(scores, truth, resamples=400)
    low, high = over_all(scores, truth).tau_interval
    assert drawn is not None
    # a width from 400 resamples is off by about 7%
    assert high - low == pytest.approx(drawn.tau_interval[1] - drawn.tau_interval[0], rel=0.25)


def test_what_is_published_of_flexibert(data_dir: Path) -> None:
    space = spaces.get("bert", reading="stated")
    runs = [(e.architecture, run.value) for e in benchmarks.get("flexibert", data_dir).entries for run in e.runs]
    truth = [value for _, value in runs]
    parameters = [space.counts(a).parameters for a, _ in runs]
    assert len(runs) == 500
    # #Params in the table of NSC's README: tau .485, 10%-PW tau .082
    assert judge.kendall(parameters, truth) == pytest.approx(0.485, abs=5e-4)
    found = within(parameters, truth, parameters)
    assert found.tau == pytest.approx(0.082, abs=5e-4) and found.pairs == 26_769
    # #FLOPs there: .552 and .329; as their code counts them for a sequence of 128
    heads = [128 * a.hidden_size**2 + 2 * a.hidden_size for a, _ in runs]
    flops = [sum(_flops(x, a.hidden_size) for x in a.layers) + head for (a, _), head in zip(runs, heads, strict=True)]
    assert judge.kendall(flops, truth) == pytest.approx(0.552, abs=5e-4)
    assert within(flops, truth, parameters).tau == pytest.approx(0.329, abs=5e-4)
    # hidden size times layers ties (128, 4) with (256, 2): tau-b is .745, and one draw of the ties gave .587
    coarse = [a.hidden_size * len(a.layers) for a, _ in runs]
    assert judge.kendall(coarse, truth) == pytest.approx(0.745, abs=5e-4)
    assert judge.tie_broken(coarse, truth) == pytest.approx(0.587, abs=0.01)


def _flops(layer: object, hidden: int, length: int = 128) -> int:
    kind = layer.operation_type  # type: ignore[attr-defined]
    own = {"SA": 4 * hidden + 2 * length, "LT": 2 * hidden, "DSC": hidden}[kind] * length * hidden
    count, width = layer.num_feed_forward, layer.feed_forward_dimension  # type: ignore[attr-defined]
    return int(own + count * 2 * length * hidden * (width // count))
