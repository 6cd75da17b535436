"""The F-test of nested models, against scipy's one-way test and on FlexiBERT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import f_oneway

from experiments.paper.operations import operation_test
from nas.core import seeds
from nas.judge.effects import nested_f_test
from nas.judge.reduction import _f_test as within_cells
from nas.truth import benchmarks
from spaces.bert import BertConfig, BertSpace


def test_with_a_constant_base_it_is_the_one_way_test() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 20)
    truth = rng.normal(size=60) + 0.5 * groups
    dummies = np.array([[float(g == level) for level in (0, 1, 2)] for g in groups])
    found = nested_f_test(truth, np.ones((60, 1)), dummies)
    expected = f_oneway(*(truth[groups == level] for level in (0, 1, 2)))
    assert (found.f, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert found.df == (2, 57)


def drawn(n: int) -> list[BertConfig]:
    space = BertSpace()
    return [space.sample(seeds.generator(0, "effects", i)) for i in range(n)]


def test_an_operation_that_matters_is_seen_and_one_that_does_not_is_not() -> None:
    configs = drawn(600)
    noise = np.random.default_rng(1).normal(size=600)
    heads = np.array([sum(layer.num_operation_heads for layer in c.layers) for c in configs])
    dft = np.array([sum(layer.operation_parameter == "DFT" for layer in c.layers) for c in configs])
    assert operation_test(configs, heads + noise, trained=False).p > 0.01
    assert operation_test(configs, heads + noise - dft, trained=False).p < 1e-6


def test_flexiberts_operations_leave_no_trace(data_dir: Path) -> None:
    entries = benchmarks.get("flexibert", data_dir).entries
    runs = [(e.architecture, run.value) for e in entries for run in e.runs]
    found = operation_test([c for c, _ in runs], [v for _, v in runs], trained=True)
    assert found.df == (72, 388)
    assert found.f == pytest.approx(0.71, abs=0.01)
    assert found.p == pytest.approx(0.96, abs=0.01)


def test_the_reductions_test_within_cells_is_the_test_of_nested_models() -> None:
    rng = np.random.default_rng(3)
    cells, levels = rng.integers(0, 4, 90), rng.integers(0, 3, 90)
    truth = cells + 0.4 * levels + rng.normal(size=90)
    counts = (levels[:, None] == np.arange(3)).astype(float)
    base = (cells[:, None] == np.arange(4)).astype(float)
    assert within_cells(truth, counts, cells) == pytest.approx(nested_f_test(truth, base, counts).p, rel=1e-9)


def test_columns_that_the_base_explains_already_explain_nothing_more() -> None:
    truth = np.random.default_rng(0).normal(size=30)
    base = np.stack([np.ones(30), np.arange(30.0)], axis=1)
    found = nested_f_test(truth, base, 2 * base[:, 1:])
    assert (found.f, found.p) == (0.0, 1.0)
    assert found.r2_full == found.r2_base
