"""One architecture of a table: its id and its genes, its key, its JSON form and its graph."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from spaces.rules import Value

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Row", "key_of"]


def key_of(id: str) -> str:
    """Returns ``table-`` and 64 bits of SHA-256 of an id: the same wherever in the file it stands."""
    return "table-" + hashlib.sha256(id.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Row:
    """An architecture by its id, with (name, value) of its genes in the order of the settings."""

    id: str
    genes: tuple[tuple[str, Value], ...] = ()

    @cached_property
    def key(self) -> str:
        """See ``key_of``."""
        return key_of(self.id)

    def to_json(self) -> dict[str, Any]:
        """Returns ``{"id": "17", "genes": {"op": "skip"}}``, without genes the id alone."""
        return {"id": self.id, **({"genes": dict(self.genes)} if self.genes else {})}

    def to_graph(self) -> nx.DiGraph:
        """Returns the genes as a chain, without genes one node: the table tells nothing of the network."""
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph()
        for name, value in self.genes:
            graph.add_node(name, op=f"{name}={value}", label=f"{name}\n{value}")
        if not self.genes:
            graph.add_node(self.id, op="architecture", label=self.id)
        graph.add_edges_from(pairwise([name for name, _ in self.genes]))
        return graph
