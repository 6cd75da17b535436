"""The paper's metrics of cells: values by hand, gradients by finite differences, one shared pass, released flaws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import proxies
import spaces.rnn.module
import spaces.rnn.probe
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Scorer
from nas.truth import benchmarks
from proxies.activation import ActivationDistance, agreement
from proxies.base import Needs, Noise, Proxy, ProxyFailure, Record, Tap, Weight
from proxies.covariance import HiddenCovariance
from proxies.jacobian import (
    JacobianCosine,
    JacobianCovariance,
    NoisedJacobianCosine,
    NoisedJacobianCovariance,
    cosine_score,
    released_cosine_score,
)
from proxies.saliency import HiddenSynapticSaliency, SynapticSaliency
from spaces.base import Counts
from spaces.rnn import Cell, RNNSpace, generate, named_cell, parse_cell
from spaces.rnn.plan import compile_plan
from spaces.rnn.probe import RNNProbe, run_stack

SPACE = RNNSpace()
SMALL: dict[str, Any] = {"embedding": 3, "hidden": (5, 4), "batch": 3, "steps": 4, "vocabulary": 20}
K = 1e-5
ALL = frozenset({"forward", "activations", "weights", "backward"})


def term(eigenvalue: float) -> float:
    return -(math.log(eigenvalue + K) + 1 / (eigenvalue + K))


#: of rows [1, 2, 3] and [1, 3, 2]: centred (-1, 0, 1) and (-1, 1, 0), r = 1/2, eigenvalues 3/2 and 1/2
HALF = term(1.5) + term(0.5)
HALF_ROWS = ((1.0, 2.0, 3.0), (1.0, 3.0, 2.0))
#: of rows [1, 0, -1] and [1, -2, 1]: r = 0, both eigenvalues 1
NONE = 2 * term(1.0)
NONE_ROWS = ((1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


def record(**parts: Any) -> Record:
    return Record("rnn", "key", 0, Counts(1, 1, 1, 1), **parts)


def gradient(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """(B, T) -> (T, B, E = 1)."""
    return torch.tensor(rows).T[:, :, None]


def see(cell: Cell, kinds: frozenset[str] = ALL, noises: frozenset[Noise] = frozenset(), **changes: Any) -> Record:
    return RNNProbe(**{**SMALL, **changes}).observe(SPACE, cell, Needs(kinds, 1, noises), 0)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def every_metric(*noises: str, **options: Any) -> dict[str, Proxy]:
    plain = ("jacobian_covariance", "jacobian_cosine", "activation_distance", "synaptic_saliency")
    found = {name: proxies.get(name, **options) for name in (*plain, "hidden_synaptic_saliency")}
    for layer in (1, 2):
        found[f"layer {layer}"] = proxies.get("hidden_covariance", layer=layer, **options)
    for noise in noises:
        for name in ("noised_jacobian_covariance", "noised_jacobian_cosine"):
            found[f"{name} {noise}"] = proxies.get(name, noise=noise, **options)
    return found


# Jacobian covariance and cosine


def test_jacobian_covariance_by_hand() -> None:
    assert JacobianCovariance()(record(embedding_grad=gradient(HALF_ROWS))) == pytest.approx(HALF, rel=1e-10)


def test_released_jacobian_covariance_is_of_the_embedding_over_time_steps() -> None:
    """e (T, B, E) with T = 2 rows: [1, 2, 3] and [1, 3, 2], whatever the gradient is."""
    embedding = torch.tensor(HALF_ROWS)[:, :, None]  # (T=2, B=3, E=1)
    seen = record(embedding=embedding, embedding_grad=torch.full((2, 3, 1), math.nan))
    proxy = JacobianCovariance(variant="released")
    assert proxy(seen) == pytest.approx(HALF, rel=1e-10)
    assert "backward" not in proxy.needs and "backward" in JacobianCovariance().needs


@pytest.mark.parametrize(
    ("rows", "cosine"),
    [([[1.0, 0.0], [3.0, 4.0]], 0.6), ([[2.0, 0.0], [-3.0, 4.0]], 0.6), ([[1.0, 1.0], [2.0, 2.0]], 1.0)],
)
def test_cosine_of_two_rows(rows: list[list[float]], cosine: float) -> None:
    assert cosine_score(torch.tensor(rows)) == pytest.approx(1 - cosine ** (1 / 20), abs=1e-7)
    assert released_cosine_score(torch.tensor(rows)) == pytest.approx(1 - cosine ** (1 / 20) / 2, abs=1e-7)


def test_cosine_of_three_rows() -> None:
    """Pairs: parallel (1), and twice orthogonal (0): mean 1/3."""
    rows = torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
    assert cosine_score(rows) == pytest.approx(2 / 3, abs=1e-12)
    assert released_cosine_score(rows) == pytest.approx(5 / 6, abs=1e-12)


def test_released_cosine_forgets_tiny_cosines() -> None:
    """1 - (1 - 1e-9) is 0 in float32; the power 1/20 makes 1e-9 a third."""
    rows = torch.tensor([[1.0, 0.0], [1e-9, 1.0]])
    assert released_cosine_score(rows) == 1.0
    assert cosine_score(rows) == pytest.approx(1 - 1e-9 ** (1 / 20), abs=1e-9)


def test_cosine_does_not_underflow() -> None:
    """Squares of 1e-30 vanish in float32."""
    rows = torch.tensor([[1e-30, 0.0], [3e-30, 4e-30]])
    assert cosine_score(rows) == pytest.approx(1 - 0.6 ** (1 / 20), abs=1e-6)


def test_jacobian_cosine_takes_examples_as_rows() -> None:
    """(T, B, E): example 0 is [1, 0], example 1 is [3, 4], over the steps."""
    seen = record(embedding_grad=gradient(((1.0, 0.0), (3.0, 4.0))))
    assert JacobianCosine()(seen) == pytest.approx(1 - 0.6 ** (1 / 20), abs=1e-7)
    assert JacobianCosine(variant="released")(seen) == pytest.approx(1 - 0.6 ** (1 / 20) / 2, abs=1e-7)


# Noise


def noised(scale: str) -> Record:
    """S: r = 1/2 without noise and at 0.1, r = 0 at 10 and 100."""
    return record(
        embedding_grad=gradient(HALF_ROWS),
        noisy_grads={
            (0.1, scale): gradient(HALF_ROWS),
            (10.0, scale): gradient(NONE_ROWS),
            (100.0, scale): gradient(NONE_ROWS),
        },
    )


@pytest.mark.parametrize(
    ("noise", "released", "corrected"),
    [
        ("small", 1.0, 1.0),
        ("large", abs(HALF - NONE) - 1, 1 - abs(HALF - NONE)),  # the column has its sign turned
        ("more", HALF * HALF * NONE * NONE, (HALF + NONE) / 2),
    ],
)
def test_noised_covariance_by_hand(noise: str, released: float, corrected: float) -> None:
    assert NoisedJacobianCovariance(noise, "released")(noised("variance")) == pytest.approx(released, rel=1e-9)
    assert NoisedJacobianCovariance(noise)(noised("deviation")) == pytest.approx(corrected, rel=1e-9)


def test_noised_cosine_by_hand() -> None:
    """Cosines: [1,2,3].[1,3,2] / 14 = 13/14; [1,0,-1].[1,-2,1] = 0."""
    c, p = (13 / 14) ** (1 / 20), 1 - (13 / 14) ** (1 / 20) / 2
    approx = {"rel": 1e-6}
    for noise, released, corrected in (
        ("small", 1.0, 1.0),
        ("large", 1 - c / 2, 1 - c),
        ("more", p * p * 1 * 1, (2 * (1 - c) + 2) / 4),
    ):
        assert NoisedJacobianCosine(noise, "released")(noised("variance")) == pytest.approx(released, **approx)
        assert NoisedJacobianCosine(noise)(noised("deviation")) == pytest.approx(corrected, **approx)


def test_noised_metrics_ask_for_their_passes() -> None:
    assert NoisedJacobianCosine("large").noises == {(10.0, "deviation")}
    assert NoisedJacobianCovariance("more", "released").noises == {(f, "variance") for f in (0.1, 10.0, 100.0)}
    both = Needs.union([NoisedJacobianCosine("small"), NoisedJacobianCovariance("small"), JacobianCosine()])
    assert both.noises == {(0.1, "deviation")}
    with pytest.raises(ProxyFailure, match=r"^the pass made no noised input gradients$"):
        NoisedJacobianCosine("small")(noised("variance"))


@pytest.mark.parametrize("init", ["replayed", "derived"])
def test_noised_inputs(init: str) -> None:
    """e + a Var(e) eps: one eps for all factors, variance (or deviation) over the batch, per step and unit."""
    cell = named_cell("LSTM")
    noises: list[Noise] = [(0.1, "variance"), (10.0, "variance"), (10.0, "deviation")]
    seen = see(cell, frozenset({"forward", "backward", "noise"}), frozenset(noises), init=init)
    assert set(seen.noisy_grads) == set(noises)
    probe = RNNProbe(**SMALL, init=init)
    plan = compile_plan(cell, canonical=init == "derived")
    _, weights = probe.draw(plan, cell.key, 2, 0)
    assert seen.embedding is not None
    eps = np.random.RandomState(0).normal(size=(4, 3, 3)) if init == "replayed" else probe._noise(0).numpy()
    e = seen.embedding.numpy().astype(np.float64)
    for factor, of in noises:
        spread = e.var(axis=1, keepdims=True) if of == "variance" else e.std(axis=1, keepdims=True)
        x = torch.from_numpy(e + factor * spread * eps).float().requires_grad_()
        run_stack(plan, weights, x, [torch.zeros(3, 5), torch.zeros(3, 4)])[-1].sum().backward()
        assert x.grad is not None
        torch.testing.assert_close(seen.noisy_grads[factor, of], x.grad, rtol=1e-4, atol=1e-6)


# Activation distance


def taps(*named: tuple[str, list[list[float]]]) -> Record:
    """One step: (B, h) -> (T = 1, B, h)."""
    return record(taps=[Tap(name, 0, torch.tensor(values)[None], examples=1) for name, values in named])


TANH = ("activation_tanh", [[0.3, -0.2], [0.1, 0.4]])  # codes 10 and 11: they agree on 1 bit of 2
SIGMOID = ("activation_sigm", [[0.9, 0.1], [0.9, 0.6]])  # likewise around 1/2; around 0 all bits are set


def test_activation_distance_by_hand() -> None:
    released = ActivationDistance(variant="released")
    assert released(taps(TANH)) == pytest.approx(math.log(2 * 2 - 1 * 1))
    assert released(taps(TANH, SIGMOID)) == pytest.approx(math.log(4 * 4 - 3 * 3))  # the sigmoid adds 2 everywhere
    assert released(taps(TANH, ("activation_leaky_relu", TANH[1]))) == pytest.approx(math.log(4 * 4 - 2 * 2))
    half = (math.log(1.5 + K) + math.log(0.5 + K)) / 2  # K / bits = [[1, 1/2], [1/2, 1]]
    for seen in (taps(TANH), taps(SIGMOID), taps(TANH, SIGMOID)):
        assert ActivationDistance()(seen) == pytest.approx(half, rel=1e-9)


def test_steps_of_an_activation_are_bits_of_one_code() -> None:
    """(T = 2, B = 2, h = 1): the codes are 10 and 11."""
    seen = record(taps=[Tap("activation_tanh", 0, torch.tensor([[[1.0], [1.0]], [[-1.0], [1.0]]]), examples=1)])
    assert ActivationDistance(variant="released")(seen) == pytest.approx(math.log(3))


def test_equal_codes_and_no_codes() -> None:
    same = taps(("activation_tanh", [[1.0, -1.0], [2.0, -3.0]]))
    with pytest.raises(ProxyFailure, match=r"^two examples have the same activation code$"):
        ActivationDistance(variant="released")(same)
    assert ActivationDistance()(same) == pytest.approx((math.log(2 + K) + math.log(K)) / 2)
    for variant in ("released", "corrected"):
        with pytest.raises(ProxyFailure, match=r"^no activation nodes$"):
            ActivationDistance(variant=variant)(taps(("query", [[1.0]])))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_agreement_is_length_minus_hamming_distance(seed: int, batch: int, bits: int) -> None:
    codes = np.random.default_rng(seed).random((batch, bits)) < 0.5
    expected = (codes[:, None] == codes[None]).sum(axis=2)
    assert agreement(torch.from_numpy(codes)).tolist() == expected.tolist()


# Saliency


def weight(part: str, position: int, value: list[float], grad: list[float] | None) -> Weight:
    return Weight("w", part, 0, position, torch.tensor([value]), None if grad is None else torch.tensor([grad]))


def test_synaptic_saliency_by_hand() -> None:
    """First inputs: |1 * -2| + |3 * 0| = 2; second input: |-5 * 2| = 10; embedding: |7 * -1| = 7."""
    seen = record(
        weights=[
            weight("linear", 0, [1.0, 3.0], [-2.0, 0.0]),
            weight("linear", 1, [-5.0], [2.0]),
            weight("embedding", 0, [7.0], [-1.0]),
        ]
    )
    assert SynapticSaliency()(seen) == 12.0
    assert SynapticSaliency(variant="released")(seen) == 17.0  # without the first inputs, with the tied embedding


def test_hidden_synaptic_saliency_by_hand() -> None:
    """Before the steps: |0 * 9| + |2 * -3| = 6; after the last: |4 * 5| = 20."""
    seen = record(
        hidden=[torch.tensor([[[0.0]], [[2.0]]])],
        hidden_grads=[torch.tensor([[[9.0]], [[-3.0]]])],
        final=[torch.tensor([[4.0]])],
        final_grads=[torch.tensor([[5.0]])],
    )
    assert HiddenSynapticSaliency(variant="released")(seen) == 6.0
    assert HiddenSynapticSaliency()(seen) == 13.0  # (6 + 20) / 2 states


def test_weights_of_the_released_saliency_follow_the_recipe() -> None:
    """Written with its inputs turned round, a linear node loses the other weight."""
    kept = []
    for inputs in (("x", "h_prev_0"), ("h_prev_0", "x")):
        seen = see(parse_cell({"h_new_0": node("linear", *inputs)}), init="replayed", hidden=(5,))
        found = {w.position: w for w in seen.weights if w.part == "linear"}
        assert [tuple(found[i].value.shape) for i in (0, 1)] == [(5, 3 if name == "x" else 5) for name in inputs]
        second, table = found[1], seen.weights[-1]
        assert table.part == "embedding" and second.grad is not None and table.grad is not None
        total = (second.value * second.grad).abs().sum() + (table.value * table.grad).abs().sum()
        kept.append(SynapticSaliency(variant="released")(seen))
        assert kept[-1] == pytest.approx(float(total), rel=1e-5)
    assert kept[0] != pytest.approx(kept[1], rel=1e-2)


# Hidden covariance, corrected


def test_corrected_hidden_covariance_by_hand() -> None:
    """States after the steps: [1, 2, 3] and [1, 3, 2] over T = 3; S over its two eigenvalues. Before: a zero first."""
    after = torch.tensor(HALF_ROWS).T[:, None, :]  # (T, B = 1, d = 2)
    before = torch.cat([torch.zeros(1, 1, 2), after[:-1]])
    seen = record(hidden=[before], final=[after[-1]])
    assert HiddenCovariance(variant="corrected")(seen) == pytest.approx(HALF / 2, rel=1e-10)
    assert HiddenCovariance()(seen) == HiddenCovariance(variant="released")(seen)
    assert HiddenCovariance()(seen) == pytest.approx(HiddenCovariance()(record(hidden=[before])))
    assert HiddenCovariance(variant="corrected")(record(hidden=[after])) == pytest.approx(HALF / 2, rel=1e-10)


# The pass


def three_states() -> Cell:
    return next(cell for seed in range(500) if (cell := generate(seed, 3)) is not None)


def state_feeds_its_own_step() -> Cell:
    """h_new_0 is read by another node of the same step."""
    return parse_cell(
        {
            "a": node("linear", "x", "h_prev_0", "h_prev_1"),
            "h_new_0": node("activation_tanh", "a"),
            "b": node("linear", "h_new_0", "h_prev_1"),
            "h_new_1": node("activation_sigm", "b"),
        }
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    spaces.rnn.probe._embedding.cache_clear()
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        spaces.rnn.probe._embedding.cache_clear()


@pytest.mark.parametrize("cell", [named_cell("LSTM"), named_cell("GRU"), three_states(), state_feeds_its_own_step()])
@pytest.mark.parametrize("init", ["derived", "replayed"])
@pytest.mark.usefixtures("double")
def test_gradients_by_finite_differences(cell: Cell, init: str) -> None:
    """Every entry of input, weights and states of a tiny stack, in float64: central differences err by about 1e-9."""
    sizes: dict[str, Any] = {"embedding": 2, "hidden": (3, 2), "batch": 2, "steps": 3, "vocabulary": 7, "init": init}
    seen = see(cell, **sizes)
    plan = compile_plan(cell, canonical=init == "derived")
    _, weights = RNNProbe(**sizes).draw(plan, cell.key, 2, 0)
    x = seen.embedding
    assert x is not None and x.dtype == torch.float64 and seen.embedding_grad is not None
    starts = [torch.zeros(2, 3), torch.zeros(2, 2)]

    def loss() -> float:
        return float(run_stack(plan, weights, x, starts)[-1].sum())

    def slopes(tensor: Tensor, of: Any = loss) -> Tensor:
        found = torch.zeros_like(tensor)
        for index in np.ndindex(*tensor.shape):
            value = float(tensor[index])
            tensor[index] = value + 1e-5
            above = of()
            tensor[index] = value - 1e-5
            found[index] = (above - of()) / 2e-5
            tensor[index] = value
        return found

    torch.testing.assert_close(seen.embedding_grad, slopes(x), rtol=1e-6, atol=1e-8)
    checked = 0
    for w in (w for w in seen.weights if w.part == "linear"):
        linear = int(w.name.split()[1])
        register = plan.linears[linear][w.position]
        size = (3, 2)[w.layer]
        start = plan.readers[register].index(linear) * size
        block = weights[w.layer][0][register][:, start : start + size]
        assert torch.equal(block.T, w.value) and w.grad is not None
        torch.testing.assert_close(w.grad, slopes(block).T, rtol=1e-6, atol=1e-8)
        checked += 1
    assert checked == 2 * sum(map(len, plan.linears))
    for layer in (0, 1):  # what leaves the cell at step t is moved by delta; nodes of the same step keep their value
        for step in range(4):
            delta = torch.zeros(2, (3, 2)[layer])

            def moved(layer: int = layer, step: int = step, delta: Tensor = delta) -> float:
                y = x
                for i, (fused, bias) in enumerate(weights):
                    state = [torch.zeros(2, bias.shape[1])] * plan.states
                    outputs = []
                    for t in range(4):
                        if (i, t) == (layer, step):
                            state = [state[0] + delta, *state[1:]]
                        outputs.append(state[0])
                        if t < 3:
                            _, after = spaces.rnn.module.unroll(plan, fused, bias, y[t : t + 1], state)
                            state = list(after)
                    y = torch.stack(outputs[1:])
                return float(y.sum())

            found = seen.hidden_grads[layer][step] if step < 3 else seen.final_grads[layer]
            torch.testing.assert_close(found, slopes(delta, moved), rtol=1e-6, atol=1e-8)


def test_the_embedding_matrix_gathers_the_gradients_of_each_token() -> None:
    seen = see(named_cell("GRU"), vocabulary=5)  # 12 tokens of 5: some occur twice
    table = seen.weights[-1]
    assert table.part == "embedding" and seen.embedding is not None and seen.embedding_grad is not None
    assert table.grad is not None and len(table.value) <= 5
    positions = 0
    for row, grad in zip(table.value, table.grad, strict=True):
        where = (seen.embedding == row).all(dim=2)
        positions += int(where.sum())
        torch.testing.assert_close(grad, seen.embedding_grad[where].sum(dim=0))
    assert positions == 12


@pytest.mark.parametrize("init", ["derived", "replayed"])
def test_a_pass_with_gradients_sees_what_a_forward_pass_sees(init: str) -> None:
    for cell in (named_cell("LSTM"), three_states()):
        plain = RNNProbe(**SMALL, init=init).observe(SPACE, cell, Needs(frozenset({"forward"}), 2), 0)
        full = see(cell, ALL | {"noise"}, frozenset({(10.0, "variance")}), init=init)
        assert len(plain.hidden) == len(full.hidden) == 2
        for a, b in zip([*plain.hidden, *plain.final], [*full.hidden, *full.final], strict=True):
            assert torch.equal(a, b) and not b.requires_grad
        assert plain.embedding_grad is None and not plain.weights and not plain.taps and not plain.hidden_grads
        tensors = [full.embedding, full.embedding_grad, *(t.value for t in full.taps), *full.hidden_grads]
        assert all(t is not None and not t.requires_grad for t in tensors)


def test_taps_are_the_activation_nodes_of_every_layer() -> None:
    cell = named_cell("LSTM")
    seen = see(cell, frozenset({"forward", "activations"}))
    ops = sorted(item.op for item in cell.nodes if item.op.startswith("activation"))
    for layer, size in ((0, 5), (1, 4)):
        found = [tap for tap in seen.taps if tap.layer == layer]
        assert sorted(tap.name for tap in found) == ops
        assert {tuple(tap.value.shape) for tap in found} == {(4, 3, size)}
    assert seen.embedding_grad is None and not seen.weights


def test_all_metrics_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of each layer and one backward pass; with noise, one more of each for each factor."""
    forward, backward = [], []
    unroll, grad = spaces.rnn.module.unroll, torch.autograd.grad
    monkeypatch.setattr(spaces.rnn.module, "unroll", lambda *a: (forward.append(1), unroll(*a))[1])
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (backward.append(1), grad(*a, **k))[1])
    probe = RNNProbe(**SMALL)
    for metrics, runs, backs in (
        ({"h": proxies.get("hidden_covariance")}, 1, 0),
        ({"a": proxies.get("activation_distance")}, 2, 0),
        ({"j": proxies.get("jacobian_cosine")}, 2, 1),
        (every_metric(), 2, 1),
        (every_metric("large"), 4, 2),
        (every_metric("small", "large", "more"), 8, 4),
    ):
        forward.clear()
        backward.clear()
        result = Scorer(SPACE, probe, metrics, 0)(named_cell("LSTM"))
        assert all(score.value is not None for score in result.scores.values())
        assert (len(forward), len(backward)) == (runs, backs)


