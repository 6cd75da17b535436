"""What a probe is asked for, and the record that one pass over an untrained architecture makes.

A space's probe runs the network once and does only what the proxies of a run need together; proxies are pure functions
of the record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from spaces.base import Counts

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space

__all__ = ["NEEDS", "Need", "Needing", "Needs", "Noise", "Probe", "Record", "Tap", "Weight"]

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


class Needing(Protocol):
    """What asks something of a probe: a proxy."""

    @property
    def needs(self) -> frozenset[Need]:
        """What it needs to see."""
        ...

    @property
    def layers(self) -> int:
        """How many layers must be run."""
        ...

    @property
    def noises(self) -> frozenset[Noise]:
        """Noised passes."""
        ...


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
    def union(cls, proxies: Iterable[Needing]) -> Needs:
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


class Probe(Protocol):
    """What looks at one untrained architecture."""

    def observe(self, space: Space[Any], architecture: Any, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Returns the record of one pass that does only what ``needs`` asks for."""
        ...
