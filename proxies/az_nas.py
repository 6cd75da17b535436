"""AZ-NAS: expressivity, progressivity, trainability and complexity of an untrained network.

Source: Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR 2024, arXiv
2403.19232); the authors' released code (github.com/cvlab-yonsei/AZ-NAS) was read, that for convolutional networks
and that for AutoFormer's transformers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import validated
from proxies.aggregation import RankAggregation
from proxies.base import PROXIES, Block, Need, Needs, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states
from proxies.principal import variance_shares
from proxies.sizes import counted

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.record import Probe

__all__ = ["AZNas", "entropy", "trainability"]

_NEEDS: dict[str, frozenset[Need]] = {
    "expressivity": frozenset({"forward", "blocks"}),
    "progressivity": frozenset({"forward", "blocks"}),
    "trainability": frozenset({"forward", "block_backward"}),
    "complexity": frozenset({"shapes"}),
}
#: what is combined: all four, or those that the authors' code for transformers has
_COMBINED = {"all": tuple(_NEEDS), "transformer": ("expressivity", "trainability", "complexity")}


@PROXIES.register("az_nas")
class AZNas(Proxy):
    """AZ-NAS's four proxies, combined by rank, or one of them; higher is better.

    - expressivity: the sum over blocks of the entropy -sum_i p_i ln(p_i + 1e-8) of the shares p_i of the principal
      components in the variance of the block's output, all positions or steps of all examples being observations.
    - progressivity: the least increase of that entropy from one block to the next.
    - trainability: the mean over blocks l but the first of -s - 1/(s + 1e-6) + 2, at most 0, where s = 1: s is the
      spectral norm of G_in^T G_out / N. G_out (N, d) are random signs at the block's output, G_in the gradient that
      they make at its input, N the observations; this estimates the Jacobian averaged over observations, with a noise
      that is not small unless N is much larger than d.
    - complexity: the FLOPs of one token of the full-size model.

    Blocks are, as in the authors' code for transformers, the operation and the feed-forward block of each layer; of
    cells they are the layers of the stack, so that progressivity and trainability need a probe of several. That code
    has no progressivity, since a transformer's width is the same throughout; the entropies can still be told apart. It
    leaves out blocks whose Jacobian is the identity, which no block here has.

    AZ-NAS adds log(rank / m) of the four over the m architectures that a search has seen. Here the ranks are those in a
    fixed random sample of the space (see ``rank_aggregation``), so that a score means the same in every run.

    Args:
        part: "all", the sum of logs; "transformer", without progressivity; or one of the four by name.
        sample: size m of the reference sample.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "az_nas"
    title = "AZ-NAS"
    source = "Lee & Ham 2024, section 3"
    needs = frozenset().union(*_NEEDS.values())
    layers = 1

    @validated
    def __init__(
        self,
        part: Literal["all", "transformer", "expressivity", "progressivity", "trainability", "complexity"] = "all",
        sample: Annotated[int, Ge(10), Le(1_000_000)] = 200,
    ) -> None:
        self.part, self.sample = part, sample
        self.needs = frozenset().union(*(_NEEDS[one] for one in _COMBINED.get(part, (part,))))
        self.layers = 1 if "forward" in self.needs else 0
        self._whole: Proxy | None = None

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns this proxy with the ranks of a sample of the space, where parts are combined.

        Raises:
            ZeronasError: the probe has one block only, or a part has no value for any of the sample.
        """
        if self.part not in _COMBINED or probe is None:
            return self
        needs = Needs(frozenset({"forward", "blocks"}), 1)
        one = space.sample(seeds.generator(0, "reference", 0))
        if len(probe.observe(space, one, needs, seed, device).blocks) < 2:
            raise ZeronasError(
                f"Proxy '{self.name}' with part={self.part} compares blocks, but the probe has one layer; choose a "
                "probe of several (probe=deep), or part=expressivity, which does with one."
            )
        prepared = copy.copy(self)
        members = {part: {"name": self.name, "part": part} for part in _COMBINED[self.part]}
        prepared._whole = RankAggregation(members, sample=self.sample).prepare(space, probe, seed, device)
        return prepared

    def __call__(self, record: Record) -> float:
        """Returns the part's value, or the sum of the logarithms of the parts' places.

        Raises:
            ProxyFailure: features are constant or not finite, there is only one block, a block does not depend on
                the one before, or parts are combined and the proxy was prepared for no space.
        """
        if self.part in _COMBINED:
            if self._whole is None:
                raise ProxyFailure("ranks are relative to a sample of a space, which the proxy was not prepared for")
            return self._whole(record)
        if self.part == "complexity":
            return counted(record, "flops")
        require_finite_states(record)
        if not record.blocks:
            raise ProxyFailure("the pass made no blocks")
        if self.part == "trainability":
            return trainability(record.blocks)
        key = (self.name, "entropies")  # shared by two of the parts
        if key not in record.kept:
            record.kept[key] = [entropy(block.value.flatten(0, 1)) for block in record.blocks]
        entropies: list[float] = record.kept[key]
        if self.part == "expressivity":
            return math.fsum(entropies)
        _require_two(record.blocks)
        return min(after - before for before, after in pairwise(entropies))


def entropy(features: Tensor) -> float:
    """Returns the entropy of the shares of the principal components of features (N, d), in nats: at most ln d.

    Raises:
        ProxyFailure: the features are constant or not finite.
    """
    shares = variance_shares(features)
    return float(-(shares * (shares + 1e-8).log()).sum())


def trainability(blocks: Sequence[Block]) -> float:
    """Returns the mean of -s - 1/(s + 1e-6) + 2 over all blocks but the first.

    Raises:
        ProxyFailure: there is one block only, a block does not depend on the one before, or gradients are not finite.
    """
    _require_two(blocks)
    scores = []
    for block in blocks[1:]:
        s = _spectral_norm(block)
        scores.append(-s - 1 / (s + 1e-6) + 2)
    return math.fsum(scores) / len(scores)


def _require_two(blocks: Sequence[Block]) -> None:
    if len(blocks) < 2:
        raise ProxyFailure("the network has one block only")


def _spectral_norm(block: Block) -> float:
    import torch

    if block.signs is None or block.grad is None:
        raise ProxyFailure("the pass made no gradients of blocks")
    signs, grad = (tensor.double().flatten(0, 1) for tensor in (block.signs, block.grad))  # (N, d), (N, d before)
    estimate = grad.T @ signs / len(signs)
    if not bool(torch.isfinite(estimate).all()):
        raise ProxyFailure("gradients of blocks are not finite")
    if not bool(estimate.any()):
        raise ProxyFailure("a block does not depend on the one before")
    return float(torch.linalg.matrix_norm(estimate, 2))
