"""What a search came to, from plain data: the find, baselines under a reduction, agreement without the selected."""

from __future__ import annotations

import math

import pytest
from scipy.stats import kendalltau

import spaces
from nas import judge
from nas.judge.outcome import Asked, Rated, agreements, best_reachable, find, regrets
from nas.truth import benchmarks
from nas.truth.benchmarks import Entry, MiniTable, Run
from spaces.rnn import named_cell

STABLE = {"state_growth": ["bounded", "linear"]}


@pytest.fixture
def table() -> MiniTable:
    found = benchmarks.get("mini_rnn")
    assert isinstance(found, MiniTable)
    return found


def rated(entries: list[Entry]) -> list[Rated]:
    return [Rated(e.architecture, float(i), {"p": float(i)}) for i, e in enumerate(entries)]


def test_the_find_is_the_best_truth_or_else_the_best_score(table: MiniTable) -> None:
    entries = table.entries[:4]
    rows = rated(entries)
    assert find(rows, [], table.sign, "p") == (3, "best p")
    tied = [row._replace(fitness=1.0) for row in rows]
    assert find(tied, [], table.sign, "p")[0] == 0
    asked = [Asked(entries[i].architecture, float(i), entries[i], "") for i in (3, 2, 1)]  # the best by fitness
    best = min((1, 2, 3), key=lambda i: entries[i].value)
    assert find(rows, asked, table.sign, "p") == (best, "best truth of the 3 verified")
    assert find(rows, asked[1:], table.sign, "p")[1] == "best truth of the 2 asked for"  # chosen by something else
    diverged = [Asked(entries[0].architecture, 0.0, None, "diverged")]
    assert find(rows, diverged, table.sign, "p") == (3, "best p; the training asked for failed")
    assert find(rows, 2 * diverged, table.sign, "p", (1, "x")) == (1, "x; all 2 trainings asked for failed")
    assert find([row._replace(fitness=None) for row in rows], [], table.sign, "p")[0] is None


def test_the_baselines_of_an_open_search_obey_the_reduction(table: MiniTable) -> None:
    space = spaces.get("rnn").reduce(STABLE)
    entries = table.entries[:3]
    asked = [Asked(e.architecture, 1.0, e, "") for e in entries]
    found = regrets(rated(entries), asked, table, space.contains, lambda a: 1)
    assert found is not None
    inside = [e for e in table.entries if space.contains(e.architecture)]
    diverged = [d for d in table.diverged.values() if space.contains(d.architecture)]
    assert 0 < len(inside) < len(table.entries) and len(diverged) < len(table.diverged)
    behind = [e.value - table.best.value for e in inside]
    assert found.random == pytest.approx(judge.random_regret(behind, 3, len(diverged)))
    assert found.parameters == pytest.approx(found.random)  # all of one size: any order
    assert (found.pool, found.best_in_pool) == (len(inside), pytest.approx(min(behind)))
    whole = regrets(rated(entries), asked, table, lambda a: True, lambda a: 1)
    assert whole is not None and whole.pool == len(table.entries) and whole.random != found.random


def test_a_reduction_that_the_table_lacks_has_no_baseline(table: MiniTable) -> None:
    entry = table.entries[0]
    found = regrets(rated([entry]), [Asked(entry.architecture, 1.0, entry, "")], table, lambda a: False, lambda a: 1)
    assert found is not None
    assert (found.random, found.parameters, found.pool, found.best_in_pool) == ([], [], 0, None)


def test_without_a_truth_asked_for_there_is_no_regret(table: MiniTable) -> None:
    assert regrets(rated(table.entries[:2]), [], table, lambda a: True, lambda a: 1) is None


def test_agreement_is_over_the_tables_cells_and_not_over_what_was_trained_for_its_score(table: MiniTable) -> None:
    entries = table.entries[:30]
    rows = rated(entries)
    fresh = spaces.get("rnn").mutate(named_cell("RNN"), __import__("numpy").random.default_rng(0))
    assert fresh.key not in table.by_key
    table.trained[fresh.key] = Entry(fresh.key, fresh, 4.0, (Run("trained here", 4.0),))
    assert table.lookup(fresh) is not None
    rows.append(Rated(fresh, 99.0, {"p": 99.0}))
    found = agreements(rows, ["p"], table)["p"]
    assert found.count == 30
    assert found.tau == pytest.approx(kendalltau(range(30), [-e.value for e in entries]).statistic)
    none = [row._replace(scores={"p": None}) for row in rows]
    assert agreements(none, ["p"], table) == {}


def test_the_best_cell_of_the_table_is_one_that_random_search_cannot_draw(table: MiniTable) -> None:
    space = spaces.get("rnn").reduce(STABLE)
    assert table.best.key == named_cell("GRU").key
    assert space.contains(table.best.architecture) and not space.draws(table.best.architecture)
    found = best_reachable(table, space.draws)
    drawn = [e for e in table.entries if space.draws(e.architecture)]
    assert found is not None and found.value == min(e.value for e in drawn) > table.best.value
    assert best_reachable(table, lambda a: False) is None
    assert math.isfinite(found.value)
