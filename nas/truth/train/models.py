"""The language models that architectures are trained as: embedding, the architecture, an adaptive softmax."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.core import seeds
from nas.truth.train.corpus import MASK, PAD, Corpus
from nas.truth.train.protocol import BertProtocol, Protocol, RNNProtocol
from spaces.bert.config import BertConfig
from spaces.bert.module import BertEncoder, LinearTransform
from spaces.bert.readings import EMBEDDING_SIZE, Plan, plan
from spaces.rnn.cell import Cell
from spaces.rnn.module import CellRNN

__all__ = ["MaskedModel", "Model", "WordModel", "make_model", "scaled"]

_State = list[tuple[Tensor, ...]]


class Model(nn.Module):
    """A model that draws its own batches; subclasses say how. ``carried`` is what one update hands to the next."""

    protocol: Protocol
    softmax: nn.AdaptiveLogSoftmaxWithLoss

    def loss(self, corpus: Corpus, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """Returns the mean training loss of update ``step`` (from 0) in nats per predicted token, and what to carry."""
        raise NotImplementedError

    def validate(self, corpus: Corpus, split: str = "valid") -> float:
        """Returns the mean loss over the first tokens of a split, nats per predicted token, without drop-out."""
        raise NotImplementedError


def make_model(architecture: Any, protocol: Protocol, vocabulary: int) -> Model:
    """Returns the untrained model; weights come from torch's global generator.

    Args:
        vocabulary: number of ids of the corpus, which may be fewer than the protocol allows.
    """
    if isinstance(protocol, RNNProtocol):
        return WordModel(architecture, protocol, vocabulary)
    assert isinstance(protocol, BertProtocol)
    return MaskedModel(architecture, protocol, vocabulary)


def _softmax(width: int, protocol: Protocol, vocabulary: int) -> nn.AdaptiveLogSoftmaxWithLoss:
    cutoffs = [c for c in protocol.cutoffs if c < vocabulary - 1] or [max(1, vocabulary // 2)]
    return nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary, cutoffs, div_value=4.0)


class WordModel(Model):
    """Word-level language model around a stack of cells, as NAS-Bench-NLP's, with an untied adaptive softmax."""

    protocol: RNNProtocol

    def __init__(self, cell: Cell, protocol: RNNProtocol, vocabulary: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.embedding = nn.Embedding(vocabulary, protocol.embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.rnn = CellRNN(cell, protocol.embedding, protocol.hidden)
        self.softmax = _softmax(protocol.hidden[-1], protocol, vocabulary)

    def loss(self, corpus: Corpus, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """See Model; streams are consecutive text from a place that the seed decides."""
        protocol = self.protocol
        ids = corpus.splits["train"]
        length = len(ids) // protocol.batch  # of a stream
        start = int(seeds.integer(seed, "order") % len(ids))
        rows = step * protocol.sequence + np.arange(protocol.sequence + 1)
        places = (start + rows[:, None] % length + length * np.arange(protocol.batch)) % len(ids)  # (T + 1, B)
        tokens = torch.from_numpy(ids[places].astype(np.int64)).to(self.embedding.weight.device)
        hidden, carried = self._run(tokens[:-1], carried)
        loss = self.softmax(hidden.flatten(0, 1), tokens[1:].flatten()).loss
        if protocol.activation:
            loss = loss + protocol.activation * hidden.square().mean()
        if protocol.slowness:
            loss = loss + protocol.slowness * (hidden[1:] - hidden[:-1]).square().mean()
        return loss, [tuple(s.detach() for s in layer) for layer in carried]

    @torch.no_grad()
    def validate(self, corpus: Corpus, split: str = "valid") -> float:
        """See Model; up to 64 streams, each from a zero state."""
        ids = corpus.splits[split][: self.protocol.validation_tokens].astype(np.int64)
        streams = max(1, min(64, len(ids) // 64))
        length = len(ids) // streams
        table = torch.from_numpy(ids[: streams * length].reshape(streams, length).T.copy())
        table = table.to(self.embedding.weight.device)
        total, carried = 0.0, None
        for begin in range(0, length - 1, 64):
            block = table[begin : begin + 65]
            hidden, carried = self._run(block[:-1], carried)
            output = self.softmax(hidden.flatten(0, 1), block[1:].flatten()).output
            total -= float(output.double().sum())
        return total / (streams * (length - 1))

    def _run(self, tokens: Tensor, carried: _State | None) -> tuple[Tensor, _State]:
        protocol = self.protocol
        x = self._drop(self.embedding(tokens))
        after: _State = []
        for index, layer in enumerate(self.rnn.stack):
            share = protocol.weight_drop if self.training else 0.0
            x, final = layer(x, None if carried is None else carried[index], share)
            x = self._drop(x)
            after.append(final)
        return x, after

    def _drop(self, x: Tensor) -> Tensor:
        share = self.protocol.dropout
        if not self.training or not share:
            return x
        mask = torch.empty_like(x[:1]).bernoulli_(1 - share) / (1 - share)  # one for all steps
        return x * mask


class MaskedModel(Model):
    """Masked language model around the encoder of a configuration, stated reading, its sizes divided."""

    protocol: BertProtocol

    def __init__(self, config: BertConfig, protocol: BertProtocol, vocabulary: int) -> None:
        super().__init__()
        self.protocol = protocol
        made = scaled(plan(config, "stated"), protocol.divisor)
        self.encoder = BertEncoder(made, vocabulary)
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = protocol.dropout
        if protocol.transform_residual:
            for layer in self.encoder.layers:
                if isinstance(layer.operation, LinearTransform):
                    layer.operation = _ResidualTransform(layer.operation)
        self.transform = nn.Sequential(
            nn.Linear(made.hidden_size, EMBEDDING_SIZE), nn.GELU(), nn.LayerNorm(EMBEDDING_SIZE)
        )
        self.softmax = _softmax(EMBEDDING_SIZE, protocol, vocabulary)

    def loss(self, corpus: Corpus, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """See Model; windows at random places."""
        rng = seeds.generator(seed, "batch", step)
        protocol = self.protocol
        ids = corpus.splits["train"]
        starts = rng.integers(0, len(ids) - protocol.sequence, protocol.batch)
        windows = ids[starts[:, None] + np.arange(protocol.sequence)].astype(np.int64)
        return self._masked(windows, rng).loss, None

    @torch.no_grad()
    def validate(self, corpus: Corpus, split: str = "valid") -> float:
        """See Model; consecutive windows, the same tokens masked every time."""
        protocol = self.protocol
        ids = corpus.splits[split][: protocol.validation_tokens].astype(np.int64)
        length = min(protocol.sequence, len(ids))
        windows = ids[: len(ids) // length * length].reshape(-1, length)
        rng = seeds.generator(0, "validation")
        total, count = 0.0, 0
        for begin in range(0, len(windows), 64):
            output = self._masked(windows[begin : begin + 64], rng).output
            total -= float(output.double().sum())
            count += output.numel()
        return total / count

    def _masked(self, windows: np.ndarray, rng: np.random.Generator) -> Any:
        protocol = self.protocol
        count = max(1, round(protocol.masked * windows.size))
        chosen = rng.choice(windows.size, size=count, replace=False)
        fate = rng.random(count)
        targets = windows.reshape(-1)[chosen]
        shown = windows.reshape(-1).copy()
        random = rng.integers(MASK + 1, self.softmax.n_classes, count)
        shown[chosen] = np.where(fate < 0.8, MASK, np.where(fate < 0.9, random, targets))
        assert PAD == 0  # row 0 of the encoder's word table
        device = self.softmax.head.weight.device
        hidden = self.encoder(torch.from_numpy(shown.reshape(windows.shape)).to(device))
        picked = hidden.flatten(0, 1)[torch.from_numpy(chosen).to(device)]
        return self.softmax(self.transform(picked), torch.from_numpy(targets).to(device))


class _ResidualTransform(nn.Module):
    """A DFT or DCT made orthonormal, added to its input and normalised without parameters."""

    def __init__(self, inner: LinearTransform) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, tap: Any = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        size = x.shape[1] * (x.shape[2] // self.inner.heads)
        scale = 1 / ((4 if self.inner.cosine else 1) * size) ** 0.5  # `dct` has a factor 2 along each axis
        return nn.functional.layer_norm(x + scale * self.inner(x, tap), x.shape[2:])


def scaled(made: Plan, divisor: int) -> Plan:
    """Returns the plan with hidden, head and feed-forward sizes divided; operations, heads and kernels stay."""
    layers = [
        dataclasses.replace(
            layer,
            head_size=layer.head_size // divisor,
            feed_forward=tuple(width // divisor for width in layer.feed_forward),
        )
        for layer in made.layers
    ]
    return Plan(made.hidden_size // divisor, tuple(layers))
