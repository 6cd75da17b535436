"""The network that a user trains a cell in, with a loop of their own: an embedding, a stack of layers, a decoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from nas.core.errors import ZeronasError
from nas.core.options import Size, Sizes, validated
from spaces.language_model import State
from spaces.protocol import Dropped
from spaces.rnn.cell import Cell
from spaces.rnn.module import CellRNN

__all__ = ["CellNetwork"]


class CellNetwork(nn.Module):
    """A language model of a cell, ``network(tokens, state) -> (logits, state)``; without a vocabulary of vectors.

    It is the network of NAS-Bench-NLP, and of this project's own trainings, with a plain softmax in place of a tied or
    an adaptive one. Weights come from torch's global generator.

    Args:
        cell: the architecture.
        vocabulary: number of token ids V; None leaves out embedding and decoder.
        embedding: size E of the vectors that the first layer reads.
        hidden: hidden size of each layer.
        dropout: share of those vectors and of each layer's output that is dropped in training, one mask for all steps.

    Raises:
        ZeronasError: an argument is not of its type.
    """

    kind: ClassVar[str] = "The network of a cell"

    @validated
    def __init__(
        self,
        cell: Cell,
        vocabulary: Size | None = 10_000,
        embedding: Size = 128,
        hidden: Sizes = (128, 128),
        dropout: Dropped = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = None if vocabulary is None else nn.Embedding(vocabulary, embedding)
        if self.embedding is not None:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.rnn = CellRNN(cell, embedding, hidden)
        self.decoder = None if vocabulary is None else nn.Linear(hidden[-1], vocabulary)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the network over T steps.

        Args:
            inputs: token ids (T, B), or vectors (T, B, E) where there is no vocabulary.
            state: what an earlier call returned; zeros if None.

        Returns:
            Logits (T, B, V), or the last layer's outputs (T, B, h) where there is no vocabulary; and the state: for
            each layer its H hidden states (B, h).

        Raises:
            ZeronasError: the inputs or the state have another shape.
        """
        words, cell, sizes = self.embedding is not None, self.rnn.cell, self.rnn.hidden_sizes
        if inputs.dim() != (2 if words else 3) or inputs.is_floating_point() == words:
            wanted = "token ids of shape (steps, streams)" if words else "vectors of shape (steps, streams, size)"
            raise ZeronasError(f"The network takes {wanted}, but got {inputs.dtype} of shape {tuple(inputs.shape)}.")
        if state is not None and [len(layer) for layer in state] != [cell.states] * len(sizes):
            raise ZeronasError(
                f"The network has {len(sizes)} layers of {cell.states} hidden states, but a state of another form was "
                "given; give what an earlier call returned."
            )
        x = inputs if self.embedding is None else self.embedding(inputs)  # (T, B) -> (T, B, E)
        x, after = self.rnn.run(x, state, self.dropout if self.training else 0.0)
        return x if self.decoder is None else self.decoder(x), after

    @staticmethod
    def detached(state: State) -> State:
        """Returns a state through which no gradient flows, for truncated back-propagation."""
        return [tuple(one.detach() for one in layer) for layer in state]
