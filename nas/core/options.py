"""Checks options against the kind of their default, so that a slip such as ``fresh=no`` is told and not obeyed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nas.core.errors import ZeronasError

__all__ = ["checked", "flag", "mapping"]


def checked(owner: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options if each is of the kind of its default: a truth value, a number, a word or a list.

    An option whose default is None takes None, a number or a word. Whether a number is in range is the owner's check.

    Raises:
        ZeronasError: one is of another kind.
    """
    for name, value in options.items():
        default = defaults[name]
        wanted = ""
        if isinstance(default, bool):
            wanted = "" if isinstance(value, bool) else "true or false"
        elif isinstance(default, (int, float)):
            wanted = "" if _is_number(value) else "a number"
        elif isinstance(default, (list, tuple)):
            wanted = "" if isinstance(value, (list, tuple)) and all(map(_is_number, value)) else "a list of numbers"
        elif default is None:
            wanted = "" if value is None or _is_number(value) or isinstance(value, str) else "a number, a word or null"
        elif isinstance(default, str):
            wanted = "" if isinstance(value, str) or _is_number(value) else "a word"
        if wanted:
            raise ZeronasError(f"{owner} needs {name} to be {wanted}, but got {value!r}.")
    return dict(options)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def flag(config: Mapping[str, Any], key: str) -> bool:
    """Returns ``config[key]`` if it is true or false.

    Raises:
        ZeronasError: it is anything else (``no`` is a word to the command line, not a truth value).
    """
    if not isinstance(config[key], bool):
        raise ZeronasError(f"{key} must be true or false, but got {config[key]!r}.")
    return bool(config[key])


def mapping(config: Mapping[str, Any], key: str, example: str) -> dict[str, Any]:
    """Returns ``config[key]`` if it is a mapping.

    Raises:
        ZeronasError: it is anything else.
    """
    if not isinstance(config.get(key), Mapping):
        raise ZeronasError(f"{key} holds settings of its own, such as {example}, but got {config.get(key)!r}.")
    return dict(config[key])
