"""Samples compared: the test against scipy's, Stat-MAX and Stat-TOPK where they are known, whole searches by them."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

import proxies
import spaces
from experiments.commands import rank as rank_app
from experiments.commands import search as app
from nas import search
from nas.core.errors import ZeronasError
from nas.core.workers import OUT_OF_MEMORY, TIME_OUT
from nas.engine.evaluate import Evaluator, Scorer
from nas.engine.journal import Journal
from nas.engine.pools import SpacePool
from nas.engine.trials import Evaluation, Result, Trial
from nas.judge.variation import variation_index
from nas.search.comparison import (
    MEANS,
    Comparator,
    beats,
    least_samples,
    p_value,
    stat_max,
    stat_topk,
    u_statistic,
)
from nas.search.funnel import Funnel, finalists
from nas.settings import SearchSettings, make
from proxies.base import Proxy, ProxyFailure, Record, Score
from spaces.rnn import named_cell
from spaces.rnn.probe import RNNProbe


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --------------------------------------------------------------------------------------------------- the test


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 10, 20])
def test_p_is_that_of_scipys_exact_test(count: int) -> None:
    draws = rng(count)
    for shift in (-2.0, 0.0, 0.5, 1.0, 9.0):
        a, b = draws.normal(size=count) + shift, draws.normal(size=count)
        expected = mannwhitneyu(a, b, alternative="greater", method="exact")
        (u,) = u_statistic(a[None], b)
        assert u == expected.statistic
        assert p_value(u, count) == pytest.approx(expected.pvalue, rel=1e-12)
        for level in (0.01, 0.05, 0.3):
            assert beats(a[None], b, level)[0] == (expected.pvalue < level)


def test_u_by_hand_with_ties() -> None:
    # 3 beats 1 and 2, 2 beats 1 and ties with 2, 1 ties with 1: 2 + 1.5 + .5; none of the other: 9 and 0
    found = u_statistic(np.array([[3.0, 2.0, 1.0], [9.0, 8.0, 7.0], [0.0, 0.0, 0.0]]), np.array([1.0, 2.0, 5.0]))
    assert found.tolist() == [4.0, 9.0, 0.0]
    tied = np.array([2.0, 2.0, 2.0, 2.0])
    assert not beats(tied[None], tied, 0.49)[0]
    assert beats(tied[None] + 1, tied, 0.05)[0]  # what is equal under all seeds is compared as it is


def test_the_fewest_samples_that_can_tell_anything() -> None:
    assert 1 / math.comb(6, 3) == 0.05 and least_samples(0.05) == 4  # p must be below, and 3 of each have .05 at best
    assert [least_samples(level) for level in (0.3, 0.051, 0.025, 0.001)] == [2, 3, 4, 7]
    for level in (0.05, 0.025, 0.001):
        count = least_samples(level)
        high, low = np.ones((1, count)), np.zeros(count)
        assert beats(high, low, level)[0] and not beats(high[:, 1:], low[1:], level)[0]


# ------------------------------------------------------------------------------------------ Stat-MAX, Stat-TOPK


def apart(*means: float, count: int = 5) -> np.ndarray:
    """Samples that lie within .04 of their means."""
    return np.array([[mean + 0.01 * i for i in range(count)] for mean in means])


def test_stat_max_finds_what_beats_all_whatever_the_order() -> None:
    samples = apart(3.0, 9.0, 1.0, 7.0)
    assert {stat_max(samples, 0.05, rng(i)) for i in range(30)} == {1}


def test_what_cannot_be_told_apart_is_drawn() -> None:
    close = np.array(
        [[1.0, 2.0, 3.0, 4.0, 5.0], [1.5, 2.5, 3.5, 4.5, 5.5], [1.2, 2.2, 3.2, 4.2, 5.2], [0, 0, 0, 0, 0.1]]
    )
    counts = Counter(stat_max(close, 0.05, rng(i)) for i in range(600))
    assert set(counts) == {0, 1, 2}
    assert all(150 < n < 250 for n in counts.values())  # a third each; five standard deviations are 58
    # the highest mean is not preferred: there is no evidence for it


def test_stat_max_keeps_the_first_unless_a_later_one_is_better() -> None:
    """Against the scan as it is told, one by one, with scipy's test."""
    draws = rng(7)
    samples = draws.normal(size=(40, 6)) + draws.normal(size=(40, 1))
    for seed in range(10):
        order = rng(seed).permutation(40)
        best = order[0]
        for i in order[1:]:
            if mannwhitneyu(samples[i], samples[best], alternative="greater", method="exact").pvalue < 0.05:
                best = i
        assert stat_max(samples, 0.05, rng(seed)) == best


