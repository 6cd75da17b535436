"""LPZero: the proxy for BERT encoders that a genetic search over expressions found.

Source: Dong et al., "LPZero: Language Model Zero-cost Proxy Search from Zero" (EMNLP Findings 2024, arXiv 2410.04808);
the authors' released code (github.com/pprp/LPZero) was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxies.base import PROXIES, Proxy, ProxyFailure, Record
from proxies.jacobian import require_finite_states

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LPZero"]

#: which Linear of an operation is its "head": the first that it has
_HEADS = ("query", "key", "value", "input", "weight")


@PROXIES.register("lpzero")
class LPZero(Proxy):
    """LPZero's published proxy for BERT: the mean over layers of mean((-head)^2) + mean(logsoftmax(||activation||_F)).

    The expression is the one that the released code evaluates: "head" (the outputs of an operation's query, or else
    of its key, value or input) goes through revert (-x) and pow (x^2), "act" (the outputs of the feed-forward
    activations) through frobenius (||x||_F) and logsoftmax over the first axis; each branch is reduced to its mean,
    the two are added, and the sums are averaged over the two lists side by side, to the end of the shorter one, which
    is that of the heads, one a layer. The softmax of a single number is 1, so its logarithm is 0: the second term is 0
    for every architecture, and the proxy is the mean over layers of the mean square of the query's outputs.

    Published tau .51 and rho .75 on FlexiBERT (.480 and .715 in the tables released with it), on the ``released``
    reading; the labels of the benchmark's first 50 members were the fitness of its search. The proxy published for
    GPT-2 (the mean over Linears of mean(W^2) + mean(softmax(gradient)^2)) is of a space that is not here.
    """

    name = "lpzero"
    title = "LPZero (BERT)"
    source = "Dong et al. 2024, the proxy found on FlexiBERT"
    needs = frozenset({"forward", "activations", "attention"})
    layers = 1

    def __call__(self, record: Record) -> float:
        """Returns the mean over layers.

        Raises:
            ProxyFailure: there is no operation or no activation function.
        """
        require_finite_states(record)
        heads = _heads(record)
        activations = [tap.value for tap in record.taps if tap.name == "activation"]
        terms = [_of_head(head) + _of_activation(act) for head, act in zip(heads, activations, strict=False)]
        if not terms:
            raise ProxyFailure("the network has no heads or no activations")
        return sum(terms) / len(terms)


def _heads(record: Record) -> list[Tensor]:
    found: dict[int, dict[str, Tensor]] = {}
    for tap in record.taps:
        if tap.name in _HEADS:
            found.setdefault(tap.layer, {})[tap.name] = tap.value
    return [next(layer[name] for name in _HEADS if name in layer) for _, layer in sorted(found.items())]


def _of_head(head: Tensor) -> float:
    return float((-head.double()).pow(2).mean())


def _of_activation(activation: Tensor) -> float:
    return float(activation.double().norm().log_softmax(0).mean())  # of a single number: 0
