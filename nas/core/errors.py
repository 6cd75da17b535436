"""Errors that a user can act on: one sentence that names what was wrong, the value, and what is accepted."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

__all__ = ["ZeronasError", "did_you_mean", "is_printable", "printable", "sentence"]

_MANY = 30
_LONGEST_NAME = 100  # of a name that is compared with others, which takes time in proportion
_LONGEST = 600


class ZeronasError(ValueError):
    """Bad input. The message is one sentence; the command line prints it and exits with status 2."""


def sentence(text: object) -> str:
    """Returns a message as a terminal may print it: one line of at most 600 characters, none that it would obey."""
    line = printable(" ".join(str(text)[: 10 * _LONGEST].split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def is_printable(text: str) -> bool:
    """Returns whether a text holds nothing that a terminal would obey, or that would end a line."""
    return all(map(_harmless, text))


def printable(text: str) -> str:
    """Returns a text with what a terminal would obey, or what would end a line, spelt out: ``\\x1b`` for an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if _harmless(one) else one.encode("unicode_escape").decode("ascii") for one in text)


def _harmless(letter: str) -> bool:
    return letter == " " or unicodedata.category(letter)[0] not in "CZ"


def did_you_mean(name: object, accepted: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'? Available: ..."`` for an unknown ``name``; of many names only those near it."""
    names = sorted(accepted)
    try:
        text = str(name)[:_LONGEST_NAME]
    except ValueError:  # a whole number of more digits than Python writes
        text = ""
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    if len(names) > _MANY:
        near = difflib.get_close_matches(text, names, n=5, cutoff=0.3)
        return f"{guess} Near it: {', '.join(near)}." if near else " Nothing available is near it."
    return f"{guess} Available: {', '.join(names)}."
