"""Random streams: each derives from (run seed, architecture key or step, purpose) and from nothing else.

So a result depends neither on how many workers there are nor on whether the run was interrupted.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "integer"]


def _words(seed: int, *purpose: object) -> list[int]:
    text = "\x1f".join([str(int(seed)), *(str(part) for part in purpose)])
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Returns numpy's PCG64 generator for ``(seed, *purpose)``: the same one in every process."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_words(seed, *purpose))))


def integer(seed: int, *purpose: object) -> int:
    """Returns a 63-bit integer for ``(seed, *purpose)``, for generators that take one (torch, optuna)."""
    low, high, *_ = _words(seed, *purpose)
    return (high << 32 | low) >> 1
