"""NASWOT, W-PCA, MeCo and LPZero: each against a computation of its own, and what has no value."""

import math

import numpy as np
import pytest
import torch

import proxies
import spaces
from nas.core.errors import ZeronasError
from nas.truth.benchmarks import get
from proxies.base import Block, Needs, ProxyFailure, Record, Tap
from proxies.lpzero import LPZero
from proxies.meco import MeCo
from proxies.naswot import Naswot
from proxies.principal import variance_shares
from proxies.w_pca import WPCA
from spaces.base import Counts
from spaces.bert.space import BertSpace


def record(taps=(), blocks=(), parameters=0, **more):
    return Record("any", "k", 0, Counts(parameters, 0, 0, 0), taps=list(taps), blocks=list(blocks), **more)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


# NASWOT


def test_naswot_by_hand():
    # codes 110, 010, 011 of three examples: K = [[3, 2, 1], [2, 3, 2], [1, 2, 3]], det 8
    gelu = Tap("activation", 0, torch.tensor([[[1.0, 2.0]], [[-1.0, 2.0]], [[0.0, 0.1]]]))  # (B, T, d) = (3, 1, 2)
    sigmoid = Tap("activation_sigm", 1, torch.tensor([[[0.4], [0.5], [0.6]]]), examples=1)  # (T, B, d) = (1, 3, 1)
    assert Naswot()(record([gelu, Tap("query", 0, normal(3, 2, 2)), sigmoid])) == pytest.approx(math.log(8))


def test_naswot_is_the_released_sum_over_layers():
    taps = [Tap("activation", i, normal(4, 3, 5, seed=i)) for i in range(3)]
    kernel = 0
    for tap in taps:  # as released: K + K2 of each layer, and all added
        x = (tap.value.reshape(4, -1) > 0).double().numpy()
        kernel = kernel + x @ x.T + (1 - x) @ (1 - x).T
    assert Naswot()(record(taps)) == pytest.approx(np.linalg.slogdet(kernel)[1])


def test_naswot_without_a_value():
    def reason(*rows):
        return Naswot().score(record([Tap("activation", 0, torch.tensor(rows)[:, None])])).reason

    assert reason([1.0, -1.0], [1.0, -2.0]) == "two examples have the same activation code"
    # four codes of two bits are all there are: two and two are opposites, and K is singular
    assert reason([1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]) == "activation codes are linearly dependent"
    assert Naswot().score(record([Tap("query", 0, normal(3, 2, 2))])).reason == "no activation nodes"


# principal components, W-PCA


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_variance_shares_are_those_of_the_covariance(shape):
    features = normal(*shape) * torch.arange(1, shape[1] + 1) + 100
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(features.numpy(), rowvar=False)))[::-1]
    wanted = (eigenvalues / eigenvalues.sum())[: min(shape)]
    assert variance_shares(features).numpy() == pytest.approx(wanted, abs=1e-12)
    # with a change of scale they stay
    assert torch.allclose(variance_shares(features * 1e-20), variance_shares(features), atol=1e-9)


def test_features_without_shares():
    for features, reason in (
        (torch.full((5, 3), 0.1), "constant features"),
        (torch.zeros(5, 3), "constant features"),
        (torch.tensor([[math.nan, 1.0], [2.0, 3.0]]), "features are not finite"),
        (torch.tensor([[math.inf, 1.0], [2.0, 3.0]]), "features are not finite"),
    ):
        with pytest.raises(ProxyFailure, match=f"^{reason}$"):
            variance_shares(features)


def spread(*deviations, batch=2):
    """Features (B, T, d) of independent channels with just these standard deviations."""
    size = len(deviations)
    rows = torch.cat([torch.eye(size), -torch.eye(size)]).double() * torch.tensor(deviations, dtype=torch.float64)
    return rows.view(batch, -1, size)


def test_w_pca_counts_components():
    # variances 90, 9, 1 of 100
    tap = Tap("pre_activation", 0, spread(90**0.5, 3.0, 1.0) + 5)
    for eta, components in ((0.5, 1), (0.9, 1), (0.91, 2), (0.99, 2), (0.995, 3)):
        assert WPCA(eta=eta, weighted=False)(record([tap])) == components
    other = Tap("pre_activation", 1, spread(1.0, 1.0, 1.0, 1.0))
    second = Tap("pre_activation", 1, spread(1.0, 0.0))  # of a block of several layers the first counts
    taps = [tap, Tap("activation", 0, normal(2, 3, 4)), other, second]
    assert WPCA(weighted=False)(record(taps)) == 2 + 4
    assert WPCA()(record(taps, parameters=1000)) == 6000


