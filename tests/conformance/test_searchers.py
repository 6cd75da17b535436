"""What every searcher must do, on open spaces and on benchmarks. To cover a new searcher, add its line to ``CASES``."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import made_table
import spaces
from nas import search
from nas.core.errors import ZeronasError
from nas.engine.pools import BenchmarkPool, Pool, SpacePool
from nas.engine.trials import PROXIES, TRUTH, Trial
from nas.search import SEARCHERS, Result, Searcher
from proxies.base import Score
from spaces.base import Space

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "evolution": ("evolution", {"population": 6, "tournament": 3}),
    "evolution with crossover": ("evolution", {"population": 6, "tournament": 3, "crossover": 0.5}),
    "local": ("local", {"starts": 3}),
    "tpe": ("optuna", {"sampler": "tpe"}),
    "gp": ("optuna", {"sampler": "gp"}),
    "nsga2": ("optuna", {"sampler": "nsga2"}),
    "optuna nsga3": ("optuna", {"sampler": "nsga3"}),
    "tpe on truth": ("optuna", {"sampler": "tpe", "of": "truth", "together": 3}),
    "optuna random": ("optuna", {"sampler": "random"}),
    "greedy": ("greedy", {"draw": 7}),
    "bayes": ("bayes", {"drawn": 8, "start": 1, "spread": 1, "children": 4, "parents": 2}),
    "robot": ("robot", {"drawn": 30}),
    "hnas": ("hnas", {"metric": "fitness", "condition": "fitness", "drawn": 30, "joining": 10}),
    "proxybo": ("proxybo", {"drawn": 8, "start": 2, "children": 4, "folds": 2}),
    "bananas": ("bananas", {"drawn": 8, "start": 2, "together": 3, "children": 4, "layers": 2, "epochs": 5}),
    "zero_cost": ("zero_cost", {"population": 4, "tournament": 2, "warmup": 6, "proposals": 3}),
    "halving": ("halving", {"start": 4, "drawn": 30}),
    "r_mf_nas": ("r_mf_nas", {"candidates": 4}),
    "random on truth": ("random", {"of": "truth"}),
    "evolution on truth": ("evolution", {"population": 6, "tournament": 3, "of": "truth"}),
    "local on truth": ("local", {"starts": 3, "of": "truth"}),
    "NSGA-II": ("nsga2", {"population": 6}),
    "NSGA-III": ("nsga3", {"population": 6}),
    "MTF-PDNS": ("mtf_pdns", {"population": 6}),
    "SWAP-NAS": ("swap_nas", {"population": 6, "sample": 3, "mutants": 4}),
    "bayes by a forest": ("bayes", {"model": "forest", "drawn": 8, "start": 1, "spread": 1, "children": 4}),
}
SLOW = ("gp", "bayes by a forest", "robot", "hnas", "proxybo")  # where every member is asked for
#: with less than a batch: for truths, or for the last of a generation
WAITING = (
    "zero_cost",
    "tpe on truth",
    "evolution on truth",
    "local on truth",
    "NSGA-II",
    "NSGA-III",
    "MTF-PDNS",
    "SWAP-NAS",
)
BUDGET = {"gp": 12}  # a Gaussian process is fitted to every trial past the tenth


@cache
def whole(name: str) -> Space[Any]:
    return spaces.get(name, **(made_table.options() if name == "table" else {}))


@cache
def reduced(name: str) -> Space[Any]:
    rules: dict[str, dict[str, Any]] = {
        "rnn": {"hidden_states": 1, "nodes": {"max": 5}},
        "bert": {"layers": 2, "hidden_size": 128, "sa_layers": {"min": 1}},
        "stack": {"layers": [2, 3]},
        "table": {"width": [16, 32]},
    }
    return whole(name).reduce(rules[name])


@cache
def members(name: str, n: int = 40) -> list[Any]:
    """Distinct architectures, also some that the reduction forbids."""
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    while len(found) < n:
        item = reduced(name).sample(rng)
        found[item.key] = item
    for _ in range(5):
        item = whole(name).sample(rng)
        found[item.key] = item
    return list(found.values())


POOLS: dict[str, Callable[[], Pool]] = {
    "space of cells": lambda: SpacePool(reduced("rnn")),
    "space of BERT": lambda: SpacePool(reduced("bert")),
    "space of a table": lambda: SpacePool(reduced("table")),
    "benchmark of a table": lambda: BenchmarkPool(reduced("table"), members("table")),
    "space of stacks": lambda: SpacePool(reduced("stack")),
    "benchmark of stacks": lambda: BenchmarkPool(reduced("stack"), members("stack")),
    "benchmark of cells": lambda: BenchmarkPool(reduced("rnn"), members("rnn")),
    "benchmark of BERT": lambda: BenchmarkPool(reduced("bert"), members("bert")),
    "whole space of BERT": lambda: SpacePool(spaces.get("bert")),
}


def fitness(architecture: Any) -> float:
    """A smooth function of the architecture: near to the first member of its benchmark is good."""
    name = architecture.key.split("-")[0]
    return -reduced(name).distance(architecture, members(name)[0])


def failing(architecture: Any) -> float:
    return -math.inf if int(architecture.key[-1], 16) % 3 == 0 else fitness(architecture)


def pools(case: str) -> list[str]:
    """Proposals of a Gaussian process cost up to a second, so it gets the pool that turns none of them down."""
    return [pool for pool in POOLS if pool.startswith("whole") == (case == "gp")]


PAIRS = [(case, pool) for case in CASES for pool in pools(case)]


def make(case: str, pool: str, seed: int = 0) -> Searcher:
    name, options = CASES[case]
    return search.get(name, POOLS[pool](), seed, **options)


def asked_of(searcher: Searcher, n: int) -> list[Any]:
    """What a searcher proposes, the budget being no matter; truths of what it proposed before are told."""
    while True:
        trials = searcher.ask(n, {PROXIES: math.inf, TRUTH: 1e6 if searcher.asks_truth else 0.0})
        if not trials or trials[0].measure == searcher.measure:
            return [trial.architecture for trial in trials]
        searcher.tell([Result(trial, {TRUTH: Score(fitness(trial.architecture))}) for trial in trials])


def told(searcher: Searcher, architecture: Any, value: float) -> Result:
    """The answer to a proposal."""
    if searcher.measure == PROXIES:
        return Result.of(architecture, value)
    score = Score(value) if value > -math.inf else Score(None, "diverged: not finite")
    return Result(Trial(architecture, TRUTH), {TRUTH: score})


def turns(
    searcher: Searcher, budget: int, judge: Callable[[Any], float] = fitness, sizes: tuple[int, ...] = (1, 3, 2)
) -> Iterator[list[Result]]:
    """Asks and tells in batches of changing size until the budget is spent or nothing is left."""
    spent = turn = 0
    while spent < budget:
        asked = asked_of(searcher, min(sizes[turn % len(sizes)], budget - spent))
        if not asked:
            return
        results = [told(searcher, item, judge(item)) for item in asked]
        searcher.tell(results)
        yield results
        spent, turn = spent + len(asked), turn + 1


def keys(batches: list[list[Result]]) -> list[list[str]]:
    return [[result.architecture.key for result in batch] for batch in batches]


def test_every_registered_searcher_and_sampler_is_covered() -> None:
    assert {name for name, _ in CASES.values()} == set(SEARCHERS)
    from nas.search.optuna import _samplers

    assert {options["sampler"] for name, options in CASES.values() if name == "optuna"} == set(_samplers())


@pytest.mark.parametrize("name", SEARCHERS.names())
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ZeronasError) as error:
        search.get(name, POOLS["benchmark of BERT"](), 0, no_such_option=1)
    assert str(error.value).startswith(f"Searcher '{name}' has no option 'no_such_option'.")


@pytest.mark.parametrize(("case", "pool"), PAIRS)
def test_asks_are_distinct_members_and_repeatable(case: str, pool: str) -> None:
    """Same seed, same asks, whatever the global generators do; a resumed run goes on as its history says."""
    budget = BUDGET.get(case, 24)
    searcher = make(case, pool)
    first = list(turns(searcher, budget))
    asked = [result.architecture for batch in first for result in batch]
    assert len(asked) == budget and len({item.key for item in asked}) == budget
    assert all(searcher.pool.space.contains(item) for item in asked)
    assert searcher.pool.visited == {item.key for item in asked}
    if "benchmark" in pool:
        assert {item.key for item in asked} <= {item.key for item in members(asked[0].key.split("-")[0])}

    np.random.seed(9)
    random.seed(9)
    torch.manual_seed(9)
    again = make(case, pool)
    half = len(first) // 2
    for batch in first[:half]:  # the journal's scores are told, nothing is scored
        items = asked_of(again, len(batch))
        assert [item.key for item in items] == [result.architecture.key for result in batch]
        again.tell([told(again, item, result.fitness) for item, result in zip(items, batch, strict=True)])
    for batch in first[half:]:
        items = asked_of(again, len(batch))
        assert [item.key for item in items] == [result.architecture.key for result in batch]
        again.tell([told(again, item, fitness(item)) for item in items])


@pytest.mark.parametrize("case", CASES)
def test_another_seed_asks_for_others(case: str) -> None:
    first, second = (keys(list(turns(make(case, pools(case)[-1], seed), 8))) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize(
    ("case", "pool"),
    [(case, "benchmark of BERT") for case in CASES if case not in SLOW]
    + [(case, "benchmark of cells") for case in CASES if CASES[case][0] != "optuna" and case not in SLOW],
)
def test_a_benchmark_is_used_up_exactly(case: str, pool: str) -> None:
    searcher = make(case, pool)
    batches = list(turns(searcher, 1000, sizes=(7,)))
    asked = [key for batch in keys(batches) for key in batch]
    allowed = [item.key for item in members(asked[0].split("-")[0]) if searcher.pool.space.contains(item)]
    assert sorted(asked) == sorted(allowed) and len(allowed) == searcher.pool.size >= 40
    assert case in WAITING or [len(batch) for batch in batches[:-1]] == [7] * (len(batches) - 1)
    assert asked_of(searcher, 0) == [] and asked_of(searcher, 1) == []


@pytest.mark.parametrize("judge", [failing, lambda item: -math.inf], ids=["some fail", "all fail"])
@pytest.mark.parametrize("case", CASES)
def test_failures_do_not_break_a_search(case: str, judge: Callable[[Any], float]) -> None:
    budget = BUDGET.get(case, 24)
    batches = list(turns(make(case, pools(case)[-1]), budget, judge))
    asked = [key for batch in keys(batches) for key in batch]
    assert len(asked) == len(set(asked)) == budget


@pytest.mark.parametrize("case", [case for case in CASES if case != "gp"])
def test_a_tiny_space_ends(case: str) -> None:
    """Four configurations: each is asked for once, and then nothing is left."""
    one = {
        "layers": 2,
        "hidden_size": 128,
        "operation_parameter": "SDP",
        "num_operation_heads": 2,
        "num_feed_forward": 1,
    }
    space = spaces.get("bert").reduce({**one, "feed_forward_dimension": [512, 1024]})
    name, options = CASES[case]
    searcher = search.get(name, SpacePool(space), 0, **options)
    asked = [key for batch in keys(list(turns(searcher, 50))) for key in batch]
    assert len(asked) == len(set(asked)) == 4  # 512 or 1024 in each of two layers
    assert asked_of(searcher, 2) == []


def test_a_sampler_of_optuna_is_asked_once_a_proposal() -> None:
    """Proposals of a Gaussian process are a function of what it was told: asked again, it would say the same."""
    searcher = make("gp", "space of BERT")
    assert sum(len(batch) for batch in turns(searcher, 12, sizes=(1,))) == 12
    trials = searcher.study.trials  # type: ignore[attr-defined]
    assert len({str(trial.params) for trial in trials}) == len(trials) == 12
    assert [trial.number for trial in trials] == list(range(12))


@pytest.mark.parametrize("case", ["evolution", "evolution with crossover", "local", "tpe"])
def test_searchers_that_learn_beat_random_draws(case: str) -> None:
    """Mean of the last third of 60 asks against the mean of random draws, for three seeds."""
    better = 0
    for seed in range(3):
        name, options = CASES[case]
        searcher = search.get(name, SpacePool(spaces.get("bert")), seed, **options)
        target = spaces.get("bert").sample(np.random.default_rng(99))

        def judge(item: Any, target: Any = target) -> float:
            return -spaces.get("bert").distance(item, target)

        found = [r.fitness for batch in turns(searcher, 60, judge) for r in batch]
        rng = np.random.default_rng(seed)
        drawn = [judge(spaces.get("bert").sample(rng)) for _ in range(200)]
        better += np.mean(found[40:]) > np.mean(drawn)
    assert better == 3


# Evolution, local search and pools by hand, on the whole numbers of a line


class Point:
    def __init__(self, at: int) -> None:
        self.at, self.key = at, f"p{at}"


class Line(Pool):
    """The points 0 .. size-1 in a row; mutation gives fresh points and remembers the parents."""

    def __init__(self, size: int = 40, starts: tuple[int, ...] = ()) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.points = [Point(i) for i in range(size)]
        self.starts = list(starts)
        self.parents: list[tuple[str, ...]] = []

    def admit(self, architecture: Any) -> Any | None:
        return None if architecture.key in self.visited else architecture

    def _left(self) -> list[Point]:
        return [point for point in self.points if point.key not in self.visited]

    def sample(self, rng: np.random.Generator) -> Any | None:
        if self.starts:
            return self.points[self.starts.pop(0)]
        return self._left()[0] if self._left() else None

    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any | None:
        self.parents.append((architecture.key,))
        return self._left()[0]

    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any | None:
        self.parents.append((first.key, second.key))
        return self._left()[0]

    def neighbours(self, architecture: Any) -> Iterator[Any]:
        for at in (architecture.at - 1, architecture.at + 1):
            if 0 <= at < len(self.points) and self.points[at].key not in self.visited:
                yield self.points[at]


def one(searcher: Searcher, value: float) -> str:
    (point,) = asked_of(searcher, 1)
    searcher.tell([Result.of(point, value)])
    return str(point.key)


def test_evolution_selects_the_fittest_and_drops_the_oldest() -> None:
    """Population 3, tournament 3: the parent is the fittest of the last three, however good an older one was."""
    pool = Line()
    searcher = search.get("evolution", pool, 0, population=3, tournament=3)
    assert [one(searcher, value) for value in (9.0, 1.0, 2.0)] == ["p0", "p1", "p2"]
    assert pool.parents == []  # the first three are random
    one(searcher, 0.0)  # p3, a child of p0 (9); p0 is then the oldest and leaves
    one(searcher, -1.0)  # p4, of p2 (2) among p1, p2, p3
    one(searcher, -2.0)  # p5, of p2 among p2, p3, p4
    one(searcher, 5.0)  # p6, of p3 (0) among p3, p4, p5
    one(searcher, 0.0)  # p7, of p6 (5)
    assert pool.parents == [("p0",), ("p2",), ("p2",), ("p3",), ("p6",)]


def test_a_failed_child_ages_but_never_wins() -> None:
    pool = Line()
    searcher = search.get("evolution", pool, 0, population=2, tournament=2)
    for value in (-math.inf, 1.0, -math.inf, -math.inf):
        one(searcher, value)
    assert pool.parents == [("p1",), ("p1",)]
    one(searcher, 0.0)  # only failures are left
    assert pool.parents[-1] in {("p2",), ("p3",)}


def test_a_tournament_of_one_is_a_uniform_choice() -> None:
    """300 tournaments among three: each wins about 100 times, within five standard errors (8.2)."""
    pool = Line(400)
    searcher = search.get("evolution", pool, 0, population=3, tournament=1)
    searcher.tell(
        [Result.of(point, value) for point, value in zip(asked_of(searcher, 3), (3.0, 2.0, 1.0), strict=True)]
    )
    asked_of(searcher, 300)
    wins = [pool.parents.count((f"p{i}",)) for i in range(3)]
    assert sum(wins) == 300 and all(abs(count - 100) < 41 for count in wins)


def test_crossover_recombines_two_winners() -> None:
    pool = Line()
    searcher = search.get("evolution", pool, 0, population=3, tournament=3, crossover=1.0)
    for value in (1.0, 9.0, 2.0, 0.0):
        one(searcher, value)
    assert pool.parents == [("p1", "p1")]


def climb(searcher: Searcher, turns: int, top: int) -> list[str]:
    path = []
    for _ in range(turns):
        (point,) = asked_of(searcher, 1)
        searcher.tell([Result.of(point, -abs(point.at - top))])
        path.append(point.key)
    return path


def test_local_search_climbs_and_restarts_at_a_local_optimum() -> None:
    """From 4 up to 7; then both neighbours are worse or known, and the next start is 20."""
    pool = Line(starts=(4, 20))
    path = climb(search.get("local", pool, 0, starts=1), 12, top=7)
    assert path[0] == "p4"
    climbed = path[1 : path.index("p20")]
    assert set(climbed) - {"p3"} == {"p5", "p6", "p7", "p8"}
    assert [p for p in climbed if p in ("p5", "p6", "p7")] == ["p5", "p6", "p7"]
    after = path[path.index("p20") + 1 :]
    assert after and set(after) <= {"p21", "p19", "p18", "p17", "p16", "p15", "p14", "p13"}


def test_local_search_starts_from_the_best_of_its_starts() -> None:
    pool = Line(starts=(30, 10, 20))
    path = climb(search.get("local", pool, 0, starts=3), 4, top=8)
    assert path[:3] == ["p30", "p10", "p20"] and path[3] in ("p9", "p11")


def test_a_batch_across_a_restart_starts_afresh() -> None:
    """5 is a local optimum; a batch holds its last neighbours and the next start, 30, which is where to go on."""
    pool = Line(starts=(5, 30))
    searcher = search.get("local", pool, 0, starts=1)
    one(searcher, 0.0)
    batch = asked_of(searcher, 3)
    assert {point.key for point in batch} == {"p4", "p6", "p30"}
    searcher.tell([Result.of(point, -10.0 if point.at == 30 else -1.0) for point in batch])
    assert {point.key for point in asked_of(searcher, 2)} == {"p29", "p31"}


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "evolution",
            {"population": 1},
            "Searcher 'evolution' needs population to be a whole number from 2 to 1,000,000, but got 1.",
        ),
        (
            "evolution",
            {"tournament": 0},
            "Searcher 'evolution' needs tournament to be a whole number of 1 or more, but got 0.",
        ),
        (
            "evolution",
            {"population": 5, "tournament": 6},
            "Searcher 'evolution' needs tournament <= population, but got (tournament=6, population=5).",
        ),
        (
            "evolution",
            {"crossover": 1.5},
            "Searcher 'evolution' needs crossover to be a number from 0 to 1, but got 1.5.",
        ),
        (
            "evolution",
            {"crossover": math.nan},
            "Searcher 'evolution' needs crossover to be a number from 0 to 1, but got nan.",
        ),
        ("local", {"starts": 2.0}, "Searcher 'local' needs starts to be a whole number of 1 or more, but got 2.0."),
        (
            "optuna",
            {"sampler": "tp"},
            "Unknown sampler 'tp' of searcher 'optuna'. Did you mean 'tpe'? Available: gp, nsga2, nsga3, random, tpe.",
        ),
        (
            "evolution",
            {"tournaments": 3},
            "Searcher 'evolution' has no option 'tournaments'. Did you mean 'tournament'? "
            "Available: crossover, fidelity, of, population, together, tournament.",
        ),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        search.get(name, Line(), 0, **options)
    assert str(error.value) == sentence


def test_unknown_searchers_are_told_the_nearest() -> None:
    with pytest.raises(ZeronasError, match=r"^Unknown searcher 'evolutoin'\. Did you mean 'evolution'\? Available: "):
        search.get("evolutoin", Line(), 0)


# Pools


def test_a_proposal_is_mapped_to_the_nearest_unvisited_member() -> None:
    space, items = reduced("bert"), [m for m in members("bert") if reduced("bert").contains(m)]
    pool = BenchmarkPool(space, items)
    rng = np.random.default_rng(5)
    for _ in range(len(items)):
        proposal = space.sample(rng)
        left = [item for item in items if item.key not in pool.visited]
        distances = [space.distance(item, proposal) for item in left]
        expected = left[distances.index(min(distances))]  # the first of equally near ones
        if any(item.key == proposal.key for item in left):
            expected = proposal
        found = pool.admit(proposal)
        assert found is not None and found.key == expected.key
        pool.take(found)
    assert pool.admit(items[0]) is None and pool.sample(rng) is None and list(pool.neighbours(items[0])) == []
    assert pool.mutate(items[0], rng) is None and pool.crossover(items[0], items[1], rng) is None


def test_a_benchmark_pool_holds_what_the_reduction_allows() -> None:
    pool = BenchmarkPool(reduced("rnn"), members("rnn"))
    assert {m.key for m in pool.members} == {m.key for m in members("rnn") if reduced("rnn").contains(m)}
    assert pool.size is not None and 40 <= pool.size < len(members("rnn"))
    with pytest.raises(ZeronasError) as error:
        BenchmarkPool(spaces.get("rnn").reduce({"linears": 0}), members("rnn"))
    assert str(error.value) == (
        f"None of the benchmark's {len(members('rnn'))} architectures obeys the reduction {{'linears': [0]}}; "
        "widen it or use pool=space."
    )


def test_repeated_members_of_a_benchmark_are_given_once() -> None:
    pool = BenchmarkPool(reduced("bert"), members("bert")[:5] * 2)
    searcher = search.get("random", pool, 0)
    asked = [item.key for item in asked_of(searcher, 20)]
    assert len(asked) == len(set(asked)) == 5


def test_a_space_pool_gives_nothing_twice() -> None:
    pool = SpacePool(reduced("bert"))
    rng = np.random.default_rng(0)
    first = pool.take(pool.sample(rng))
    assert pool.admit(first) is None and pool.size is None
    near = list(pool.neighbours(first))
    assert near and first.key not in {n.key for n in near}
    gone = pool.take(near[0])
    assert gone.key not in {n.key for n in pool.neighbours(first)}
    for _ in range(20):
        assert pool.mutate(first, rng).key not in pool.visited
        assert pool.crossover(first, gone, rng).key not in pool.visited