def test_stat_topk_is_stat_max_with_removal() -> None:
    samples = apart(3.0, 9.0, 1.0, 7.0, 5.0)
    assert stat_topk(samples, 3, 0.05, rng()) == [1, 3, 4]
    assert stat_topk(samples, 9, 0.05, rng()) == [1, 3, 4, 0, 2]
    assert stat_topk(samples, 0, 0.05, rng()) == [] == stat_topk(np.empty((0, 5)), 2, 0.05, rng())
    equal = np.zeros((6, 5))
    found = [tuple(stat_topk(equal, 2, 0.05, rng(i))) for i in range(40)]
    assert len(set(found)) > 10 and all(a != b for a, b in found)


def result(name: str, *samples: float) -> Result:
    class Named:
        key = name

    score = Score.of([Score(value) for value in samples]) if samples else Score(None, "failed")
    return Result(Trial(Named()), {"p": score})


HIGH, LOW, WIDE, FAILED = (
    result("high", 5, 6, 7, 8, 9),
    result("low", 0, 1, 2, 3, 4),
    result("wide", -9, -8, 30, 40, 50),
    result("failed"),
)


def test_results_are_compared_by_samples_or_by_means() -> None:
    stat = Comparator(0.05)
    assert stat.better(HIGH, LOW) and not stat.better(LOW, HIGH)
    assert MEANS.better(WIDE, HIGH) and not stat.better(WIDE, HIGH) and not stat.better(HIGH, WIDE)
    for comparator in (stat, MEANS):
        assert comparator.better(LOW, FAILED) and not comparator.better(FAILED, LOW)
        assert not comparator.better(FAILED, FAILED)
        assert comparator.best([FAILED, LOW, HIGH], rng()) is HIGH
        assert comparator.best([FAILED], rng()) is FAILED and comparator.top([FAILED], 3, rng()) == []
        assert comparator.top([LOW, FAILED, HIGH], 3, rng()) == [HIGH, LOW]
    assert {id(stat.best([WIDE, HIGH, LOW], rng(i))) for i in range(40)} == {id(WIDE), id(HIGH)}
    assert MEANS.best([HIGH, WIDE], rng()) is WIDE
    tied = [result("a", 1, 1), result("b", 1, 1)]
    assert MEANS.best(tied, rng()) is tied[0]  # of equals the first


def test_finalists_by_samples_are_stat_topks() -> None:
    class Flat:
        def features(self, item: Any) -> np.ndarray:
            return np.array([float(len(item.key))])

    space: Any = Flat()
    told = [LOW, WIDE, FAILED, HIGH]
    assert finalists(space, told, 2, "best") == [WIDE, HIGH]
    drawn = [finalists(space, told, 3, "best", seed, Comparator(0.05)) for seed in range(30)]
    assert all(set(map(id, found)) == {id(LOW), id(WIDE), id(HIGH)} for found in drawn)
    assert {id(found[0]) for found in drawn} == {id(WIDE), id(HIGH)}
    assert finalists(space, told, 3, "best", 4, Comparator(0.05)) == drawn[4]
    for pick in ("niches", "trajectory"):
        assert FAILED not in finalists(space, told, 4, pick, 0, Comparator(0.05))  # type: ignore[arg-type]
    funnel = Funnel(space, 3, seed=4, comparator=Comparator(0.05))
    funnel.tell(told)
    assert [trial.architecture for trial in funnel.ask(8, {"truth": 3})] == [r.architecture for r in drawn[4]]


# ------------------------------------------------------------------------------------------------- searchers


RNN = spaces.get("rnn").reduce({"hidden_states": 1, "nodes": {"max": 5}})


def noisy(architecture: Any, spread: float) -> Score:
    base = float(RNN.counts(architecture).flops % 97)
    stream = rng(int(architecture.key[-6:], 16))
    return Score.of([Score(base + spread * stream.normal()) for _ in range(5)])


