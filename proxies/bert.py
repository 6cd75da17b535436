"""What BERT configurations have as metrics of their own, where the name means another thing than for cells.

``released`` is what the published column holds, on the ``scored`` reading and with a probe in train mode; its
gradients are rounding noise (see ``proxies.attention``). ``corrected`` makes the definition sound.

Source: Serianni & Kalita, "Training-free NAS for RNNs and Transformers" (ACL 2023, arXiv 2306.00288), section 3, and
the code and tables released with it; NSC's of Zhu et al. 2026 (arXiv 2609.23087).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from nas.core.options import validated
from proxies.base import PROXIES, ProxyFailure, Record
from proxies.capacity import NSC, Aggregate, Init, variance
from proxies.collected import Collected, gradient, total_saliency
from proxies.covariance import correlation_score
from proxies.jacobian import JacobianCosine, JacobianCovariance, released_cosine_score, require_finite_states
from spaces.base import Matrix

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BertActivationDistance",
    "BertJacobianCosine",
    "BertJacobianCovariance",
    "BertNSC",
    "BertSynapticSaliency",
    "agreement_sum",
    "kernel_log_determinant",
]


@PROXIES.register("synaptic_saliency", "bert")
class BertSynapticSaliency(Collected):
    """Synaptic saliency of BERT: the sum over weights of |W dL/dW|, entry by entry.

    Paper: sum of dL/dtheta * theta over the parameters (Tanaka et al. 2020; for feed-forward blocks in TF-TAS).
    Released: absolute values, the Linears of the feed-forward blocks only; the gradients are rounding noise.
    Corrected: the same Linears with a seed that has a gradient, and their mean: a layer has two or four.
    """

    name = "synaptic_saliency"
    title = "synaptic saliency"
    collects = "feed-forward weights"
    needs = frozenset({"forward", "weights", "backward"})
    asks: ClassVar = {"released": frozenset({"forward", "weights", "backward_released"})}

    def _values(self, record: Record) -> list[float]:
        """Returns for each Linear (out, in) of the feed-forward blocks sum |W dL/dW|."""
        found = [w for w in record.weights if w.part == "feed_forward"]
        return [total_saliency(w, self.released) for w in found]


@PROXIES.register("activation_distance", "bert")
class BertActivationDistance(Collected):
    """Activation distance of BERT: how differently the feed-forward activations answer to different inputs.

    Paper: Hamming distance of the binary activation codes of the inputs (after Mellor et al. 2021). Released: the
    codes 1[GELU > 0] of the tokens of example 0 alone, and the sum of all entries of their agreement matrix
    K = X X^T + (1 - X)(1 - X)^T, so a greater value means more similar tokens; the published column that is not
    normalised is further multiplied by a number of leaked hooks, which is undone here: it is the normalised column
    times the number of activations. Corrected: codes of all examples (tokens x units bits each), ln det of K / bits per
    activation, as the original score, and the mean over activations, since their number is a choice of the space (ln
    det is negative, so the sum falls with their number).
    """

    name = "activation_distance"
    title = "activation distance"
    collects = "activations"
    needs = frozenset({"forward", "activations"})

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


def _position_rows(record: Record) -> Tensor:
    """Returns the gradient of the position table as rows of embedding dimensions, (128, positions)."""
    require_finite_states(record)
    for weight in record.weights:
        if weight.name == "position" and weight.part == "embedding":
            return gradient(weight, released=True).T
    raise ProxyFailure("the record holds no position table")


@PROXIES.register("jacobian_covariance", "bert")
class BertJacobianCovariance(JacobianCovariance):
    """Jacobian covariance of BERT: the correlation score of the gradients of the inputs; higher is better.

    Paper: J = [dL/dx_1 ... dL/dx_N] over the N examples, S of its correlation matrix (Mellor et al. 2021), k = 1e-5.
    Released: J is the gradient of the position table summed over examples, its rows the 128 embedding dimensions and
    its columns the positions, and rounding noise; the LayerNorm of the embeddings makes one eigenvalue vanish always,
    which adds -99,988.5. Corrected: rows are the examples, columns tokens x channels of what enters the first layer,
    with a seed that has a gradient.
    """

    asks: ClassVar = {"released": frozenset({"forward", "weights", "backward_released"})}

    def __call__(self, record: Record) -> float:
        """Returns S of the rows (128, positions) (released) or (B, T*h) (corrected)."""
        if not self.released:
            return super().__call__(record)
        return correlation_score(_position_rows(record), of="gradients", constant="constant gradients")


@PROXIES.register("jacobian_cosine", "bert")
class BertJacobianCosine(JacobianCosine):
    """Jacobian cosine of BERT: one minus the mean of |cos|^(1/20) between gradients of inputs; higher is better.

    Paper: Celotti et al. 2020. Released: the rows of the released Jacobian covariance, half the mean; the published
    column is headed "Jacobian Score Normalized". Corrected: rows are the examples, with a seed that has a gradient.
    """

    asks: ClassVar = {"released": frozenset({"forward", "weights", "backward_released"})}

    def __call__(self, record: Record) -> float:
        """Returns the cosine score of the rows (128, positions) (released) or (B, T*h) (corrected)."""
        return released_cosine_score(_position_rows(record)) if self.released else super().__call__(record)


@PROXIES.register("nsc", "bert")
class BertNSC(NSC):
    """NSC, neural spectral capacity: the sum over weight matrices of the expected ln det(I + W^T W).

    ``ops=published`` counts the matrices that the authors' code lists, which are not those of the modules: with h the
    hidden size, F the feed-forward width and f the number of feed-forward activations, a layer has a (3h, h) and an
    (h, h) matrix for self-attention, two (h, h) for a linear transform, one for a convolution, and f pairs of
    (F // f, h) and (h, F // f). Under the ``stated`` reading it gives the published tau .695 and rho .884 exactly, and
    with ``aggregate=product`` the rho .917 of the authors' ablation (tau .734, which they do not state).
    ``ops=real`` counts the Linears that the reading has.

    Args:
        ops: "published" or "real".
        init: "normal02", "xavier" or "torch"; the published one is Xavier.
        per_head: with ops=real, take the rows of each head as one matrix.
        aggregate: "sum" or "product", over the layers.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    @validated
    def __init__(
        self,
        ops: Literal["published", "real"] = "real",
        init: Init = "xavier",
        per_head: bool = False,
        aggregate: Aggregate = "sum",
    ) -> None:
        super().__init__(init, per_head, aggregate)
        self.ops = ops

    def _shapes(self, layer: Sequence[Matrix]) -> list[tuple[int, int, int, float]]:
        if self.ops == "real":
            return super()._shapes(layer)
        names, last = {matrix.name for matrix in layer}, layer[-1]  # dense_out, (h, F)
        h, repeats = last.rows, sum(matrix.part == "feed_forward" for matrix in layer) - 1
        if "query" in names and "conv_kernel" not in names:
            shapes = [(3 * h, h), (h, h)]
        else:  # a linear transform or a convolution
            shapes = [(h, h)] * (2 if "input" in names else 1)
        width = last.columns // repeats
        shapes += [(width, h), (h, width)] * repeats
        return [(1, rows, columns, variance(rows, columns, self.init)) for rows, columns in shapes]
