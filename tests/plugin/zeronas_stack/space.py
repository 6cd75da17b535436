"""The space of stacks: how they are drawn, edited, recombined, counted and built, and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spaces.base import Counts, Space
from spaces.rules import Feature, Rule, Value
from zeronas_stack.architecture import DEPTHS, KINDS, WIDTHS, Layer, Stack, parse_stack
from zeronas_stack.probe import StackProbe
from zeronas_stack.protocol import PROTOCOLS, StackProtocol

if TYPE_CHECKING:
    from spaces.protocol import Protocol
    from zeronas_stack.module import StackModel, StackModule

__all__ = ["StackSpace"]

#: sizes of the language model that is counted
VOCABULARY, EMBEDDING = 1_000, 32

_FEATURES = {
    "layers": Feature(DEPTHS, doc="number of layers"),
    "kind": Feature(tuple(KINDS), per_layer=True, doc="kind of a layer"),
    "width": Feature(WIDTHS, per_layer=True, doc="hidden size of a layer"),
    "residual": Feature((0, 1), doc="whether equally wide layers add their input"),
    "lstms": Feature(low=0, high=max(DEPTHS), doc="number of LSTM layers"),
}


class StackSpace(Space[Stack]):
    """All stacks of one to four layers, three kinds and three widths."""

    name = "stack"
    probe = StackProbe
    protocols = PROTOCOLS
    benchmarks = ("stack_table",)

    def __init__(self, rule: Rule | None = None) -> None:
        self.rule = rule or Rule()

    @property
    def known(self) -> Mapping[str, Stack]:
        """One layer of each kind, 32 wide."""
        return {kind: Stack((Layer(kind, 32),)) for kind in KINDS}

    @property
    def feature_specs(self) -> Mapping[str, Feature]:
        """Layers, their kinds and widths, the residual flag and the number of LSTMs."""
        return _FEATURES

    def describe(self, architecture: Stack) -> dict[str, Any]:
        """Returns feature name -> value."""
        kinds = tuple(layer.kind for layer in architecture.layers)
        widths = tuple(layer.width for layer in architecture.layers)
        residual, lstms = int(architecture.residual), kinds.count("LSTM")
        return {"layers": len(kinds), "kind": kinds, "width": widths, "residual": residual, "lstms": lstms}

    def parse(self, data: Any) -> Stack:
        """Reads a stack (see ``parse_stack``)."""
        return parse_stack(data)

    def reduce(self, conditions: Mapping[str, Any] | None) -> StackSpace:
        """Returns the space restricted further."""
        return StackSpace(self.rule.restricted(Rule.parse(conditions, _FEATURES, self.name)))

    def features(self, architecture: Stack) -> np.ndarray:
        """Returns 29 numbers: the residual flag, and for each of four positions half-valued one-hots and its being."""
        rows = [[float(architecture.residual)]]
        for position in range(max(DEPTHS)):
            here = architecture.layers[position : position + 1]
            rows.append([0.5 * any(layer.kind == kind for layer in here) for kind in KINDS])
            rows.append([0.5 * any(layer.width == width for layer in here) for width in WIDTHS])
            rows.append([float(bool(here))])
        return np.concatenate(rows)

    def counts(self, architecture: Stack) -> Counts:
        """Returns the sizes of embedding, layers and softmax; depth is the number of layers, width the widest one's."""
        weights = biases = 0
        size = EMBEDDING
        for layer in architecture.layers:
            weights += KINDS[layer.kind] * layer.width * (size + layer.width)
            biases += KINDS[layer.kind] * layer.width * 2
            size = layer.width
        parameters = VOCABULARY * EMBEDDING + weights + biases + VOCABULARY * (size + 1)
        widest = max(layer.width for layer in architecture.layers)
        return Counts(parameters, 2 * (weights + VOCABULARY * size), len(architecture.layers), widest)

    def build(self, architecture: Stack, **sizes: Any) -> StackModule:
        """Returns the torch module; ``sizes`` are its ``input_size``."""
        from zeronas_stack.module import StackModule

        return StackModule(architecture, **{"input_size": EMBEDDING, **sizes})

    def language_model(self, architecture: Stack, protocol: Protocol, vocabulary: int) -> StackModel:
        """Returns the stack between an embedding and an adaptive softmax."""
        from zeronas_stack.module import StackModel

        assert isinstance(protocol, StackProtocol)
        return StackModel(architecture, protocol, vocabulary)

    def neighbours(self, architecture: Stack) -> Iterator[Stack]:
        """Yields the distinct members with one layer changed, doubled or left out, or the flag turned."""
        seen = {architecture}
        for stack in self._edits(architecture):
            if stack not in seen and self.contains(stack):
                seen.add(stack)
                yield stack

    def _edits(self, stack: Stack) -> Iterator[Stack]:
        layers = stack.layers
        yield replace(stack, residual=not stack.residual)
        for place, layer in enumerate(layers):
            before, after = layers[:place], layers[place + 1 :]
            if after or before:
                yield replace(stack, layers=(*before, *after))
            if len(layers) < max(DEPTHS):
                yield replace(stack, layers=(*before, layer, layer, *after))
            for kind in KINDS:
                yield replace(stack, layers=(*before, replace(layer, kind=kind), *after))
            for width in WIDTHS:
                yield replace(stack, layers=(*before, replace(layer, width=width), *after))

    def _sample(self, rng: np.random.Generator) -> Stack | None:
        depths, kinds, widths = (self.rule.choices(name, _FEATURES[name].choices or ()) for name in _DRAWN)
        if not (depths and kinds and widths):
            return None
        layers = [
            Layer(str(kinds[rng.integers(len(kinds))]), int(widths[rng.integers(len(widths))]))
            for _ in range(int(depths[rng.integers(len(depths))]))
        ]
        return Stack(tuple(layers), bool(rng.integers(2)))

    def _mutate(self, architecture: Stack, rng: np.random.Generator) -> Stack | None:
        edits = list(self._edits(architecture))
        return edits[rng.integers(len(edits))]

    def _crossover(self, first: Stack, second: Stack, rng: np.random.Generator) -> Stack | None:
        cut, rest = rng.integers(len(first.layers) + 1), rng.integers(len(second.layers) + 1)
        layers = first.layers[:cut] + second.layers[rest:]
        residual = (first, second)[rng.integers(2)].residual
        return Stack(layers, residual) if len(layers) in DEPTHS else None

    @property
    def encoding(self) -> Mapping[str, tuple[Value, ...]]:
        """The number of layers, kind and width of each of four layers, and the residual flag."""
        depths, kinds, widths = (self.rule.choices(name, _FEATURES[name].choices or ()) for name in _DRAWN)
        found: dict[str, tuple[Value, ...]] = {"layers": depths}
        for number in range(1, max(depths) + 1):
            found.update({f"layer{number}.kind": kinds, f"layer{number}.width": widths})
        return {**found, "residual": self.rule.choices("residual", (0, 1))}

    def encode(self, architecture: Stack) -> dict[str, Value]:
        """See Space: layers that a stack does not have take the first of their choices."""
        code = {name: choices[0] for name, choices in self.encoding.items()}
        for number, layer in enumerate(architecture.layers, 1):
            code.update({f"layer{number}.kind": layer.kind, f"layer{number}.width": layer.width})
        return {**code, "layers": len(architecture.layers), "residual": int(architecture.residual)}

    def _decode(self, code: Mapping[str, Value]) -> Stack:
        numbers = range(1, int(code["layers"]) + 1)
        layers = [Layer(str(code[f"layer{n}.kind"]), int(code[f"layer{n}.width"])) for n in numbers]
        return Stack(tuple(layers), bool(code["residual"]))


#: the features that a draw chooses first
_DRAWN = ("layers", "kind", "width")
