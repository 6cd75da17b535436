"""What a search space is: it makes architectures and knows their neighbours, shapes and modules.

To add a space: subclass ``Space``, register it in ``spaces.SPACES``, add ``conf/space/NAME.yaml``, and add one line to
``tests/conformance``. What belongs to it is an attribute or a method of the class: its probe, without which nothing can
be scored, its language model and protocols, without which nothing can be trained, its benchmarks, its keys and its
well-known members. A space of another package registers itself by an entry point (see ``nas.core.registry``).

Architectures are immutable values; all randomness comes from the generator passed in, so the same generator state
gives the same architecture in another process.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import construct
from spaces.rules import Feature, Rule, Value

if TYPE_CHECKING:
    import networkx as nx
    import optuna
    import torch

    from spaces.language_model import LanguageModel
    from spaces.protocol import Protocol as TrainingProtocol
    from spaces.record import Probe

__all__ = ["Architecture", "Counts", "Matrix", "Reading", "Space"]

_ATTEMPTS = 2000
_EDITS = 100  # that may bring what a code stands for inside the reduction


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
    """Sizes of a model, from shapes alone; None where the space does not know.

    Attributes:
        parameters: trainable scalars, the benchmark's own count.
        flops: multiply-accumulates x 2 of one forward pass, per token.
        depth: see each space: the longest path of parametrised or non-linear operations.
        width: see each space: the widest intermediate vector.
    """

    parameters: int | None
    flops: int | None
    depth: int | None
    width: int | None


class Matrix(NamedTuple):
    """The shape of a weight matrix (rows, columns) = (outputs, inputs).

    Attributes:
        name: as the module names it.
        part: "attention" (whatever the operation that mixes tokens) or "feed_forward".
        heads: how many heads share its rows, 1 where heads do not split it.
    """

    name: str
    part: str
    rows: int
    columns: int
    heads: int


class Reading(NamedTuple):
    """What a table says of one architecture in one column.

    Attributes:
        value: as it stands there; None where it is missing.
        higher_is_better: direction of the column.
        reason: why it is missing.
    """

    value: float | None
    higher_is_better: bool
    reason: str = ""


class Space(ABC, Generic[A]):
    """A search space, possibly reduced by a rule that every operator obeys.

    Attributes:
        name: the registered name.
        rule: the reduction in force (empty for the whole space).
        probe: class of its probe, a dataclass whose fields are the probe's settings; None where it has none.
        protocols: name -> protocol that its members are trained under; the first is its own, the default one.
        benchmarks: names of the benchmarks that ``benchmark=auto`` chooses from: the first that is at hand, or, where
            what is missing is to be trained, the first that training can extend.
        key_pattern: regular expression of its keys, which begin with ``NAME-``; "" where hexadecimal digits follow.
    """

    kind: ClassVar[str] = "Space"
    name: str
    rule: Rule
    probe: ClassVar[type[Probe] | None] = None
    protocols: ClassVar[Mapping[str, TrainingProtocol]] = {}
    benchmarks: ClassVar[tuple[str, ...]] = ()
    key_pattern: ClassVar[str] = ""

    def is_key(self, text: str) -> bool:
        """Returns whether a text has the form of the keys of this space."""
        return bool(re.fullmatch(self.key_pattern or rf"{re.escape(self.name)}-[0-9a-f]+", text))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns of scores that a table holds of its members, in order; most spaces have none."""
        return ()

    @property
    def counted(self) -> bool:
        """Whether ``counts`` knows the parameters of its members."""
        return True

    @property
    def fingerprint(self) -> str:
        """What tells the file that the space is read from from another one, "" where there is no file."""
        return ""

    def named(self, text: str) -> A | None:
        """Returns the member that a name or a key stands for without a table of truths, or None."""
        return self.known.get(text)

    def members(self) -> Sequence[A]:
        """Returns all members in a fixed order, where the space is a list of them; most are not, and return none."""
        return ()

    @property
    def known(self) -> Mapping[str, A]:
        """Name -> architecture, of those that are known by a name."""
        return {}

    @property
    def own_protocol(self) -> TrainingProtocol:
        """The first of its protocols.

        Raises:
            ZeronasError: it has none.
        """
        if not self.protocols:
            raise ZeronasError(f"Space '{self.name}' has no language model, so its members cannot be trained.")
        return next(iter(self.protocols.values()))

    def language_model(self, architecture: A, protocol: TrainingProtocol, vocabulary: int) -> LanguageModel:
        """Returns the untrained model that an architecture is trained as; weights come from torch's global generator.

        Args:
            protocol: one of the kind of ``protocols``.
            vocabulary: number of ids of the corpus, which may be fewer than the protocol allows.

        Raises:
            ZeronasError: the space has no language model.
        """
        raise ZeronasError(f"Space '{self.name}' has no language model, so its members cannot be trained.")

    def make_probe(self, settings: Mapping[str, Any] | None = None) -> Probe:
        """Returns its probe, with some of the probe's settings changed.

        Raises:
            ZeronasError: the space has no probe, or a setting is unknown or out of its range.
        """
        if self.probe is None:
            raise ZeronasError(f"Space '{self.name}' has no probe, so its members cannot be scored.")
        return construct(self.probe, f"The probe of space '{self.name}'", {} if settings is None else settings)

    def gate(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Returns which statistics tell architectures that the sampler draws from what no sampler would draw.

        Each is a proxy: label -> its name under "name", and its options. They are of as many layers as the probe has.
        None by default: then the space has no gate (see ``nas.engine.gate``).
        """
        return {}

    def views(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Returns the cheap proxies from which a surrogate of the truth learns, in the form of ``gate``.

        They are of as many layers as the probe has. None by default: then a surrogate knows proxies and features only.
        """
        return {}

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

    def restored(self, form: bytes, key: str) -> A:
        """Returns the architecture that a run of this version wrote as JSON with its key.

        By default it is parsed; a space whose rules or keys take long to compute skips them.
        """
        return self.parse(form)

    @abstractmethod
    def reduce(self, conditions: Mapping[str, Any] | None) -> Space[A]:
        """Returns this space restricted to what the rule allows (see ``spaces.rules``)."""

    @abstractmethod
    def features(self, architecture: A) -> np.ndarray:
        """Returns a fixed-length float64 vector; the L1 distance of two says how unlike the architectures are."""

    @abstractmethod
    def counts(self, architecture: A) -> Counts:
        """Returns parameters, FLOPs, depth and width of the full-size model, from shapes alone."""

    def matrices(self, architecture: A) -> tuple[tuple[Matrix, ...], ...]:
        """Returns the weight matrices of each layer, first to last, from shapes alone.

        Raises:
            ZeronasError: the space does not say; then its probe must not give "matrices".
        """
        raise ZeronasError(f"Space '{self.name}' does not say which weight matrices its members have.")

    def readings(self, architecture: A) -> Mapping[str, Reading]:
        """Returns what the columns say of a member.

        Raises:
            ZeronasError: the space has none; then its probe must not give "columns".
        """
        raise ZeronasError(f"Space '{self.name}' has no table with columns.")

    @abstractmethod
    def build(self, architecture: A, **sizes: Any) -> torch.nn.Module:
        """Returns a torch module of the architecture."""

    #: how the networks of its members are called, and an example that trains one: text for a docstring, with ``model``
    #: for the module that ``zeronas export`` writes
    manual: ClassVar[str] = ""

    def network_sizes(self) -> Mapping[str, Any]:
        """Returns the sizes that ``network`` takes, name -> default; none where the space does not say."""
        return {}

    def network(self, architecture: A, **sizes: Any) -> torch.nn.Module:
        """Returns the network that a user trains an architecture as, in a loop of their own; by default what is built.

        Weights come from torch's global generator.

        Raises:
            ZeronasError: a size is unknown or not of its type, or the space holds no networks.
        """
        return self.build(architecture, **sizes)

    def to_onnx(self, network: torch.nn.Module, path: Path) -> float:
        """Writes what ``network`` returned as an ONNX file, and returns the largest difference between it and torch.

        Raises:
            ZeronasError: the space does not say how, the packages for it are not there, outputs differ by more than
                rounding, or the file cannot be written.
        """
        raise ZeronasError(f"Space '{self.name}' does not say how its networks become ONNX files.")

    @property
    def encoding(self) -> Mapping[str, tuple[Value, ...]]:
        """Name -> choices of the values of a code, as many for every architecture and none of them conditional.

        Raises:
            ZeronasError: the space has none; then Optuna's samplers cannot search it.
        """
        raise ZeronasError(f"Space '{self.name}' has no encoding of fixed length, so Optuna cannot search it.")

    def encode(self, architecture: A) -> dict[str, Value] | None:
        """Returns a code that ``decode`` reads as the architecture, or None where no code does."""
        return None

    def decode(self, code: Mapping[str, Value]) -> A | None:
        """Returns the member that a code stands for; the same code is always the same member.

        Where the rule forbids what the code says, it stands for a member a few edits away, each of which comes closer
        to what the rule allows; None where none was found.
        """
        found = self._decode(code)
        if self.contains(found):
            return found
        rng = seeds.generator(0, "decode", *(f"{name}={code[name]}" for name in self.encoding))
        excess = self.rule.excess(self.describe(found))
        for _ in range(_EDITS):
            edited = self._mutate(found, rng)
            if edited is None or (rest := self.rule.excess(self.describe(edited))) > excess:
                continue
            found, excess = edited, rest
            if self.contains(found):
                return found
        return None

    def suggest(self, trial: optuna.trial.BaseTrial) -> A:
        """Builds a member from an optuna trial's suggestions, which are the values of a code.

        Raises:
            optuna.TrialPruned: the code stands for no member.
        """
        import optuna

        code: dict[str, Any] = {name: trial.suggest_categorical(name, list(c)) for name, c in self.encoding.items()}
        found = self.decode(code)
        if found is None:
            raise optuna.TrialPruned(f"The reduction {self.rule.to_json()} allows nothing near the suggestions.")
        return found

    @abstractmethod
    def neighbours(self, architecture: A) -> Iterator[A]:
        """Yields the distinct members one edit away, in a fixed order."""

    # What follows wraps the raw operators with the rule, so that no operator can leave the reduced space.

    def _decode(self, code: Mapping[str, Value]) -> A:
        """Returns the valid architecture of a code, whether or not it obeys the rule."""
        raise NotImplementedError(f"Space '{self.name}' has an encoding and must define _decode.")

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
