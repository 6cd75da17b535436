"""A cell compiled once into a flat list of instructions, so that no time step walks a graph.

All linear nodes that read the same vector share one fused matrix product: the input projections of ``x`` are made for
the whole sequence before the time loop, those of a hidden state or inner node once per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from spaces.rnn.cell import Cell, Node

__all__ = ["Instruction", "Plan", "compile_plan"]


@dataclass(frozen=True)
class Instruction:
    """One node. Registers 0 .. H hold ``x, h_prev_0, ..``; node i of the plan writes register 1 + H + i.

    Attributes:
        op: the operation.
        inputs: registers read, in order.
        output: register written.
        linear: index of the linear node among all linear nodes, or -1.
    """

    op: str
    inputs: tuple[int, ...]
    output: int
    linear: int


@dataclass(frozen=True)
class Plan:
    """The compiled cell.

    Attributes:
        states: number of hidden states H.
        instructions: in an order in which every instruction follows its inputs.
        outputs: registers of ``h_new_0 .. h_new_{H-1}``.
        linears: per linear node, the registers it reads.
        readers: per register read by linear nodes: the indices of those nodes, in order. Block b of the register's
            fused weight belongs to node ``readers[register][b]``.
    """

    states: int
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    linears: tuple[tuple[int, ...], ...]
    readers: dict[int, tuple[int, ...]]

    def bias_register(self, linear: int) -> int:
        """Returns the register in whose fused product the bias of a linear node is added: the least it reads."""
        return min(self.linears[linear])


def compile_plan(cell: Cell, canonical: bool = True) -> Plan:
    """Compiles a cell.

    Args:
        canonical: number the nodes in canonical order, so that equal cells get equal plans (and equal random
            weights); False keeps the recipe's own order, as a replay of published weights needs.
    """
    return _compiled((cell.canonical() if canonical else cell).nodes)


@lru_cache(maxsize=4096)
def _compiled(nodes: tuple[Node, ...]) -> Plan:  # cached by the nodes: equal cells may list them in another order
    cell = Cell(nodes)
    register = {name: i for i, name in enumerate(cell.sources)}
    instructions: list[Instruction] = []
    index = {node.name: i for i, node in enumerate(n for n in cell.nodes if n.op == "linear")}
    linears: list[tuple[int, ...]] = [()] * len(index)
    for node in cell.ordered:
        output = register[node.name] = len(register)
        inputs = tuple(register[name] for name in node.inputs)
        linear = index.get(node.name, -1)
        if linear >= 0:
            linears[linear] = inputs
        instructions.append(Instruction(node.op, inputs, output, linear))
    readers: dict[int, tuple[int, ...]] = {}
    for i, inputs in enumerate(linears):
        for source in inputs:
            readers[source] = (*readers.get(source, ()), i)
    outputs = tuple(register[f"h_new_{j}"] for j in range(cell.states))
    return Plan(cell.states, tuple(instructions), outputs, tuple(linears), readers)
