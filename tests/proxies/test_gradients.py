"""Proxies of gradients: each formula against small computations of its own, on records by hand and on both spaces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import proxies
import spaces
from nas.core import seeds
from proxies.base import Needs, Record, Tap, Weight
from proxies.pruning import SNIP, Fisher, GradNorm, GraSP
from proxies.synflow import LogSynFlow, SynFlow
from proxies.tangent import NTKCondition, NTKTrace
from proxies.zico import ZiCo
from spaces.base import Counts
from spaces.bert.config import BertConfig, Layer
from spaces.bert.probe import BertProbe
from spaces.rnn import Cell, RNNSpace, named_cell, parse_cell
from spaces.rnn.plan import compile_plan
from spaces.rnn.probe import RNNProbe, run_stack
from spaces.tokens import token_ids

NAMES = ("snip", "grad_norm", "grasp", "fisher", "synflow", "log_synflow", "zico", "ntk_trace", "ntk_condition")
BATCH, STEPS, VOCABULARY = 3, 4, 20
#: every kind of operation, and a stack of feed-forward matrices
MIXED = BertConfig(
    128,
    (
        Layer("SA", "WMA", 4, 512, 1),
        Layer("LT", "DFT", 2, 512, 1),
        Layer("DSC", 5, 2, 512, 3),
        Layer("SA", "SDP", 2, 512, 1),
    ),
)
PLAIN = BertConfig(128, (Layer("SA", "SDP", 2, 512, 1), Layer("SA", "SDP", 4, 512, 3)))


def record(**parts: Any) -> Record:
    return Record("rnn", "key", 0, Counts(1, 1, 1, 1), **parts)


def weight(value: list[list[float]], part: str = "linear", **parts: Any) -> Weight:
    given = {name: torch.tensor(rows) for name, rows in parts.items()}
    return Weight("w", part, 0, 0, torch.tensor(value), **given)


def rnn_probe(**changes: Any) -> RNNProbe:
    return RNNProbe(
        **{"embedding": 3, "hidden": (5, 4), "batch": BATCH, "steps": STEPS, "vocabulary": VOCABULARY, **changes}
    )


def see_cell(cell: Cell, *asked: proxies.Proxy, **changes: Any) -> Record:
    return rnn_probe(**changes).observe(RNNSpace(), cell, Needs.union(asked), 0)


def see_bert(config: BertConfig, *asked: proxies.Proxy, **changes: Any) -> Record:
    settings = {"batch": BATCH, "steps": STEPS, "vocabulary": VOCABULARY, "dtype": "float64", **changes}
    return BertProbe(**settings).observe(spaces.get("bert"), config, Needs.union(asked), 0)


# --- records by hand --------------------------------------------------------------------------------------------------

WEIGHTS = [
    weight([[1.0, -2.0]], grad=[[3.0, 4.0]], curvature=[[0.5, 1.0]]),
    weight([[2.0]], grad=[[-1.0]], curvature=[[-3.0]]),
    weight([[9.0]], part="embedding", grad=[[9.0]], curvature=[[9.0]]),
]


def test_pruning_criteria_by_hand() -> None:
    seen = record(weights=WEIGHTS)
    assert SNIP()(seen) == 3 + 8 + 2
    assert GradNorm()(seen) == 5 + 1
    assert GraSP()(seen) == -(0.5 - 2.0 - 6.0)


def test_fisher_by_hand() -> None:
    """Two examples, two steps, one unit: products 1 and 2 of the first example, 3 and -4 of the second."""
    value, grad = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]), torch.tensor([[[1.0], [1.0]], [[1.0], [-1.0]]])
    expected = (3**2 + 1**2) / 2 / 2
    assert Fisher()(record(outputs=[Tap("w", 0, value, grad)])) == expected
    turned = Tap("w", 0, value.transpose(0, 1), grad.transpose(0, 1), examples=1)  # (T, B, h)
    assert Fisher()(record(outputs=[turned, turned])) == 2 * expected


def test_fisher_sums_over_channels_after_the_square() -> None:
    tap = Tap("w", 0, torch.tensor([[[2.0, -2.0]]]), torch.ones(1, 1, 2))
    assert Fisher()(record(outputs=[tap])) == (4 + 4) / 2


def test_flows_by_hand() -> None:
    seen = record(flow=[weight([[2.0, 1.0]], grad=[[3.0, 0.0]]), weight([[0.5]], grad=[[-1.0]])])
    assert SynFlow()(seen) == 6.5
    assert LogSynFlow()(seen) == pytest.approx(2 * math.log(4) + 0.5 * math.log(2), rel=1e-12)


def test_zico_with_two_batches_by_hand() -> None:
    """Gradients (1, 3) and (-2, 2), (5, 5) and (0, 0): mean sizes 2 and 2, deviations 1 and 2; the others are out."""
    first = weight(
        [[1.0, 1.0, 1.0, 1.0]], example_mean=[[2.0, 2.0, 5.0, 0.0]], example_deviation=[[1.0, 2.0, 0.0, 0.0]]
    )
    second = weight([[1.0]], example_mean=[[1.0]], example_deviation=[[4.0]])
    constant = weight([[1.0]], example_mean=[[7.0]], example_deviation=[[7e-7]])  # below float32's resolution
    embedding = weight([[1.0]], part="embedding", example_mean=[[1.0]], example_deviation=[[1.0]])
    seen = record(weights=[first, second, constant, embedding])
    assert ZiCo()(seen) == pytest.approx(math.log(3) + math.log(1 / 4), rel=1e-6)


def test_kernel_by_hand() -> None:
    seen = record(kernel=torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))  # eigenvalues 1 and 3
    assert NTKTrace()(seen) == 4
    assert NTKCondition()(seen) == pytest.approx(3, rel=1e-12)
    assert NTKCondition().score(seen).fitness < 0  # lower is better


def reason(proxy: proxies.Proxy, **parts: Any) -> str:
    score = proxy.score(record(**parts))
    assert score.value is None
    return score.reason


def test_what_is_not_finite_or_undefined_is_a_failure() -> None:
    bad = [
        weight([[1.0]], grad=[[math.inf]], curvature=[[math.nan]], example_mean=[[math.inf]], example_deviation=[[1.0]])
    ]
    assert reason(SNIP(), weights=bad) == reason(GradNorm(), weights=bad) == "gradients are not finite"
    assert reason(ZiCo(), weights=bad) == "gradients are not finite"
    assert reason(GraSP(), weights=bad) == "second derivatives are not finite"
    assert reason(SynFlow(), flow=bad) == reason(LogSynFlow(), flow=bad) == "synaptic flows are not finite"
    tap = Tap("w", 0, torch.ones(1, 1, 1), torch.full((1, 1, 1), math.nan))
    assert reason(Fisher(), outputs=[tap]) == "gradients are not finite"
    assert reason(NTKTrace(), kernel=torch.full((2, 2), math.nan)) == "gradients are not finite"
    assert reason(NTKCondition(), kernel=torch.ones(1, 1)) == "one example has nothing to differ from"
    assert reason(NTKCondition(), kernel=torch.ones(2, 2)) == "gradients of examples are dependent"
    assert reason(NTKCondition(), kernel=torch.zeros(2, 2)) == "gradients of examples are dependent"
    same = [weight([[1.0]], example_mean=[[1.0]], example_deviation=[[0.0]])]
    assert reason(ZiCo(), weights=same) == "gradients do not differ between examples"
    none = [weight([[1.0]])]
    assert reason(SNIP(), weights=none) == "the pass made no gradients"
    assert reason(GraSP(), weights=none) == "the pass made no second derivatives"
    assert reason(ZiCo(), weights=none) == "the pass made no gradients of examples"


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_there_is_no_value(name: str) -> None:
    assert reason(proxies.get(name)) == "the network has no weights"


def test_one_example_does_not_differ_from_itself() -> None:
    seen = see_cell(named_cell("LSTM"), ZiCo(), NTKCondition(), batch=1)
    assert ZiCo().score(seen).reason == "gradients do not differ between examples"
    assert NTKCondition().score(seen).reason == "one example has nothing to differ from"


# --- both spaces: L as a function of the weights alone, in float64, differentiated one example at a time --------------

CELLS: dict[str, Cell] = {name: named_cell(name) for name in ("RNN", "LSTM", "GRU")}
CELLS |= {f"drawn {seed}": RNNSpace().sample(np.random.default_rng(seed)) for seed in (0, 4)}
CONFIGS = {"plain": PLAIN, "mixed": MIXED}
EVERY = (*CELLS, *CONFIGS)
ALL = [proxies.get(name) for name in NAMES]


def cell_outputs(cell: Cell, weights: list[Tensor]) -> Callable[[], Tensor]:
    """Returns what each stream adds to L, (B,), as a function of the matrices (h, in) in the record's order."""
    plan = compile_plan(cell)
    table, drawn = rnn_probe().draw(plan, cell.key, 2, 0)
    x = table.double()[torch.from_numpy(token_ids(STEPS, BATCH, VOCABULARY, 0, None))]  # (T, B, e)
    starts = [torch.zeros(BATCH, bias.shape[1], dtype=torch.float64) for _, bias in drawn]

    def fused(place: Iterator[Tensor]) -> dict[int, Tensor]:
        parts = {(i, r): next(place).T for i, inputs in enumerate(plan.linears) for r in inputs}
        return {r: torch.cat([parts[i, r] for i in readers], 1) for r, readers in plan.readers.items()}

    def outputs() -> Tensor:
        place = iter(weights)
        return run_stack(plan, [(fused(place), bias.double()) for _, bias in drawn], x, starts)[-1].sum((0, 2))

    place = iter(weights)
    for original, _ in drawn:  # the record's matrices are those of the probe, in the plan's order
        assert all(torch.equal(w, original[r].double()) for r, w in fused(place).items())
    return outputs


