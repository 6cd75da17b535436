"""Size baselines from shapes alone: the numbers every training-free metric must beat."""

from __future__ import annotations

from typing import Literal

from proxies.base import PROXIES, Proxy, ProxyFailure, Record

__all__ = ["Depth", "Flops", "Parameters", "SizeName", "Width", "counted"]

SizeName = Literal["parameters", "flops", "depth", "width"]


def counted(record: Record, what: SizeName) -> float:
    """Returns a size of the full-size model.

    Raises:
        ProxyFailure: the space does not know it.
    """
    size: int | None = getattr(record.counts, what)
    if size is None:
        raise ProxyFailure(f"{what} not known")
    return float(size)


class _Size(Proxy):
    needs = frozenset({"shapes"})
    source = "baseline"


@PROXIES.register("parameters")
class Parameters(_Size):
    """The number of trainable parameters of the full-size model."""

    name = "parameters"
    title = "parameters"

    def __call__(self, record: Record) -> float:
        """Returns trainable scalars."""
        return counted(record, "parameters")


@PROXIES.register("flops")
class Flops(_Size):
    """FLOPs of one forward pass per token (two per multiply-add)."""

    name = "flops"
    title = "FLOPs per token"

    def __call__(self, record: Record) -> float:
        """Returns FLOPs per token."""
        return counted(record, "flops")


@PROXIES.register("depth")
class Depth(_Size):
    """The longest path of operations: for cells through one step, for BERT through all layers."""

    name = "depth"
    title = "depth"

    def __call__(self, record: Record) -> float:
        """Returns the number of operations on the longest path."""
        return counted(record, "depth")


@PROXIES.register("width")
class Width(_Size):
    """For cells the most nodes at the same depth; for BERT the widest vector."""

    name = "width"
    title = "width"

    def __call__(self, record: Record) -> float:
        """Returns the width as the space defines it (see ``Counts``)."""
        return counted(record, "width")
