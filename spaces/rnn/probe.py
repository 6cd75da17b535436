"""The probe of RNN cells: one pass through an untrained stack of layers, in evaluation mode, from the zero state.

Forward only, unless gradients are needed: then one backward pass of L, the sum of the last layer's outputs over steps,
examples and units, gives all of them. Each noised input that a proxy asks for takes another such pass. So do the
gradients of the linear nodes' outputs, of which those of single examples are made, and second derivatives two.

SynFlow's pass ("flow") is one of its own: a stream of one example with the input 1 everywhere, all weights and biases
absolute, float64, the probe's steps and layers, and the gradient of the sum of all outputs. Activation functions,
products and blends of the cell are left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Folder, Seed, Size, Sizes, validate
from spaces.blocks import BLOCKS, blocks_of
from spaces.gradients import LINEARS, gradients
from spaces.record import Need, Needs, Noise, Record
from spaces.rnn.derivatives import curve, differentiate_linears
from spaces.rnn.unfused import Weights, activations, used_rows, weights_of
from spaces.tokens import token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.rnn.cell import Cell
    from spaces.rnn.module import Tape
    from spaces.rnn.plan import Plan

__all__ = ["RNNProbe", "run_stack"]

#: needs that the first backward pass answers
_FIRST = frozenset({"backward", "noise"})
#: needs that take a backward pass
_GRADIENTS = _FIRST | LINEARS | {"hessian", "block_backward"}
#: needs that list the weights
_WEIGHTS = frozenset({"weights", "hessian", "example_moments"})
#: needs that run all layers of the probe
_WHOLE = _GRADIENTS | BLOCKS | _WEIGHTS | {"activations"}

#: what many cells can be looked at for in one pass
_STACKED = frozenset({"forward", "embedding"})
#: most cells of such a pass, what it may hold in bytes, and how many linear nodes a cell counts for
_TOGETHER, _STACK_BYTES, _LINEARS = 64, 2**26, 6


@dataclass(frozen=True)
class RNNProbe:
    """Settings of the pass.

    Attributes:
        embedding: embedding size e.
        hidden: hidden size of each layer; proxies of hidden states alone run only as many layers as they need,
            proxies of gradients, weights or activations all of them.
        batch: number of streams B.
        steps: time steps T.
        vocabulary: number of token ids.
        init: "derived": weights from (seed, key), one embedding for all cells of a run, so that equal cells score
            equally. "replayed": the random stream of the paper's released code is replayed (one torch generator
            seeded with ``seed`` draws embedding, layers, decoder and embedding again), so that every cell has its
            own embedding and weights follow the recipe's own order of nodes; noise comes from numpy's legacy
            generator, seeded alike.
        text: path of a text to read instead of Zipf-distributed ids.
        tokens_seed: seed of the ids where it is not the run's, to vary weights and data apart.
        stacked: whether many cells are looked at in one pass, where hidden states of derived weights are all that is
            looked at. What a cell scores does not depend on its company, but rounding is not that of a pass of its
            own: beside proxies that need more than hidden states, which take such a pass, scores differ in their last
            digits.

    All weights and biases are U(-1/sqrt(h), 1/sqrt(h)), embeddings U(-0.1, 0.1), as in NAS-Bench-NLP's code.
    """

    gives: ClassVar[frozenset[Need]] = (
        frozenset({"shapes", "described", "forward", "embedding", "hidden_backward", "flow"}) | _WHOLE
    )

    embedding: Size = 32
    hidden: Sizes = (64,)
    batch: Size = 12
    steps: Size = 12
    vocabulary: Size = 10_000
    init: Literal["derived", "replayed"] = "derived"
    text: Folder | None = None
    tokens_seed: Seed | None = None
    stacked: bool = False

    def __post_init__(self) -> None:
        validate(self, "The probe of space 'rnn'")

    def _tokens_seed(self, seed: int) -> int:
        return seed if self.tokens_seed is None else self.tokens_seed

    def observe(self, space: Space[Any], architecture: Cell, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Makes the record of one cell: only what ``needs`` asks for is run.

        Raises:
            ZeronasError: a proxy needs more layers than the probe has.
        """
        self._check(needs)
        record = Record.of(space, architecture, needs, seed)
        if needs.to_run - {"flow"}:
            self._look(record, architecture, needs, device)
        if "flow" in needs.kinds:
            self._flow(record, architecture, device)
        return record

    def _check(self, needs: Needs) -> None:
        if needs.layers > len(self.hidden):
            raise ZeronasError(
                f"A proxy needs layer {needs.layers}, but the probe has hidden sizes {list(self.hidden)}, "
                f"one per layer; choose a layer up to {len(self.hidden)} or a probe with more layers."
            )

    def _stacks(self, needs: Needs) -> bool:
        return self.stacked and self.init == "derived" and bool(needs.to_run) and not needs.to_run - _STACKED

    def together(self, needs: Needs) -> int:
        """Returns how many cells a pass is made of: many where hidden states are all that is looked at, and small."""
        if not self._stacks(needs):
            return 1
        widest = max(self.hidden)
        a_cell = 4 * widest * (_LINEARS * self.steps * self.batch + 2 * _LINEARS * widest)
        return max(1, min(_TOGETHER, _STACK_BYTES // a_cell))

    def observe_many(
        self, space: Space[Any], architectures: Sequence[Cell], needs: Needs, seed: int, device: str = "cpu"
    ) -> list[Record]:
        """Makes the records of many cells in one pass (see ``spaces.rnn.stacked``), where ``needs`` allow it.

        Raises:
            ZeronasError: a proxy needs more layers than the probe has.
        """
        self._check(needs)
        if not self._stacks(needs):
            return [self.observe(space, architecture, needs, seed, device) for architecture in architectures]
        records = [Record.of(space, architecture, needs, seed) for architecture in architectures]
        if records:
            self._look_at_many(records, architectures, needs, device)
        return records

    def _look_at_many(self, records: list[Record], cells: Sequence[Cell], needs: Needs, device: str) -> None:
        import torch

        from spaces.rnn.plan import compile_plan
        from spaces.rnn.stacked import padded, scheduled, unroll_stack

        seed = records[0].seed
        with torch.inference_mode():
            whole = scheduled([compile_plan(cell) for cell in cells])
            sizes = self._sizes(needs.layers)
            drawn = self._draw_many(cells, [whole.rows(size_in, hidden).tolist() for size_in, hidden in sizes], seed)
            x = _embedding(self.vocabulary, self.embedding, seed)[self._ids(seed)].to(device)  # (T, B, e)
            for record in records:
                record.embedding = x
            for (size_in, hidden), flat in zip(sizes, drawn, strict=True):
                streams = padded(self.batch, hidden)
                if x.shape[-2] < streams:
                    x = torch.nn.functional.pad(x, (0, 0, 0, streams - x.shape[-2]))
                states = unroll_stack(whole, whole.weights(flat.to(device), size_in, hidden), x[..., :streams, :])
                for i, record in enumerate(records):
                    record.hidden.append(states[:-1, i, : self.batch])
                    record.final.append(states[-1, i, : self.batch])
                x = states[1:].transpose(0, 1)  # (T, N, B, h) -> (N, T, B, h)

    def _draw_many(self, cells: Sequence[Cell], rows: list[list[int]], seed: int) -> list[Tensor]:
        """Returns, per layer, the rows (n, h) of all cells: what ``_derived`` draws, cell after cell."""
        import torch

        sizes = self.hidden[: len(rows)]
        drawn = [torch.empty(sum(layer), hidden) for layer, hidden in zip(rows, sizes, strict=True)]
        generator = torch.Generator()
        ends = [0] * len(rows)
        for i, cell in enumerate(cells):
            generator.manual_seed(seeds.integer(seed, cell.key, "weights"))
            for layer, flat in enumerate(drawn):
                begin, ends[layer] = ends[layer], ends[layer] + rows[layer][i]
                flat[begin : ends[layer]].uniform_(generator=generator)
        for flat, hidden in zip(drawn, sizes, strict=True):
            bound = self._bound(hidden)
            flat.mul_(2 * bound).sub_(bound)
        return drawn

    def _ids(self, seed: int) -> Tensor:
        """Returns the token ids (T, B)."""
        import torch

        return torch.from_numpy(token_ids(self.steps, self.batch, self.vocabulary, self._tokens_seed(seed), self.text))

    def _look(self, record: Record, cell: Cell, needs: Needs, device: str) -> None:
        import torch

        from spaces.rnn.module import Tape
        from spaces.rnn.plan import compile_plan

        kinds = needs.kinds
        differentiable = bool(kinds & _GRADIENTS)
        layers = len(self.hidden) if kinds & _WHOLE else needs.layers
        with torch.inference_mode(not differentiable), torch.set_grad_enabled(differentiable):
            plan = compile_plan(cell, canonical=self.init == "derived")
            table, weights = self.draw(plan, cell.key, layers, record.seed)
            weights = [({r: w.to(device) for r, w in fused.items()}, bias.to(device)) for fused, bias in weights]
            ids = self._ids(record.seed)
            x = table[ids].to(device)  # (T, B) -> (T, B, e)
            record.embedding = x.detach()
            starts = [torch.zeros(self.batch, bias.shape[1], device=device) for _, bias in weights]
            if differentiable:
                x = x.detach().requires_grad_()
                starts = [start.requires_grad_() for start in starts]
                for fused, _ in weights:
                    for weight in fused.values():
                        weight.requires_grad_(bool(kinds & (_WEIGHTS | LINEARS)))
            tapes = [Tape(inner=bool(kinds & LINEARS)) for _ in weights] if kinds & _WHOLE else None
            outputs = run_stack(plan, weights, x, starts, tapes)
            for start, y in zip(starts, outputs, strict=True):
                record.hidden.append(torch.cat([start[None], y[:-1]]).detach())  # h_0 before each step: (T, B, h)
                record.final.append(y[-1].detach())
            if kinds & BLOCKS:  # a block is a layer
                record.blocks = blocks_of(outputs, record.seed, "block_backward" in kinds, examples=1)
            if tapes is not None and "activations" in kinds:
                record.taps = activations(plan, tapes)
            listed = bool(kinds & _WEIGHTS)
            if listed and not kinds & _FIRST:
                record.weights = [*weights_of(plan, weights, []), used_rows(x.detach(), None, ids)]
            if tapes is not None and differentiable:
                total = outputs[-1].sum()
                if kinds & _FIRST:
                    states = [[start, *tape.states] for start, tape in zip(starts, tapes, strict=True)]
                    self._backward(record, plan, weights, x, total, states, listed, ids)
                if "hessian" in kinds:
                    curve(record, plan, weights, total)
                if kinds & LINEARS:
                    differentiate_linears(record, plan, tapes, total, kinds)
            if "noise" in kinds and needs.noises:
                self._noised(record, plan, weights, x.detach(), sorted(needs.noises))

    def _backward(
        self,
        record: Record,
        plan: Plan,
        weights: Weights,
        x: Tensor,
        total: Tensor,
        states: list[list[Tensor]],
        with_weights: bool,
        ids: Tensor,
    ) -> None:
        """Fills the record with the gradients of L, the sum of the last layer's outputs, by one backward pass."""
        import torch

        flat = [state for layer in states for state in layer]
        matrices = [weight for fused, _ in weights for weight in fused.values()] if with_weights else []
        found = iter(gradients(total, [x, *flat, *matrices], retain=True))
        record.embedding_grad = next(found)
        for layer in states:
            *before, last = (next(found) for _ in layer)
            record.hidden_grads.append(torch.stack(before))
            record.final_grads.append(last)
        if with_weights:
            grads = [{register: next(found) for register in fused} for fused, _ in weights]
            record.weights = weights_of(plan, weights, grads)
            record.weights.append(used_rows(x.detach(), record.embedding_grad, ids))

    def _flow(self, record: Record, cell: Cell, device: str) -> None:
        """Fills the record with the weights of SynFlow's pass and their gradients."""
        import torch

        from spaces.rnn.plan import compile_plan

        plan = compile_plan(cell, canonical=self.init == "derived")
        _, drawn = self.draw(plan, cell.key, len(self.hidden), record.seed)
        weights = [
            (
                {r: w.to(device).double().abs_().requires_grad_() for r, w in fused.items()},
                bias.to(device).double().abs_(),
            )
            for fused, bias in drawn
        ]
        x = torch.ones(self.steps, 1, self.embedding, dtype=torch.float64, device=device)
        starts = [x.new_zeros(1, bias.shape[1]) for _, bias in weights]
        total = run_stack(plan, weights, x, starts)[-1].sum()
        found = iter(gradients(total, [weight for fused, _ in weights for weight in fused.values()]))
        record.flow = weights_of(plan, weights, [{register: next(found) for register in fused} for fused, _ in weights])

    def _noised(self, record: Record, plan: Plan, weights: Weights, x: Tensor, noises: list[Noise]) -> None:
        """Fills the record with input gradients at noised inputs: a pass each, so that none depends on the others."""
        import torch

        noise = self._noise(record.seed).to(x.device)  # (T, B, e)
        spread = x.double().var(dim=1, correction=0, keepdim=True)  # over the batch: (T, 1, e)
        scales = {"variance": spread, "deviation": spread.sqrt()}
        fixed = [({r: w.detach() for r, w in fused.items()}, bias) for fused, bias in weights]
        starts = [torch.zeros(self.batch, bias.shape[1], device=x.device) for _, bias in weights]
        for factor, of in noises:
            noised = (x.double() + factor * scales[of] * noise).to(x.dtype).requires_grad_()
            y = run_stack(plan, fixed, noised, starts)[-1]
            (record.noisy_grads[factor, of],) = gradients(y.sum(), [noised])

    def _noise(self, seed: int) -> Tensor:
        return _normal(self.steps, self.batch, self.embedding, seed, self.init == "replayed")

    def draw(self, plan: Plan, key: str, layers: int, seed: int) -> tuple[Tensor, Weights]:
        """Returns the embedding table (vocabulary, e) and, for the first layers, fused weights and biases (n, h)."""
        if self.init == "replayed":
            return self._replayed(plan, layers, seed)
        return self._derived(plan, key, layers, seed)

    def _sizes(self, layers: int) -> list[tuple[int, int]]:
        return list(zip([self.embedding, *self.hidden[:-1]], self.hidden, strict=True))[:layers]

    @staticmethod
    def _bound(hidden: int) -> float:
        """Returns the largest weight that is drawn where weights derive from the key."""
        return 1 / math.sqrt(hidden)

    def _derived(self, plan: Plan, key: str, layers: int, seed: int) -> tuple[Tensor, Weights]:
        import torch

        generator = torch.Generator().manual_seed(seeds.integer(seed, key, "weights"))
        weights = []
        for size_in, hidden in self._sizes(layers):
            shapes = {r: (size_in if r == 0 else hidden, len(plan.readers[r]) * hidden) for r in sorted(plan.readers)}
            total = sum(a * b for a, b in shapes.values()) + len(plan.linears) * hidden
            bound = self._bound(hidden)
            flat = torch.rand(total, generator=generator).mul_(2 * bound).sub_(bound)
            parts = flat.split([*(a * b for a, b in shapes.values()), len(plan.linears) * hidden])
            fused = {r: part.view(shape) for (r, shape), part in zip(shapes.items(), parts, strict=False)}
            weights.append((fused, parts[-1].view(len(plan.linears), hidden)))
        return _embedding(self.vocabulary, self.embedding, seed), weights

    def _replayed(self, plan: Plan, layers: int, seed: int) -> tuple[Tensor, Weights]:
        import torch

        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        torch.randn(self.vocabulary, self.embedding, generator=generator)  # the embedding's default, drawn over below
        weights = []
        for size_in, hidden in self._sizes(len(self.hidden)):
            per_linear = [[(size_in if r == 0 else hidden, r) for r in inputs] for inputs in plan.linears]
            draw(sum(hidden * size for sizes in per_linear for size, _ in sizes) + hidden * len(per_linear))  # defaults
            bound = 1 / math.sqrt(hidden)
            blocks: dict[tuple[int, int], Tensor] = {}
            rows = []
            for i, sizes in enumerate(per_linear):
                # parameters() yields a module's own, the bias, before those of its list of weights.
                rows.append(draw(hidden).mul_(2 * bound).sub_(bound))
                for size, register in sizes:
                    blocks[i, register] = draw(hidden, size).mul_(2 * bound).sub_(bound).T  # (h, in) -> (in, h)
            fused = {r: torch.cat([blocks[i, r] for i in readers], dim=1) for r, readers in plan.readers.items()}
            weights.append((fused, torch.stack(rows)))
        draw(self.vocabulary * max(self.hidden) + self.vocabulary)  # the decoder's default, replaced by the tied weight
        draw(self.vocabulary, self.embedding)  # the embedding is drawn once as encoder ...
        table = draw(self.vocabulary, self.embedding).mul_(0.2).sub_(0.1)  # ... and once more as tied decoder
        return table, weights[:layers]


def run_stack(
    plan: Plan, weights: Weights, x: Tensor, starts: Sequence[Tensor], tapes: Sequence[Tape] | None = None
) -> list[Tensor]:
    """Returns the outputs (T, B, h) of every layer for the input x (T, B, e).

    Args:
        starts: per layer, h_0 before the first step (B, h); further hidden states start from zero.
        tapes: per layer, what keeps its states and activations.
    """
    import torch

    from spaces.rnn.module import unroll

    outputs: list[Tensor] = []
    for i, (fused, bias) in enumerate(weights):
        others = [torch.zeros_like(starts[i])] * (plan.states - 1)
        x, _ = unroll(plan, fused, bias, x, [starts[i], *others], None if tapes is None else tapes[i])
        outputs.append(x)
    return outputs


@lru_cache(maxsize=2)
def _normal(steps: int, batch: int, size: int, seed: int, legacy: bool) -> Tensor:
    import numpy as np
    import torch

    shape = (steps, batch, size)
    if legacy:
        return torch.from_numpy(np.random.RandomState(seed).normal(size=shape))
    return torch.from_numpy(seeds.generator(seed, "noise").normal(size=shape))


@lru_cache(maxsize=4)
def _embedding(vocabulary: int, size: int, seed: int) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(seeds.integer(seed, "embedding"))
    return torch.rand(vocabulary, size, generator=generator).mul_(0.2).sub_(0.1)
