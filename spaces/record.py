"""What a probe is asked for, and the record that one pass over an untrained architecture makes.

A space's probe runs the network once and does only what the proxies of a run need together; proxies are pure functions
of the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from spaces.base import Counts, Matrix, Reading

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space

__all__ = [
    "NEEDS",
    "STILL",
    "Block",
    "Need",
    "Needing",
    "Needs",
    "Noise",
    "Probe",
    "Record",
    "StackingProbe",
    "Tap",
    "Weight",
]

#: what a proxy can need to see. A probe says which of it it gives, and a proxy applies to the spaces whose probe gives
#: all that it needs
Need = str
NEEDS: frozenset[Need] = frozenset(
    {
        "shapes",  # counts alone
        "matrices",  # shapes of the weight matrices, layer by layer
        "described",  # the named features of the graph or configuration (``Space.describe``)
        "columns",  # what a table holds of the architecture (``Space.readings``)
        "forward",  # hidden states
        "embedding",  # what enters the first layer, of a forward pass
        "activations",  # taps: outputs of the activation functions, and what else the network computes
        # of operations that mix tokens: the taps "query", "key", "value" (B, T, a), "attention" (B, n, T, T) and
        # "context" (B, n, T, d) of n heads, and weights of the part "attention"
        "attention",
        "weights",  # initial weights
        "backward",  # gradients of the embedding, and of what else is asked for, from the corrected seed: a random
        # direction where the output is that of a LayerNorm, else ones
        "backward_released",  # gradients of weights from the released seed (ones)
        "hidden_backward",  # gradients of the hidden states; they come with "backward"
        "noise",  # gradients of the embedding at noised inputs
        # of the layers' linears and L, the scalar whose gradient the corrected seed takes:
        "linear_backward",  # their outputs with gradients, as ``outputs``
        "hessian",  # H g of their weights, as ``curvature``
        "example_moments",  # mean size and deviation over examples of the gradients of their weights
        "tangent_kernel",  # inner products of the gradients of two examples, over their weights together
        "flow",  # weights and gradients of the pass that SynFlow makes, as ``flow``
        "blocks",  # outputs of the blocks that the network is a chain of, of all layers that the probe has
        "block_backward",  # what random signs at the output of each block make at its input
        "feed_forward",  # of feed-forward blocks, the taps "pre_activation" (B, T, F)
    }
)
#: needs that shapes or a table answer, so that nothing is built or run for them
STILL: frozenset[Need] = frozenset({"shapes", "matrices", "described", "columns"})

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

    @property
    def to_run(self) -> frozenset[Need]:
        """Kinds for which the network must be run."""
        return self.kinds - STILL


@dataclass(frozen=True)
class Tap:
    """An inner tensor.

    Attributes:
        name: of the operation. Outputs of activation functions are "activation" or begin with "activation_"; that of a
            sigmoid is "activation_sigm".
        layer: from 0.
        value: the space says its shape.
        grad: its gradient, if there is one.
        examples: the axis of the examples: 0 of (B, T, d), 1 of (T, B, d).
    """

    name: str
    layer: int
    value: Tensor
    grad: Tensor | None = None
    examples: int = 0

    @property
    def is_activation(self) -> bool:
        """Whether it is the output of an activation function."""
        return self.name == "activation" or self.name.startswith("activation_")

    @property
    def centre(self) -> float:
        """Of an activation function's output, the value between off and on: that of the input 0."""
        return 0.5 if self.name == "activation_sigm" else 0.0

    def by_example(self) -> Tensor:
        """Returns the value as one row per example, (B, n)."""
        return self.value.movedim(self.examples, 0).flatten(1)


@dataclass(frozen=True)
class Block:
    """The output of a block, that is of a link in the chain that the network is.

    Attributes:
        value: (T, B, d), or (B, T, d); T are the positions or the steps.
        signs: -1 or 1 at random, in the shape of the value; of all blocks but the first, where asked for.
        grad: the gradient of the sum of signs * value at the output of the block before, in that one's shape.
        examples: the axis of the examples.
    """

    value: Tensor
    signs: Tensor | None = None
    grad: Tensor | None = None
    examples: int = 0


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
    #: H g: the Hessian of L in all weights of the layers, times the gradient of L
    curvature: Tensor | None = None
    #: over examples, with g the gradient of what one example adds to L: the mean of |g|
    example_mean: Tensor | None = None
    #: and the standard deviation of g, divisor B
    example_deviation: Tensor | None = None


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
    #: outputs of the network's blocks, in order of computation
    blocks: list[Block] = field(default_factory=list)
    #: weights in the order of the architecture
    weights: list[Weight] = field(default_factory=list)
    #: outputs of the layers' linears before any activation function, with gradients, in the order of the weights
    outputs: list[Tap] = field(default_factory=list)
    #: the neural tangent kernel (B, B), float64: inner products of two examples' gradients
    kernel: Tensor | None = None
    #: the layers' weights as SynFlow's pass has them: absolute values, float64, with their gradients
    flow: list[Weight] = field(default_factory=list)
    #: shapes of the weight matrices of each layer
    matrices: tuple[tuple[Matrix, ...], ...] = ()
    #: feature name -> value, as ``Space.describe`` has them
    described: Mapping[str, Any] = field(default_factory=dict)
    #: column -> what a table says of the architecture in it
    columns: Mapping[str, Reading] = field(default_factory=dict)
    #: records of further initialisations of the same architecture, where the probe makes several
    repeats: list[Record] = field(default_factory=list)
    #: results that several proxies share, each computed by the first that needs it
    kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, space: Space[Any], architecture: Any, needs: Needs, seed: int) -> Record:
        """Returns a record that holds what shapes say, for a probe to fill with what a pass sees."""
        return cls(
            space.name,
            architecture.key,
            seed,
            space.counts(architecture),
            matrices=space.matrices(architecture) if "matrices" in needs.kinds else (),
            described=space.describe(architecture) if "described" in needs.kinds else {},
            columns=space.readings(architecture) if "columns" in needs.kinds else {},
        )


class Probe(Protocol):
    """What looks at one untrained architecture.

    Class attributes:
        gives: what it can be asked for, a subset of ``NEEDS``.
    """

    gives: ClassVar[frozenset[Need]]

    def observe(self, space: Space[Any], architecture: Any, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Returns the record of one pass that does only what ``needs`` asks for."""
        ...


@runtime_checkable
class StackingProbe(Probe, Protocol):
    """A probe that can look at many architectures in one pass, where that is faster."""

    def together(self, needs: Needs) -> int:
        """Returns how many architectures a pass is best made of; 1: each has a pass of its own, by ``observe``."""
        ...

    def observe_many(
        self, space: Space[Any], architectures: Sequence[Any], needs: Needs, seed: int, device: str = "cpu"
    ) -> list[Record]:
        """Returns the records of several architectures, of which none depends on the others, not in the last bit."""
        ...
