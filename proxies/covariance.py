"""Hidden covariance: how far the hidden states of an untrained network are from linear dependence.

Source: Serianni & Kalita, "Training-free NAS for RNNs and Transformers" (ACL 2023, arXiv 2306.00288), section 3;
the score function is that of Jacobian covariance (Mellor et al. 2021, arXiv 2006.04647v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nas.core.options import NotNegative, Positive, Size, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record, Score, Variant

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HiddenCovariance", "correlation_eigenvalues", "correlation_score", "correlation_scores"]

#: matrices that are factored together: few enough to stay in the processor's cache
_TOGETHER = 16


def correlation_score(
    rows: Tensor, k: float = 1e-5, *, of: str = "hidden states", constant: str = "constant units"
) -> float:
    """Returns ``S = -sum_i [ln(lambda_i + k) + 1 / (lambda_i + k)]`` over the eigenvalues of the rows' correlation.

    S is greatest, -r (1 + ...) near -r, when the r rows are uncorrelated; each vanishing eigenvalue adds
    -(ln k + 1/k), about -99,988.5 for k = 1e-5.

    Args:
        rows: (r, n), one row per variable, one column per observation.
        k: added to every eigenvalue.
        of: what the values are, for the reason of a failure.
        constant: the reason of a failure where a row is constant.

    Raises:
        ProxyFailure: a value is not finite, or a row is constant (its correlation is undefined).
    """
    (score,) = correlation_scores(rows[None], k, of=of, constant=constant)
    if isinstance(score, str):
        raise ProxyFailure(score)
    return score


def correlation_scores(
    rows: Tensor, k: float = 1e-5, *, of: str = "hidden states", constant: str = "constant units"
) -> list[float | str]:
    """Returns S, or the reason why there is none, of each of several groups of rows (g, r, n).

    In float64, of the Cholesky factor of R + kI, which is positive definite: S = -[ln det(R + kI) + tr (R + kI)^-1],
    as exact as the eigenvalues (both err by some 1e-11 of S) in half the time. Where k is too small for it to exist,
    by the symmetric eigenvalue solver (the released code uses numpy's general one: the same ranking). No group's score
    depends on the others.
    """
    import torch

    values = rows.double()
    largest = torch.maximum(values.amax(dim=-1), -values.amin(dim=-1))
    centred = values - values.mean(dim=-1, keepdim=True)
    products = centred @ centred.mT  # (g, r, r)
    norms = products.diagonal(dim1=-2, dim2=-1).sqrt()
    finite, constant_rows = _flaws(norms, largest, rows.shape[-1])
    correlation = products / (norms[..., :, None] * norms[..., None, :])
    identity = torch.eye(rows.shape[-2], dtype=values.dtype, device=values.device)
    factor, wrong = torch.linalg.cholesky_ex(correlation + k * identity)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
    sums = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + inverse.square().sum((-2, -1))
    flaws = zip(finite.all(-1).tolist(), constant_rows.any(-1).tolist(), wrong.tolist(), strict=True)
    scores: list[float | str] = []
    for i, (good, varies_not, failed) in enumerate(flaws):
        if not good or varies_not:
            scores.append(constant if good else f"{of} are not finite")
        elif failed:
            eigenvalues = torch.linalg.eigvalsh(correlation[i]) + k
            scores.append(float(-(eigenvalues.log() + 1 / eigenvalues).sum()))
        else:
            scores.append(-float(sums[i]))
    return scores


def correlation_eigenvalues(rows: Tensor, of: str, constant: str) -> Tensor:
    """Returns the eigenvalues of the correlation matrix of the rows (..., r, n), increasing, (..., r) in float64.

    Raises:
        ProxyFailure: a value is not finite ("OF are not finite"), or a row is constant (the reason is ``constant``).
    """
    import torch

    values = rows.double()
    centred = values - values.mean(dim=-1, keepdim=True)
    norms = centred.norm(dim=-1)
    finite, constant_rows = _flaws(norms, values.abs().amax(dim=-1), rows.shape[-1])
    if not bool(finite.all()):
        raise ProxyFailure(f"{of} are not finite")
    if bool(constant_rows.any()):
        raise ProxyFailure(constant)
    unit = centred / norms[..., None]
    return torch.linalg.eigvalsh(unit @ unit.mT)


def _flaws(norms: Tensor, largest: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Returns of each centred row whether it is finite, and whether it is constant.

    A constant row is not always centred to exact zeros: what is left is rounding of its mean.
    """
    import torch

    return torch.isfinite(norms), norms <= 1e-12 * largest * columns**0.5


@PROXIES.register("hidden_covariance")
class HiddenCovariance(Proxy):
    """The correlation score of one layer's hidden states; higher (less dependent) is better.

    Paper: H(X) is the hidden-state matrix of a minibatch of N examples, C = (H - M)(H - M)^T, R its correlation
    matrix and S = -sum_{n=1}^{N} [ln(lambda_n + k) + 1/(lambda_n + k)], k = 1e-5; the indices make R a matrix over
    examples. Released code: R is over units (d x d, observations are examples x steps), which is what the published
    columns hold. ``axis="units"`` is the released code's way, ``axis="examples"`` the formula's.

    ``variant="released"`` includes the zero initial state and leaves out the last state, as the released code does.
    ``variant="corrected"`` takes the states after each of the T steps: the zero state is no state of the network and
    pulls every unit's mean towards zero, and the last state is as good as the others. It also divides S by the number
    of eigenvalues, over which S is a sum, so that layers and probes of several sizes compare.

    The default is ``released``, unlike that of other metrics: it is the metric as published, the one that all figures
    of it are about, here as in the paper, and it is a sound measure as it is. The variants rank cells alike (Spearman
    .94 over 223 cells of mini_rnn, probe micro) and neither is the better one: tau with the truth is .44 and,
    corrected, .38 in that table, .46 and .48 in NAS-Bench-NLP (probe small).

    A correlation does not see how large the states are, so an optimised S ends among products of so many factors that
    the states all but vanish: they are uncorrelated, and nothing can be learnt from them. ``floor`` makes such
    architectures failures; neither paper nor released code has it.

    Args:
        layer: which layer, counted from 1.
        axis: "units" or "examples".
        k: the constant k.
        variant: "released" or "corrected".
        floor: smallest standard deviation of the states, the median over units; below it they count as vanishing.

    Raises:
        ZeronasError: an argument is out of its range.
    """

    name = "hidden_covariance"
    title = "hidden covariance"
    source = "Serianni & Kalita 2023, section 3"
    needs = frozenset({"forward"})

    @validated
    def __init__(
        self,
        layer: Size = 1,
        axis: Literal["units", "examples"] = "units",
        k: Positive = 1e-5,
        variant: Variant = "released",
        floor: NotNegative = 0.0,
    ) -> None:
        self.layer, self.axis, self.k, self.variant, self.floor = layer, axis, k, variant, floor
        self.layers = layer

    def __call__(self, record: Record) -> float:
        """Returns S of the layer's hidden states (T, B, d), as ``correlation_score`` defines it, or S per row."""
        (value,) = self._values([record])
        if isinstance(value, str):
            raise ProxyFailure(value)
        return value

    def score_many(self, records: Sequence[Record]) -> list[Score]:
        """See Proxy: matrices of many records are factored together."""
        return [
            Score(None, value) if isinstance(value, str) else self._scored(value) for value in self._values(records)
        ]

    def _values(self, records: Sequence[Record]) -> list[float | str]:
        """Returns the value of each record, or the reason why it has none."""
        import torch

        found: list[float | str] = [self._refusal(record) for record in records]
        alike: dict[tuple[int, ...], list[int]] = {}
        for i, record in enumerate(records):
            if not found[i]:
                alike.setdefault(tuple(record.hidden[self.layer - 1].shape), []).append(i)
        for places in alike.values():
            for begin in range(0, len(places), _TOGETHER):
                part = places[begin : begin + _TOGETHER]
                hidden = torch.stack([self._states(records[i]) for i in part])  # g x (T, B, d) -> (g, T, B, d)
                by_unit = self.axis == "units"  # (g, d, T*B), else (g, B, T*d)
                rows = hidden.flatten(1, 2).mT if by_unit else hidden.transpose(1, 2).flatten(2)
                for i, value in zip(part, correlation_scores(rows, self.k), strict=True):
                    per = rows.shape[1] if self.variant == "corrected" else 1
                    found[i] = value if isinstance(value, str) else value / per
        return found

    def _states(self, record: Record) -> Tensor:
        import torch

        hidden = record.hidden[self.layer - 1]
        if self.variant == "corrected" and record.final:
            return torch.cat([hidden[1:], record.final[self.layer - 1][None]])
        return hidden

    def _refusal(self, record: Record) -> str:
        """Returns why a record has no value, before it is looked at closely; "" where it may have one."""
        if len(record.hidden) < self.layer:
            return f"the network has no layer {self.layer}"
        if self.floor and float(self._states(record).double().flatten(0, 1).std(dim=0).median()) < self.floor:
            return "vanishing units"
        return ""
