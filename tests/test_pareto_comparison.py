"""The comparison of multi-objective searches: its tests by hand, and that what is committed is complete."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import pytest

from experiments.search_systems.pareto import METHODS, RESULTS, STARTS, TABLES, pareto_lines, significance


def made(values: dict[str, list[float]]) -> dict[str, Any]:
    rows = {
        f"two; {method}; {i}": {"hypervolume": [0.0, one], "igd": [9.0, -one], "igd_plus": [9.0, 1.0]}
        for method, some in values.items()
        for i, one in enumerate(some)
    }
    return {"sets": {"two": ["a", "parameters"]}, "rows": rows}


def test_pairs_are_tested_at_the_end() -> None:
    """Six pairs that all differ the same way have p = 2 / 2^6; where all are equal, nothing is told apart."""
    told = {"mtf_pdns": [2, 3, 4, 5, 6, 8], "nsga2": [1, 1, 1, 1, 1, 2], "nsga3": [1, 1, 1, 1, 1, 2], "random": [0] * 6}
    table = made({method: [float(value) for value in values] for method, values in told.items()})
    found = {(*one["pair"], one["indicator"]): one for one in significance(table)}
    first = found["mtf_pdns", "nsga2", "hypervolume"]
    assert (first["better"], first["worse"]) == (6, 0) and first["p"] == pytest.approx(2 / 2**6)
    assert first["difference"] == pytest.approx(21 / 6)
    lower = found["mtf_pdns", "nsga2", "igd"]
    assert (lower["better"], lower["worse"]) == (6, 0) and lower["difference"] == pytest.approx(-21 / 6)
    equal = found["nsga3", "nsga2", "hypervolume"]
    assert (equal["better"], equal["worse"], equal["p"], equal["p_holm"]) == (0, 0, 1.0, 1.0)
    # twelve tests, six of them with the least p
    assert len(found) == 12 and first["p_holm"] == pytest.approx(12 * first["p"])


def test_what_is_committed_is_complete() -> None:
    data = json.loads((RESULTS / "pareto.json").read_text(encoding="utf-8"))
    assert list(data["tables"]) == list(TABLES)
    for name, table in data["tables"].items():
        assert (table["evaluations"], table["population"]) == TABLES[name]
        for label, method in product(table["sets"], METHODS):
            rows = [row for row in table["rows"] if row.startswith(f"{label}; {method}; ")]
            assert len(rows) == STARTS
        best = table["best"]["hypervolume"]
        assert all(value <= best + 1e-6 for row in table["rows"].values() for value in row["hypervolume"])
        assert table["tests"] == [
            {**one, **{k: pytest.approx(one[k]) for k in ("difference", "p", "p_holm")}} for one in significance(table)
        ]
    assert not any(math.isnan(one["p"]) for table in data["tables"].values() for one in table["tests"])
    assert len(pareto_lines(data)) > 60
