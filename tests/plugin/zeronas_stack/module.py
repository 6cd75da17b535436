"""The torch modules of a stack: alone, and as a language model."""

from __future__ import annotations

from torch import Tensor, nn

from spaces.language_model import State, StreamModel, adaptive_softmax
from zeronas_stack.architecture import Stack
from zeronas_stack.protocol import StackProtocol

__all__ = ["StackModel", "StackModule"]


class StackModule(nn.Module):
    """The layers, with torch's own initial weights from its global generator.

    Args:
        input_size: width e of what the first layer reads.
    """

    def __init__(self, stack: Stack, input_size: int) -> None:
        super().__init__()
        sizes = [input_size, *(layer.width for layer in stack.layers[:-1])]
        self.adds = stack.adds
        self.layers = nn.ModuleList(
            getattr(nn, layer.kind)(size, layer.width) for size, layer in zip(sizes, stack.layers, strict=True)
        )

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Returns outputs (T, B, h) for inputs (T, B, e), and per layer its state after the last step."""
        after: State = []
        for number, (layer, adds) in enumerate(zip(self.layers, self.adds, strict=True)):
            y, last = layer(x, None if state is None else _given(state[number]))
            after.append(last if isinstance(last, tuple) else (last,))
            x = x + y if adds else y
        return x, after


def _given(state: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    return state if len(state) > 1 else state[0]


class StackModel(StreamModel):
    """Word-level language model around a stack; drop-out is of its output."""

    protocol: StackProtocol

    def __init__(self, stack: Stack, protocol: StackProtocol, vocabulary: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.embedding = nn.Embedding(vocabulary, protocol.embedding)
        self.stack = StackModule(stack, protocol.embedding)
        self.softmax = adaptive_softmax(stack.layers[-1].width, protocol, vocabulary)

    def run(self, tokens: Tensor, carried: State | None) -> tuple[Tensor, State]:
        """See StreamModel."""
        y, after = self.stack(self.embedding(tokens), carried)
        return nn.functional.dropout(y, self.protocol.dropout, self.training), after