def bert_outputs(config: BertConfig) -> tuple[list[Tensor], Callable[[], Tensor]]:
    """Returns the weights of the Linears of all layers, and what each example adds to L as a function of them."""
    generator = torch.Generator().manual_seed(seeds.integer(0, config.key, "weights"))
    encoder = spaces.get("bert").build(config, vocabulary=VOCABULARY, generator=generator).double().eval()
    linears = [m for layer in encoder.layers for m in layer.modules() if isinstance(m, torch.nn.Linear)]
    ids = torch.from_numpy(token_ids(STEPS, BATCH, VOCABULARY, 0, None)).T
    direction = torch.randn(
        config.hidden_size, generator=torch.Generator().manual_seed(seeds.integer(0, "direction", config.hidden_size))
    )
    along = (direction / direction.norm()).double()
    return [m.weight for m in linears], lambda: (encoder(ids) @ along).sum(1)


def flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@dataclass
class Computed:
    """All weights (n,), the gradient of each example (B, n), H g, the sizes of the matrices, and the probe's record."""

    theta: Tensor
    grads: Tensor
    curvature: Tensor
    sizes: list[int]
    seen: Record


@cache
def computed(name: str) -> Computed:
    if name in CELLS:
        seen = see_cell(CELLS[name], *ALL)
        weights = [w.value.double().requires_grad_() for w in seen.weights if w.part != "embedding"]
        outputs = cell_outputs(CELLS[name], weights)
    else:
        seen = see_bert(CONFIGS[name], *ALL)
        weights, outputs = bert_outputs(CONFIGS[name])
    theta, sizes = flat(weights), [w.numel() for w in weights]

    def gradient(*examples: int) -> Tensor:
        return flat(torch.autograd.grad(outputs()[list(examples)].sum(), weights, materialize_grads=True))

    def gradient_at(shift: Tensor) -> Tensor:
        with torch.no_grad():
            for w, value in zip(weights, (theta + shift).split(sizes), strict=True):
                w.copy_(value.view_as(w))
        return gradient(*range(BATCH))

    grads = torch.stack([gradient(example) for example in range(BATCH)])
    g = grads.sum(0)
    step = 1e-4 * theta.norm() / theta.numel() ** 0.5 / g.abs().max()
    curvature = (gradient_at(step * g) - gradient_at(-step * g)) / (2 * step)  # of the gradient along itself: H g
    return Computed(theta, grads, curvature, sizes, seen)


