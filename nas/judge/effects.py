"""Does a feature of the architectures matter for the truth? An F-test of nested linear models, Holm's correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FTest", "f_test", "holm", "nested_f_test", "signed_rank"]


@dataclass(frozen=True)
class FTest:
    """An F-test of what further columns explain.

    Attributes:
        f: the statistic; 0 where nothing varies or nothing is left to judge it by (then p is 1), infinite where the
            columns explain all that is left (then p is 0).
        df: degrees of freedom of the added columns and of the residuals.
        p: probability of a larger statistic if the columns explain nothing.
        r2_base, r2_full: shares of variance explained without and with them.
    """

    f: float
    df: tuple[int, int]
    p: float
    r2_base: float
    r2_full: float


def f_test(
    truth: np.ndarray, added: np.ndarray, without_base: Callable[[np.ndarray], np.ndarray], base_rank: int
) -> FTest:
    """Tests whether columns explain the truth beyond a base model (partial F-test, by Frisch, Waugh and Lovell).

    Args:
        truth: (n,).
        added: (n, b); columns that depend on others, or on the base, cost no degree of freedom.
        without_base: takes from every column of a matrix (n, m) what the base model explains of it.
        base_rank: degrees of freedom of the base model.
    """
    from scipy.stats import f as f_distribution

    y, columns = without_base(truth[:, None])[:, 0], without_base(added)
    coefficients, _, rank, _ = np.linalg.lstsq(columns, y, rcond=1e-9)
    df = (int(rank), len(y) - base_rank - int(rank))
    left = float((y**2).sum())
    total = float(((truth - truth.mean()) ** 2).sum())
    constant = np.abs(columns).max() < 1e-9 * np.abs(added).max() or left <= 1e-20 * float((truth**2).sum())
    if df[0] == 0 or df[1] < 1 or constant:
        share = 1 - left / total if total else 0.0
        return FTest(0.0, df, 1.0, share, share)
    explained = float(((columns @ coefficients) ** 2).sum())
    rest = left - explained
    shares = (1 - left / total, 1 - rest / total)
    if rest <= 1e-12 * explained:
        return FTest(float("inf"), df, 0.0, *shares)
    statistic = (explained / df[0]) / (rest / df[1])
    return FTest(statistic, df, float(f_distribution.sf(statistic, *df)), *shares)


def nested_f_test(truth: np.ndarray, base: np.ndarray, added: np.ndarray) -> FTest:
    """Tests whether the columns ``added`` explain the truth beyond the columns ``base`` (least squares).

    Args:
        truth: (n,).
        base: (n, a), with a constant column if one is wanted.
        added: (n, b); columns that depend on others cost no degree of freedom.
    """

    def without_base(columns: np.ndarray) -> np.ndarray:
        return np.asarray(columns - base @ np.linalg.lstsq(base, columns, rcond=None)[0])

    return f_test(truth, added, without_base, int(np.linalg.matrix_rank(base)))


def signed_rank(gaps: Sequence[float] | np.ndarray) -> float:
    """Returns p of a two-sided Wilcoxon signed-rank test of paired differences; 1 where all pairs are equal."""
    from scipy.stats import wilcoxon

    return float(wilcoxon(gaps).pvalue) if np.any(gaps) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns Holm's step-down adjustment of p-values, in their order."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, p_values[i] * (len(p_values) - place)))
        adjusted[i] = running
    return adjusted
