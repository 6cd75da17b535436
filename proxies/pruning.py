"""Criteria of pruning at initialisation, summed over a whole network: how much its weights matter to its output.

They were defined on a loss. No label is needed here: L is the scalar that the probe differentiates, for cells the sum
of the outputs over steps, examples and units, for encoders the sum over tokens and examples of the output along one
random unit direction (an encoder's output sums to zero, so ones have no gradient). Published values use a loss, or the
rounding noise of ones, and cannot be expected back.

What counts are the weights of the linears of all layers: of cells those of every input of every linear node, of
encoders those of the operation and of the feed-forward block. Embeddings, biases and convolutions do not. All four are
sums, so a larger network scores higher for its size alone; none is divided by anything.

Sources: SNIP, Lee et al. 2019 (arXiv 1810.02340); GraSP, Wang et al. 2020 (arXiv 2002.07376); Fisher, Turner et al.
2020 (BlockSwap, arXiv 1906.04113) after Theis et al. 2018 (arXiv 1801.05787). As scores of architectures, and the
gradient norm: Abdelfattah et al. 2021 (arXiv 2101.08134), section 3, and their released code (zero-cost-nas).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from proxies.base import PROXIES, Proxy, ProxyFailure, Record, Weight
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SNIP", "Fisher", "GraSP", "GradNorm", "layer_weights", "present", "total"]


def layer_weights(record: Record) -> list[Weight]:
    """Returns the weights of the layers' linears.

    Raises:
        ProxyFailure: hidden states are not finite, or there is no such weight.
    """
    require_finite_states(record)
    found = [weight for weight in record.weights if weight.part != "embedding"]
    if not found:
        raise ProxyFailure("the network has no weights")
    return found


def present(tensor: Tensor | None, what: str) -> Tensor:
    """Returns a tensor of the record in float64.

    Raises:
        ProxyFailure: the pass did not make it.
    """
    if tensor is None:
        raise ProxyFailure(f"the pass made no {what}")
    return tensor.double()


def total(values: list[float], what: str) -> float:
    """Returns the sum.

    Raises:
        ProxyFailure: a value is not finite ("WHAT are not finite").
    """
    if not all(math.isfinite(value) for value in values):
        raise ProxyFailure(f"{what} are not finite")
    return math.fsum(values)


@PROXIES.register("snip")
class SNIP(Proxy):
    """SNIP: the sum over weights of |g theta|, g the gradient of L.

    Lee et al. 2019, without the division by the sum over all weights, which would make it 1 for every architecture;
    so summed by Abdelfattah et al. 2021, section 3. Their released code takes the gradient at a mask of ones on the
    weights, which is g theta. Where all weights are of one part, as in cells, it is the corrected synaptic saliency.
    A sum over weights and, in g, over examples.
    """

    name = "snip"
    title = "SNIP"
    source = "Lee et al. 2019; Abdelfattah et al. 2021, section 3"
    needs = frozenset({"forward", "weights", "backward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the sum over all entries of the weights (out, in)."""
        found = layer_weights(record)
        return total([float((present(w.grad, "gradients") * w.value).abs().sum()) for w in found], "gradients")


@PROXIES.register("grad_norm")
class GradNorm(Proxy):
    """Gradient norm: the sum over weight matrices of ||g||_2, the Euclidean norm of the gradient of L.

    Abdelfattah et al. 2021, section 3: "the sum of the Euclidean norm of the gradients", one norm for each layer in
    their released code. A sum over matrices: of a cell's linear node each input has one.
    """

    name = "grad_norm"
    title = "gradient norm"
    source = "Abdelfattah et al. 2021, section 3"
    needs = frozenset({"forward", "weights", "backward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the sum over the gradients (out, in)."""
        found = layer_weights(record)
        return total([float(present(w.grad, "gradients").norm()) for w in found], "gradients")


@PROXIES.register("grasp")
class GraSP(Proxy):
    """GraSP: minus the sum over weights of theta (H g), H the Hessian and g the gradient of L; higher is better.

    H is that of all weights of the layers together. Wang et al. 2020 score a weight by -theta (H g) and remove those of
    the highest score, as that keeps the gradient flow. Abdelfattah et al. 2021 sum it with this sign; their released
    code says that the sign was chosen for how accuracy goes with it. A sum over weights, of both signs, and in g and H
    over examples.
    """

    name = "grasp"
    title = "GraSP"
    source = "Wang et al. 2020; Abdelfattah et al. 2021, section 3"
    needs = frozenset({"forward", "weights", "hessian"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns minus the sum over all entries of the weights (out, in)."""
        found = layer_weights(record)
        what = "second derivatives"
        return -total([float((present(w.curvature, what) * w.value).sum()) for w in found], what)


@PROXIES.register("fisher")
class Fisher(Proxy):
    """Fisher: the sum over channels of half the mean over examples of (sum of z dL/dz)^2.

    z are the outputs of the linears before any activation function, a channel one of their units, and the sum in the
    brackets is over the tokens or steps of an example, as it is over the places of an image in Turner et al. 2020.
    They take z after the activation function. The released code of Abdelfattah et al. 2021 takes it as here, and counts
    each channel as often as it has inputs, which is left out. LPZero's code for encoders takes each token for an
    example. A sum over channels and layers.
    """

    name = "fisher"
    title = "Fisher"
    source = "Turner et al. 2020; Abdelfattah et al. 2021, section 3"
    needs = frozenset({"forward", "linear_backward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns it for the outputs (B, T, out) or (T, B, h)."""
        require_finite_states(record)
        if not record.outputs:
            raise ProxyFailure("the network has no weights")
        found = []
        for tap in record.outputs:
            product = present(tap.grad, "gradients") * tap.value
            per_channel = product.sum(dim=1 - tap.examples)  # over tokens or steps: (B, out)
            found.append(float(per_channel.square().mean(dim=0).sum()) / 2)
        return total(found, "gradients")
