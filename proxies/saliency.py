"""Saliency metrics: how much weights, or hidden states, matter to the output of an untrained network.

The backward pass starts from L, the sum of the last layer's outputs over steps, examples and units.

Source: Serianni & Kalita (ACL 2023, arXiv 2306.00288), section 3; after SynFlow (Tanaka et al. 2020, arXiv 2006.05467),
without its all-ones input and absolute weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxies.base import PROXIES, ProxyFailure, Record, VariantProxy, Weight
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HiddenSynapticSaliency", "SynapticSaliency"]


def _product(value: Tensor, grad: Tensor | None) -> float:
    """Returns sum |value * grad| in float64."""
    if grad is None:
        raise ProxyFailure("the pass made no gradients")
    return float((value * grad).abs().double().sum())


def _finite(total: float) -> float:
    if not total < float("inf"):
        raise ProxyFailure("gradients are not finite")
    return total


@PROXIES.register("synaptic_saliency")
class SynapticSaliency(VariantProxy):
    """The sum of |w dL/dw| over weights; higher is meant to be better, but in the published table it is not.

    Paper: sum of theta dL/dtheta over all parameters. Published column (``variant="released"``): absolute values, over
    the weights of every linear node except the one of its *first* input, which a loop from 1 leaves out, and over the
    embedding matrix, which is met as the tied decoder although the decoder is not run; no biases; L as above (the
    released notebook starts the backward pass from the outputs themselves, the published column does not). Which
    input is first is a matter of how the recipe is written, so the variant needs the probe's ``init=replayed``;
    elsewhere it is the first of the canonical order. ``variant="corrected"``: the weights of all inputs of all linear
    nodes, no embedding, so that the value is of the cell and does not depend on how it is written.

    The published column goes with a *higher* loss (tau +.12), against the intended direction that is kept here.

    Args:
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such variant.
    """

    name = "synaptic_saliency"
    title = "synaptic saliency"
    source = "Serianni & Kalita 2023, section 3; Tanaka et al. 2020"
    needs = frozenset({"forward", "backward", "weights"})
    layers = 1

    def _counts(self, weight: Weight) -> bool:
        if not self.released:
            return weight.part != "embedding"
        return weight.part == "embedding" or weight.position >= 1

    def __call__(self, record: Record) -> float:
        """Returns the sum over the weights (out, in) that the variant counts."""
        require_finite_states(record)
        return _finite(sum(_product(w.value, w.grad) for w in record.weights if self._counts(w)))


@PROXIES.register("hidden_synaptic_saliency")
class HiddenSynapticSaliency(VariantProxy):
    """The sum of |h dL/dh| over hidden states h_0; higher is meant to be better, but in the published table it is not.

    Published column (``variant="released"``): the sum over layers, steps, examples and units of the state *before*
    each step, one backward pass (the released notebook adds up six passes, the column holds one). The zero initial
    states add nothing and the last state of each layer is left out. ``variant="corrected"``: the states after each
    step, and the mean instead of the sum, so that probes of several sizes compare.

    The published column goes with a *higher* loss (tau +.27), against the intended direction that is kept here.

    Args:
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such variant.
    """

    name = "hidden_synaptic_saliency"
    title = "hidden synaptic saliency"
    source = "Serianni & Kalita 2023, section 3"
    needs = frozenset({"forward", "backward", "hidden_backward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the sum over hidden states (T, B, h) of all layers, or their mean."""
        require_finite_states(record)
        if not record.hidden_grads:
            raise ProxyFailure("the pass made no gradients")
        total = sum(_product(h, grad) for h, grad in zip(record.hidden, record.hidden_grads, strict=True))
        if self.released:
            return _finite(total)
        # The zero state before the first step adds nothing to the sum: with the last state, T states are left.
        total += sum(_product(h, grad) for h, grad in zip(record.final, record.final_grads, strict=True))
        return _finite(total / sum(h.numel() for h in record.hidden))
