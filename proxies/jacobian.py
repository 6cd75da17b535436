"""Jacobian metrics: how differently the examples of a batch pull on the output through their inputs.

For a network untrained and L the sum of its last layer's outputs, J = dL/de is the gradient at the embedding output e
(T, B, E); its row n holds what example n alone contributes, T E numbers. The metrics measure how far the B rows are
from pointing the same way, and how stable that is when e is noised.

Source: Serianni & Kalita (ACL 2023, arXiv 2306.00288), section 3; Jacobian covariance is Mellor et al. 2021's (arXiv
2006.04647v1), Jacobian cosine and the noised variants are Celotti et al. 2020's ("Improving zero-shot neural
architecture search with parameters scoring").
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from nas.core.options import validated
from proxies.base import PROXIES, Noise, ProxyFailure, Record, Variant, VariantProxy
from proxies.covariance import correlation_score

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "JacobianCosine",
    "JacobianCovariance",
    "NoisedJacobianCosine",
    "NoisedJacobianCovariance",
    "cosine_score",
    "example_rows",
    "released_cosine_score",
    "require_finite_states",
]

_SOURCE = "Serianni & Kalita 2023, section 3"


def cosine_score(rows: Tensor) -> float:
    """Returns 1 - mean over pairs i != j of |c_ij|^(1/20), c_ij the cosine of two rows, in float64.

    From 0 (all rows parallel) to 1 (all orthogonal).

    Args:
        rows: (B, n), one row per example.

    Raises:
        ProxyFailure: one row only, a value is not finite, or a row is zero.
    """
    cosines = _unit(rows.double())
    cosines = cosines @ cosines.T  # (B, n) -> (B, B)
    pairs = len(rows) * (len(rows) - 1)
    powers = cosines.abs().clamp(max=1).pow(1 / 20)
    return 1 - float(powers.sum() - powers.diagonal().sum()) / pairs


def released_cosine_score(rows: Tensor) -> float:
    """Returns 1 - half the mean of |c_ij|^(1/20), as the released code computes it: from 1/2 to 1.

    It sums over all ordered pairs, as if over unordered ones, so the halving is one too many. In float32, and c_ij is
    1 - (1 - c_ij), so that cosines below 6e-8 are zero; the diagonal is exactly zero.

    Args:
        rows: (B, n), one row per example.

    Raises:
        ProxyFailure: one row only, a value is not finite, or a row is zero.
    """
    unit = _unit(rows.float())
    cosines = 1 - (1 - unit @ unit.T).clamp(0, 2)  # (B, n) -> (B, B)
    pairs = len(rows) * (len(rows) - 1)
    powers = cosines.double().fill_diagonal_(0).abs().pow(1 / 20)
    return 1 - float(powers.sum()) / 2 / pairs


def _unit(rows: Tensor) -> Tensor:
    import torch

    if len(rows) < 2:
        raise ProxyFailure("one example has nothing to differ from")
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    if not bool(torch.isfinite(norms).all()):
        raise ProxyFailure("input gradients are not finite")
    if not bool((norms > 0).all()):
        raise ProxyFailure("an example's input gradient is zero")
    return rows / norms


def _covariance(rows: Tensor) -> float:
    return correlation_score(rows, of="input gradients", constant="constant input gradients")


def example_rows(gradient: Tensor) -> Tensor:
    """Returns a gradient (T, B, E) as one row per example (B, T*E)."""
    return gradient.transpose(0, 1).flatten(1)


def require_finite_states(record: Record) -> None:
    """Checks the hidden states: gradients of a network that overflowed can be finite, and mean nothing.

    Raises:
        ProxyFailure: one is not finite.
    """
    import torch

    if not all(bool(torch.isfinite(hidden.sum())) for hidden in record.hidden):
        raise ProxyFailure("hidden states are not finite")


def _rows(record: Record) -> Tensor:
    require_finite_states(record)
    if record.embedding_grad is None:
        raise ProxyFailure("the pass made no input gradients")
    return example_rows(record.embedding_grad)


@PROXIES.register("jacobian_covariance")
class JacobianCovariance(VariantProxy):
    """The correlation score S of the examples' rows of J; higher (less dependent) is better.

    Paper: J = [dL/dx_1 .. dL/dx_N], S = -sum_n [ln(lambda_n + k) + 1/(lambda_n + k)] over the eigenvalues of its
    correlation matrix, k = 1e-5. The released code computes that, with L the sum of hidden outputs, and so does
    ``variant="corrected"``, in float64. But the published column holds something else: S of the embedding output e
    itself, viewed as T rows (time steps) of B E columns, without any gradient. That is ``variant="released"``; of the
    cell it sees only how many random numbers were drawn before the embedding, that is the number of parameters, so it
    takes 93 values over the 8,794 published rows and has no signal. Its values need the very tokens of the authors'
    batch.

    Args:
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such variant.
    """

    name = "jacobian_covariance"
    title = "Jacobian covariance"
    source = f"{_SOURCE}; Mellor et al. 2021"
    needs = frozenset({"forward", "backward"})
    asks: ClassVar = {"released": frozenset({"forward", "embedding"})}
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns S over the B examples of J, or (released) over the T steps of e."""
        if not self.released:
            return _covariance(_rows(record))
        if record.embedding is None:
            raise ProxyFailure("the pass made no embedding")
        return correlation_score(record.embedding.flatten(1), of="embeddings", constant="constant embeddings")


