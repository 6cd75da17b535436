"""Scores from the neural tangent kernel of an untrained network: how fast and how evenly training would start.

K_ij is the inner product of what examples i and j add to the gradient of L, over the weights of the linears of all
layers; L is the scalar that ``proxies.pruning`` describes, so each example has one output: for cells the sum over
steps and units, for encoders the sum over tokens along one random direction. Published values use logits or a loss.
No embedding, bias or convolution counts. The kernel (B, B) is that of the probe's one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NTKCondition", "NTKTrace"]

#: a smallest eigenvalue below this share of the largest is rounding: eigenvalues are squares of the singular values of
#: gradients, which float32 knows to about 1e-6 of the largest
_ROUNDING = 1e-12


def _kernel(record: Record) -> Tensor:
    import torch

    require_finite_states(record)
    if record.kernel is None:
        raise ProxyFailure("the network has no weights")
    if not bool(torch.isfinite(record.kernel).all()):
        raise ProxyFailure("gradients are not finite")
    return record.kernel


@PROXIES.register("ntk_trace")
class NTKTrace(Proxy):
    """Trace of the neural tangent kernel: the sum over examples of the squared norm of an example's gradient.

    Shu et al. 2022 (NASI, arXiv 2109.00817) bound the loss by the kernel's trace norm, which is its trace, and estimate
    it by the gradient of a batch; Shu et al. 2022 (HNAS, arXiv 2201.09785) take the root of the trace over the number
    of examples, which ranks alike. A sum over weights: larger networks score higher for their size alone.
    """

    name = "ntk_trace"
    title = "NTK trace"
    source = "Shu et al. 2022 (NASI; HNAS)"
    needs = frozenset({"forward", "tangent_kernel"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the trace of the kernel (B, B)."""
        return float(_kernel(record).trace())


@PROXIES.register("ntk_condition")
class NTKCondition(Proxy):
    """Condition number of the neural tangent kernel: its largest eigenvalue over the smallest; lower is better.

    Chen et al. 2021 (TE-NAS, arXiv 2102.11535), section 3; their released code has the gradient of the sum of an
    example's logits, networks in training mode, and weights alone, as here. A ratio: size does not enter as a sum.
    """

    name = "ntk_condition"
    title = "NTK condition number"
    source = "Chen et al. 2021 (TE-NAS), section 3"
    needs = frozenset({"forward", "tangent_kernel"})
    layers = 1
    higher_is_better = False

    def __call__(self, record: Record) -> float:
        """Returns the condition number of the kernel (B, B).

        Raises:
            ProxyFailure: there is one example, or the kernel is singular up to rounding, as with two equal examples.
        """
        import torch

        kernel = _kernel(record)
        if len(kernel) < 2:
            raise ProxyFailure("one example has nothing to differ from")
        eigenvalues = torch.linalg.eigvalsh(kernel)  # ascending
        smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
        if not smallest > _ROUNDING * largest:
            raise ProxyFailure("gradients of examples are dependent")
        return largest / smallest
