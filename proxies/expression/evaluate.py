"""A formula's value: of a record, or of many architectures at once, from a table of their statistics.

Formulas share what they have in common: a record keeps the statistics that any formula asked of it, and the tensors of
the last chain of transforms, since many statistics of one chain are asked one after another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from proxies.base import ProxyFailure, Record
from proxies.expression.compute import arithmetic, statistic, total, transformed
from proxies.expression.language import Kind, Node
from proxies.expression.leaves import LEAVES

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["of_record", "of_table"]

_CHAIN = ("expression", "chain")


def of_record(node: Node, record: Record) -> float:
    """Returns the value of a formula that gives a number; it may be infinite or NaN.

    Raises:
        ProxyFailure: the network has no tensors of a leaf.
    """
    if not node.arguments:
        return LEAVES[node.name].number(record)
    if node.arguments[0].kind is Kind.NUMBERS:
        return total(node.name, _numbers(node.arguments[0], record))
    return float(arithmetic(node.name, *(of_record(argument, record) for argument in node.arguments)))


def of_table(node: Node, table: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the values of a formula that gives a number, one for each architecture.

    Args:
        table: text -> values (n,) of its parts: sizes, and totals of statistics.
    """
    known = table.get(node.text)
    if known is not None:
        return known
    return np.asarray(arithmetic(node.name, *(of_table(argument, table) for argument in node.arguments)))


def _numbers(node: Node, record: Record) -> list[float]:
    """Returns a statistic of each tensor of a group."""
    chain, leaf = [], node.arguments[0]
    while leaf.arguments:
        chain.append(leaf.name)
        leaf = leaf.arguments[0]
    tensors = LEAVES[leaf.name].tensors(record)
    if not tensors:
        raise ProxyFailure(f"the network has no {leaf.name.replace('_', ' ')}")
    key = ("expression", " ".join([node.name, *chain]))
    known: dict[int, float] = record.kept.setdefault(key, {})  # tensor -> its statistic; the record keeps the tensor
    missing = [place for place, tensor in enumerate(tensors) if id(tensor) not in known]
    if missing:
        changed = _changed(record, node.arguments[0].text, chain[::-1], tensors)
        for place in missing:
            known[id(tensors[place])] = statistic(node.name, changed(place))
    return [known[id(tensor)] for tensor in tensors]


class _Changed:
    """The tensors of a group under a chain of transforms, each made when it is first asked for."""

    def __init__(self, chain: list[str], tensors: list[Tensor]) -> None:
        self.chain, self.tensors = chain, tensors
        self.made: dict[int, Tensor] = {}

    def __call__(self, place: int) -> Tensor:
        if place not in self.made:
            x = self.tensors[place].double()
            for name in self.chain:
                x = transformed(name, x)
            self.made[place] = x
        return self.made[place]


def _changed(record: Record, text: str, chain: list[str], tensors: list[Tensor]) -> _Changed:
    known = record.kept.get(_CHAIN)
    if known is None or known[0] != text:
        known = record.kept[_CHAIN] = text, _Changed(chain, tensors)
    found: _Changed = known[1]
    return found