@PROXIES.register("jacobian_cosine")
class JacobianCosine(VariantProxy):
    """One minus the mean power 1/20 of the cosines between the examples' rows of J; higher (more orthogonal) is better.

    Paper: 1 - mean over pairs of |cos|^(1/20). Released code (``variant="released"``, the published column): half of
    that mean is subtracted, in float32. ``variant="corrected"``: the whole mean, in float64.

    Args:
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such variant.
    """

    name = "jacobian_cosine"
    title = "Jacobian cosine"
    source = f"{_SOURCE}; Celotti et al. 2020"
    needs = frozenset({"forward", "backward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the score of J (T, B, E): in [0, 1], or (released) in [1/2, 1]."""
        return (released_cosine_score if self.released else cosine_score)(_rows(record))


#: option -> the factors of the noised passes that it compares J with
_FACTORS = {"small": (0.1,), "large": (10.0,), "more": (0.1, 10.0, 100.0)}


class _Noised(VariantProxy):
    """How little a score s of J changes when the embedding output e is noised.

    The noised input is e + a d eps, eps standard normal, the same for all factors a: 0.1 ("small"), 10 ("large").
    Paper: 1 - |s - s_a|; "more": the product s s_0.1 s_10 s_100. In the published columns the scale d is the
    *variance* of e over the batch, per step and unit, about 0.003; the small-noise column is not published.
    ``variant="corrected"``: d is the standard deviation, so that a counts standard deviations, and "more" is the mean
    of the four scores, which keeps the direction of s.

    Args:
        noise: "small", "large" or "more".
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such noise or variant.
    """

    needs = frozenset({"forward", "backward", "noise"})
    layers = 1

    @validated
    def __init__(self, noise: Literal["small", "large", "more"] = "large", variant: Variant = "corrected") -> None:
        super().__init__(variant)
        self.noise = noise
        scale = "variance" if self.released else "deviation"
        self._noises: tuple[Noise, ...] = tuple((factor, scale) for factor in _FACTORS[noise])
        self.noises = frozenset(self._noises)

    @abstractmethod
    def _score(self, rows: Tensor) -> float:
        """Returns s of J, given as one row per example (B, T*E)."""

    def __call__(self, record: Record) -> float:
        """Returns the comparison of s at e with s at the noised inputs."""
        clean = self._score(_rows(record))
        missing = [noise for noise in self._noises if noise not in record.noisy_grads]
        if missing:
            raise ProxyFailure("the pass made no noised input gradients")
        noised = [self._score(example_rows(record.noisy_grads[noise])) for noise in self._noises]
        if self.noise != "more":
            return 1 - abs(clean - noised[0])
        if self.released:
            return clean * noised[0] * noised[1] * noised[2]
        return (clean + sum(noised)) / 4


@PROXIES.register("noised_jacobian_covariance")
class NoisedJacobianCovariance(_Noised):
    """How little the correlation score S of J changes when the embedding output e is noised; higher is meant better.

    The noised input is e + a d eps, as ``_Noised`` tells. ``variant="released"`` is what the published columns hold:
    "large" has its sign turned, |S - S_10| - 1; S is negative and the product of four negative numbers is positive, so
    in the column of "more" higher means more dependent rows: both columns go with a *higher* loss.
    ``variant="corrected"``: "small" and "large" are 1 - |S - S_a|, "more" is the mean of the four scores.

    Args:
        noise: "small", "large" or "more".
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such noise or variant.
    """

    name = "noised_jacobian_covariance"
    title = "noised Jacobian covariance"
    source = f"{_SOURCE}; Celotti et al. 2020"

    def _score(self, rows: Tensor) -> float:
        return _covariance(rows)

    def __call__(self, record: Record) -> float:
        """Returns the comparison of S at e with S at the noised inputs."""
        stable = super().__call__(record)
        return -stable if self.released and self.noise == "large" else stable


@PROXIES.register("noised_jacobian_cosine")
class NoisedJacobianCosine(_Noised):
    """How little the cosine score c of J changes when the embedding output e is noised; higher is meant to be better.

    The noised input is e + a d eps, as ``_Noised`` tells. ``variant="released"`` is what the published columns hold: c
    is the halved score of ``jacobian_cosine``; in the published table "large" goes with a *higher* loss.
    ``variant="corrected"``: c is not halved.

    Args:
        noise: "small", "large" or "more".
        variant: "released" or "corrected".

    Raises:
        ZeronasError: no such noise or variant.
    """

    name = "noised_jacobian_cosine"
    title = "noised Jacobian cosine"
    source = f"{_SOURCE}; Celotti et al. 2020"

    def _score(self, rows: Tensor) -> float:
        return released_cosine_score(rows) if self.released else cosine_score(rows)
