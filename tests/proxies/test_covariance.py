"""The correlation score and hidden covariance: exact values by hand, invariances, failures with their reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import proxies
from nas.core.errors import ZeronasError
from nas.truth import benchmarks
from proxies.base import Needs, ProxyFailure, Record
from proxies.covariance import HiddenCovariance, correlation_score
from spaces.base import Counts

K = 1e-5


def term(eigenvalue: float, k: float = K) -> float:
    return -(math.log(eigenvalue + k) + 1 / (eigenvalue + k))


def record(*hidden: Tensor) -> Record:
    return Record("rnn", "key", 0, Counts(1, 1, 1, 1), list(hidden))


def test_uncorrelated_rows() -> None:
    """Three orthogonal contrasts: R = I, every eigenvalue 1, S = -3 [ln(1 + k) + 1/(1 + k)]."""
    rows = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    assert correlation_score(rows) == pytest.approx(3 * term(1.0), rel=1e-12)
    assert correlation_score(rows) == pytest.approx(-3.0, abs=1e-9)  # ln(1+k) + 1/(1+k) = 1 + O(k^2)


def test_two_perfectly_correlated_rows() -> None:
    """R is all ones: eigenvalues 2 and 0. The vanishing one adds -(ln k + 1/k) = -99,988.487."""
    rows = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    # the eigenvalue 0 is known to about 1e-16, which 1/k^2 turns into 1e-6
    assert correlation_score(rows) == pytest.approx(term(2.0) + term(0.0), abs=1e-4)
    assert correlation_score(rows) == pytest.approx(-99_988.487075 - 1.193142, abs=1e-3)
    assert correlation_score(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])) == pytest.approx(
        term(2.0) + term(0.0), abs=1e-4
    )


def test_a_known_correlation() -> None:
    """[1,2,3] and [1,3,2]: centred (-1,0,1) and (-1,1,0), r = 1/2, eigenvalues 3/2 and 1/2."""
    rows = torch.tensor([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
    assert correlation_score(rows) == pytest.approx(term(1.5) + term(0.5), rel=1e-10)
    assert correlation_score(rows, k=0.5) == pytest.approx(-(math.log(2) + 0.5) - (math.log(1) + 1), rel=1e-12)


def test_one_row() -> None:
    assert correlation_score(torch.tensor([[1.0, 5.0]])) == pytest.approx(term(1.0), rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(12, 40))
@settings(max_examples=40, deadline=None)
def test_against_numpy(seed: int, rows: int, columns: int) -> None:
    """The released code's way: numpy's corrcoef and its general eigenvalue solver."""
    values = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    eigenvalues = np.linalg.eigvals(np.corrcoef(values.astype(np.float64))).real + K
    expected = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
    assert correlation_score(torch.from_numpy(values)) == pytest.approx(expected, rel=1e-7)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_row_scale_row_shift_and_order_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(6, 30))
    scale = rng.uniform(0.1, 10, size=(6, 1)) * rng.choice([-1, 1], size=(6, 1))
    moved = (values * scale + rng.normal(size=(6, 1)) * 10)[rng.permutation(6)][:, rng.permutation(30)]
    score = correlation_score(torch.from_numpy(values))
    assert correlation_score(torch.from_numpy(moved)) == pytest.approx(score, rel=1e-8)
    mixed = values.copy()
    mixed[0] = values[1] + 0.01 * values[0]
    assert correlation_score(torch.from_numpy(mixed)) < score  # dependent rows score lower


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -7.3])
def test_constant_rows_have_no_correlation(value: float) -> None:
    rows = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    rows[1] = value
    with pytest.raises(ProxyFailure, match=r"^constant units$"):
        correlation_score(rows)


def test_a_row_that_varies_little_is_not_constant() -> None:
    rows = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).double()
    rows[1] = 1.0 + 1e-9 * rows[1]
    assert math.isfinite(correlation_score(rows))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(value: float) -> None:
    rows = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    rows[2, 5] = value
    with pytest.raises(ProxyFailure, match=r"^hidden states are not finite$"):
        correlation_score(rows)


# The proxy: (T, B, d) -> rows


def observed() -> Tensor:
    return torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_axis_units_and_examples() -> None:
    """Rows by explicit indexing: a unit over all (example, step), an example over all (unit, step)."""
    h = observed()
    units = np.array([[h[t, b, i].item() for b in range(3) for t in range(5)] for i in range(4)])
    examples = np.array([[h[t, b, i].item() for i in range(4) for t in range(5)] for b in range(3)])
    for axis, rows in {"units": units, "examples": examples}.items():
        eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows)) + K
        expected = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
        assert HiddenCovariance(axis=axis)(record(h)) == pytest.approx(expected, rel=1e-9)
    assert HiddenCovariance()(record(h)) == HiddenCovariance(axis="units")(record(h))


def test_layer_is_counted_from_one() -> None:
    first, second = observed(), observed() ** 2
    assert HiddenCovariance(layer=2)(record(first, second)) == HiddenCovariance(layer=1)(record(second))
    assert HiddenCovariance(layer=1)(record(first, second)) == HiddenCovariance(layer=1)(record(first))
    score = HiddenCovariance(layer=3).score(record(first, second))
    assert (score.value, score.reason) == (None, "the network has no layer 3")
    assert score.fitness == -math.inf


def test_only_as_many_layers_are_asked_for_as_needed() -> None:
    assert Needs.union([HiddenCovariance(layer=2), proxies.get("random")]) == Needs(frozenset({"forward"}), 2)
    assert Needs.union([proxies.get("depth")]) == Needs(frozenset({"shapes"}), 0)
    assert Needs.union([]) == Needs(frozenset(), 0)


def test_failures_become_reasons() -> None:
    constant = observed()
    constant[:, :, 1] = 3.0
    assert HiddenCovariance().score(record(constant)).reason == "constant units"
    assert HiddenCovariance(axis="examples").score(record(constant)).value is not None
    broken = observed()
    broken[0, 0, 0] = math.nan
    score = HiddenCovariance().score(record(broken))
    assert (score.value, score.reason, score.fitness) == (None, "hidden states are not finite", -math.inf)


@pytest.mark.parametrize("axis", ["units", "examples"])
def test_vanishing_states_are_a_failure_where_a_floor_is_set(axis: str) -> None:
    states = observed()
    deviation = float(states.double().flatten(0, 1).std(dim=0).median())
    small = record(states * 1e-6)
    free = HiddenCovariance(axis=axis).score(small).value
    assert free == pytest.approx(HiddenCovariance(axis=axis).score(record(states)).value)  # it sees no scale
    assert HiddenCovariance(axis=axis, floor=0.99e-6 * deviation).score(small).value == free
    assert HiddenCovariance(axis=axis, floor=1.01e-6 * deviation).score(small).reason == "vanishing units"
    assert benchmarks.get("nas_bench_nlp").published_column(HiddenCovariance(floor=1e-3)) is None  # it has none


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layer": 0}, "Proxy 'hidden_covariance' needs layer to be a whole number of 1 or more, but got 0."),
        ({"layer": 1.5}, "Proxy 'hidden_covariance' needs layer to be a whole number of 1 or more, but got 1.5."),
        ({"layer": True}, "Proxy 'hidden_covariance' needs layer to be a whole number of 1 or more, but got True."),
        (
            {"axis": "unit"},
            "Unknown axis 'unit' of proxy 'hidden_covariance'. Did you mean 'units'? Available: examples, units.",
        ),
        ({"k": 0}, "Proxy 'hidden_covariance' needs k to be a number above 0, but got 0."),
        ({"k": math.nan}, "Proxy 'hidden_covariance' needs k to be a number above 0, but got nan."),
        ({"floor": -1}, "Proxy 'hidden_covariance' needs floor to be a number of 0 or more, but got -1."),
        ({"k": "1e-5"}, "Proxy 'hidden_covariance' needs k to be a number above 0, but got '1e-5'."),
        (
            {"layers": 2},
            "Proxy 'hidden_covariance' has no option 'layers'. Did you mean 'layer'? "
            "Available: axis, floor, k, layer, variant.",
        ),
    ],
)
def test_options_are_checked(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        proxies.get("hidden_covariance", **options)
    assert str(error.value) == sentence
    assert proxies.options_of("hidden_covariance") == {
        **{"layer": 1, "axis": "units", "k": 1e-5, "variant": "released"},
        "floor": 0.0,
    }
