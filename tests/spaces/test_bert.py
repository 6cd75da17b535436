"""The BERT space: configurations, readings, counts, operators and the torch encoder."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import ZeronasError
from spaces.bert import READINGS, BertConfig, BertSpace, Layer, count, parse_config, plan, published_sample
from spaces.bert.config import OPERATIONS, SIZES
from spaces.bert.counts import embedding_parameters, encoder_parameters
from spaces.bert.module import Attention, BertEncoder, LinearTransform, SpanConvolution, build, dct
from spaces.bert.readings import LayerPlan

REDUCTIONS: list[dict[str, Any]] = [
    {},
    {"hidden_size": 256, "layers": 4},
    {"operation_type": ["SA", "DSC"], "operation_parameter": ["WMA", 9, "DFT"]},
    {"num_operation_heads": 4, "num_feed_forward": {"min": 2}},
    {"layers": 4, "sa_layers": {"min": 2}, "four_head_layers": [1, 3], "three_feed_forward_layers": {"max": 1}},
    {"lt_layers": 3, "wide_feed_forward_layers": 4, "four_head_layers": 4, "three_feed_forward_layers": 0},
]
ALL_LAYERS = [
    Layer(kind, parameter, *sizes)
    for kind, parameters in OPERATIONS.items()
    for parameter in parameters
    for sizes in product(*SIZES.values())
]
layers = st.sampled_from(ALL_LAYERS)
configs = st.builds(
    BertConfig,
    st.sampled_from([128, 256]),
    st.one_of(st.tuples(layers, layers), st.tuples(layers, layers, layers, layers)),
)
seeds = st.integers(0, 2**32 - 1)
reductions = st.sampled_from(REDUCTIONS)
quick = settings(max_examples=40, deadline=None)


def pair(layer: Layer, hidden: int = 256) -> BertConfig:
    return BertConfig(hidden, (layer, layer))


def example() -> dict[str, Any]:
    layer = dict(zip(Layer.__dataclass_fields__, ("SA", "SDP", 2, 512, 1), strict=True))
    return {"hidden_size": 128, "nas_config": {"encoder_layers": [dict(layer), dict(layer)]}}


# Configurations


@given(configs)
@quick
def test_configuration_round_trips(config: BertConfig) -> None:
    data = config.to_json()
    row = {"id": 3, "hparams": {"learning_rate": 5e-4, "model_hparam_overrides": data}}
    for form in (
        config,
        data,
        json.dumps(data),
        json.dumps(data).encode(),
        row,
        row["hparams"],
        BertSpace().format(config),
    ):
        again = parse_config(form)
        assert again == config and again.key == config.key and hash(again) == hash(config)


def test_key_is_stable_across_processes_and_versions() -> None:
    config = parse_config(example())
    assert config.key == "bert-dd10dd238667bea5"
    shuffled = {
        "nas_config": {
            "encoder_layers": [dict(reversed(la.items())) for la in example()["nas_config"]["encoder_layers"]]
        }
    }
    assert parse_config({**shuffled, "hidden_size": 128}).key == config.key


def test_all_layer_choices_have_their_own_key() -> None:
    assert len(ALL_LAYERS) == 48
    assert len({pair(layer, hidden).key for layer in ALL_LAYERS for hidden in (128, 256)}) == 96


def test_graph_is_the_chain_of_blocks() -> None:
    config = BertConfig(256, (Layer("DSC", 9, 4, 512, 3), Layer("LT", "DCT", 2, 1024, 1)))
    graph = config.to_graph()
    assert [op for _, op in graph.nodes(data="op")] == ["embedding", "DSC9", "FF", "DCT", "FF", "output"]
    assert graph.nodes["layer 1 feed-forward"]["label"] == "feed-forward\n512 512 512"
    assert len(graph.edges) == 5 and graph.has_edge("layer 1 feed-forward", "layer 2 operation")


def edited(path: list[Any], value: Any = None, drop: bool = False) -> dict[str, Any]:
    data = example()
    inner: Any = data
    for step in path[:-1]:
        inner = inner[step]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


SECOND = ["nas_config", "encoder_layers", 1]
KEYS = "operation_type, operation_parameter, num_operation_heads, feed_forward_dimension, num_feed_forward"
SORTED_KEYS = "feed_forward_dimension, num_feed_forward, num_operation_heads, operation_parameter, operation_type"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "The configuration '' is no valid JSON, at line 1 column 1: expecting value."),
        (b"\xff", "The configuration b'\\xff' is no valid JSON: it is not UTF-8 text."),
        (
            "[" * 100_000,
            "The configuration '" + "[" * 56 + "... is no valid JSON: it is nested too deeply.",
        ),
        ("[1]", "The configuration is [1], but an object with the keys hidden_size, nas_config is needed."),
        (None, "The configuration is null, but an object with the keys hidden_size, nas_config is needed."),
        (
            {"hparams": {"learning_rate": 1}},
            "The configuration has the unknown key 'learning_rate'. Available: hidden_size, nas_config.",
        ),
        (
            {"hiden_size": 128},
            "The configuration has the unknown key 'hiden_size'. Did you mean 'hidden_size'? "
            "Available: hidden_size, nas_config.",
        ),
        ({}, "The configuration lacks the key 'hidden_size'; it needs the keys hidden_size, nas_config."),
        (edited(["hidden_size"], 64), "hidden_size is 64, but it takes one of: 128, 256."),
        (edited(["hidden_size"], "128"), "hidden_size is '128', but it takes one of: 128, 256."),
        (edited(["hidden_size"], 128.0), "hidden_size is 128.0, but it takes one of: 128, 256."),
        (edited(["nas_config"], []), "nas_config is [], but an object with the keys encoder_layers is needed."),
        (edited(SECOND[:2], 3), "encoder_layers is 3, but a list of 2 or 4 layers is needed."),
        (edited(SECOND[:2], []), "encoder_layers has 0 layers, but 2 or 4 are needed."),
        (edited(SECOND[:2], [{}] * 3), "encoder_layers has 3 layers, but 2 or 4 are needed."),
        (edited(SECOND, 7), f"Layer 2 of 2 is 7, but an object with the keys {KEYS} is needed."),
        (
            edited([*SECOND, "num_heads"], 2),
            "Layer 2 of 2 has the unknown key 'num_heads'. Did you mean 'num_operation_heads'? "
            f"Available: {SORTED_KEYS}.",
        ),
        (
            edited([*SECOND, "num_feed_forward"], drop=True),
            f"Layer 2 of 2 lacks the key 'num_feed_forward'; it needs the keys {KEYS}.",
        ),
        (
            edited([*SECOND, "operation_type"], "DSCC"),
            "operation_type of layer 2 of 2 is 'DSCC'. Did you mean 'DSC'? Available: DSC, LT, SA.",
        ),
        (
            edited([*SECOND, "operation_type"], ["SA"]),
            "operation_type of layer 2 of 2 is ['SA']. Did you mean 'SA'? Available: DSC, LT, SA.",
        ),
        (
            edited([*SECOND, "operation_type"], "LT"),
            "operation_parameter of layer 2 of 2 is 'SDP', which belongs to operation_type 'SA', "
            "but the layer's operation_type is 'LT', which takes one of: DFT, DCT.",
        ),
        (
            edited([*SECOND, "operation_parameter"], "SPD"),
            "operation_parameter of layer 2 of 2 is 'SPD', which operation_type 'SA' does not have. "
            "Did you mean 'SDP'? Available: SDP, WMA.",
        ),
        (
            edited(SECOND, dict(zip(Layer.__dataclass_fields__, ("DSC", "5", 2, 512, 1), strict=True))),
            "operation_parameter of layer 2 of 2 is '5', which operation_type 'DSC' does not have. Available: 5, 9.",
        ),
        (
            edited([*SECOND, "num_operation_heads"], 3),
            "num_operation_heads of layer 2 of 2 is 3, but it takes one of: 2, 4.",
        ),
        (
            edited([*SECOND, "num_feed_forward"], True),
            "num_feed_forward of layer 2 of 2 is True, but it takes one of: 1, 3.",
        ),
        (
            edited([*SECOND, "feed_forward_dimension"], None),
            "feed_forward_dimension of layer 2 of 2 is null, but it takes one of: 512, 1024.",
        ),
    ],
)
def test_malformed_configuration_is_told_in_one_sentence(data: Any, sentence: str) -> None:
    with pytest.raises(ZeronasError) as caught:
        BertSpace().parse(data)
    assert str(caught.value) == sentence


# Counts


@pytest.mark.parametrize(
    ("operation", "one", "three"),  # one layer of the scored reading, with 1 and with 3 feed-forward layers
    [
        (("SA", "SDP", 2), 789_760, 2_888_960),
        (("SA", "WMA", 4), 855_296, 2_954_496),
        (("LT", "DFT", 2), 591_872, 2_691_072),
        (("LT", "DCT", 4), 591_872, 2_691_072),
        (("DSC", 5, 2), 232_709 + 526_080, 232_709 + 2_625_280),
        (("DSC", 9, 2), 234_249 + 526_080, 234_249 + 2_625_280),
        (("DSC", 5, 4), 233_354 + 526_080, 233_354 + 2_625_280),
        (("DSC", 9, 4), 235_410 + 526_080, 235_410 + 2_625_280),
    ],
)
def test_parameters_of_the_released_layers(operation: tuple[Any, ...], one: int, three: int) -> None:
    for hidden, width in ((128, 512), (256, 1024)):  # neither reaches the released model
        config = BertConfig(hidden, (Layer(*operation, width, 1), Layer(*operation, width, 3)))
        planned = plan(config, "scored")
        assert encoder_parameters(planned) == one + three
        assert embedding_parameters(planned) == 4_005_888


def test_parameters_of_the_smallest_and_largest_encoders() -> None:
    small, large = Layer("LT", "DFT", 2, 512, 1), Layer("SA", "WMA", 2, 1024, 3)
    smallest, largest = pair(small, 128), BertConfig(256, (large,) * 4)
    # tables and LayerNorm, then per layer: the transform's Linear, two feed-forward Linears, LayerNorm
    by_hand = (30_522 + 512 + 2 + 2) * 128 + 2 * (128 * 128 + 128 + 2 * 128 * 512 + 512 + 128 + 256)
    assert count(smallest).parameters == by_hand == 4_269_824
    assert count(smallest, "trained").parameters == 4_369_408
    assert count(largest, "trained").parameters == 4_005_888 + 4 * 2_888_960 == 15_561_728
    assert count(largest).parameters == 4_005_888 + 4 * 2_954_496


def test_what_the_readings_ignore() -> None:
    a, b = pair(Layer("DSC", 9, 4, 512, 1), 128), pair(Layer("SA", "SDP", 4, 1024, 1), 128)
    assert plan(a, "trained") == plan(b, "trained")  # operations, and the width of a single feed-forward layer
    assert plan(a, "trained").layers[0].feed_forward == (512,)
    assert plan(pair(Layer("SA", "SDP", 4, 512, 3)), "trained").layers[0].feed_forward == (1024, 512, 512)
    assert plan(BertConfig(256, a.layers), "scored") == plan(a, "scored")
    assert plan(a).layers[0] == LayerPlan("DSC", 2, 32, 9, (512,))
    assert plan(pair(Layer("DSC", 5, 2, 512, 1), 128)).layers[0] == LayerPlan("DSC", 1, 64, 5, (512,))


def test_flops_depth_and_width_of_hand_worked_layers() -> None:
    attention = count(pair(Layer("SA", "SDP", 2, 1024, 1)))
    # projection; per layer 4 matrices, two products over 128 tokens, feed-forward in and out
    assert attention.flops == 2 * (128 * 256 + 2 * (4 * 256**2 + 2 * 128 * 256 + 2 * 256 * 1024))
    assert (attention.depth, attention.width) == (3 + 2 * (4 + 4), 1024)
    transform = count(pair(Layer("LT", "DCT", 2, 512, 3), 128))
    # 2.5 N log2 N of N = 128 x 64 values a head is 2.5 x 128 x 13 a token
    assert transform.flops == 2 * (2 * 128**2 + 4160 + 2 * (2 * 128 * 512 + 2 * 512**2))
    assert (transform.depth, transform.width) == (2 + 2 * (1 + 8), 512)


@pytest.mark.parametrize("parameter", ["SDP", "WMA", 5, 9])
def test_flops_agree_with_the_operations_torch_runs(parameter: str | int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    kind = "DSC" if isinstance(parameter, int) else "SA"
    for hidden, heads in ((128, 2), (256, 4)):
        config = pair(Layer(kind, parameter, heads, 512, 3), hidden)
        model = build(config, vocabulary=9).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(2, 16, dtype=torch.int64))
        # torch counts no element-wise products, of which the convolution by predicted kernels is made: a K a token
        unseen = 2 * 2 * (hidden // 2) * parameter if isinstance(parameter, int) else 0
        assert count(config, sequence=16).flops == counter.get_total_flops() / 32 + unseen


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("hidden", [128, 256])
def test_module_has_the_counted_parameters(reading: str, hidden: int) -> None:
    for first, second in zip(ALL_LAYERS[::2], ALL_LAYERS[1::2], strict=True):
        config = BertConfig(hidden, (first, second))
        with torch.device("meta"):
            planned = plan(config, reading)
            model = MetaEncoder(planned, vocabulary=11)
        assert sum(p.numel() for p in model.parameters()) == count(config, reading, vocabulary=11).parameters
        assert sum(p.numel() for p in model.layers.parameters()) == encoder_parameters(planned)


class MetaEncoder(BertEncoder):
    """Shapes without values: drawing the weights of 144 encoders would take most of the suite's time."""

    def initialise(self, generator: torch.Generator | None = None) -> None:
        pass


