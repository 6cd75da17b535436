"""Principal components of features: how their variance is spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxies.base import ProxyFailure

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["variance_shares"]


def variance_shares(features: Tensor) -> Tensor:
    """Returns the share of each principal component in the variance, decreasing, in float64: min(N, d) of them.

    The features are centred by channel. The smaller of the two matrices of inner products is decomposed: both have the
    same eigenvalues but for zeros.

    Args:
        features: (N, d), one row per observation.

    Raises:
        ProxyFailure: a value is not finite, or all channels are constant.
    """
    import torch

    values = features.double()
    centred = values - values.mean(dim=0)
    size = centred.norm()
    if not bool(torch.isfinite(size)):
        raise ProxyFailure("features are not finite")
    # A constant channel is not always centred to exact zeros: what is left is rounding of its mean.
    if float(size) <= 1e-12 * float(values.abs().max()) * values.numel() ** 0.5:
        raise ProxyFailure("constant features")
    unit = centred / size
    products = unit.T @ unit if unit.shape[1] <= unit.shape[0] else unit @ unit.T
    return torch.linalg.eigvalsh(products).clamp(min=0).flip(0)
