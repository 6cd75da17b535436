"""The BERT encoder that metrics are computed on, built from a plan: embeddings, then layers.

After the ELECTRA-based encoder released with Serianni & Kalita (ACL 2023); operations from FlexiBERT (Tuli et al. 2022,
arXiv 2205.11656), the span-based dynamic convolution from ConvBERT (Jiang et al. 2020, arXiv 2008.02496). As in the
released encoder no attention mask exists, and a linear transform has no output matrix, residual or LayerNorm.

Shapes: B examples, T tokens, h hidden size, n heads, d head size, a = n * d, F feed-forward width, K kernel size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.core.errors import ZeronasError
from spaces.bert.config import BertConfig
from spaces.bert.readings import EMBEDDING_SIZE, POSITIONS, VOCABULARY, EncoderPlan, LayerPlan, plan

__all__ = ["BertEncoder", "Listener", "build", "dct"]

_DROPOUT = 0.1
_NORM_EPS = 1e-12
_INIT_STD = 0.02


class Listener(Protocol):
    """Receives named intermediate tensors; layers count from 0, and the embedding's layer is -1.

    ======================  =================  ==================================================================
    name                    shape              what
    ======================  =================  ==================================================================
    embedding               (B, T, h)          what enters the first layer
    query, key, value       (B, T, a)          outputs of these Linears (SDP, WMA, DSC), before heads are split
    weight                  (B, T, h)          output of WMA's extra Linear
    attention               (B, n, T, T)       softmax over keys (SDP, WMA, DSC), before drop-out
    context                 (B, n, T, d)       output of each head, before heads are merged: of attention (SDP, WMA,
                                               DSC) and of the transform (DFT, DCT)
    input                   (B, T, h)          output of the Linear of DFT and DCT
    transform_softmax       (B, n, T, d)       softmax over d of the transform, which the network itself does not use
    conv_kernel             (B, T, n, K)       softmax over K of the kernel that DSC predicts for each token
    mixed                   (B, T, h)          output of the operation block
    pre_activation          (B, T, F)          each GELU input of a feed-forward block, first to last
    activation              (B, T, F)          each GELU output of a feed-forward block, first to last
    hidden                  (B, T, h)          output of the layer, that is of its feed-forward block
    ======================  =================  ==================================================================
    """

    def __call__(self, name: str, layer: int, tensor: Tensor, /) -> Any: ...


_LayerListener = Callable[[str, Tensor], Any]  # a listener that already knows its layer


def build(
    config: BertConfig,
    reading: str = "stated",
    vocabulary: int = VOCABULARY,
    generator: torch.Generator | None = None,
) -> BertEncoder:
    """Returns the encoder of a configuration under a reading.

    Raises:
        ZeronasError: unknown reading.
    """
    return BertEncoder(plan(config, reading), vocabulary, generator)


class BertEncoder(nn.Module):
    """An encoder without pooler or head; it is built in train mode, with drop-out 0.1 as in BERT.

    Args:
        plan: the modules.
        vocabulary: rows of the word table; a small one makes probes cheap and changes no other module.
        generator: source of the initial weights; torch's global generator where it is None. Linear, convolution and
            table weights are N(0, 0.02), biases 0, LayerNorms 1 and 0, and row 0 of the word table (padding) is 0.
    """

    def __init__(
        self, plan: EncoderPlan, vocabulary: int = VOCABULARY, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        with torch.random.fork_rng(devices=[]):  # torch's default initialisation must not advance its global generator
            self.embeddings = Embeddings(vocabulary)
            self.projection = (
                nn.Linear(EMBEDDING_SIZE, plan.hidden_size) if plan.hidden_size != EMBEDDING_SIZE else nn.Identity()
            )
            self.layers = nn.ModuleList(EncoderLayer(layer, plan.hidden_size) for layer in plan.layers)
        self.initialise(generator)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Draws all weights anew, in the order of ``modules()``."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding, nn.Conv1d)):
                module.weight.normal_(0.0, _INIT_STD, generator=generator)
                if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                    module.weight[module.padding_idx].zero_()
                if not isinstance(module, nn.Embedding) and module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm):
                module.weight.fill_(1.0)
                module.bias.zero_()

    @torch.no_grad()
    def replay_initialisation(self, generator: torch.Generator) -> None:
        """Draws all weights anew as constructing the encoder of the released code does after seeding.

        There the constructors of all modules first draw torch's default weights, which all but those of convolutions
        are then drawn over in the same order. With a CPU generator, seed 0 and the full vocabulary, these are the
        weights that the published metrics were computed with.
        """
        leaves = [m for m in self.modules() if isinstance(m, (nn.Linear, nn.Embedding, nn.Conv1d))]
        depthwise: nn.Conv1d | None = None
        for module in leaves:
            default = torch.empty_like(module.weight)
            if isinstance(module, nn.Embedding):
                default.normal_(generator=generator)
                continue
            default.uniform_(generator=generator)
            if isinstance(module, nn.Linear) and module.bias is not None:
                torch.empty_like(module.bias).uniform_(generator=generator)
            if isinstance(module, nn.Conv1d) and depthwise is None:
                depthwise = module
            elif isinstance(module, nn.Conv1d) and depthwise is not None:  # the pointwise one, whose bias is not drawn
                depthwise.weight.normal_(0.0, _INIT_STD, generator=generator)
                module.weight.normal_(0.0, _INIT_STD, generator=generator)
                depthwise = None
        for module in leaves:
            if not isinstance(module, nn.Conv1d):
                module.weight.normal_(0.0, _INIT_STD, generator=generator)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()

    def forward(self, tokens: Tensor, listener: Listener | None = None) -> Tensor:
        """Returns the last hidden vectors (B, T, h) of token ids (B, T) of type int64, T at most 512.

        Raises:
            ZeronasError: the ids are not a (B, T) matrix with T from 1 to 512.
        """
        if tokens.dim() != 2 or not 1 <= tokens.shape[1] <= POSITIONS:
            raise ZeronasError(
                f"The encoder takes token ids of shape (examples, 1 to {POSITIONS} tokens), "
                f"but got {tuple(tokens.shape)}."
            )
        hidden = self.projection(self.embeddings(tokens))  # (B, T, h)
        if listener is not None:
            listener("embedding", -1, hidden)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, _at_layer(listener, index))
        return hidden


def _at_layer(listener: Listener | None, layer: int) -> _LayerListener | None:
    return None if listener is None else lambda name, tensor: listener(name, layer, tensor)


class Embeddings(nn.Module):
    """The sum of word, position and token-type 0 vectors of size 128, LayerNorm, drop-out."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, EMBEDDING_SIZE, padding_idx=0)
        self.position = nn.Embedding(POSITIONS, EMBEDDING_SIZE)
        self.token_type = nn.Embedding(2, EMBEDDING_SIZE)
        self.norm = nn.LayerNorm(EMBEDDING_SIZE, eps=_NORM_EPS)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns (B, T, 128) of token ids (B, T)."""
        summed = self.word(tokens) + self.position.weight[: tokens.shape[1]] + self.token_type.weight[0]
        return self.dropout(self.norm(summed))


class EncoderLayer(nn.Module):
    """An operation block, then a feed-forward block."""

    def __init__(self, plan: LayerPlan, hidden: int) -> None:
        super().__init__()
        self.operation = _OPERATIONS[plan.operation](plan, hidden)
        self.feed_forward = FeedForward(plan.feed_forward, hidden)

    def forward(self, x: Tensor, listener: _LayerListener | None = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        mixed = self.operation(x, listener)
        if listener is not None:
            listener("mixed", mixed)
        hidden = self.feed_forward(mixed, listener)
        if listener is not None:
            listener("hidden", hidden)
        return hidden


class Attention(nn.Module):
    """Scaled-dot-product attention (SDP), or weighted multiplicative attention (WMA): one more matrix on the query."""

    def __init__(self, plan: LayerPlan, hidden: int) -> None:
        super().__init__()
        self.heads = plan.heads
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.weight = nn.Linear(hidden, hidden, bias=False) if plan.operation == "WMA" else None
        self.attention_dropout = nn.Dropout(_DROPOUT)
        self.output = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(_DROPOUT)
        self.norm = nn.LayerNorm(hidden, eps=_NORM_EPS)

    def forward(self, x: Tensor, listener: _LayerListener | None = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if listener is not None:
            listener("query", query)
            listener("key", key)
            listener("value", value)
        if self.weight is not None:
            query = self.weight(query)
            if listener is not None:
                listener("weight", query)
        context = _attend(query, key, value, self.heads, self.attention_dropout, listener)
        return self.norm(self.dropout(self.output(context)) + x)


class LinearTransform(nn.Module):
    """A Linear, then over (T, d) of each head the real part of the Fourier (DFT) or the cosine transform (DCT)."""

    def __init__(self, plan: LayerPlan, hidden: int) -> None:
        super().__init__()
        self.heads, self.cosine = plan.heads, plan.operation == "DCT"
        self.input = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, listener: _LayerListener | None = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        projected = self.input(x)
        heads = _split(projected, self.heads)  # (B, n, T, d)
        mixed = dct(dct(heads, -1), -2) if self.cosine else torch.fft.fft2(heads).real
        if listener is not None:
            listener("input", projected)
            listener("transform_softmax", mixed.softmax(-1))
            listener("context", mixed)
        return _merge(mixed)


class SpanConvolution(nn.Module):
    """ConvBERT's mixed attention (DSC): half the width attends, half is convolved with kernels predicted from spans."""

    def __init__(self, plan: LayerPlan, hidden: int) -> None:
        super().__init__()
        self.heads, self.head_size, self.kernel = plan.heads, plan.head_size, plan.kernel
        a = plan.heads * plan.head_size
        self.query, self.key, self.value = (nn.Linear(hidden, a) for _ in range(3))
        self.depthwise = nn.Conv1d(
            hidden, hidden, plan.kernel, groups=hidden, padding=(plan.kernel - 1) // 2, bias=False
        )
        self.pointwise = nn.Conv1d(hidden, a, 1)
        self.conv_kernel = nn.Linear(a, plan.heads * plan.kernel)
        self.conv_out = nn.Linear(hidden, a)
        self.attention_dropout = nn.Dropout(_DROPOUT)
        self.output = nn.Linear(2 * a, hidden)
        self.dropout = nn.Dropout(_DROPOUT)
        self.norm = nn.LayerNorm(hidden, eps=_NORM_EPS)

    def forward(self, x: Tensor, listener: _LayerListener | None = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        query, key, value = self.query(x), self.key(x), self.value(x)  # (B, T, a)
        span = self.pointwise(self.depthwise(x.transpose(1, 2))).transpose(1, 2)  # (B, T, a)
        kernel = self.conv_kernel(span * query).unflatten(-1, (self.heads, self.kernel)).softmax(-1)  # (B, T, n, K)
        if listener is not None:
            listener("query", query)
            listener("key", key)
            listener("value", value)
            listener("conv_kernel", kernel)
        attended = _attend(query, key, value, self.heads, self.attention_dropout, listener)
        context = torch.cat([attended, self.convolve(self.conv_out(x), kernel)], dim=-1)  # (B, T, 2a) = (B, T, h)
        return self.norm(self.dropout(self.output(context)) + x)

    def convolve(self, value: Tensor, kernel: Tensor) -> Tensor:
        """Returns (B, T, a): around each token of (B, T, a), zero beyond the ends, the sum weighted by (B, T, n, K)."""
        reach, tokens = (self.kernel - 1) // 2, value.shape[1]
        padded = F.pad(value, (0, 0, reach, reach)).unflatten(-1, (self.heads, self.head_size))  # (B, T+K-1, n, d)
        terms = [padded[:, k : k + tokens] * kernel[..., k : k + 1] for k in range(self.kernel)]
        return reduce(torch.add, terms).flatten(-2)


class FeedForward(nn.Module):
    """Linear and GELU for each width, a Linear back to h, residual and LayerNorm."""

    def __init__(self, widths: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.dense_in = nn.Linear(hidden, widths[0])
        self.extra = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dense_out = nn.Linear(widths[-1], hidden)
        self.dropout = nn.Dropout(_DROPOUT)
        self.norm = nn.LayerNorm(hidden, eps=_NORM_EPS)

    def forward(self, x: Tensor, listener: _LayerListener | None = None) -> Tensor:
        """Returns (B, T, h) of (B, T, h)."""
        inner = x
        for dense in (self.dense_in, *self.extra):
            before = dense(inner)  # (B, T, F)
            inner = F.gelu(before)
            if listener is not None:
                listener("pre_activation", before)
                listener("activation", inner)
        return self.norm(self.dropout(self.dense_out(inner)) + x)


_OPERATIONS: dict[str, Callable[[LayerPlan, int], nn.Module]] = {
    "SDP": Attention,
    "WMA": Attention,
    "DFT": LinearTransform,
    "DCT": LinearTransform,
    "DSC": SpanConvolution,
}


def dct(x: Tensor, dim: int) -> Tensor:
    """Returns the unnormalised DCT-II of a real tensor along ``dim``: y_k = 2 sum_n x_n cos(pi k (2n + 1) / 2N).

    By one Fourier transform of N points (Makhoul 1980): even samples forwards, then odd samples backwards.
    """
    x = x.movedim(dim, -1)
    size = x.shape[-1]
    spectrum = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], dim=-1))
    angle = torch.arange(size, dtype=x.dtype, device=x.device) * (math.pi / (2 * size))
    # Re(spectrum * exp(-i angle)), in real arithmetic
    return (2 * (spectrum.real * angle.cos() + spectrum.imag * angle.sin())).movedim(-1, dim)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, dropout: nn.Module, listener: _LayerListener | None
) -> Tensor:
    """Returns scaled-dot-product attention, (B, T, a), of three (B, T, a)."""
    q, k, v = (_split(t, heads) for t in (query, key, value))  # (B, n, T, d)
    attention = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)  # (B, n, T, T)
    if listener is not None:
        listener("attention", attention)
    context = dropout(attention) @ v  # (B, n, T, d)
    if listener is not None:
        listener("context", context)
    return _merge(context)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, T, n*d) -> (B, n, T, d)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)  # (B, n, T, d) -> (B, T, n*d)
