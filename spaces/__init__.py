"""Search spaces: what an architecture is, and how to draw, change, count and build one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.registry import Registry
from spaces.base import Architecture, Counts, Space
from spaces.rules import Feature, Rule

__all__ = ["SPACES", "Architecture", "Counts", "Feature", "Rule", "Space", "get"]

#: name -> function of the space's options
SPACES: Registry[Callable[..., Space[Any]]] = Registry("space")


@SPACES.register("rnn")
def _rnn(**options: Any) -> Space[Any]:
    from spaces.rnn.space import RNNSpace

    return RNNSpace(**options)


@SPACES.register("bert")
def _bert(**options: Any) -> Space[Any]:
    from spaces.bert.space import BertSpace

    return BertSpace(**options)


def get(name: str, **options: Any) -> Space[Any]:
    """Returns the space registered as ``name``, made with its options.

    Raises:
        ZeronasError: unknown name or option value.
    """
    make = SPACES.get(name)
    try:
        return make(**options)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise
        raise ZeronasError(f"Space '{name}' has no option '{unknown.group(1)}'.") from None
