"""SWAP: hand-counted patterns, the signs of each activation, the regulariser."""

import math

import pytest
import torch

from nas.core.errors import ZeronasError
from proxies.base import Needs, ProxyFailure, Record, Tap
from proxies.swap import Swap, distinct_patterns, regulariser, signs
from spaces.base import Counts
from spaces.bert.probe import BertProbe
from spaces.bert.sampler import published_sample
from spaces.bert.space import BertSpace


def record(taps, parameters=0, **more):
    return Record("any", "k", 0, Counts(parameters, 0, 0, 0), taps=taps, **more)


def test_distinct_patterns_by_hand():
    block = torch.tensor([[1, 1, -1, 0], [1, 1, 1, 1]])  # columns (1,1) (1,1) (-1,1) (0,1)
    assert distinct_patterns([block]) == 3
    assert distinct_patterns([block, torch.tensor([[0, -1], [1, -1]])]) == 4
    assert distinct_patterns([]) == 0
    with pytest.raises(ProxyFailure, match="not finite"):
        distinct_patterns([torch.tensor([[math.nan]])])


def test_the_hash_counts_as_unique_rows_do():
    values = torch.randint(-1, 2, (7, 3000), generator=torch.Generator().manual_seed(0))
    assert distinct_patterns([values.double()]) == len(torch.unique(values, dim=1).T)
    wide = torch.randint(-1, 2, (130, 500), generator=torch.Generator().manual_seed(1))
    assert distinct_patterns([wide, wide]) == 500


def test_signs():
    # (B, T, d) = (1, 3, 1)
    assert signs(Tap("activation_sigm", 0, torch.tensor([[[0.2], [0.5], [0.9]]]))).tolist() == [[-1, 0, 1]]
    for name in ("activation", "activation_tanh", "activation_leaky_relu"):
        assert signs(Tap(name, 0, torch.tensor([[[-0.1], [0.0], [2.0]]]))).tolist() == [[-1, 0, 1]]


def test_patterns_are_over_examples():
    # (B, T, F) = (2, 2, 2): the four values (token, unit) have the signs (+,+) (-,+) (+,+) (+,-) over two examples
    value = torch.tensor([[[1.0, -1.0], [2.0, 3.0]], [[5.0, 1.0], [1.0, -2.0]]])
    other = Tap("hidden", 0, torch.full((2, 2, 2), math.nan))
    assert Swap()(record([Tap("activation", 0, value), other])) == 3


def test_patterns_of_a_tensor_over_steps_are_over_its_examples():
    # (T, B, d) = (2, 2, 1): one unit at two steps, (+,-) and (+,+) over two streams
    value = torch.tensor([[[1.0], [-1.0]], [[1.0], [1.0]]])
    tanh = Tap("activation_tanh", 0, value, examples=1)
    assert Swap()(record([tanh])) == 2
    sigmoid = Tap("activation_sigm", 0, value.sigmoid(), examples=1)
    assert Swap()(record([tanh, sigmoid])) == 2
    one = value.clone()
    one[0, 0, 0] = -1.0  # (-,-) is new
    assert Swap()(record([sigmoid, Tap("activation_tanh", 1, one, examples=1)])) == 3


def test_mean_over_initialisations():
    two, one = torch.tensor([[[1.0, -1.0]], [[1.0, 1.0]]]), torch.ones(2, 1, 2)
    both = record([Tap("activation", 0, two)], repeats=[record([Tap("activation", 0, one)])])
    assert Swap()(both) == 1.5


def test_no_activation():
    assert Swap().score(record([])).reason == "the network has no activation function"


def test_regularised():
    assert regulariser(3.0, 1.0, 4.0) == pytest.approx(math.exp(-1))
    taps = [Tap("activation", 0, torch.ones(2, 1, 2))]
    assert Swap(True, mu=1.0, sigma=4.0)(record(taps, parameters=3000)) == pytest.approx(math.exp(-1))
    assert "mu and sigma must be given" in Swap(True).score(record(taps)).reason


def test_constants_from_the_space():
    space = BertSpace("scored")
    mu, sigma = Swap(True, sample=400).prepare(space).constants
    # the parameters of the scored reading range from 5,190 to 15,567 thousand; their median in 500 is 8,995
    assert 8000 < mu < 11000
    assert 1500 < math.sqrt(sigma) < 6000
    assert Swap(True, sample=400, quantile=0.9).prepare(space).constants[0] > mu + 1000
    assert Swap(True, mu=3.0, sample=400).prepare(space).constants == (3.0, sigma)
    one = space.reduce({"layers": 2, "operation_parameter": "SDP", "num_feed_forward": 1})
    score = Swap(True).prepare(one).score(record([Tap("activation", 0, torch.ones(2, 1, 2))]))
    assert score.reason == "the quartiles of the space's parameters are equal, so sigma must be given"


def test_only_what_is_left_open_is_taken_from_the_space():
    space = BertSpace()
    for proxy in (Swap(), Swap(True, mu=1.0, sigma=2.0)):
        assert proxy.prepare(space) is proxy
    proxy = Swap(True)
    prepared = proxy.prepare(space)
    assert prepared is not proxy and proxy.constants == (None, None)
    trained = BertSpace("trained")  # what was prepared for one space can be prepared for another
    assert prepared.prepare(trained).constants == proxy.prepare(trained).constants != prepared.constants


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sigma": 0.0}, "sigma to be a number above 0 or null, but got 0.0."),
        ({"mu": -1}, "mu to be a number of 0 or more or null, but got -1."),
        ({"quantile": 1.5}, "quantile to be a number from 0 to 1, but got 1.5."),
        ({"sample": 1}, "sample to be a whole number from 4 to 1,000,000, but got 1."),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises(ZeronasError) as error:
        Swap(**options)
    assert str(error.value) == f"Proxy 'swap' needs {sentence}"


def test_on_untrained_networks():
    small, large = published_sample(20)[3], published_sample(20)[0]
    probe, needs = BertProbe(batch=6, steps=4, vocabulary=50, initialisations=2), Needs.union([Swap()])
    records = [probe.observe(BertSpace(), config, needs, 0) for config in (small, large)]
    for r in records:
        assert len(r.repeats) == 1
        assert 1 < Swap()(r) <= 3**6  # far below zero GELU is exactly 0
        first, second = (Swap()(record(x.taps)) for x in (r, r.repeats[0]))
        assert Swap()(r) == (first + second) / 2
