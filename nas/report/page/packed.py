"""Columns of a page as short text: exact, and decoded by the page's script in milliseconds."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["bits_of", "packed_numbers", "packed_places", "packed_words", "room_of"]


def packed_numbers(values: Sequence[float | None]) -> dict[str, Any]:
    """Returns numbers as ``{"bits": 32 or 64, "data": base64}`` of little-endian floats, NaN for None."""
    wide = np.array([np.nan if v is None else v for v in values], dtype="<f8")
    bits = bits_of(wide)
    return {"bits": bits, "data": _text(wide.astype(f"<f{bits // 8}").tobytes())}


def bits_of(values: np.ndarray) -> int:
    """Returns 32 where each number, (n,), survives them, as whole numbers of up to seven digits do, else 64."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32).astype(np.float64)
    return 32 if np.array_equal(narrow, values, equal_nan=True) else 64


def packed_places(places: Sequence[int], plain: Sequence[int]) -> str | None:
    """Returns whole numbers of 0 or more as base64 of 32 little-endian bits, None where they are just ``plain``."""
    return None if list(places) == list(plain) else _text(np.array(places, dtype="<u4").tobytes())


def packed_words(words: Sequence[str]) -> dict[str, Any] | list[str]:
    """Returns words as ``{"prefix", "digits", "data"}`` where each is the prefix and so many hex digits, else a list.

    Keys are such words, and names often are. ``data`` is base64 of the digits, two a byte.
    """
    low, high = (min(words), max(words)) if words else ("", "")  # what they share, all share
    shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    digits = len(low) - shared
    shared -= digits % 2  # a digit that all share
    prefix, digits = low[:shared], len(low) - shared
    rest = "".join(word[len(prefix) :] for word in words)
    if not digits or {len(prefix) + digits} != set(map(len, words)) or not set(rest) <= _DIGITS:
        return list(words)
    return {"prefix": prefix, "digits": digits, "data": _text(bytes.fromhex(rest))}


_DIGITS = frozenset("0123456789abcdef")


def room_of(columns: Sequence[np.ndarray], failed: bool, part: bool = False) -> int:
    """Returns the bytes that the numbers of rows take in a page.

    Args:
        columns: of numbers, (rows,) each.
        failed: whether rows have reasons of failures.
        part: whether they are some rows of a table only, whose places are not just 1, 2, ...
    """
    return len(columns[0]) * (sum(map(bits_of, columns)) + 32 * failed + 32 * part) // 6


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
