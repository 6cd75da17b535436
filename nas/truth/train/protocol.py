"""Finds the protocols that the spaces name, and changes some of their fields."""

from __future__ import annotations

from typing import Any

import spaces
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import construct, shown, validate
from spaces.protocol import Protocol

__all__ = ["Protocol", "get", "named"]


def named() -> dict[str, Protocol]:
    """Returns name -> protocol of all that the spaces name, those of plug-ins last."""
    return {name: protocol for space in spaces.SPACES for name, protocol in spaces.get(space).protocols.items()}


def get(name: str, /, **changes: Any) -> Protocol:
    """Returns the protocol of that name, with some fields changed (then its hash is another).

    Raises:
        ZeronasError: unknown name or field, or a value that is no such thing.
    """
    known = named()
    if name not in known:
        raise ZeronasError(f"Unknown protocol {shown(name)}.{did_you_mean(name, known)}")
    protocol, owner = known[name], f"Protocol '{name}'"
    if not changes:
        return protocol
    made = construct(type(protocol), owner, {**vars(protocol), **changes})
    validate(made, owner)  # 0 becomes 0.0: they are one setting, and have one hash
    made.check()
    return made
