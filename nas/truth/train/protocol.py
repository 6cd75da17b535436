"""Protocols: everything that decides a training apart from architecture, seed and corpus, under a name and a hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt, MinLen

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import Count, NotNegative, Seed, Size, Sizes, construct, shown, validate

__all__ = ["PROTOCOLS", "BertProtocol", "Protocol", "RNNProtocol", "get"]

_Dropped = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What both tasks share: sizes, optimiser, schedule, text per update, when and on what the loss is taken.

    Attributes:
        name: of the protocol; not part of its hash.
        vocabulary: number of token ids V, special ones included.
        cutoffs: first ids of the clusters of the adaptive softmax (Grave et al. 2017, arXiv 1609.04309); ids are in
            order of frequency, so that the tail costs little. The loss is that of the whole distribution.
        seeds: the first is that of every training; the others repeat some for the noise ceiling.
        steps: updates.
        batch: streams or windows B of an update.
        sequence: tokens T of each; an update sees B * T.
        optimiser: "adamw" (betas .9, .999) or "sgd" (no momentum).
        learning_rate: the highest, after ``warmup`` updates.
        warmup: updates of linear warm-up.
        schedule: after the warm-up "cosine", down to 0 at the last update, or "constant".
        clip: largest norm of the gradient.
        weight_decay: decoupled with adamw, of the gradient with sgd.
        dropout: of the RNN's inputs, layer outputs and output, one mask for all steps; of BERT's encoder,
            everywhere it has drop-out.
        evaluations: how often the validation loss is taken, at equal distances, the last time after the last update.
        validation_tokens: tokens it is taken over at the most.
    """

    name: str
    vocabulary: Annotated[int, Ge(8), Le(10_000_000)] = 10_000
    cutoffs: Sizes = (1_000, 4_000)
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] = (0, 1, 2)
    steps: Size
    batch: Size
    sequence: Size
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: NotNegative
    warmup: Count = 0
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: NotNegative = 1.0
    weight_decay: NotNegative = 0.0
    dropout: _Dropped = 0.0
    evaluations: Size = 8
    validation_tokens: Annotated[int, Ge(2), Le(2**31 - 1)] = 30_000

    def __post_init__(self) -> None:
        validate(self, f"Protocol '{self.name}'")  # 0 becomes 0.0: they are one setting, and have one hash

    @property
    def space(self) -> str:
        """Space whose architectures it trains."""
        raise NotImplementedError

    @property
    def hash(self) -> str:
        """Twelve hex digits over every field but the name."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "name"}
        text = json.dumps({"kind": type(self).__name__, **fields}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def evaluated(self, step: int) -> bool:
        """Whether the validation loss is taken after update ``step`` (counted from 1)."""
        return step * self.evaluations // self.steps > (step - 1) * self.evaluations // self.steps

    def updates(self, fidelity: float) -> int:
        """Returns the last evaluated number of updates at or before a share of the protocol.

        Raises:
            ZeronasError: the loss is not taken that early.
        """
        wanted = min(self.steps, math.floor(fidelity * self.steps + 1e-6))
        for step in range(wanted, 0, -1):
            if self.evaluated(step):
                return step
        raise ZeronasError(
            f"Protocol '{self.name}' takes its loss {self.evaluations} times in {self.steps:,} updates, so there is no "
            f"truth at a share of {fidelity:g}; the smallest is 1/{self.evaluations}."
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class RNNProtocol(Protocol):
    """A cell as a word-level language model, truncated back-propagation, the state carried over.

    Attributes:
        embedding: width of the word vectors.
        hidden: width of each layer.
        weight_drop: share of the hidden-to-hidden weights dropped in every update (Merity et al. 2018).
        activation: weight of the mean square of the last layer's output in the loss (AR; NAS-Bench-NLP has 2).
        slowness: weight of the mean square of its change from token to token (TAR; NAS-Bench-NLP has 1).
    """

    embedding: Size = 128
    hidden: Sizes = (128, 128)
    weight_drop: _Dropped = 0.0
    activation: NotNegative = 0.0
    slowness: NotNegative = 0.0

    @property
    def space(self) -> str:
        """See Protocol."""
        return "rnn"


@dataclass(frozen=True, kw_only=True)
class BertProtocol(Protocol):
    """A BERT configuration, stated reading, as a masked language model.

    Attributes:
        divisor: hidden and feed-forward sizes are those of the configuration divided by it.
        masked: share of tokens predicted; of these 80% are masked, 10% replaced, 10% kept (Devlin et al. 2019).
        transform_residual: DFT and DCT are orthonormal, and the sum with their input and a LayerNorm without parameters
            follow, as in every other operation (and in FNet, arXiv 2105.03824). False: as the released code of the
            metrics has them; then nothing tells a position's own word to its output, and the loss stays that of word
            frequencies (5.04 nats, two of two configurations).
    """

    divisor: Literal[1, 2, 4, 8, 16, 32] = 2
    masked: _Dropped = 0.15
    transform_residual: bool = True

    @property
    def space(self) -> str:
        """See Protocol."""
        return "bert"


_POSITIONS = 512  # of the encoder's position table

_ALL: tuple[Protocol, ...] = (
    RNNProtocol(
        name="mini_rnn",
        vocabulary=1_000,
        cutoffs=(998,),
        embedding=64,
        hidden=(64, 64),
        steps=1_000,
        batch=32,
        sequence=32,
        learning_rate=8e-3,
        warmup=20,
        activation=2.0,
        slowness=1.0,
    ),
    BertProtocol(
        name="mini_bert",
        vocabulary=1_000,
        cutoffs=(998,),
        steps=800,
        batch=32,
        sequence=32,
        learning_rate=3e-3,
        warmup=100,
        divisor=4,
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def get(name: str, /, **changes: Any) -> Protocol:
    """Returns the protocol of that name, with some fields changed (then its hash is another).

    Raises:
        ZeronasError: unknown name or field, or a value that is no such thing.
    """
    if name not in PROTOCOLS:
        raise ZeronasError(f"Unknown protocol {shown(name)}.{did_you_mean(name, PROTOCOLS)}")
    protocol, owner = PROTOCOLS[name], f"Protocol '{name}'"
    if not changes:
        return protocol
    made = construct(type(protocol), owner, {**vars(protocol), **changes})
    if list(made.cutoffs) != sorted(set(made.cutoffs)) or made.cutoffs[-1] >= made.vocabulary - 1:
        raise ZeronasError(
            f"{owner} needs cutoffs in increasing order, the last below vocabulary - 1, but got "
            f"(cutoffs={shown(list(made.cutoffs))}, vocabulary={made.vocabulary})."
        )
    if isinstance(made, BertProtocol) and made.sequence > _POSITIONS:
        raise ZeronasError(f"{owner} needs sequence to be at most {_POSITIONS}, but got {made.sequence}.")
    return made
