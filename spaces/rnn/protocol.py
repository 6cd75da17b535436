"""How cells are trained: the fields of their protocols, and the named ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.core.options import NotNegative, Size, Sizes
from spaces.protocol import Dropped, Protocol

__all__ = ["PROTOCOLS", "RNNProtocol"]


@dataclass(frozen=True, kw_only=True)
class RNNProtocol(Protocol):
    """A cell as a word-level language model, truncated back-propagation, the state carried over.

    Drop-out is of the inputs, layer outputs and output, one mask for all steps.

    Attributes:
        embedding: width of the word vectors.
        hidden: width of each layer.
        weight_drop: share of the hidden-to-hidden weights dropped in every update (Merity et al. 2018).
        activation: weight of the mean square of the last layer's output in the loss (AR; NAS-Bench-NLP has 2).
        slowness: weight of the mean square of its change from token to token (TAR; NAS-Bench-NLP has 1).
    """

    space: ClassVar[str] = "rnn"

    embedding: Size = 128
    hidden: Sizes = (128, 128)
    weight_drop: Dropped = 0.0
    activation: NotNegative = 0.0
    slowness: NotNegative = 0.0

    @property
    def shortest_text(self) -> int:
        """See Protocol; each of the B streams is a text of its own."""
        return self.batch * (self.sequence + 1)


PROTOCOLS: dict[str, Protocol] = {
    "mini_rnn": RNNProtocol(
        name="mini_rnn",
        vocabulary=1_000,
        cutoffs=(998,),
        embedding=64,
        hidden=(64, 64),
        steps=1_000,
        batch=32,
        sequence=32,
        learning_rate=8e-3,
        warmup=20,
        activation=2.0,
        slowness=1.0,
    )
}