def test_w_pca_without_a_value():
    assert WPCA().score(record()).reason == "the network has no feed-forward block"
    assert WPCA().score(record([Tap("pre_activation", 0, torch.ones(2, 3, 4))])).reason == "constant features"


def test_w_pca_of_an_encoder():
    """Against the singular values of the first Linear's output: the rank of what it reads bounds the count."""
    space = spaces.get("bert").reduce({"layers": 2, "hidden_size": 128, "num_feed_forward": 3})
    item, probe = space.sample(np.random.default_rng(0)), space.make_probe({"batch": 4, "steps": 64, "vocabulary": 90})
    proxy = WPCA(weighted=False)
    seen = probe.observe(space, item, Needs.union([proxy]), 0)
    wanted = 0
    for layer in (0, 1):
        value = next(tap.value for tap in seen.taps if tap.layer == layer).flatten(0, 1).double().numpy()
        variances = np.linalg.svd(value - value.mean(axis=0), compute_uv=False) ** 2
        wanted += int((np.cumsum(variances) / variances.sum() < 0.99).sum()) + 1
    assert proxy(seen) == wanted <= 2 * 128


# MeCo


def least(rows):
    return np.linalg.eigvalsh(np.corrcoef(rows))[0]


def test_meco_is_the_sum_of_least_eigenvalues():
    mixed = normal(40, 3, 6) @ normal(6, 6, seed=1)  # (T, B, C)
    blocks = [Block(mixed, examples=1), Block(normal(3, 40, 5))]  # (B, T, C)
    rows = [mixed.numpy().reshape(-1, 6).T, blocks[1].value.numpy().reshape(-1, 5).T]
    assert MeCo(channels=None)(record(blocks=blocks)) == pytest.approx(sum(map(least, rows)))
    one = [mixed.numpy()[:, 0].T, blocks[1].value.numpy()[0].T]
    assert MeCo(channels=None, examples=1)(record(blocks=blocks)) == pytest.approx(sum(map(least, one)))
    # a layer with no more channels than a draw takes is not drawn from, nor scaled
    assert MeCo(channels=6)(record(blocks=blocks)) == MeCo(channels=None)(record(blocks=blocks))


def test_two_channels_have_one_minus_their_correlation():
    value = torch.stack([torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 3.0, 2.0, 4.0])], dim=1)[None]
    assert MeCo(channels=None)(record(blocks=[Block(value)])) == pytest.approx(1 - 0.8)


def test_meco_opt_draws_channels():
    # channel 2 i + 1 is channel 2 i with noise of its size: correlation .707, and none with all others
    base, noise = normal(8, 4000, 10), normal(8, 4000, 10, seed=1)
    pairs = torch.stack([base, base + noise], dim=-1).flatten(-2)  # (B, T, 20)
    whole, drawn = (MeCo(channels=c)(record(blocks=[Block(pairs)])) for c in (None, 4))
    assert whole == pytest.approx(1 - 0.5**0.5, abs=0.02)
    # five draws of four channels, scaled by 5: where a draw holds no pair its eigenvalue is near 1
    assert 5 * whole < drawn < 5
    assert drawn == MeCo(channels=4)(record(blocks=[Block(pairs)]))
    independent = MeCo(channels=8)(record(blocks=[Block(normal(8, 4000, 64))]))
    assert independent == pytest.approx(64 / 8, rel=0.05)


def test_meco_without_a_value():
    def reason(value, **options):
        return MeCo(**options).score(record(blocks=[Block(value)])).reason

    constant = normal(2, 30, 4)
    constant[..., 1] = 0.1
    assert reason(constant) == "constant channels"
    assert reason(normal(2, 3, 6), channels=None) == "no more observations than channels"
    assert reason(normal(2, 3, 6), channels=5) != reason(normal(2, 3, 6), channels=None)
    assert reason(normal(2, 3, 6), channels=4, examples=1) == "no more observations than channels"
    assert reason(normal(2, 30, 4), examples=3) == "the batch has only 2 examples"
    normalised = torch.nn.functional.layer_norm(normal(2, 30, 4).float(), (4,))
    assert reason(normalised, channels=None) == "the channels of all layers are linearly dependent"
    assert reason(torch.full((2, 30, 4), math.inf)) == "features are not finite"
    assert MeCo().score(record()).reason == "the pass made no blocks"


