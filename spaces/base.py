"""What a search space is: it makes architectures and knows their neighbours, shapes and modules.

To add a space: subclass ``Space``, register it in ``spaces.SPACES``, add ``conf/space/NAME.yaml``, and add one line
to ``tests/conformance``. Architectures are immutable values; all randomness comes from the generator passed in, so
the same generator state gives the same architecture in another process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from nas.core.errors import ZeronasError
from spaces.rules import Feature, Rule

if TYPE_CHECKING:
    import networkx as nx
    import optuna
    import torch

__all__ = ["Architecture", "Counts", "Space"]

_ATTEMPTS = 2000


@runtime_checkable
class Architecture(Protocol):
    """An immutable, hashable architecture."""

    @property
    def key(self) -> str:
        """Canonical key: equal for the same computation graph, stable across processes and versions."""
        ...

    def to_json(self) -> Any:
        """Returns the JSON form (dicts, lists, numbers, strings)."""
        ...

    def to_graph(self) -> nx.DiGraph:
        """Returns the computation graph."""
        ...


A = TypeVar("A", bound=Architecture)


@dataclass(frozen=True)
class Counts:
    """Sizes of a model, from shapes alone.

    Attributes:
        parameters: trainable scalars, the benchmark's own count.
        flops: multiply-accumulates x 2 of one forward pass, per token.
        depth: see each space: the longest path of parametrised or non-linear operations.
        width: see each space: the widest intermediate vector.
    """

    parameters: int
    flops: int
    depth: int
    width: int


class Space(ABC, Generic[A]):
    """A search space, possibly reduced by a rule that every operator obeys.

    Attributes:
        name: the registered name.
        rule: the reduction in force (empty for the whole space).
    """

    name: str
    rule: Rule

    @property
    @abstractmethod
    def feature_specs(self) -> Mapping[str, Feature]:
        """The named features that rules and analyses may refer to."""

    @abstractmethod
    def describe(self, architecture: A) -> dict[str, Any]:
        """Returns feature name -> value (a tuple with one value per layer for per-layer features)."""

    @abstractmethod
    def parse(self, data: Any) -> A:
        """Reads an architecture from its JSON form (a string of JSON or the decoded object).

        Raises:
            ZeronasError: malformed; the sentence names the place, the rule broken and the values.
        """

    @abstractmethod
    def reduce(self, conditions: Mapping[str, Any] | None) -> Space[A]:
        """Returns this space restricted to what the rule allows (see ``spaces.rules``)."""

    @abstractmethod
    def features(self, architecture: A) -> np.ndarray:
        """Returns a fixed-length float64 vector; the L1 distance of two says how unlike the architectures are."""

    @abstractmethod
    def counts(self, architecture: A) -> Counts:
        """Returns parameters, FLOPs, depth and width of the full-size model, from shapes alone."""

    @abstractmethod
    def build(self, architecture: A, **sizes: Any) -> torch.nn.Module:
        """Returns a torch module of the architecture."""

    @abstractmethod
    def suggest(self, trial: optuna.trial.BaseTrial) -> A:
        """Builds a member from an optuna trial's suggestions."""

    @abstractmethod
    def neighbours(self, architecture: A) -> Iterator[A]:
        """Yields the distinct members one edit away, in a fixed order."""

    # What follows wraps the raw operators with the rule, so that no operator can leave the reduced space.

    @abstractmethod
    def _sample(self, rng: np.random.Generator) -> A | None:
        """Draws one architecture, or None where the draw is not valid."""

    @abstractmethod
    def _mutate(self, architecture: A, rng: np.random.Generator) -> A | None:
        """Returns one random edit, or None where the drawn edit is not valid."""

    @abstractmethod
    def _crossover(self, first: A, second: A, rng: np.random.Generator) -> A | None:
        """Returns one random recombination, or None where it is not valid."""

    def contains(self, architecture: A) -> bool:
        """Returns whether a valid architecture obeys the reduction."""
        return not self.rule or self.rule.allows(self.describe(architecture))

    def draws(self, architecture: A) -> bool:
        """Returns whether ``sample`` can return an architecture; the other operators may reach more members."""
        return self.contains(architecture)

    def format(self, architecture: A) -> str:
        """Returns one line of JSON that ``parse`` reads."""
        import json

        return json.dumps(architecture.to_json(), separators=(",", ":"))

    def readable(self, architecture: A) -> A:
        """Returns an equal architecture in the order and with the names that are easiest to read."""
        return architecture

    def sample(self, rng: np.random.Generator) -> A:
        """Draws a member of the (reduced) space.

        Raises:
            ZeronasError: the reduction is so narrow that no member was found.
        """
        for _ in range(_ATTEMPTS):
            found = self._sample(rng)
            if found is not None and self.contains(found):
                return found
        raise ZeronasError(
            f"No member of space '{self.name}' in {_ATTEMPTS} draws obeys the reduction {self.rule.to_json()}; "
            "widen it."
        )

    def mutate(self, architecture: A, rng: np.random.Generator) -> A:
        """Returns a member one random edit away from ``architecture`` and different from it.

        Where no edit stays inside the space, a fresh sample is returned.
        """
        for _ in range(200):
            found = self._mutate(architecture, rng)
            if found is not None and found.key != architecture.key and self.contains(found):
                return found
        return self.sample(rng)

    def crossover(self, first: A, second: A, rng: np.random.Generator) -> A:
        """Returns a member that recombines two; where no recombination is valid, a mutation of the first."""
        for _ in range(50):
            found = self._crossover(first, second, rng)
            if found is not None and self.contains(found):
                return found
        return self.mutate(first, rng)

    def distance(self, first: A, second: A) -> float:
        """Returns the L1 distance of the two feature vectors."""
        return float(np.abs(self.features(first) - self.features(second)).sum())
