"""The Linears of an encoder's layers: their weights in order, and what they read and give in a pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spaces.record import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Watched", "modules", "position_table", "watch", "weights_of"]

#: what a Linear read (B, T, in) and gave (B, T, out)
Watched = tuple["Tensor", "Tensor"]


def modules(layers: Any) -> Iterator[tuple[str, str, int, int, nn.Linear]]:
    """Yields name, part, layer, position in its block and module of each Linear of an encoder's layers.

    The order is that of the modules: of a feed-forward block dense_in, the extra ones, dense_out.
    """
    import torch

    for number, layer in enumerate(layers):
        for part, block in (("attention", layer.operation), ("feed_forward", layer.feed_forward)):
            linears = [(n, m) for n, m in block.named_modules() if isinstance(m, torch.nn.Linear)]
            for place, (name, linear) in enumerate(linears):
                yield name.split(".")[0], part, number, place, linear


def weights_of(layers: Any) -> list[Weight]:
    """Returns the weights of the Linears of all layers, as parameters."""
    return [Weight(name, part, layer, place, linear.weight) for name, part, layer, place, linear in modules(layers)]


def position_table(encoder: Any) -> Weight:
    """Returns the table of positions (512, 128)."""
    return Weight("position", "embedding", -1, 0, encoder.embeddings.position.weight)


@contextmanager
def watch(layers: Any, watching: bool = True) -> Iterator[list[Watched]]:
    """Gives a list that holds, after a pass within, what each Linear read and gave, in the order of ``modules``."""
    linears = [linear for *_, linear in modules(layers)] if watching else []
    seen: dict[nn.Module, Watched] = {}
    found: list[Watched] = []

    def keep(module: nn.Module, given: tuple[Tensor], out: Tensor) -> None:
        seen[module] = (given[0], out)

    handles = [linear.register_forward_hook(keep) for linear in linears]
    try:
        yield found
        found.extend(seen[linear] for linear in linears)
    finally:
        for handle in handles:
            handle.remove()
