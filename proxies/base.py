"""What a proxy is: a pure function of the record that one probe pass made of an untrained architecture.

To add a proxy: subclass ``Proxy`` in the file of its family, register it in ``PROXIES``, add ``conf/proxy/NAME.yaml``
with its options, and the conformance suite in ``tests/conformance`` covers it on every space that it applies to. A
proxy never runs the network: all proxies of a run share one pass, which does only what the union of their ``needs``
asks for.

A proxy says what it needs to see (``NEEDS``), and knows no space: it applies wherever the probe gives that. Where a
metric is another thing in one space, its definition is registered for that space: ``PROXIES.register(NAME, "bert")``.
What a proxy must know of a whole space, such as the mean of something over it, it learns in ``prepare``. One that is
made of other proxies makes those of a space in ``within``.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nas.core.options import validated
from nas.core.registry import Registry
from spaces.record import NEEDS, Block, Need, Needs, Noise, Record, Tap, Weight

if TYPE_CHECKING:
    from spaces.base import Space
    from spaces.record import Probe

__all__ = [
    "NEEDS",
    "PROXIES",
    "Block",
    "Need",
    "Needs",
    "Noise",
    "Proxy",
    "ProxyFailure",
    "Record",
    "Score",
    "Tap",
    "Variant",
    "VariantProxy",
    "Weight",
]

PROXIES: Registry[type[Proxy]] = Registry("proxy")

#: "released": what a published column holds, flaws included; "corrected": the definition made sound
Variant = Literal["released", "corrected"]


class ProxyFailure(Exception):
    """A proxy has no value for an architecture; the message is the reason that tables and summaries count."""


@dataclass(frozen=True)
class Score:
    """A proxy's value, or None with the reason why there is none.

    Attributes:
        samples: the values under several seeds whose mean ``value`` is; none where there was one seed.
    """

    value: float | None
    reason: str = ""
    samples: tuple[float, ...] = ()

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Score:
        """Returns the score of one or more samples: the mean; a failure where one failed, with the first one's reason.

        One sample is its own answer.
        """
        if len(scores) == 1:
            return scores[0]
        samples = tuple(score.value for score in scores if score.value is not None)
        if len(samples) < len(scores):
            return next(score for score in scores if score.value is None)
        return cls(statistics.mean(samples), "", samples)  # rounded once: the mean of equal ones is theirs

    @property
    def fitness(self) -> float:
        """The value; a failure ranks below every value."""
        return -math.inf if self.value is None else self.value


class Proxy(ABC):
    """A training-free score of an architecture; after ``score`` higher is better.

    Its options are the annotated parameters of its constructor, under ``nas.core.options.validated``.

    Class attributes:
        name: the registered name.
        title: for tables and axes.
        source: paper and equation.
        needs: what it needs to see, a subset of ``NEEDS``; an option may change it for an object.
        higher_is_better: direction of the raw value.
    """

    kind: ClassVar[str] = "Proxy"
    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    needs: frozenset[Need]
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

    def within(self, space: str) -> Proxy:
        """Returns the proxy for the space of that name, where what it is made of is defined anew for one.

        ``proxies.get`` calls it; most proxies are their own answer.

        Raises:
            ZeronasError: what it is made of does not apply to the space.
        """
        return self

    def expanded(self, label: str, space: Space[Any]) -> Mapping[str, Proxy]:
        """Returns label -> proxy of what a run has in its place; most proxies are their own answer.

        Args:
            label: that the run gives it.
            space: that it is for.

        Raises:
            ZeronasError: the space has not what it stands for.
        """
        return {label: self}

    def prepare(self, space: Space[Any], probe: Probe | None = None, seed: int = 0, device: str = "cpu") -> Proxy:
        """Returns the proxy that scores members of a space, with what it must know of the space as a whole.

        It is called once, before anything is scored, and changes nothing in this one. Most proxies know all they need,
        and are their own answer.

        Args:
            space: the space as it is searched, reduction and all.
            probe, seed, device: what the members are to be scored with, for a proxy that has to see a sample of them.

        Raises:
            ZeronasError: it cannot learn what it must know.
        """
        return self

    def score(self, record: Record) -> Score:
        """Returns the value with its sign turned so that higher is better, or the failure with its reason."""
        try:
            return self._scored(self(record))
        except ProxyFailure as failure:
            return Score(None, str(failure))

    def score_many(self, records: Sequence[Record]) -> list[Score]:
        """Returns the scores of several records, each what ``score`` gives it, to the last bit.

        A proxy overrides it where it computes many at once faster than one by one.
        """
        return [self.score(record) for record in records]

    def _scored(self, raw: float) -> Score:
        value = float(raw)
        if not math.isfinite(value):
            return Score(None, "the score is NaN" if math.isnan(value) else "the score is infinite")
        return Score(value if self.higher_is_better else -value)


class VariantProxy(Proxy):
    """A metric that was published with flaws, and is here in two variants.

    Class attributes:
        asks: what a variant needs, where it is not ``needs``.

    Args:
        variant: "released" or "corrected".
    """

    asks: ClassVar[Mapping[str, frozenset[Need]]] = {}

    @validated
    def __init__(self, variant: Variant = "corrected") -> None:
        self.variant = variant
        self.needs = self.asks.get(variant, self.needs)

    @property
    def released(self) -> bool:
        """Whether this is the released variant."""
        return self.variant == "released"
