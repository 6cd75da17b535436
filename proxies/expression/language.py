"""The grammar: three kinds of values, the operations between them, and the tree that a formula is.

A leaf is a group of tensors of the network, in order of computation (layer by layer, and within a layer tensor by
tensor), or a size of it. Operations on tensors work on each tensor alone; a statistic makes one number of each; a total
makes one number of them all; arithmetic does the rest. ``mean`` of tensors is a statistic and ``mean`` of their numbers
a total: a name may have several meanings, told apart by what it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

__all__ = ["ARITHMETIC", "OPERATIONS", "STATISTICS", "TOTALS", "TRANSFORMS", "Kind", "Node", "Operation", "operation"]


class Kind(Enum):
    """What a part of a formula is; the value says it in words."""

    TENSORS = "tensors"
    NUMBERS = "one number for each tensor"
    NUMBER = "a number"


@dataclass(frozen=True)
class Operation:
    """An operation of the language.

    Attributes:
        takes: kinds of its arguments.
        doc: what it gives.
        costly: more than a few passes over the entries.
    """

    name: str
    takes: tuple[Kind, ...]
    gives: Kind
    doc: str
    costly: bool = False


def _family(takes: tuple[Kind, ...], gives: Kind, docs: dict[str, str], costly: str = "") -> tuple[Operation, ...]:
    return tuple(Operation(name, takes, gives, doc, name in costly.split()) for name, doc in docs.items())


_T, _L, _N = Kind.TENSORS, Kind.NUMBERS, Kind.NUMBER

#: tensors to tensors of the same shape
TRANSFORMS = _family(
    (_T,),
    _T,
    {
        "abs": "|x|",
        "square": "x^2",
        "sqrt": "the root of |x|",
        "log": "ln |x|, of 1e-30 where |x| is less",
        "sigmoid": "1 / (1 + exp(-x))",
        "relu": "max(x, 0)",
        "softmax": "along the last axis",
        "normalise": "less the tensor's mean, by its standard deviation; 0 where that is 0",
    },
)
#: tensors to one number each
STATISTICS = _family(
    (_T,),
    _L,
    {
        "mean": "mean of the entries",
        "std": "their standard deviation (that of the population)",
        "mean_abs": "mean of |x|",
        "frobenius": "root of the sum of squares",
        "min": "least entry",
        "max": "greatest entry",
        "entropy": "of |x| as probabilities along the last axis, in nats, the mean over all rows",
        "spectral": "largest singular value of the rows along the last axis, by 30 steps of power iteration",
        "logdet": "ln det(C + 1e-5 I), C the correlation matrix of the last axis over all rows",
    },
    costly="entropy spectral logdet",
)
#: the numbers of a group to one number
TOTALS = _family(
    (_L,),
    _N,
    {
        "sum": "their sum",
        "mean": "their mean",
        "min": "the least",
        "max": "the greatest",
        "last": "that of the last tensor",
        "log_product": "the sum of ln |x|, of 1e-30 where |x| is less: their product in logarithms",
    },
)
ARITHMETIC = (
    *_family((_N,), _N, {"negative": "-x", "log": "ln |x|, of 1e-30 where |x| is less"}),
    *_family(
        (_N, _N),
        _N,
        {"add": "x + y", "subtract": "x - y", "multiply": "x y", "divide": "x / y, 0 where y is 0"},
    ),
)
OPERATIONS = (*TRANSFORMS, *STATISTICS, *TOTALS, *ARITHMETIC)
_BY_USE = {(one.name, one.takes): one for one in OPERATIONS}


def operation(name: str, takes: tuple[Kind, ...]) -> Operation | None:
    """Returns the operation that a name means for arguments of some kinds, or None."""
    return _BY_USE.get((name, takes))


@dataclass(frozen=True)
class Node:
    """A formula, or a part of one: a leaf, or an operation on parts.

    Equal formulas are equal nodes and have equal text; ``proxies.expression.parser.parse`` reads the text back.
    """

    name: str
    kind: Kind
    arguments: tuple[Node, ...] = ()

    @classmethod
    def of(cls, of: Operation, *arguments: Node) -> Node:
        """Returns an operation on arguments of the kinds that it takes."""
        if of.takes != tuple(argument.kind for argument in arguments):
            raise AssertionError(f"{of.name} does not take {', '.join(a.kind.value for a in arguments)}")
        return cls(of.name, of.gives, arguments)

    @property
    def operation(self) -> Operation | None:
        """The operation, None for a leaf."""
        return operation(self.name, tuple(argument.kind for argument in self.arguments)) if self.arguments else None

    @cached_property
    def text(self) -> str:
        """The canonical form, such as ``sum(std(abs(hidden)))``."""
        inner = ", ".join(argument.text for argument in self.arguments)
        return f"{self.name}({inner})" if inner else self.name

    @cached_property
    def size(self) -> int:
        """How many leaves and operations it has."""
        return 1 + sum(argument.size for argument in self.arguments)

    @cached_property
    def depth(self) -> int:
        """The longest path from the whole to a leaf, counted in leaves and operations."""
        return 1 + max((argument.depth for argument in self.arguments), default=0)

    def parts(self) -> Iterator[tuple[tuple[int, ...], Node]]:
        """Yields every part with its path (the place of each argument on the way to it), the whole first."""
        yield (), self
        for place, argument in enumerate(self.arguments):
            for path, part in argument.parts():
                yield (place, *path), part

    def with_part(self, path: tuple[int, ...], part: Node) -> Node:
        """Returns the formula with the part at a path exchanged for one of the same kind."""
        if not path:
            return part
        first, *rest = path
        changed = self.arguments[first].with_part(tuple(rest), part)
        return Node(self.name, self.kind, (*self.arguments[:first], changed, *self.arguments[first + 1 :]))
