"""The leaves: which tensors of a record a name stands for, and what a probe must give for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxies.base import Need, Record, Weight
from proxies.expression.language import Kind
from proxies.sizes import SizeName, counted

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LEAVES", "Leaf"]


@dataclass(frozen=True)
class Leaf:
    """A leaf of the language.

    Attributes:
        kind: tensors or a number.
        needs: what a probe must give.
        tensors: record -> the tensors, in order of computation.
        number: record -> the number.
    """

    doc: str
    kind: Kind
    needs: frozenset[Need]
    tensors: Callable[[Record], list[Tensor]] = lambda record: []
    number: Callable[[Record], float] = lambda record: 0.0


def _taps(doc: str, name: str, grad: bool = False) -> Leaf:
    needs = {"forward", "activations", "attention", *(["backward"] if grad else [])}

    def tensors(record: Record) -> list[Tensor]:
        found = [tap.grad if grad else tap.value for tap in record.taps if tap.name == name]
        return [tensor for tensor in found if tensor is not None]

    return Leaf(doc, Kind.TENSORS, frozenset(needs), tensors)


def _weights(doc: str, parts: frozenset[str] | None, grad: bool = False) -> Leaf:
    def counts(weight: Weight) -> bool:
        return weight.part != "embedding" if parts is None else weight.part in parts

    def tensors(record: Record) -> list[Tensor]:
        found = [weight.grad if grad else weight.value for weight in record.weights if counts(weight)]
        return [tensor for tensor in found if tensor is not None]

    needs = {"forward", "weights", *(["backward"] if grad else []), *(["attention"] if parts else [])}
    return Leaf(doc, Kind.TENSORS, frozenset(needs), tensors)


def _embedding_gradient(record: Record) -> list[Tensor]:
    return [] if record.embedding_grad is None else [record.embedding_grad]


def _size(doc: str, name: SizeName) -> Leaf:
    return Leaf(doc, Kind.NUMBER, frozenset({"shapes"}), number=lambda record: counted(record, name))


_ATTENTION, _FEED_FORWARD = frozenset({"attention"}), frozenset({"feed_forward"})

LEAVES: dict[str, Leaf] = {
    # Forward alone, a probe runs as many layers as the proxies of the run ask for together; weights are of all layers,
    # and so are then the states, whatever stands beside a formula.
    "hidden": Leaf(
        "hidden states of each layer (T, B, d)",
        Kind.TENSORS,
        frozenset({"forward", "weights"}),
        lambda record: list(record.hidden),
    ),
    "hidden_gradients": Leaf(
        "their gradients",
        Kind.TENSORS,
        frozenset({"forward", "backward", "hidden_backward"}),
        lambda record: list(record.hidden_grads),
    ),
    "embedding_gradient": Leaf(
        "gradient of what enters the first layer (T, B, E)",
        Kind.TENSORS,
        frozenset({"forward", "backward"}),
        _embedding_gradient,
    ),
    "activations": Leaf(
        "outputs of the activation functions",
        Kind.TENSORS,
        frozenset({"forward", "activations"}),
        lambda record: [tap.value for tap in record.taps if tap.is_activation],
    ),
    "attention": _taps("attention probabilities (B, n, T, T)", "attention"),
    "queries": _taps("queries (B, T, a)", "query"),
    "keys": _taps("keys (B, T, a)", "key"),
    "values": _taps("values (B, T, a)", "value"),
    "contexts": _taps("what the heads put out (B, n, T, d)", "context"),
    "context_gradients": _taps("their gradients", "context", grad=True),
    "weights": _weights("initial weight matrices (out, in), embeddings left out", None),
    "weight_gradients": _weights("their gradients", None, grad=True),
    "attention_weights": _weights("those of the operations that mix tokens", _ATTENTION),
    "attention_weight_gradients": _weights("their gradients", _ATTENTION, grad=True),
    "feed_forward_weights": _weights("those of the feed-forward blocks", _FEED_FORWARD),
    "feed_forward_weight_gradients": _weights("their gradients", _FEED_FORWARD, grad=True),
    "parameters": _size("trainable parameters of the full-size model", "parameters"),
    "flops": _size("its FLOPs per token", "flops"),
    "depth": _size("its depth, as the space defines it", "depth"),
    "width": _size("its width, as the space defines it", "width"),
}
