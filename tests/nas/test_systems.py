"""Searches of truth, by name: what each asks for, by hand; budgets, resuming, failures; and by the command."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bayes import DIVERGED, FAILED, closed, end, keys, proxies_of, queries, truth_of
from test_contract import SPACE, UNKNOWN, Counting, told, true

import spaces
from experiments.commands import search as app
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.engine.journal import Journal
from nas.engine.pools import Pool, SpacePool
from nas.engine.run import search
from nas.engine.trials import PROXIES, TRUTH, Result, Trial
from nas.search.bananas import BananasSearch
from nas.search.ensemble import Ensemble, ensemble
from nas.search.hnas import HNASSearch, objective
from nas.search.proxybo import ProxyBOSearch, concordance, influences
from nas.search.robot import RobotSearch, normalised
from nas.search.zero_cost import ZeroCostSearch
from proxies.base import Score

Answers = Callable[[Any], Mapping[str, Score]]

#: small ones of every search of truth that is here: name -> searcher and options
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "robot": ("robot", {"drawn": 30}),
    "hnas": ("hnas", {"metric": "view", "condition": "noise", "drawn": 30, "joining": 20}),
    "proxybo": ("proxybo", {"drawn": 30, "start": 3, "folds": 2, "children": 5}),
    "bananas": ("bananas", {"drawn": 30, "start": 3, "together": 2, "children": 5, "layers": 2, "epochs": 10}),
    "zero_cost": ("zero_cost", {"population": 4, "tournament": 2, "warmup": 20, "proposals": 3}),
    "random": ("random", {"of": "truth"}),
    "evolution": ("evolution", {"population": 4, "tournament": 2, "of": "truth"}),
    "local": ("local", {"starts": 2, "of": "truth", "together": 2}),
}
HALVED: dict[str, tuple[str, dict[str, Any]]] = {
    "halving": ("halving", {"drawn": 30}),
    "halving at random": ("halving", {"order": "random"}),
    "r_mf_nas": ("r_mf_nas", {}),
    "mf_nas": ("r_mf_nas", {"first": "evolution", "pick": "best", "candidates": 6}),
}


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests of ProxyBO are small here, for the time that they take."""
    monkeypatch.setattr("nas.search.proxybo._TREES", 12)
    monkeypatch.setattr("nas.search.proxybo._FOLD_TREES", 3)


def patchy(architecture: Any) -> Mapping[str, Score]:
    """Of some nothing is known, others diverge."""
    if end(architecture) < 2:
        return UNKNOWN
    return DIVERGED if end(architecture) < 5 else truth_of(architecture)


def ran(
    folder: Path,
    name: str,
    pool: Pool,
    truths: float,
    *,
    seed: int = 0,
    proxies: Answers = proxies_of,
    truth: Answers = truth_of,
    scored: int = 60,
    asked: Counter[tuple[str, str, float]] | None = None,
    batch: int = 4,
    **options: Any,
) -> tuple[Any, list[Result]]:
    """Runs a search of ``SYSTEMS`` or ``HALVED``; what it asks for twice fails the test."""
    asked = Counter() if asked is None else asked
    measures = {
        PROXIES: Counting(("proxy",), lambda trial: proxies(trial.architecture), asked),
        TRUTH: Counting((TRUTH,), lambda trial: truth(trial.architecture), asked),
    }
    kind, small = {**SYSTEMS, **HALVED}[name]
    searcher = searchers.get(kind, pool, seed, **{**small, **options})
    searcher.shares = (0.125, 0.25, 0.5, 1.0) if name in HALVED else (1.0,)
    with Journal(folder, {"search": name}) as journal:
        results = search(searcher, measures, journal, {PROXIES: scored, TRUTH: truths}, batch)[0]
    assert set(asked.values()) <= {1}
    return searcher, results


# ------------------------------------------------------------------------------------------------- what all must do


@pytest.mark.parametrize("name", SYSTEMS)
def test_distinct_queries_are_the_budget_as_long_as_the_pool_lasts(name: str, tmp_path: Path) -> None:
    for folder, pool, budget in (("closed", closed(24), 9), ("all", closed(12), 50)):
        (tmp_path / folder).mkdir()
        results = ran(tmp_path / folder, name, pool, budget)[1]
        assert len(set(keys(queries(results)))) == len(queries(results)) == min(budget, pool.size or 0)
    (tmp_path / "open").mkdir()
    results = ran(tmp_path / "open", name, SpacePool(SPACE), 9, truth=patchy)[1]
    assert sum(r.cost for r in queries(results)) == 9 == sum(r.known for r in queries(results))