def tolerance(name: str) -> float:
    """The probe of cells computes in float32; that of encoders does here in float64."""
    return 2e-4 if name in CELLS else 1e-9


@pytest.mark.parametrize("name", EVERY)
def test_first_order_scores(name: str) -> None:
    one = computed(name)
    g, rel = one.grads.sum(0), tolerance(name)
    assert SNIP()(one.seen) == pytest.approx(float((g * one.theta).abs().sum()), rel=rel)
    assert GradNorm()(one.seen) == pytest.approx(sum(float(part.norm()) for part in g.split(one.sizes)), rel=rel)


@pytest.mark.parametrize("name", EVERY)
def test_grasp_by_finite_differences_of_the_gradient(name: str) -> None:
    one = computed(name)
    found = flat(w.curvature for w in one.seen.weights if w.curvature is not None).double()
    scale = float(one.curvature.abs().max())
    assert torch.allclose(found, one.curvature, rtol=1e-3, atol=1e-4 * scale)
    size = float((one.theta * one.curvature).abs().sum())
    assert GraSP()(one.seen) == pytest.approx(-float(one.theta @ one.curvature), abs=1e-4 * size)


@pytest.mark.parametrize("name", EVERY)
def test_the_kernel_holds_inner_products_of_the_examples_gradients(name: str) -> None:
    one, rel = computed(name), tolerance(name)
    assert one.seen.kernel is not None and one.seen.kernel.dtype == torch.float64
    assert torch.allclose(one.seen.kernel, one.grads @ one.grads.T, rtol=rel, atol=0)
    assert NTKTrace()(one.seen) == pytest.approx(float(one.grads.square().sum()), rel=rel)
    singular = torch.linalg.svdvals(one.grads)
    assert NTKCondition()(one.seen) == pytest.approx(float(singular[0] / singular[-1]) ** 2, rel=0.02)


