"""Derivatives that single proxies ask for: H g of the weights, gradients of linear nodes' outputs and of examples.

L is the sum of the last layer's outputs over steps, examples and units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from spaces.gradients import EXAMPLES, gradients, hessian_times_gradient, see_examples
from spaces.record import Need, Record, Tap
from spaces.rnn.unfused import Weights, blocks

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.rnn.module import Tape
    from spaces.rnn.plan import Plan

__all__ = ["curve", "differentiate_linears"]


def curve(record: Record, plan: Plan, weights: Weights, total: Tensor) -> None:
    """Gives the record's weights H g of L; the graph is kept. The embedding, listed last, has none."""
    found = iter(hessian_times_gradient(total, [w for fused, _ in weights for w in fused.values()], retain=True))
    curved = [block for fused, _ in weights for block in blocks(plan, {register: next(found) for register in fused})]
    record.weights[:-1] = [replace(w, curvature=c) for w, c in zip(record.weights[:-1], curved, strict=True)]


def differentiate_linears(
    record: Record, plan: Plan, tapes: Sequence[Tape], total: Tensor, kinds: frozenset[Need]
) -> None:
    """Gives the record the gradients of the linear nodes' outputs, and what is kept of those of single examples."""
    import torch

    places = {step.linear: step.output for step in plan.instructions if step.linear >= 0}
    nodes = [(layer, linear) for layer in range(len(tapes)) for linear in range(len(plan.linears))]
    outputs = [tapes[layer].linears[places[linear]] for layer, linear in nodes]  # each T x (B, h)
    found = iter(gradients(total, [step for steps in outputs for step in steps]))
    taps = []
    for (layer, linear), steps in zip(nodes, outputs, strict=True):
        grad = torch.stack([next(found) for _ in steps])
        taps.append(Tap(f"linear {linear}", layer, torch.stack(steps).detach(), grad, examples=1))
    if "linear_backward" in kinds:
        record.outputs = taps
    if kinds & EXAMPLES:
        record.weights = see_examples(record, record.weights, _reads_and_slopes(plan, tapes, taps), kinds)


def _reads_and_slopes(plan: Plan, tapes: Sequence[Tape], taps: Sequence[Tap]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields for each matrix what it multiplies (B, T, in) and the gradient of its node's output (B, T, h)."""
    import torch

    outputs = iter(taps)
    for tape in tapes:
        reads = {register: torch.stack(values, 1).detach() for register, values in tape.reads.items()}
        for inputs in plan.linears:
            slope = next(outputs).grad
            assert slope is not None
            for register in inputs:
                yield reads[register], slope.transpose(0, 1)
