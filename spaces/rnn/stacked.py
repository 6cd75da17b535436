"""Many cells in one pass: the nodes of all of them, grouped by operation, run as operations on stacks of vectors.

A small probe is bound by the number of operations it starts, not by arithmetic: one cell takes a hundred or two in
every pass of a dozen steps. Here the nodes of all cells that are ready at the same time run together: a batched
product for linear nodes, one call for each activation function, product, sum and blend.

What is computed of one cell does not depend on which others are stacked with it, not even in the last bit: each
product has a matrix and operands of its own, everything else is element by element, and streams are padded until a
slot is a whole number of vector registers, as a kernel's scalar end may round otherwise than its body.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from spaces.rnn.plan import Instruction, Plan

__all__ = ["LANES", "LayerWeights", "Stack", "padded", "scheduled", "unroll_stack"]

#: a slot is padded to a multiple of this many elements: two vectors of sixteen floats, the widest step of torch's loops
LANES = 32

#: operations that run in one phase, phases in the order in which they take turns
_PHASES = (
    ("linear",),
    ("activation_tanh", "activation_sigm", "activation_leaky_relu"),
    ("elementwise_prod", "elementwise_sum", "blend"),
)
_PHASE = {op: i for i, ops in enumerate(_PHASES) for op in ops}

#: one operation of a step: what is called, with what, and where it has one, its first argument of every step
_Call: TypeAlias = "tuple[Callable[..., Any], tuple[Any, ...], Tensor | None, Sequence[Tensor] | None]"


@dataclass(frozen=True)
class _Section:
    """Nodes of one operation that run together.

    Attributes:
        start, stop: the slots that they write.
        reads: slots that they read, operand by operand; of linear nodes, without ``x``.
        counts: how many of the nodes have a first, a second, a third such operand (the first ones).
        linears: of linear nodes, the place of the first among all, and of the first that reads ``x``.
    """

    op: str
    start: int
    stop: int
    reads: list[int]
    counts: tuple[int, ...]
    linears: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Stack:
    """The schedule of many plans.

    Slots 0 .. S-1 hold the states, state 0 of all cells first; further slots hold the nodes in the order run.

    Attributes:
        cells: number of plans N.
        slots: number of slots.
        phases: what runs, phase by phase.
        back: the slots that the states are taken from after a step, (S,).
        recurrent: of each product with a vector of the hidden size, in the order run: cell, blocks of such weights
            before it in the cell's draw, its place among the readers of its register, and their number.
        inputs: of each product with ``x``, in the order run: cell, and its place among the readers of ``x``.
        biases: of each linear node, in the order run: cell, and its place in the plan.
        blocks: per cell: readers of ``x``, blocks of weights with the hidden size, linear nodes.
    """

    cells: int
    slots: int
    phases: list[list[_Section]]
    back: list[int]
    recurrent: np.ndarray
    inputs: np.ndarray
    biases: np.ndarray
    blocks: np.ndarray

    def rows(self, size_in: int, hidden: int) -> np.ndarray:
        """Returns how many rows of ``hidden`` numbers each cell draws for a layer, (N,)."""
        readers, blocks, linears = self.blocks.T
        return readers * size_in + blocks * hidden + linears

    def weights(self, flat: Tensor, size_in: int, hidden: int) -> LayerWeights:
        """Returns the weights of a layer in the order in which they are used.

        Args:
            flat: the rows (n, hidden) drawn for all cells, cell after cell: per register in order its fused weight
                (in, readers * hidden), then the biases.
        """
        starts = np.concatenate([[0], np.cumsum(self.rows(size_in, hidden))[:-1]])
        after = starts + self.blocks[:, 0] * size_in  # where weights with the hidden size begin
        cell, before, place, readers = self.recurrent.T
        inner = (after[cell] + before * hidden + place)[:, None] + readers[:, None] * np.arange(hidden)
        cell, place = self.inputs.T
        first = (starts[cell] + place)[:, None] + self.blocks[cell, :1] * np.arange(size_in)
        cell, place = self.biases.T
        last = after[cell] + self.blocks[cell, 1] * hidden + place

        def picked(rows: np.ndarray, *shape: int) -> Tensor:
            return flat.index_select(0, torch.from_numpy(rows.ravel()).to(flat.device)).view(-1, *shape)

        return LayerWeights(picked(inner, hidden, hidden), picked(first, size_in, hidden), picked(last, 1, hidden))


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer of a stack: recurrent (M, h, h), of x (Mx, in, h), biases (L, 1, h)."""

    recurrent: Tensor
    inputs: Tensor
    biases: Tensor


class _Node:
    """A node that waits for its inputs."""

    __slots__ = ("cell", "instruction", "missing")

    def __init__(self, cell: int, instruction: Instruction, missing: int) -> None:
        self.cell, self.instruction, self.missing = cell, instruction, missing