@pytest.mark.parametrize("name", [*SYSTEMS, *HALVED])
def test_cut_off_anywhere_it_goes_on_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    """With failures, divergences and what nothing is known of."""

    def failing(architecture: Any) -> Mapping[str, Score]:
        scores = dict(proxies_of(architecture))
        return {label: FAILED if end(architecture) == 7 else score for label, score in scores.items()}

    def run(folder: Path, asked: Counter[tuple[str, str, float]] | None = None) -> Any:
        given: dict[str, Any] = {"proxies": failing, "truth": patchy, "scored": 45, "asked": asked}
        return told(ran(folder, name, SpacePool(SPACE), 7, **given)[1])

    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole")
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert sum(b'"truth"' in line for line in lines) >= 5
    for count in (len(lines) // 2, len(lines) - 2):
        folder = tmp_path / f"cut{count}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]) + lines[count][:20])
        asked: Counter[tuple[str, str, float]] = Counter()
        assert run(folder, asked) == whole
        known = {json.loads(line)["key"] + str(json.loads(line).get("fidelity")) for line in lines[:count]}
        again = {key + str(share if measure == TRUTH else None) for key, measure, share in asked}
        assert not known & again


@pytest.mark.parametrize("name", ["robot", "hnas", "proxybo", "bananas", "zero_cost"])
def test_what_has_no_score_or_is_outside_the_gate_is_never_asked(name: str, tmp_path: Path) -> None:
    def proxies(architecture: Any) -> Mapping[str, Score]:
        scores = proxies_of(architecture)
        if end(architecture) < 4:
            return dict.fromkeys(scores, FAILED)
        if end(architecture) < 8:
            return {**scores, "proxy": Score(None, "outside the gate: size too large")}
        return scores

    results = ran(tmp_path, name, pool := closed(30), 30, proxies=proxies)[1]
    allowed = {one.key for one in pool.members if end(one) >= 8}
    assert set(keys(queries(results))) == allowed and 5 < len(allowed) < 25


@pytest.mark.parametrize("name", SYSTEMS)
def test_where_everything_diverges_others_are_asked(name: str, tmp_path: Path) -> None:
    results = ran(tmp_path, name, closed(14), 14, truth=lambda one: DIVERGED)[1]
    assert len(queries(results)) == 14


def test_every_searcher_of_truth_is_covered() -> None:
    covered = {name for name, _ in {**SYSTEMS, **HALVED}.values()} | {"bayes"}
    assert {name for name in searchers.SEARCHERS if searchers.SEARCHERS.get(name).asks_truth} - {"greedy"} <= covered


# ------------------------------------------------------------------------------------------------- RoBoT


def test_proxies_are_normalised_by_column() -> None:
    scores = np.array([[2.0, 5.0, math.nan, 1.0], [4.0, 5.0, math.nan, math.nan], [3.0, 5.0, math.nan, 1e6]])
    expected = [[0.0, 5.0, 0.0, 0.0], [1.0, 5.0, 0.0, 0.0], [0.5, 5.0, 0.0, 1.0]]
    assert normalised(scores).tolist() == expected  # a constant column as it is, failures 0
    ranks = normalised(np.array([[1.0, 7.0], [1e9, 7.0], [2.0, 7.0], [2.0, math.nan], [math.nan, 7.0]]), "rank")
    assert ranks[:, 0].tolist() == [0.0, 1.0, 0.5, 0.5, 0.0]
    assert ranks[:, 1].tolist() == [0.5, 0.5, 0.5, 0.0, 0.5]
    assert normalised(np.array([[3.0]]), "rank").tolist() == [[0.5]]


def test_robot_asks_for_the_top_of_each_weights_then_down_the_best_ones_ranking(tmp_path: Path) -> None:
    searcher, results = ran(tmp_path, "robot", closed(60), 12)
    assert isinstance(searcher, RobotSearch)
    asked = queries(results)
    notes = searcher.notes()
    explored = notes["T0"]
    assert notes["weights_tried"] == 12 and 1 < explored < 12 and list(notes["weights"]) == ["proxy", "view", "noise"]
    scored = [r for r in results if r.trial.measure == PROXIES]
    metrics = normalised(np.array([[s.value for s in r.scores.values()] for r in scored], dtype=float))
    found = []
    for weights, key in searcher._tried:
        assert (np.abs(weights) <= 1).all() and key == scored[int(np.argmax(metrics @ weights))].architecture.key
        found.append(key)
    assert list(dict.fromkeys(found)) == keys(asked)[:explored]  # a truth that is known is not asked for
    truths = {key: true(scored[keys(scored).index(key)].architecture) for key in found}
    best = max(range(12), key=lambda i: (truths[found[i]], i))  # of equals the last
    assert np.array_equal(searcher.best, searcher._tried[best][0])
    order = [scored[i].architecture.key for i in np.argsort(-(metrics @ searcher.best), kind="stable")]
    assert [key for key in order if key not in found][: 12 - explored] == keys(asked)[explored:]


def test_a_search_that_ends_while_it_explores_counts_its_last_round(tmp_path: Path) -> None:
    searcher, results = ran(tmp_path, "robot", closed(60), 3)
    found = [key for _, key in searcher._tried]
    assert len(set(found)) == 3 == len(queries(results)) and found == keys(queries(results))  # three distinct tops
    assert searcher.notes()["T0"] == searcher.notes()["weights_tried"] == 3


def test_a_metric_that_is_the_truth_gets_its_weight(tmp_path: Path) -> None:
    """Beside a constant one and one that always fails, neither of which matters."""

    def proxies(architecture: Any) -> Mapping[str, Score]:
        return {"constant": Score(3.0), "lower is better": Score(-true(architecture)), "failed": FAILED}

    searcher, results = ran(tmp_path, "robot", closed(50), 6, proxies=proxies)
    values = sorted((true(r.architecture) for r in results if r.trial.measure == PROXIES), reverse=True)
    assert searcher.notes()["weights"]["lower is better"] < 0
    assert sorted((true(r.architecture) for r in queries(results)), reverse=True)[:5] == values[:5]


def test_where_all_are_alike_the_first_scored_comes_first(tmp_path: Path) -> None:
    results = ran(tmp_path, "robot", closed(20), 5, proxies=lambda one: {"proxy": Score(1.0)})[1]
    assert keys(queries(results)) == keys(results)[:5]


# ------------------------------------------------------------------------------------------------- the box


def test_the_process_and_its_slopes() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    from nas.search.box import Process, _gain, _rise

    rng = np.random.default_rng(1)
    points, at = rng.uniform(-1, 1, (20, 3)), np.array([0.1, 0.2, -0.3])
    values = np.sin(points.sum(axis=1)) + points[:, 0]
    process = Process(points, values, 0)
    model = GaussianProcessRegressor(Matern(nu=2.5), alpha=1e-6, normalize_y=True, n_restarts_optimizer=5)
    expected = model.fit(points, values).predict(at[None], return_std=True)
    found = process.predict(at[None])
    assert found[0][0] == pytest.approx(expected[0][0], rel=1e-4)
    assert found[1][0] == pytest.approx(expected[1][0], rel=1e-3)
    mean, deviation, up, wider = process.slopes(at)
    assert (mean, deviation) == (pytest.approx(found[0][0]), pytest.approx(found[1][0]))
    for j in range(3):
        step = np.eye(3)[j] * 1e-6
        above, below = process.predict((at + step)[None]), process.predict((at - step)[None])
        assert up[j] == pytest.approx((above[0][0] - below[0][0]) / 2e-6, rel=1e-4)
        assert wider[j] == pytest.approx((above[1][0] - below[1][0]) / 2e-6, rel=1e-4)
        for kind in ("ucb", "ei"):
            gains = [_gain(kind, *one, 0.5, 2.0)[0] for one in (above, below)]  # type: ignore[arg-type]
            fall = _rise(at, kind, process, 0.5, 2.0)[1][j]  # type: ignore[arg-type]
            assert -fall == pytest.approx((gains[0] - gains[1]) / 2e-6, rel=1e-3, abs=1e-8)


def test_acquisitions_by_hand() -> None:
    from nas.search.box import _gain, finite

    one = np.array([1.0])
    assert _gain("ucb", one, 2 * one, 0.0, 2.576) == pytest.approx(1 + 2 * 2.576)
    # at mean = best it is the deviation over the root of 2 pi
    assert _gain("ei", one, 2 * one, 1.0, 0.0) == pytest.approx(2 / math.sqrt(2 * math.pi))
    assert finite([3.0, -math.inf, 1.0]) == [3.0, 1.0, 1.0] and finite([-math.inf]) == [0.0]


@pytest.mark.parametrize("kind", ["ucb", "ei"])
def test_suggestions_find_the_top_of_a_hill(kind: Any) -> None:
    from nas.search.box import suggest

    box, points, values = np.array([[-1.0, 1.0], [0.0, 4.0]]), [], []
    for number in range(16):
        points.append(suggest(points, values, box, kind, np.random.default_rng(number), 1.0))
        assert (points[-1] >= box[:, 0]).all() and (points[-1] <= box[:, 1]).all()
        values.append(-float(((points[-1] - np.array([0.3, 1.0])) ** 2).sum()))
    assert max(values) > -0.01  # 16 points at random have 0.1 on average
    again = suggest(points, values, box, kind, np.random.default_rng(99))
    assert np.array_equal(again, suggest(points, values, box, kind, np.random.default_rng(99)))
    twice = suggest([*points, points[0]], [*values, 7.0], box, kind, np.random.default_rng(99))
    assert np.array_equal(again, twice)  # of equal points the first counts
    assert np.isfinite(suggest(points[:3], [1.0, 1.0, 1.0], box, kind, np.random.default_rng(0))).all()


# ------------------------------------------------------------------------------------------------- HNAS


def test_the_objective_by_hand() -> None:
    metric, condition = np.array([2.0, 0.0]), np.array([8.0, 3.0])
    found = objective(metric, condition, 3.0, 0.1)
    assert found == pytest.approx([8 / 2.000001 + 0.1 * 5, 3 / 1e-6 + 0.1 * 9], rel=1e-12)


def hnas(count: int, **options: Any) -> tuple[HNASSearch, list[Any]]:
    """A search that has scored a pool: metric 1, 2, .. in the order asked, condition number 10 of all."""
    pool = closed(count)
    searcher = searchers.get("hnas", pool, 0, **{"metric": "m", "condition": "k", **options})
    assert isinstance(searcher, HNASSearch)
    trials = searcher.ask(count, {PROXIES: count})
    members = [trial.architecture for trial in trials]
    searcher.tell([Result(t, {"m": Score(float(i)), "k": Score(-10.0)}) for i, t in enumerate(trials, 1)])
    return searcher, members


def test_the_first_targets_are_spread_and_each_round_asks_for_one_that_is_new() -> None:
    """Of 8 truths 2 are at targets 0 and 1; the term of the target decides, as mu is 10^-0.5, M up to 5000."""
    searcher, members = hnas(20, lowest=-1.0)
    for number, (target, place) in enumerate([(0.0, 0), (1.0, 19)]):
        (trial,) = searcher.ask(4, {TRUTH: 8.0 - number})
        assert searcher._trying is not None and searcher._trying.tolist() == [target, -0.5]
        assert members.index(trial.architecture) == place
        assert searcher.ask(4, {TRUTH: 8.0 - number}) == [trial]
        searcher.tell([Result(trial, {TRUTH: Score(float(number))})])
    asked = {members[0].key, members[19].key}
    (trial,) = searcher.ask(4, {TRUTH: 6.0})
    assert trial.architecture.key not in asked and searcher._trying is not None
    searcher.tell([Result(trial, UNKNOWN, 0.0, False)])
    trying = searcher._trying
    (other,) = searcher.ask(4, {TRUTH: 6.0})  # the same targets, the next candidate
    assert other != trial and searcher._trying is trying
    assert searcher.notes()["target"] == 1.0 and searcher.notes()["coefficient"] == pytest.approx(10**-0.5)


def test_condition_number_is_the_score_without_its_sign_and_1e5_where_there_is_none() -> None:
    searcher, _ = hnas(3, rescaled=False)
    scores = np.array([[4.0, -7.0], [9.0, math.nan]])
    metric, condition = searcher._metrics(scores)
    assert metric.tolist() == [4.0, 9.0] and condition.tolist() == [7.0, 1e5]
    rooted, _ = hnas(3, root=True, scale=6.0)
    assert rooted._metrics(scores)[0].tolist() == [4.0, 6.0]  # roots 2 and 3, the highest made the scale
    assert searchers.get("hnas", closed(3), 0, metric="ntk_trace").root  # type: ignore[attr-defined]


def test_candidates_join_round_by_round() -> None:
    searcher, members = hnas(20, joining=3, lowest=-1.0)
    taking_part: set[int] = set()
    for number in range(4):
        (trial,) = searcher.ask(1, {TRUTH: 8.0 - number})
        assert searcher._joined is not None
        now = set(np.flatnonzero(searcher._joined).tolist())
        assert taking_part <= now and len(now - taking_part) <= 3
        assert members.index(trial.architecture) in now
        taking_part = now
        searcher.tell([Result(trial, {TRUTH: Score(1.0)})])


# ------------------------------------------------------------------------------------------------- ProxyBO


def test_agreement_is_kendalls_tau_with_failures_last() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 12))
    assert concordance(first, second) == pytest.approx(kendalltau(first, second).statistic)
    # 6 pairs: of (1, 2, 3, failed) with (diverged, 5, 6, 4) concordant 12, 13, 23, 24, 34; discordant 14
    assert concordance([1.0, 2.0, 3.0, math.nan], [-math.inf, 5.0, 6.0, 4.0]) == pytest.approx(4 / 6)
    assert concordance([1.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == pytest.approx(2 / 3)  # a tie is neither
    assert concordance([1.0], [1.0]) == 0.0


def test_influences_by_hand() -> None:
    assert influences([0.5, 0.3], 0.2) == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])
    assert influences([1.0, -1.0], 1e-4).tolist() == [1.0, 0.0]


