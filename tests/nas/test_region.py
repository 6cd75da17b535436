"""The trust region: distances by hand, and no searcher that leaves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spaces
from nas import search
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.pools import BenchmarkPool, SpacePool
from nas.engine.region import Region, RegionSettings
from nas.search import Result
from spaces.rnn import parse_cell

SPACE = spaces.get("rnn")


class Line:
    """A space of whole numbers that draws 0, 1, 2, ..; the distance of two is their difference."""

    known: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.drawn = -1

    def sample(self, rng: np.random.Generator) -> int:
        self.drawn += 1
        return self.drawn

    def features(self, architecture: int) -> np.ndarray:
        return np.array([float(architecture)])

    def contains(self, architecture: int) -> bool:
        return True


def line(share: float, **known: int) -> Region:
    space = Line()
    space.known = known
    return Region(space, 0, RegionSettings("sampler", share=share, draws=20))  # type: ignore[arg-type]


def test_the_reach_is_a_quantile_of_distances_to_the_fifth_nearest() -> None:
    """Of 0 .. 19 the fifth nearest is 5 away at the ends, 4 beside them, and 3 (two on a side, then one) between."""
    assert (line(0.75).reach, line(0.75).held) == (3.0, 0.8)
    assert (line(0.81).reach, line(0.81).held) == (4.0, 0.9)
    assert (line(1.0).reach, line(1.0).held) == (5.0, 1.0)
    region = line(1.0)
    assert [region.distance(at) for at in (10, 19, 20, 23, -1)] == [2.0, 4.0, 5.0, 8.0, 5.0]
    assert region.holds(20) and not region.holds(21) and region.holds(-1) and not region.holds(-2)


def test_what_is_near_to_the_known_is_inside() -> None:
    region = line(0.75, special=30)
    assert (region.reach, region.held) == (3.0, 0.8)
    assert [region.distance(at) for at in (30, 28, 24, 10)] == [0.0, 2.0, 6.0, 2.0]
    assert [at for at in range(20, 40) if region.holds(at)] == list(range(27, 34))


def test_the_region_of_cells_holds_the_sampler_and_the_known_and_no_monster() -> None:
    region = Region(SPACE, 0, RegionSettings("sampler", draws=400))
    assert region.held >= 0.99
    fresh = [SPACE.sample(seeds.generator(1, "fresh", i)) for i in range(300)]
    assert sum(map(region.holds, fresh)) >= 285  # of 1,000 at 1,000 draws, 996
    assert all(map(region.holds, SPACE.known.values()))
    monster: dict[str, Any] = {"a": {"op": "linear", "input": ["x", "h_prev_0"]}}
    names = ["a", "h_prev_0", *(f"p{i}" for i in range(12))]
    for i in range(12):  # products of products
        monster[f"p{i}"] = {"op": "elementwise_prod", "input": [names[i], names[i + 1]]}
    monster["h_new_0"] = {"op": "elementwise_prod", "input": ["p11", "p10"]}
    assert not region.holds(parse_cell(monster))


def test_it_depends_on_seed_and_reduction_alone() -> None:
    np.random.seed(1)
    settings = RegionSettings("sampler", draws=50)
    first, again, other = (Region(SPACE, seed, settings) for seed in (0, 0, 1))
    narrow = Region(SPACE.reduce({"hidden_states": 1}), 0, settings)
    cells = [SPACE.sample(seeds.generator(2, i)) for i in range(20)]
    distances = [[region.distance(cell) for cell in cells] for region in (first, again, other, narrow)]
    assert distances[0] == distances[1]
    assert distances[0] != distances[2] and distances[0] != distances[3]


@pytest.mark.parametrize("space", ["rnn", "bert", "stack"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("evolution", {"population": 8, "tournament": 4, "crossover": 0.3}),
        ("local", {"starts": 2}),
        ("random", {}),
        ("optuna", {"sampler": "random"}),
    ],
)
def test_no_searcher_leaves_it(name: str, options: dict[str, Any], space: str) -> None:
    """The fitness pulls away from the draws."""
    whole = spaces.get(space)
    region = Region(whole, 0, RegionSettings("sampler", share=0.5, draws=60))
    pool = SpacePool(whole, region)
    searcher = search.get(name, pool, 0, **options)
    asked: list[Any] = []
    for _ in range(12):
        trials = searcher.ask(5, {"proxies": 5})
        asked += [trial.architecture for trial in trials]
        searcher.tell([Result.of(one.architecture, region.distance(one.architecture)) for one in trials])
    assert len(asked) == 60 and all(map(region.holds, asked))
    assert pool.turned_away > 0


def test_neighbours_are_inside() -> None:
    region = Region(SPACE, 0, RegionSettings("sampler", share=0.5, draws=60))
    pool, start = SpacePool(SPACE, region), SPACE.known["LSTM"]
    near = [cell.key for cell in pool.neighbours(start)]
    assert near == [cell.key for cell in SPACE.neighbours(start) if region.holds(cell)]
    assert 0 < len(near) < sum(1 for _ in SPACE.neighbours(start))


def test_a_region_that_holds_nothing_ends_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    region = Region(SPACE, 0, RegionSettings("sampler", draws=20))
    monkeypatch.setattr(region, "reach", -1.0)
    pool, rng = SpacePool(SPACE, region), np.random.default_rng(0)
    assert pool.sample(rng) is None and pool.turned_away == 200
    assert pool.mutate(SPACE.known["GRU"], rng) is None
    with pytest.raises(ZeronasError) as error:
        BenchmarkPool(SPACE, list(SPACE.known.values()), region)
    assert str(error.value) == "None of the benchmark's 3 architectures lies in the region; use region=none."


def test_a_benchmark_pool_has_the_members_inside() -> None:
    region = Region(SPACE, 0, RegionSettings("sampler", share=0.5, draws=60))
    cells = [SPACE.sample(seeds.generator(3, i)) for i in range(60)]
    pool = BenchmarkPool(SPACE, cells, region)
    inside = {cell.key for cell in cells if region.holds(cell)}
    assert {cell.key for cell in pool.members} == inside == set(pool.index)
    assert 0 < len(inside) < len({cell.key for cell in cells})
    assert {cell.key for cell in cells if pool.contains(cell)} == inside
