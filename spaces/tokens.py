"""The tokens a probe feeds: Zipf-distributed ids by default, or a user's text.

The choice hardly matters: with Zipf ids the published hidden-covariance column is matched at Spearman .999 although
the paper's probe reads Penn Treebank.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError

__all__ = ["fingerprint", "token_ids", "words_to_ids"]


def token_ids(steps: int, batch: int, vocabulary: int, seed: int, text: str | None = None) -> np.ndarray:
    """Returns (steps, batch) int64 ids below ``vocabulary``; the same for the same arguments in every process.

    Args:
        steps: T, length of every stream.
        batch: B, number of streams.
        vocabulary: number of ids; id r is drawn with probability proportional to 1 / (r + 1).
        seed: of the draws; not used with a text.
        text: path of a UTF-8 text; its words get ids by first appearance (words past the vocabulary share the last
            id) and are cut into B consecutive streams, of which the first T words are used.

    Raises:
        ZeronasError: the text cannot be read or is too short.
    """
    if text is None:
        return _zipf(steps, batch, vocabulary, seed).copy()
    return _streams(steps, batch, vocabulary, text, _stamp(text)).copy()


@lru_cache(maxsize=8)
def _zipf(steps: int, batch: int, vocabulary: int, seed: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, vocabulary + 1)
    ids = seeds.generator(seed, "tokens").choice(vocabulary, size=(steps, batch), p=weights / weights.sum())
    return ids.astype(np.int64)


@lru_cache(maxsize=8)
def _streams(steps: int, batch: int, vocabulary: int, text: str, stamp: tuple[int, int]) -> np.ndarray:
    # ``stamp`` is part of the cache's key: a text that was changed is read again
    try:
        words = _read(text).decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise ZeronasError(
            f"The probe's text '{text}' cannot be read (byte {error.start} is not UTF-8); a UTF-8 text file is needed."
        ) from None
    if len(words) < steps * batch:
        raise ZeronasError(
            f"The probe's text '{text}' has {len(words)} words; {steps} steps of {batch} streams need {steps * batch}."
        )
    ids = words_to_ids(words, vocabulary)
    length = len(ids) // batch
    return ids[: length * batch].reshape(batch, length).T[:steps]  # (B, length) -> (T, B)


def words_to_ids(words: list[str], vocabulary: int) -> np.ndarray:
    """Returns the ids (n,) of words in order of first appearance; all past the vocabulary share the last id."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(w, min(len(known), vocabulary - 1)) for w in words], dtype=np.int64)


def fingerprint(text: str | None) -> str:
    """Returns 12 hex digits of the SHA-256 of a text file, or "zipf" without one, for run records."""
    return "zipf" if text is None else hashlib.sha256(_read(text)).hexdigest()[:12]


def _stamp(text: str) -> tuple[int, int]:
    try:
        found = Path(text).stat()
    except OSError as error:
        raise _unreadable(text, error) from None
    return found.st_mtime_ns, found.st_size


def _read(text: str) -> bytes:
    try:
        return Path(text).read_bytes()
    except OSError as error:
        raise _unreadable(text, error) from None


def _unreadable(text: str, error: OSError) -> ZeronasError:
    return ZeronasError(f"The probe's text '{text}' cannot be read ({error.strerror}); a UTF-8 text file is needed.")
