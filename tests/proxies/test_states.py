"""Sizes of states and gradients: values by hand, gradients by finite differences, failures with their reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import spaces
from proxies.base import Needs, Proxy, Record
from proxies.states import InputGradient, StateGradient, StateSize
from spaces.base import Counts
from spaces.bert.probe import BertProbe
from spaces.rnn import named_cell
from spaces.rnn.plan import compile_plan
from spaces.rnn.probe import RNNProbe, run_stack


def record(**parts: Any) -> Record:
    return Record("rnn", "key", 0, Counts(1, 1, 1, 1), **parts)


def reason(proxy: Proxy, **parts: Any) -> str:
    score = proxy.score(record(**parts))
    assert score.value is None
    return score.reason


#: two examples, three units: deviations .1, 10 and 1000 about means of 1, 2 and 3
FINAL = torch.tensor([[0.9, 12.0, 1003.0], [1.1, -8.0, -997.0]])
#: three steps, two examples, two units; mean sizes .001 before the first step and larger ones later
GRADS = torch.tensor([[[1e-3, -1e-3], [2e-3, 0.0]], [[5.0, 5.0], [5.0, 5.0]], [[7.0, 7.0], [7.0, 7.0]]])


def test_state_size_is_the_median_deviation_after_the_last_step() -> None:
    hidden = torch.full((4, 2, 3), 9.0)  # the states before the steps do not count
    seen = record(hidden=[hidden, hidden], final=[FINAL, 100 * FINAL])
    assert StateSize()(seen) == pytest.approx(1.0)
    assert StateSize(layer=2)(seen) == pytest.approx(3.0)


def test_without_steps_the_size_is_over_positions_and_examples() -> None:
    output = FINAL.reshape(2, 1, 3)  # (T, B, h)
    assert StateSize()(record(hidden=[output])) == pytest.approx(1.0)


def test_input_gradient_is_its_mean_size() -> None:
    grad = torch.tensor([[[0.03, -0.01]], [[0.0, 0.0]]])
    assert InputGradient()(record(embedding_grad=grad)) == pytest.approx(-2.0)


def test_state_gradient_compares_the_first_with_the_last_state() -> None:
    last = torch.tensor([[0.1, -0.1], [0.1, 0.1]])
    seen = record(hidden_grads=[GRADS, GRADS], final_grads=[last, 100 * last])
    assert StateGradient()(seen) == pytest.approx(-2.0)
    assert StateGradient(layer=2)(seen) == pytest.approx(-4.0)


def test_what_has_no_logarithm_is_a_failure() -> None:
    ones = torch.ones(2, 2)
    assert reason(StateSize(), final=[ones]) == "states do not differ"
    assert reason(StateSize(), final=[torch.tensor([[math.inf], [0.0]])]) == "hidden states are not finite"
    assert reason(StateSize(), hidden=[torch.full((2, 2, 1), math.nan)]) == "hidden states are not finite"
    assert reason(StateSize(layer=2), final=[FINAL]) == "the network has no layer 2"
    assert reason(InputGradient()) == "the pass made no input gradients"
    assert reason(InputGradient(), embedding_grad=torch.zeros(2, 1, 2)) == "input gradients are zero"
    assert reason(InputGradient(), embedding_grad=torch.full((1, 1, 1), math.inf)) == "input gradients are not finite"
    zero = torch.zeros_like(GRADS)
    assert reason(StateGradient()) == "the pass made no gradients of the states"
    assert reason(StateGradient(), hidden_grads=[zero], final_grads=[ones]) == "nothing depends on the first state"
    assert reason(StateGradient(), hidden_grads=[GRADS], final_grads=[0 * ones]) == "nothing depends on the last state"
    assert (
        reason(StateGradient(), hidden_grads=[GRADS / 0], final_grads=[ones])
        == "gradients of the states are not finite"
    )


def test_a_tiny_number_is_no_zero() -> None:
    """Of float32 states that are all but gone the deviation is taken in float64."""
    assert StateSize()(record(final=[FINAL * 1e-35])) == pytest.approx(-34.0, abs=1e-3)
    tiny = torch.full((1, 1, 1), 1e-44)  # a subnormal number of float32
    assert InputGradient()(record(embedding_grad=tiny)) == pytest.approx(-44.0, abs=0.1)


def test_gradients_are_those_of_all_later_outputs() -> None:
    """By finite differences of the sum of the outputs over the steps, in float64: one layer of the RNN."""
    space, cell = spaces.get("rnn"), named_cell("RNN")
    probe = RNNProbe(embedding=4, hidden=(3,), batch=2, steps=4, vocabulary=20)
    seen = probe.observe(space, cell, Needs.union([StateGradient(), InputGradient()]), 0)
    plan = compile_plan(cell)
    _, weights = probe.draw(plan, cell.key, 1, 0)
    fixed = [({register: w.double() for register, w in fused.items()}, bias.double()) for fused, bias in weights]
    assert seen.embedding is not None
    x, step = seen.embedding.double(), 1e-6

    def slopes(at: Tensor, total: Callable[[], Tensor]) -> float:
        found = []
        for i in range(at.numel()):
            ends = []
            for sign in (1, -1):
                at.view(-1)[i] += sign * step
                ends.append(float(total()))
                at.view(-1)[i] -= sign * step
            found.append(abs(ends[0] - ends[1]) / (2 * step))
        return sum(found) / len(found)

    start = torch.zeros(2, 3, dtype=torch.float64)

    def total() -> Tensor:
        return run_stack(plan, fixed, x, [start])[0].sum()

    assert 10 ** StateGradient()(seen) == pytest.approx(slopes(start, total), rel=1e-4)  # the last state's is 1
    assert 10 ** InputGradient()(seen) == pytest.approx(slopes(x, total), rel=1e-4)


def test_an_encoder_has_sizes_of_its_layers() -> None:
    space = spaces.get("bert").reduce({"layers": 2, "hidden_size": 128})
    config = space.sample(np.random.default_rng(0))
    sizes = [StateSize(layer=1), StateSize(layer=2)]
    seen = BertProbe(batch=3, steps=4, vocabulary=30).observe(space, config, Needs.union(sizes), 0)
    for number, proxy in enumerate(sizes):
        spread = seen.hidden[number].double().flatten(0, 1).numpy().std(axis=0)
        assert 10 ** proxy(seen) == pytest.approx(float(np.sort(spread)[63]))  # the lower of the two in the middle
    assert StateSize(layer=3).score(seen).reason == "the network has no layer 3"