@pytest.mark.parametrize("name", EVERY)
def test_zico_is_over_the_examples_gradients(name: str) -> None:
    one, expected = computed(name), 0.0
    for part in one.grads.split(one.sizes, dim=1):
        mean, deviation = part.abs().mean(0), part.std(0, correction=0)
        varies = deviation > 2e-6 * mean
        if bool(varies.any()):
            expected += math.log(float((mean[varies] / deviation[varies]).sum()))
    assert ZiCo()(one.seen) == pytest.approx(expected, rel=10 * tolerance(name))


@pytest.mark.parametrize("name", CONFIGS)
def test_fisher_of_encoders(name: str) -> None:
    """From outputs that leave their Linear times a factor of one for each example and unit, and its gradient."""
    config = CONFIGS[name]
    generator = torch.Generator().manual_seed(seeds.integer(0, config.key, "weights"))
    encoder = spaces.get("bert").build(config, vocabulary=VOCABULARY, generator=generator).double().eval()
    direction = torch.randn(
        config.hidden_size, generator=torch.Generator().manual_seed(seeds.integer(0, "direction", config.hidden_size))
    )
    factors: list[Tensor] = []

    def scaled(module: Any, given: Any, out: Tensor) -> Tensor:
        factors.append(torch.ones(BATCH, 1, out.shape[-1], dtype=torch.float64, requires_grad=True))
        return out * factors[-1]

    for layer in encoder.layers:
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(scaled)
    ids = torch.from_numpy(token_ids(STEPS, BATCH, VOCABULARY, 0, None)).T
    total = (encoder(ids) @ (direction / direction.norm()).double()).sum()
    expected = sum(float(grad.square().sum()) for grad in torch.autograd.grad(total, factors)) / 2 / BATCH
    assert Fisher()(computed(name).seen) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_fisher_of_cells(name: str) -> None:
    """A factor of one on the weights and the bias of a unit scales its output; examples are run one by one."""
    cell = CELLS[name]
    plan = compile_plan(cell)
    table, drawn = rnn_probe().draw(plan, cell.key, 2, 0)
    x = table.double()[torch.from_numpy(token_ids(STEPS, BATCH, VOCABULARY, 0, None))]
    factors = [torch.ones_like(bias, dtype=torch.float64, requires_grad=True) for _, bias in drawn]  # (n, h)
    weights = [
        (
            {r: w.double() * torch.cat([factor[i] for i in plan.readers[r]]) for r, w in fused.items()},
            bias.double() * factor,
        )
        for (fused, bias), factor in zip(drawn, factors, strict=True)
    ]
    expected = 0.0
    for example in range(BATCH):
        starts = [torch.zeros(1, bias.shape[1], dtype=torch.float64) for _, bias in weights]
        total = run_stack(plan, weights, x[:, example : example + 1], starts)[-1].sum()
        grads = torch.autograd.grad(total, factors, retain_graph=True, materialize_grads=True)
        expected += sum(float(grad.square().sum()) for grad in grads) / 2 / BATCH
    assert Fisher()(computed(name).seen) == pytest.approx(expected, rel=1e-3)