def test_a_wrong_proxy_fades_out(tmp_path: Path) -> None:
    def proxies(architecture: Any) -> Mapping[str, Score]:
        return {"wrong": Score(-true(architecture)), "right": Score(true(architecture))}

    searcher, results = ran(tmp_path, "proxybo", closed(50), 9, proxies=proxies)
    assert isinstance(searcher, ProxyBOSearch)
    notes = searcher.notes()
    assert notes["agreement"]["right"] == 1 and notes["agreement"]["wrong"] == -1
    assert notes["influence"]["wrong"] < 1e-9 and sum(notes["influence"].values()) == pytest.approx(1)
    values = sorted((true(r.architecture) for r in results if r.trial.measure == PROXIES), reverse=True)
    learnt = [true(r.architecture) for r in queries(results)[3:]]
    assert sum(value in values[:8] for value in learnt) >= 4


# ------------------------------------------------------------------------------------------------- BANANAS


def test_the_ensembles_gradient() -> None:
    rng = np.random.default_rng(0)
    rows, truths = rng.normal(size=(7, 4)), rng.normal(size=7)
    networks = Ensemble(3, [4, 5, 5, 1], 1)
    found = networks.gradient(rows, truths)

    def loss(weights: np.ndarray) -> float:
        networks.weights = weights
        return float(np.abs(networks.outputs(rows)[-1][..., 0] - truths).mean(axis=1).sum())

    weights = networks.weights.copy()
    for at in range(0, len(weights), 7):
        step = np.zeros_like(weights)
        step[at] = 1e-6
        expected = (loss(weights + step) - loss(weights - step)) / 2e-6
        assert found[at] == pytest.approx(expected, abs=1e-6)


