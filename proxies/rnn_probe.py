"""The probe of RNN cells: one forward pass of an untrained stack of layers, in evaluation mode, from the zero state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nas import seeds
from nas.errors import ZeronasError
from proxies.base import Needs, Record
from proxies.tokens import token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.rnn.cell import Cell
    from spaces.rnn.plan import Plan

__all__ = ["RNNProbe"]


@dataclass(frozen=True)
class RNNProbe:
    """Settings of the pass.

    Attributes:
        embedding: embedding size e.
        hidden: hidden size of each layer; only as many layers are run as the proxies need.
        batch: number of streams B.
        steps: time steps T.
        vocabulary: number of token ids.
        init: "derived": weights from (seed, key), one embedding for all cells of a run, so that equal cells score
            equally. "released": the random stream of the paper's released code is replayed (one torch generator
            seeded with ``seed`` draws embedding, layers, decoder and embedding again), so that every cell has its
            own embedding and weights follow the recipe's own order of nodes.
        text: path of a text to read instead of Zipf-distributed ids.

    All weights and biases are U(-1/sqrt(h), 1/sqrt(h)), embeddings U(-0.1, 0.1), as in NAS-Bench-NLP's code.
    """

    embedding: int = 32
    hidden: tuple[int, ...] = (64,)
    batch: int = 12
    steps: int = 12
    vocabulary: int = 10_000
    init: str = "derived"
    text: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("embedding", "batch", "steps", "vocabulary"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ZeronasError(f"The probe needs {name} to be a whole number of 1 or more, but got {value!r}.")
        if not self.hidden or any(not isinstance(h, int) or h < 1 for h in self.hidden):
            raise ZeronasError(f"The probe needs hidden sizes of 1 or more, one per layer, but got {self.hidden!r}.")
        if self.init not in ("derived", "released"):
            raise ZeronasError(f"The probe needs init=derived or init=released, but got init={self.init!r}.")

    def observe(self, space: Space[Any], architecture: Cell, needs: Needs, seed: int, device: str = "cpu") -> Record:
        """Makes the record of one cell: only what ``needs`` asks for is run.

        Raises:
            ZeronasError: a proxy needs more layers than the probe has.
        """
        if needs.layers > len(self.hidden):
            raise ZeronasError(
                f"A proxy needs layer {needs.layers}, but the probe has hidden sizes {list(self.hidden)}, "
                f"one per layer; choose a layer up to {len(self.hidden)} or a probe with more layers."
            )
        record = Record(space.name, architecture.key, seed, space.counts(architecture))
        if "forward" in needs.kinds:
            record.hidden = self._hidden_states(architecture, needs.layers, seed, device)
        return record

    def _hidden_states(self, cell: Cell, layers: int, seed: int, device: str) -> list[Tensor]:
        import torch

        from spaces.rnn.module import unroll
        from spaces.rnn.plan import compile_plan

        with torch.inference_mode():
            plan = compile_plan(cell, canonical=self.init == "derived")
            table, weights = (
                self._released(plan, layers, seed)
                if self.init == "released"
                else self._derived(plan, cell.key, layers, seed)
            )
            ids = token_ids(self.steps, self.batch, self.vocabulary, seed, self.text)
            x = table[torch.from_numpy(ids)].to(device)  # (T, B) -> (T, B, e)
            states = []
            for fused, bias in weights:
                zero = torch.zeros(self.batch, bias.shape[1], device=device)
                moved = {register: weight.to(device) for register, weight in fused.items()}
                y, _ = unroll(plan, moved, bias.to(device), x, [zero] * plan.states)
                states.append(torch.cat([zero[None], y[:-1]]))  # h_0 before each step: (T, B, h)
                x = y
        return states

    def _sizes(self, layers: int) -> list[tuple[int, int]]:
        return list(zip([self.embedding, *self.hidden[:-1]], self.hidden, strict=True))[:layers]

    def _derived(
        self, plan: Plan, key: str, layers: int, seed: int
    ) -> tuple[Tensor, list[tuple[dict[int, Tensor], Tensor]]]:
        import torch

        generator = torch.Generator().manual_seed(seeds.integer(seed, key, "weights"))
        weights = []
        for size_in, hidden in self._sizes(layers):
            shapes = {r: (size_in if r == 0 else hidden, len(plan.readers[r]) * hidden) for r in sorted(plan.readers)}
            total = sum(a * b for a, b in shapes.values()) + len(plan.linears) * hidden
            bound = 1 / math.sqrt(hidden)
            flat = torch.rand(total, generator=generator).mul_(2 * bound).sub_(bound)
            parts = flat.split([*(a * b for a, b in shapes.values()), len(plan.linears) * hidden])
            fused = {r: part.view(shape) for (r, shape), part in zip(shapes.items(), parts, strict=False)}
            weights.append((fused, parts[-1].view(len(plan.linears), hidden)))
        return _embedding(self.vocabulary, self.embedding, seed), weights

    def _released(self, plan: Plan, layers: int, seed: int) -> tuple[Tensor, list[tuple[dict[int, Tensor], Tensor]]]:
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
                for size, register in sizes:
                    blocks[i, register] = draw(hidden, size).mul_(2 * bound).sub_(bound).T  # (h, in) -> (in, h)
                rows.append(draw(hidden).mul_(2 * bound).sub_(bound))
            fused = {r: torch.cat([blocks[i, r] for i in readers], dim=1) for r, readers in plan.readers.items()}
            weights.append((fused, torch.stack(rows)))
        draw(self.vocabulary * max(self.hidden) + self.vocabulary)  # the decoder's default, replaced by the tied weight
        draw(self.vocabulary, self.embedding)  # the embedding is drawn once as encoder ...
        table = draw(self.vocabulary, self.embedding).mul_(0.2).sub_(0.1)  # ... and once more as tied decoder
        return table, weights[:layers]


@lru_cache(maxsize=4)
def _embedding(vocabulary: int, size: int, seed: int) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(seeds.integer(seed, "embedding"))
    return torch.rand(vocabulary, size, generator=generator).mul_(0.2).sub_(0.1)
