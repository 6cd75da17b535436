"""ZeroLM's alpha found from labels, as its paper does; the proxy itself takes none (``alpha=auto``).

Source: ZeroLM, Chen et al. 2025 (arXiv 2503.18646), Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.core.errors import ZeronasError
from nas.judge import kendall

__all__ = ["labelled_alpha"]


def labelled_alpha(
    attention: Sequence[float], feed_forward: Sequence[float], truth: Sequence[float], clip: bool = True
) -> float:
    """Returns ZeroLM's alpha from trained architectures: the mean of the two alphas of [-1.5, 1.5] with the best tau.

    The grid's step is 0.1. Among few architectures the best alpha is erratic, so by default it is clipped to [0, 1].

    Args:
        attention: A of each.
        feed_forward: F of each.
        truth: greater is better.

    Raises:
        ZeronasError: the three differ in length, or there are fewer than three.
    """
    if not 3 <= len(truth) == len(attention) == len(feed_forward):
        raise ZeronasError(
            "alpha by labels needs three or more architectures with both capacities and truth, "
            f"but got {len(attention)}, {len(feed_forward)} and {len(truth)} values."
        )
    a, f = np.asarray(attention, float), np.asarray(feed_forward, float)
    grid = np.round(np.arange(-1.5, 1.55, 0.1), 1)
    taus = np.nan_to_num([kendall((x * a + (1 - x) * f).tolist(), list(truth)) for x in grid], nan=-2.0)
    best = float(grid[np.argsort(-taus, kind="stable")[:2]].mean())
    return min(max(best, 0.0), 1.0) if clip else best
