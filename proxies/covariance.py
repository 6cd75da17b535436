"""Hidden covariance: how far the hidden states of an untrained network are from linear dependence.

Source: Serianni & Kalita, "Training-free NAS for RNNs and Transformers" (ACL 2023, arXiv 2306.00288), section 3;
the score function is that of Jacobian covariance (Mellor et al. 2021, arXiv 2006.04647v1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nas.core.options import NotNegative, Positive, Size, validated
from proxies.base import PROXIES, Proxy, ProxyFailure, Record, Variant

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HiddenCovariance", "correlation_eigenvalues", "correlation_score"]


def correlation_score(
    rows: Tensor, k: float = 1e-5, *, of: str = "hidden states", constant: str = "constant units"
) -> float:
    """Returns ``S = -sum_i [ln(lambda_i + k) + 1 / (lambda_i + k)]`` over the eigenvalues of the rows' correlation.

    S is greatest, -r (1 + ...) near -r, when the r rows are uncorrelated; each vanishing eigenvalue adds
    -(ln k + 1/k), about -99,988.5 for k = 1e-5. Computed in float64 with the symmetric eigenvalue solver (the
    released code uses numpy's general one: the same ranking).

    Args:
        rows: (r, n), one row per variable, one column per observation.
        k: added to every eigenvalue.
        of: what the values are, for the reason of a failure.
        constant: the reason of a failure where a row is constant.

    Raises:
        ProxyFailure: a value is not finite, or a row is constant (its correlation is undefined).
    """
    eigenvalues = correlation_eigenvalues(rows, of, constant) + k
    # Rounding can leave a null eigenvalue slightly below zero, never by as much as k.
    return float(-(eigenvalues.log() + 1 / eigenvalues).sum())


def correlation_eigenvalues(rows: Tensor, of: str, constant: str) -> Tensor:
    """Returns the eigenvalues of the correlation matrix of the rows (..., r, n), increasing, (..., r) in float64.

    Raises:
        ProxyFailure: a value is not finite ("OF are not finite"), or a row is constant (the reason is ``constant``).
    """
    import torch

    values = rows.double()
    centred = values - values.mean(dim=-1, keepdim=True)
    norms = centred.norm(dim=-1, keepdim=True)
    if not bool(torch.isfinite(norms).all()):
        raise ProxyFailure(f"{of} are not finite")
    # A constant row is not always centred to exact zeros: what is left is rounding of its mean.
    tiny = 1e-12 * values.abs().amax(dim=-1, keepdim=True) * values.shape[-1] ** 0.5
    if bool((norms <= tiny).any()):
        raise ProxyFailure(constant)
    unit = centred / norms
    return torch.linalg.eigvalsh(unit @ unit.mT)


@PROXIES.register("hidden_covariance")
class HiddenCovariance(Proxy):
    """The correlation score of one layer's hidden states; higher (less dependent) is better.

    Paper: H(X) is the hidden-state matrix of a minibatch of N examples, C = (H - M)(H - M)^T, R its correlation
    matrix and S = -sum_{n=1}^{N} [ln(lambda_n + k) + 1/(lambda_n + k)], k = 1e-5; the indices make R a matrix over
    examples. Released code: R is over units (d x d, observations are examples x steps), which is what the published
    columns hold. ``axis="units"`` is the released reading, ``axis="examples"`` the formula's.

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
        import torch

        if len(record.hidden) < self.layer:
            raise ProxyFailure(f"the network has no layer {self.layer}")
        hidden = record.hidden[self.layer - 1]
        if self.variant == "corrected" and record.final:
            hidden = torch.cat([hidden[1:], record.final[self.layer - 1][None]])
        steps, batch, size = hidden.shape
        if self.floor and float(hidden.double().flatten(0, 1).std(dim=0).median()) < self.floor:
            raise ProxyFailure("vanishing units")
        if self.axis == "units":
            rows = hidden.permute(2, 1, 0).reshape(size, batch * steps)  # (T, B, d) -> (d, B*T)
        else:
            rows = hidden.permute(1, 2, 0).reshape(batch, size * steps)  # (T, B, d) -> (B, d*T)
        score = correlation_score(rows, self.k)
        return score / len(rows) if self.variant == "corrected" else score
