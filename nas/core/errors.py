"""Errors that a user can act on: one sentence that names what was wrong, the value, and what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ZeronasError", "did_you_mean"]

_MANY = 30


class ZeronasError(ValueError):
    """Bad input. The message is one sentence; the command line prints it and exits with status 2."""


def did_you_mean(name: str, accepted: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'? Available: ..."`` for an unknown ``name``; of many names only those near it."""
    names = sorted(accepted)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    if len(names) > _MANY:
        near = difflib.get_close_matches(str(name), names, n=5, cutoff=0.3)
        return f"{guess} Near it: {', '.join(near)}." if near else " Nothing available is near it."
    return f"{guess} Available: {', '.join(names)}."