def test_channels_of_encoders_are_dependent_and_draws_of_them_are_not():
    space = spaces.get("bert").reduce({"layers": 2, "hidden_size": 128, "operation_type": "SA"})
    probe, item = space.make_probe({"batch": 8, "steps": 32}), space.sample(np.random.default_rng(0))
    whole, drawn = MeCo(channels=None), MeCo()
    seen = probe.observe(space, item, Needs.union([whole, drawn]), 0)
    assert whole.score(seen).reason == "the channels of all layers are linearly dependent"
    assert 1 < drawn(seen) < 4 * 128 / 8


# LPZero


def test_lpzero_evaluates_the_published_expression():
    taps = []
    for layer, name in enumerate(("query", "input", "weight")):
        taps.append(Tap(name, layer, normal(2, 3, 4, seed=layer)))
        taps.append(Tap("key", 0, normal(2, 3, 4, seed=9)) if layer == 0 else Tap("context", layer, normal(2, 1, 3, 4)))
        taps += [Tap("activation", layer, normal(2, 3, 8, seed=7)) for _ in range(3)]
    heads = [tap.value for tap in taps if tap.name in ("query", "input", "weight")]
    wanted = []
    for head, act in zip(heads, [tap.value for tap in taps if tap.name == "activation"], strict=False):
        first = torch.pow(head * -1, 2)
        second = torch.nn.functional.log_softmax(torch.norm(act, p="fro"), dim=0)
        wanted.append(float(first.mean() + second.mean()))
    assert LPZero()(record(taps)) == pytest.approx(np.mean(wanted))
    assert LPZero()(record(taps)) == pytest.approx(np.mean([float((h**2).mean()) for h in heads]))


def test_lpzero_without_a_value():
    assert LPZero().score(record([Tap("query", 0, normal(2, 3, 4))])).reason == (
        "the network has no heads or no activations"
    )


def test_lpzero_ends_with_the_shorter_list():
    """One head a layer: the activations of further layers are not looked at."""
    space = spaces.get("bert").reduce({"layers": 4, "num_feed_forward": 3})
    proxy, item = LPZero(), space.sample(np.random.default_rng(3))
    seen = space.make_probe({"batch": 2, "steps": 5}).observe(space, item, Needs.union([proxy]), 0)
    assert len([tap for tap in seen.taps if tap.name == "activation"]) == 12
    found = {tap.layer: tap.value for tap in seen.taps if tap.name in ("query", "input")}
    assert sorted(found) == [0, 1, 2, 3]
    assert proxy(seen) == pytest.approx(np.mean([float(value.double().pow(2).mean()) for value in found.values()]))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MeCo(channels=1), "Proxy 'meco' needs channels to be a whole number from 2 to 1,000,000 or null"),
        (lambda: MeCo(examples=0), "Proxy 'meco' needs examples to be a whole number of 1 or more or null"),
        (lambda: WPCA(eta=1.0), "Proxy 'w_pca' needs eta to be a number between 0 and 1, both excluded"),
        (lambda: proxies.get("nsc", "bert", aggregate="min"), "Unknown aggregate 'min' of proxy 'nsc'."),
    ],
)
def test_bad_options(make, sentence):
    with pytest.raises(ZeronasError) as error:
        make()
    assert str(error.value).startswith(sentence)


def test_sound_where_the_table_is(data_dir):
    """W-PCA and MeCo rank part of the public table well above chance on what was trained."""
    from scipy.stats import kendalltau

    rows, space = get("flexibert", data_dir).rows[:40], BertSpace("trained")
    probe, chosen = space.make_probe({"batch": 8}), [WPCA(), MeCo()]
    records = [probe.observe(space, row.config, Needs.union(chosen), 0) for row in rows]
    for proxy in chosen:
        assert kendalltau([proxy(seen) for seen in records], [row.glue for row in rows])[0] > 0.3
