"""What an architecture is trained as: a model that draws its own batches from a text, with an adaptive softmax.

A space's ``language_model`` returns one: ``LanguageModel`` with a task of its own, or ``StreamModel`` for whatever
reads a text from left to right and keeps a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nas.core import seeds
from spaces import protocol as protocols

__all__ = ["LanguageModel", "State", "StreamModel", "Text", "adaptive_softmax"]

#: what a stream leaves behind, layer by layer
State = list[tuple[Tensor, ...]]


class Text(Protocol):
    """What a model reads of a corpus: split ("train", "valid", "test") -> ids (n,)."""

    @property
    def splits(self) -> Mapping[str, np.ndarray]:
        """Split -> integer ids (n,)."""
        ...


class LanguageModel(nn.Module):
    """A model that draws its own batches; subclasses say how. ``carried`` is what one update hands to the next.

    What is carried is None or a ``State``, so that a checkpoint can hold it.
    """

    protocol: protocols.Protocol
    softmax: nn.AdaptiveLogSoftmaxWithLoss

    def loss(self, corpus: Text, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """Returns the mean training loss of update ``step`` (from 0) in nats per predicted token, and what to carry."""
        raise NotImplementedError

    def validate(self, corpus: Text, split: str = "valid") -> float:
        """Returns the mean loss over the first tokens of a split, nats per predicted token, without drop-out."""
        raise NotImplementedError


def adaptive_softmax(width: int, protocol: protocols.Protocol, vocabulary: int) -> nn.AdaptiveLogSoftmaxWithLoss:
    """Returns the output layer over vectors (n, width), with the protocol's clusters as far as the vocabulary goes."""
    cutoffs = [c for c in protocol.cutoffs if c < vocabulary - 1] or [max(1, vocabulary // 2)]
    return nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary, cutoffs, div_value=4.0)


class StreamModel(LanguageModel):
    """Predicts each next token of B streams; truncated back-propagation, the state is carried from update to update."""

    def run(self, tokens: Tensor, carried: State | None) -> tuple[Tensor, State]:
        """Returns what the softmax reads (T, B, width) of token ids (T, B), and the state after the last of them."""
        raise NotImplementedError

    def regularised(self, loss: Tensor, hidden: Tensor) -> Tensor:
        """Returns the training loss with what is added to it for hidden vectors (T, B, width); here nothing is."""
        return loss

    def loss(self, corpus: Text, step: int, seed: int, carried: Any) -> tuple[Tensor, Any]:
        """See LanguageModel; streams are consecutive text from a place that the seed decides."""
        protocol = self.protocol
        ids = corpus.splits["train"]
        length = len(ids) // protocol.batch  # of a stream
        start = int(seeds.integer(seed, "order") % len(ids))
        rows = step * protocol.sequence + np.arange(protocol.sequence + 1)
        places = (start + rows[:, None] % length + length * np.arange(protocol.batch)) % len(ids)  # (T + 1, B)
        tokens = torch.from_numpy(ids[places].astype(np.int64)).to(self._device)
        hidden, carried = self.run(tokens[:-1], carried)
        loss = self.regularised(self.softmax(hidden.flatten(0, 1), tokens[1:].flatten()).loss, hidden)
        return loss, [tuple(s.detach() for s in layer) for layer in carried]

    @torch.no_grad()
    def validate(self, corpus: Text, split: str = "valid") -> float:
        """See LanguageModel; up to 64 streams, each from a zero state."""
        ids = corpus.splits[split][: self.protocol.validation_tokens].astype(np.int64)
        streams = max(1, min(64, len(ids) // 64))
        length = len(ids) // streams
        table = torch.from_numpy(ids[: streams * length].reshape(streams, length).T.copy()).to(self._device)
        total, carried = 0.0, None
        for begin in range(0, length - 1, 64):
            block = table[begin : begin + 65]
            hidden, carried = self.run(block[:-1], carried)
            output = self.softmax(hidden.flatten(0, 1), block[1:].flatten()).output
            total -= float(output.double().sum())
        return total / (streams * (length - 1))

    @property
    def _device(self) -> torch.device:
        return self.softmax.head.weight.device