def scheduled(plans: Sequence[Plan]) -> Stack:
    """Schedules many plans: the phases take turns, and each runs all nodes of its operations that are ready."""
    slot_of: list[list[int]] = [[-1] * (1 + plan.states + len(plan.instructions)) for plan in plans]
    slots = 0
    for state in range(1, 1 + max(plan.states for plan in plans)):
        for cell, plan in enumerate(plans):
            if state <= plan.states:
                slot_of[cell][state] = slots
                slots += 1
    ready: list[list[_Node]] = [[] for _ in _PHASES]
    readers: list[list[list[_Node]]] = []
    for cell, plan in enumerate(plans):
        found: list[list[_Node]] = [[] for _ in slot_of[cell]]
        for instruction in plan.instructions:
            inner = [register for register in instruction.inputs if register > plan.states]
            node = _Node(cell, instruction, len(inner))
            for register in inner:
                found[register].append(node)
            if not inner:
                ready[_PHASE[instruction.op]].append(node)
        readers.append(found)
    left = sum(len(plan.instructions) for plan in plans)
    phases: list[list[_Section]] = []
    order: list[_Node] = []  # of linear nodes
    products: list[tuple[int, int, int]] = []  # cell, linear, register
    for phase in itertools.cycle(range(len(_PHASES))):
        if not left:
            break
        nodes, ready[phase] = ready[phase], []
        if not nodes:
            continue
        sections = []
        for op in _PHASES[phase]:
            chosen = [node for node in nodes if node.instruction.op == op]
            if not chosen:
                continue
            if op == "linear":
                chosen.sort(key=_linear_order)
            for node in chosen:
                slot_of[node.cell][node.instruction.output] = slots
                slots += 1
            if op == "linear":
                sections.append(_linear_section(chosen, slot_of, slots, len(order), products))
                order += chosen
            else:
                operands = len(chosen[0].instruction.inputs)
                reads = [slot_of[node.cell][node.instruction.inputs[k]] for k in range(operands) for node in chosen]
                sections.append(_Section(op, slots - len(chosen), slots, reads, (len(chosen),) * operands))
        phases.append(sections)
        left -= len(nodes)
        for node in nodes:
            for reader in readers[node.cell][node.instruction.output]:
                reader.missing -= 1
                if not reader.missing:
                    ready[_PHASE[reader.instruction.op]].append(reader)
    states = range(max(plan.states for plan in plans))
    back = [slot_of[c][plan.outputs[j]] for j in states for c, plan in enumerate(plans) if j < plan.states]
    return Stack(len(plans), slots, phases, back, *_draws(plans, order, products))


def _linear_order(node: _Node) -> tuple[bool, int]:
    # Those that read x last, and those with more other inputs first, so that each kind is a run of neighbours.
    inputs = node.instruction.inputs
    reads_x = 0 in inputs
    return reads_x, reads_x - len(inputs)


def _linear_section(
    nodes: list[_Node], slot_of: list[list[int]], slots: int, done: int, products: list[tuple[int, int, int]]
) -> _Section:
    reads: list[int] = []
    counts = []
    others = [sorted(register for register in node.instruction.inputs if register) for node in nodes]
    for k in range(max(map(len, others))):
        having = [(node, registers[k]) for node, registers in zip(nodes, others, strict=True) if len(registers) > k]
        reads += [slot_of[node.cell][register] for node, register in having]
        products += [(node.cell, node.instruction.linear, register) for node, register in having]
        counts.append(len(having))
    with_x = next((i for i, node in enumerate(nodes) if 0 in node.instruction.inputs), len(nodes))
    return _Section("linear", slots - len(nodes), slots, reads, tuple(counts), (done, done + with_x))


