"""The BERT search space: how configurations are drawn, edited, recombined and described.

Source of the choices: FlexiBERT (Tuli et al. 2022, arXiv 2205.11656), the subset of Serianni & Kalita (ACL 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.core.options import Size, construct, defaults, validated
from spaces.base import Counts, Matrix, Space
from spaces.bert.config import DEPTHS, HIDDEN_SIZES, OPERATIONS, SIZES, TYPE_OF, BertConfig, Layer, parse_config
from spaces.bert.counts import count
from spaces.bert.manual import MANUAL
from spaces.bert.matrices import layer_matrices
from spaces.bert.probe import BertProbe
from spaces.bert.protocol import PROTOCOLS, BertProtocol
from spaces.bert.readings import VOCABULARY, check_reading, plan
from spaces.rules import Feature, Rule, Value

if TYPE_CHECKING:
    import torch

    from spaces.bert.language_model import MaskedModel
    from spaces.bert.network import EncoderNetwork
    from spaces.protocol import Protocol
    from spaces.record import Probe

__all__ = ["BertSpace"]

# Each counts the layers whose field has the value.
_LAYER_COUNTS: dict[str, tuple[str, str | int]] = {
    "four_head_layers": ("num_operation_heads", 4),
    "wide_feed_forward_layers": ("feed_forward_dimension", 1024),
    "three_feed_forward_layers": ("num_feed_forward", 3),
    "sa_layers": ("operation_type", "SA"),
    "lt_layers": ("operation_type", "LT"),
    "dsc_layers": ("operation_type", "DSC"),
}
_PARAMETERS = tuple(TYPE_OF)
_DRAWN = ("operation_type", *SIZES)
_SHORT = {"num_operation_heads": "heads"}

_FEATURES: dict[str, Feature] = {
    "hidden_size": Feature(HIDDEN_SIZES, doc="width of the hidden vectors"),
    "layers": Feature(DEPTHS, doc="number of encoder layers"),
    "operation_type": Feature(tuple(OPERATIONS), per_layer=True, doc="self-attention, linear transform or convolution"),
    "operation_parameter": Feature(_PARAMETERS, per_layer=True, doc="the operation: attention, transform, kernel size"),
    "num_operation_heads": Feature(SIZES["num_operation_heads"], per_layer=True, doc="heads of the operation"),
    "feed_forward_dimension": Feature(SIZES["feed_forward_dimension"], per_layer=True, doc="feed-forward width"),
    "num_feed_forward": Feature(SIZES["num_feed_forward"], per_layer=True, doc="activations of the feed-forward block"),
    **{
        name: Feature(low=0, high=max(DEPTHS), doc=f"number of layers whose {field} is {value}")
        for name, (field, value) in _LAYER_COUNTS.items()
    },
}


class BertSpace(Space[BertConfig]):
    """The 10,621,440 configurations of the FlexiBERT subset, or those of them that a rule allows.

    Args:
        reading: which modules a configuration stands for, for counts and build (see ``spaces.bert.readings``).
        vocabulary: rows of the word table, for counts and build.
        rule: the reduction, as ``reduce`` makes it.

    Raises:
        ZeronasError: unknown reading, or a vocabulary below one.
    """

    name = "bert"
    probe = BertProbe
    protocols = PROTOCOLS
    benchmarks = ("flexibert", "mini_bert")
    key_pattern = "bert-[0-9a-f]{16}"
    manual = MANUAL

    @validated
    def __init__(self, reading: str = "stated", vocabulary: Size = VOCABULARY, rule: Rule | None = None) -> None:
        self.reading = check_reading(reading)
        self.vocabulary = vocabulary
        self.rule = rule or Rule()
        self._encoding: dict[str, tuple[Value, ...]] | None = None
        self._known_columns: dict[tuple[str, int], list[tuple[Any, ...]]] = {}

    def gate(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Sizes of the outputs of the layers that every configuration has, and the gradient of the input."""
        layers = range(1, min(DEPTHS) + 1)
        sizes = {f"state_size_{layer}": {"name": "state_size", "layer": layer} for layer in layers}
        return {**sizes, "input_gradient": {"name": "input_gradient"}}

    def views(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Sizes from shapes, capacities, softmax confidence, hidden covariance and sizes of the outputs."""
        found: dict[str, dict[str, Any]] = {
            name: {"name": name} for name in ("parameters", "flops", "depth", "zerolm", "nsc")
        }
        found["softmax_confidence"] = {"name": "softmax_confidence", "normalised": False}
        for layer in range(1, min(DEPTHS) + 1):
            found[f"hidden_covariance_{layer}"] = {
                "name": "hidden_covariance",
                "layer": layer,
                "variant": "corrected",
            }
            found[f"state_size_{layer}"] = {"name": "state_size", "layer": layer}
        return found

    @property
    def feature_specs(self) -> Mapping[str, Feature]:
        """The fields of a configuration, and how many of its layers have a given value of some of them."""
        return _FEATURES

    def describe(self, architecture: BertConfig) -> dict[str, Any]:
        """Returns feature name -> value, a tuple with one value per layer for the fields of layers."""
        layers = architecture.layers
        fields = {name: tuple(getattr(layer, name) for layer in layers) for name in Layer.__dataclass_fields__}
        numbers = {name: fields[field].count(value) for name, (field, value) in _LAYER_COUNTS.items()}
        return {"hidden_size": architecture.hidden_size, "layers": len(layers), **fields, **numbers}

    def parse(self, data: Any) -> BertConfig:
        """Reads a configuration as ``parse_config`` does, whether or not it obeys the reduction."""
        return parse_config(data)

    def reduce(self, conditions: Mapping[str, Any] | None) -> BertSpace:
        """Returns this space restricted further: what it already forbids stays forbidden.

        Raises:
            ZeronasError: malformed conditions, or a feature is left without any value.
        """
        added = Rule.parse(conditions, _FEATURES, self.name)
        if "operation_parameter" in added.between:
            raise ZeronasError(
                "The reduction gives a range for 'operation_parameter', which has names among its values; "
                f"list those wanted of: {', '.join(map(str, _PARAMETERS))}."
            )
        return BertSpace(self.reading, self.vocabulary, self.rule.restricted(added))

    def size(self) -> int:
        """Returns the number of members, exactly, under any rule (10,621,440 for the whole space)."""
        parameters = {kind: len(self._parameters(kind)) for kind in OPERATIONS}
        total = 0
        for depth in self._choices("layers"):
            columns = self._columns("operation_type", depth)
            operations = sum(prod(parameters[kind] for kind in kinds) for kinds in columns)
            total += operations * prod(len(self._columns(name, depth)) for name in SIZES)
        return total * len(self._choices("hidden_size"))

    def features(self, architecture: BertConfig) -> np.ndarray:
        """Returns 50 numbers; in L1, one changed field of one layer is 1 apart and another hidden size 4.

        They are the hidden size and the depth (0 or 4 each), then for each of four positions half-valued one-hots of
        operation, heads, width and number of feed-forward layers; an absent layer is zero, so another depth is 8 apart.
        """
        blocks = [[4.0 * (architecture.hidden_size == HIDDEN_SIZES[1]), 4.0 * (len(architecture.layers) == DEPTHS[1])]]
        for position in range(max(DEPTHS)):
            for name, choices in {"operation_parameter": _PARAMETERS, **SIZES}.items():
                present = architecture.layers[position : position + 1]
                blocks.append([0.5 * any(getattr(layer, name) == value for layer in present) for value in choices])
        return np.concatenate(blocks)

    def counts(self, architecture: BertConfig) -> Counts:
        """Returns the sizes under the space's reading and vocabulary, for examples of 128 tokens."""
        return count(architecture, self.reading, self.vocabulary)

    def matrices(self, architecture: BertConfig) -> tuple[tuple[Matrix, ...], ...]:
        """Returns the Linears of each layer under the space's reading."""
        planned = plan(architecture, self.reading)
        return tuple(layer_matrices(layer, planned.hidden_size) for layer in planned.layers)

    def build(self, architecture: BertConfig, **sizes: Any) -> torch.nn.Module:
        """Returns the encoder under the space's reading; ``sizes`` are ``BertEncoder``'s vocabulary and generator."""
        from spaces.bert.module import BertEncoder

        return BertEncoder(plan(architecture, self.reading), **{"vocabulary": self.vocabulary, **sizes})

    def network_sizes(self) -> Mapping[str, Any]:
        """See Space: those of ``EncoderNetwork``, with the space's own vocabulary."""
        from spaces.bert.network import EncoderNetwork

        return {**defaults(EncoderNetwork), "vocabulary": self.vocabulary}

    def network(self, architecture: BertConfig, **sizes: Any) -> EncoderNetwork:
        """Returns the encoder under the space's reading as it can be trained (see ``EncoderNetwork``)."""
        from spaces.bert.network import EncoderNetwork

        made = plan(architecture, self.reading)
        return construct(EncoderNetwork, EncoderNetwork.kind, {"vocabulary": self.vocabulary, **sizes}, made)

    def to_onnx(self, network: torch.nn.Module, path: Path) -> float:
        """See Space: ``tokens`` (examples, tokens), int64, to ``hidden`` (examples, tokens, hidden size)."""
        from spaces.bert import onnx_graph
        from spaces.bert.module import BertEncoder
        from spaces.onnx_file import write_onnx

        return write_onnx(path, network, BertEncoder, onnx_graph.model, onnx_graph.cases)

    def language_model(self, architecture: BertConfig, protocol: Protocol, vocabulary: int) -> MaskedModel:
        """Returns a masked language model of the configuration, stated reading whatever the space's is."""
        from spaces.bert.language_model import MaskedModel

        assert isinstance(protocol, BertProtocol)
        return MaskedModel(architecture, protocol, vocabulary)

    @property
    def encoding(self) -> Mapping[str, tuple[Value, ...]]:
        """The hidden size, the depth, and operation, heads, width and feed-forward layers of each of four layers.

        Raises:
            ZeronasError: the rule leaves a field without any value.
        """
        if self._encoding is None:
            kinds = self._choices("operation_type")
            found = {"hidden_size": self._choices("hidden_size"), "layers": self._choices("layers")}
            for number in range(1, max(found["layers"], default=0) + 1):
                found[f"layer{number}.operation"] = tuple(value for kind in kinds for value in self._parameters(kind))
                found.update({f"layer{number}.{_SHORT.get(name, name)}": self._choices(name) for name in SIZES})
            for label, choices in found.items():
                if not choices:
                    raise ZeronasError(
                        f"The reduction {self.rule.to_json()} leaves '{label}' without any value; widen it."
                    )
            self._encoding = found
        return self._encoding

    def encode(self, architecture: BertConfig) -> dict[str, Value] | None:
        """See Space: layers that a configuration does not have take the first of their choices."""
        code = {name: choices[0] for name, choices in self.encoding.items()}
        code.update({"hidden_size": architecture.hidden_size, "layers": len(architecture.layers)})
        for number, layer in enumerate(architecture.layers, 1):
            code[f"layer{number}.operation"] = layer.operation_parameter
            code.update({f"layer{number}.{_SHORT.get(name, name)}": getattr(layer, name) for name in SIZES})
        return code if all(code[name] in self.encoding.get(name, ()) for name in code) else None

    def _decode(self, code: Mapping[str, Value]) -> BertConfig:
        """Takes of each field the allowed values of all layers together that differ from the code in the fewest."""
        wanted: Any = code["layers"]
        others = [depth for depth in self._choices("layers") if depth != wanted]
        depth = next((d for d in (wanted, *others) if all(self._columns(n, d) for n in _DRAWN)), wanted)
        parameters: list[Any] = [code[f"layer{number}.operation"] for number in range(1, depth + 1)]
        kinds = self._nearest("operation_type", tuple(TYPE_OF[parameter] for parameter in parameters))
        for place, kind in enumerate(kinds):
            if TYPE_OF[parameters[place]] != kind:
                parameters[place] = self._parameters(kind)[0]
        sizes = [
            self._nearest(name, tuple(code[f"layer{n}.{_SHORT.get(name, name)}"] for n in range(1, depth + 1)))
            for name in SIZES
        ]
        hidden: Any = code["hidden_size"]
        return BertConfig(hidden, tuple(map(Layer, kinds, parameters, *sizes)))

    def _nearest(self, name: str, column: tuple[Any, ...]) -> tuple[Any, ...]:
        columns = self._columns(name, len(column))
        if column in columns:
            return column
        return min(columns, key=lambda c: sum(a != b for a, b in zip(c, column, strict=True)), default=column)

    def neighbours(self, architecture: BertConfig) -> Iterator[BertConfig]:
        """Yields the distinct members with one field, the hidden size or the depth changed, in a fixed order.

        Two layers are chosen of four in every order-preserving way; two layers a, b become a, a, b, b and a, b, a, b.
        """
        seen = {architecture}
        for candidate in self._edits(architecture):
            if candidate not in seen and self.contains(candidate):
                seen.add(candidate)
                yield candidate

    def _edits(self, config: BertConfig) -> Iterator[BertConfig]:
        layers = config.layers
        for hidden in HIDDEN_SIZES:
            yield replace(config, hidden_size=hidden)
        if len(layers) == 2:
            first, second = layers
            yield replace(config, layers=(first, first, second, second))
            yield replace(config, layers=(first, second, first, second))
        else:
            for kept in combinations(layers, 2):
                yield replace(config, layers=kept)
        for position, layer in enumerate(layers):
            for name, choices in {"operation_parameter": _PARAMETERS, **SIZES}.items():
                for value in choices:
                    yield _with(config, position, _changed(layer, name, value))

    def _sample(self, rng: np.random.Generator) -> BertConfig | None:
        """Draws as the published sampler does: each field uniform, the operation's type before its parameter."""
        hidden, depth = _pick(self._choices("hidden_size"), rng), _pick(self._choices("layers"), rng)
        if hidden is None or depth is None:
            return None
        kinds, heads, widths, repeats = (_pick(self._columns(n, depth), rng) for n in ("operation_type", *SIZES))
        if kinds is None or heads is None or widths is None or repeats is None:
            return None
        parameters = [_pick(self._parameters(kind), rng) for kind in kinds]
        return BertConfig(hidden, tuple(map(Layer, kinds, parameters, heads, widths, repeats)))

    def _mutate(self, architecture: BertConfig, rng: np.random.Generator) -> BertConfig | None:
        """Changes the hidden size, the depth or one field of one layer, each as likely as another."""
        layers = architecture.layers
        slots = ["hidden_size", "layers", *("operation_parameter", *SIZES) * len(layers)]
        slot = int(rng.integers(len(slots)))
        name, position = slots[slot], (slot - 2) // (1 + len(SIZES))
        if name == "layers":
            return self._resize(architecture, rng)
        current = architecture.hidden_size if name == "hidden_size" else getattr(layers[position], name)
        value = _pick([choice for choice in self._choices(name) if choice != current], rng)
        if value is None:
            return None
        if name == "hidden_size":
            return replace(architecture, hidden_size=value)
        return _with(architecture, position, _changed(layers[position], name, value))

    def _resize(self, config: BertConfig, rng: np.random.Generator) -> BertConfig | None:
        """Drops two random layers of four, or adds to two layers two at random places, each a copy or a fresh draw."""
        layers = list(config.layers)
        if len(layers) == 4:
            first, second = sorted(rng.choice(4, size=2, replace=False))
            return replace(config, layers=(layers[first], layers[second]))
        for _ in range(2):
            fresh = self._sample(rng) if rng.integers(2) else None
            source = fresh.layers if fresh is not None else config.layers
            layers.insert(int(rng.integers(len(layers) + 1)), source[rng.integers(len(source))])
        return replace(config, layers=tuple(layers))

    def _crossover(self, first: BertConfig, second: BertConfig, rng: np.random.Generator) -> BertConfig | None:
        """Takes the hidden size, the depth and each position's layer from either parent that has it."""
        parents = (first, second)
        hidden = parents[rng.integers(2)].hidden_size
        depth = len(parents[rng.integers(2)].layers)
        layers = []
        for position in range(depth):
            having = [parent.layers[position] for parent in parents if position < len(parent.layers)]
            layers.append(having[rng.integers(len(having))])
        return BertConfig(hidden, tuple(layers))

    def _choices(self, name: str) -> tuple[Any, ...]:
        """Returns the values of a field that the rule allows; of operation types, those with a parameter left."""
        kept = self.rule.choices(name, _FEATURES[name].choices or ())
        return tuple(kind for kind in kept if self._parameters(kind)) if name == "operation_type" else kept

    def _parameters(self, kind: str) -> tuple[Any, ...]:
        return self.rule.choices("operation_parameter", OPERATIONS[kind])

    def _columns(self, name: str, depth: int) -> list[tuple[Any, ...]]:
        """Returns what a field may be in all layers together, given the bounds on how many layers have a value."""
        key = (name, depth)
        if key not in self._known_columns:
            bounds = {feature: value for feature, (field, value) in _LAYER_COUNTS.items() if field == name}
            rule = Rule(
                {feature: values for feature, values in self.rule.allowed.items() if feature in bounds},
                {feature: ends for feature, ends in self.rule.between.items() if feature in bounds},
            )
            self._known_columns[key] = [
                column
                for column in product(self._choices(name), repeat=depth)
                if rule.allows({feature: column.count(value) for feature, value in bounds.items()})
            ]
        return self._known_columns[key]


def _with(config: BertConfig, position: int, layer: Layer) -> BertConfig:
    return replace(config, layers=(*config.layers[:position], layer, *config.layers[position + 1 :]))


def _changed(layer: Layer, name: str, value: Any) -> Layer:
    changes = {name: value}
    if name == "operation_parameter":
        changes["operation_type"] = TYPE_OF[value]
    return replace(layer, **changes)


def _pick(choices: Sequence[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))] if choices else None
