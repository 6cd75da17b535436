"""Finalists and the funnel by hand, on the whole numbers of a line; and by the command, on mini_rnn's curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import cli
from experiments.commands import search as app
from nas.core.errors import ZeronasError
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.funnel import Funnel, finalists, one_a_niche
from nas.search.stages import Stages
from nas.truth import benchmarks
from proxies.base import Score


class Point:
    def __init__(self, at: float) -> None:
        self.at, self.key = at, f"p{at:g}"


class Line:
    """The space of the numbers, whose only feature is the number."""

    def features(self, point: Point) -> np.ndarray:
        return np.array([point.at])


LINE: Any = Line()


def scored(*values: tuple[float, float]) -> list[Result]:
    """Of (number, fitness) in the order of the search."""
    return [Result.of(Point(at), fitness) for at, fitness in values]


def truth(trial: Trial, value: float) -> Result:
    score = Score(value) if value > -math.inf else Score(None, "diverged: not finite")
    return Result(trial, {"fitness": Score(0.0), TRUTH: score}, trial.fidelity)


def numbers(found: Sequence[Any]) -> list[float]:
    return [one.architecture.at for one in found]


def driven(
    funnel: Funnel, told: list[Result], truths: dict[tuple[float, float], float], budget: float = 100, n: int = 8
):
    """Returns all (number, share) asked for, and what they cost, as the loop counts it."""
    funnel.tell(told)
    asked: list[tuple[float, float]] = []
    reached: dict[float, float] = {}
    cost = 0.0
    while trials := funnel.ask(n, {TRUTH: budget - cost}):
        assert len(trials) <= n
        for trial in trials:
            at = trial.architecture.at
            cost += trial.fidelity - reached.get(at, 0.0)
            reached[at] = trial.fidelity
            asked.append((at, trial.fidelity))
        funnel.tell([truth(t, truths.get((t.architecture.at, t.fidelity), t.architecture.at)) for t in trials])
    return asked, cost


NINE = scored(*((float(i), float(i)) for i in range(1, 21)))  # fitness is the number


# ------------------------------------------------------------------------------------------------- rungs


def test_one_rung_asks_for_the_best_in_their_order() -> None:
    funnel = Funnel(LINE, 3)
    asked, cost = driven(funnel, scored((1, 5.0), (2, 9.0), (3, 5.0), (4, -math.inf), (5, 7.0)), {})
    assert asked == [(2, 1), (5, 1), (1, 1)]  # of equals the earlier
    assert cost == funnel.reserve == 3


def test_each_rung_trains_the_best_of_the_last_on_from_where_they_stopped() -> None:
    """9 to an eighth, 3 to three eighths, 1 to the end: 9/8 + 3/4 + 5/8 trainings."""
    funnel = Funnel(LINE, 9, (0.125, 0.375, 1.0), 3)
    assert funnel.rungs == [(9, 0.125), (3, 0.375), (1, 1.0)]
    truths = {(14.0, 0.125): 100.0, (16.0, 0.125): 99.0, (12.0, 0.125): 98.0, (16.0, 0.375): 50.0}
    asked, cost = driven(funnel, NINE, truths)
    assert asked[:9] == [(float(i), 0.125) for i in range(20, 11, -1)]
    assert asked[9:] == [(14.0, 0.375), (16.0, 0.375), (12.0, 0.375), (16.0, 1.0)]
    assert cost == pytest.approx(funnel.reserve) == pytest.approx(9 / 8 + 3 / 4 + 5 / 8)


@pytest.mark.parametrize(
    ("count", "shares", "eta", "counts"),
    [
        (9, (0.125, 0.375, 1), 3, [9, 3, 1]),
        (10, (0.125, 0.375, 1), 3, [10, 4, 2]),  # rounded up
        (8, (0.25, 0.5, 1), 2, [8, 4, 2]),
        (2, (0.25, 0.5, 1), 10, [2, 1, 1]),  # one is always left
        (27, (0.1, 1), 3, [27, 9]),
        (5, (0.5, 1), 1.5, [5, 4]),
    ],
)
def test_counts_and_their_cost(count: int, shares: tuple[float, ...], eta: float, counts: list[int]) -> None:
    funnel = Funnel(LINE, count, shares, eta)
    assert [n for n, _ in funnel.rungs] == counts
    told = scored(*((float(i), float(i)) for i in range(30)))
    asked, cost = driven(funnel, told, {})
    assert [sum(share == s for _, s in asked) for share in shares] == counts
    assert cost == pytest.approx(funnel.reserve)


def test_batches_do_not_change_what_is_asked() -> None:
    found = [driven(Funnel(LINE, 9, (0.125, 0.375, 1.0), 3), NINE, {}, n=n) for n in (1, 4, 100)]
    assert found[0] == found[1] == found[2]


def test_what_diverged_drops_out_and_the_next_takes_its_place() -> None:
    lost = {(20.0, 0.25): -math.inf, (19.0, 0.25): -math.inf, (18.0, 0.5): -math.inf}
    asked, cost = driven(Funnel(LINE, 6, (0.25, 0.5, 1.0), 2), NINE, lost)
    assert asked[:6] == [(float(i), 0.25) for i in range(20, 14, -1)]
    assert asked[6:] == [(18, 0.5), (17, 0.5), (16, 0.5), (17, 1), (16, 1)]
    early = {(float(i), 0.25): -math.inf for i in range(21)}
    asked, cost = driven(Funnel(LINE, 6, (0.25, 0.5, 1.0), 2), NINE, early)
    assert len(asked) == 6 and cost == 1.5  # nothing is left to train on


def test_where_a_later_rung_diverges_the_best_of_the_one_before_goes_on() -> None:
    lost = {(20.0, 0.5): -math.inf}
    asked, cost = driven(Funnel(LINE, 4, (0.25, 0.5, 1.0), 4), NINE, lost)
    assert asked[4:] == [(20, 0.5), (19, 1)] and cost == pytest.approx(2)  # 3/4 more, from a quarter
    asked, _ = driven(Funnel(LINE, 4, (0.25, 0.5, 1.0), 4), NINE, lost, budget=1.8)
    assert asked[4:] == [(20, 0.5)]  # the budget of an undisturbed funnel, 1.75, does not reach for it


def test_failures_of_the_proxy_are_never_trained() -> None:
    told = scored((1, -math.inf), (2, 1.0), (3, -math.inf))
    asked, _ = driven(Funnel(LINE, 5), told, {})
    assert asked == [(2, 1)]
    assert driven(Funnel(LINE, 5), scored((1, -math.inf)), {}) == ([], 0)
    assert driven(Funnel(LINE, 5), [], {}) == ([], 0)


@pytest.mark.parametrize("pick", ["best", "niches", "trajectory"])
def test_nothing_told_is_nothing_asked(pick: Any) -> None:
    assert finalists(LINE, [], 5, pick) == []
    assert driven(Funnel(LINE, 5, pick=pick), [], {}) == ([], 0)


def test_a_budget_cuts_the_funnel_where_it_ends() -> None:
    shares = (0.25, 0.5, 1.0)
    for budget, expected in ((1.0, [4, 0, 0]), (1.2, [4, 0, 0]), (2.5, [8, 2, 0]), (3.9, [8, 4, 1]), (4.0, [8, 4, 2])):
        asked, cost = driven(Funnel(LINE, 8, shares, 2), NINE, {}, budget)
        assert [sum(share == s for _, s in asked) for share in shares] == expected
        assert cost <= budget + 1e-9
    assert driven(Funnel(LINE, 8, shares, 2), NINE, {}, 0.2) == ([], 0)


def test_truths_that_are_not_known_do_not_stop_it() -> None:
    funnel = Funnel(LINE, 4, (0.25, 1.0), 2)
    funnel.tell(NINE)
    first = funnel.ask(8, {TRUTH: 9})
    assert numbers(first) == [20, 19, 18, 17]
    unknown = Result(first[0], {TRUTH: Score(None, "not in the table")}, 0.0, False)
    funnel.tell([unknown, *(truth(trial, trial.architecture.at) for trial in first[1:])])
    assert [(t.architecture.at, t.fidelity) for t in funnel.ask(8, {TRUTH: 9})] == [(19, 1), (18, 1)]


# ------------------------------------------------------------------------------------------------- after other truths


def test_what_a_search_asked_early_is_trained_on_the_best_by_truth_first() -> None:
    """Ten at an eighth are known: of them the best three go on to 3/8, the best one to the end."""
    funnel = Funnel(LINE, 9, (0.125, 0.375, 1.0), 3, begun=0.125)
    assert funnel.rungs == [(3, 0.375), (1, 1.0)] and funnel.reserve == pytest.approx(3 * 0.25 + 0.625)
    funnel.tell(NINE)
    early = {5.0: 30.0, 3.0: 28.0, 20.0: 1.0, 19.0: 2.0, 8.0: 29.0, 9.0: -math.inf}
    funnel.tell([truth(Trial(Point(at), TRUTH, 0.125), value) for at, value in early.items()])
    trials = funnel.ask(8, {TRUTH: funnel.reserve})
    assert [(t.architecture.at, t.fidelity) for t in trials] == [(5, 0.375), (8, 0.375), (3, 0.375)]
    funnel.tell([truth(t, {5: 1.0, 8: 1.5, 3: 2.0}[t.architecture.at]) for t in trials])
    assert [(t.architecture.at, t.fidelity) for t in funnel.ask(8, {TRUTH: 0.625})] == [(3, 1)]
    funnel.tell([truth(Trial(Point(3.0), TRUTH, 1.0), 1.0)])
    assert funnel.ask(8, {TRUTH: 9}) == []


def test_what_was_trained_to_the_end_costs_nothing_more() -> None:
    funnel = Funnel(LINE, 2, (1.0,), begun=1.0)
    assert funnel.rungs == [] and funnel.reserve == 0 and funnel.ask(8, {TRUTH: 9}) == []
    again = Funnel(LINE, 3, (0.5, 1.0))  # not told that its finalists were
    again.tell(NINE)
    again.tell([truth(Trial(Point(float(at)), TRUTH, 1.0), float(-at)) for at in (1, 2, 3)])
    assert numbers(again.ask(2, {TRUTH: 0.0})) == [1, 2]


class Fixed:
    """Asks for the given trials, as the budget allows, and remembers what was left of it."""

    name = "fixed"

    def __init__(self, trials: list[Trial]) -> None:
        self.trials, self.left = trials, list[float]()

    def ask(self, n: int, left: Left) -> list[Trial]:
        self.left.append(left[TRUTH])
        asked, self.trials = self.trials[:n], self.trials[n:]
        return [] if asked and asked[0].measure == TRUTH and left[TRUTH] < 1 else asked

    def tell(self, results: Sequence[Result]) -> None:
        pass


def test_stages_leave_to_the_later_ones_what_they_reserve() -> None:
    funnel = Funnel(LINE, 3, (0.25, 1.0), 3)  # 3/4 + 3/4
    first = Fixed([Trial(Point(1.0)), *(Trial(Point(float(i)), TRUTH) for i in range(2, 9))])
    stages = Stages(first, funnel)
    assert stages.name == "fixed then funnel"
    stages.tell(NINE)
    stages.ask(1, {PROXIES: 5, TRUTH: 4.0})
    stages.ask(1, {PROXIES: 5, TRUTH: 3.0})
    assert first.left == [2.5, 1.5]
    trials = stages.ask(8, {PROXIES: 5, TRUTH: 2.0})  # .5 is left to the first, which then ends
    assert first.left[-1] == 0.5 and numbers(trials) == [20, 19, 18]
    stages.ask(1, {PROXIES: 5, TRUTH: 0.0})
    assert len(first.left) == 3
    late = Stages(Fixed([]), Funnel(LINE, 2))
    late.ask(1, {TRUTH: 0.5})
    assert late.stages[0].left == [0.0]  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------- finalists


def test_niches_are_the_best_none_close_to_a_better_one() -> None:
    """0, 1, ..., 20 in a row: of the distances of their pairs the tenth is 1, so equal numbers and halves are close."""
    told = scored(*((float(i), float(i)) for i in range(21)), (20.5, 50.0), (19.6, 40.0), (5.2, 45.0), (5.1, 44.0))
    pairs = [abs(a - b) for i, a in enumerate(numbers(told)) for b in numbers(told)[:i]]
    width = float(np.quantile(pairs, 0.1))
    assert 0.9 < width <= 1.6
    order: list[float] = []
    crowded: list[float] = []
    for at in numbers(sorted(told, key=lambda r: -r.fitness)):
        (crowded if any(abs(at - other) < width for other in order) else order).append(at)
    assert order[:2] == [20.5, 5.2] and crowded[:2] == [5.1, 19.6]
    assert numbers(finalists(LINE, told, 6, "niches")) == order[:6]
    assert numbers(finalists(LINE, told, 100, "niches")) == order + crowded  # what is close comes last
    assert numbers(finalists(LINE, told, 4, "best")) == [20.5, 5.2, 5.1, 19.6]


def test_where_all_are_alike_order_is_kept() -> None:
    told = scored((7.0, 1.0), (7.0, 3.0), (7.0, 2.0))
    found = finalists(LINE, told, 3, "niches")
    assert [r.fitness for r in found] == [3.0, 2.0, 1.0]  # no width: nothing is closer than 0
    assert one_a_niche(LINE, told[:1], told[:1]) == told[:1] and one_a_niche(LINE, [], []) == []


def test_a_third_each_of_the_best_of_records_and_of_the_first_draws() -> None:
    """Of 100 the fitness rises to 180 at the places 0, 20, 40, 60, 80; those after the last are nearly as good."""
    told = [Result.of(Point(7.0), float(i)) for i in range(100)]  # half of them alike: no niche is wider than 0
    for i, result in enumerate(told):
        result.architecture.key = f"p{i}"
        if i % 20 == 0 or 80 < i < 90:
            told[i] = Result.of(result.architecture, 100.0 + i if i % 20 == 0 else 260.0 - i)

    def places(count: int, seed: int) -> list[int]:
        return [int(r.architecture.key[1:]) for r in finalists(LINE, told, count, "trajectory", seed)]

    found = places(9, 4)
    # in turns: the best, the records from the last to the first, the first tenth in some order; no one twice
    assert found[0] == 80 and found[2:4] == [81, 60] and found[5:7] == [82, 40] and found[8] == 83
    drawn = {seed: tuple(places(9, seed)[i] for i in (1, 4, 7)) for seed in range(6)}
    assert all(max(some) < 10 and len(set(some)) == 3 for some in drawn.values()) and len(set(drawn.values())) > 3
    assert places(9, 4) == found and places(1, 4) == [80]
    assert sorted(places(1000, 4)) == list(range(100))  # more than there are: all of them


def test_a_failure_is_no_finalist_of_any_kind() -> None:
    told = scored(*((float(i * 10), -math.inf if i % 2 else float(i)) for i in range(40)))
    for pick in ("best", "niches", "trajectory"):
        found = finalists(LINE, told, 30, pick)  # type: ignore[arg-type]
        assert len(found) == 20 == len({r.architecture.key for r in found})
        assert all(r.fitness > -math.inf for r in found)


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.5, 1), (0.5, 0.25, 1), (0.0, 1), (0.5, 1, 1), (0.5, 2)])
def test_rungs_must_rise_to_1(shares: tuple[float, ...]) -> None:
    with pytest.raises(ZeronasError) as error:
        Funnel(LINE, 3, shares)
    assert str(error.value) == f"rungs must be increasing shares of a training up to 1, but got {list(shares)}."


@pytest.mark.parametrize("eta", [1.0, 0.5, math.nan])
def test_eta_must_be_above_1(eta: float) -> None:
    with pytest.raises(ZeronasError, match=r"^eta must be above 1, but got "):
        Funnel(LINE, 3, (0.5, 1), eta)


# ------------------------------------------------------------------------------------------------- by the command

MINI = ["benchmark=mini_rnn", "pool=benchmark", "proxy=parameters"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("rungs=[0.5,0.25,1]",), "rungs must be increasing shares of a training up to 1, but got [0.5, 0.25, 1.0]."),
        (("rungs=[0.5]",), "rungs must be increasing shares of a training up to 1, but got [0.5]."),
        (
            ("rungs=[]",),
            "zeronas search needs rungs to be a list of one or more, each a number above 0, up to 1, but got",
        ),
        (
            ("rungs=0.5",),
            "zeronas search needs rungs to be a list of one or more, each a number above 0, up to 1, but got",
        ),
        (("eta=1",), "zeronas search needs eta to be a number above 1, up to 1,000, but got 1."),
        (("finalists=worst",), "Unknown finalists 'worst' of zeronas search. Available: best, niches, trajectory."),
        (
            ("rungs=[0.1,1]",),
            "Benchmark 'mini_rnn' has no value after a share of 0.1 of a training; the smallest share",
        ),
        (
            ("searcher=bayes", "queries=2", "searcher.fidelity=0.1", "verify=0"),
            "Benchmark 'mini_rnn' has no value after a share of 0.1 of a training; the smallest share is 0.125.",
        ),
        (
            ("searcher=bayes", "queries=2", "searcher.fidelity=0.125"),
            "The finalists (verify=3, rungs=[1.0]) take 2.625 trainings, which leaves none of queries=2 to searcher",
        ),
        (
            ("searcher=bayes", "queries=9", "searcher.fidelity=abc"),
            "Searcher 'bayes' needs fidelity to be a number above 0, up to 1, but got 'abc'.",
        ),
        (("searcher=bayes",), "Searcher 'bayes' asks for truths while it searches; say how many with queries=N."),
    ],
)
def test_wrong_settings_are_one_sentence(
    overrides: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    verify = [] if "verify=0" in overrides else ["verify=3"]
    monkeypatch.setattr("sys.argv", ["zeronas", "search", "budget=5", *verify, *MINI, *overrides])
    try:
        status = cli.main()
    except SystemExit as left:
        status = int(left.code or 0)
    err = capsys.readouterr().err
    assert status == 2 and err.startswith(sentence) and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_rungs_by_the_curves_of_a_table(tmp_path: Path, composed: Any) -> None:
    """Each truth is the curve's, each cost the difference, and the next rung is for the best of the last."""
    options = ["budget=60", "searcher=random", "verify=9", "rungs=[0.125,0.375,1]", "eta=3", "finalists=trajectory"]
    results = app.run(composed("search", *MINI, *options, f"run.dir={tmp_path}"))
    table = benchmarks.get("mini_rnn")
    queries = results["queries"]
    assert results["truths"]["shares"] == {"0.125": 9, "0.375": 3, "1": 1}
    assert results["queries_used"] == pytest.approx(9 / 8 + 3 / 4 + 5 / 8)
    for query in queries:
        entry = table.by_key.get(query["key"])
        if entry is not None:
            at = query["fidelity"]
            assert query["value"] == (entry.value if at == 1 else dict(entry.curve)[at])
    for share, later, cost in ((0.125, 0.375, 0.25), (0.375, 1.0, 0.625)):
        rung = [q for q in queries if q["fidelity"] == share and q["value"] is not None]
        following = [q for q in queries if q["fidelity"] == later]
        best = sorted(rung, key=lambda q: q["value"])[: len(following)]
        assert [q["key"] for q in following] == [q["key"] for q in best]
        assert all(q["cost"] == cost for q in following)


