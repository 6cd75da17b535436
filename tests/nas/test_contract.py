"""The contract of every search, and four searches that it was made for, each in some twenty lines.

They are examples, short of what a user would want of them: RoBoT (Bayesian optimisation of a weighted sum of proxies,
then greedy queries), NSGA-II (several proxies as objectives), successive halving (truth at shares of the protocol), and
a surrogate that learns from truths.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from nas.core.errors import ZeronasError
from nas.core.progress import Progress
from nas.engine.journal import Journal
from nas.engine.pools import BenchmarkPool, SpacePool
from nas.engine.run import answered, search
from nas.engine.trials import PROXIES, TRUTH, Evaluation, Left, Measure, Result, Trial
from nas.judge.outcome import Asked, Rated, find
from nas.search import Searcher
from nas.search import get as search_by_name
from nas.search.evolution import RegularizedEvolution
from nas.search.funnel import Funnel
from nas.search.random import RandomSearch
from nas.search.stages import Stages
from nas.truth.benchmarks import Entry
from nas.truth.outcome import scored
from proxies.base import Score

#: what a table says of what it does not hold
UNKNOWN = {TRUTH: Score(None, "not in the table")}

SPACE = spaces.get("bert").reduce({"layers": 2, "hidden_size": 128})


class Robot(Searcher):
    """RoBoT: weights of the proxies in [-1, 1] that make the best of the sum's top best, then the sum's top greedily.

    He et al. 2024 (arXiv 2403.07591), with random weights where they have a Gaussian process.
    """

    name = "robot"

    def __init__(self, pool: Any, seed: int) -> None:
        super().__init__(pool, seed)
        self.table: dict[str, tuple[Any, list[float]]] = {}
        self.truths: dict[str, float] = {}
        self.tried: list[tuple[float, np.ndarray]] = []

    def ask(self, n: int, left: Left) -> list[Trial]:
        if left[PROXIES] and not self.pool.exhausted:
            return super().ask(n, left)  # every member is scored first
        keys = list(self.table)
        scores = np.array([self.table[key][1] for key in keys])
        scores = (scores - scores.min(axis=0)) / np.ptp(scores, axis=0)
        if len(self.tried) < left[TRUTH] + len(self.truths) - 5:
            weights = self._rng().uniform(-1, 1, scores.shape[1])
        else:
            weights = max(self.tried, key=lambda one: one[0])[1]
        order = [keys[i] for i in np.argsort(-scores @ weights, kind="stable")]
        self.tried.append((self.truths.get(order[0], -math.inf), weights))
        return [Trial(self.table[key][0], TRUTH) for key in order if key not in self.truths][:1]

    def _propose(self) -> Any:
        return self.pool.sample(self._rng())

    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            key = result.architecture.key
            self.table[key] = result.architecture, [s.fitness for label, s in result.scores.items() if label != TRUTH]
            if result.truth is not None:
                self.truths[key] = result.truth.fitness
                self.tried[-1] = self.truths[key], self.tried[-1][1]


class NSGA2(Searcher):
    """NSGA-II: parents by non-dominated rank and crowding distance over all proxies.

    Deb et al. 2002 (IEEE Transactions on Evolutionary Computation 6).
    """

    name = "nsga2"

    def __init__(self, pool: Any, seed: int, population: int = 12) -> None:
        super().__init__(pool, seed)
        self.size, self.members = population, list[Result]()

    def _propose(self) -> Any:
        rng = self._rng()
        if len(self.members) < self.size:
            return self.pool.sample(rng)
        first, second = (self.members[min(rng.integers(self.size, size=2))].architecture for _ in range(2))
        return self.pool.crossover(first, second, rng)

    def tell(self, results: Sequence[Result]) -> None:
        together = [*self.members, *results]
        values = np.array([[s.fitness for s in r.scores.values()] for r in together])
        beaten = [(np.all(values >= v, axis=1) & np.any(values > v, axis=1)).sum() for v in values]
        crowding = np.zeros(len(values))
        for column in values.T:
            order = np.argsort(column, kind="stable")
            gaps = np.full(len(column), np.inf)
            gaps[1:-1] = column[order][2:] - column[order][:-2]
            crowding[order] += gaps
        best = sorted(range(len(together)), key=lambda i: (beaten[i], -crowding[i]))  # rank by how many dominate it
        self.members = [together[i] for i in best[: self.size]]


class Halving:
    """Successive halving: of those told, the best in the proxy are trained a quarter, the better half of them half, ...

    Jamieson & Talwalkar 2016 (arXiv 1502.07943). A stage after any searcher.
    """

    name = "halving"

    def __init__(self, start: int) -> None:
        self.start, self.fidelity = start, 0.125
        self.told: list[Result] = []
        self.rung: list[Result] = []

    def ask(self, n: int, left: Left) -> list[Trial]:
        if self.fidelity >= 1:
            return []
        rivals = sorted(self.rung or self.told, key=lambda r: -(r.truth.fitness if r.truth else r.fitness))
        kept, self.rung, self.fidelity = rivals[: max(1, self.start)], [], 2 * self.fidelity
        self.start //= 2
        return [Trial(result.architecture, TRUTH, self.fidelity) for result in kept]

    def tell(self, results: Sequence[Result]) -> None:
        self.told += [r for r in results if r.trial.measure == PROXIES]
        self.rung += [r for r in results if r.truth is not None]


class Surrogate(Searcher):
    """A ridge regression from features and proxies to truths; asks for the truth of the best predicted.

    As predictor-based searches do (White et al. 2021, BANANAS, arXiv 1910.11858), with the simplest predictor.
    """

    name = "surrogate"

    def __init__(self, pool: Any, seed: int, first: int = 8) -> None:
        super().__init__(pool, seed)
        self.first, self.known = first, dict[str, Result]()
        self.truths: dict[str, float] = {}

    def _propose(self) -> Any:
        return self.pool.sample(self._rng())

    def ask(self, n: int, left: Left) -> list[Trial]:
        if left[PROXIES]:
            return super().ask(n, left)
        open_ = [key for key in self.known if key not in self.truths]
        if len(self.truths) < self.first:  # the proxy's own finalists first
            ordered = sorted(open_, key=lambda key: -self.known[key].fitness)
        else:
            views = {k: [1.0, *self.pool.space.features(r.architecture), r.fitness] for k, r in self.known.items()}
            x = np.array([views[key] for key in self.truths])
            y = np.maximum(list(self.truths.values()), min(t for t in self.truths.values() if t > -math.inf) - 1)
            weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)  # a diverged one is worse than the worst
            ordered = sorted(open_, key=lambda key: -float(np.dot(views[key], weights)))
        return [Trial(self.known[key].architecture, TRUTH) for key in ordered[:2]]

    def tell(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.truth is not None:
                self.truths[result.architecture.key] = result.truth.fitness
            else:
                self.known[result.architecture.key] = result


# ------------------------------------------------------------------------------------------------- what measures


def size(architecture: Any) -> float:
    return SPACE.counts(architecture).parameters / 1e6


def true(architecture: Any, fidelity: float = 1.0) -> float:
    """Rises a little with size, and more with what size does not tell; early in training half of that is seen."""
    features = SPACE.features(architecture)
    return 0.1 * size(architecture) + float(features @ np.sin(np.arange(len(features)))) * (fidelity / 2 + 0.5)


@dataclass
class Counting:
    """A measure that counts what it is asked, and answers in reverse, as workers may."""

    labels: tuple[str, ...]
    answers: Any
    asked: Counter[tuple[str, str, float]]

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        for place in reversed(range(len(trials))):
            trial = trials[place]
            self.asked[trial.id] += 1
            scores = self.answers(trial)
            known = scores != UNKNOWN
            yield place, Evaluation(trial.architecture.key, scores, 0.0, {}, trial.measure, trial.fidelity, known)


def measures(asked: Counter[tuple[str, str, float]]) -> dict[str, Measure]:
    def proxies(trial: Trial) -> Mapping[str, Score]:
        features = SPACE.features(trial.architecture)
        other = float(features @ np.cos(np.arange(len(features))))
        return {"size": Score(size(trial.architecture)), "other": Score(other)}

    def truth(trial: Trial) -> Mapping[str, Score]:
        last = int(trial.architecture.key[-1], 16)
        if last == 0:
            return UNKNOWN
        if last == 1:
            return {TRUTH: Score(None, "diverged: not finite")}
        return {TRUTH: Score(true(trial.architecture, trial.fidelity))}

    return {PROXIES: Counting(("size", "other"), proxies, asked), TRUTH: Counting((TRUTH,), truth, asked)}


def made(name: str) -> tuple[Any, dict[str, float]]:
    """Returns a search by name, on a fresh pool, and its budgets."""
    pool = SpacePool(SPACE)
    if name == "robot":
        rng = np.random.default_rng(0)
        closed = BenchmarkPool(SPACE, [SPACE.sample(rng) for _ in range(60)])
        return Robot(closed, 0), {PROXIES: 60, TRUTH: 12}
    if name == "nsga2":
        return NSGA2(pool, 0), {PROXIES: 120}
    if name == "halving":
        return Stages(RandomSearch(pool, 0), Halving(8)), {PROXIES: 60, TRUTH: 6}
    if name == "surrogate":
        return Surrogate(pool, 0), {PROXIES: 200, TRUTH: 60}
    if name in ("bayes", "forest"):
        model = {"bayes": "gp", "forest": "forest"}[name]
        options = {"drawn": 40, "start": 2, "spread": 2, "children": 8, "parents": 3, "together": 2}
        return search_by_name("bayes", pool, 0, model=model, **options), {PROXIES: 70, TRUTH: 9}
    if name == "bayes, funnel":
        funnel = Funnel(SPACE, 4, (0.125, 0.5, 1), 2, begun=0.125)
        first = search_by_name("bayes", pool, 0, drawn=40, start=3, spread=2, children=5, fidelity=0.125)
        return Stages(first, funnel), {PROXIES: 70, TRUTH: 10 * 0.125 + funnel.reserve}
    if name == "funnel":
        return Stages(RandomSearch(pool, 0), Funnel(SPACE, 9, (0.125, 0.375, 1), 3, "niches")), {PROXIES: 60, TRUTH: 4}
    return Stages(RegularizedEvolution(pool, 0, 20, 5), Funnel(SPACE, 5)), {PROXIES: 60, TRUTH: 5}


ALL = ["robot", "nsga2", "halving", "surrogate", "bayes", "forest", "bayes, funnel", "funnel", "verify"]


def run(name: str, folder: Path, asked: Counter[tuple[str, str, float]], batch: int = 8) -> list[Result]:
    searcher, budgets = made(name)
    with Journal(folder, {"search": name}) as journal:
        return search(searcher, measures(asked), journal, budgets, batch)[0]


def told(results: Sequence[Result]) -> list[Any]:
    return [(r.trial.id, dict(r.scores), r.cost) for r in results]


@pytest.mark.parametrize("name", ALL)
def test_every_search_keeps_its_budgets_and_asks_nothing_twice(name: str, tmp_path: Path) -> None:
    asked: Counter[tuple[str, str, float]] = Counter()
    results = run(name, tmp_path, asked)
    budgets = made(name)[1]
    for measure, budget in budgets.items():
        assert sum(r.cost for r in results if r.trial.measure == measure) <= budget + 1e-9
    assert set(asked.values()) == {1}
    assert sum(r.cost for r in results if r.trial.measure == PROXIES) == budgets[PROXIES]
    truths = [r for r in results if r.truth is not None]
    assert (len(truths) > 0) == (TRUTH in budgets)
    assert all("size" in r.scores for r in truths)  # told all that is known of it


@pytest.mark.parametrize("name", ALL)
def test_a_search_cut_off_anywhere_goes_on_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    whole = told(run(name, tmp_path / "whole", Counter()))
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in (0, 1, len(lines) // 2, len(lines) - 1):
        folder = tmp_path / f"cut{count}"
        folder.mkdir()
        torn = lines[count][: len(lines[count]) // 2]
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]) + torn)
        known = {_id(line) for line in lines[:count]}
        asked: Counter[tuple[str, str, float]] = Counter()
        assert told(run(name, folder, asked)) == whole
        assert not known & set(asked)  # no truth is asked twice, nor anything else
        assert sorted(map(_id, (folder / "journal.jsonl").read_bytes().splitlines())) == sorted(map(_id, lines))


def _id(line: bytes) -> tuple[str, str, float]:
    entry = json.loads(line)
    return entry["key"], entry.get("measure", PROXIES), entry.get("fidelity", 1.0)


def test_robot_finds_weights_and_halving_ends_with_one(tmp_path: Path) -> None:
    results = run("robot", tmp_path / "robot", Counter())
    queries = [r for r in results if r.trial.measure == TRUTH]
    assert len({r.architecture.key for r in queries}) == len(queries)  # distinct queries
    results = run("halving", tmp_path / "halving", Counter())
    rungs = Counter(r.trial.fidelity for r in results if r.trial.measure == TRUTH)
    assert rungs[0.25] > rungs[0.5] > rungs[1.0] >= 1
    spent = [r for r in results if r.trial.fidelity == 1.0 and r.trial.measure == TRUTH]
    assert all(r.cost == 0.5 for r in spent)  # half of it had been asked already


def test_nsga2_spreads_over_the_front(tmp_path: Path) -> None:
    searcher, budgets = made("nsga2")
    with Journal(tmp_path, {}) as journal:
        results, _ = search(searcher, measures(Counter()), journal, budgets, 8)
    values = np.array([[s.fitness for s in r.scores.values()] for r in results])
    front = [i for i, v in enumerate(values) if not np.any(np.all(values >= v, axis=1) & np.any(values > v, axis=1))]
    kept = {r.architecture.key for r in searcher.members}
    assert kept & {results[i].architecture.key for i in front}
    assert values[-40:, 0].mean() > values[:12, 0].mean() or values[-40:, 1].mean() > values[:12, 1].mean()


def test_a_surrogate_that_hears_truths_ranks_better_than_its_proxy(tmp_path: Path) -> None:
    results = run("surrogate", tmp_path, Counter())
    queries = [r.truth.fitness for r in results if r.truth is not None and r.known]
    first, later = queries[:8], queries[20:40]  # the proxy's own finalists; then the predicted best of what is left
    assert np.median(later) > np.median(first) and max(queries[8:]) > max(first)


def test_verify_asks_for_the_best_in_their_order_and_ties_for_the_earlier(tmp_path: Path) -> None:
    results = run("verify", tmp_path, Counter())
    scored = [r for r in results if r.trial.measure == PROXIES]
    best = sorted(scored, key=lambda r: -r.fitness)[:5]
    assert [r.architecture.key for r in results if r.trial.measure == TRUTH] == [r.architecture.key for r in best]


def test_what_a_table_does_not_hold_costs_nothing_and_is_not_remembered(tmp_path: Path) -> None:
    asked: Counter[tuple[str, str, float]] = Counter()
    results = run("surrogate", tmp_path, asked)
    unknown = [r for r in results if not r.known]
    assert unknown and all(r.cost == 0 and r.truth == UNKNOWN[TRUTH] for r in unknown)
    journal = {_id(line) for line in (tmp_path / "journal.jsonl").read_bytes().splitlines()}
    assert not journal & {r.trial.id for r in unknown}
    diverged = [r for r in results if r.known and r.truth is not None and r.truth.value is None]
    assert diverged and all(
        r.cost == 1 and r.truth is not None and r.truth.reason.startswith("diverged") for r in diverged
    )


def test_what_only_its_truth_was_asked_of_is_a_row_and_can_be_found() -> None:
    rng = np.random.default_rng(1)
    first, second = SPACE.sample(rng), SPACE.sample(rng)
    answers = [Evaluation(first.key, {"size": Score(1.0)}, 0.0)]
    results = [
        Result(Trial(second, TRUTH), {TRUTH: Score(2.0)}),
        Result(Trial(first), answers[0].scores),
        Result(Trial(first, TRUTH), {"size": Score(1.0), TRUTH: Score(1.0)}),
    ]
    rows = scored(results, {answer.id: answer for answer in answers}, ["size"])
    assert [(row.index, row.architecture.key) for row in rows] == [(1, second.key), (2, first.key)]
    assert rows[0].evaluation.scores == {"size": Score(None, "not scored")} and rows[1].evaluation is answers[0]
    rated = [Rated(row.architecture, row.evaluation.scores["size"].value, {}) for row in rows]
    asked = [Asked(a, 0.0, Entry(a.key, a, value, ()), "") for a, value in ((second, 2.0), (first, 1.0))]
    assert find(rated, asked, 1.0, "size")[0] == 0  # the better truth, though it was never scored


class Repeating(RandomSearch):
    """Asks for everything twice at once, and for what does not fit."""

    def ask(self, n: int, left: Left) -> list[Trial]:
        return [trial for trial in super().ask(n, left) for _ in range(2)]


def test_equal_trials_of_one_batch_are_measured_once(tmp_path: Path) -> None:
    asked: Counter[tuple[str, str, float]] = Counter()
    with Journal(tmp_path, {}) as journal:
        results, _ = search(Repeating(SpacePool(SPACE), 0), measures(asked), journal, {PROXIES: 20}, 8)
    assert len(results) == 20 and set(asked.values()) == {1}
    for line in (tmp_path / "journal.jsonl").read_bytes().splitlines():
        entry = json.loads(line)
        assert SPACE.parse(entry["architecture"]).key == entry["key"]


class Circling(RandomSearch):
    """Asks for the same architecture for ever."""

    def ask(self, n: int, left: Left) -> list[Trial]:
        return [Trial(SPACE.sample(np.random.default_rng(0)))]


def test_a_search_in_circles_ends_with_a_sentence(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal, pytest.raises(ZeronasError, match="nothing new that can be evaluated"):
        search(Circling(SpacePool(SPACE), 0), measures(Counter()), journal, {PROXIES: 20}, 8)


class Curious(RandomSearch):
    """Asks for truth where nothing measures it."""

    def ask(self, n: int, left: Left) -> list[Trial]:
        return [Trial(trial.architecture, TRUTH) for trial in super().ask(n, left)]


def test_a_truth_that_nothing_measures_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal, pytest.raises(ZeronasError, match="truth, which this run cannot measure"):
        only = {PROXIES: measures(Counter())[PROXIES]}
        search(Curious(SpacePool(SPACE), 0), only, journal, {PROXIES: 20, TRUTH: 3}, 8)


class Breaking(Counting):
    """Answers all but the first trial, then breaks."""

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        yield from (one for one in super().answer(trials) if one[0] > 0)
        raise ZeronasError("a worker died")


def test_what_is_finished_behind_a_slow_one_is_kept(tmp_path: Path) -> None:
    whole = measures(Counter())[PROXIES]
    assert isinstance(whole, Counting)
    with Journal(tmp_path, {}) as journal, pytest.raises(ZeronasError, match="a worker died"):
        broken = Breaking(whole.labels, whole.answers, Counter())
        search(RandomSearch(SpacePool(SPACE), 0), {PROXIES: broken}, journal, {PROXIES: 20}, 8)
    assert (tmp_path / "journal.jsonl").read_bytes().count(b"\n") == 7
    trials = RandomSearch(SpacePool(SPACE), 0).ask(8, {PROXIES: 20})
    progress = Progress(8)  # what is known counts, and what is measured counts as it comes
    with Journal(tmp_path, {}) as journal, pytest.raises(ZeronasError, match="a worker died"):
        answered(trials, {PROXIES: Breaking(whole.labels, whole.answers, Counter())}, journal, progress)
    assert (progress.done, progress.computed) == (7, 0)
