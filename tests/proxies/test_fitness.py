"""The project's own fitness: hand-worked views of both spaces, their ranges, and what they refuse."""

import math

import numpy as np
import pytest
import torch

import proxies
import spaces
from nas.core import seeds
from nas.core.errors import ZeronasError
from proxies.aggregation import Reference
from proxies.base import ProxyFailure, Record
from proxies.fitness_bert import BertFitness
from proxies.fitness_rnn import STABILITY, TARGETS, CellFitness
from spaces.base import Counts
from spaces.bert.config import BertConfig, Layer
from spaces.rnn import NAMED_CELLS, named_cell

PLAIN = Layer("SA", "SDP", 4, 1024, 1)
LOCAL = Layer("DSC", 5, 4, 512, 3)


def bert_record(config: BertConfig, reading: str = "stated") -> Record:
    space = spaces.get("bert", reading=reading)
    return Record("bert", config.key, 0, Counts(0, 0, 0, 0), matrices=space.matrices(config))


def test_views_of_bert_by_hand() -> None:
    # C(W) = max(m, n) .0004, per head: query, key, value 4 x 256 each and the output 256, in both layers; of the
    # feed-forward blocks the first one's two matrices, (1024, 256) and (256, 1024)
    capacity, locality = BertFitness().views(bert_record(BertConfig(256, (PLAIN, PLAIN))).matrices)
    assert capacity == pytest.approx(math.log(2 * 13 * 256 * 4e-4) + math.log(2 * 1024 * 4e-4))
    assert locality == 0.0
    _, locality = BertFitness(tokens=100).views(bert_record(BertConfig(256, (PLAIN, LOCAL))).matrices)
    assert locality == pytest.approx(math.log(100 / 5) / 2)  # attention mixes all tokens
    assert BertFitness(tokens=3).views(bert_record(BertConfig(256, (PLAIN, LOCAL))).matrices)[1] == 0.0


def test_only_the_last_feed_forward_block_is_left_out() -> None:
    wide = Layer("SA", "SDP", 4, 1024, 3)
    at_end, at_start, plain = (
        BertFitness().views(bert_record(BertConfig(256, layers)).matrices)[0]
        for layers in ((PLAIN, wide), (wide, PLAIN), (PLAIN, PLAIN))
    )
    assert at_end == plain < at_start


def test_fitness_of_bert_is_standardised_over_the_space() -> None:
    space = spaces.get("bert")
    proxy = BertFitness(sample=300).prepare(space)
    rng = seeds.generator(0, "fitness", "sample")
    drawn = [space.sample(rng) for _ in range(300)]
    views = np.array([BertFitness().views(space.matrices(a)) for a in drawn])
    expected = ((views - views.mean(axis=0)) / views.std(axis=0)).sum(axis=1)
    found = [proxy(Record("bert", a.key, 0, Counts(0, 0, 0, 0), matrices=space.matrices(a))) for a in drawn]
    assert found == pytest.approx(expected)


def test_a_view_that_does_not_vary_adds_nothing() -> None:
    space = spaces.get("bert", reading="trained")  # every operation is attention, whatever the configuration says
    proxy = BertFitness().prepare(space)
    first, second = (proxy(bert_record(BertConfig(256, pair), "trained")) for pair in ((PLAIN, LOCAL), (PLAIN, PLAIN)))
    assert first == second


def test_what_the_fitness_of_bert_refuses() -> None:
    with pytest.raises(ProxyFailure, match="leaves out the last layer"):
        BertFitness().views(bert_record(BertConfig(256, (PLAIN, PLAIN))).matrices[:1])
    with pytest.raises(ProxyFailure, match="not prepared for"):
        BertFitness()(bert_record(BertConfig(256, (PLAIN, PLAIN))))
    with pytest.raises(ZeronasError, match="tokens"):
        proxies.get("zeronas", "bert", tokens=0)


def fitness(training: str, layers: int = 1) -> CellFitness:
    proxy = CellFitness(training=training, layers=layers)
    proxy._references = {label: Reference.of([float(i) for i in range(100)]) for label in proxy.members}
    return proxy


@pytest.mark.parametrize("training", TARGETS)
def test_fitness_of_cells_by_hand(training: str) -> None:
    target, proxy = TARGETS[training], fitness(training)
    at = {"covariance_1": 0.5, "response_1": target}
    assert proxy._together(at) == pytest.approx(math.log(0.5))  # the best response there is
    below, above = ({**at, "response_1": target + step} for step in (-0.05, 0.05))
    assert proxy._together(below) == pytest.approx(proxy._together(above))
    assert proxy._together(below) < proxy._together(at)
    near = 1 - 0.05 / max(target, 1 - target)
    assert proxy._together(below) == pytest.approx(math.log(0.5) + math.log(near))


def test_the_worst_layer_counts_for_each_view() -> None:
    proxy = fitness("long", 2)
    places = {"covariance_1": 0.9, "covariance_2": 0.3, "response_1": TARGETS["long"], "response_2": 0.99}
    assert proxy._together(places) == pytest.approx(math.log(0.3) + math.log(1 - (0.99 - 0.4) / 0.6))
    assert set(places) == set(proxy.members)
    assert proxy.layers == 2


def test_nothing_is_gained_beyond_the_sample() -> None:
    space = spaces.get("rnn")
    probe = space.make_probe({"embedding": 8, "hidden": [16], "batch": 6, "steps": 5, "vocabulary": 50})
    proxy = CellFitness(sample=40).prepare(space, probe, 0)
    assert isinstance(proxy, CellFitness)
    assert proxy.clip == 0.99
    scored = [proxy.score(probe.observe(space, named_cell(n), proxies.Needs.union([proxy]), 0)) for n in NAMED_CELLS]
    assert all(score.value is not None and score.value <= math.log(0.99) for score in scored)


def test_stability_counts_in_short_trainings_only() -> None:
    generator = torch.Generator().manual_seed(0)
    record = Record("rnn", "rnn-0", 0, Counts(0, 0, 0, 0))
    record.hidden, record.final = [torch.randn(6, 8, 4, generator=generator)], [torch.randn(8, 4, generator=generator)]
    found = {}
    for growth in STABILITY:
        record.described = {"state_growth": growth}
        found[growth] = fitness("short")(record), fitness("long")(record)
    bounded, unchanged = found["bounded"]
    for growth, (short, long) in found.items():
        assert short - bounded == pytest.approx(math.log(STABILITY[growth]))
        assert long == unchanged
    assert set(STABILITY) == set(spaces.get("rnn").feature_specs["state_growth"].choices)


def test_a_cell_that_ignores_its_first_input_is_a_failure() -> None:
    proxy = fitness("long")
    record = Record("rnn", "rnn-0", 0, Counts(0, 0, 0, 0))
    generator = torch.Generator().manual_seed(0)
    record.hidden, record.final = [torch.randn(6, 8, 4, generator=generator)], [torch.randn(8, 4, generator=generator)]
    assert proxy.score(record).value is not None
    record.hidden[0][1] = 0.25  # the same state for all examples after the first step
    score = proxy.score(record)
    assert score.value is None
    assert score.reason == "response_1: states do not differ"


def test_no_such_training() -> None:
    with pytest.raises(ZeronasError, match=r"training.*long"):
        proxies.get("zeronas", "rnn", training="medium")
