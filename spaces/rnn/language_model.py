"""The language model that cells are trained as: embedding, a stack of layers, an untied adaptive softmax."""

from __future__ import annotations

from torch import Tensor, nn

from spaces.language_model import State, StreamModel, adaptive_softmax
from spaces.rnn.cell import Cell
from spaces.rnn.module import CellRNN
from spaces.rnn.protocol import RNNProtocol

__all__ = ["WordModel"]


class WordModel(StreamModel):
    """Word-level language model around a stack of cells, as NAS-Bench-NLP's, with an untied adaptive softmax.

    Weights come from torch's global generator.

    Args:
        vocabulary: number of ids of the corpus, which may be fewer than the protocol allows.
    """

    protocol: RNNProtocol

    def __init__(self, cell: Cell, protocol: RNNProtocol, vocabulary: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.embedding = nn.Embedding(vocabulary, protocol.embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.rnn = CellRNN(cell, protocol.embedding, protocol.hidden)
        self.softmax = adaptive_softmax(protocol.hidden[-1], protocol, vocabulary)

    def run(self, tokens: Tensor, carried: State | None) -> tuple[Tensor, State]:
        """See StreamModel; weights and layer outputs are dropped in training."""
        protocol = self.protocol
        shares = (protocol.dropout, protocol.weight_drop) if self.training else (0.0, 0.0)
        return self.rnn.run(self.embedding(tokens), carried, *shares)

    def regularised(self, loss: Tensor, hidden: Tensor) -> Tensor:
        """See StreamModel; activation and slowness regularisation (AR, TAR; Merity et al. 2018)."""
        protocol = self.protocol
        if protocol.activation:
            loss = loss + protocol.activation * hidden.square().mean()
        if protocol.slowness:
            loss = loss + protocol.slowness * (hidden[1:] - hidden[:-1]).square().mean()
        return loss
