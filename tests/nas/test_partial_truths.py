"""Reports of truths that were asked for at a share of the training protocol: find, regret by cost, and the words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import spaces
from experiments.commands import compare as compare_app
from experiments.commands import search as search_app
from nas import judge
from nas.core.files import number
from nas.engine.trials import TRUTH, Result, Trial
from nas.judge.outcome import Asked, Rated, by_fitness, find, regrets
from nas.search import Searcher
from nas.truth import benchmarks
from nas.truth.benchmarks import MiniTable
from nas.truth.outcome import queried
from proxies.base import Score


@pytest.fixture
def table() -> MiniTable:
    found = benchmarks.get("mini_rnn")
    assert isinstance(found, MiniTable)
    return found


def early(architecture: Any, fidelity: float, value: float | None, cost: float, reason: str = "") -> Asked:
    return Asked(architecture, 0.0, None, reason, fidelity, value, cost)


# ------------------------------------------------------------------------------------------------- plain data


def test_a_query_has_its_value_at_its_share_and_its_cost(table: MiniTable) -> None:
    entry = table.entries[0]
    at_half = dict(entry.curve)[0.5]
    cell = entry.architecture
    results = [
        Result(Trial(cell, TRUTH, 0.5), {"p": Score(7.0), TRUTH: Score(-at_half)}, 0.5),
        Result(Trial(cell, TRUTH), {TRUTH: Score(-entry.value)}, 0.5),
    ]
    half, whole = queried(results, table)
    assert (half.fidelity, half.value, half.cost, half.entry, half.standing) == (0.5, at_half, 0.5, None, None)
    assert (whole.fidelity, whole.value, whole.cost, whole.entry) == (1.0, entry.value, 0.5, entry)
    # a truth is not a proxy's score: what only its truth was asked of has none
    assert (half.fitness, whole.fitness) == (7.0, -math.inf)


def test_the_find_is_the_best_of_the_whole_truths(table: MiniTable) -> None:
    good, bad, never = sorted(table.entries[:3], key=lambda e: e.value)
    rows = [Rated(e.architecture, float(i), {"p": float(i)}) for i, e in enumerate((good, bad, never))]
    asked = [early(good.architecture, 0.25, 1.0, 0.25), early(bad.architecture, 0.25, 9.0, 0.25)]
    assert find(rows, asked, table.sign, "p") == (
        0,
        "best of the 2 trained to a share of 0.25, none was trained to the end",
    )
    whole = Asked(bad.architecture, 1.0, bad, "", 1.0, bad.value, 0.75)
    assert find(rows, [*asked, whole], table.sign, "p") == (1, "best truth of the 1 trained to the end")
    assert not by_fitness(rows, asked)
    # of several shares the largest decides, and one that diverged there has no value there
    later = [early(bad.architecture, 0.5, 8.0, 0.25), early(good.architecture, 0.5, None, 0.25, "diverged")]
    assert find(rows, [*asked, *later], table.sign, "p")[0] == 1


def test_regret_is_over_the_cost_in_trainings(table: MiniTable) -> None:
    first, second, third = table.entries[:3]
    rows = [Rated(e.architecture, float(i), {"p": float(i)}) for i, e in enumerate((first, second, third))]
    asked = [
        *(early(e.architecture, 0.25, 5.0, 0.25) for e in (first, second, third)),  # .75 spent
        early(first.architecture, 0.5, 5.0, 0.25),  # 1.0 spent, and no whole truth yet
        Asked(first.architecture, 0.0, first, "", 1.0, first.value, 0.5),  # 1.5: within the second training's worth
        Asked(second.architecture, 1.0, second, "", 1.0, second.value, 0.75),  # 2.25: within the third's
    ]
    found = regrets(rows, asked, table, lambda a: True, lambda a: 1)
    assert found is not None
    behind = [table.place(e).regret for e in (first, second)]
    assert found.best_so_far == [None, behind[0], min(behind)]
    everything = [table.place(e).regret for e in table.entries]
    assert found.random == pytest.approx(judge.random_regret(everything, 3, len(table.diverged)))
    assert len(found.parameters) == 3 and found.over_ties is None
    assert regrets(rows, [early(first.architecture, 0.25, None, 0.0)], table, lambda a: True, lambda a: 1) is None


def test_ties_are_averaged_over_only_where_the_best_by_fitness_were_asked_for(table: MiniTable) -> None:
    entries = table.entries[:4]
    rows = [Rated(e.architecture, fitness, {}) for e, fitness in zip(entries, (3.0, 2.0, 2.0, 1.0), strict=True)]
    asked = [Asked(e.architecture, fitness, e, "") for e, fitness in zip(entries[:2], (3.0, 2.0), strict=True)]
    found = regrets(rows, asked, table, lambda a: True, lambda a: 1)
    behind = [table.place(e).regret for e in entries]
    assert found is not None and found.over_ties is not None and by_fitness(rows, asked)
    assert found.over_ties[1] == pytest.approx((min(behind[0], behind[1]) + min(behind[0], behind[2])) / 2)
    chosen = regrets(rows, [asked[0], Asked(entries[3].architecture, 1.0, entries[3], "")], table, bool, lambda a: 1)
    assert chosen is not None and chosen.over_ties is None


# ------------------------------------------------------------------------------------------------- by the command


class Known(Searcher):
    """Proposes some cells, in order."""

    name = "known"

    def __init__(self, pool: Any, seed: int, cells: list[Any]) -> None:
        super().__init__(pool, seed)
        self.cells = cells

    def ask(self, n: int, left: Any) -> list[Trial]:
        asked, self.cells = self.cells[:n], self.cells[n:]
        return [Trial(cell) for cell in asked]

    def tell(self, results: Any) -> None:
        pass


def halved(composed: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, cells: list[Any], start: int, queries: int):
    monkeypatch.setattr(search_app.searchers, "get", lambda name, pool, seed, **options: Known(pool, seed, list(cells)))
    return search_app.run(
        composed(
            "search", "benchmark=mini_rnn", "proxy=parameters", f"budget={len(cells)}", f"verify={start}", "batch=8",
            "rungs=[0.25,0.5,1]", "eta=2", f"queries={queries}", f"run.dir={folder}",
        )
    )  # fmt: skip


def test_a_search_by_halves_is_reported_by_cost(
    composed: Any, table: MiniTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = spaces.get("rnn")
    largest = max(table.diverged.values(), key=lambda d: space.counts(d.architecture).parameters)
    size = space.counts(largest.architecture).parameters
    smaller = [e.architecture for e in table.entries if space.counts(e.architecture).parameters < size]
    cells = [largest.architecture, *smaller[:11]]  # by size the diverged one is the first to be asked for
    folder = tmp_path / "found"
    results = halved(composed, monkeypatch, folder, cells, 8, 6)
    # 8 to a quarter, 4 of them to a half, 2 of those to the end: 2 + 1 + 1 trainings
    assert results["queries_used"] == 4 and isinstance(results["queries_used"], int)
    assert results["truths"] == {"by_fitness": False, "architectures": 8, "shares": {"0.25": 8, "0.5": 4, "1": 2}}
    queries = results["queries"]
    assert [q["fidelity"] for q in queries] == [0.25] * 8 + [0.5] * 4 + [1.0] * 2
    assert sum(q["cost"] for q in queries) == 4
    for q in queries:
        entry = table.by_key.get(q["key"])
        if entry is not None:
            assert q["value"] == (entry.value if q["fidelity"] == 1 else dict(entry.curve)[q["fidelity"]])
            assert (q["truth"] is None) == (q["fidelity"] < 1) == (q["rank"] is None)
    assert queries[0]["key"] == largest.key
    assert [(q["value"], bool(q["reason"])) for q in queries if q["key"] == largest.key][-1] == (None, True)
    whole = [q for q in queries if q["truth"] is not None]
    assert results["found"]["truth"] == min(q["truth"] for q in whole)
    assert results["found"]["chosen_by"] == f"best truth of the {len(whole)} trained to the end"
    regret = results["regret"]
    assert regret["best_so_far"][:3] == [None] * 3 and regret["over_ties"] is None
    assert regret["best_so_far"][3] == min(q["regret"] for q in whole)
    assert len(regret["random"]) == len(regret["parameters"]) == 4
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert (
        "queries used: 4 trainings (architectures trained: 8 to a share of 0.25, 4 to a share of 0.5, 2 to the end"
        in summary
    )
    assert "the training of 1 of the 8 asked for diverged" in summary
    assert "with 4 whole trainings: random search" in summary and "verified" not in summary
    row = next(line for line in summary.splitlines() if line.startswith(f"| 1 | {queries[0]['key']} |"))
    assert f"| 0.25 | 0.25 | {queries[0]['reason'] or number(queries[0]['value'], 5)} | n/a | n/a |" in row
    assert "| query | architecture | parameters | share of the training | cost | truth (nats/token) | rank" in summary
    assert json.loads((folder / "results.json").read_text())["regret"]["best_so_far"][0] is None


def test_a_search_that_never_trained_to_the_end_says_so(
    composed: Any, table: MiniTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [e.architecture for e in table.entries[:8]]
    results = halved(composed, monkeypatch, tmp_path / "found", cells, 8, 2)
    assert results["queries_used"] == 2 and results["truths"]["shares"] == {"0.25": 8}
    least = min(table.entries[:8], key=lambda e: dict(e.curve)[0.25])
    assert results["found"]["key"] == least.key
    assert results["found"]["chosen_by"] == "best of the 8 trained to a share of 0.25, none was trained to the end"
    assert results["regret"]["best_so_far"] == [None, None] and len(results["regret"]["random"]) == 2


def test_searches_by_shares_are_compared(
    composed: Any, table: MiniTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [e.architecture for e in table.entries[:12]]
    folders = []
    for queries in (4, 6):
        folders.append(str(tmp_path / f"q{queries}"))
        halved(composed, monkeypatch, Path(folders[-1]), cells[: 2 * queries], queries, queries)
    results = compare_app.run({**composed("compare", f"run.dir={tmp_path / 'c'}"), "runs": folders})
    assert set(results["methods"]) == {"budget 8, verify 4, queries 4", "budget 12, verify 6, queries 6"}
    for method in results["methods"].values():
        assert method["curve"][0] is None or math.isnan(method["curve"][0])
        assert math.isfinite(method["curve"][-1]) and math.isfinite(method["random_curve"][0])