@pytest.mark.parametrize("variant", ["released", "corrected"])
def test_alone_or_together_and_again(variant: str) -> None:
    probe = RNNProbe(**SMALL, init="replayed" if variant == "released" else "derived")
    metrics = every_metric("small", "large", "more", variant=variant)
    together = Scorer(SPACE, probe, metrics, 0)(named_cell("GRU")).scores
    torch.manual_seed(5)
    np.random.seed(5)
    assert Scorer(SPACE, probe, dict(reversed(metrics.items())), 0)(named_cell("GRU")).scores == together
    for label, proxy in metrics.items():
        alone = Scorer(SPACE, probe, {label: proxy}, 0)(named_cell("GRU")).scores[label]
        assert alone == together[label]


# Failures


def test_a_failure_does_not_spoil_the_other_metrics() -> None:
    seen = see(named_cell("LSTM"), ALL | {"noise"}, frozenset({(10.0, "deviation")}))
    assert seen.embedding_grad is not None
    metrics = every_metric("large")
    before = {label: proxy.score(seen) for label, proxy in metrics.items()}
    seen.embedding_grad[0, 0, 0] = math.nan
    after = {label: proxy.score(seen) for label, proxy in metrics.items()}
    for label in metrics:
        if "jacobian" in label:
            assert after[label].value is None and after[label].reason == "input gradients are not finite"
        else:
            assert after[label] == before[label] and after[label].value is not None


