"""Effective rank: how many directions the states of an untrained network spread over.

Source: Roy & Vetterli, "The effective rank" (EUSIPCO 2007), definition 1.
"""

from nas.core.options import Size, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record

#: the package that holds the settings of what is registered here
CONFIGURATION = "effective_rank.conf"


@PROXIES.register("effective_rank")
class EffectiveRank(Proxy):
    """exp of the entropy of the singular values of one layer's states, as shares.

    Args:
        layer: which layer, counted from 1.
    """

    name = "effective_rank"
    title = "effective rank"
    source = "Roy & Vetterli 2007, definition 1"
    needs = frozenset({"forward"})

    @validated
    def __init__(self, layer: Size = 1) -> None:
        self.layers = layer  # the probe runs so many layers

    def __call__(self, record: Record) -> float:
        """Returns a number from 1 to the width of the layer.

        Raises:
            ProxyFailure: the states are all zero, or not finite.
        """
        import torch

        states = record.hidden[self.layers - 1].double().flatten(0, 1)  # (T * B, d)
        if not torch.isfinite(states).all():
            raise ProxyFailure("hidden states are not finite")
        values = torch.linalg.svdvals(states)
        if not values.any():
            raise ProxyFailure("hidden states are all zero")
        shares = values / values.sum()
        return float(torch.exp(torch.special.entr(shares).sum()))