# The torch encoder


def test_one_head_of_attention_by_hand() -> None:
    block = Attention(LayerPlan("SDP", 1, 2, 0, (1,)), 2).eval()
    with torch.no_grad():
        for linear in (block.query, block.key, block.value, block.output):
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
        seen: dict[str, torch.Tensor] = {}
        block(torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), seen.__setitem__)
    # scores [[1, 0], [0, 4]] / sqrt 2
    a, b = 1 / (1 + math.exp(-1 / math.sqrt(2))), 1 / (1 + math.exp(-4 / math.sqrt(2)))
    assert torch.allclose(seen["attention"], torch.tensor([[[[a, 1 - a], [1 - b, b]]]]))


def test_weighted_attention_multiplies_the_query() -> None:
    block = Attention(LayerPlan("WMA", 2, 3, 0, (1,)), 6).eval()
    plain = Attention(LayerPlan("SDP", 2, 3, 0, (1,)), 6).eval()
    assert block.weight is not None and block.weight.bias is None
    plain.load_state_dict({k: v for k, v in block.state_dict().items() if k != "weight.weight"})
    with torch.no_grad():
        plain.query.weight.copy_(block.weight.weight @ block.query.weight)
        plain.query.bias.copy_(block.weight.weight @ block.query.bias)
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(block(x), plain(x), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_cosine_transform_is_scipys(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, size, 4))
    assert np.allclose(dct(torch.from_numpy(x), 1).numpy(), scipy.fft.dct(x, type=2, axis=1))