def test_after_a_surrogate_at_an_eighth_the_best_by_truth_go_on(tmp_path: Path, composed: Any) -> None:
    options = ["searcher=bayes", "searcher.fidelity=0.125", "searcher.start=3", "searcher.spread=3", "budget=60"]
    more = ["verify=4", "rungs=[0.5,1]", "eta=2", "queries=4"]
    results = app.run(composed("search", *MINI, *options, *more, f"run.dir={tmp_path}"))
    # the funnel reserves 4 x 3/8 + 2 x 1/2 of the 4 trainings, so that 12 eighths are left to the surrogate
    assert results["truths"]["shares"] == {"0.125": 12, "0.5": 4, "1": 2} and results["queries_used"] == 4
    queries = results["queries"]
    assert [q["fidelity"] for q in queries] == [0.125] * 12 + [0.5] * 4 + [1.0] * 2
    for share, later, count in ((0.125, 0.5, 4), (0.5, 1.0, 2)):
        known = [q for q in queries if q["fidelity"] == share and q["value"] is not None]
        best = sorted(known, key=lambda q: q["value"])[:count]
        assert [q["key"] for q in queries if q["fidelity"] == later] == [q["key"] for q in best]
    assert results["found"]["truth"] == min(q["truth"] for q in queries if q["truth"] is not None)