def _draws(
    plans: Sequence[Plan], order: list[_Node], products: list[tuple[int, int, int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns where each weight stands in what is drawn (see ``Stack``)."""
    before: list[dict[int, int]] = []  # register -> blocks of weights with the hidden size drawn before its own
    blocks = []
    for plan in plans:
        total, mine = 0, {}
        for register in sorted(plan.readers):
            if register:
                mine[register] = total
                total += len(plan.readers[register])
        before.append(mine)
        blocks.append((len(plan.readers.get(0, ())), total, len(plan.linears)))
    recurrent = []
    for cell, linear, register in products:
        readers = plans[cell].readers[register]
        recurrent.append((cell, before[cell][register], readers.index(linear), len(readers)))
    inputs = [
        (node.cell, plans[node.cell].readers[0].index(node.instruction.linear))
        for node in order
        if 0 in node.instruction.inputs
    ]
    biases = [(node.cell, node.instruction.linear) for node in order]
    return (
        np.array(recurrent, dtype=np.int64).reshape(-1, 4),
        np.array(inputs, dtype=np.int64).reshape(-1, 2),
        np.array(biases, dtype=np.int64).reshape(-1, 2),
        np.array(blocks, dtype=np.int64),
    )


def padded(batch: int, hidden: int) -> int:
    """Returns the least number of streams, ``batch`` or more, whose vectors fill whole vector registers."""
    step = LANES // math.gcd(LANES, hidden)
    return -(-batch // step) * step


def unroll_stack(stack: Stack, weights: LayerWeights, x: Tensor) -> Tensor:
    """Runs one layer of all cells over a sequence, from zero states.

    Args:
        weights: as ``Stack.weights`` gives them.
        x: (T, B, in), read by all cells, or (N, T, B, in); B is ``padded``.

    Returns:
        h_new_0 of every cell, h_0 first: (T + 1, N, B, h).
    """
    steps, batch = x.shape[-3:-1]
    hidden = weights.biases.shape[2]
    states = len(stack.back)
    projected = _projected(stack, weights, x)  # (L, T, B, h)
    slots = x.new_zeros(stack.slots, batch, hidden)
    kept = x.new_zeros(steps + 1, states, batch, hidden)
    calls = list(_calls(stack, weights, projected, slots))
    back, current = _index(stack.back, x), slots[:states]
    for t in range(steps):
        for call, arguments, out, varying in calls:
            first = () if varying is None else (varying[t],)
            call(*first, *arguments, out=out)
        torch.index_select(slots, 0, back, out=kept[t + 1])
        current.copy_(kept[t + 1])
    return kept[:, : stack.cells]


def _index(slots: list[int], like: Tensor) -> Tensor:
    return torch.tensor(slots, device=like.device)


def _projected(stack: Stack, weights: LayerWeights, x: Tensor) -> Tensor:
    """Returns what ``x`` and the bias add to each linear node at every step, (L, T, B, h)."""
    steps, batch, size_in = x.shape[-3:]
    flat = x.reshape(-1, steps * batch, size_in)  # (1 or N, T*B, in)
    found = x.new_empty(len(weights.biases), steps * batch, weights.biases.shape[2])
    done = 0
    for section in (section for phase in stack.phases for section in phase if section.op == "linear"):
        first, with_x = section.linears
        last = first + section.stop - section.start
        if with_x > first:
            found[first:with_x] = weights.biases[first:with_x]
        if last > with_x:
            count = last - with_x
            if len(flat) == 1:
                read = flat.expand(count, -1, -1)
            else:
                read = flat.index_select(0, torch.from_numpy(stack.inputs[done : done + count, 0].copy()).to(x.device))
            matrices = weights.inputs[done : done + count]
            torch.baddbmm(weights.biases[with_x:last], read, matrices, out=found[with_x:last])
            done += count
    return found.view(-1, steps, batch, found.shape[2])


def _calls(stack: Stack, weights: LayerWeights, projected: Tensor, slots: Tensor) -> Iterator[_Call]:
    """Yields the operations of a step, made up once: each phase gathers all that it reads, then computes."""
    widest = max(sum(len(section.reads) for section in phase) for phase in stack.phases)
    scratch = slots.new_empty(widest, *slots.shape[1:])
    done = 0
    for phase in stack.phases:
        reads = [slot for section in phase for slot in section.reads]
        yield torch.index_select, (slots, 0, _index(reads, slots)), scratch[: len(reads)], None
        at = 0
        for section in phase:
            operands = []
            for count in section.counts:
                operands.append(scratch[at : at + count])
                at += count
            out = slots[section.start : section.stop]
            if section.op != "linear":
                yield _OPERATIONS[section.op](operands, out)
                continue
            first = section.linears[0]
            for k, operand in enumerate(operands):
                matrices, here = weights.recurrent[done : done + len(operand)], out[: len(operand)]
                done += len(operand)
                if k == 0:
                    added = projected[first : first + len(out)].unbind(1)  # T x (n, B, h)
                    yield torch.baddbmm, (operand, matrices), here, added
                else:
                    yield torch.baddbmm, (here, operand, matrices), here, None


def _blend(operands: list[Tensor], out: Tensor) -> _Call:
    gate, first, second = operands
    return torch.lerp, (second, first, gate), out, None  # gate * first + (1 - gate) * second


def _plain(function: Callable[..., Any]) -> Callable[[list[Tensor], Tensor], _Call]:
    return lambda operands, out: (function, tuple(operands), out, None)


_OPERATIONS: dict[str, Callable[[list[Tensor], Tensor], _Call]] = {
    "activation_tanh": _plain(torch.tanh),
    "activation_sigm": _plain(torch.sigmoid),
    "activation_leaky_relu": _plain(torch._C._nn.leaky_relu),  # slope 0.01
    "elementwise_prod": _plain(torch.mul),
    "elementwise_sum": _plain(torch.add),
    "blend": _blend,
}
