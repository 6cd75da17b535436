"""NSGA-II, NSGA-III, MTF-PDNS and SWAP-NAS, worked out by hand on points of a line, and in whole searches."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from experiments.commands import search as search_app
from nas import search
from nas.core.errors import ZeronasError
from nas.engine.pools import Pool, SpacePool
from nas.engine.trials import PROXIES, Result, Trial
from nas.search.objectives import Archive, Objectives
from nas.search.pdns import novelty
from proxies.base import Score


class Point:
    def __init__(self, at: int) -> None:
        self.key = f"p{at}"


class Line(Pool):
    """p0, p1, .. in order, whatever is asked for; it remembers what children were made of."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.parents: list[tuple[str, ...]] = []

    def admit(self, architecture: Any) -> Any | None:
        return architecture

    def sample(self, rng: np.random.Generator) -> Any:
        return Point(len(self.visited))

    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any:
        self.parents.append((architecture.key,))
        return self.sample(rng)

    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        self.parents.append((first.key, second.key))
        return self.sample(rng)


def scored(architecture: Any, values: tuple[float | None, ...]) -> Result:
    scores = [Score(value, "" if value is not None else "failed") for value in values]
    return Result(Trial(architecture), dict(zip("fg", scores, strict=False)))


def told(searcher: search.Searcher, *values: tuple[float | None, ...]) -> list[str]:
    """Asks for as many as there are values, tells them, and returns the keys."""
    trials = searcher.ask(len(values), {PROXIES: math.inf})
    searcher.tell([scored(trial.architecture, value) for trial, value in zip(trials, values, strict=True)])
    return [trial.architecture.key for trial in trials]


def parents(searcher: Any) -> list[str]:
    return [result.architecture.key for result in searcher.parents]


def test_nsga2_keeps_fronts_and_of_the_last_the_least_crowded() -> None:
    searcher = search.get("nsga2", Line(), 0, population=4, crossover=0.0)
    searcher.prepare(["f", "g"])
    told(searcher, (1, 9), (5, 5), (9, 1), (0, 0))
    assert parents(searcher) == ["p0", "p1", "p2", "p3"]
    told(searcher, (5, 6), (2, 8), (1, 1), (None, 3))  # p4 is better than p1; p0, p2, p4, p5 are one front
    assert sorted(parents(searcher)) == ["p0", "p2", "p4", "p5"]
    # p8 joins the front of five; by f they are p0, p5, p8, p4, p2, with crowding (2 + 2) / 8 for p5, 5 / 8 for p8
    told(searcher, (3, 7), (0, 0), (0, 0), (0, 0))
    assert sorted(parents(searcher)) == ["p0", "p2", "p4", "p8"]
    assert [one.architecture.key for one in searcher.front() or []] == ["p0", "p2", "p4", "p5", "p8"]
    assert searcher.notes() == {"objectives": {"f": "higher", "g": "higher"}, "generations": 3}


def test_nsga2_tournaments_go_to_the_better_front_and_failures_lose() -> None:
    pool = Line()
    searcher = search.get("nsga2", pool, 0, population=2, crossover=0.0)
    searcher.prepare(["f", "g"])
    told(searcher, (1, 1), (2, 2))
    told(searcher, (None, None), (0, 0))
    assert pool.parents == [("p1",), ("p1",)] and sorted(parents(searcher)) == ["p0", "p1"]
    alone = Line()
    failing = search.get("nsga2", alone, 0, population=2, crossover=0.0)
    failing.prepare(["f", "g"])
    told(failing, (None, 1), (1, 1))
    assert sorted(parents(failing)) == ["p0", "p1"]  # a failure stays while there are too few values
    told(failing, (3, 0), (2, 0))
    assert alone.parents == [("p1",), ("p1",)] and "p0" not in parents(failing)


def test_nsga3_fills_the_niches_that_are_empty() -> None:
    """Two parts: lines to (0, 1), (.5, .5), (1, 0). Of a front of six the three on them stay, not their neighbours."""
    searcher = search.get("nsga3", Line(), 0, population=3, divisions=2, crossover=0.0, minimise=("f", "g"))
    searcher.prepare(["f", "g"])
    told(searcher, (0, 10), (1, 8.9), (10, 0))
    told(searcher, (5, 5), (8.9, 1), (4.5, 5.6))
    assert sorted(parents(searcher)) == ["p0", "p2", "p3"]