def test_the_ensemble_learns_and_differs_where_it_knows_little() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5))
    truths = np.tanh(rows[:, 0] - rows[:, 1])
    known, others = rows[:40], rows[40:]
    found = ensemble(known, truths[:40], others, 3)
    assert found.shape == (5, 20) and np.corrcoef(found.mean(axis=0), truths[40:])[0, 1] > 0.7
    assert np.array_equal(found, ensemble(known, truths[:40], others, 3))
    assert not np.array_equal(found, ensemble(known, truths[:40], others, 4))
    far = ensemble(known, truths[:40], 10 * others, 3)
    assert far.std(axis=0).mean() > 2 * found.std(axis=0).mean()


def test_rounds_are_drawn_from_the_nearest_to_the_best(tmp_path: Path) -> None:
    options = {"start": 4, "together": 3, "children": 6, "parents": 1}
    searcher, results = ran(tmp_path, "bananas", pool := closed(40), 10, **options)
    assert isinstance(searcher, BananasSearch)
    asked = queries(results)
    features = {one.key: SPACE.features(one) for one in pool.members}
    matrix = np.stack(list(features.values()))
    spread = matrix.std(axis=0)
    scaled = {key: row[spread > 0] / spread[spread > 0] for key, row in features.items()}
    for first in (4, 7):
        done = asked[:first]
        best = max(done, key=lambda r: r.truth.fitness if r.truth else 0.0).architecture.key
        free = [key for key in features if key not in keys(done)]
        distance = {key: float(np.abs(scaled[key] - scaled[best]).sum()) for key in free}
        limit = sorted(distance.values())[5] + 1e-9
        assert all(distance[key] <= limit for key in keys(asked[first : first + 3]))


