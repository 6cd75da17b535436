"""Synaptic flow: what a network whose weights are all positive carries from its input to its output.

The pass is free of data: all weights and biases are absolute, what enters the first layer is 1 everywhere (one example,
the probe's steps), all is in float64, and R is the sum of the last layer's output. In a stack of linears and ReLUs
without biases each layer's sum of theta dR/dtheta is R itself: flow is conserved (Tanaka et al. 2020).

What is not a stack of linears and ReLUs:

- LayerNorm is left out, as batch normalisation is in Abdelfattah et al.'s code. With it the output sums to zero for any
  input and all gradients vanish. Residuals and GELU stay; GELU is close to the identity for what is positive and large.
- Softmax stays. All tokens are equal until something tells positions apart, attention is then uniform, and no flow
  leads to query and key, whose gradients are zero up to rounding.
- Fourier and cosine transforms have negative entries, so behind them flow has both signs; the scores take its size.
- Tanh, sigmoid, products and blends of cells stay. Saturated ones carry less than they get, products more, and the
  slope of a blend at its gate can be negative, so nothing is conserved. A cell whose products of states overflow
  float64 has no score.

LPZero's code (predictor/measures/synflow.py) takes absolute values and float64, but keeps LayerNorm and the tokens of a
batch of text, and so scores rounding noise on encoders.

Of the weights, those of the linears of all layers count: no embedding, bias or convolution. Both scores are sums over
weights, so a larger network scores higher for its size alone; SynFlow grows exponentially with depth and steps.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.pruning import present, total

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LogSynFlow", "SynFlow"]


class _Flow(Proxy):
    needs = frozenset({"flow"})

    def __call__(self, record: Record) -> float:
        """Returns the sum over all entries of the weights (out, in).

        Raises:
            ProxyFailure: there are no weights, or the flow overflows.
        """
        if not record.flow:
            raise ProxyFailure("the network has no weights")
        found = [float(self._of(w.value, present(w.grad, "gradients")).sum()) for w in record.flow]
        return total(found, "synaptic flows")

    @abstractmethod
    def _of(self, weight: Tensor, grad: Tensor) -> Tensor:
        """Returns the score of each entry of an absolute weight."""


@PROXIES.register("synflow")
class SynFlow(_Flow):
    """SynFlow: the sum over weights of |theta dR/dtheta|, all weights absolute, the input ones, no LayerNorm.

    ``proxies.synflow`` describes the pass. Tanaka et al. 2020 (arXiv 2006.05467); as a score of architectures
    Abdelfattah et al. 2021 (arXiv 2101.08134).
    """

    name = "synflow"
    title = "SynFlow"
    source = "Tanaka et al. 2020; Abdelfattah et al. 2021, section 3"

    def _of(self, weight: Tensor, grad: Tensor) -> Tensor:
        return (weight * grad).abs()


@PROXIES.register("log_synflow")
class LogSynFlow(_Flow):
    """log-SynFlow: the sum over weights of |theta| ln(1 + |dR/dtheta|) in SynFlow's pass.

    ``proxies.synflow`` describes the pass. Cavagnero et al. 2023 (FreeREA): their released code has ln(1 + dR/dtheta)
    (metrics/synflow.py), and the absolute value is here for the slopes that are negative in some networks. The
    logarithm keeps large gradients from deciding alone. LPZero's code sums |theta| |ln |dR/dtheta||, which has no value
    where no flow leads to a weight; on its rounding noise it is close to 38 times the sum of |theta|.
    """

    name = "log_synflow"
    title = "log-SynFlow"
    source = "Cavagnero et al. 2023 (FreeREA), released code"

    def _of(self, weight: Tensor, grad: Tensor) -> Tensor:
        return weight.abs() * grad.abs().log1p()