@pytest.mark.parametrize(
    ("name", "options"), [("evolution", {"population": 8, "tournament": 4}), ("local", {"starts": 4})]
)
def test_searchers_compare_as_they_are_told_to(name: str, options: dict[str, Any]) -> None:
    """With samples that do not overlap the test agrees with the means; where they all do, chance takes their place."""

    def proposals(comparator: Comparator, spread: float) -> list[str]:
        searcher = search.get(name, SpacePool(RNN), 0, **options)
        searcher.comparator = comparator
        keys = []
        for _ in range(12):
            trials = searcher.ask(4, {"proxies": 100.0})
            keys += [trial.architecture.key for trial in trials]
            searcher.tell([Result(t, {"p": noisy(t.architecture, spread)}) for t in trials])
        return keys

    assert proposals(Comparator(0.05), 1e6) == proposals(Comparator(0.05), 1e6)
    assert proposals(Comparator(0.05), 1e6) != proposals(MEANS, 1e6)
    if name == "local":  # no draw decides between what can be told apart
        assert proposals(Comparator(0.05), 0.0) == proposals(MEANS, 0.0)


# -------------------------------------------------------------------------------------------------- samples


PROBE = RNNProbe(embedding=4, hidden=(5,), batch=3, steps=4, vocabulary=30)


def test_a_score_is_the_mean_of_its_samples() -> None:
    assert Score.of([Score(None, "odd")]) == Score(None, "odd") and Score.of([Score(2.0)]) == Score(2.0)
    assert Score.of([Score(1.0), Score(2.0), Score(6.0)]) == Score(3.0, "", (1.0, 2.0, 6.0))
    assert Score.of([Score(0.1)] * 3).value == 0.1 and Score.of([Score(1.7e308)] * 3).value == 1.7e308
    failed = Score.of([Score(1.0), Score(None, "first"), Score(None, "second")])
    assert failed == Score(None, "first")


def test_samples_are_scores_under_seeds_that_derive_from_the_runs() -> None:
    chosen = {"c": proxies.get("hidden_covariance"), "p": proxies.get("parameters")}
    scorer = Scorer(RNN, PROBE, chosen, 3, samples=4)
    assert scorer.seeds[0] == 3 and len(set(scorer.seeds)) == 4 and all(0 <= s < 2**32 for s in scorer.seeds)
    assert scorer.seeds[:2] == Scorer(RNN, PROBE, chosen, 3, samples=2).seeds  # more samples keep the first
    cell = named_cell("GRU")
    found = scorer(cell)
    each = [Scorer(RNN, PROBE, chosen, seed)(cell).scores for seed in scorer.seeds]
    assert found.scores["c"] == Score.of([one["c"] for one in each])
    assert len(set(found.scores["c"].samples)) == 4
    assert found.scores["p"].value == each[0]["p"].value and len(set(found.scores["p"].samples)) == 1
    assert set(found.times) == {"pass", "c", "p"}


class Moody(Proxy):
    """Fails under one seed in three, and runs out of memory or time where it is told to."""

    name, title, source, needs = "moody", "moody", "test", frozenset()

    def __init__(self, bad: dict[int, BaseException]) -> None:
        self.bad = bad

    def __call__(self, record: Record) -> float:
        if record.seed in self.bad:
            raise self.bad[record.seed]
        return float(record.seed)


@pytest.mark.parametrize(
    ("error", "reason"), [(ProxyFailure("moody today"), "moody today"), (MemoryError(), OUT_OF_MEMORY)]
)
def test_one_failed_sample_is_a_failure(error: BaseException, reason: str) -> None:
    seeds = Scorer(RNN, PROBE, {}, 0, samples=3).seeds
    scorer = Scorer(RNN, PROBE, {"m": Moody({seeds[1]: error}), "calm": Moody({})}, 0, samples=3)
    scores = scorer(named_cell("RNN")).scores
    assert scores["m"] == Score(None, reason)
    assert len(scores["calm"].samples) == 3


def test_a_time_out_among_the_samples_keeps_what_was_complete() -> None:
    class Endless(Proxy):
        name, title, source, needs = "endless", "endless", "test", frozenset()

        def __call__(self, record: Record) -> float:
            while record.seed != 0:
                pass
            return 1.0

    scorer = Scorer(RNN, PROBE, {"first": Moody({}), "e": Endless()}, 0, timeout=0.3, samples=2)
    scores = scorer(named_cell("RNN")).scores
    assert scores["e"] == Score(None, TIME_OUT) and len(scores["first"].samples) == 2
    three = Scorer(RNN, PROBE, {"first": Moody({}), "e": Endless()}, 0, timeout=0.3, samples=3)
    assert {s.reason for s in three(named_cell("RNN")).scores.values()} == {TIME_OUT}