def test_pdns_crosses_pairs_both_ways() -> None:
    pool = Line()
    searcher = search.get("mtf_pdns", pool, 0, population=4, mutation=0.0)
    searcher.prepare(["f", "g"])
    told(searcher, (1, 9), (5, 5), (9, 1), (2, 2))
    told(searcher, (0, 0), (0, 0), (0, 0), (0, 0))
    first, turned, second, back = pool.parents
    assert turned == first[::-1] and back == second[::-1] and {*first, *second} == {"p0", "p1", "p2", "p3"}


def test_novelty_is_the_distance_to_the_archive() -> None:
    """In units of the ranges a (0, 1) and b (1, 0) are the archive, c (1, 1) is dominated; d failed."""
    made = [scored(Point(i), values) for i, values in enumerate([(4, 0), (0, 4), (0, 0), (None, 1)])]
    archive = Archive(Objectives("x", ["f", "g"]))
    for one in made:
        archive.add(one)
    assert novelty(made, archive) == pytest.approx([math.sqrt(2) / 2, math.sqrt(2) / 2, -1, -math.inf])


def test_pdns_survivors_won_a_tournament() -> None:
    """With two parents and two children every pass gives two winners: never the least novel, always the most."""
    for seed in range(6):
        searcher = search.get("mtf_pdns", Line(), seed, population=2)
        searcher.pool.space = spaces.get("bert")
        searcher.prepare(["f", "g"])
        told(searcher, (0, 9), (9, 0))
        searcher.crossover = 0.0
        told(searcher, (4, 4), (None, None))
        assert "p3" not in parents(searcher) and len(parents(searcher)) == 2
        assert {"p0", "p1"} & set(parents(searcher))


def test_swap_nas_takes_in_the_best_mutant_and_drops_the_worst() -> None:
    pool = Line()
    searcher = search.get("swap_nas", pool, 0, population=3, sample=3, mutants=2, crossover=0.0)
    assert told(searcher, (1,), (9,), (2,)) == ["p0", "p1", "p2"]
    members = []
    for values in (((3,), (0,)), ((-5,), (None,)), ((20,), (1,)), ((4,), (4,))):
        told(searcher, *values)
        members.append([one.architecture.key for one in searcher.population])  # type: ignore[attr-defined]
    # p3 replaces p0; p5 is itself the worst; p7 replaces p2, and is the parent then; of equals the earlier, p9, joins
    assert members == [["p1", "p2", "p3"], ["p1", "p2", "p3"], ["p1", "p3", "p7"], ["p1", "p7", "p9"]]
    assert pool.parents == [("p1",)] * 6 + [("p7",)] * 2 and searcher.notes() == {"cycles": 4}


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "mtf_pdns", "swap_nas"])
def test_what_is_asked_does_not_depend_on_the_batch(name: str) -> None:
    space = spaces.get("bert").reduce({"layers": 2})
    target = space.sample(np.random.default_rng(3))

    def searched(batch: int) -> list[str]:
        found = search.get(name, SpacePool(space), 4, population=6, **({"sample": 3} if name == "swap_nas" else {}))
        keys: list[str] = []
        while len(keys) < 40:
            trials = found.ask(batch, {PROXIES: 40 - len(keys)})
            found.tell(
                [
                    scored(t.architecture, (-space.distance(t.architecture, target), -len(t.architecture.key)))
                    if name == "swap_nas"
                    else scored(
                        t.architecture,
                        (-space.distance(t.architecture, target), float(-space.counts(t.architecture).parameters)),
                    )
                    for t in trials
                ]
            )
            keys += [t.architecture.key for t in trials]
        return keys

    assert searched(1) == searched(4) == searched(40)


