"""The probe of stacks: one pass, layer by layer and step by step, so that the gradient of every state is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nas.core import seeds
from nas.core.options import Folder, Size, validate
from spaces.record import Need, Needs, Record, Weight
from spaces.tokens import token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from zeronas_stack.architecture import Stack

__all__ = ["StackProbe"]


@dataclass(frozen=True)
class StackProbe:
    """Settings of the pass; gradients are of L, the sum of the outputs over steps, examples and units.

    The record's hidden states are a layer's own outputs, before its input is added.

    Attributes:
        embedding: width e of the word vectors, the same for all stacks of a run.
        batch: number of streams B.
        steps: time steps T.
        vocabulary: number of token ids.
        text: path of a text to read instead of Zipf-distributed ids.
    """

    #: what it can be asked for
    gives: ClassVar[frozenset[Need]] = frozenset(
        {"shapes", "forward", "embedding", "weights", "backward", "hidden_backward"}
    )

    embedding: Size = 16
    batch: Size = 8
    steps: Size = 8
    vocabulary: Size = 1_000
    text: Folder | None = None

    def __post_init__(self) -> None:
        validate(self, "The probe of space 'stack'")

    def observe(self, space: Space[Any], architecture: Stack, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Makes the record of one stack: only what ``needs`` asks for is run."""
        record = Record.of(space, architecture, needs, seed)
        if needs.to_run:
            self._look(record, space, architecture, needs, device)
        return record

    def _look(self, record: Record, space: Space[Any], stack: Stack, needs: Needs, device: str) -> None:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.integer(record.seed, "embedding"))
            table = torch.empty(self.vocabulary, self.embedding).uniform_(-0.1, 0.1)
            torch.manual_seed(seeds.integer(record.seed, stack.key, "weights"))
            module: Any = space.build(stack, input_size=self.embedding).to(device)
        ids = torch.from_numpy(token_ids(self.steps, self.batch, self.vocabulary, record.seed, self.text))
        gradients = "backward" in needs.kinds
        with torch.set_grad_enabled(gradients):
            x = table[ids].to(device).requires_grad_(gradients)  # (T, B) -> (T, B, e)
            states: list[list[Tensor]] = []  # per layer, h before the first step and after each: (B, h)
            y: Tensor = x
            for layer, adds in zip(module.layers, module.adds, strict=True):
                steps = _unrolled(layer, y, gradients)
                states.append(steps)
                own = torch.stack(steps[1:])
                y = y + own if adds else own
            parameters = [p for layer in module.layers for p in (layer.weight_ih_l0, layer.weight_hh_l0)]
            flat = [state for steps in states for state in steps]
            given: list[Any] = [None] * (1 + len(flat) + len(parameters))
            if gradients:
                given = list(torch.autograd.grad(y.sum(), [x, *flat, *parameters], materialize_grads=True))
        slopes = iter(given)
        record.embedding, record.embedding_grad = x.detach(), next(slopes)
        for steps in states:
            record.hidden.append(torch.stack(steps[:-1]).detach())
            record.final.append(steps[-1].detach())
            if gradients:
                *before, last = (next(slopes) for _ in steps)
                record.hidden_grads.append(torch.stack(before))
                record.final_grads.append(last)
        if "weights" in needs.kinds:
            slopes = iter(given[1 + len(flat) :])
            for place, value in enumerate(parameters):
                number, position = divmod(place, 2)
                record.weights.append(Weight("linear", "linear", number, position, value.detach(), next(slopes)))


def _unrolled(layer: Any, x: Tensor, gradients: bool) -> list[Tensor]:
    """Returns h (B, h) before the first step, all zero, and after each, for inputs (T, B, e)."""
    import torch

    h = torch.zeros(x.shape[1], layer.hidden_size, device=x.device, requires_grad=gradients)
    found, cell = [h], torch.zeros_like(h)[None]
    for step in x:
        if isinstance(layer, torch.nn.LSTM):
            _, (h, cell) = layer(step[None], (found[-1][None], cell))
        else:
            _, h = layer(step[None], found[-1][None])
        found.append(h[0])  # (1, B, h) -> (B, h); the next step reads this tensor, so its gradient is that of the state
    return found