@pytest.mark.parametrize("operation", ["DFT", "DCT"])
def test_transform_is_over_tokens_and_head(operation: str) -> None:
    block = LinearTransform(LayerPlan(operation, 2, 4, 0, (1,)), 8).double()
    x = np.random.default_rng(0).normal(size=(3, 6, 8))
    with torch.no_grad():
        projected = block.input(torch.from_numpy(x)).numpy()
        mixed = block(torch.from_numpy(x)).numpy()
    for head in (slice(0, 4), slice(4, 8)):
        values = projected[..., head]
        wanted = (
            scipy.fft.fft2(values, axes=(1, 2)).real
            if operation == "DFT"
            else scipy.fft.dctn(values, type=2, axes=(1, 2))
        )
        assert np.allclose(mixed[..., head], wanted)
    assert [name for name, _ in block.named_parameters()] == ["input.weight", "input.bias"]


def test_span_convolution_weights_a_window_of_tokens() -> None:
    block = SpanConvolution(LayerPlan("DSC", 1, 1, 5, (1,)), 2)
    value = torch.arange(1.0, 5.0).reshape(1, 4, 1)
    kernel = torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0]).repeat(1, 4, 1, 1)
    # token t sees t-2 .. t+2, nothing beyond the ends
    assert block.convolve(value, kernel).flatten().tolist() == [32100.0, 43210.0, 4321.0, 432.0]