@pytest.mark.parametrize(
    ("name", "options", "labels", "sentence"),
    [
        (
            "nsga2",
            {},
            ["zerolm"],
            "Searcher 'nsga2' needs two or more objectives, but got zerolm alone; for example "
            "proxy=[zerolm,parameters].",
        ),
        (
            "mtf_pdns",
            {"objectives": ["parameters"]},
            ["zerolm", "parameters"],
            "Searcher 'mtf_pdns' needs two or more objectives, but got parameters alone; for example "
            "searcher.objectives=[parameters,zerolm].",
        ),
        (
            "nsga3",
            {"divisions": 2000},
            ["a", "b", "c"],
            "Searcher 'nsga3' would have 2,003,001 reference directions with divisions=2000 and 3 objectives; it takes "
            "up to 100,000, so use fewer divisions.",
        ),
    ],
)
def test_objectives_are_checked_before_anything_is_asked(
    name: str, options: dict[str, Any], labels: list[str], sentence: str
) -> None:
    with pytest.raises(ZeronasError) as error:
        search.get(name, Line(), 0, **options).prepare(labels)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("nsga2", {"population": 1}, "needs population to be a whole number from 2 to 1,000,000, but got 1."),
        ("nsga2", {"objectives": "zerolm"}, "needs objectives to be a list of one or more, each a word or null"),
        ("nsga2", {"objectives": []}, "needs objectives to be a list of one or more, each a word or null, but got []."),
        ("mtf_pdns", {"mutation": 1.5}, "needs mutation to be a number from 0 to 1, but got 1.5."),
        ("swap_nas", {"sample": 60}, "needs sample <= population, but got (sample=60, population=50)."),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        search.get(name, Line(), 0, **options)
    assert str(error.value).startswith(f"Searcher '{name}' {sentence}")


# Whole searches


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


MINI = ["space=bert", "benchmark=mini_bert", "pool=benchmark", "proxy=[zerolm,parameters]", "executor.workers=1"]


def test_the_front_of_a_search_is_that_of_its_table(composed: Any, tmp_path: Path) -> None:
    """Interrupted after 25 of 50, and gone on: the files of one that was not, and its front is that of table.csv."""
    told = [*MINI, "searcher=mtf_pdns", "searcher.population=10", "batch=7"]
    search_app.run(composed("search", *told, "budget=25", f"run.dir={tmp_path / 'two'}"))
    search_app.run(composed("search", *told, "budget=50", f"run.dir={tmp_path / 'two'}"))
    results = search_app.run(composed("search", *told, "budget=50", f"run.dir={tmp_path / 'one'}", "batch=16"))
    for file in ("table.csv", "pareto.csv", "pareto.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    table = rows(tmp_path / "one" / "table.csv")
    assert len({row["key"] for row in table}) == 50
    values = np.array([(-float(row["zerolm"]), float(row["parameters"])) for row in table])
    worse = (values[:, None] <= values[None]).all(axis=2) & (values[:, None] < values[None]).any(axis=2)
    front = [row["key"] for row, out in zip(table, worse.any(axis=0), strict=True) if not out]
    found = rows(tmp_path / "one" / "pareto.csv")
    assert [row["key"] for row in found] == front
    truth = {row["key"]: row["truth"] for row in table}
    assert all(row["truth"] == truth[row["key"]] for row in found)
    quality = results["pareto"]["quality"]
    assert quality["known"] == results["pareto"]["size"] == len(front) and quality["architectures"] == 150
    assert 0 < quality["found"]["hypervolume"] <= quality["best"]["hypervolume"] < 1.05**2
    assert results["searcher_notes"] == {"objectives": {"zerolm": "higher", "parameters": "lower"}, "generations": 5}
    text = (tmp_path / "one" / "summary.md").read_text()
    assert f"- front: {len(front)} of the 50 scored architectures are non-dominated in zerolm " in text
    assert f"- front by truth: {len(front)} of the {len(front)} are in mini_bert; on its nats/masked t" in text
    assert json.loads((tmp_path / "one" / "results.json").read_text())["pareto"]["quality"]["reference"] == [1.05, 1.05]


def test_a_front_that_no_table_knows_is_said_to_be_unknown(composed: Any, tmp_path: Path) -> None:
    told = ["space=bert", "proxy=[zerolm,parameters]", "searcher=nsga2", "budget=5", f"run.dir={tmp_path}"]
    results = search_app.run(composed("search", *told, "benchmark=mini_bert", "pool=space"))
    assert results["pareto"]["quality"]["known"] == 0 and not (tmp_path / "pareto.png").exists()
    assert "- front by truth: unknown, none of them is in mini_bert" in (tmp_path / "summary.md").read_text()
    plain = search_app.run(composed("search", *told, "benchmark=none", "pool=space", "fresh=true"))
    assert plain["pareto"]["quality"] is None and plain["pareto"]["size"] > 0


def test_a_search_of_one_objective_has_no_front(composed: Any, tmp_path: Path) -> None:
    results = search_app.run(composed("search", *MINI, "searcher=random", "budget=5", f"run.dir={tmp_path}"))
    assert results["pareto"] is None and not (tmp_path / "pareto.csv").exists()
    assert "front" not in (tmp_path / "summary.md").read_text()
