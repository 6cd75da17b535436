"""RNN cells over NAS-Bench-NLP's operations: recipes, generator, operators, modules."""

from spaces.rnn.cell import COMMUTATIVE, OPERATIONS, Cell, Node, parse_cell
from spaces.rnn.counts import RNNSizes
from spaces.rnn.generator import NAMED_CELLS, generate, named_cell, valid_seeds
from spaces.rnn.space import RNNSpace

__all__ = [
    "COMMUTATIVE",
    "NAMED_CELLS",
    "OPERATIONS",
    "Cell",
    "Node",
    "RNNSizes",
    "RNNSpace",
    "generate",
    "named_cell",
    "parse_cell",
    "valid_seeds",
]
