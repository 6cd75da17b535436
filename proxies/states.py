"""What an untrained network does with its states: how large they are, and how strongly the output depends on them.

None is a published metric. They see what a correlation of the states cannot: states that all but vanish or explode, and
an output that hardly depends on the input or on what was read steps ago. Cells that cannot be trained give themselves
away at either end, so these numbers serve as a gate (``nas.engine.gate``) and as views rather than as a fitness.

All are log10 of a positive number, as they range over dozens of powers of ten. Zero and what is not finite are
failures.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nas.core.options import Count, Size, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["InputGradient", "StateGradient", "StateSize"]


def _log10(value: float, what: str, zero: str) -> float:
    """Returns log10 of a value, where it has one.

    Raises:
        ProxyFailure: the value is not finite ("WHAT are not finite"), or zero (the reason is ``zero``).
    """
    if not math.isfinite(value):
        raise ProxyFailure(f"{what} are not finite")
    if value <= 0:
        raise ProxyFailure(zero)
    return math.log10(value)


def _mean_size(gradient: Tensor) -> float:
    return float(gradient.double().abs().mean())


class _OfLayer(Proxy):
    """A number of one layer's states.

    Args:
        layer: which layer, counted from 1.

    Raises:
        ZeronasError: there is no such layer number.
    """

    @validated
    def __init__(self, layer: Size = 1) -> None:
        self.layer = self.layers = layer

    def _require_layer(self, found: list[Tensor]) -> Tensor:
        if len(found) < self.layer:
            raise ProxyFailure(f"the network has no layer {self.layer}")
        return found[self.layer - 1]


@PROXIES.register("state_size")
class StateSize(_OfLayer):
    """log10 of the standard deviation of one layer's states, the median over its units.

    Of cells it is that of the states after the last step, or after the first, over the examples; where there are no
    steps (an encoder), that of the layer's output over positions and examples. After the first step it says how much
    of one input reaches the output at once.

    Args:
        layer: which layer, counted from 1.
        step: "last" or "first".

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "state_size"
    title = "size of the states"
    source = "a check of this project"
    needs = frozenset({"forward"})

    @validated
    def __init__(self, layer: Size = 1, step: Literal["last", "first"] = "last") -> None:
        super().__init__(layer)
        self.step = step

    def __call__(self, record: Record) -> float:
        """Returns it for the states (B, d) after the step, or for the output (T, B, d)."""
        require_finite_states(record)
        states = self._require_layer(record.final or record.hidden)
        if self.step == "first" and record.final:
            hidden = self._require_layer(record.hidden)  # h_0 before each step
            states = hidden[1] if len(hidden) > 1 else states
        spread = states.double().reshape(-1, states.shape[-1]).std(dim=0, correction=0)  # (n, d) -> (d,)
        return _log10(float(spread.median()), "hidden states", "states do not differ")


@PROXIES.register("input_gradient")
class InputGradient(Proxy):
    """log10 of the mean absolute gradient of the last layer's output at the embedding: the response to the input.

    Args:
        lag: of the input that many steps before the last one alone, so 0 is the last input, which reaches one output
            of a cell; None: of all inputs.

    Raises:
        ZeronasError: there is no such lag.
    """

    name = "input_gradient"
    title = "input gradient"
    source = "a check of this project"
    needs = frozenset({"forward", "backward"})
    layers = 1

    @validated
    def __init__(self, lag: Count | None = None) -> None:
        self.lag = lag

    def __call__(self, record: Record) -> float:
        """Returns it for the gradient (T, B, E)."""
        require_finite_states(record)
        gradient = record.embedding_grad
        if gradient is None:
            raise ProxyFailure("the pass made no input gradients")
        if self.lag is not None:
            if self.lag >= len(gradient):
                raise ProxyFailure("the pass has fewer steps")
            gradient = gradient[len(gradient) - 1 - self.lag]
        return _log10(_mean_size(gradient), "input gradients", "input gradients are zero")


@PROXIES.register("state_gradient")
class StateGradient(_OfLayer):
    """log10 of the gradient at the state that the first step reads, relative to that at the state after the last step.

    The gradients are of the sum of the last layer's outputs over all steps, their size the mean absolute value. The
    first state is zero and no output itself, so what reaches it has passed through at least one step of the cell, and
    what explodes has passed through all. At the last state of the last layer the gradient is 1.

    Args:
        layer: which layer, counted from 1.

    Raises:
        ZeronasError: there is no such layer number.
    """

    name = "state_gradient"
    title = "gradient over the steps"
    source = "a check of this project"
    needs = frozenset({"forward", "backward", "hidden_backward"})

    def __call__(self, record: Record) -> float:
        """Returns it for the gradients (T, B, d) at the states before each step, and (B, d) at the last state."""
        require_finite_states(record)
        if not record.hidden_grads:
            raise ProxyFailure("the pass made no gradients of the states")
        first = _mean_size(self._require_layer(record.hidden_grads)[0])
        last = _mean_size(self._require_layer(record.final_grads))
        what = "gradients of the states"
        return _log10(first, what, "nothing depends on the first state") - _log10(
            last, what, "nothing depends on the last state"
        )
