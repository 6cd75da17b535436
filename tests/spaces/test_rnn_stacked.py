"""Many cells in one pass: what it gives one of them is what a pass of its own gives, whatever it is stacked with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import proxies
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Scorer
from proxies.base import Needs, Record
from proxies.covariance import correlation_scores
from spaces.rnn import Cell, RNNSpace, named_cell
from spaces.rnn.plan import compile_plan
from spaces.rnn.probe import RNNProbe
from spaces.rnn.stacked import LANES, padded, scheduled

SPACE = RNNSpace()
FORWARD = Needs(frozenset({"forward", "embedding"}), 1)
#: sizes that fill vector registers, and sizes that fill none
SIZES: list[dict[str, Any]] = [
    {"embedding": 32, "hidden": (64,), "batch": 12, "steps": 5},
    {"embedding": 3, "hidden": (5, 7), "batch": 2, "steps": 4},
    {"embedding": 9, "hidden": (33,), "batch": 3, "steps": 3},
]


def drawn(count: int, seed: int = 0) -> list[Cell]:
    """Draws and their mutants, with the hand-written cells at the head: all operations, one to three states."""
    rng = np.random.default_rng(seed)
    cells = [named_cell(name) for name in ("RNN", "LSTM", "GRU")]
    while len(cells) < count:
        cells.append(SPACE.mutate(SPACE.sample(rng), rng) if len(cells) % 2 else SPACE.sample(rng))
    assert {cell.states for cell in cells} == {1, 2, 3}
    return cells


def same(a: Record, b: Record) -> bool:
    pairs = zip([*a.hidden, *a.final], [*b.hidden, *b.final], strict=True)
    return all(torch.equal(x.nan_to_num(7.0), y.nan_to_num(7.0)) for x, y in pairs)


@pytest.mark.parametrize("sizes", SIZES)
def test_whatever_a_cell_is_stacked_with_its_states_are_the_same_to_the_last_bit(sizes: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    probe, cells = RNNProbe(vocabulary=50, stacked=True, **sizes), drawn(24)
    needs = Needs(FORWARD.kinds, len(sizes["hidden"]))
    alone = [probe.observe_many(SPACE, [cell], needs, 3)[0] for cell in cells]
    for order in (list(range(24)), list(range(23, -1, -1)), list(range(5, 24, 3)), [7, 7, 2]):
        together = probe.observe_many(SPACE, [cells[i] for i in order], needs, 3)
        assert all(same(alone[i], record) for i, record in zip(order, together, strict=True))


@pytest.mark.parametrize("sizes", SIZES)
def test_a_stacked_pass_sees_what_a_pass_of_its_own_sees(sizes: dict[str, Any]) -> None:
    """Sums may be made in another order, so up to rounding; states grow exponentially in some cells, so relative."""
    probe, cells = RNNProbe(vocabulary=50, stacked=True, **sizes), drawn(16)
    needs = Needs(FORWARD.kinds, len(sizes["hidden"]))
    for cell, found in zip(cells, probe.observe_many(SPACE, cells, needs, 3), strict=True):
        wanted = probe.observe(SPACE, cell, needs, 3)
        assert (found.key, found.counts, found.seed) == (wanted.key, wanted.counts, wanted.seed)
        assert torch.equal(found.embedding, wanted.embedding)  # type: ignore[arg-type]
        for a, b in zip([*found.hidden, *found.final], [*wanted.hidden, *wanted.final], strict=True):
            assert a.shape == b.shape
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)


def test_what_needs_gradients_or_a_replayed_stream_has_a_pass_of_its_own() -> None:
    probe = RNNProbe(embedding=3, hidden=(5,), batch=2, steps=4, vocabulary=20, stacked=True)
    assert probe.together(FORWARD) > 1
    assert probe.together(Needs(frozenset({"forward", "backward"}), 1)) == 1
    assert probe.together(Needs(frozenset({"shapes"}), 0)) == 1
    assert RNNProbe(init="replayed", stacked=True).together(FORWARD) == 1
    assert RNNProbe(embedding=400, hidden=(600, 600, 400), batch=50, steps=70, stacked=True).together(FORWARD) == 1
    replayed = RNNProbe(embedding=3, hidden=(5,), batch=2, steps=4, vocabulary=20, init="replayed")
    (found,) = replayed.observe_many(SPACE, [named_cell("GRU")], FORWARD, 1)
    assert same(found, replayed.observe(SPACE, named_cell("GRU"), FORWARD, 1))
    with pytest.raises(ZeronasError, match="needs layer 2"):
        probe.observe_many(SPACE, [named_cell("GRU")], Needs(FORWARD.kinds, 2), 0)
    assert probe.observe_many(SPACE, [], FORWARD, 0) == []


def test_streams_are_padded_to_whole_vector_registers() -> None:
    for batch, hidden, wanted in ((12, 64, 12), (2, 5, 32), (3, 33, 32), (33, 1, 64), (3, 16, 4)):
        assert padded(batch, hidden) == wanted
        assert padded(batch, hidden) * hidden % LANES == 0


def test_the_schedule_of_an_lstm_and_an_rnn() -> None:
    """By hand: the linears of both at once, then all their activations, then the products, the sum, tanh, product."""
    found = scheduled([compile_plan(named_cell("LSTM")), compile_plan(named_cell("RNN"))])
    run = [[(section.op, section.stop - section.start) for section in phase] for phase in found.phases]
    assert run == [
        [("linear", 5)],
        [("activation_tanh", 3), ("activation_sigm", 2)],
        [("elementwise_prod", 2)],
        [("elementwise_sum", 1)],
        [("activation_tanh", 1)],
        [("elementwise_prod", 1)],
    ]
    assert found.slots == 3 + 13 + 2 and len(found.back) == 3  # states and nodes
    assert found.rows(4, 8).tolist() == [4 * 4 + 4 * 8 + 4, 4 + 8 + 1]


def test_a_task_scores_the_same_in_any_company() -> None:
    chosen = {name: proxies.get(name, "rnn") for name in ("hidden_covariance", "state_size", "parameters")}
    probe = RNNProbe(embedding=8, hidden=(16,), batch=6, steps=6, vocabulary=50, stacked=True)
    scorer = Scorer(SPACE, probe, chosen, 0, samples=2)
    cells = drawn(20, seed=1)
    alone = [scorer(cell) for cell in cells]
    together = scorer.together(cells[::-1])[::-1]
    assert [(e.key, e.scores) for e in together] == [(e.key, e.scores) for e in alone]
    assert any(score.value is not None for e in alone for score in e.scores.values())


def test_correlation_scores_of_several_groups_are_each_its_own() -> None:
    rows = torch.randn(6, 4, 30, generator=torch.Generator().manual_seed(0))
    rows[2, 1] = 3.0
    rows[4, 0, 0] = math.nan
    scores = correlation_scores(rows)
    assert scores[2] == "constant units" and scores[4] == "hidden states are not finite"
    assert scores == [correlation_scores(group[None])[0] for group in rows]