def test_the_journal_keeps_all_samples(tmp_path: Path) -> None:
    cell = named_cell("RNN")
    scores = {"a": Score.of([Score(1.0), Score(2.0)]), "b": Score(None, "odd"), "c": Score(5.0)}
    with Journal(tmp_path, {}) as journal:
        journal.add(Evaluation(cell.key, scores, 0.1), cell)
    text = (tmp_path / "journal.jsonl").read_text(encoding="utf-8")
    assert json.loads(text)["scores"] == {
        "a": {"value": 1.5, "samples": [1.0, 2.0]},
        "b": {"value": None, "reason": "odd"},
        "c": {"value": 5.0},
    }
    with Journal(tmp_path, {}) as journal:
        assert journal.known[cell.key, "proxies", 1.0].scores == scores
    for damage in ("[1.0, null]", "5", "[true]", "[NaN]"):
        (tmp_path / "journal.jsonl").write_text(text.replace("[1.0,2.0]", damage), encoding="utf-8")
        with pytest.raises(ZeronasError, match="is damaged"), Journal(tmp_path, {}):
            pass


# ---------------------------------------------------------------------------------------------- whole searches


TINY = ["probe.rnn.hidden=[5]", "probe.rnn.embedding=4", "probe.rnn.batch=3", "probe.rnn.steps=4"]
STAT = [*TINY, "benchmark=none", "budget=40", "batch=4", "samples=5", "comparator=stat"]


@pytest.mark.parametrize(
    "searcher",
    [["searcher=random"], ["searcher.population=10", "searcher.tournament=4"], ["searcher=local", "searcher.starts=4"]],
    ids=["random", "evolution", "local"],
)
def test_searches_are_alike_with_workers_and_when_resumed(searcher: list[str], tmp_path: Path, composed: Any) -> None:
    def table(name: str, *more: str) -> tuple[bytes, Any]:
        found = app.run(composed("search", *STAT, *searcher, f"run.dir={tmp_path / name}", *more))
        return (tmp_path / name / "table.csv").read_bytes(), found["found"]

    whole = table("one")
    assert whole[1]["chosen_by"] == "Stat-MAX of hidden_covariance, 5 samples each"
    assert table("two", "executor.workers=2") == whole
    journal = tmp_path / "two" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    valid = [s["samples"] for line in lines if (s := json.loads(line)["scores"]["hidden_covariance"])["value"]]
    assert len(valid) > 20 and all(len(samples) == 5 == len(set(samples)) for samples in valid)
    journal.write_bytes(b"".join(lines[:13]))
    assert table("two") == whole


