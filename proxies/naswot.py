"""NASWOT: how far apart the activation codes of a batch's examples lie in an untrained network.

Source: Mellor et al., "Neural Architecture Search without Training" (ICML 2021, arXiv 2006.04647), section 3. Their
released code and Abdelfattah et al.'s (ICLR 2021, arXiv 2101.08134) were read.
"""

from __future__ import annotations

from proxies.activation import log_determinant, summed_agreement
from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states

__all__ = ["Naswot"]

#: the least eigenvalue of a singular K is zero but for this share of its trace
_ROUNDING = 1e-12


@PROXIES.register("naswot")
class Naswot(Proxy):
    """ln det of the Hamming kernel K of the examples' activation codes, summed over all activation layers.

    K_ij is the number of bits on which the codes of examples i and j agree. Paper and released code: a code has one
    bit for each ReLU unit, set where its input is positive. Here a bit is set where the input of the activation
    function is positive, for GELU, tanh and leaky ReLU the same as where its output is, and for the sigmoid where its
    output is above 1/2. A unit counts once for each position or step, as it does for each place of a feature map.

    ln det K grows with the number of bits, about B ln(bits), so across sizes it ranks by size; ``activation_distance``
    is the same kernel on one scale for all sizes.
    """

    name = "naswot"
    title = "NASWOT"
    source = "Mellor et al. 2021, section 3"
    needs = frozenset({"forward", "activations"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns ln det K (B, B).

        Raises:
            ProxyFailure: there is no activation function, two codes are the same, or the codes are dependent.
        """
        import torch

        require_finite_states(record)
        taps = (tap for tap in record.taps if tap.is_activation)
        kernel, bits = summed_agreement(tap.by_example() > tap.centre for tap in taps)
        value = log_determinant(kernel, bits)
        # the determinant of a singular K is seldom exactly zero: what is left is rounding
        if float(torch.linalg.eigvalsh(kernel)[0]) <= _ROUNDING * float(kernel.trace()):
            raise ProxyFailure("activation codes are linearly dependent")
        return value
