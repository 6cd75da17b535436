"""JSON of architectures as strict as the spaces: a key may occur only once, and an error says what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.options import shown

__all__ = ["distinct", "undecoded"]


def distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object as a dict, for ``json.loads(object_pairs_hook=...)``.

    Raises:
        ZeronasError: a key is there twice; ``json`` would keep the last and drop the others silently.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ZeronasError(f"The key {shown(key)} is there twice; the keys of a JSON object must be distinct.")
        found[key] = value
    return found


def undecoded(error: Exception) -> str:
    """Returns why JSON could not be decoded, where it is well-formed."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "a number in it has too many digits"
