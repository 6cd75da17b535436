"""What a proxy is: a pure function of the record that one probe pass made of an untrained architecture.

To add a proxy: subclass ``Proxy`` in the file of its family, register it in ``PROXIES``, add ``conf/proxy/NAME.yaml``
with its options, and the conformance suite in ``tests/conformance`` covers it. A proxy never runs the network: all
proxies of a run share one pass, which does only what the union of their ``needs`` asks for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from nas.core.errors import ZeronasError
from nas.core.registry import Registry
from spaces.base import Counts

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space

__all__ = [
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

#: what a probe pass can be asked for
Need = str
NEEDS: frozenset[Need] = frozenset(
    {
        "shapes",  # counts alone
        "forward",  # hidden states
        "activations",  # signs of activation outputs, taps
        "weights",  # initial weights
        "backward",  # gradients of the corrected seed (a random direction for BERT, ones for cells)
        "backward_released",  # gradients of the released seed (ones; y itself where the released code does so)
        "noise",  # input gradients at noised inputs
    }
)

#: a noised pass: a factor, and what it multiplies per step and unit: the "variance" or the "deviation" of the
#: embedding over the batch
Noise = tuple[float, str]

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
class Needs:
    """What a set of proxies asks of one probe pass.

    Attributes:
        kinds: union of their needs.
        layers: how many layers must be run (the first ones).
        noises: the noised passes, where ``kinds`` has "noise".
    """

    kinds: frozenset[Need]
    layers: int
    noises: frozenset[Noise] = frozenset()

    @classmethod
    def union(cls, proxies: Iterable[Proxy]) -> Needs:
        """Returns what all of ``proxies`` need together."""
        items = list(proxies)
        kinds: frozenset[Need] = frozenset().union(*(p.needs for p in items))
        noises: frozenset[Noise] = frozenset().union(*(p.noises for p in items))
        return cls(kinds, max((p.layers for p in items), default=0), noises)


@dataclass(frozen=True)
class Tap:
    """An inner tensor: its name (an operation, "query", ...), its layer from 0; the space says its shape."""

    name: str
    layer: int
    value: Tensor
    grad: Tensor | None = None


@dataclass(frozen=True)
class Weight:
    """A weight matrix (out, in): its name, its part of the network ("attention", "feed_forward", "linear",
    "embedding"), its layer from 0, its position among the inputs of its node, and its gradient if there is one."""

    name: str
    part: str
    layer: int
    position: int
    value: Tensor
    grad: Tensor | None = None
    #: gradient of the released seed, where it is not that of ``grad``
    released_grad: Tensor | None = None


@dataclass
class Record:
    """What one probe pass saw of one untrained architecture.

    Attributes:
        space: the space's name.
        key: the architecture's key.
        seed: the run's seed (streams derive from seed, key and purpose).
        counts: parameters, FLOPs, depth and width of the full-size model.
        hidden: per layer run, the hidden states (T, B, d): for cells h_0 before each step, so the zero initial state
            is included and the last state is not; for BERT the layer's output with T the positions.
    """

    space: str
    key: str
    seed: int
    counts: Counts
    hidden: list[Tensor] = field(default_factory=list)
    #: gradients of ``hidden``, same shapes
    hidden_grads: list[Tensor] = field(default_factory=list)
    #: for cells, per layer, h_0 after the last step (B, d), and its gradient
    final: list[Tensor] = field(default_factory=list)
    final_grads: list[Tensor] = field(default_factory=list)
    #: what enters the first layer (T, B, E), and its gradient
    embedding: Tensor | None = None
    embedding_grad: Tensor | None = None
    #: noise -> gradient (T, B, E) of the noised embedding
    noisy_grads: dict[Noise, Tensor] = field(default_factory=dict)
    #: outputs and other inner tensors, in order of computation
    taps: list[Tap] = field(default_factory=list)
    #: weights in the order of the architecture
    weights: list[Weight] = field(default_factory=list)
    #: the architecture, and the space (with its reading and its reduction) that it was taken from
    architecture: Any = None
    origin: Space[Any] | None = None
    #: records of further initialisations of the same architecture, where the probe makes several
    repeats: list[Record] = field(default_factory=list)
    #: results that several proxies share, each computed by the first that needs it
    kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)


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