# --- SynFlow's pass ---------------------------------------------------------------------------------------------------

#: h_new_0 = leaky_relu(linear(x, h_prev_0)): with positive weights the activation function is the identity
LINEAR = parse_cell(
    {
        "linear": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_leaky_relu", "input": ["linear"]},
    }
)


def test_flow_of_a_linear_stack_by_matrix_products() -> None:
    """One step from a zero state: R = 1 (|W2| (|W1| 1 + |b1|) + |b2|); a layer's flow is R without later biases."""
    proxy = SynFlow()
    seen = see_cell(LINEAR, proxy, steps=1)
    _, ((first, b1), (second, b2)) = rnn_probe().draw(compile_plan(LINEAR), LINEAR.key, 2, 0)
    w1, w2, b1, b2 = (t.double().abs() for t in (first[0], second[0], b1[0], b2[0]))
    after = torch.ones(3, dtype=torch.float64) @ w1
    expected = [float((after @ w2).sum()), float(((after + b1) @ w2).sum())]
    flows = [float((w.value * w.grad).sum()) for w in seen.flow if w.grad is not None and w.position == 0]
    assert flows == pytest.approx(expected, rel=1e-12)
    assert proxy(seen) == pytest.approx(sum(expected), rel=1e-12)  # nothing flows from the zero state
    total = float(((after + b1) @ w2 + b2).sum())
    assert flows[1] + float(b2.sum()) == pytest.approx(total, rel=1e-12)


def test_flow_is_conserved_within_the_blocks_of_an_encoder() -> None:
    """GELU all but is the identity for what is as large as here; attention is uniform, so values alone carry flow."""
    seen = see_bert(PLAIN, SynFlow())
    flows: dict[tuple[int, str], list[float]] = {}
    for w in seen.flow:
        assert w.grad is not None and w.value.dtype == torch.float64 and bool((w.value >= 0).all())
        flows.setdefault((w.layer, w.part), []).append(float((w.value * w.grad).sum()))
    for layer in (0, 1):
        query, key, value, output = flows[layer, "attention"]
        assert abs(query) < 1e-9 * output and abs(key) < 1e-9 * output  # uniform attention
        assert value == pytest.approx(output, rel=1e-9)
        into = flows[layer, "feed_forward"]
        assert into == pytest.approx([into[-1]] * len(into), rel=1e-3)


