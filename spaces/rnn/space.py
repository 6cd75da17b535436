"""The open space of RNN cells over NAS-Bench-NLP's operations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.core.options import construct, defaults
from spaces.base import Counts, Space
from spaces.rnn import counts as shapes
from spaces.rnn import encoding
from spaces.rnn.cell import MAX_STATES, OPERATIONS, Cell, parse_cell, responds, restored_cell
from spaces.rnn.edits import COUNTS, EDITS, MAX_EXTRA_NODES, crossed, squashed
from spaces.rnn.generator import NAMED_CELLS, drawable, generate, named_cell
from spaces.rnn.growth import GROWTHS, growth
from spaces.rnn.manual import MANUAL
from spaces.rnn.probe import RNNProbe
from spaces.rnn.protocol import PROTOCOLS, RNNProtocol
from spaces.rules import Feature, Rule, Value

if TYPE_CHECKING:
    import torch

    from spaces.protocol import Protocol
    from spaces.record import Probe
    from spaces.rnn.language_model import WordModel
    from spaces.rnn.module import CellRNN
    from spaces.rnn.network import CellNetwork

__all__ = ["RNNSpace"]

_MAX_NODES = MAX_STATES + MAX_EXTRA_NODES
_COUNTED = {
    "linear": "linears",
    "blend": "blends",
    "elementwise_prod": "products",
    "elementwise_sum": "sums",
    "activation_tanh": "tanhs",
    "activation_sigm": "sigmoids",
    "activation_leaky_relu": "leaky_relus",
}
_KINDS = ["x", "h_prev", *OPERATIONS]


class RNNSpace(Space[Cell]):
    """All valid cells with at most 14 nodes beside the outputs.

    Sampling draws the number of hidden states uniformly among those allowed, then one seed of the NAS-Bench-NLP
    generator, so the distribution is the benchmark's. Mutation, crossover and neighbours reach every valid cell, also
    those the generator cannot draw (LSTM and GRU among them, see ``draws``).
    """

    name = "rnn"
    probe = RNNProbe
    protocols = PROTOCOLS
    benchmarks = ("nas_bench_nlp", "mini_rnn")
    key_pattern = "rnn-[0-9a-f]{20}"
    manual = MANUAL

    def __init__(self, sizes: Mapping[str, Any] | None = None, rule: Rule | None = None) -> None:
        self.sizes = shapes.RNNSizes.of({} if sizes is None else sizes)
        self.rule = rule or Rule()
        self._encoding: dict[str, tuple[Value, ...]] | None = None

    @property
    def known(self) -> Mapping[str, Cell]:
        """The hand-written cells of NAS-Bench-NLP: RNN, LSTM, GRU."""
        return {name: named_cell(name) for name in NAMED_CELLS}

    def gate(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Sizes of the states of each layer, and the gradient of the input.

        Not that over the steps: where states multiply, nothing depends on a first state of zero, and such cells train.
        """
        assert isinstance(probe, RNNProbe)
        layers = range(1, len(probe.hidden) + 1)
        sizes = {f"state_size_{layer}": {"name": "state_size", "layer": layer} for layer in layers}
        return {**sizes, "input_gradient": {"name": "input_gradient"}}

    def views(self, probe: Probe) -> Mapping[str, Mapping[str, Any]]:
        """Hidden covariance of each layer on both axes, sizes of states after first and last step, gradients of inputs.

        What of an input reaches the output at once (first step, lag 0), and what of it is left later, add most to a
        surrogate of NAS-Bench-NLP's losses (on the half whose keys have an even SHA-256).
        """
        assert isinstance(probe, RNNProbe)
        found: dict[str, dict[str, Any]] = {}
        for layer in range(1, len(probe.hidden) + 1):
            covariance = {"name": "hidden_covariance", "layer": layer}
            found[f"covariance_units_{layer}"] = covariance
            found[f"covariance_examples_{layer}"] = {**covariance, "axis": "examples", "variant": "corrected"}
            for step in ("first", "last"):
                found[f"state_size_{step}_{layer}"] = {"name": "state_size", "layer": layer, "step": step}
            found[f"state_gradient_{layer}"] = {"name": "state_gradient", "layer": layer}
        for lag in (0, 1, 2, 4, 8):
            if lag < probe.steps:
                found[f"input_gradient_{lag}"] = {"name": "input_gradient", "lag": lag}
        return {**found, "input_gradient": {"name": "input_gradient"}}

    @property
    def feature_specs(self) -> Mapping[str, Feature]:
        """Hidden states, nodes, depth, width, operation counts, output operation, state growth, parameters."""
        specs = {
            "hidden_states": Feature(choices=(1, 2, 3), doc="number of hidden states"),
            "nodes": Feature(low=1, high=_MAX_NODES, doc="number of nodes"),
            "depth": Feature(low=1, high=_MAX_NODES, doc="nodes on the longest path"),
            "width": Feature(low=1, high=_MAX_NODES, doc="most nodes at the same depth"),
            "output_op": Feature(choices=tuple(OPERATIONS), doc="operation of the output h_new_0"),
            "state_growth": Feature(choices=GROWTHS, doc="how fast states can grow, whatever the weights are"),
            "parameters": Feature(low=0, doc="trainable scalars of the full model"),
        }
        specs.update(
            {name: Feature(low=0, high=_MAX_NODES, doc=f"number of {op} nodes") for op, name in _COUNTED.items()}
        )
        return specs

    def describe(self, architecture: Cell) -> dict[str, Any]:
        """Returns feature name -> value."""
        ops = [node.op for node in architecture.nodes]
        described: dict[str, Any] = {
            "hidden_states": architecture.states,
            "nodes": len(ops),
            "depth": shapes.depth(architecture),
            "width": shapes.width(architecture),
            "output_op": architecture.by_name["h_new_0"].op,
            "state_growth": growth(architecture),
            "parameters": shapes.parameters(architecture, self.sizes),
        }
        described.update({name: ops.count(op) for op, name in _COUNTED.items()})
        return described

    def parse(self, data: Any) -> Cell:
        """Reads a NAS-Bench-NLP recipe (see ``parse_cell``)."""
        return parse_cell(data)

    def restored(self, form: bytes, key: str) -> Cell:
        """Returns the cell of a recipe that was checked when it was written."""
        return restored_cell(form, key)

    def reduce(self, conditions: Mapping[str, Any] | None) -> RNNSpace:
        """Returns the space restricted further by a rule over ``feature_specs``."""
        reduced = RNNSpace(rule=self.rule.restricted(Rule.parse(conditions, self.feature_specs, self.name)))
        reduced.sizes = self.sizes
        return reduced

    def features(self, architecture: Cell) -> np.ndarray:
        """Returns 79 numbers: hidden states, depth, operation counts, the output's operation, edge-kind counts."""
        kind = {name: ("x" if name == "x" else "h_prev") for name in architecture.sources}
        kind.update({node.name: node.op for node in architecture.nodes})
        edges = np.zeros((len(_KINDS), len(OPERATIONS)))
        ops = list(OPERATIONS)
        for node in architecture.nodes:
            for name in node.inputs:
                edges[_KINDS.index(kind[name]), ops.index(node.op)] += 1
        totals = [sum(node.op == op for node in architecture.nodes) for op in ops]
        output = [float(architecture.by_name["h_new_0"].op == op) for op in ops]
        head = [2.0 * architecture.states, float(shapes.depth(architecture))]
        return np.array([*head, *totals, *output, *edges.ravel()], dtype=np.float64)

    def readable(self, architecture: Cell) -> Cell:
        """Returns the equal cell with its nodes in topological order, named after it."""
        return architecture.canonical()

    def counts(self, architecture: Cell) -> Counts:
        """Returns the counts of the language model of ``sizes`` around the cell."""
        return shapes.counts(architecture, self.sizes)

    def build(self, architecture: Cell, **sizes: Any) -> CellRNN:
        """Returns a ``CellRNN``; sizes as its constructor takes them (input_size, hidden_size, num_layers)."""
        from spaces.rnn.module import CellRNN

        return CellRNN(architecture, **sizes)

    def language_model(self, architecture: Cell, protocol: Protocol, vocabulary: int) -> WordModel:
        """Returns a word-level language model of a stack of the cell."""
        from spaces.rnn.language_model import WordModel

        assert isinstance(protocol, RNNProtocol)
        return WordModel(architecture, protocol, vocabulary)

    def network_sizes(self) -> Mapping[str, Any]:
        """See Space: those of ``CellNetwork``."""
        from spaces.rnn.network import CellNetwork

        return defaults(CellNetwork)

    def network(self, architecture: Cell, **sizes: Any) -> CellNetwork:
        """Returns the cell in a language model, or without a vocabulary alone (see ``CellNetwork``)."""
        from spaces.rnn.network import CellNetwork

        return construct(CellNetwork, CellNetwork.kind, sizes, architecture)

    def to_onnx(self, network: torch.nn.Module, path: Path) -> float:
        """See Space; ``spaces.rnn.onnx_graph`` names inputs and outputs."""
        from spaces.onnx_file import write_onnx
        from spaces.rnn import onnx_graph
        from spaces.rnn.network import CellNetwork

        return write_onnx(path, network, CellNetwork, onnx_graph.model, onnx_graph.cases)

    def neighbours(self, architecture: Cell) -> Iterator[Cell]:
        """Yields all distinct members one edit away, kind by kind (see ``spaces.rnn.edits``)."""
        seen = {architecture}
        for edits in EDITS.values():
            for edit in edits(architecture):
                cell = edit()
                if cell is not None and cell not in seen and self.contains(cell):
                    seen.add(cell)
                    yield cell

    def _states_allowed(self) -> tuple[int, ...]:
        return self.rule.choices("hidden_states", (1, 2, 3))

    def _sample(self, rng: np.random.Generator) -> Cell | None:
        allowed = self._states_allowed()
        states = allowed[rng.integers(len(allowed))]
        cell = generate(int(rng.integers(2**32)), states)
        # what is drawn breaks no rule of a cell but this one, and never has more nodes than a member
        return None if cell is None or not responds(cell.nodes, states) else cell

    def draws(self, architecture: Cell) -> bool:
        """See Space: what the generator of NAS-Bench-NLP can make (not GRU: its output reads h_prev_0 directly)."""
        return drawable(architecture) and self.contains(architecture)

    def _mutate(self, architecture: Cell, rng: np.random.Generator) -> Cell | None:
        kind = list(EDITS)[rng.integers(len(EDITS))]
        count = COUNTS[kind](architecture)
        if not count:
            return None
        place = int(rng.integers(count))
        return next(itertools.islice(EDITS[kind](architecture), place, None))()

    def _crossover(self, first: Cell, second: Cell, rng: np.random.Generator) -> Cell | None:
        target = first.nodes[rng.integers(len(first.nodes))].name
        root = second.nodes[rng.integers(len(second.nodes))].name
        return crossed(first, target, second, root)

    @property
    def encoding(self) -> Mapping[str, tuple[Value, ...]]:
        """The hidden states, nine slots of an operation and three inputs each, and the slots of the outputs."""
        if self._encoding is None:
            self._encoding = encoding.dimensions(self._allowed_states())
        return self._encoding

    def encode(self, architecture: Cell) -> dict[str, Value] | None:
        """See Space: None for the few cells that need more than nine slots, which no code stands for."""
        return encoding.encode(architecture, self._allowed_states())

    def _decode(self, code: Mapping[str, Value]) -> Cell:
        cell = encoding.decode(code)
        allowed = self.rule.allowed.get("state_growth", GROWTHS)
        for j in range(cell.states):  # random edits seldom tame a cell; squashed states do
            if growth(cell) in allowed:
                break
            cell = squashed(cell, f"h_new_{j}") or cell
        return cell

    def _allowed_states(self) -> tuple[int, ...]:
        states = self._states_allowed()
        if not states:
            raise ZeronasError(
                f"The reduction {self.rule.to_json()} leaves 'hidden_states' without any value; widen it."
            )
        return states