def test_proxies_can_be_inputs(tmp_path: Path) -> None:
    found = []
    for number, proxies in enumerate((False, True)):
        (tmp_path / str(number)).mkdir()
        found.append(keys(queries(ran(tmp_path / str(number), "bananas", closed(30), 9, proxies=proxies_of)[1])))
        if proxies:
            (tmp_path / "with").mkdir()
            asked: Counter[tuple[str, str, float]] = Counter()
            measures: Any = {
                PROXIES: Counting(("proxy",), lambda trial: proxies_of(trial.architecture), asked),
                TRUTH: Counting((TRUTH,), lambda trial: truth_of(trial.architecture), asked),
            }
            searcher = searchers.get("bananas", closed(30), 0, **{**SYSTEMS["bananas"][1], "proxies": True})
            with Journal(tmp_path / "with", {}) as journal:
                results = search(searcher, measures, journal, {PROXIES: 60, TRUTH: 9}, 4)[0]
            found.append(keys(queries(results)))
    assert found[0] == found[1] and found[0][:3] == found[2][:3] and found[0] != found[2]


# ------------------------------------------------------------------------------------------------- zero-cost evolution


def test_the_first_population_is_the_proxys_best_of_the_warm_up(tmp_path: Path) -> None:
    results = ran(tmp_path, "zero_cost", SpacePool(SPACE), 4)[1]
    scored = [r for r in results if r.trial.measure == PROXIES]
    best = sorted(scored, key=lambda r: -r.fitness)
    assert len(scored) == 20 and keys(queries(results)) == keys(best)[:4]
    (tmp_path / "cold").mkdir()
    cold = ran(tmp_path / "cold", "zero_cost", SpacePool(SPACE), 4, warmup=0)[1]
    assert keys(queries(cold)) == [r.architecture.key for r in cold if r.trial.measure == PROXIES][:4]


