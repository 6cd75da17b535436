"""The paper's metrics of BERT configurations, as released and as they should be.

Source: Serianni & Kalita, "Training-free NAS for RNNs and Transformers" (ACL 2023, arXiv 2306.00288), section 3, and
the code and tables released with it.

Every metric has two variants. ``released`` is what the published column holds, on the ``released`` reading of
configurations and with a probe in train mode (drop-out on). ``corrected`` makes the definition sound. What all gradient
metrics share: the released backward pass starts from ones at the output of a LayerNorm whose gain is 1 and bias 0. The
entries of such an output sum to zero for any input, so every exact gradient is zero and the released values are the
rounding noise of float32 (in float64 they shrink by the ratio of the two epsilons, about 5e8). The corrected seed is
one random unit direction, the same for all tokens, examples and architectures of a hidden size.

``normalised`` is the mean over the tensors that a metric collects, else their sum, which mostly counts layers.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from proxies.base import PROXIES, Need, Proxy, ProxyFailure, Record, Tap, Weight, checked_variant
from proxies.covariance import correlation_score
from proxies.jacobian import cosine_score, released_cosine_score, require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BERT_IMPLEMENTATIONS",
    "BertActivationDistance",
    "BertJacobianCosine",
    "BertJacobianCovariance",
    "BertSynapticSaliency",
    "HeadConfidence",
    "HeadImportance",
    "SoftmaxConfidence",
    "SynapticDiversity",
    "agreement_sum",
    "kernel_log_determinant",
    "leaked_hooks",
    "mean_maximum",
]

_PAPER = "Serianni & Kalita 2023, section 3"
_PROJECTIONS = ("query", "key", "value", "weight", "input")
_SOFTMAXES = ("attention", "transform_softmax")
#: Linears of the operation proper that the released head importance takes: all but the kernel predictor and the output
_HEAD_LINEARS = (*_PROJECTIONS, "conv_out")


class _BertMetric(Proxy):
    spaces = ("bert",)
    source = _PAPER
    #: needs of each variant
    asks: ClassVar[dict[str, frozenset[Need]]]
    layers = 1
    #: what the tensors are that it collects
    collects: ClassVar[str]
    #: published column, without the ending " Normalized"
    published: ClassVar[str]

    def __init__(self, variant: str = "corrected", normalised: bool = True) -> None:
        self.variant = checked_variant(self.name, variant)
        self.normalised = bool(normalised)
        self.needs = self.asks[variant]

    @property
    def released(self) -> bool:
        """Whether this is the released variant."""
        return self.variant == "released"

    def column(self, benchmark: str) -> str | None:
        """Returns FlexiBERT's column of the released variant."""
        if benchmark != "flexibert" or not self.released:
            return None
        return self.published + (" Normalized" if self.normalised else "")

    def __call__(self, record: Record) -> float:
        """Returns the metric.

        Raises:
            ProxyFailure: hidden states are not finite, or what it needs is not in the network or the record.
        """
        require_finite_states(record)
        key = (self.name, self.variant)  # the normalised metric and the other share what is expensive
        if key not in record.kept:
            record.kept[key] = tuple(self._values(record))
        values = record.kept[key]
        if self.normalised and not values:
            raise ProxyFailure(f"the network has no {self.collects}")
        return math.fsum(values) / (len(values) if self.normalised else 1)

    @abstractmethod
    def _values(self, record: Record) -> list[float]:
        """Returns one value for each tensor that is collected."""


class _GradientMetric(_BertMetric):
    asks: ClassVar[dict[str, frozenset[Need]]] = {
        "released": frozenset({"forward", "weights", "backward_released"}),
        "corrected": frozenset({"forward", "weights", "backward"}),
    }
    needs = asks["corrected"]

    def _gradient(self, weight: Weight) -> Tensor:
        grad = weight.released_grad if self.released else weight.grad
        if grad is None:
            raise ProxyFailure("the record holds no gradients of weights")
        return grad


class _ForwardMetric(_BertMetric):
    asks: ClassVar[dict[str, frozenset[Need]]] = {
        "released": frozenset({"forward", "activations"}),
        "corrected": frozenset({"forward", "activations"}),
    }
    needs = asks["corrected"]


@PROXIES.register("synaptic_diversity")
class SynapticDiversity(_GradientMetric):
    """Synaptic diversity: the sum over attention weights of ||dL/dW||_nuc ||W||_nuc, nuclear norms.

    Paper: W_m the attention weights (after Zhou et al. 2022, TF-TAS). Released: all Linears of the operation block,
    the output Linear included: 4 for SDP, 5 for WMA, 1 for linear transforms, 6 for DSC; the gradients are rounding
    noise. Corrected: the same Linears with a seed that has a gradient, and their mean rather than their sum, since
    their number follows operation and depth.
    """

    name = "synaptic_diversity"
    title = "synaptic diversity"
    collects = "attention weights"
    published = "Synaptic Diversity"

    def _values(self, record: Record) -> list[float]:
        """Returns for each Linear (out, in) the product of the two nuclear norms."""
        found = [w for w in record.weights if w.part == "attention"]
        return [_nuclear(w.value) * _nuclear(self._gradient(w)) for w in found]


