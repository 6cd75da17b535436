"""BERT configurations of the FlexiBERT benchmark: two frozen dataclasses, and the reader of their JSON form.

The space is the FlexiBERT subset (Tuli et al. 2022, arXiv 2205.11656) that Serianni & Kalita (ACL 2023) trained 500
members of: hidden size 128 or 256, two or four encoder layers, and 48 choices for each layer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown
from spaces.decode import distinct, undecoded

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["DEPTHS", "HIDDEN_SIZES", "OPERATIONS", "SIZES", "TYPE_OF", "BertConfig", "Layer", "parse_config"]

HIDDEN_SIZES = (128, 256)
DEPTHS = (2, 4)
# SA self-attention (scaled dot product, weighted multiplicative), LT linear transform, DSC dynamic span convolution
# (its parameter is the kernel size).
OPERATIONS: dict[str, tuple[str | int, ...]] = {"SA": ("SDP", "WMA"), "LT": ("DFT", "DCT"), "DSC": (5, 9)}
TYPE_OF = {parameter: kind for kind, parameters in OPERATIONS.items() for parameter in parameters}
SIZES = {"num_operation_heads": (2, 4), "feed_forward_dimension": (512, 1024), "num_feed_forward": (1, 3)}


@dataclass(frozen=True)
class Layer:
    """One encoder layer, in the benchmark's own words.

    Attributes:
        operation_type: SA, LT or DSC.
        operation_parameter: SDP or WMA for SA, DFT or DCT for LT, the kernel size 5 or 9 for DSC.
        num_operation_heads: 2 or 4.
        feed_forward_dimension: 512 or 1024.
        num_feed_forward: 1 or 3 activations in the feed-forward block.
    """

    operation_type: str
    operation_parameter: str | int
    num_operation_heads: int
    feed_forward_dimension: int
    num_feed_forward: int


@dataclass(frozen=True)
class BertConfig:
    """A BERT encoder: its hidden size and its layers, first to last; equality is by value.

    Attributes:
        hidden_size: 128 or 256.
        layers: two or four layers.
    """

    hidden_size: int
    layers: tuple[Layer, ...]

    @cached_property
    def key(self) -> str:
        """``bert-`` and 64 bits of SHA-256 of the sorted JSON; two different configs collide with probability 2^-64."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return "bert-" + hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Returns the benchmark's form: ``{"hidden_size": .., "nas_config": {"encoder_layers": [..]}}``."""
        return {
            "hidden_size": self.hidden_size,
            "nas_config": {"encoder_layers": [asdict(layer) for layer in self.layers]},
        }

    def to_graph(self) -> nx.DiGraph:
        """Returns the chain embedding, operation and feed-forward block of each layer, output.

        Each node has an ``op`` (embedding, SDP, WMA, DFT, DCT, DSC5, DSC9, FF, output) and a ``label`` for a drawing.
        """
        import networkx as nx

        blocks = [("embedding", "embedding", f"embedding\n{self.hidden_size}")]
        for number, layer in enumerate(self.layers, start=1):
            name, parameter = f"layer {number}", layer.operation_parameter
            op = f"DSC{parameter}" if layer.operation_type == "DSC" else str(parameter)
            widths = " ".join([str(layer.feed_forward_dimension)] * layer.num_feed_forward)
            blocks.append((f"{name} operation", op, f"{op}\n{layer.num_operation_heads} heads"))
            blocks.append((f"{name} feed-forward", "FF", f"feed-forward\n{widths}"))
        blocks.append(("output", "output", "output"))
        graph: nx.DiGraph = nx.DiGraph()
        for node, op, label in blocks:
            graph.add_node(node, op=op, label=label)
        nx.add_path(graph, [node for node, _, _ in blocks])
        return graph


def parse_config(data: Any) -> BertConfig:
    """Reads a configuration from JSON text or the decoded object, alone or inside a row of the benchmark.

    Raises:
        ZeronasError: malformed; the sentence names the place, the value and what is accepted.
    """
    if isinstance(data, BertConfig):
        data = data.to_json()
    if isinstance(data, (str, bytes)):
        data = _decode(data)
    for wrapper in ("hparams", "model_hparam_overrides"):
        if isinstance(data, Mapping) and wrapper in data:
            data = data[wrapper]
    fields = _object(data, ("hidden_size", "nas_config"), "the configuration")
    hidden = _one_of(fields["hidden_size"], HIDDEN_SIZES, "hidden_size")
    layers = _object(fields["nas_config"], ("encoder_layers",), "nas_config")["encoder_layers"]
    if not isinstance(layers, (list, tuple)):
        raise ZeronasError(f"encoder_layers is {shown(layers)}, but a list of 2 or 4 layers is needed.")
    if len(layers) not in DEPTHS:
        raise ZeronasError(f"encoder_layers has {len(layers)} layers, but 2 or 4 are needed.")
    return BertConfig(hidden, tuple(_layer(item, f"layer {i} of {len(layers)}") for i, item in enumerate(layers, 1)))


def _decode(text: str | bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=distinct)
    except ZeronasError:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ZeronasError(
            f"The configuration {shown(text)} is no valid JSON, at {where}: {error.msg[0].lower()}{error.msg[1:]}."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ZeronasError(f"The configuration {shown(text)} is no valid JSON: {undecoded(error)}.") from None


def _layer(item: Any, place: str) -> Layer:
    fields = _object(item, tuple(Layer.__dataclass_fields__), place)
    kind, parameter = fields["operation_type"], fields["operation_parameter"]
    if not isinstance(kind, str) or kind not in OPERATIONS:
        raise ZeronasError(f"operation_type of {place} is {shown(kind)}.{did_you_mean(kind, OPERATIONS)}")
    accepted = OPERATIONS[kind]
    if not _is_one_of(parameter, accepted):
        what = f"operation_parameter of {place} is {shown(parameter)}"
        if _is_one_of(parameter, TYPE_OF):
            raise ZeronasError(
                f"{what}, which belongs to operation_type '{TYPE_OF[parameter]}', but the layer's operation_type "
                f"is '{kind}', which takes one of: {_list(accepted)}."
            )
        hint = f" Available: {_list(accepted)}." if kind == "DSC" else did_you_mean(parameter, map(str, accepted))
        raise ZeronasError(f"{what}, which operation_type '{kind}' does not have.{hint}")
    sizes = {name: _one_of(fields[name], choices, f"{name} of {place}") for name, choices in SIZES.items()}
    return Layer(kind, parameter, **sizes)


def _object(data: Any, keys: tuple[str, ...], place: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ZeronasError(f"{_capital(place)} is {shown(data)}, but an object with the keys {_list(keys)} is needed.")
    for key in data:
        if key not in keys:
            raise ZeronasError(f"{_capital(place)} has the unknown key {shown(key)}.{did_you_mean(key, keys)}")
    for key in keys:
        if key not in data:
            raise ZeronasError(f"{_capital(place)} lacks the key '{key}'; it needs the keys {_list(keys)}.")
    return data


def _one_of(value: Any, choices: tuple[int, ...], what: str) -> int:
    if not _is_one_of(value, choices):
        raise ZeronasError(f"{what} is {shown(value)}, but it takes one of: {_list(choices)}.")
    return int(value)


def _is_one_of(value: Any, choices: Iterable[str | int]) -> bool:
    return any(type(value) is type(choice) and value == choice for choice in choices)  # True is not 1, 5.0 is not 5


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:] if text.startswith(("the ", "layer ")) else text
