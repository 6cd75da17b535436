"""The language model that configurations are trained as: the encoder, a transform, an adaptive softmax."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.core import seeds
from spaces.bert.config import BertConfig
from spaces.bert.network import EncoderNetwork
from spaces.bert.protocol import BertProtocol
from spaces.bert.readings import EMBEDDING_SIZE, EncoderPlan, plan
from spaces.language_model import LanguageModel, Text, adaptive_softmax
from spaces.protocol import MASK, PAD

__all__ = ["MaskedModel", "scaled"]


class MaskedModel(LanguageModel):
    """Masked language model around the encoder of a configuration, stated reading, its sizes divided.

    Weights come from torch's global generator.

    Args:
        vocabulary: number of ids of the corpus, which may be fewer than the protocol allows.
    """

    protocol: BertProtocol

    def __init__(self, config: BertConfig, protocol: BertProtocol, vocabulary: int) -> None:
        super().__init__()
        self.protocol = protocol
        made = scaled(plan(config, "stated"), protocol.divisor)
        self.encoder = EncoderNetwork(made, vocabulary, protocol.dropout, protocol.transform_residual)
        self.transform = nn.Sequential(
            nn.Linear(made.hidden_size, EMBEDDING_SIZE), nn.GELU(), nn.LayerNorm(EMBEDDING_SIZE)
        )
        self.softmax = adaptive_softmax(EMBEDDING_SIZE, protocol, vocabulary)

    def loss(self, corpus: Text, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """See LanguageModel; windows at random places."""
        rng = seeds.generator(seed, "batch", step)
        protocol = self.protocol
        ids = corpus.splits["train"]
        starts = rng.integers(0, len(ids) - protocol.sequence, protocol.batch)
        windows = ids[starts[:, None] + np.arange(protocol.sequence)].astype(np.int64)
        return self._masked(windows, rng).loss, None

    @torch.no_grad()
    def validate(self, corpus: Text, split: str = "valid") -> float:
        """See LanguageModel; consecutive windows, the same tokens masked every time."""
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


def scaled(made: EncoderPlan, divisor: int) -> EncoderPlan:
    """Returns the plan with hidden, head and feed-forward sizes divided; operations, heads and kernels stay."""
    layers = [
        dataclasses.replace(
            layer,
            head_size=layer.head_size // divisor,
            feed_forward=tuple(width // divisor for width in layer.feed_forward),
        )
        for layer in made.layers
    ]
    return EncoderPlan(made.hidden_size // divisor, tuple(layers))
