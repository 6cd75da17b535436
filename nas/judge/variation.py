"""How much a proxy varies with the initialisation and the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["variation_index"]


def variation_index(samples: Sequence[Sequence[float]]) -> float | None:
    """Returns the mean over architectures of s / |mean| of each one's samples (n, V), V at least 2.

    s is the standard deviation with V - 1 in the denominator. Source: the variation index of Rumiantsev & Coates (TMLR
    2025, arXiv 2502.19657), the mean coefficient of variation over a space with V = 10. Our notes on the paper give its
    coefficient as variance / mean, which has the unit of the proxy, so that indices of two proxies could not be
    compared; here it is the usual one, without a unit. It still means little for a proxy whose zero is arbitrary, such
    as a logarithm. Architectures whose mean is 0 have none and are left out; None where none is left.
    """
    values = np.array([one for one in samples if len(one) > 1], dtype=float)
    if not len(values):
        return None
    mean, deviation = values.mean(axis=1), values.std(axis=1, ddof=1)
    ratios = deviation[mean != 0] / np.abs(mean[mean != 0])
    return float(ratios.mean()) if len(ratios) else None