@pytest.mark.parametrize("greedy", [0.0, 1.0])
def test_a_move_is_the_proxys_best_of_a_parents_mutants(tmp_path: Path, greedy: float) -> None:
    searcher, results = ran(tmp_path, "zero_cost", SpacePool(SPACE), 16, greedy=greedy, proposals=4)
    assert isinstance(searcher, ZeroCostSearch)
    scored: list[Result] = []
    best = []
    for result in results[24:]:  # 20 scores and 4 truths before the first move
        if result.trial.measure == PROXIES:
            scored.append(result)
        elif len(scored) >= 3:  # mutants that were scored before are not scored again
            best.append(result.architecture.key == max(scored, key=lambda r: r.fitness).architecture.key)
            scored = []
        else:
            scored = []
    assert len(best) >= 6 and (all(best) if greedy else not all(best))
    assert len(searcher.population) == 4


def test_without_a_budget_of_scores_the_best_that_was_scored_is_asked(tmp_path: Path) -> None:
    results = ran(tmp_path, "zero_cost", closed(40), 10, scored=20)[1]
    scored = [r for r in results if r.trial.measure == PROXIES]
    assert len(scored) == 20 and len(queries(results)) == 10
    assert set(keys(queries(results))) <= set(keys(scored))


# ------------------------------------------------------------------------------------------------- halving


@pytest.mark.parametrize("name", HALVED)
def test_rungs_halve_within_the_budget(name: str, tmp_path: Path) -> None:
    searcher, results = ran(tmp_path, name, SpacePool(SPACE), 5)
    asked = queries(results)
    counts = Counter(r.trial.fidelity for r in asked)
    first = counts[0.125]
    assert [counts[share] for share in (0.125, 0.25, 0.5, 1.0)] == [math.ceil(first / 2**i) for i in range(4)]
    spent = sum(r.cost for r in asked)
    assert spent <= 5 and searcher.notes()["rungs"]["0.125"] == first
    if name != "mf_nas":
        assert spent > 4  # one more candidate would cost more
    else:
        assert first == 6
    for share, later in ((0.125, 0.25), (0.25, 0.5), (0.5, 1.0)):
        rung = [r for r in asked if r.trial.fidelity == share]
        best = sorted(rung, key=lambda r: -(r.truth.fitness if r.truth else 0))[: counts[later]]
        assert keys([r for r in asked if r.trial.fidelity == later]) == keys(best)
    scored = [r for r in results if r.trial.measure == PROXIES]
    assert (scored == []) == (name == "halving at random")
    if name in ("halving", "mf_nas"):
        assert keys(asked)[:first] == keys(sorted(scored, key=lambda r: -r.fitness))[:first]