def test_reasons_of_failures() -> None:
    flat, gone = gradient(((1.0, 1.0), (1.0, 2.0))), gradient(((0.0, 0.0), (1.0, 2.0)))
    assert JacobianCovariance().score(record(embedding_grad=flat)).reason == "constant input gradients"
    for variant in ("released", "corrected"):
        cosine = JacobianCosine(variant=variant)
        assert cosine.score(record(embedding_grad=gone)).reason == "an example's input gradient is zero"
        one = record(embedding_grad=gradient(((1.0, 2.0),)))
        assert cosine.score(one).reason == "one example has nothing to differ from"
        huge = record(weights=[weight("linear", 1, [1.0], [math.inf])])
        assert SynapticSaliency(variant=variant).score(huge).reason == "gradients are not finite"
        lost = record(weights=[weight("linear", 1, [1.0], [math.nan])])
        assert SynapticSaliency(variant=variant).score(lost).reason == "gradients are not finite"
    for proxy in every_metric("large").values():
        broken = see(named_cell("RNN"), ALL | {"noise"}, proxy.noises)
        broken.hidden[proxy.layers - 1][1, 0, 0] = math.nan
        assert proxy.score(broken).reason == "hidden states are not finite"


# Options and columns


def test_published_columns() -> None:
    column, flexibert = benchmarks.get("nas_bench_nlp").published_column, benchmarks.get("flexibert")
    for name, wanted in (
        ("jacobian_covariance", "Jacobian Covariance"),
        ("jacobian_cosine", "Jacobian Cosine"),
        ("activation_distance", "Activation Distance"),
        ("synaptic_saliency", "Synaptic Saliency"),
        ("hidden_synaptic_saliency", "Hidden Synaptic Saliency"),
        ("hidden_covariance", "Layer 1 Hidden Covariance"),
    ):
        assert column(proxies.get(name, variant="released")) == wanted
        assert flexibert.published_column(proxies.get(name, variant="released")) is None
        assert column(proxies.get(name, variant="corrected")) is None
    for name, ending in (("noised_jacobian_covariance", ""), ("noised_jacobian_cosine", " Cosine")):
        made = [proxies.get(name, noise=noise, variant="released") for noise in ("small", "large", "more")]
        assert [column(proxy) for proxy in made] == [
            None,
            f"Large Noise Jacobian{ending}",
            f"More Noised Jacobian{ending}",
        ]
        assert column(proxies.get(name)) is None
    layers = [column(proxies.get("hidden_covariance", layer=layer)) for layer in (2, 3, 4)]
    assert layers == ["Layer 2 Hidden Covariance", "Layer 3 Hidden Covariance", None]
    for other in ({"axis": "examples"}, {"k": 1e-4}):
        assert column(proxies.get("hidden_covariance", **other)) is None


