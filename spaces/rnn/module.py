"""A cell as a torch module with ``torch.nn.LSTM``'s interface, and the functional unrolling behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from spaces.rnn.cell import Cell
from spaces.rnn.plan import Plan, compile_plan

__all__ = ["CellRNN", "Tape", "unroll"]

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "activation_tanh": torch.tanh,
    "activation_sigm": torch.sigmoid,
    "activation_leaky_relu": nn.functional.leaky_relu,  # slope 0.01
}


@dataclass
class Tape:
    """What ``unroll`` keeps on request.

    Attributes:
        states: h_new_0 after every step (B, h), each a tensor of its own: its gradient is what later steps and the
            output pass back, without what other nodes of the same step do that read the node h_new_0.
        activations: register of each activation node -> its output (B, h) of every step.
        inner: whether the next two are kept.
        linears: register of each linear node -> its output (B, h) of every step.
        reads: register that linear nodes read -> its value (B, in) of every step.
    """

    states: list[Tensor] = field(default_factory=list)
    activations: dict[int, list[Tensor]] = field(default_factory=dict)
    inner: bool = False
    linears: dict[int, list[Tensor]] = field(default_factory=dict)
    reads: dict[int, list[Tensor]] = field(default_factory=dict)


def unroll(
    plan: Plan,
    weights: dict[int, Tensor],
    bias: Tensor,
    x: Tensor,
    state: Sequence[Tensor],
    tape: Tape | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs one layer over a sequence.

    Args:
        plan: the compiled cell, with n linear nodes.
        weights: per register read by linear nodes, the fused weight (in, readers * h), block b for reader b.
        bias: (n, h), the bias of every linear node.
        x: (T, B, E).
        state: H tensors (B, h), the hidden states before the first step.
        tape: filled with states and activations, if given.

    Returns:
        The outputs h_new_0 of all steps (T, B, h), and the H states after the last.
    """
    steps, batch, _ = x.shape
    hidden = bias.shape[1]
    fused_bias: dict[int, Tensor | None] = {}
    for register, readers in plan.readers.items():
        has = [plan.bias_register(i) == register for i in readers]
        rows = [bias[i] if own else torch.zeros_like(bias[i]) for i, own in zip(readers, has, strict=True)]
        fused_bias[register] = torch.cat(rows) if any(has) else None

    def project(register: int, value: Tensor) -> Tensor:  # (B, in) -> (B, readers * h)
        added = fused_bias[register]
        weight = weights[register]
        return value @ weight if added is None else torch.addmm(added, value, weight)

    projected_x: list[Sequence[Tensor]] = []
    if 0 in plan.readers:
        flat = project(0, x.reshape(steps * batch, -1))  # (T, B, E) -> (T*B, readers*h)
        blocks = flat.view(steps, batch, len(plan.readers[0]), hidden).unbind(2)
        projected_x = [block.unbind(0) for block in blocks]
    # where each (linear, register) finds its block of the register's fused product
    block_of = {(i, register): b for register, readers in plan.readers.items() for b, i in enumerate(readers)}
    registers: list[Tensor] = [x] * (1 + plan.states + len(plan.instructions))
    products: dict[int, Sequence[Tensor]] = {}
    outputs: list[Tensor] = []
    current = tuple(state)
    inner = tape if tape is not None and tape.inner else None
    for t in range(steps):
        registers[0] = x[t]
        for j in range(plan.states):
            registers[1 + j] = current[j]
            if 1 + j in plan.readers:
                products[1 + j] = project(1 + j, current[j]).split(hidden, dim=1)
        for step in plan.instructions:
            op, inputs = step.op, step.inputs
            if op == "linear":
                parts = [
                    projected_x[block_of[step.linear, 0]][t] if r == 0 else products[r][block_of[step.linear, r]]
                    for r in inputs
                ]
                value = parts[0] + parts[1]
                if len(parts) == 3:
                    value = value + parts[2]
            elif op == "blend":
                gate, first, second = (registers[r] for r in inputs)
                value = torch.lerp(second, first, gate)  # gate * first + (1 - gate) * second
            elif op == "elementwise_prod":
                value = registers[inputs[0]] * registers[inputs[1]]
            elif op == "elementwise_sum":
                value = registers[inputs[0]] + registers[inputs[1]]
            else:
                value = _UNARY[op](registers[inputs[0]])
                if tape is not None:
                    tape.activations.setdefault(step.output, []).append(value)
            registers[step.output] = value
            if step.output in plan.readers:
                products[step.output] = project(step.output, value).split(hidden, dim=1)
            if inner is not None and op == "linear":
                inner.linears.setdefault(step.output, []).append(value)
        if inner is not None:
            for register in plan.readers:
                inner.reads.setdefault(register, []).append(registers[register])
        current = tuple(registers[r] for r in plan.outputs)
        if tape is not None:
            current = (current[0].view_as(current[0]), *current[1:])
            tape.states.append(current[0])
        outputs.append(current[0])
    return torch.stack(outputs), current