def test_whole_trainings_where_the_truth_is_known_of_no_others(tmp_path: Path) -> None:
    searcher = searchers.get("halving", closed(20), 0)
    searcher.tell([Result(t, proxies_of(t.architecture)) for t in searcher.ask(20, {PROXIES: 20})])
    trials = searcher.ask(20, {TRUTH: 6.0})
    assert len(trials) == 6 and all(trial.fidelity == 1 for trial in trials) and searcher.earliest == 1


def test_rungs_must_rise() -> None:
    with pytest.raises(ZeronasError, match=r"^rungs must be increasing shares of a training up to 1, but got \[0.5\]"):
        searchers.get("r_mf_nas", closed(5), 0, rungs=[0.5])


# ------------------------------------------------------------------------------------------------- of the truth


def test_evolution_of_the_truth_breeds_from_the_best_truths() -> None:
    searcher: Any = searchers.get("evolution", closed(30), 0, population=3, tournament=3, of="truth")
    trials = searcher.ask(9, {TRUTH: 9.0})
    assert len(trials) == 3  # the first are random; then each waits for the truth of the one before
    values = [Score(1.0), Score(None, "diverged: not finite"), Score(2.0)]
    scores = [{"proxy": Score(-i * 10.0), TRUTH: value} for i, value in enumerate(values)]
    searcher.tell([Result(t, s) for t, s in zip(trials, scores, strict=True)])
    assert [r.fitness for r in searcher.population] == [1.0, -math.inf, 2.0]  # whatever the proxy says
    (child,) = searcher.ask(9, {TRUTH: 6.0})
    assert child.measure == TRUTH
    searcher.tell([Result(child, UNKNOWN, 0.0, False)])
    assert len(searcher.population) == 3 and searcher.population[0].fitness == 1.0  # what is not known does not join


def test_truths_at_a_share_cost_that_share() -> None:
    searcher = searchers.get("random", closed(30), 0, of="truth", fidelity=0.25)
    trials = searcher.ask(99, {TRUTH: 1.6})
    assert [trial.fidelity for trial in trials] == [0.25] * 6 and searcher.earliest == 0.25


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "evolution",
            {"fidelity": 0.5},
            "has fidelity=0.5, which concerns truths, but it searches by a proxy; use of=truth",
        ),
        ("local", {"together": 4}, "has together=4, which concerns truths, but it searches by a proxy; use of=truth"),
        ("robot", {"normalise": "log"}, "Unknown normalise 'log' of searcher 'robot'. Available: minmax, rank."),
        ("hnas", {"lowest": 1.0, "highest": 1.0}, "needs lowest < highest, but got (lowest=1, highest=1)."),
        ("proxybo", {"folds": 1}, "needs folds to be a whole number from 2 to 1,000, but got 1."),
        ("zero_cost", {"tournament": 70}, "needs tournament <= population, but got (tournament=70, population=64)."),
        ("halving", {"eta": 1.0}, "needs eta to be a number above 1, up to 1,000, but got 1.0."),
        ("bananas", {"members": 1}, "needs members to be a whole number from 2 to 100, but got 1."),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        searchers.get(name, SpacePool(SPACE), 0, **options)
    assert sentence in str(error.value) and name in str(error.value)


