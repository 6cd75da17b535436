"""The comparison of search systems: what a search is worth query by query, and which system a user is told to take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from experiments.search_systems.claims import CLAIMS, VERDICTS, Claim, advised, outcomes
from experiments.search_systems.compare import AT, MOST, PAIRS, POOLS, best_by_cost, seeds_of
from experiments.search_systems.report import better, winners
from experiments.search_systems.scores import METRICS, PROBES, TABLES
from experiments.search_systems.systems import SYSTEMS, TOPS
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


def tables(**regrets: np.ndarray) -> dict[str, Any]:
    """Returns data in which every pool of every table has these systems."""
    systems = {name: {**system(values), "curve": [float(values.mean())]} for name, values in regrets.items()}
    return {table: {"pools": dict.fromkeys(POOLS, systems)} for table in TABLES}


def test_a_claim_holds_or_is_reversed_or_neither_pool_by_pool() -> None:
    rng = np.random.default_rng(2)
    spread, gap = rng.uniform(5, 9, PAIRS), np.linspace(0.1, 0.2, PAIRS)
    noise = rng.normal(0, 0.1, PAIRS)
    data = tables(a=spread, b=spread + gap, c=spread + noise)
    verdicts = {
        pair: {one.verdict for one in outcomes(Claim("", *pair, AT[0]), data)}
        for pair in (("a", "b"), ("b", "a"), ("a", "c"))
    }
    assert verdicts == {("a", "b"): {VERDICTS[0]}, ("a", "c"): {VERDICTS[1]}, ("b", "a"): {VERDICTS[2]}}
    assert len(outcomes(Claim("", "a", "b", AT[0]), data)) == len(TABLES) * len(POOLS)


def test_claims_are_of_systems_that_are_run_with_that_budget() -> None:
    for claim in CLAIMS:
        for name in (claim.better, claim.than):
            assert name in TOPS or claim.at in (SYSTEMS[name].budgets or AT), claim.said


def test_advice_is_chosen_on_other_pairs_than_it_is_told_of() -> None:
    """Lucky is the best of the even pairs, and is told with what it does on the odd ones."""
    even = np.arange(PAIRS) % 2 == 0
    data = tables(random=np.full(PAIRS, 4.0), lucky=np.where(even, 1.0, 7.0), steady=np.full(PAIRS, 2.0))
    found = advised(data, "rnn", AT[0])
    assert found.system == "lucky"
    assert {told[2:] for told in found.told} == {(7.0, 0.0, 4.0)}
    assert {told[0] for told in found.told} == {"nas_bench_nlp", "mini_rnn"} and len(found.told) == 4


def test_without_queries_a_first_choice_is_advised() -> None:
    data = tables(random=np.full(PAIRS, 4.0), robot=np.full(PAIRS, 0.0))
    for pools in data.values():
        for systems in pools["pools"].values():
            systems.update({name: {"no truth": [2.0 + i] * PAIRS} for i, name in enumerate(TOPS)})
    found = advised(data, "bert", 0)
    assert found.system == next(iter(TOPS)) and {told[4] for told in found.told} == {4.0}
