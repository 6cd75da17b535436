"""A formula as a proxy like any other."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from nas.core.options import validated
from proxies.base import PROXIES, Need, Proxy, Record
from proxies.expression.evaluate import of_record
from proxies.expression.leaves import LEAVES
from proxies.expression.parser import parse
from proxies.jacobian import require_finite_states

__all__ = ["Expression"]


def _needs(formula: str) -> frozenset[Need]:
    leaves = [part.name for _, part in parse(formula).parts() if not part.arguments]
    return frozenset().union(*(LEAVES[name].needs for name in leaves))


_DEFAULT = "sum(logdet(hidden))"


@PROXIES.register("expression")
class Expression(Proxy):
    """Any formula over the statistics of the network's tensors, as ``zeronas evolve-proxy`` finds them.

    The language is that of ``proxies.expression``: leaves are groups of tensors or sizes, operations on tensors work on
    each alone, a statistic makes a number of each, a total makes one number of those, and arithmetic does the rest, as
    in ``subtract(sum(logdet(hidden)), log(parameters))``.

    Args:
        formula: the text; higher values are better.

    Raises:
        ZeronasError: the text is no formula.
    """

    name = "expression"
    title = "formula"
    source = "after LPZero (Dong et al. 2024) and EZNAS (Akhauri et al. 2022)"
    needs = _needs(_DEFAULT)

    @validated
    def __init__(self, formula: Annotated[str, MinLen(1)] = _DEFAULT) -> None:
        self.formula = formula
        self.node = parse(formula)
        self.needs = _needs(formula)
        self.layers = int("forward" in self.needs)

    def __call__(self, record: Record) -> float:
        """Returns the formula's value.

        Raises:
            ProxyFailure: hidden states are not finite, or the network has no tensors of a leaf.
        """
        if self.layers and ("expression", "finite") not in record.kept:
            require_finite_states(record)  # once for all formulas of a record
            record.kept["expression", "finite"] = True
        return of_record(self.node, record)