# ------------------------------------------------------------------------------------------------- by the command


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides for a table of eight cells."""
    path, space, rng = tmp_path_factory.mktemp("table") / "mine.csv", spaces.get("rnn"), np.random.default_rng(0)
    found = {one.key: one for one in (space.sample(rng) for _ in range(8))}
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [[json.dumps(one.to_json()), str(i)] for i, one in enumerate(found.values())]
        csv.writer(file).writerows([["architecture", "score"], *rows])
    options = ["benchmark.value=score", "benchmark.higher_is_better=true", "pool=benchmark"]
    return ["benchmark=csv", f"benchmark.file={path}", *options]


def ended(composed: Any, folder: Path, table: Sequence[str], *overrides: str) -> dict[str, Any]:
    return app.run(composed("search", *table, *overrides, f"run.dir={folder}"))


@pytest.mark.parametrize("name", ["robot", "hnas"])
def test_published_protocols_run_and_tell_what_they_found(
    name: str, tmp_path: Path, composed: Any, table: list[str]
) -> None:
    results = ended(composed, tmp_path, table, f"experiment={name}", "queries=4")
    assert results["queries_used"] == 4 == len({query["key"] for query in results["queries"]})
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    notes = results["searcher_notes"]
    if name == "robot":
        labels = ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacobian_covariance"]
        assert list(notes["weights"]) == labels == results["proxies"] and 1 <= notes["T0"] <= 4
        assert f"- robot: weights tried {notes['weights_tried']}; T0 {notes['T0']}; weights: grad_norm " in summary
    else:
        assert results["proxies"] == ["grad_norm", "ntk_condition"] and notes["rounds"] == 4
        assert "- hnas: target " in summary
    assert composed("search", f"experiment={name}")["queries"] == 20


def test_a_search_of_the_truth_scores_nothing_and_says_so(tmp_path: Path, composed: Any, table: list[str]) -> None:
    options = ["searcher=evolution", "searcher.of=truth", "searcher.population=4", "searcher.tournament=2", "queries=7"]
    results = ended(composed, tmp_path, table, *options)
    assert results["queries_used"] == results["evaluations"] == results["unscored"] == 7 and not results["failures"]
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# rnn search: evolution, fitness the truth\n")
    assert "evaluated: 7 distinct architectures, 7 of them by their truth alone; failures: none" in summary
    assert "proxy score" not in summary
    best = max(query["truth"] for query in results["queries"])
    assert results["found"]["truth"] == best


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("searcher=evolution", "searcher.of=truth"),
            "Searcher 'evolution' asks for truths while it searches; say how",
        ),
        (
            ("searcher=random", "queries=3"),
            "queries=3 truths may be asked for, but searcher 'random' asks for none; ver",
        ),
        (
            ("searcher=random", "searcher.of=truth", "queries=3", "gate=sampler"),
            "gate=sampler checks scored architectures, but searcher 'random' asks for the truth of its proposals wi",
        ),
        (
            ("searcher=hnas", "queries=3", "proxy=[snip,ntk_condition]"),
            "Searcher 'hnas' has metric='grad_norm', which is no proxy of this run. Available: ntk_condition, snip.",
        ),
        (
            ("searcher=halving", "queries=3", "searcher.rungs=[0.5,1]"),
            "Benchmark 'csv_mine' has no value after a share of 0.5 of a training; the smallest share is 1.",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(
    overrides: Sequence[str], sentence: str, tmp_path: Path, composed: Any, table: list[str]
) -> None:
    with pytest.raises(ZeronasError) as error:
        ended(composed, tmp_path / "run", table, *overrides)
    assert str(error.value).startswith(sentence) and not (tmp_path / "run").exists()


def test_a_choice_that_is_as_before_is_the_run_that_it_was(composed: Any) -> None:
    from nas.settings import SearchSettings, make

    config = composed("search", "benchmark=none")
    now = make(config, SearchSettings).identity["searcher"]
    assert now == {"name": "evolution", "population": 100, "tournament": 25, "crossover": 0.0}
    other = composed("search", "benchmark=mini_rnn", "searcher.of=truth", "queries=2")
    assert make(other, SearchSettings).identity["searcher"]["of"] == "truth"


def test_after_evolution_at_a_share_the_best_by_truth_go_on(tmp_path: Path, composed: Any) -> None:
    options = [
        "benchmark=mini_rnn",
        "pool=benchmark",
        "searcher=evolution",
        "searcher.of=truth",
        "searcher.fidelity=0.125",
    ]
    more = ["searcher.population=4", "searcher.tournament=2", "verify=3", "rungs=[0.5,1]", "eta=3", "queries=3"]
    results = app.run(composed("search", *options, *more, f"run.dir={tmp_path}"))
    # the funnel takes 3 x 3/8 + 1 x 1/2 of the 3 trainings, and 1.375 are left for eleven eighths
    assert results["truths"]["shares"] == {"0.125": 11, "0.5": 3, "1": 1}
    known = [q for q in results["queries"] if q["fidelity"] == 0.125 and q["value"] is not None]
    best = sorted(known, key=lambda q: q["value"])[:3]
    assert [q["key"] for q in results["queries"] if q["fidelity"] == 0.5] == [q["key"] for q in best]


def test_trials_are_not_changed_by_being_asked_again() -> None:
    """Asked twice without an answer between, a search of candidates says the same."""
    for name in ("robot", "hnas", "proxybo", "bananas"):
        searcher = searchers.get(SYSTEMS[name][0], closed(15), 0, **SYSTEMS[name][1])
        searcher.tell([Result(t, proxies_of(t.architecture)) for t in searcher.ask(15, {PROXIES: 15})])
        assert searcher.ask(3, {TRUTH: 9.0}) == searcher.ask(3, {TRUTH: 9.0}) != []
        assert isinstance(searcher.ask(1, {TRUTH: 9.0})[0], Trial)
