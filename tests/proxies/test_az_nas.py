"""AZ-NAS's parts against the formulas of the paper, computed another way."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

import proxies
import spaces
from nas.core import seeds
from nas.core.errors import ZeronasError
from proxies.az_nas import AZNas, entropy, trainability
from proxies.base import Block, Needs, ProxyFailure, Record
from spaces.base import Counts
from spaces.blocks import blocks_of

PARTS = ("expressivity", "progressivity", "trainability", "complexity")


def record(blocks=(), flops=0):
    return Record("any", "k", 0, Counts(0, flops, 0, 0), blocks=list(blocks))


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def independent(size, batch=2):
    """(B, T, size) whose channels all have the same variance and no correlation: an entropy of ln(size)."""
    return torch.cat([torch.eye(size), -torch.eye(size)]).double().view(batch, -1, size)


def test_entropy():
    assert entropy(independent(4).flatten(0, 1)) == pytest.approx(math.log(4), abs=1e-6)
    # variances 1 and 3: shares 1/4 and 3/4
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 3**0.5], [0.0, -(3**0.5)]])
    assert entropy(rows) == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), abs=1e-6)
    # as released: eigenvalues of the covariance, 1e-8 in the logarithm
    features = normal(50, 7) @ normal(7, 7, seed=1)
    eigenvalues = np.linalg.eigvalsh(np.cov(features.numpy(), rowvar=False))
    shares = eigenvalues / eigenvalues.sum()
    assert entropy(features) == pytest.approx(float(-(shares * np.log(shares + 1e-8)).sum()))
    with pytest.raises(ProxyFailure, match=r"^constant features$"):
        entropy(torch.full((6, 3), 0.7))


def test_expressivity_and_progressivity():
    blocks = [Block(independent(size)) for size in (2, 8, 4)]
    seen = record(blocks)
    assert AZNas("expressivity")(seen) == pytest.approx(math.log(2 * 8 * 4), abs=1e-6)
    assert AZNas("progressivity")(seen) == pytest.approx(-math.log(2), abs=1e-6)
    assert AZNas("progressivity")(record(blocks[:2])) == pytest.approx(math.log(4), abs=1e-6)
    # the axis of the examples makes no difference
    turned = record([Block(block.value.transpose(0, 1), examples=1) for block in blocks])
    assert AZNas("expressivity")(turned) == pytest.approx(AZNas("expressivity")(seen))


def chain(*matrices, observations=20_000):
    outputs = [normal(2, observations // 2, matrices[0].shape[0]).requires_grad_()]
    for matrix in matrices:
        outputs.append(outputs[-1] @ matrix)
    return blocks_of(outputs, 0, backward=True)


def test_trainability_is_that_of_the_jacobians():
    """Of linear blocks the estimate tends to the matrix: its error is of the size of sqrt(d / N), .02 here."""
    rotation = torch.linalg.qr(normal(6, 6))[0]
    assert trainability(chain(rotation)) == pytest.approx(0, abs=0.01)
    assert trainability(chain(2 * rotation)) == pytest.approx(-2 - 1 / 2 + 2, abs=0.1)
    # 6 -> 3 with the greatest singular value 3
    narrow = torch.diag(torch.tensor([3.0, 1.0, 0.5]).double())
    narrow = rotation[:, :3] @ narrow
    wanted = (-2.5 + 2 + (-3 - 1 / 3 + 2)) / 2
    assert trainability(chain(2 * rotation, narrow)) == pytest.approx(wanted, abs=0.1)


def test_trainability_as_released():
    blocks = chain(normal(5, 7), normal(7, 4, seed=1), observations=60)
    wanted = []
    for block in blocks[1:]:
        signs, grad = (t.reshape(-1, t.shape[-1]).numpy() for t in (block.signs, block.grad))
        s = np.linalg.svd(grad.T @ signs / 60, compute_uv=False).max()
        wanted.append(-s - 1 / (s + 1e-6) + 2)
    assert AZNas("trainability")(record(blocks)) == pytest.approx(np.mean(wanted))


def test_complexity_is_flops():
    assert AZNas("complexity")(record(flops=123)) == 123.0
    assert AZNas("complexity").needs == {"shapes"} and AZNas("complexity").layers == 0


def test_parts_without_a_value():
    one = record([Block(independent(4))])
    for part in ("progressivity", "trainability"):
        assert AZNas(part).score(one).reason == "the network has one block only"
    assert AZNas("expressivity").score(one).value == pytest.approx(math.log(4), abs=1e-6)
    assert AZNas("expressivity").score(record()).reason == "the pass made no blocks"
    assert AZNas("expressivity").score(record([Block(torch.ones(2, 3, 4))])).reason == "constant features"
    values = normal(2, 3, 4)
    assert AZNas("trainability").score(record([Block(values)] * 2)).reason == "the pass made no gradients of blocks"
    dead = Block(values, values.sign(), torch.zeros(2, 3, 4))
    assert AZNas("trainability").score(record([dead] * 2)).reason == "a block does not depend on the one before"
    broken = Block(values, values.sign(), torch.full((2, 3, 4), math.nan))
    assert AZNas("trainability").score(record([broken] * 2)).reason == "gradients of blocks are not finite"


@pytest.mark.parametrize("space", ["rnn", "bert"])
def test_every_part_has_a_value_on_a_probe_of_several_blocks(space):
    found = spaces.get(space)
    probe = found.make_probe({"hidden": [20, 20]} if space == "rnn" else {"batch": 4, "steps": 16})
    chosen = {part: proxies.get("az_nas", space, part=part) for part in PARTS}
    item = found.sample(np.random.default_rng(0))
    together = probe.observe(found, item, Needs.union(chosen.values()), 0)
    for part, proxy in chosen.items():
        score = proxy.score(together)
        assert score.value is not None and math.isfinite(score.value), (part, score.reason)
        alone = proxy.score(probe.observe(found, item, Needs.union([proxy]), 0))
        assert alone.value == pytest.approx(score.value)
    assert chosen["trainability"](together) <= 0


def test_one_layer_of_cells_has_expressivity_alone():
    found = spaces.get("rnn")
    chosen = [AZNas(part) for part in ("expressivity", "progressivity", "trainability")]
    seen = found.make_probe().observe(found, found.sample(np.random.default_rng(0)), Needs.union(chosen), 0)
    assert [proxy.score(seen).value is None for proxy in chosen] == [False, True, True]


@pytest.mark.parametrize(("part", "names"), [("all", PARTS), ("transformer", (PARTS[0], *PARTS[2:]))])
def test_combined_parts_are_the_sum_of_the_logs_of_ranks(part, names):
    """Of the reference sample itself: ranks from the middle of ties, and clipped at .99."""
    space, probe = spaces.get("rnn"), spaces.get("rnn").make_probe({"hidden": [16, 16], "batch": 4, "steps": 8})
    proxy = AZNas(part, sample=10)
    drawn = [space.sample(seeds.generator(0, "reference", i)) for i in range(10)]
    records = [probe.observe(space, item, Needs.union([proxy]), 5) for item in drawn]
    wanted = 0
    for name in names:
        values = [AZNas(name).score(seen).value for seen in records]
        assert None not in values and len(set(values)) > 5
        wanted = wanted + np.log(np.minimum((rankdata(values) - 0.5) / 10, 0.99))
    prepared = proxy.prepare(space, probe, 5)
    assert [prepared(seen) for seen in records] == pytest.approx(wanted)
    assert proxy.score(records[0]).reason == (
        "ranks are relative to a sample of a space, which the proxy was not prepared for"
    )
    assert AZNas("expressivity").prepare(space, probe, 5).score(records[0]).value is not None


def test_combined_parts_need_several_blocks():
    space = spaces.get("rnn")
    with pytest.raises(ZeronasError) as error:
        AZNas(sample=10).prepare(space, space.make_probe({"hidden": [8], "batch": 3, "steps": 4}))
    assert str(error.value) == (
        "Proxy 'az_nas' with part=all compares blocks, but the probe has one layer; choose a probe of several "
        "(probe=deep), or part=expressivity, which does with one."
    )


def test_unknown_part():
    with pytest.raises(ZeronasError) as error:
        AZNas("speed")
    assert str(error.value) == (
        "Unknown part 'speed' of proxy 'az_nas'. "
        "Available: all, complexity, expressivity, progressivity, trainability, transformer."
    )
