"""The encoder that a configuration is trained as, here and in a loop of a user's own."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from nas.core.options import Size, validated
from spaces.bert.module import BertEncoder, LinearTransform
from spaces.bert.readings import VOCABULARY, EncoderPlan
from spaces.protocol import Dropped

__all__ = ["EncoderNetwork", "ResidualTransform"]


class EncoderNetwork(BertEncoder):
    """An encoder that can be trained: ``network(tokens) -> hidden``, (B, T) -> (B, T, h).

    There is no attention mask, as in the released encoder. Weights come from torch's global generator.

    Args:
        plan: the modules.
        vocabulary: number of token ids; 0 is padding, and its vector is not trained.
        dropout: share dropped, everywhere the encoder drops some.
        transform_residual: DFT and DCT are orthonormal, and the sum with their input and a LayerNorm without parameters
            follow, as in every other operation. False: as the released code of the metrics has them; then next to
            nothing is learnt.

    Raises:
        ZeronasError: an argument is not of its type.
    """

    kind: ClassVar[str] = "The network of a configuration"

    @validated
    def __init__(
        self,
        plan: EncoderPlan,
        vocabulary: Size = VOCABULARY,
        dropout: Dropped = 0.1,
        transform_residual: bool = True,
    ) -> None:
        super().__init__(plan, vocabulary)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        if transform_residual:
            for layer in self.layers:
                if isinstance(layer.operation, LinearTransform):
                    layer.operation = ResidualTransform(layer.operation)


class ResidualTransform(nn.Module):
    """A DFT or DCT made orthonormal, added to its input and normalised without parameters."""

    def __init__(self, inner: LinearTransform) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, listener: Any = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        size = x.shape[1] * (x.shape[2] // self.inner.heads)
        scale = 1 / ((4 if self.inner.cosine else 1) * size) ** 0.5  # `dct` has a factor 2 along each axis
        return nn.functional.layer_norm(x + scale * self.inner(x, listener), x.shape[2:])
