"""MeCo: how far the channels of a network's feature maps are from linear dependence.

Source: Jiang et al., "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum Eigenvalue of Correlation"
(NeurIPS 2023); the authors' released code (github.com/HamsterMimi/MeCo) was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.options import Size, validated
from proxies.base import PROXIES, Block, Proxy, ProxyFailure, Record
from proxies.covariance import correlation_eigenvalues
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MeCo"]

#: eigenvalues that are zero but for the rounding of float32 features
_ZERO = 1e-10


@PROXIES.register("meco")
class MeCo(Proxy):
    """The sum over layers of the least eigenvalue of the Pearson correlation matrix of the channels; higher is better.

    Paper: MeCo = sum_l lambda_min(P(f_l)), f_l the feature maps (channels, places) of one random input. MeCo_opt takes
    n = 8 channels at random and multiplies by C / n, C the number of channels; the released code takes one such draw
    where it ranks architectures, and the mean of C / n draws where it searches. That mean is taken here. The released
    hooks are on all modules, containers included; here the layers are the network's blocks: of an encoder the
    operation and the feed-forward block of each layer, of cells the layers of the stack.

    What places are to an image, positions or steps are here. There are fewer of them than channels, and then the least
    eigenvalue is zero always, so all examples of the batch are observations. And a LayerNorm with its initial weights
    makes the channels of a block sum to zero: they are dependent, whatever the architecture, and ``channels=null`` has
    no value for encoders. That is why MeCo_opt is the default.

    Args:
        channels: how many channels a draw takes (MeCo_opt); null: all of them, unscaled (MeCo).
        examples: of the batch; null: all; the paper's is 1.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "meco"
    title = "MeCo"
    source = "Jiang et al. 2023, MeCo and MeCo_opt"
    needs = frozenset({"forward", "blocks"})
    layers = 1

    @validated
    def __init__(self, channels: Annotated[int, Ge(2), Le(1_000_000)] | None = 8, examples: Size | None = None) -> None:
        self.channels, self.examples = channels, examples

    def __call__(self, record: Record) -> float:
        """Returns the sum over the blocks.

        Raises:
            ProxyFailure: a channel is constant or not finite, there are no more observations than channels, the
                batch has fewer examples than asked for, or the channels of all blocks are dependent.
        """
        require_finite_states(record)
        if not record.blocks:
            raise ProxyFailure("the pass made no blocks")
        total = sum(self._of_block(block, record.seed, place) for place, block in enumerate(record.blocks))
        if total <= _ZERO:
            raise ProxyFailure("the channels of all layers are linearly dependent")
        return total

    def _of_block(self, block: Block, seed: int, place: int) -> float:
        import torch

        rows = self._rows(block)  # (C, n)
        if self.channels is None or self.channels >= len(rows):
            groups, scale = rows[None], 1.0  # (draws, channels, n)
        else:
            drawn = seeds.generator(seed, "meco", place)
            picks = [drawn.choice(len(rows), self.channels, replace=False) for _ in range(len(rows) // self.channels)]
            groups, scale = torch.stack([rows[pick] for pick in picks]), len(rows) / self.channels
        if groups.shape[1] >= groups.shape[2]:
            raise ProxyFailure("no more observations than channels")
        least = correlation_eigenvalues(groups, "features", "constant channels")[:, 0]
        return float(least.clamp(min=0).mean()) * scale

    def _rows(self, block: Block) -> Tensor:
        """Returns a block's feature maps as one row per channel, (C, observations)."""
        value = block.value.movedim(block.examples, 0)  # (B, T, C)
        if self.examples is not None and self.examples > len(value):
            raise ProxyFailure(f"the batch has only {len(value)} examples")
        return value[: self.examples].flatten(0, 1).T