def _nuclear(matrix: Tensor) -> float:
    import torch

    if not bool(torch.isfinite(matrix).all()):
        raise ProxyFailure("gradients are not finite")
    return float(torch.linalg.svdvals(matrix).double().sum())


def _saliency(weight: Tensor, grad: Tensor) -> float:
    return float((weight.double() * grad.double()).abs().sum())


class BertSynapticSaliency(_GradientMetric):
    """Synaptic saliency of BERT: the sum over weights of |W dL/dW|, entry by entry.

    Paper: sum of dL/dtheta * theta over the parameters (Tanaka et al. 2020; for feed-forward blocks in TF-TAS).
    Released: absolute values, the Linears of the feed-forward blocks only; the gradients are rounding noise.
    Corrected: the same Linears with a seed that has a gradient, and their mean: a layer has two or four.
    """

    name = "synaptic_saliency"
    title = "synaptic saliency"
    collects = "feed-forward weights"
    published = "Synaptic Saliency"

    def _values(self, record: Record) -> list[float]:
        """Returns for each Linear (out, in) of the feed-forward blocks sum |W dL/dW|."""
        found = [w for w in record.weights if w.part == "feed_forward"]
        return [_saliency(w.value, self._gradient(w)) for w in found]


@PROXIES.register("head_importance")
class HeadImportance(_GradientMetric):
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
    published = "Head Importance"
    asks: ClassVar[dict[str, frozenset[Need]]] = {
        "released": frozenset({"forward", "weights", "backward_released"}),
        "corrected": frozenset({"forward", "activations", "backward"}),
    }
    needs = asks["corrected"]

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each Linear (released), or for the heads (B, n, T, d) of each layer (corrected)."""
        if self.released:
            linears = [w for w in record.weights if w.part == "attention" and w.name in _HEAD_LINEARS]
            return [_saliency(w.value, self._gradient(w)) for w in linears]
        heads = [tap for tap in record.taps if tap.name == "context"]
        return [_head_norm(tap) for tap in heads]


def _head_norm(tap: Tap) -> float:
    if tap.grad is None:
        raise ProxyFailure("the record holds no gradients of heads")
    product = tap.value.double() * tap.grad.double()  # (B, n, T, d)
    return float(product.flatten(2).norm(dim=-1).mean())


@PROXIES.register("head_confidence")
class HeadConfidence(_ForwardMetric):
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
    published = "Head Confidence"

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each Linear's output (B, T, a) (released), or layer (B, n, T, T) (corrected)."""
        if self.released:
            taps = [tap for tap in record.taps if tap.name in _PROJECTIONS]
            return [mean_maximum(tap.value, 1) for tap in taps]
        taps = [tap for tap in record.taps if tap.name in _SOFTMAXES]
        return [_confidence(tap) for tap in taps]


@PROXIES.register("softmax_confidence")
class SoftmaxConfidence(_ForwardMetric):
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
    published = "Head Softmax Confidence"

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each softmax output (B, n, T, T), corrected also for kernels (B, T, n, K)."""
        if self.released:
            taps = [tap for tap in record.taps if tap.name in _SOFTMAXES]
            return [mean_maximum(tap.value, 1) for tap in taps]
        taps = [tap for tap in record.taps if tap.name in (*_SOFTMAXES, "conv_kernel")]
        return [_confidence(tap) * _choices(tap) for tap in taps]


def _choices(tap: Tap) -> int:
    return tap.value.shape[2] if tap.name == "transform_softmax" else tap.value.shape[-1]  # of tokens, of keys, of K


def _confidence(tap: Tap) -> float:
    return 1 / _choices(tap) if tap.name == "transform_softmax" else mean_maximum(tap.value, -1)


def mean_maximum(tensor: Tensor, axis: int) -> float:
    """Returns the mean of the maxima along one axis."""
    return float(tensor.amax(dim=axis).double().mean())


class BertActivationDistance(_ForwardMetric):
    """Activation distance of BERT: how differently the feed-forward activations answer to different inputs.

    Paper: Hamming distance of the binary activation codes of the inputs (after Mellor et al. 2021). Released: the
    codes 1[GELU > 0] of the tokens of example 0 alone, and the sum of all entries of their agreement matrix
    K = X X^T + (1 - X)(1 - X)^T, so a greater value means more similar tokens; the published column that is not
    normalised is further multiplied by a number of leaked hooks (``leaked_hooks``), which is undone here: it is the
    normalised column times the number of activations. Corrected: codes of all examples (tokens x units bits each),
    ln det of K / bits per activation, as the original score, and the mean over activations, since their number is a
    choice of the space (ln det is negative, so the sum falls with their number).
    """

    name = "activation_distance"
    title = "activation distance"
    collects = "activations"
    published = "Activation Distance"

    def column(self, benchmark: str) -> str | None:
        """Returns FlexiBERT's column, which only the normalised metric has without leaked hooks."""
        return super().column(benchmark) if self.normalised else None

    def _values(self, record: Record) -> list[float]:
        """Returns one value for each activation (B, T, F)."""
        taps = [tap for tap in record.taps if tap.name == "activation"]
        if self.released:
            return [agreement_sum(tap.value[0]) for tap in taps]
        return [kernel_log_determinant(tap.value.flatten(1)) for tap in taps]


