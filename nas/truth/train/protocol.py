"""Finds the protocols that the spaces name, and changes some of their fields."""

from __future__ import annotations

import dataclasses
from typing import Any

import spaces
from nas.core.errors import ZeronasError, did_you_mean
from spaces.protocol import Protocol

__all__ = ["OPTIMISERS", "SCHEDULES", "Protocol", "get", "named"]


OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "constant")


def named() -> dict[str, Protocol]:
    """Returns name -> protocol of all that the spaces name, those of plug-ins last."""
    return {name: protocol for space in spaces.SPACES for name, protocol in spaces.get(space).protocols.items()}


def get(name: str, **changes: Any) -> Protocol:
    """Returns the protocol of that name, with some fields changed (then its hash is another).

    Raises:
        ZeronasError: unknown name or field, or a value that is no such thing.
    """
    known = named()
    if name not in known:
        raise ZeronasError(f"Unknown protocol '{name}'.{did_you_mean(name, known)}")
    protocol = known[name]
    if not changes:
        return protocol
    defaults = protocol.to_json()
    defaults.pop("name")
    for key in changes:
        if key not in defaults:
            raise ZeronasError(f"Unknown setting '{key}' of protocol '{name}'.{did_you_mean(key, defaults)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in changes.items()}
    _check(dataclasses.replace(protocol, **values), protocol)
    for key, default in defaults.items():  # 0 and 0.0 are one setting, and have one hash
        if isinstance(default, float) and key in values:
            values[key] = float(values[key])
    return dataclasses.replace(protocol, **values)


def _check(protocol: Protocol, default: Protocol) -> None:
    """Raises ZeronasError where a field is not of its default's kind or not in its range."""
    normal = default.to_json()
    for field, value in protocol.to_json().items():
        if field != "name":
            wanted = _wanted(field, value, normal[field])
            if wanted:
                raise ZeronasError(f"protocol.{field} must be {wanted}, but got {value!r}.")
    protocol.check()


def _wanted(field: str, value: Any, normal: Any) -> str:
    """Returns what a field must be where the value is not that, else ""."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(normal, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(normal, str):
        accepted = {"optimiser": OPTIMISERS, "schedule": SCHEDULES}[field]
        return "" if value in accepted else " or ".join(accepted)
    if field == "seeds":
        good = isinstance(value, list) and bool(value) and all(type(v) is int and v >= 0 for v in value)
        return "" if good else "a list of whole numbers of 0 or more"
    if isinstance(normal, list):
        good = isinstance(value, list) and bool(value) and all(type(v) is int and v > 0 for v in value)
        if field == "cutoffs" and good:
            return "" if sorted(set(value)) == value else "a list of whole numbers in increasing order"
        return "" if good else "a list of whole numbers above 0"
    if field == "divisor":
        return "" if whole and value in (1, 2, 4, 8, 16, 32) else "1, 2, 4, 8, 16 or 32"
    if isinstance(normal, int):
        least = {"warmup": 0, "vocabulary": 8, "validation_tokens": 2}.get(field, 1)
        return "" if whole and value >= least else f"a whole number of {least} or more"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if field in ("dropout", "weight_drop", "masked"):
        return "" if number and 0 <= value < 1 else "a number from 0 to below 1"
    return "" if number and 0 <= value < 1e9 else "a number from 0 to below 1e9"
