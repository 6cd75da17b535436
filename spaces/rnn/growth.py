"""How fast the hidden states of a cell can grow with the length of the text, whatever its weights are.

A bound by interval arithmetic that no weights can exceed: a cell whose states multiply each other
unsquashed squares them in every step, and training moves weights to where they overflow. What only tanh and sigmoid
let through stays bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from spaces.rnn.cell import Cell

__all__ = ["GROWTHS", "growth"]

#: from the mildest: bounded; at most a constant more each step; a constant factor each step; faster than any factor
GROWTHS = ("bounded", "linear", "exponential", "superexponential")


class _Size(NamedTuple):
    """|v| <= gain * M ** degree + const, where M is the largest of the unbounded states' last values.

    ``bound`` is the constant of a value of degree 0 where it is known (0 to 1 for squashed ones), else infinite;
    ``share`` says that it lies between 0 and 1.
    """

    degree: int
    gain: float = 0.0
    bound: float = math.inf
    share: bool = False


_INPUT = _Size(0)
_STATE = _Size(1, gain=1.0)


def growth(cell: Cell) -> str:
    """Returns one of ``GROWTHS``: how the largest hidden state can grow, the worst over weights and texts."""
    states = {f"h_prev_{i}": _STATE for i in range(cell.states)}
    while True:
        sizes = {"x": _INPUT, **states}
        for node in cell.ordered:
            sizes[node.name] = _OF[node.op](*(sizes[name] for name in node.inputs))
        after = {f"h_prev_{i}": sizes[f"h_new_{i}"] for i in range(cell.states)}
        bounded = {name: size for name, size in after.items() if size.degree == 0}
        found = {name: bounded.get(name, _STATE) for name in states}
        if found == states:
            break
        states = found  # a state that is bounded whatever the others do is no source of growth
    left = [size for size in after.values() if size.degree]
    if not left:
        return "bounded"
    if any(size.degree > 1 for size in left):
        return "superexponential"
    return "linear" if all(size.gain <= 1 for size in left) else "exponential"


def _linear(*inputs: _Size) -> _Size:
    degree = max(size.degree for size in inputs)
    return _Size(degree, gain=math.inf if degree else 0.0)


def _product(a: _Size, b: _Size) -> _Size:
    if not a.degree and not b.degree:
        return _Size(0, bound=_times(a.bound, b.bound), share=a.share and b.share)
    if a.degree and b.degree:
        return _Size(a.degree + b.degree, gain=math.inf)
    factor, grown = (a, b) if b.degree else (b, a)
    return _Size(grown.degree, gain=_times(factor.bound, grown.gain))


def _sum(a: _Size, b: _Size) -> _Size:
    return _Size(max(a.degree, b.degree), gain=a.gain + b.gain, bound=a.bound + b.bound)


def _blend(gate: _Size, a: _Size, b: _Size) -> _Size:
    degree = max(a.degree, b.degree)
    if gate.degree:
        return _Size(gate.degree + degree, gain=math.inf)
    if gate.share:
        return _Size(degree, max(a.gain, b.gain), max(a.bound, b.bound), a.share and b.share)
    rest = 1 + gate.bound
    return _Size(
        degree,
        _times(gate.bound, a.gain) + _times(rest, b.gain),
        _times(gate.bound, a.bound) + _times(rest, b.bound),
    )


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


_OF: dict[str, Callable[..., _Size]] = {
    "linear": _linear,
    "blend": _blend,
    "elementwise_prod": _product,
    "elementwise_sum": _sum,
    "activation_tanh": lambda v: _Size(0, bound=1.0),
    "activation_sigm": lambda v: _Size(0, bound=1.0, share=True),
    "activation_leaky_relu": lambda v: _Size(v.degree, v.gain, v.bound, v.share),
}