def test_every_published_column_is_in_the_table(data_dir: Path) -> None:
    for name in ("nas_bench_nlp", "flexibert"):
        table = benchmarks.get(name, data_dir)
        assert set(table.columns) <= set(table.entries[0].runs[0].published)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "jacobian_cosine",
            {"variant": "fixed"},
            "Unknown variant 'fixed' of proxy 'jacobian_cosine'. Available: corrected, released.",
        ),
        (
            "noised_jacobian_cosine",
            {"noise": "loud"},
            "Unknown noise 'loud' of proxy 'noised_jacobian_cosine'. Available: large, more, small.",
        ),
        ("activation_distance", {"k": 0}, "Proxy 'activation_distance' needs k to be a number above 0, but got 0."),
        (
            "activation_distance",
            {"normalised": "no"},  # another space's definition has it
            "Proxy 'activation_distance' needs normalised to be true or false, but got 'no'.",
        ),
        (
            "hidden_covariance",
            {"variant": 1},
            "Proxy 'hidden_covariance' needs variant to be released or corrected, but got 1.",
        ),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ZeronasError) as error:
        proxies.get(name, **options)
    assert str(error.value) == sentence


def test_one_published_row() -> None:
    """The cheapest cell of the table, training 1000247, at the paper's sizes with the paper's random stream.

    The authors' tokens are Penn Treebank's, these are Zipf's, which is what the tolerances allow for.
    """
    recipe = {"node_13": node("linear", "h_prev_0", "x"), "h_new_0": node("activation_leaky_relu", "node_13")}
    paper = RNNProbe(400, (600, 600, 400), 50, 70, 10_000, "replayed")
    published = {
        "activation_distance": (504.8854864, 0.005),
        "synaptic_saliency": (301716.6563, 0.002),
        "hidden_synaptic_saliency": (49157.97266, 0.01),
        "jacobian_cosine": (0.517589295, 0.001),
        "hidden_covariance": (-1899.773723, 0.1),
    }
    metrics = {name: proxies.get(name, variant="released") for name in published}
    found = Scorer(SPACE, paper, metrics, 0)(parse_cell(recipe)).scores
    for name, (value, tolerance) in published.items():
        assert found[name].value == pytest.approx(value, rel=tolerance)


def test_a_state_that_nothing_leads_to_has_a_zero_gradient() -> None:
    """At the first step h_0 is a product of zero states: no path leads to it from the input, the weights or h_0."""
    cell = parse_cell(
        {
            "h_new_0": {"op": "elementwise_prod", "input": ["h_prev_1", "h_prev_2"]},
            "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
            "h_new_1": {"op": "activation_tanh", "input": ["node_0"]},
            "node_1": {"op": "linear", "input": ["x", "h_prev_1"]},
            "h_new_2": {"op": "activation_sigm", "input": ["node_1"]},
        }
    )
    needs = Needs(frozenset({"forward", "backward", "weights"}), 1)
    probe = RNNProbe(embedding=3, hidden=(4,), batch=2, steps=3)
    record = probe.observe(spaces.get("rnn"), cell, needs, 0)
    assert record.hidden_grads[0].shape == record.hidden[0].shape
    assert torch.equal(record.hidden_grads[0][1], torch.zeros(2, 4))  # h_0 after the first step
    assert record.hidden_grads[0][2].abs().sum() > 0
