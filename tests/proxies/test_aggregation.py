"""Rank aggregation: places by hand, what a place at the ends is, failures, and the sample as a function of settings."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

import proxies
import spaces
from experiments.commands import search as app
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Evaluator, Scorer
from proxies.aggregation import MEMBERS, RankAggregation, Reference
from proxies.base import PROXIES, Needs, Proxy, ProxyFailure, Record
from spaces.base import Counts
from spaces.rnn.probe import RNNProbe

RNN = spaces.get("rnn").reduce({"hidden_states": 1, "nodes": {"max": 6}})
PROBE = RNNProbe(embedding=4, hidden=(5, 5), batch=3, steps=4, vocabulary=30)
RECORD = Record("any", "k", 0, Counts(0, 0, 0, 0))


def test_places_by_hand() -> None:
    found = Reference.of([10.0, None, 30.0, 20.0, 20.0, None, 40.0, 40.0, 40.0, 50.0])
    # two of ten failed and lie below; a tie counts half
    assert found.values == (10.0, 20.0, 30.0, 40.0, 50.0)
    assert found.places == pytest.approx((0.25, 0.40, 0.55, 0.75, 0.95))
    assert found.lowest == pytest.approx(0.1)
    assert [found.place(v) for v in (10, 20, 25, 48)] == pytest.approx([0.25, 0.40, 0.475, 0.91])
    assert [found.place(v) for v in (-math.inf, 0, 50, 51, 1e308)] == pytest.approx([0.25, 0.25, 0.95, 0.95, 0.95])
    assert Reference.of([3.0, 3.0]).place(7.0) == 0.5  # all alike says nothing
    huge = Reference.of([-1.7e308, 1.7e308])
    assert huge.place(0.0) == pytest.approx(0.5)


def test_places_are_mid_ranks_and_rise() -> None:
    values = np.random.default_rng(0).normal(size=60).round(1).tolist()
    found = Reference.of(values)
    assert [found.place(v) for v in values] == pytest.approx((rankdata(values) - 0.5) / 60)
    between = np.sort(np.random.default_rng(1).uniform(min(values), max(values), 500)).tolist()
    places = [found.place(v) for v in between]
    assert all(a < b for a, b in pairwise(places))


class Told(Proxy):
    """A proxy whose value is told, or that fails."""

    name, title, source, needs = "told", "told", "test", frozenset()

    def __init__(self, value: float | None = 0.0) -> None:
        self.value = value

    def __call__(self, record: Record) -> float:
        if self.value is None:
            raise ProxyFailure("nothing to see")
        return self.value


class Lower(Told):
    higher_is_better = False


HUNDRED = Reference.of([float(i) for i in range(100)])  # place of i: (i + 1/2) / 100


def aggregate(*members: Proxy, **options: Any) -> RankAggregation:
    made = RankAggregation(**options)
    made._members = {f"m{i}": one for i, one in enumerate(members)}
    made._references = dict.fromkeys(made._members, HUNDRED)
    return made


def test_the_three_ways_by_hand() -> None:
    even, uneven = (Told(49.5), Told(49.5)), (Told(89.5), Told(9.5))
    assert aggregate(*even)(RECORD) == pytest.approx(2 * math.log(0.5))
    assert aggregate(*uneven)(RECORD) == pytest.approx(math.log(0.9) + math.log(0.1))
    assert aggregate(*uneven, how="worst")(RECORD) == pytest.approx(0.1)
    assert aggregate(*uneven, how="mean")(RECORD) == pytest.approx(0.5) == aggregate(*even, how="mean")(RECORD)
    # one bad place costs more than a good one repays
    assert aggregate(*even)(RECORD) > aggregate(*uneven)(RECORD)


def test_where_lower_is_better_the_least_is_placed_highest() -> None:
    made = aggregate(Lower(9.5), how="mean")
    made._references = {"m0": Reference.of([-float(i) for i in range(100)])}
    assert made(RECORD) == pytest.approx(0.9)


def test_nothing_is_gained_beyond_the_clip() -> None:
    places = [aggregate(Told(v), how="mean")(RECORD) for v in (98.0, 98.5, 98.9, 99.0, 1e9)]
    assert places == pytest.approx([0.985, 0.99, 0.99, 0.99, 0.99])
    assert [aggregate(Told(v), how="mean", clip=0.5)(RECORD) for v in (30.0, 80.0)] == pytest.approx([0.305, 0.5])
    assert aggregate(Told(1e9), how="mean", clip=1.0)(RECORD) == pytest.approx(0.995)
    assert aggregate(Told(-1e9))(RECORD) == pytest.approx(math.log(0.005))  # a low place has a log, too


def test_a_member_without_a_value_fails_the_whole_or_is_placed_last() -> None:
    score = aggregate(Told(50.0), Told(None)).score(RECORD)
    assert (score.value, score.reason) == (None, "m1: nothing to see")
    assert aggregate(Told(50.0), Told(None), how="worst", failed="worst")(RECORD) == pytest.approx(0.005)
    nan = aggregate(Told(math.nan)).score(RECORD)
    assert (nan.value, nan.reason) == (None, "m0: the score is NaN")


def test_unprepared_it_says_so() -> None:
    score = RankAggregation({"flops": None}).score(RECORD)
    assert score.value is None and "was not prepared for" in score.reason


def test_it_needs_what_its_members_need_together() -> None:
    members = {"a": {"name": "noised_jacobian_cosine"}, "b": {"name": "state_size", "layer": 3}, "parameters": None}
    made = RankAggregation(members)
    each = [proxies.get("noised_jacobian_cosine"), proxies.get("state_size", layer=3), proxies.get("parameters")]
    assert Needs(made.needs, made.layers, made.noises) == Needs.union(each)
    assert made.noises and made.layers == 3


def test_members_are_those_of_the_space() -> None:
    members = {"distance": {"name": "activation_distance"}}
    assert len(PROXIES.kinds("activation_distance")) > 1
    for name in ("rnn", "bert"):
        made = proxies.get("rank_aggregation", name, members=members)
        assert isinstance(made, RankAggregation)
        assert type(made._members["distance"]) is type(proxies.get("activation_distance", name))
        assert made.needs == proxies.get("activation_distance", name).needs


def prepared(seed: int = 0, **options: Any) -> RankAggregation:
    made = proxies.get("rank_aggregation", "rnn", **{"sample": 40, **options}).prepare(RNN, PROBE, seed)
    assert isinstance(made, RankAggregation)
    return made


def test_references_are_the_scores_of_the_samples_draws() -> None:
    made = prepared()
    drawn = [RNN.sample(seeds.generator(0, "reference", i)) for i in range(40)]
    scorer = Scorer(RNN, PROBE, {"covariance": proxies.get("hidden_covariance"), "cost": proxies.get("flops")}, 0)
    with Evaluator(scorer) as evaluator:
        scores = [one.scores for one in evaluator.map(drawn)]
    assert made._references is not None and set(made._references) == set(MEMBERS)
    for label in MEMBERS:
        assert made._references[label] == Reference.of([one[label].value for one in scores])


def test_the_sample_is_the_runs_probe_and_seed_and_its_own_draws() -> None:
    base = prepared()._references
    assert prepared()._references == base != prepared(1)._references
    assert prepared(sample_seed=1)._references != base
    assert base is not None and prepared(how="worst", clip=0.5)._references == base
    assert {label: one.values for label, one in base.items() if label == "cost"} == {
        label: one.values for label, one in (prepared(1)._references or {}).items() if label == "cost"
    }  # what shapes say of the same draws


def test_a_process_scores_a_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(sample_seed=77)
    monkeypatch.setattr(RNNProbe, "observe", lambda *_: pytest.fail("scored again"))
    prepared(sample_seed=77, how="mean")
    received = pickle.loads(pickle.dumps(prepared(sample_seed=77)))
    assert received._references == prepared(sample_seed=77)._references


def test_members_that_need_it_are_prepared() -> None:
    bert = spaces.get("bert").reduce({"layers": 2})
    made = proxies.get("rank_aggregation", "bert", members={"zerolm": None}, sample=30)
    scorer = Scorer(bert, bert.make_probe({"batch": 2, "steps": 3, "vocabulary": 20}), {"r": made}, 0)
    items = [bert.sample(np.random.default_rng(i)) for i in range(12)]
    places = [scorer(one).scores["r"].value for one in items]
    alone = proxies.get("zerolm", "bert").prepare(bert)
    record = [Record.of(bert, one, Needs.union([alone]), 0) for one in items]
    expected = [alone(one) for one in record]
    inside = [
        p for p in zip(places, expected, strict=True) if p[0] is not None and math.log(0.02) < p[0] < math.log(0.98)
    ]
    assert None not in places and len(inside) >= 6
    assert rankdata([a for a, _ in inside]).tolist() == rankdata([b for _, b in inside]).tolist()


def test_nested_aggregations_are_prepared_too() -> None:
    inner = {"name": "rank_aggregation", "members": {"flops": None}, "how": "mean", "sample": 40, "clip": 1.0}
    made = prepared(members={"inner": inner}, how="mean", clip=1.0)
    plain = prepared(members={"flops": None}, how="mean", clip=1.0)
    for i in range(5):
        cell = RNN.sample(np.random.default_rng(i))
        record = PROBE.observe(RNN, cell, Needs.union([made]), 0)
        assert made(record) == pytest.approx(plain(record))


def test_a_member_that_fails_on_all_of_the_sample_is_told() -> None:
    with pytest.raises(ZeronasError) as error:
        prepared(members={"h": {"name": "hidden_covariance", "floor": 1e9}})
    assert str(error.value).startswith(
        "Proxy 'rank_aggregation' has nothing to rank against: none of 40 draws has a value of 'h' ("
    )


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"members": {}}, "Proxy 'rank_aggregation' needs members to be a group of one or more proxies, but got {}."),
        ({"members": ["flops"]}, "Proxy 'rank_aggregation' needs members to be a group of one or more proxies, but"),
        ({"members": {"a": 5}}, "Proxy 'rank_aggregation' needs members.a to be a group of settings (members.a.name"),
        ({"members": {"a": {"name": 5}}}, "Proxy 'rank_aggregation' needs members.a.name to be a word, but got 5."),
        ({"members": {"flop": None}}, "Unknown proxy 'flop'. Did you mean 'flops'?"),
        ({"members": {"flops": {"layer": 1}}}, "Proxy 'flops' has no option 'layer'. It has none."),
        ({"members": {"state_size": {"layer": 0}}}, "Proxy 'state_size' needs layer to be a whole number of 1"),
        ({"how": "best"}, "Unknown how 'best' of proxy 'rank_aggregation'. Available: log_sum, mean, worst."),
        ({"sample": 5}, "Proxy 'rank_aggregation' needs sample to be a whole number from 10 to"),
        ({"clip": 0.0}, "Proxy 'rank_aggregation' needs clip to be a number above 0, up to 1, but got 0.0."),
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], start: str) -> None:
    with pytest.raises(ZeronasError) as error:
        proxies.get("rank_aggregation", "rnn", **options)
    assert str(error.value).startswith(start)


def test_the_default_members_are_those_of_the_configuration(composed: Any) -> None:
    options = composed("search", "proxy=rank_aggregation")["proxies"]["rank_aggregation"]
    assert options["members"] == MEMBERS == proxies.options_of("rank_aggregation")["members"]


TINY = [
    *("proxy=rank_aggregation", "proxies.rank_aggregation.sample=30", "benchmark=none", "budget=40", "batch=4"),
    *("probe.rnn.hidden=[5]", "probe.rnn.embedding=4", "probe.rnn.batch=3", "probe.rnn.steps=4"),
    *("searcher.population=10", "searcher.tournament=3"),
]


@pytest.mark.parametrize("how", ["log_sum", "worst"])
def test_searches_by_it_are_alike_with_workers_and_when_resumed(how: str, tmp_path: Path, composed: Any) -> None:
    def table(name: str, *more: str) -> bytes:
        overrides = [*TINY, f"proxies.rank_aggregation.how={how}", f"run.dir={tmp_path / name}", *more]
        app.run(composed("search", *overrides))
        return (tmp_path / name / "table.csv").read_bytes()

    whole = table("one")
    assert table("two", "executor.workers=2") == whole
    journal = tmp_path / "two" / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:13]))
    assert table("two") == whole
    rows = whole.decode().splitlines()[1:]
    assert len({row.split(",")[2] for row in rows}) > 20
