"""What the operations of the language compute: on tensors (torch, float64), on the numbers of a group, on numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["arithmetic", "statistic", "total", "transformed"]

_SMALLEST = 1e-30  # what is below it counts as it in a logarithm
_RIDGE = 1e-5
_STEPS = 30


def transformed(name: str, x: Tensor) -> Tensor:
    """Returns a tensor under an operation of ``TRANSFORMS``, of the same shape."""
    return _TRANSFORMS[name](x)


def statistic(name: str, x: Tensor) -> float:
    """Returns the number that an operation of ``STATISTICS`` makes of a float64 tensor (..., d)."""
    return float(_STATISTICS[name](x)) if x.numel() else math.nan


def total(name: str, numbers: Sequence[float]) -> float:
    """Returns the number that an operation of ``TOTALS`` makes of one or more numbers; NaN where one is not finite.

    Sums are exactly rounded, so that the same layers in another order are a tie.
    """
    if not all(map(math.isfinite, numbers)):
        return math.nan
    try:
        return _TOTALS[name](numbers)
    except OverflowError:
        return math.inf


def arithmetic(name: str, *arguments: Any) -> Any:
    """Returns an operation of ``ARITHMETIC`` on numbers, or entry by entry on arrays of one shape."""
    with np.errstate(all="ignore"):
        return _ARITHMETIC[name](*arguments)


def _normalised(x: Tensor) -> Tensor:
    centred = x - x.mean()
    spread = float(centred.square().mean().sqrt())
    return centred / spread if spread > 0 else centred * 0


_TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": lambda x: x.abs(),
    "square": lambda x: x.square(),
    "sqrt": lambda x: x.abs().sqrt_(),
    "log": lambda x: x.abs().clamp_(min=_SMALLEST).log_(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "softmax": lambda x: x.softmax(-1),
    "normalise": _normalised,
}


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1]) if x.dim() > 1 else x.reshape(1, -1)


def _entropy(x: Tensor) -> Tensor:
    import torch

    sizes = _rows(x).abs()  # (n, d)
    sums = sizes.sum(dim=1)
    entropies = sums.log() + torch.special.entr(sizes).sum(dim=1) / sums  # of a row of zeros NaN
    return entropies.where(sums > 0, entropies.new_zeros(())).mean()


def _spectral(x: Tensor) -> Tensor:
    import torch

    rows = _rows(x)  # (n, d)
    # a start that no symmetry of the weights makes orthogonal to what is looked for
    vector = torch.linspace(1, 2, rows.shape[1], dtype=rows.dtype, device=rows.device).cos()
    for _ in range(_STEPS):
        image = rows @ (vector / vector.norm())
        vector = rows.T @ image
        if not float(vector.norm()) > 0:
            break
    return image.norm()


def _logdet(x: Tensor) -> Tensor:
    import torch

    rows = _rows(x)  # (n, d)
    centred = rows - rows.mean(dim=0)
    norms = centred.norm(dim=0)
    unit = centred / norms.where(norms > 0, torch.ones_like(norms))  # of a constant column zero
    # det(C + k I_d) = k^d det(I_n + Z Z^T / k): the smaller of the two matrices will do
    small = unit.T @ unit if unit.shape[1] <= len(unit) else unit @ unit.T
    small = small / _RIDGE + torch.eye(len(small), dtype=small.dtype, device=small.device)
    return torch.linalg.slogdet(small).logabsdet + unit.shape[1] * math.log(_RIDGE)


_STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.mean(),
    "std": lambda x: (x - x.mean()).square_().mean().sqrt(),
    "mean_abs": lambda x: x.abs().mean(),
    "frobenius": lambda x: x.norm(),
    "min": lambda x: x.min(),
    "max": lambda x: x.max(),
    "entropy": _entropy,
    "spectral": _spectral,
    "logdet": _logdet,
}


def _log(x: Any) -> Any:
    return np.log(np.maximum(np.abs(x), _SMALLEST))


def _divided(x: Any, y: Any) -> Any:
    return np.where(np.equal(y, 0), 0.0, np.divide(x, np.where(np.equal(y, 0), 1.0, y)))


_TOTALS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "mean": lambda numbers: math.fsum(numbers) / len(numbers),
    "min": min,
    "max": max,
    "last": lambda numbers: numbers[-1],
    "log_product": lambda numbers: math.fsum(math.log(max(abs(one), _SMALLEST)) for one in numbers),
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "negative": np.negative,
    "log": _log,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _divided,
}
