"""The network of a cell as ONNX: one loop over the tokens for each layer, as many of them and streams as are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces.language_model import State
from spaces.onnx_file import Case, Graph, tensor
from spaces.rnn.module import CellRNN
from spaces.rnn.network import CellNetwork
from spaces.rnn.plan import Plan

__all__ = ["cases", "model"]

_UNARY = {"activation_tanh": "Tanh", "activation_sigm": "Sigmoid", "activation_leaky_relu": "LeakyRelu"}  # slope 0.01


def model(network: CellNetwork) -> bytes:
    """Returns the model of a network in evaluation mode, serialised.

    Inputs are ``tokens`` (tokens, streams), int64, or ``vectors`` (tokens, streams, E), and ``state_L_J`` (streams, h),
    hidden state J of layer L, zeros at the beginning; outputs ``logits`` or ``outputs``, and ``new_state_L_J``.
    """
    graph, rnn = Graph(), network.rnn
    if network.embedding is None:
        inputs = [tensor("vectors", ["tokens", "streams", rnn.stack[0].input_size])]
        x = "vectors"
    else:
        inputs = [tensor("tokens", ["tokens", "streams"], "INT64")]
        x = graph("Gather", graph.constant(network.embedding.weight), "tokens", axis=0)
    outputs = []
    for index, layer in enumerate(rnn.stack):
        weights = {int(register): graph.constant(weight) for register, weight in layer.weights.items()}
        x = _layer(graph, layer.plan, index, weights, layer.bias, x)
        inputs += [tensor(name, ["streams", layer.hidden_size]) for name in _states(index, layer.plan.states)]
        outputs += [tensor(f"new_{name}", ["streams", layer.hidden_size]) for name in _states(index, layer.plan.states)]
    if network.decoder is None:
        graph("Identity", x, into="outputs")
        first = tensor("outputs", ["tokens", "streams", rnn.hidden_sizes[-1]])
    else:
        product = graph("MatMul", x, graph.constant(network.decoder.weight.T))
        graph("Add", product, graph.constant(network.decoder.bias), into="logits")
        first = tensor("logits", ["tokens", "streams", network.decoder.out_features])
    return graph.model(rnn.cell.key, inputs, [first, *outputs])


def _states(layer: int, count: int) -> list[str]:
    return [f"state_{layer}_{j}" for j in range(count)]


def _layer(graph: Graph, plan: Plan, index: int, weights: dict[int, str], bias: Tensor, x: str) -> str:
    """Adds one layer and returns its outputs (tokens, streams, h) of ``x``; see ``spaces.rnn.module.unroll``."""
    states, hidden = _states(index, plan.states), bias.shape[1]
    projected = graph("MatMul", x, weights[0])  # of all steps at once, as x does not depend on any
    step = Graph(graph)
    value = {1 + j: step.name() for j in range(plan.states)}
    given = [tensor(name, ["streams", hidden]) for name in value.values()]
    given.append(tensor(step.name(), ["streams", hidden * len(plan.readers[0])]))
    block: dict[tuple[int, int], str] = {}  # (linear, register) -> product

    def split(register: int, product: str) -> None:
        readers = plan.readers[register]
        names = step.several("Split", [product], [step.name() for _ in readers], axis=1, num_outputs=len(readers))
        block.update({(linear, register): name for linear, name in zip(readers, names, strict=True)})

    def project(register: int) -> None:
        if register in plan.readers:
            split(register, step("MatMul", value[register], weights[register]))

    split(0, given[-1].name)
    for register in range(1, 1 + plan.states):
        project(register)
    for one in plan.instructions:
        read = one.inputs
        if one.op == "linear":
            total = step.constant(bias[one.linear])
            for register in read:
                total = step("Add", total, block[one.linear, register])
            made = total
        elif one.op == "blend":  # second + gate * (first - second)
            gate, first, second = (value[register] for register in read)
            made = step("Add", second, step("Mul", gate, step("Sub", first, second)))
        elif one.op in ("elementwise_prod", "elementwise_sum"):
            made = step("Mul" if one.op == "elementwise_prod" else "Add", *(value[register] for register in read))
        else:
            made = step(_UNARY[one.op], value[read[0]])
        value[one.output] = made
        project(one.output)
    after = [step("Identity", value[register]) for register in (*plan.outputs, plan.outputs[0])]
    body = step.body(f"layer_{index}", given, [tensor(name, ["streams", hidden]) for name in after])
    outputs = graph.name()
    graph.several(
        "Scan", [*states, projected], [*(f"new_{name}" for name in states), outputs], body=body, num_scan_inputs=1
    )
    return outputs


def cases(network: CellNetwork) -> list[Case]:
    """Returns what a network makes of seven tokens of three streams, from states unlike zero, and of one token."""
    generator = torch.Generator().manual_seed(0)
    return [_case(network, steps, streams, generator) for steps, streams in ((7, 3), (1, 1))]


@torch.no_grad()
def _case(network: CellNetwork, steps: int, streams: int, generator: torch.Generator) -> Case:
    rnn: CellRNN = network.rnn
    count = rnn.cell.states
    state: State = [
        tuple(0.1 * torch.randn(streams, hidden, generator=generator) for _ in range(count))
        for hidden in rnn.hidden_sizes
    ]
    if network.embedding is None:
        inputs = {"vectors": torch.randn(steps, streams, rnn.stack[0].input_size, generator=generator)}
    else:
        ids = torch.randint(0, network.embedding.num_embeddings, (steps, streams), generator=generator)
        inputs = {"tokens": ids}
    (given,) = inputs.values()
    output, after = network(given, state)
    name = "outputs" if network.decoder is None else "logits"
    return Case({**inputs, **_named(state)}, {name: output, **_named(after, "new_")})


def _named(state: Sequence[Sequence[Tensor]], before: str = "") -> dict[str, Tensor]:
    return {
        f"{before}{name}": value
        for index, layer in enumerate(state)
        for name, value in zip(_states(index, len(layer)), layer, strict=True)
    }