def agreement_sum(outputs: Tensor) -> float:
    """Returns the sum of all entries of K = X X^T + (1 - X)(1 - X)^T, X = 1[outputs > 0], for (tokens, units).

    K itself is not made: a unit that is on for n of T tokens adds n^2 + (T - n)^2.
    """
    on = (outputs > 0).sum(dim=0).double()
    off = outputs.shape[0] - on
    return float((on * on + off * off).sum())


def kernel_log_determinant(outputs: Tensor) -> float:
    """Returns ln det(K / bits), K the number of equal bits of the codes 1[outputs > 0] of two rows, (examples, bits).

    Raises:
        ProxyFailure: the codes are linearly dependent, as two equal ones are.
    """
    import torch

    x = (outputs > 0).to(outputs.dtype)
    kernel = x @ x.T + (1 - x) @ (1 - x).T  # whole numbers, exact in float32 up to 2^24
    sign, value = torch.linalg.slogdet(kernel.double() / x.shape[1])
    if not sign > 0 or not bool(torch.isfinite(value)):
        raise ProxyFailure("activation codes of examples are dependent")
    return float(value)


class _BertJacobian(_GradientMetric):
    collects = "inputs"
    asks: ClassVar[dict[str, frozenset[Need]]] = {
        "released": frozenset({"forward", "weights", "backward_released"}),
        "corrected": frozenset({"forward", "backward"}),
    }
    needs = asks["corrected"]

    def __init__(self, variant: str = "corrected") -> None:
        super().__init__(variant, normalised=False)

    def _rows(self, record: Record) -> Tensor:
        if not self.released:
            if record.embedding_grad is None:
                raise ProxyFailure("the record holds no gradient of the embedding")
            return record.embedding_grad.transpose(0, 1).flatten(1)  # (T, B, h) -> (B, T*h)
        for weight in record.weights:
            if weight.name == "position" and weight.part == "embedding":
                return self._gradient(weight).T  # (positions, E) -> (E, positions)
        raise ProxyFailure("the record holds no position table")


class BertJacobianCovariance(_BertJacobian):
    """Jacobian covariance of BERT: the correlation score of the gradients of the inputs; higher is better.

    Paper: J = [dL/dx_1 ... dL/dx_N] over the N examples, S of its correlation matrix (Mellor et al. 2021), k = 1e-5.
    Released: J is the gradient of the position table summed over examples, its rows the 128 embedding dimensions and
    its columns the positions, and rounding noise; the LayerNorm of the embeddings makes one eigenvalue vanish always,
    which adds -99,988.5. Corrected: rows are the examples, columns tokens x channels of what enters the first layer,
    with a seed that has a gradient.
    """

    name = "jacobian_covariance"
    title = "Jacobian covariance"
    published = "Jacobian Score"

    def _values(self, record: Record) -> list[float]:
        """Returns S of the rows (128, positions) (released) or (B, T*h) (corrected)."""
        return [correlation_score(self._rows(record), of="gradients", constant="constant gradients")]


class BertJacobianCosine(_BertJacobian):
    """Jacobian cosine of BERT: one minus the mean of |cos|^(1/20) between gradients of inputs; higher is better.

    Paper: Celotti et al. 2020. Released: the rows of the released Jacobian covariance, half the mean; the published
    column is headed "Jacobian Score Normalized". Corrected: rows are the examples, with a seed that has a gradient.
    """

    name = "jacobian_cosine"
    title = "Jacobian cosine"
    published = "Jacobian Score Normalized"

    def _values(self, record: Record) -> list[float]:
        """Returns the cosine score of the rows (128, positions) (released) or (B, T*h) (corrected)."""
        rows = self._rows(record)
        return [released_cosine_score(rows) if self.released else cosine_score(rows)]


def leaked_hooks(layers: Sequence[int], fresh: Sequence[int] = (365,), before: int = 26) -> list[int]:
    """Returns by how many hooks the published column "Activation Distance" was multiplied, row by row.

    The released code hooks an activation module that all layers of all its models share, and never removes a hook:
    each network adds one hook a layer, and every activation is then recorded once a hook. The column is
    "Activation Distance Normalized" x activations x hooks in all 500 rows.

    Args:
        layers: depth of each network, in the order of their ids.
        fresh: ids at which a new session began, without any hooks.
        before: hooks that were there at the first network.
    """
    found, hooks = [], before
    for number, depth in enumerate(layers):
        hooks = (0 if number in fresh else hooks) + depth
        found.append(hooks)
    return found


#: the metrics whose names cells have as well
BERT_IMPLEMENTATIONS: dict[str, type[_BertMetric]] = {
    kind.name: kind
    for kind in (BertSynapticSaliency, BertActivationDistance, BertJacobianCovariance, BertJacobianCosine)
}
