"""How configurations are trained: the fields of their protocols, and the named ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.core.errors import ZeronasError
from spaces.bert.readings import POSITIONS
from spaces.protocol import Dropped, Protocol

__all__ = ["PROTOCOLS", "BertProtocol"]


@dataclass(frozen=True, kw_only=True)
class BertProtocol(Protocol):
    """A BERT configuration, stated reading, as a masked language model.

    Drop-out is that of the encoder, everywhere it has some.

    Attributes:
        divisor: hidden and feed-forward sizes are those of the configuration divided by it.
        masked: share of tokens predicted; of these 80% are masked, 10% replaced, 10% kept (Devlin et al. 2019).
        transform_residual: DFT and DCT are orthonormal, and the sum with their input and a LayerNorm without parameters
            follow, as in every other operation (and in FNet, arXiv 2105.03824). False: as the released code of the
            metrics has them; then nothing tells a position's own word to its output, and the loss stays that of word
            frequencies (5.04 nats, two of two configurations).
    """

    space: ClassVar[str] = "bert"

    divisor: Literal[1, 2, 4, 8, 16, 32] = 2
    masked: Dropped = 0.15
    transform_residual: bool = True

    def check(self) -> None:
        """See Protocol; the encoder's position table ends at 512.

        Raises:
            ZeronasError: a window is longer.
        """
        super().check()
        if self.sequence > POSITIONS:
            raise ZeronasError(
                f"Protocol '{self.name}' needs sequence to be at most {POSITIONS}, but got {self.sequence}."
            )


PROTOCOLS: dict[str, Protocol] = {
    "mini_bert": BertProtocol(
        name="mini_bert",
        vocabulary=1_000,
        cutoffs=(998,),
        steps=800,
        batch=32,
        sequence=32,
        learning_rate=3e-3,
        warmup=100,
        divisor=4,
    )
}
