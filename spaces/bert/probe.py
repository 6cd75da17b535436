"""The probe of BERT configurations: one forward pass of an untrained encoder, and one backward pass per seed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from nas.core import seeds
from nas.core.options import Folder, Seed, Share, Size, validate
from spaces.bert.derivatives import curved, differentiate_linears, flow
from spaces.bert.linears import position_table, watch, weights_of
from spaces.blocks import BLOCKS, blocks_of
from spaces.gradients import LINEARS
from spaces.record import Need, Needs, Record, Tap
from spaces.tokens import token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from spaces.base import Space
    from spaces.bert.config import BertConfig

__all__ = ["BertProbe"]

_LONGEST = 512
#: needs of what follows the corrected seed
_SEEDED = LINEARS | {"backward", "hessian"}
#: needs that list the weights
_WEIGHTS = frozenset({"weights", "backward", "backward_released", "hessian", "example_moments"})


@dataclass(frozen=True)
class BertProbe:
    """Settings of the pass.

    Attributes:
        batch: examples B.
        steps: tokens T of an example, at most 512.
        vocabulary: rows of the word table; a small one changes no other module.
        padding: share of the positions of each example, at its end, that are padding (id 0, whose word vector is 0);
            as in the released encoder they are attended to.
        train_mode: leave drop-out on, as the paper's released code does.
        text: path of a text to read instead of Zipf-distributed ids.
        tokens_seed: seed of the ids where it is not the run's, to vary weights and data apart.
        dtype: "float32" or "float64", of weights and all that follows; the weights are the same.
        init: "derived": weights from (seed, key). "replayed": the random stream of the paper's released code is
            replayed, which seeds one generator with ``seed`` for each network, so that all share the embeddings; with
            seed 0 and vocabulary 30522 these are the weights of the published metrics.
        initialisations: how many networks are made of each architecture; those after the first are ``repeats``.

    The record holds, in the shapes of ``spaces.bert.module.Listener`` and only where asked for:

    - forward: ``hidden`` (T, B, h) of each layer;
    - activations: ``taps``, all named tensors but "embedding", "hidden", "mixed" and "pre_activation";
    - feed_forward: the taps "pre_activation";
    - blocks: ``blocks``, two a layer: the operation ("mixed") and the feed-forward block ("hidden");
    - weights: ``weights``, the Linears of all layers in order (part "attention", whatever the operation, or
      "feed_forward") and the position table (name "position", part "embedding", layer -1; (512, 128));
    - backward: the gradients of the sum over examples and tokens of the output along one random unit direction, the
      same for all architectures of a hidden size: ``grad`` of the Linears and of the taps "context", ``embedding``
      and ``embedding_grad`` (T, B, h);
    - backward_released: ``released_grad`` of all weights, for the released seed of ones. As the output is that of a
      LayerNorm that starts at 1 and 0, its entries sum to zero, so these gradients are rounding noise;
    - hessian, linear_backward, example_moments, tangent_kernel: of the Linears, with L the sum along that direction.
      No example sees another, so what one adds to L is its own tokens' part;
    - flow: as ``spaces.bert.derivatives.flow`` says.
    """

    gives: ClassVar[frozenset[Need]] = (
        frozenset({"shapes", "described", "matrices", "forward", "activations", "attention", "flow"})
        | _WEIGHTS
        | _SEEDED
        | BLOCKS
        | {"feed_forward"}
    )

    batch: Size = 16
    steps: Annotated[int, Ge(1), Le(_LONGEST)] = 32
    vocabulary: Size = 1000
    train_mode: bool = False
    text: Folder | None = None
    tokens_seed: Seed | None = None
    dtype: Literal["float32", "float64"] = "float32"
    initialisations: Size = 1
    init: Literal["derived", "replayed"] = "derived"
    padding: Share = 0.0

    def __post_init__(self) -> None:
        validate(self, "The probe of space 'bert'")

    def _tokens_seed(self, seed: int) -> int:
        return seed if self.tokens_seed is None else self.tokens_seed

    def observe(
        self, space: Space[Any], architecture: BertConfig, needs: Needs, seed: int, device: str = "cpu"
    ) -> Record:
        """Makes the record of one configuration under the space's reading."""
        record = Record.of(space, architecture, needs, seed)
        kinds = needs.to_run
        if kinds:
            record.repeats = [replace(record, kept={}) for _ in range(self.initialisations - 1)]
            for number, target in enumerate([record, *record.repeats]):
                self._look(target, space, architecture, kinds, number, device)
        return record

    def _look(
        self, record: Record, space: Space[Any], config: BertConfig, kinds: frozenset[Need], number: int, device: str
    ) -> None:
        """Fills the record of initialisation ``number``: one forward pass, then one backward pass per seed."""
        import torch

        purpose = () if number == 0 else (number,)
        generator = torch.Generator().manual_seed(seeds.integer(record.seed, config.key, "weights", *purpose))
        encoder: Any = space.build(config, vocabulary=self.vocabulary, generator=generator)
        if self.init == "replayed":
            encoder.replay_initialisation(torch.Generator().manual_seed(record.seed + number))
        encoder = encoder.to(device, getattr(torch, self.dtype)).train(self.train_mode)
        if "flow" in kinds:
            record.flow = flow(encoder.layers, self.steps)
        weights = [*weights_of(encoder.layers), position_table(encoder)]
        record.weights = weights if "weights" in kinds else []
        if not kinds - {"weights", "flow"}:
            return
        ids = torch.from_numpy(
            token_ids(self.steps, self.batch, self.vocabulary, self._tokens_seed(record.seed), self.text)
        ).T
        if self.padding:
            ids = ids.clone()  # (B, T)
            ids[:, self.steps - round(self.padding * self.steps) :] = 0
        backward = "backward" in kinds
        embedding: list[Tensor] = []
        contexts: list[tuple[int, Tensor]] = []  # place among the taps, tensor
        outputs: list[Tensor] = []  # of the blocks

        def keep(name: str, layer: int, tensor: Tensor) -> None:
            if name in ("mixed", "hidden") and kinds & BLOCKS:
                outputs.append(tensor)
            if name == "embedding":
                embedding.append(tensor)
            elif name == "hidden":
                if "forward" in kinds:
                    record.hidden.append(tensor.detach().transpose(0, 1))  # (B, T, h) -> (T, B, h)
            elif name == "pre_activation":
                if "feed_forward" in kinds:
                    record.taps.append(Tap(name, layer, tensor.detach()))
            elif name != "mixed" and ("activations" in kinds or (backward and name == "context")):
                if name == "context":
                    contexts.append((len(record.taps), tensor))
                record.taps.append(Tap(name, layer, tensor.detach()))

        record.hidden, record.taps = [], []
        graph = kinds & (_SEEDED | {"backward_released", "block_backward"})
        quiet = nullcontext() if graph else torch.inference_mode()
        watched = watch(encoder.layers, bool(kinds & LINEARS))
        with quiet, torch.random.fork_rng(devices=[]), watched as linear_passes:
            torch.manual_seed(seeds.integer(record.seed, config.key, "dropout", *purpose))
            out = encoder(ids.to(device), keep)  # (T, B) -> (B, T) -> (B, T, h)
        if kinds & BLOCKS:
            record.blocks = blocks_of(outputs, record.seed, "block_backward" in kinds)
        if "backward_released" in kinds:
            inputs = [w.value for w in weights]
            grads = torch.autograd.grad(out, inputs, torch.ones_like(out), retain_graph=bool(kinds & _SEEDED))
            weights = [replace(w, released_grad=g) for w, g in zip(weights, grads, strict=True)]
        if kinds & _SEEDED:
            direction = _direction(out.shape[-1], record.seed).to(out).expand_as(out)
        if backward:
            linears = [w for w in weights if w.part != "embedding"]
            inner = [tensor for _, tensor in contexts]
            retain = bool(kinds & (_SEEDED - {"backward"}))
            grads = torch.autograd.grad(out, [*(w.value for w in linears), embedding[0], *inner], direction, retain)
            given = iter(grads)
            weights = [replace(w, grad=next(given)) if w.part != "embedding" else w for w in weights]
            record.embedding = embedding[0].detach().transpose(0, 1)  # (B, T, h) -> (T, B, h)
            record.embedding_grad = next(given).transpose(0, 1)
            for (place, _), grad in zip(contexts, given, strict=True):
                record.taps[place] = replace(record.taps[place], grad=grad)
        if "hessian" in kinds:
            weights = curved(weights, (out * direction).sum())
        if kinds & LINEARS:
            weights = differentiate_linears(record, weights, linear_passes, (out * direction).sum(), kinds)
        if kinds & _WEIGHTS:
            record.weights = [replace(w, value=w.value.detach()) for w in weights]


def _direction(size: int, seed: int) -> Tensor:
    """Returns the unit vector (h,) along which the corrected seed reads the output."""
    import torch

    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seeds.integer(seed, "direction", size)))
    return drawn / drawn.norm()