def test_flow_of_an_encoder_grows_by_the_sums_of_its_columns() -> None:
    """One layer by hand: tokens are equal, attention passes the values on, each block adds what it reads."""
    config = BertConfig(128, PLAIN.layers[:1] * 2)
    seen = see_bert(config, SynFlow())
    x = torch.ones(128, dtype=torch.float64)
    expected = []
    for layer in (0, 1):
        _, _, value, output, dense_in, dense_out = (w.value for w in seen.flow if w.layer == layer)
        attended = output @ (value @ x)
        x = x + attended
        inner = torch.nn.functional.gelu(dense_in @ x)
        expected.append((attended, inner, dense_out @ inner))
        x = x + dense_out @ inner
    last = [w for w in seen.flow if w.layer == 1][-1]
    assert last.grad is not None
    # the slope at the last matrix is what it reads, for every unit that it gives, summed over the tokens
    assert torch.allclose(last.grad, STEPS * expected[1][1].expand_as(last.grad), rtol=1e-10)
    assert float((last.value * last.grad).sum()) == pytest.approx(STEPS * float(expected[1][2].sum()), rel=1e-10)


def test_flow_knows_no_data_and_no_sign() -> None:
    first, second = (see_bert(PLAIN, SynFlow(), tokens_seed=seed, batch=size) for seed, size in ((1, 2), (2, 3)))
    assert SynFlow()(first) == SynFlow()(second) and first.hidden == [] and first.embedding is None
    cells = [see_cell(LINEAR, SynFlow(), tokens_seed=seed, batch=size) for seed, size in ((1, 2), (2, 3))]
    assert SynFlow()(cells[0]) == SynFlow()(cells[1]) and cells[0].hidden == []
    assert all(bool((w.value >= 0).all()) for w in cells[0].flow)


def test_states_that_overflow_have_no_flow() -> None:
    """The product of two linears squares a growing state, step by step."""
    squared = parse_cell(
        {
            "one": {"op": "linear", "input": ["x", "h_prev_0"]},
            "other": {"op": "linear", "input": ["x", "h_prev_0"]},
            "h_new_0": {"op": "elementwise_prod", "input": ["one", "other"]},
        }
    )
    seen = see_cell(squared, SynFlow(), hidden=(64,), embedding=32, steps=12)
    assert SynFlow().score(seen).reason == "synaptic flows are not finite"


# --- what a pass does -------------------------------------------------------------------------------------------------


def test_each_need_fills_its_own_part() -> None:
    for see, architecture in ((see_cell, LINEAR), (see_bert, PLAIN)):
        kernel = see(architecture, NTKTrace())  # type: ignore[operator]
        assert kernel.kernel is not None and not (kernel.weights or kernel.outputs or kernel.flow)
        fisher = see(architecture, Fisher())  # type: ignore[operator]
        assert fisher.outputs and fisher.kernel is None and not (fisher.weights or fisher.flow)
        zico = see(architecture, ZiCo())  # type: ignore[operator]
        layers = [w for w in zico.weights if w.part != "embedding"]
        assert all(w.example_mean is not None and w.curvature is None and w.grad is None for w in layers)
        grasp = see(architecture, GraSP())  # type: ignore[operator]
        layers = [w for w in grasp.weights if w.part != "embedding"]
        assert all(w.curvature is not None and w.example_mean is None for w in layers) and grasp.kernel is None


@pytest.mark.parametrize("name", NAMES)
def test_the_initialisations_of_an_encoder_are_seen_apart(name: str) -> None:
    proxy = proxies.get(name)
    seen = see_bert(PLAIN, proxy, initialisations=2)
    assert len(seen.repeats) == 1 and proxy(seen.repeats[0]) != proxy(seen)
    assert proxy(seen) == proxy(see_bert(PLAIN, proxy))
