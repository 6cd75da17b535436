"""The comparison of search systems: what a search is worth query by query, and which system a user is told to take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from experiments.search_systems.compare import AT, MOST, PAIRS, best_by_cost, seeds_of
from experiments.search_systems.report import better, winners
from experiments.search_systems.scores import METRICS, PROBES, TABLES
from experiments.search_systems.systems import SYSTEMS
from nas.engine.trials import TRUTH, Result, Trial
from nas.search import SEARCHERS
from proxies.base import Score


class Architecture:
    key = "one"


def truth(value: float | None, fidelity: float = 1.0, cost: float = 1.0) -> Result:
    score = Score(value, "" if value is not None else "diverged")
    return Result(Trial(Architecture(), TRUTH, fidelity), {TRUTH: score}, cost)


def test_the_best_so_far_is_told_by_what_was_spent() -> None:
    """Two quarters and a diverged training are spent, and are no finds; what stops early keeps its best."""
    found = best_by_cost(
        [truth(9.0, 0.25, 0.25), truth(8.0, 0.25, 0.25), truth(None), truth(1.0, 1.0, 0.75), truth(3.0)]
    )
    assert len(found) == MOST
    assert found[:2] == [-math.inf, -math.inf]  # after 1 and 2 trainings: a half, and one that diverged
    assert found[2] == 1.0 and found[3:] == [3.0] * (MOST - 3)  # 2.25 and 3.25 trainings


def test_what_costs_more_than_the_most_is_not_told() -> None:
    assert best_by_cost([truth(float(i)) for i in range(MOST + 5)])[-1] == MOST - 1


@pytest.mark.parametrize("table", TABLES)
def test_every_system_has_as_many_pairs(table: str) -> None:
    assert len(set(seeds_of(table))) == PAIRS
    assert {probe for probe, _ in seeds_of(table)} == set(PROBES[table])


def test_systems_are_searchers_by_name_with_the_proxies_they_ask_for() -> None:
    for name, system in SYSTEMS.items():
        assert system.searcher == "spread" or system.searcher in SEARCHERS, name
    for metrics in METRICS.values():
        assert {"grad_norm", "ntk_condition", "parameters"} <= set(metrics) and "zeronas" not in metrics


def system(regrets: np.ndarray) -> dict[str, Any]:
    return {"regret": [[float(value)] * len(AT) for value in regrets]}


def test_differences_are_paired_and_corrected_for_their_number() -> None:
    """A shift in every one of 30 pairs is told whatever their spread; noise of the same size is not."""
    rng = np.random.default_rng(0)
    spread = rng.normal(0, 5, PAIRS)
    noise = rng.normal(0, 0.1, PAIRS)
    shift = np.linspace(0.05, 0.15, PAIRS)  # no two alike, so the test is exact
    systems = {
        "base": system(spread),
        "worse": system(spread + shift),
        "alike": system(spread + noise),
        "same": system(spread),
    }
    found = better(systems, "base", AT[0])
    assert found["worse"][0] == pytest.approx(0.1)
    assert found["worse"][1] == pytest.approx(3 * 2 / 2**PAIRS, rel=1e-6)  # Holm: the least of three
    assert found["alike"][1] > 0.05 and found["same"] == (0.0, 1.0)


def test_the_best_is_named_with_all_that_may_be_as_good() -> None:
    rng = np.random.default_rng(1)
    spread = rng.normal(0, 5, PAIRS)
    systems = {
        "clearly worse": system(spread + 0.3),
        "least": system(spread),
        "alike": system(spread + np.abs(rng.normal(0, 0.1, PAIRS)) * np.where(np.arange(PAIRS) % 2, 1, -0.9)),
    }
    assert winners(systems, AT[0]) == ["least", "alike"] or winners(systems, AT[0]) == ["alike", "least"]
