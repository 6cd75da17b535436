"""Reads a formula's text; whatever is wrong is named with its place. Nothing of a user's text is ever executed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown
from proxies.expression.language import OPERATIONS, TOTALS, Kind, Node, operation
from proxies.expression.leaves import LEAVES

__all__ = ["DEEPEST", "LONGEST", "parse"]

#: a formula's most characters, and most leaves and operations from the whole to a leaf
LONGEST, DEEPEST = 2000, 40

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<mark>[(),])|(?P<other>\S))")
_NAMES = tuple(dict.fromkeys(one.name for one in OPERATIONS))


@dataclass(frozen=True)
class _Token:
    text: str  # "" for the end
    place: int  # counted from 1
    is_name: bool = False


def parse(text: str) -> Node:
    """Returns the formula that a text stands for; it gives a number.

    Raises:
        ZeronasError: it stands for none; the sentence names the place (counted from 1), what is there and what is
            accepted.
    """
    if len(text) > LONGEST:
        raise ZeronasError(f"A formula has at most {LONGEST:,} characters, but this one has {len(text):,}.")
    reader = _Reader(text)
    node = reader.part(1)
    after = reader.take()
    if after.text:
        raise reader.wrong(after, "where the formula should end")
    if node.kind is not Kind.NUMBER:
        wrap = f"; {', '.join(one.name for one in TOTALS)} make one of them" if node.kind is Kind.NUMBERS else ""
        raise ZeronasError(f"A formula must give a number, but {shown(node.text)} gives {node.kind.value}{wrap}.")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.next = text, list[_Token](), 0
        for found in _TOKEN.finditer(text):
            group = found.lastgroup or ""
            token = _Token(found[group], found.start(group) + 1, group == "name")
            if group == "other":
                raise self.wrong(token, "which is no letter, parenthesis or comma")
            self.tokens.append(token)

    def wrong(self, token: _Token, what: str) -> ZeronasError:
        there = shown(token.text) if token.text else "the end"
        return ZeronasError(f"The formula {shown(self.text)} has {there} at place {token.place}, {what}.")

    def take(self) -> _Token:
        self.next += 1
        if self.next > len(self.tokens):
            return _Token("", len(self.text) + 1)
        return self.tokens[self.next - 1]

    def part(self, depth: int) -> Node:
        token = self.take()
        if not token.is_name:
            raise self.wrong(token, "where an operation or a leaf is needed")
        if depth > DEEPEST:
            raise self.wrong(token, f"which is deeper than {DEEPEST} operations")
        if self.next < len(self.tokens) and self.tokens[self.next].text == "(":
            if token.text not in _NAMES:
                raise self.unknown(token, "operation", _NAMES)
            self.take()
            return self.applied(token, depth)
        if token.text in _NAMES and token.text not in LEAVES:
            raise self.wrong(token, "which is an operation and needs its arguments in parentheses")
        if token.text not in LEAVES:
            raise self.unknown(token, "leaf", tuple(LEAVES))
        return Node(token.text, LEAVES[token.text].kind)

    def applied(self, token: _Token, depth: int) -> Node:
        arguments = []
        while True:
            arguments.append(self.part(depth + 1))
            mark = self.take()
            if mark.text == ")":
                break
            if mark.text != ",":
                raise self.wrong(mark, "where a comma or a closing parenthesis is needed")
        kinds = tuple(argument.kind for argument in arguments)
        found = operation(token.text, kinds)
        if found is None:
            takes = " or ".join(_said(one.takes) for one in OPERATIONS if one.name == token.text)
            raise self.wrong(token, f"which takes {takes}, but got {_said(kinds)}")
        return Node.of(found, *arguments)

    def unknown(self, token: _Token, what: str, names: tuple[str, ...]) -> ZeronasError:
        message = str(self.wrong(token, f"which is no {what}"))
        return ZeronasError(f"{message}{did_you_mean(token.text, names)}")


def _said(kinds: tuple[Kind, ...]) -> str:
    return " and ".join(kind.value for kind in kinds)
