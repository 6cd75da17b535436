"""Activation distance: how many activations of an untrained network tell the examples of a batch apart.

Source: Serianni & Kalita (ACL 2023, arXiv 2306.00288), section 3; after NASWOT (Mellor et al. 2021, arXiv 2006.04647).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nas.core.options import Positive, validated
from proxies.base import PROXIES, ProxyFailure, Record, Variant, VariantProxy
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ActivationDistance", "agreement", "log_determinant", "summed_agreement"]


def agreement(active: Tensor) -> Tensor:
    """Returns K (B, B) in float64: on how many of its bits the codes of two examples agree, n minus Hamming distance.

    Args:
        active: (B, n) bool, one code per example; n below 2^24, so that float32 counts exactly.
    """
    signs = active.float() * 2 - 1
    return (active.shape[1] + (signs @ signs.T).double()) / 2  # agreements minus disagreements, plus all, halved


def summed_agreement(codes: Iterable[Tensor]) -> tuple[Tensor, int]:
    """Returns the sum of ``agreement`` over codes (B, n), and of how many bits it is in all.

    Raises:
        ProxyFailure: there is no code.
    """
    total, bits = None, 0
    for code in codes:
        total = agreement(code) + (0 if total is None else total)
        bits += code.shape[1]
    if total is None:
        raise ProxyFailure("no activation nodes")
    return total, bits


def log_determinant(kernel: Tensor, bits: int) -> float:
    """Returns ln det K of a sum of agreements (B, B) over ``bits`` bits.

    Raises:
        ProxyFailure: K is singular.
    """
    import torch

    if bool((kernel - kernel.diagonal().diag()).max() >= bits):
        raise ProxyFailure("two examples have the same activation code")
    sign, value = torch.linalg.slogdet(kernel)
    if not float(sign) > 0:
        raise ProxyFailure("activation codes are linearly dependent")
    return float(value)


@PROXIES.register("activation_distance")
class ActivationDistance(VariantProxy):
    """ln det of the matrix K of the agreements between the examples' activation codes; higher (more apart) is better.

    Paper: Hamming distances between binary codes of the inputs. A code has one bit per unit of each activation node
    (tanh, sigmoid, leaky ReLU), step and layer. Published column (``variant="released"``): a bit is set where the
    node's *output* is positive, which a sigmoid's always is, so that sigmoids add the same constant to all entries of
    K; and ln det K grows with the number of bits, that is of activation nodes. It is of one forward pass (the released
    notebook adds up two, which is B ln 2 more). ``variant="corrected"``: a sigmoid's bit is set where its input is
    positive (its output above 1/2), and the score is the mean of ln(lambda + k) over the B eigenvalues lambda of
    K / bits, at most ln(1 + k): on one scale for any number of examples, units, nodes, steps and layers, and finite
    where two examples have the same code.

    Args:
        variant: "released" or "corrected".
        k: the constant k of the corrected variant.

    Raises:
        ZeronasError: no such variant, or k is not positive.
    """

    name = "activation_distance"
    title = "activation distance"
    source = "Serianni & Kalita 2023, section 3; Mellor et al. 2021"
    needs = frozenset({"forward", "activations"})
    layers = 1

    @validated
    def __init__(self, variant: Variant = "corrected", k: Positive = 1e-5) -> None:
        super().__init__(variant)
        self.k = k

    def __call__(self, record: Record) -> float:
        """Returns ln det K over the outputs of all activation functions, or the mean of ln(lambda + k)."""
        import torch

        require_finite_states(record)
        taps = (tap for tap in record.taps if tap.is_activation)
        total, bits = summed_agreement(tap.by_example() > (0.0 if self.released else tap.centre) for tap in taps)
        if not self.released:
            return float((torch.linalg.eigvalsh(total / bits).clamp(min=0) + self.k).log().mean())
        return log_determinant(total, bits)