class CellRNN(nn.Module):
    """A stack of layers of one cell, called as ``torch.nn.LSTM`` is: ``module(x, state) -> (output, state)``.

    Args:
        cell: the architecture.
        input_size: size E of the input vectors; only ``x`` may have another size than the hidden states.
        hidden_size: size h of every layer, or one size per layer (then the returned state is a list per layer).
        num_layers: number of layers where ``hidden_size`` is one number.

    Every weight and bias starts U(-1/sqrt(h), 1/sqrt(h)), as NAS-Bench-NLP's do. The weight of a linear node from one
    of its inputs is ``layer.weight_of(linear, register)``, a view of a fused parameter.
    """

    def __init__(self, cell: Cell, input_size: int, hidden_size: int | Sequence[int], num_layers: int = 1) -> None:
        super().__init__()
        self.cell = cell
        sizes = [hidden_size] * num_layers if isinstance(hidden_size, int) else list(hidden_size)
        self.hidden_sizes = tuple(sizes)
        self.layers = nn.ModuleList(
            _Layer(cell, size_in, size) for size_in, size in zip([input_size, *sizes[:-1]], sizes, strict=True)
        )

    @property
    def stack(self) -> list[_Layer]:
        """The layers, first to last."""
        return list(self.layers)  # type: ignore[arg-type]

    def forward(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs the stack.

        Args:
            x: (T, B, E).
            state: H tensors (layers, B, h), zeros if None.

        Returns:
            Output (T, B, h), and the new state: H tensors (layers, B, h).

        Raises:
            ValueError: the input or the state has another shape.
        """
        if x.dim() != 3 or x.shape[2] != self.layers[0].input_size:
            raise ValueError(f"x must be (T, B, {self.layers[0].input_size}), but has the shape {tuple(x.shape)}.")
        if len(set(self.hidden_sizes)) > 1:
            raise ValueError(f"forward needs equal hidden sizes, got {self.hidden_sizes}; use run() instead.")
        states = None if state is None else [[s[i] for s in state] for i in range(len(self.layers))]
        output, after = self.run(x, states)
        return output, tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    def run(
        self,
        x: Tensor,
        states: Sequence[Sequence[Tensor]] | None = None,
        dropout: float = 0.0,
        weight_drop: float = 0.0,
    ) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """As ``forward``, with the state as a list over layers of H tensors (B, h_l): layers may differ in size.

        Args:
            dropout: share of the input and of each layer's output that is dropped, one mask for all steps.
            weight_drop: share of the weights of the previous states that is dropped, one mask for all steps.
        """
        x = _dropped(x, dropout)
        after: list[tuple[Tensor, ...]] = []
        for i, layer in enumerate(self.stack):
            x, final = layer(x, None if states is None else states[i], weight_drop)
            x = _dropped(x, dropout)
            after.append(final)
        return x, after


def _dropped(x: Tensor, share: float) -> Tensor:
    if not share:
        return x
    return x * (torch.empty_like(x[:1]).bernoulli_(1 - share) / (1 - share))


class _Layer(nn.Module):
    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.plan = compile_plan(cell)
        self.input_size, self.hidden_size = input_size, hidden_size
        bound = 1 / math.sqrt(hidden_size)
        self.weights = nn.ParameterDict()
        for register, readers in self.plan.readers.items():
            size = input_size if register == 0 else hidden_size
            self.weights[str(register)] = nn.Parameter(torch.empty(size, len(readers) * hidden_size))
        self.bias = nn.Parameter(torch.empty(len(self.plan.linears), hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def weight_of(self, linear: int, register: int) -> Tensor:
        """Returns the (in, h) weight of one linear node from one register."""
        block = self.plan.readers[register].index(linear)
        return self.weights[str(register)][:, block * self.hidden_size : (block + 1) * self.hidden_size]

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, weight_drop: float = 0.0
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if state is None:
            state = [x.new_zeros(x.shape[1], self.hidden_size)] * self.plan.states
        if len(state) != self.plan.states:
            raise ValueError(f"The cell has {self.plan.states} hidden states, but {len(state)} were given.")
        weights = {int(register): weight for register, weight in self.weights.items()}
        if weight_drop:  # of what multiplies the previous states, one mask for all steps
            for register in range(1, 1 + self.plan.states):
                if register in weights:
                    weights[register] = nn.functional.dropout(weights[register], weight_drop)
        return unroll(self.plan, weights, self.bias, x, state)
