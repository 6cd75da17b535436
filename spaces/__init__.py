"""Search spaces: what an architecture is, and how to draw, change, count and build one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.core.options import Options, construct
from nas.core.registry import Registry
from spaces.base import Architecture, Counts, Space
from spaces.rules import Feature, Rule
from spaces.table import TableSpace

__all__ = ["SPACES", "Architecture", "Counts", "Feature", "Rule", "Space", "get"]

#: name -> function of the space's options
SPACES: Registry[Callable[..., Space[Any]]] = Registry("space")


@SPACES.register("rnn")
def _rnn(sizes: Options | None = None) -> Space[Any]:
    from spaces.rnn.space import RNNSpace

    return RNNSpace(sizes)


@SPACES.register("bert")
def _bert(reading: str = "stated", vocabulary: int = 30522) -> Space[Any]:
    from spaces.bert.space import BertSpace

    return BertSpace(reading, vocabulary)


SPACES.register(TableSpace.name)(TableSpace)


def get(name: str, /, **options: Any) -> Space[Any]:
    """Returns the space registered as ``name``, made with its options.

    Raises:
        ZeronasError: unknown name or option, or an option that is not of its type.
    """
    return construct(SPACES.get(name), f"Space '{name}'", options)
