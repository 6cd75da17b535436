"""Protocols: everything that decides a training apart from architecture, seed and corpus, under a name and a hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean

__all__ = ["OPTIMISERS", "PROTOCOLS", "SCHEDULES", "BertProtocol", "Protocol", "RNNProtocol", "get"]


OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "constant")


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
    vocabulary: int = 10_000
    cutoffs: tuple[int, ...] = (1_000, 4_000)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int
    batch: int
    sequence: int
    optimiser: str = "adamw"
    learning_rate: float
    warmup: int = 0
    schedule: str = "cosine"
    clip: float = 1.0
    weight_decay: float = 0.0
    dropout: float = 0.0
    evaluations: int = 8
    validation_tokens: int = 30_000

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

    embedding: int = 128
    hidden: tuple[int, ...] = (128, 128)
    weight_drop: float = 0.0
    activation: float = 0.0
    slowness: float = 0.0

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

    divisor: int = 2
    masked: float = 0.15
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


def get(name: str, **changes: Any) -> Protocol:
    """Returns the protocol of that name, with some fields changed (then its hash is another).

    Raises:
        ZeronasError: unknown name or field, or a value that is no such thing.
    """
    if name not in PROTOCOLS:
        raise ZeronasError(f"Unknown protocol '{name}'.{did_you_mean(name, PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if not changes:
        return protocol
    defaults = protocol.to_json()
    defaults.pop("name")
    for key in changes:
        if key not in defaults:
            raise ZeronasError(f"Unknown setting '{key}' of protocol '{name}'.{did_you_mean(key, defaults)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in changes.items()}
    _check(dataclasses.replace(protocol, **values), protocol)
    for key, default in defaults.items():  # 0 and 0.0 are one setting, and have one hash
        if isinstance(default, float) and key in values:
            values[key] = float(values[key])
    return dataclasses.replace(protocol, **values)


def _check(protocol: Protocol, default: Protocol) -> None:
    """Raises ZeronasError where a field is not of its default's kind or not in its range."""
    normal = default.to_json()
    for field, value in protocol.to_json().items():
        if field != "name":
            wanted = _wanted(field, value, normal[field])
            if wanted:
                raise ZeronasError(f"protocol.{field} must be {wanted}, but got {value!r}.")
    if isinstance(protocol, BertProtocol) and protocol.sequence > _POSITIONS:
        raise ZeronasError(f"protocol.sequence must be at most {_POSITIONS} for BERT, but got {protocol.sequence}.")


def _wanted(field: str, value: Any, normal: Any) -> str:
    """Returns what a field must be where the value is not that, else ""."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(normal, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(normal, str):
        accepted = {"optimiser": OPTIMISERS, "schedule": SCHEDULES}[field]
        return "" if value in accepted else " or ".join(accepted)
    if field == "seeds":
        good = isinstance(value, list) and bool(value) and all(type(v) is int and v >= 0 for v in value)
        return "" if good else "a list of whole numbers of 0 or more"
    if isinstance(normal, list):
        good = isinstance(value, list) and bool(value) and all(type(v) is int and v > 0 for v in value)
        if field == "cutoffs" and good:
            return "" if sorted(set(value)) == value else "a list of whole numbers in increasing order"
        return "" if good else "a list of whole numbers above 0"
    if field == "divisor":
        return "" if whole and value in (1, 2, 4, 8, 16, 32) else "1, 2, 4, 8, 16 or 32"
    if isinstance(normal, int):
        least = {"warmup": 0, "vocabulary": 8, "validation_tokens": 2}.get(field, 1)
        return "" if whole and value >= least else f"a whole number of {least} or more"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if field in ("dropout", "weight_drop", "masked"):
        return "" if number and 0 <= value < 1 else "a number from 0 to below 1"
    return "" if number and 0 <= value < 1e9 else "a number from 0 to below 1e9"