def test_span_convolution_by_unfold() -> None:
    generator = torch.Generator().manual_seed(0)
    config = pair(Layer("DSC", 9, 4, 512, 1), 128)
    model = build(config, vocabulary=30, generator=generator).eval().double()
    block = cast(SpanConvolution, model.layers[0].operation)
    seen: dict[str, torch.Tensor] = {}
    x = torch.randn(2, 7, 128, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        out = block(x, seen.__setitem__)
        columns = torch.nn.functional.unfold(block.conv_out(x).transpose(1, 2).unsqueeze(-1), (9, 1), padding=(4, 0))
        windows = columns.reshape(2, 2, 32, 9, 7)  # (B, n, d, K, T)
        convolved = torch.einsum("bndkt,btnk->btnd", windows, seen["conv_kernel"]).flatten(-2)
        q, k, v = (seen[name].unflatten(-1, (2, 32)).transpose(1, 2) for name in ("query", "key", "value"))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
        wanted = block.norm(block.output(torch.cat([attended, convolved], -1)) + x)
    assert torch.allclose(out, wanted)
    assert torch.allclose(seen["conv_kernel"].sum(-1), torch.ones(2, 7, 2, dtype=torch.float64))


def test_tap_sees_every_named_tensor_once() -> None:
    config = BertConfig(
        256,
        (
            Layer("SA", "SDP", 4, 512, 1),
            Layer("SA", "WMA", 2, 512, 3),
            Layer("LT", "DFT", 2, 1024, 1),
            Layer("DSC", 5, 4, 512, 1),
        ),
    )
    seen: list[tuple[str, int, tuple[int, ...]]] = []
    model = build(config, vocabulary=20)
    out = model(
        torch.ones(2, 6, dtype=torch.int64), listener=lambda name, layer, x: seen.append((name, layer, tuple(x.shape)))
    )
    assert tuple(out.shape) == (2, 6, 256)
    qkv = [("query", (2, 6, 256)), ("key", (2, 6, 256)), ("value", (2, 6, 256))]
    hidden = ("hidden", (2, 6, 256))
    mixed = ("mixed", (2, 6, 256))
    narrow, wide = ([(f"{when}activation", (2, 6, width)) for when in ("pre_", "")] for width in (512, 1024))
    wanted = [
        [*qkv, ("attention", (2, 4, 6, 6)), ("context", (2, 4, 6, 64)), mixed, *narrow, hidden],
        [
            *qkv,
            ("weight", (2, 6, 256)),
            ("attention", (2, 2, 6, 6)),
            ("context", (2, 2, 6, 128)),
            mixed,
            *narrow * 3,
            hidden,
        ],
        [
            ("input", (2, 6, 256)),
            *((name, (2, 2, 6, 128)) for name in ("transform_softmax", "context")),
            mixed,
            *wide,
            hidden,
        ],
        [
            *((name, (2, 6, 128)) for name in ("query", "key", "value")),
            ("conv_kernel", (2, 6, 2, 5)),
            ("attention", (2, 2, 6, 6)),
            ("context", (2, 2, 6, 64)),
            mixed,
            *narrow,
            hidden,
        ],
    ]
    flat = [("embedding", -1, (2, 6, 256))] + [(n, i, s) for i, layer in enumerate(wanted) for n, s in layer]
    assert seen == flat


def test_weights_come_from_the_generator_alone() -> None:
    config = pair(Layer("DSC", 5, 2, 512, 1))
    before = torch.get_rng_state()
    first, second = (
        BertSpace().build(config, vocabulary=40, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(before, torch.get_rng_state())
    for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
        if name.endswith("bias"):
            assert not a.any()
        elif "norm" in name:
            assert (a == 1).all()
        else:
            assert abs(a.std().item() - 0.02) < 0.002
    assert not first.state_dict()["embeddings.word.weight"][0].any()


def test_tokens_of_a_wrong_shape_are_refused() -> None:
    model = build(pair(Layer("LT", "DFT", 2, 512, 1), 128), vocabulary=5)
    with pytest.raises(ZeronasError) as caught:
        model(torch.zeros(1, 513, dtype=torch.int64))
    assert str(caught.value) == "The encoder takes token ids of shape (examples, 1 to 512 tokens), but got (1, 513)."


# The space


@given(reductions, seeds)
@quick
def test_operators_stay_inside_the_reduction(conditions: dict[str, Any], seed: int) -> None:
    space = BertSpace().reduce(conditions)
    rng = np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    mutant, child = space.mutate(first, rng), space.crossover(first, second, rng)
    assert mutant != first
    for config in (first, second, mutant, child):
        assert space.contains(config) and space.parse(space.format(config)) == config
    assert child.hidden_size in (first.hidden_size, second.hidden_size)
    near = list(space.neighbours(first))
    assert near == list(space.neighbours(first))
    assert len(set(near)) == len(near) and first not in near and all(space.contains(config) for config in near)


@given(seeds)
@quick
def test_operators_depend_on_the_generator_alone(seed: int) -> None:
    def run() -> list[str]:
        space, rng = BertSpace(), np.random.default_rng(seed)
        first, second = space.sample(rng), space.sample(rng)
        return [c.key for c in (first, second, space.mutate(first, rng), space.crossover(first, second, rng))]

    assert run() == run()


@given(configs, configs, seeds)
@quick
def test_distance_is_a_metric_that_mutations_keep_short(first: BertConfig, second: BertConfig, seed: int) -> None:
    space = BertSpace()
    assert space.features(first).shape == (50,) and space.features(first).dtype == np.float64
    assert (space.distance(first, second) == 0) == (first == second)
    mutant = space.mutate(first, np.random.default_rng(seed))
    same_depth = len(mutant.layers) == len(first.layers)
    assert space.distance(first, mutant) in ((1.0, 4.0) if same_depth else tuple(range(8, 17)))


def test_neighbours_of_a_two_and_a_four_layer_configuration() -> None:
    a, b = Layer("SA", "SDP", 2, 512, 1), Layer("DSC", 9, 4, 1024, 3)
    near = list(BertSpace().neighbours(BertConfig(128, (a, b))))
    assert len(near) == 1 + 2 + 2 * (5 + 3)
    assert near[:3] == [BertConfig(256, (a, b)), BertConfig(128, (a, a, b, b)), BertConfig(128, (a, b, a, b))]
    four = BertConfig(128, (a, b, a, b))
    shorter = [c.layers for c in BertSpace().neighbours(four) if len(c.layers) == 2]
    assert shorter == [(a, b), (a, a), (b, a), (b, b)]


@pytest.mark.parametrize(
    ("conditions", "size"),
    [
        ({}, 10_621_440),
        ({"hidden_size": 256, "layers": 4}, 48**4),
        ({"layers": 2, "sa_layers": 1}, 2 * 2 * (2 * 4) * 8**2),
        (
            {"layers": 2, "operation_parameter": ["WMA", 5], "operation_type": "SA", "four_head_layers": {"min": 1}},
            2 * 3 * 4**2,
        ),
        ({"layers": 2, "sa_layers": 3}, 0),
    ],
)
def test_size_counts_the_members(conditions: dict[str, Any], size: int) -> None:
    assert BertSpace().reduce(conditions).size() == size


def test_size_agrees_with_enumeration() -> None:
    space = BertSpace().reduce(
        {
            "layers": 2,
            "sa_layers": [0, 1],
            "dsc_layers": {"max": 1},
            "wide_feed_forward_layers": 2,
            "num_operation_heads": 4,
        }
    )
    members = [BertConfig(h, pair_) for h in (128, 256) for pair_ in product(ALL_LAYERS, repeat=2)]
    assert space.size() == sum(map(space.contains, members))


def test_sampling_is_uniform_over_types_then_parameters() -> None:
    rng, space = np.random.default_rng(0), BertSpace()
    drawn = [space.sample(rng) for _ in range(3000)]
    depths = Counter(len(config.layers) for config in drawn)
    assert abs(depths[4] / 3000 - 0.5) < 0.046  # five standard errors
    parameters = Counter(layer.operation_parameter for config in drawn for layer in config.layers)
    total = sum(parameters.values())
    for value in ("SDP", "WMA", "DFT", "DCT", 5, 9):
        assert abs(parameters[value] / total - 1 / 6) < 0.02


def test_reductions_only_narrow() -> None:
    space = BertSpace("trained", 100).reduce({"layers": 4, "sa_layers": {"min": 1, "max": 3}})
    narrower = space.reduce({"sa_layers": {"min": 2}})
    assert narrower.rule.to_json() == {"layers": [4], "sa_layers": {"min": 2.0, "max": 3.0}}
    assert (narrower.reading, narrower.vocabulary) == ("trained", 100)
    for conditions, sentence in (
        ({"layers": 2}, "The reduction wants layers to be one of [2], but the space has only [4]."),
        ({"sa_layers": {"min": 4}}, "The reduction wants sa_layers from 4 to inf, but the space has only 1 to 3."),
        (
            {"operation_parameter": {"min": 5}},
            "The reduction gives a range for 'operation_parameter', which has names among its values; "
            "list those wanted of: SDP, WMA, DFT, DCT, 5, 9.",
        ),
    ):
        with pytest.raises(ZeronasError) as caught:
            space.reduce(conditions)
        assert str(caught.value) == sentence


def test_an_empty_reduction_is_told() -> None:
    space = BertSpace().reduce({"operation_type": "SA", "operation_parameter": 5})
    with pytest.raises(ZeronasError, match="No member of space 'bert'"):
        space.sample(np.random.default_rng(0))


def test_unknown_reading_and_bad_vocabulary() -> None:
    for name, meant in (("train", "trained"), ("released", "scored")):  # the second is what it was called before
        with pytest.raises(ZeronasError) as caught:
            BertSpace(name)
        assert str(caught.value) == (
            f"Unknown reading '{name}' of BERT configurations. Did you mean '{meant}'? Available: scored, stated, "
            "trained."
        )
    with pytest.raises(ZeronasError) as caught:
        BertSpace(vocabulary=0)
    assert str(caught.value) == "Space 'bert' needs vocabulary to be a whole number of 1 or more, but got 0."


def test_optuna_suggests_members() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = BertSpace().reduce({"layers": 4, "operation_type": ["SA", "DSC"], "four_head_layers": {"max": 2}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        config = space.suggest(trial)
        assert space.contains(config)
        return space.counts(config).parameters

    study.optimize(objective, n_trials=20)
    states = Counter(trial.state.name for trial in study.trials)
    assert set(states) == {"COMPLETE"}
    assert set(study.trials[0].params) == {
        "hidden_size",
        "layers",
        *(
            f"layer{i}.{name}"
            for i in range(1, 5)
            for name in ("operation", "heads", "feed_forward_dimension", "num_feed_forward")
        ),
    }
    code = {name: choices[-1] for name, choices in BertSpace().encoding.items()} | {"hidden_size": 128, "layers": 2}
    code |= {f"layer{i}.feed_forward_dimension": 512 for i in (1, 2)}  # what the last two layers say does not matter
    config = pair(Layer("DSC", 9, 4, 512, 3), 128)
    assert BertSpace().suggest(optuna.trial.FixedTrial(code)) == BertSpace().decode(code) == config
    with pytest.raises(ZeronasError, match=r"leaves 'layer1.operation' without any value; widen it\.$"):
        _ = BertSpace().reduce({"operation_type": "SA", "operation_parameter": "DFT"}).encoding


def test_importing_the_space_needs_neither_torch_nor_optuna() -> None:
    code = "import sys, spaces.bert; sys.exit(any(name in sys.modules for name in ('torch', 'optuna', 'networkx')))"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# The published benchmark


def test_published_sampler_draws_the_benchmark(data_dir: Path) -> None:
    rows = json.loads((data_dir / "flexibert" / "BERT_benchmark.json").read_text())
    assert [row["id"] for row in rows] == list(range(500))
    benchmark = [parse_config(row) for row in rows]
    assert benchmark == published_sample() and len(set(benchmark)) == 491


def test_released_parameters_of_the_benchmark(data_dir: Path) -> None:
    with (data_dir / "flexibert" / "BERT_results_activation.csv").open() as file:
        published = {int(row["ID"]): int(row["Number of Parameters"]) for row in csv.DictReader(file)}
    ours = {index: count(config, "scored").parameters for index, config in enumerate(published_sample())}
    assert len(published) == 500 and ours == published


@pytest.mark.parametrize(
    ("reading", "low", "high"),
    [("stated", 4_269_824, 15_472_806), ("scored", 5_189_632, 15_566_612), ("trained", 4_369_408, 15_561_728)],
)
def test_range_of_parameters_in_the_benchmark(reading: str, low: int, high: int) -> None:
    numbers = [count(config, reading).parameters for config in published_sample()]
    assert (min(numbers), max(numbers)) == (low, high)


def test_released_weights_are_those_of_constructing_the_released_encoder() -> None:
    config = BertConfig(
        256, (Layer("DSC", 5, 4, 1024, 3), Layer("SA", "WMA", 2, 1024, 1), Layer("LT", "DFT", 2, 512, 1))
    )
    model = BertSpace("scored").build(config, vocabulary=20)
    model.replay_initialisation(torch.Generator().manual_seed(7))
    nn = torch.nn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        made = [nn.Embedding(20, 128, padding_idx=0), nn.Embedding(512, 128), nn.Embedding(2, 128), nn.Linear(128, 256)]
        made += [nn.Linear(256, 128) for _ in range(3)]
        depthwise = nn.Conv1d(256, 256, 5, groups=256, bias=False)
        pointwise = nn.Conv1d(256, 128, 1, bias=False)
        for convolution in (depthwise, pointwise):
            convolution.weight.data.normal_(0.0, 0.02)
        made += [nn.Linear(128, 10), nn.Linear(256, 128), nn.Linear(256, 256)]
        made += [nn.Linear(256, 1024), nn.Linear(1024, 1024), nn.Linear(1024, 1024), nn.Linear(1024, 256)]
        made += [*(nn.Linear(256, 256) for _ in range(3)), nn.Linear(256, 256, bias=False), nn.Linear(256, 256)]
        made += [nn.Linear(256, 1024), nn.Linear(1024, 256), nn.Linear(256, 256), nn.Linear(256, 1024)]
        made += [nn.Linear(1024, 256)]
        for module in made:
            module.weight.data.normal_(0.0, 0.02)
    made[0].weight.data[0].zero_()
    wanted = [*made[:7], depthwise, pointwise, *made[7:]]
    found = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Embedding, nn.Conv1d))]
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine.weight, theirs.weight)
