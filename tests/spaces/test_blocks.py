"""Blocks of both probes: the outputs, and the gradients that random signs make, against autograd and by hand."""

from typing import Any

import numpy as np
import pytest
import torch

import spaces
from spaces.blocks import blocks_of
from spaces.record import Block, Needs, Record

NEEDS = {
    "blocks": Needs(frozenset({"forward", "blocks"}), 1),
    "block_backward": Needs(frozenset({"forward", "block_backward"}), 1),
    "all": Needs(frozenset({"forward", "block_backward", "backward", "weights", "activations"}), 1),
}
PROBES: dict[str, dict[str, Any]] = {
    "rnn": {"embedding": 8, "hidden": [10, 9, 8], "batch": 5, "steps": 6, "vocabulary": 50},
    "bert": {"batch": 3, "steps": 7, "vocabulary": 50, "dtype": "float64"},
}


def observed(space: str, needs: str, seed: int = 0) -> tuple[Record, Any]:
    found = spaces.get(space)
    if space == "bert":
        found = found.reduce({"layers": 2, "hidden_size": 128})
    item = found.sample(np.random.default_rng(1))
    return found.make_probe(PROBES[space]).observe(found, item, NEEDS[needs], seed), (found, item)


def test_gradients_of_signs_by_hand() -> None:
    matrix = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    below = torch.randn(4, 5, 2, requires_grad=True)
    first, second = blocks_of([below, below @ matrix], seed=3, backward=True)
    assert first.signs is None and first.grad is None and torch.equal(first.value, below)
    assert second.signs is not None and second.grad is not None
    assert set(second.signs.flatten().tolist()) == {-1.0, 1.0} and abs(float(second.signs.mean())) < 0.6
    assert torch.allclose(second.grad, second.signs @ matrix.T)
    assert not second.value.requires_grad


def test_a_block_that_does_not_read_the_one_before_has_zeros() -> None:
    constant, leaf = torch.ones(2, 3, 4), torch.ones(2, 3, 4, requires_grad=True)
    for above in (constant, leaf * 2, leaf):
        for below in (constant + 1, torch.zeros(2, 3, 5, requires_grad=True)):
            grad = blocks_of([below, above], 0, backward=True)[1].grad
            assert grad is not None and torch.equal(grad, torch.zeros_like(below))


def test_no_gradients_where_none_are_asked_for() -> None:
    for block in blocks_of([torch.ones(2, 3, 4, requires_grad=True)] * 2, 0, backward=False):
        assert block.signs is None and block.grad is None


@pytest.mark.parametrize("space", PROBES)
def test_what_else_is_asked_for_changes_no_block(space: str) -> None:
    alone, _ = observed(space, "block_backward")
    beside, _ = observed(space, "all")
    values, _ = observed(space, "blocks")
    assert len(alone.blocks) == len(values.blocks) == (4 if space == "bert" else 3)
    assert not alone.taps and not alone.weights and beside.taps and beside.weights
    for a, b, c in zip(alone.blocks, beside.blocks, values.blocks, strict=True):
        assert torch.equal(a.value, b.value) and c.grad is None
        assert torch.allclose(a.value, c.value)
        if a.grad is not None:
            assert b.grad is not None and torch.allclose(a.grad, b.grad)
    plain, _ = observed(space, "blocks", seed=1)
    assert not torch.equal(plain.blocks[0].value, values.blocks[0].value)


def test_blocks_of_cells_are_the_layers() -> None:
    record, _ = observed("rnn", "block_backward")
    assert [tuple(block.value.shape) for block in record.blocks] == [(6, 5, 10), (6, 5, 9), (6, 5, 8)]
    for hidden, final, block in zip(record.hidden, record.final, record.blocks, strict=True):
        assert block.examples == 1
        assert torch.equal(block.value, torch.cat([hidden[1:], final[None]]))
    assert [None if b.grad is None else tuple(b.grad.shape) for b in record.blocks] == [None, (6, 5, 10), (6, 5, 9)]


def _again(block: Block, layer: Any, x: torch.Tensor) -> torch.Tensor:
    """The gradient that the signs make at ``x``, by a pass of the module alone."""
    x = x.clone().requires_grad_()
    out = layer(x)
    assert torch.allclose(out, block.value)
    (grad,) = torch.autograd.grad((out * block.signs).sum(), x)
    return grad


def test_blocks_of_encoders_are_operations_and_feed_forward_blocks() -> None:
    from nas.core import seeds

    record, (space, item) = observed("bert", "block_backward")
    generator = torch.Generator().manual_seed(seeds.integer(0, item.key, "weights"))
    encoder = space.build(item, vocabulary=50, generator=generator).double().eval()
    chain = [module for layer in encoder.layers for module in (layer.operation, layer.feed_forward)]
    assert [block.examples for block in record.blocks] == [0] * 4
    for hidden, block in zip(record.hidden, record.blocks[1::2], strict=True):
        assert torch.equal(hidden, block.value.transpose(0, 1))
    for place in (1, 2, 3):
        block = record.blocks[place]
        assert block.grad is not None
        assert torch.allclose(block.grad, _again(block, chain[place], record.blocks[place - 1].value))


def test_feed_forward_pre_activations_are_the_inputs_of_the_activations() -> None:
    space = spaces.get("bert").reduce({"layers": 2, "hidden_size": 128, "num_feed_forward": 3})
    item, probe = space.sample(np.random.default_rng(0)), space.make_probe(PROBES["bert"])
    record = probe.observe(space, item, Needs(frozenset({"forward", "activations", "feed_forward"}), 1), 0)
    before = [tap for tap in record.taps if tap.name == "pre_activation"]
    after = [tap for tap in record.taps if tap.name == "activation"]
    assert [tap.layer for tap in before] == [tap.layer for tap in after] == [0, 0, 0, 1, 1, 1]
    for a, b in zip(before, after, strict=True):
        assert torch.allclose(torch.nn.functional.gelu(a.value), b.value) and not a.is_activation
    alone = probe.observe(space, item, Needs(frozenset({"forward", "feed_forward"}), 1), 0)
    assert [tap.name for tap in alone.taps] == ["pre_activation"] * 6
    neither = probe.observe(space, item, Needs(frozenset({"forward", "activations"}), 1), 0)
    assert not {"pre_activation", "mixed"} & {tap.name for tap in neither.taps}
