"""Protocols: everything that decides a training apart from architecture, seed and corpus, under a name and a hash.

A space whose members can be trained has a kind of protocol of its own (a subclass of ``Protocol``) and names some. What
a user changes of one is checked against the types of the fields (``nas.truth.train.protocol.get``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt, MinLen

from nas.core.errors import ZeronasError
from nas.core.options import Count, NotNegative, Seed, Size, Sizes, shown

__all__ = ["EOS", "MASK", "PAD", "UNKNOWN", "Dropped", "Protocol"]

#: a share dropped
Dropped = Annotated[float, Ge(0), Lt(1)]

#: the ids that every vocabulary begins with; words follow, the most frequent first
PAD, MASK, UNKNOWN, EOS = range(4)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all trainings share: sizes, optimiser, schedule, text per update, when and on what the loss is taken.

    Attributes:
        name: of the protocol; not part of its hash.
        vocabulary: number of token ids V, special ones included.
        cutoffs: first ids of the clusters of the adaptive softmax (Grave et al. 2017, arXiv 1609.04309); ids are in
            order of frequency, so that the tail costs little. The loss is that of the whole distribution.
        seeds: the first is that of every training; the others repeat some for the retest agreement.
        steps: updates.
        batch: streams or windows B of an update.
        sequence: tokens T of each; an update sees B * T.
        optimiser: "adamw" (betas .9, .999) or "sgd" (no momentum).
        learning_rate: the highest, after ``warmup`` updates.
        warmup: updates of linear warm-up.
        schedule: after the warm-up "cosine", down to 0 at the last update, or "constant".
        clip: largest norm of the gradient.
        weight_decay: decoupled with adamw, of the gradient with sgd.
        dropout: share dropped; where, the space's language model says.
        evaluations: how often the validation loss is taken, at equal distances, the last time after the last update.
        validation_tokens: tokens it is taken over at the most.
    """

    #: name of the space whose architectures it trains
    space: ClassVar[str]

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
    dropout: Dropped = 0.0
    evaluations: Size = 8
    validation_tokens: Annotated[int, Ge(2), Le(2**31 - 1)] = 30_000

    @property
    def hash(self) -> str:
        """Twelve hex digits over the class's name and every field but the protocol's name."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "name"}
        text = json.dumps({"kind": type(self).__name__, **fields}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def shortest_text(self) -> int:
        """Tokens that a text to train on must have: those of one window of T inputs and their last target."""
        return self.sequence + 1

    def check(self) -> None:
        """Checks what fields limit of each other, and the space's language model beyond their kinds and ranges.

        Raises:
            ZeronasError: a field is beyond its limit.
        """
        if list(self.cutoffs) != sorted(set(self.cutoffs)) or self.cutoffs[-1] >= self.vocabulary - 1:
            raise ZeronasError(
                f"Protocol '{self.name}' needs cutoffs in increasing order, the last below vocabulary - 1, but got "
                f"(cutoffs={shown(list(self.cutoffs))}, vocabulary={self.vocabulary})."
            )

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