def test_finalists_of_a_search_are_those_of_stat_topk(tmp_path: Path, composed: Any) -> None:
    overrides = [*TINY, "benchmark=mini_rnn", "pool=benchmark", "searcher=random", "budget=30", "verify=3"]
    by_mean = app.run(composed("search", *overrides, "samples=4", f"run.dir={tmp_path / 'mean'}"))
    by_test = app.run(
        composed(
            "search", *overrides, "samples=4", "comparator=stat", "significance=0.3", f"run.dir={tmp_path / 'stat'}"
        )
    )
    assert (tmp_path / "mean" / "table.csv").read_bytes() == (tmp_path / "stat" / "table.csv").read_bytes()
    journal = (tmp_path / "stat" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    scores = {e["key"]: e["scores"]["hidden_covariance"] for e in map(json.loads, journal) if "measure" not in e}
    asked = [[query["key"] for query in found["queries"]] for found in (by_mean, by_test)]
    best = sorted((k for k in scores if scores[k]["value"] is not None), key=lambda k: -scores[k]["value"])
    assert asked[0] == best[:3] and len(asked[1]) == 3
    for key in asked[1][1:]:  # what was chosen later does not beat what was chosen before it
        a, b = (np.array(scores[k]["samples"]) for k in (key, asked[1][0]))
        assert not beats(a[None], b, 0.3)[0]


def test_one_sample_is_the_run_that_it_was_before(tmp_path: Path, composed: Any) -> None:
    config = composed("search", *TINY, "benchmark=none")
    settings = make(config, SearchSettings)
    assert not {"samples", "comparator", "significance"} & set(settings.identity)
    other = [
        make(composed("search", *TINY, "benchmark=none", *more), SearchSettings)
        for more in (
            ["samples=4"],
            ["samples=5"],
            ["samples=5", "comparator=stat"],
            ["samples=5", "comparator=stat", "significance=0.01"],
        )
    ]
    names = [one.folder.name for one in (settings, *other)]
    assert len(set(names)) == 5
    assert (
        make(composed("search", *TINY, "benchmark=none", "significance=0.01"), SearchSettings).folder.name == names[0]
    )


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["samples=0"], "zeronas search needs samples to be a whole number from 1 to 100, but got 0."),
        (["comparator=median"], "Unknown comparator 'median' of zeronas search. Did you mean 'mean'?"),
        (["significance=0.5"], "zeronas search needs significance to be a number between 0 and 0.5, both excluded"),
        (
            ["comparator=stat", "samples=2"],
            "comparator=stat cannot find any difference with samples=2 of each architecture: the least p of its "
            "test is 0.167, which is not below significance=0.05; use samples=4 or more.",
        ),
        (
            ["comparator=stat"],
            "comparator=stat cannot find any difference with samples=1 of each architecture: the least p of",
        ),
        (
            ["comparator=stat", "samples=5", "significance=0.001"],
            "comparator=stat cannot find any difference with samples=5",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(overrides: list[str], sentence: str, composed: Any) -> None:
    with pytest.raises(ZeronasError) as error:
        make(composed("search", "benchmark=none", *overrides), SearchSettings)
    assert str(error.value).startswith(sentence)


# -------------------------------------------------------------------------------------------- variation index


def test_the_variation_index_by_hand() -> None:
    # standard deviations 1 and 2 of means 2 and -4
    assert variation_index([(1.0, 2.0, 3.0), (-6.0, -4.0, -2.0)]) == pytest.approx((0.5 + 0.5) / 2)
    assert variation_index([(1.0, 3.0)]) == pytest.approx(math.sqrt(2) / 2)
    assert variation_index([(5.0, 5.0), (1.0, 3.0), (-1.0, 1.0), ()]) == pytest.approx(math.sqrt(2) / 4)
    assert (
        variation_index([(7.0,), ()]) is None and variation_index([]) is None and variation_index([(-1.0, 1.0)]) is None
    )


def test_rank_tells_how_much_a_proxy_varies(tmp_path: Path, composed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*TINY, "benchmark=mini_rnn", "limit=12", "resamples=5"]
    found = rank_app.run(composed("rank", *overrides, "samples=3", f"run.dir={tmp_path / 'three'}"))
    said = capsys.readouterr().out
    assert "variation index" in said and "each score is the mean of 3 samples" in said
    judged = found["proxies"]
    assert judged["parameters"]["variation"] == 0.0
    journal = (tmp_path / "three" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line)["scores"]["hidden_covariance"].get("samples", []) for line in journal]
    assert judged["hidden_covariance"]["variation"] == variation_index(samples) != 0
    once = rank_app.run(composed("rank", *overrides, f"run.dir={tmp_path / 'one'}"))
    assert "variation index" not in capsys.readouterr().out
    assert once["proxies"]["hidden_covariance"]["variation"] is None
    two = rank_app.run(composed("rank", *overrides, "samples=3", "executor.workers=2", f"run.dir={tmp_path / 'two'}"))
    assert (tmp_path / "two" / "table.csv").read_bytes() == (tmp_path / "three" / "table.csv").read_bytes()
    assert two["proxies"]["random"]["variation"] == judged["random"]["variation"] > 0.1


def test_workers_answer_with_samples() -> None:
    chosen = {"c": proxies.get("hidden_covariance")}
    cells = [named_cell(name) for name in ("RNN", "LSTM", "GRU")]
    with (
        Evaluator(Scorer(RNN, PROBE, chosen, 0, samples=3)) as one,
        Evaluator(Scorer(RNN, PROBE, chosen, 0, samples=3), 2) as two,
    ):
        assert [e.scores for e in one.map(cells)] == [e.scores for e in two.map(cells)]
