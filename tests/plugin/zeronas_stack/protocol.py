"""How stacks are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spaces.protocol import Protocol

__all__ = ["PROTOCOLS", "StackProtocol"]


@dataclass(frozen=True, kw_only=True)
class StackProtocol(Protocol):
    """A stack as a word-level language model, the state carried over; widths are the stack's own.

    Attributes:
        embedding: width of the word vectors.
    """

    space: ClassVar[str] = "stack"

    embedding: int = 16

    @property
    def shortest_text(self) -> int:
        """See Protocol; each of the B streams is a text of its own."""
        return self.batch * (self.sequence + 1)


PROTOCOLS: dict[str, Protocol] = {
    "tiny_stack": StackProtocol(
        name="tiny_stack",
        vocabulary=200,
        cutoffs=(100,),
        steps=120,
        batch=8,
        sequence=16,
        learning_rate=1e-2,
        warmup=5,
        evaluations=4,
        validation_tokens=4_000,
    )
}
