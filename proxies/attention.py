"""Metrics of operations that mix tokens, attention above all, as released and as they should be.

Source: Serianni & Kalita, "Training-free NAS for RNNs and Transformers" (ACL 2023, arXiv 2306.00288), section 3, and
the code and tables released with it.

``released`` is what the published column holds, on the ``scored`` reading of BERT configurations and with a probe in
train mode (drop-out on). ``corrected`` makes the definition sound. What all gradient metrics share: the released
backward pass starts from ones at the output of a LayerNorm whose gain is 1 and bias 0. The entries of such an output
sum to zero for any input, so every exact gradient is zero and the released values are the rounding noise of float32
(in float64 they shrink by the ratio of the two epsilons, about 5e8). The corrected seed is one random unit direction,
the same for all tokens, examples and architectures of a hidden size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from proxies.base import PROXIES, ProxyFailure, Record, Tap
from proxies.collected import Collected, gradient, total_saliency

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HeadConfidence", "HeadImportance", "SoftmaxConfidence", "SynapticDiversity", "mean_maximum"]

_PROJECTIONS = ("query", "key", "value", "weight", "input")
_SOFTMAXES = ("attention", "transform_softmax")
#: Linears of the operation proper that the released head importance takes: all but the kernel predictor and the output
_HEAD_LINEARS = (*_PROJECTIONS, "conv_out")


@PROXIES.register("synaptic_diversity")
class SynapticDiversity(Collected):
    """Synaptic diversity: the sum over attention weights of ||dL/dW||_nuc ||W||_nuc, nuclear norms.

    Paper: W_m the attention weights (after Zhou et al. 2022, TF-TAS). Released: all Linears of the operation block,
    the output Linear included: 4 for SDP, 5 for WMA, 1 for linear transforms, 6 for DSC; the gradients are rounding
    noise. Corrected: the same Linears with a seed that has a gradient, and their mean rather than their sum, since
    their number follows operation and depth.
    """

    name = "synaptic_diversity"
    title = "synaptic diversity"
    collects = "attention weights"
    needs = frozenset({"forward", "weights", "attention", "backward"})
    asks: ClassVar = {"released": frozenset({"forward", "weights", "attention", "backward_released"})}

    def _values(self, record: Record) -> list[float]:
        """Returns for each Linear (out, in) the product of the two nuclear norms."""
        found = [w for w in record.weights if w.part == "attention"]
        return [_nuclear(w.value) * _nuclear(gradient(w, self.released)) for w in found]


def _nuclear(matrix: Tensor) -> float:
    import torch

    if not bool(torch.isfinite(matrix).all()):
        raise ProxyFailure("gradients are not finite")
    return float(torch.linalg.svdvals(matrix).double().sum())


@PROXIES.register("head_importance")
class HeadImportance(Collected):
    """Head importance: the mean over heads of ||Att_h(X) * dL/dAtt_h(X)||.

    Paper: Att_h(X) is a head's output (after Michel et al. 2019). Released: no head and no output is in it; it is
    the sum of |W dL/dW| over the Linears of the operation with at least 128 outputs (query, key, value, WMA's
    weight, the Linear of transforms, DSC's convolved value; not the output Linear), and the gradients are rounding
    noise. These Linears are taken by name, so that narrower readings have them too. Corrected: the norm, over tokens
    and channels, of the elementwise product of each head's output and its gradient, averaged over examples and heads,
    then over layers. A head of a linear transform is its part of the transform; of DSC the attending heads count.
    """

    name = "head_importance"
    title = "head importance"
    collects = "attention weights"
    needs = frozenset({"forward", "activations", "attention", "backward"})
    asks: ClassVar = {"released": frozenset({"forward", "weights", "attention", "backward_released"})}

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each Linear (released), or for the heads (B, n, T, d) of each layer (corrected)."""
        if self.released:
            linears = [w for w in record.weights if w.part == "attention" and w.name in _HEAD_LINEARS]
            return [total_saliency(w, released=True) for w in linears]
        heads = [tap for tap in record.taps if tap.name == "context"]
        return [_head_norm(tap) for tap in heads]


def _head_norm(tap: Tap) -> float:
    if tap.grad is None:
        raise ProxyFailure("the record holds no gradients of heads")
    product = tap.value.double() * tap.grad.double()  # (B, n, T, d)
    return float(product.flatten(2).norm(dim=-1).mean())


class _Confidence(Collected):
    needs = frozenset({"forward", "activations", "attention"})
    #: names of the taps of each variant
    taps: ClassVar[dict[str, tuple[str, ...]]]

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each tap: released its maximum over axis 1, corrected over the choices."""
        taps = [tap for tap in record.taps if tap.name in self.taps[self.variant]]
        return [mean_maximum(tap.value, 1) if self.released else self._corrected(tap) for tap in taps]

    def _corrected(self, tap: Tap) -> float:
        """Returns the mean of the greatest probability of each distribution: (B, n, T, T) over keys, for one."""
        return 1 / _choices(tap) if tap.name == "transform_softmax" else mean_maximum(tap.value, -1)


@PROXIES.register("head_confidence")
class HeadConfidence(_Confidence):
    """Head confidence, the paper's "attention confidence": how much attention heads give to one token, on average.

    Paper: A_h = (1/N) sum_n |max(Att_h(x_n))|, averaged over heads (after Voita et al. 2019). Released: not
    attention but the outputs of its Linears (query, key, value, WMA's weight, the Linear of transforms), their
    maximum over token positions, averaged over examples and channels; summed, it counts Linears of later layers.
    Corrected: attention probabilities, their maximum over keys, averaged over examples, heads and queries, then over
    layers. A linear transform of T tokens weighs all of them alike, so its layer has 1/T.
    """

    name = "head_confidence"
    title = "head confidence"
    collects = "operations"
    #: released (B, T, a), corrected (B, n, T, T)
    taps: ClassVar = {"released": _PROJECTIONS, "corrected": _SOFTMAXES}


@PROXIES.register("softmax_confidence")
class SoftmaxConfidence(_Confidence):
    """Softmax confidence: how peaked the softmax distributions of the operations are.

    Paper: head confidence of the softmax output. Released: the maximum over heads, not keys, of the softmax (B, n, T,
    T), averaged, so that one head gives exactly 1/T; linear transforms contribute a softmax over channels that the
    network does not use. Corrected: every distribution that the network uses (attention over T keys, the kernels of
    DSC over K positions), its maximum times its number of choices (1 when uniform), averaged, then over tensors. A
    linear transform weighs all tokens alike, so it has 1.
    """

    name = "softmax_confidence"
    title = "softmax confidence"
    collects = "softmax"
    #: (B, n, T, T), of a kernel (B, T, n, K)
    taps: ClassVar = {"released": _SOFTMAXES, "corrected": (*_SOFTMAXES, "conv_kernel")}

    def _corrected(self, tap: Tap) -> float:
        return super()._corrected(tap) * _choices(tap)


def _choices(tap: Tap) -> int:
    return tap.value.shape[2] if tap.name == "transform_softmax" else tap.value.shape[-1]  # of tokens, of keys, of K


def mean_maximum(tensor: Tensor, axis: int) -> float:
    """Returns the mean of the maxima along one axis."""
    return float(tensor.amax(dim=axis).double().mean())
