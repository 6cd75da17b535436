"""What a proxy is: a pure function of the record that one probe pass made of an untrained architecture.

To add a proxy: subclass ``Proxy`` in the file of its family, register it in ``PROXIES``, add ``conf/proxy/NAME.yaml``
with its options, and the conformance suite in ``tests/conformance`` covers it. A proxy never runs the network: all
proxies of a run share one pass, which does only what the union of their ``needs`` asks for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nas.core.errors import ZeronasError
from nas.core.registry import Registry
from spaces.record import NEEDS, Need, Needs, Noise, Record, Tap, Weight

__all__ = [
    "NEEDS",
    "PROXIES",
    "Need",
    "Needs",
    "Noise",
    "Proxy",
    "ProxyFailure",
    "Record",
    "Score",
    "Tap",
    "Weight",
    "checked_variant",
]

PROXIES: Registry[type[Proxy]] = Registry("proxy")


#: "released": what a published column holds, flaws included; "corrected": the definition made sound
VARIANTS = ("released", "corrected")


def checked_variant(proxy: str, variant: str) -> str:
    """Returns ``variant``.

    Raises:
        ZeronasError: it is not one of ``VARIANTS``.
    """
    if variant not in VARIANTS:
        raise ZeronasError(f"{proxy} needs variant=released or variant=corrected, but got variant={variant!r}.")
    return variant


class ProxyFailure(Exception):
    """A proxy has no value for an architecture; the message is the reason that tables and summaries count."""


@dataclass(frozen=True)
class Score:
    """A proxy's value, or None with the reason why there is none."""

    value: float | None
    reason: str = ""

    @property
    def fitness(self) -> float:
        """The value; a failure ranks below every value."""
        return -math.inf if self.value is None else self.value


class Proxy(ABC):
    """A training-free score of an architecture; after ``score`` higher is better.

    Class attributes:
        name: the registered name.
        title: for tables and axes.
        source: paper and equation.
        needs: what it asks of the probe pass, a subset of ``NEEDS``.
        spaces: names of the spaces it applies to.
        higher_is_better: direction of the raw value.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    needs: frozenset[Need]
    spaces: ClassVar[tuple[str, ...]]
    higher_is_better: ClassVar[bool] = True

    #: number of layers the probe must run
    layers: int = 0
    #: noised passes the probe must run
    noises: frozenset[Noise] = frozenset()

    @abstractmethod
    def __call__(self, record: Record) -> float:
        """Returns the raw value.

        Raises:
            ProxyFailure: there is no value; the message is the reason.
        """

    def column(self, benchmark: str) -> str | None:
        """Returns the published column of a benchmark that holds this metric as configured, if there is one."""
        return None

    def score(self, record: Record) -> Score:
        """Returns the value with its sign turned so that higher is better, or the failure with its reason."""
        try:
            value = float(self(record))
        except ProxyFailure as failure:
            return Score(None, str(failure))
        if not math.isfinite(value):
            return Score(None, "the score is NaN" if math.isnan(value) else "the score is infinite")
        return Score(value if self.higher_is_better else -value)
