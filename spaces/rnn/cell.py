"""The RNN cell: an immutable computation graph, read from and written as a NAS-Bench-NLP recipe.

A recipe maps node names to ``{"op": ..., "input": [names]}``. Sources are ``x`` (the input at step t) and
``h_prev_0 .. h_prev_{H-1}`` (H = 1, 2 or 3 hidden states); ``h_new_0 .. h_new_{H-1}`` are the new states and
``h_new_0`` is the output. All values are vectors of the hidden size h (``x``: of the embedding size e).

Source: Klyuchnikov et al., "NAS-Bench-NLP" (arXiv 2006.07116).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.core.errors import ZeronasError, did_you_mean, is_printable
from nas.core.options import shown
from spaces.decode import distinct, undecoded
from spaces.rnn.canonical import canonical_form, digest

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "COMMUTATIVE",
    "MAX_NODES",
    "MAX_STATES",
    "OPERATIONS",
    "Cell",
    "Node",
    "parse_cell",
    "responds",
    "restored_cell",
]

#: operation -> the numbers of inputs it accepts
OPERATIONS: dict[str, tuple[int, ...]] = {
    "linear": (2, 3),  # b + sum_i W_i v_i; one weight per input, one bias
    "blend": (3,),  # v0 * v1 + (1 - v0) * v2
    "elementwise_prod": (2,),
    "elementwise_sum": (2,),
    "activation_tanh": (1,),
    "activation_sigm": (1,),
    "activation_leaky_relu": (1,),  # slope 0.01
}

#: operations whose inputs may be reordered without changing the function (a linear's weights move along)
COMMUTATIVE = frozenset({"linear", "elementwise_prod", "elementwise_sum"})

MAX_STATES = 3
#: of a recipe; cells of the space have up to 17
MAX_NODES = 100
_LONGEST_NAME = 100
_SOURCE = re.compile(r"h_prev_(0|[1-9][0-9]*)")
_OUTPUT = re.compile(r"h_new_(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Node:
    """One node: its name, its operation, and the names of its inputs in order."""

    name: str
    op: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """A valid RNN cell; build one with ``parse_cell`` or ``Cell.checked``, which check every rule.

    Two cells are equal when they are the same graph: node names, the order of nodes, the order of inputs of
    commutative operations and the numbering of the hidden states beyond the first do not matter.
    """

    nodes: tuple[Node, ...]

    @classmethod
    def checked(cls, nodes: tuple[Node, ...]) -> Cell:
        """Returns the cell of ``nodes``.

        Raises:
            ZeronasError: the graph breaks a rule; the sentence names the node, the rule and the values.
        """
        problem = find_problem(nodes)
        if problem is not None:
            raise ZeronasError(problem)
        return cls(nodes)

    @cached_property
    def states(self) -> int:
        """The number of hidden states H."""
        return sum(1 for node in self.nodes if _OUTPUT.fullmatch(node.name))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """``x, h_prev_0, .., h_prev_{H-1}``."""
        return ("x", *(f"h_prev_{j}" for j in range(self.states)))

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """Node name -> node."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def ordered(self) -> tuple[Node, ...]:
        """The nodes in an order in which every node follows its inputs (ties in recipe order)."""
        order = _topological(self.nodes, set(self.sources))
        assert order is not None
        return order

    @cached_property
    def form(self) -> str:
        """The exact canonical form: equal texts if and only if the cells are isomorphic."""
        return canonical_form(self.nodes, self.states, COMMUTATIVE)

    @cached_property
    def key(self) -> str:
        """``rnn-`` and 20 hex digits of the SHA-256 of ``form``; stable across processes."""
        return f"rnn-{digest(self.form)}"

    def canonical(self) -> Cell:
        """Returns the equal cell whose names and order depend on the graph alone."""
        entries = json.loads(self.form)
        names = [entry[0] for entry in entries]
        names = [name or f"node_{i}" for i, name in enumerate(names)]
        sources = self.sources
        nodes = []
        for name, (_, op, inputs) in zip(names, entries, strict=True):
            refs = tuple(sources[i] if i < len(sources) else names[i - len(sources)] for i in inputs)
            nodes.append(Node(name, op, refs))
        return Cell(tuple(nodes))

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Returns the recipe, nodes and inputs in their own order."""
        return {node.name: {"op": node.op, "input": list(node.inputs)} for node in self.nodes}

    def to_graph(self) -> nx.DiGraph:
        """Returns the graph: node attribute ``op`` ("source" for x and h_prev_*), edge attribute ``position``."""
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(self.sources, op="source")
        for node in self.nodes:
            graph.add_node(node.name, op=node.op)
        for node in self.nodes:
            for position, name in enumerate(node.inputs):
                graph.add_edge(name, node.name, position=position)
        return graph

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.form == other.form

    def __hash__(self) -> int:
        return hash(self.form)


def parse_cell(data: Any) -> Cell:
    """Reads a recipe: a JSON text or the decoded mapping.

    Raises:
        ZeronasError: not a recipe, or one that breaks a rule (see ``find_problem``).
    """
    if isinstance(data, (str, bytes)):
        try:
            data = json.loads(data, object_pairs_hook=distinct)
        except ZeronasError:
            raise
        except json.JSONDecodeError as error:
            raise ZeronasError(
                f"The recipe is not JSON (line {error.lineno}, column {error.colno}: {error.msg}); expected "
                '{"NODE": {"op": ..., "input": [...]}, ...}.'
            ) from None
        except (ValueError, RecursionError) as error:
            raise ZeronasError(f"The recipe is not JSON: {undecoded(error)}.") from None
    if not isinstance(data, Mapping) or not data:
        what = "is empty" if isinstance(data, Mapping) else f"is a {type(data).__name__}"
        raise ZeronasError(f'The recipe {what}; expected a mapping {{"NODE": {{"op": ..., "input": [...]}}, ...}}.')
    if len(data) > MAX_NODES:
        raise ZeronasError(f"The recipe has {len(data):,} nodes, but at most {MAX_NODES} are accepted.")
    cell = Cell.checked(tuple(_parse_node(name, body) for name, body in data.items()))
    _ = cell.form  # a cell without a key is found here
    return cell


def restored_cell(recipe: bytes, key: str) -> Cell:
    """Returns the cell of a recipe that is known to be valid, and to have this key."""
    cell = Cell(tuple(Node(name, body["op"], tuple(body["input"])) for name, body in json.loads(recipe).items()))
    cell.__dict__["key"] = key
    return cell


def _parse_node(name: Any, body: Any) -> Node:
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not is_printable(name):
        raise ZeronasError(
            f"The recipe has a node called {shown(name)}; a name is a word of up to {_LONGEST_NAME} letters, without "
            "control characters."
        )
    if not isinstance(body, Mapping):
        raise ZeronasError(f'Node {shown(name)} is {shown(body)}; expected {{"op": ..., "input": [...]}}.')
    unknown = [field for field in body if field not in ("op", "input")]
    if unknown:
        raise ZeronasError(f"Node '{name}' has the field {shown(unknown[0])}; only op and input are accepted.")
    for name_of_field in ("op", "input"):
        if name_of_field not in body:
            raise ZeronasError(f"Node '{name}' lacks the field '{name_of_field}'; op and input are both needed.")
    op, inputs = body["op"], body["input"]
    if not isinstance(op, str):
        raise ZeronasError(f"Node '{name}' has the operation {shown(op)}; expected one of {', '.join(OPERATIONS)}.")
    if not isinstance(inputs, (list, tuple)) or not all(isinstance(i, str) for i in inputs):
        raise ZeronasError(f"Node '{name}' has the input {shown(inputs)}; expected a list of node names.")
    return Node(name, op, tuple(inputs))


def find_problem(nodes: tuple[Node, ...]) -> str | None:
    """Returns one sentence about the first rule that the graph breaks, or None for a valid cell.

    The rules: known operations with their arity; distinct, known inputs, ``x`` for linear nodes only; outputs
    ``h_new_0 .. h_new_{H-1}`` with H from 1 to 3; no cycle; every node reaches an output; ``x`` and every ``h_prev_j``
    are used; ``h_new_0`` can be reached from ``x`` (through the recurrence, if need be).
    """
    names = [node.name for node in nodes]
    distinct_names = len(set(names)) == len(names)
    for name in names:
        if not distinct_names and names.count(name) > 1:
            return f"Node '{name}' is defined {names.count(name)} times; names must be distinct."
        if name == "x" or _SOURCE.fullmatch(name):
            return f"Node '{name}' has the name of a source; x and h_prev_* cannot be computed."
    outputs = sorted(int(m.group(1)) for m in (_OUTPUT.fullmatch(name) for name in names) if m)
    if not outputs:
        return f"The recipe has no output: a node 'h_new_0' is needed, the nodes are {', '.join(names) or 'none'}."
    if outputs != list(range(len(outputs))) or len(outputs) > MAX_STATES:
        found = ", ".join(f"h_new_{j}" for j in outputs)
        return f"The outputs are {found}; they must be h_new_0 to h_new_{{H-1}} with H from 1 to {MAX_STATES}."
    sources = {"x", *(f"h_prev_{j}" for j in outputs)}
    known = sources | set(names)
    for node in nodes:
        problem = _node_problem(node, known)
        if problem:
            return problem
    if _topological(nodes, sources) is None:
        return f"The recipe has a cycle: {' -> '.join(_cycle(nodes))}; a cell must be acyclic."
    return _reach_problem(nodes, len(outputs))


def _node_problem(node: Node, known: set[str]) -> str | None:
    if node.op not in OPERATIONS:
        return f"Node '{node.name}' has the unknown operation {shown(node.op)}.{did_you_mean(node.op, OPERATIONS)}"
    arity = OPERATIONS[node.op]
    if len(node.inputs) not in arity:
        wanted = " or ".join(map(str, arity))
        given = ", ".join(map(_short, node.inputs[:5])) + (", ..." if len(node.inputs) > 5 else "")
        return f"Node '{node.name}' ({node.op}) takes {wanted} inputs, but got {len(node.inputs)}: [{given}]."
    for name in node.inputs:
        if name not in known:
            return f"Node '{node.name}' reads the unknown node {shown(name)}.{did_you_mean(name, known)}"
    if len(set(node.inputs)) < len(node.inputs):
        return f"Node '{node.name}' reads the same node twice: [{', '.join(node.inputs)}]; inputs must be distinct."
    if "x" in node.inputs and node.op != "linear":
        return f"Node '{node.name}' ({node.op}) reads 'x'; only linear nodes may, for x has a size of its own."
    return None


def _short(name: str) -> str:
    return shown(name)[1:-1]


def _reach_problem(nodes: tuple[Node, ...], states: int) -> str | None:
    by_name = {node.name: node for node in nodes}
    used = ancestors(by_name, [f"h_new_{j}" for j in range(states)])
    for node in nodes:
        if node.name not in used:
            return f"Node '{node.name}' reaches no output; every node must reach one of h_new_0 to h_new_{states - 1}."
    for source in ("x", *(f"h_prev_{j}" for j in range(states))):
        if source not in used:
            return f"The source '{source}' is never used; x and every h_prev_* must be."
    if not responds(nodes, states):
        return "The output 'h_new_0' cannot be reached from the input 'x', not even through the hidden states."
    return None


def responds(nodes: tuple[Node, ...], states: int) -> bool:
    """Returns whether ``h_new_0`` can be reached from ``x``, through the recurrence if need be."""
    by_name = {node.name: node for node in nodes}
    reached = {"h_new_0"}
    while True:
        sources = ancestors(by_name, sorted(reached))
        if "x" in sources:
            return True
        grown = reached | {f"h_new_{j}" for j in range(states) if f"h_prev_{j}" in sources}
        if grown == reached:
            return False
        reached = grown


def ancestors(by_name: Mapping[str, Node], roots: list[str]) -> set[str]:
    """Returns the names (sources included) that the roots are computed from, roots included."""
    seen: set[str] = set()
    stack = list(roots)
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in by_name:
            stack.extend(by_name[name].inputs)
    return seen


def _topological(nodes: tuple[Node, ...], sources: set[str]) -> tuple[Node, ...] | None:
    done, order, waiting = set(sources), [], list(nodes)
    while waiting:
        ready = [node for node in waiting if all(name in done for name in node.inputs)]
        if not ready:
            return None
        order.extend(ready)
        done.update(node.name for node in ready)
        waiting = [node for node in waiting if node.name not in done]
    return tuple(order)


def _cycle(nodes: tuple[Node, ...]) -> list[str]:
    import networkx as nx

    graph = nx.DiGraph((name, node.name) for node in nodes for name in node.inputs)
    edges = nx.find_cycle(graph)
    return [edges[0][0], *(edge[1] for edge in edges)]
