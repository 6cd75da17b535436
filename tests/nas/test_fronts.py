"""Dominance, crowding, niches, the archive and the indicators, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.core.errors import ZeronasError
from nas.engine.trials import Result, Trial
from nas.judge.pareto import Plane, Quality, course, non_dominated
from nas.search.fronts import Normaliser, associated, crowding, directions, divisions, niched, ranks
from nas.search.objectives import Archive, Objectives
from proxies.base import Score


class Named:
    def __init__(self, key: str) -> None:
        self.key = key


def result(key: str, **values: float | None) -> Result:
    scores = {label: Score(value, "failed" if value is None else "") for label, value in values.items()}
    return Result(Trial(Named(key)), scores)


def test_ranks_are_the_fronts() -> None:
    points = np.array([[1, 4], [3, 3], [2, 2], [4, 1], [5, 5], [2, 2]], dtype=float)
    assert ranks(points).tolist() == [0, 1, 0, 0, 2, 0]  # equal points dominate none another


def test_crowding_is_the_distance_of_the_neighbours() -> None:
    """Ranges are 8 and 8; of the second by the first objective: (2 - 0) / 8 + (8 - 4) / 8."""
    points = np.array([[2, 4], [0, 8], [8, 0], [1, 5]], dtype=float)
    assert crowding(points).tolist() == [(8 - 1) / 8 + (5 - 0) / 8, math.inf, math.inf, 2 / 8 + 4 / 8]
    assert crowding(np.array([[3.0, 1.0]])).tolist() == [math.inf]
    assert crowding(np.ones((3, 2))).tolist() == [math.inf, 0.0, math.inf]  # no range, no distance


def test_directions_lie_on_the_simplex() -> None:
    assert directions(2, 2).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    three = directions(3, 4)
    assert len(three) == len({tuple(row) for row in three.tolist()}) == 15
    assert np.allclose(three.sum(axis=1), 1) and (three * 4 == np.round(three * 4)).all()
    assert directions(1, 1).tolist() == [[1]]
    # C(2, 1) .. : 20 of two objectives, 15 of three (21 with a part more), 20 of four; at least one part
    assert [divisions(m, 20) for m in (1, 2, 3, 4)] == [1, 19, 4, 3] and divisions(5, 2) == 1


def test_points_are_normalised_by_the_intercepts() -> None:
    """The extreme points (2, 0) and (0, 4) span the plane with the intercepts 2 and 4; (1, 1) is inside."""
    points = np.array([[2, 0], [0, 4], [1, 1]], dtype=float)
    scale = Normaliser(2)
    assert scale(points, points).tolist() == [[1, 0], [0, 1], [0.5, 0.25]]
    later = np.array([[1, 2], [3, 1]], dtype=float)  # the ideal point and the extremes seen before stay
    assert scale(later, later).tolist() == [[0.5, 0.5], [1.5, 0.25]]
    one = np.array([[3, 5]], dtype=float)
    assert Normaliser(2)(one, one).tolist() == [[0, 0]]  # no range at all


def test_points_belong_to_the_nearest_line() -> None:
    lines = np.array([[0, 1], [0.5, 0.5], [1, 0]])
    nearest, distance = associated(np.array([[3, 1], [2, 2], [0, 0], [1, 5]], dtype=float), lines)
    assert nearest.tolist() == [2, 1, 0, 0] and distance == pytest.approx([1, 0, 0, 1])


def test_niches_with_the_fewest_members_are_filled_first() -> None:
    """Line 0 has two members, line 2 has one; of the last front, line 1 gives its nearest, then line 2 one."""
    lines, distances = np.array([0, 1, 1, 2]), np.array([0.0, 0.3, 0.2, 0.0])
    taken = np.array([0, 0, 2])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        first, *others = niched(lines, distances, taken, 4, rng)
        assert first == 2 and sorted(others) == [0, 1, 3] and others[-1] == 0
    assert niched(lines, distances, taken, 0, np.random.default_rng(0)) == []


def test_objectives_are_minimised_where_they_are_complexities() -> None:
    objectives = Objectives("Searcher 'x'", ["snip", "parameters"])
    assert dict(objectives.aims) == {"snip": "higher", "parameters": "lower"}
    assert objectives.point(result("a", snip=3.0, parameters=7.0)).tolist() == [-3, 7]  # type: ignore[union-attr]
    assert objectives.point(result("a", snip=None, parameters=7.0)) is None
    sizes = Objectives("Searcher 'x'", ["snip", "parameters", "flops"], ["parameters", "flops"])
    assert sizes.point(result("a", snip=None, parameters=7.0, flops=1.0)) is None  # as the fitness failed
    assert sizes.point(result("a", snip=0.0, parameters=7.0, flops=1.0)).tolist() == [7, 1]  # type: ignore[union-attr]
    turned = Objectives("Searcher 'x'", ["snip", "parameters"], ["parameters", "snip"], ["snip"], ["snip"])
    assert turned.point(result("a", snip=-999.0, parameters=7.0)).tolist() == [-7, -3]  # type: ignore[union-attr]
    assert turned.point(result("a", snip=9.0, parameters=7.0)).tolist() == [-7, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            (["snip"],),
            "Searcher 'x' has the objective 'snip', which is no proxy of this run. Available: parameters, synflow.",
        ),
        (
            (["synflo", "synflow"],),
            "Searcher 'x' has the objective 'synflo', which is no proxy of this run. Did you mean 'synflow'? "
            "Available: parameters, synflow.",
        ),
        ((["synflow", "synflow"],), "Searcher 'x' has the objective 'synflow' twice; name each once."),
        (
            (["synflow"], ["parameters"]),
            "Searcher 'x' is to minimise 'parameters', which is no objective. Available: synflow.",
        ),
        (
            (None, None, ["flops"]),
            "Searcher 'x' is to take the logarithm of 'flops', which is no objective. Did you mean 'synflow'? "
            "Available: parameters, synflow.",
        ),
    ],
)
def test_objectives_are_checked(arguments: tuple[list[str] | None, ...], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        Objectives("Searcher 'x'", ["synflow", "parameters"], *arguments)  # type: ignore[arg-type]
    assert str(error.value) == sentence


def test_the_archive_holds_what_no_other_dominates() -> None:
    archive = Archive(Objectives("x", ["f", "g"]))
    joined = [
        archive.add(result(key, f=f, g=g))
        for key, f, g in (("a", 1, 5), ("b", 3, 3), ("c", 2, 2), ("d", 1, 5), ("e", 3, 4), ("h", 9, None))
    ]
    # c is worse than b, d equals a and stays, e is better than b, which leaves; a failure never joins
    assert joined == [True, True, False, True, True, False]
    assert [one.architecture.key for one in archive.members] == ["a", "d", "e"]
    assert archive.points.tolist() == [[-1, -5], [-1, -5], [-3, -4]]


def test_an_archive_is_the_front_of_all_that_was_offered() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(1, 8, size=(120, 3)).astype(float)
    archive = Archive(Objectives("x", ["f", "g", "h"]))
    for i, (f, g, h) in enumerate(values):
        archive.add(result(str(i), f=f, g=g, h=h))
    better = (values[:, None] >= values[None]).all(axis=2) & (values[:, None] > values[None]).any(axis=2)
    assert [int(one.architecture.key) for one in archive.members] == np.flatnonzero(~better.any(axis=0)).tolist()


# The judgement: loss and parameters are 0, 1 or 2, so the front (0, 2), (1, 1), (2, 0) is (0, 1), (.5, .5), (1, 0)

POINTS = np.array([[0, 2], [1, 1], [2, 0], [2, 2]], dtype=float)


def test_a_tables_own_front() -> None:
    """Hypervolume to (1.05, 1.05): .5 * .05 + .5 * .55 + .05 * 1.05."""
    plane = Plane(POINTS)
    assert plane.front.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert vars(plane.best) == pytest.approx({"hypervolume": 0.3525, "igd": 0.0, "igd_plus": 0.0})
    assert non_dominated(POINTS).tolist() == [True, True, True, False]


def test_a_found_front_is_judged_by_what_is_not_dominated() -> None:
    """(1, 0) alone: .05 * 1.05; it is sqrt(2), sqrt(1/2) and 0 away, and 1, .5 and 0 where only the worse counts."""
    plane = Plane(POINTS)
    expected = {"hypervolume": 0.0525, "igd": (math.sqrt(2) + math.sqrt(0.5)) / 3, "igd_plus": 0.5}
    assert vars(plane.quality(POINTS[[2]])) == pytest.approx(expected)
    assert vars(plane.quality(POINTS[[3, 2]])) == pytest.approx(expected)  # the other one is dominated
    assert plane.quality(POINTS[:0]) == Quality(0.0, None, None)
    assert plane.quality(np.array([[5.0, 5.0]])).hypervolume == 0  # beyond the reference point


def test_a_table_of_one_value_has_no_range() -> None:
    plane = Plane(np.array([[3.0, 4.0], [3.0, 4.0]]))
    assert plane.front.tolist() == [[0, 0]] and plane.best.hypervolume == pytest.approx(1.05**2)


def test_the_course_is_filled_by_proxies_and_judged_by_truth() -> None:
    """The proxy prefers b to c of the same size, though its loss is greater; then e leaves everything behind."""
    truth = {"a": (0.0, 2.0), "b": (2.0, 1.0), "c": (1.0, 1.0), "d": (2.0, 0.0)}
    told = [
        result("a", p=9.0, parameters=2.0),
        result("c", p=5.0, parameters=1.0),
        result("b", p=7.0, parameters=1.0),
        result("d", p=1.0, parameters=3.0),
        result("e", p=10.0, parameters=0.5),
    ]
    plane = Plane(POINTS)
    path = list(course(told, Objectives("x", ["p", "parameters"]), plane, truth))
    a, c, b = np.array([[0, 2]], dtype=float), np.array([[1, 1]], dtype=float), np.array([[2, 1]], dtype=float)
    assert path == [
        plane.quality(a),
        plane.quality(np.concatenate([a, c])),
        plane.quality(np.concatenate([a, b])),
        plane.quality(np.concatenate([a, b])),  # d is dominated in the proxies
        Quality(0.0, None, None),  # e has no truth
    ]
