"""Parameters, FLOPs, depth and width of a BERT encoder, in closed form from its plan.

The parameters of the ``scored`` reading equal the "Number of Parameters" that Serianni & Kalita (ACL 2023) released
for all 500 members of their benchmark.
"""

from __future__ import annotations

import math
from itertools import pairwise

from spaces.base import Counts
from spaces.bert.config import BertConfig
from spaces.bert.readings import EMBEDDING_SIZE, POSITIONS, VOCABULARY, EncoderPlan, LayerPlan, plan

__all__ = ["count", "depth", "embedding_parameters", "encoder_parameters", "flops_per_token", "width"]


def count(config: BertConfig, reading: str = "stated", vocabulary: int = VOCABULARY, sequence: int = 128) -> Counts:
    """Returns the sizes of a configuration under a reading; ``sequence`` is the tokens of one example.

    Raises:
        ZeronasError: unknown reading.
    """
    planned = plan(config, reading)
    parameters = embedding_parameters(planned, vocabulary) + encoder_parameters(planned)
    return Counts(parameters, flops_per_token(planned, sequence), depth(planned), width(planned))


def embedding_parameters(planned: EncoderPlan, vocabulary: int = VOCABULARY) -> int:
    """Returns the scalars of the three tables, their LayerNorm and the Linear to the hidden size, if there is one."""
    e, h = EMBEDDING_SIZE, planned.hidden_size
    tables = (vocabulary + POSITIONS + 2) * e
    return tables + _norm(e) + (_linear(e, h) if h != e else 0)


def encoder_parameters(planned: EncoderPlan) -> int:
    """Returns the scalars of the encoder layers alone, that is without anything of the embeddings."""
    h = planned.hidden_size
    return sum(_operation_parameters(layer, h) + _feed_forward_parameters(layer, h) for layer in planned.layers)


def flops_per_token(planned: EncoderPlan, sequence: int = 128) -> int:
    """Returns the floating-point operations of one forward pass per token, for examples of ``sequence`` tokens.

    Twice the multiply-accumulates of every Linear, convolution and attention product; a real two-dimensional transform
    of N values counts 2.5 N log2 N. Biases, norms, softmax, activations and table look-ups are left out.
    """
    e, h = EMBEDDING_SIZE, planned.hidden_size
    total = 2 * e * h if h != e else 0
    for layer in planned.layers:
        chain = (h, *layer.feed_forward, h)
        total += _operation_flops(layer, h, sequence) + 2 * sum(a * b for a, b in pairwise(chain))
    return total


def depth(planned: EncoderPlan) -> int:
    """Returns the parametrised or non-linear operations on the longest path from a token to the output.

    Each table, Linear, convolution (depthwise and pointwise are two), softmax, activation and LayerNorm counts one;
    sums, products, linear transforms and drop-out count nothing.
    """
    on_path = {"SDP": 4, "WMA": 5, "DFT": 1, "DCT": 1, "DSC": 6}
    embeddings = 2 if planned.hidden_size == EMBEDDING_SIZE else 3
    return embeddings + sum(on_path[layer.operation] + 2 * len(layer.feed_forward) + 2 for layer in planned.layers)


def width(planned: EncoderPlan) -> int:
    """Returns the length of the widest vector that one token has: an embedding, a hidden or a feed-forward vector."""
    return max(EMBEDDING_SIZE, planned.hidden_size, *(w for layer in planned.layers for w in layer.feed_forward))


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _norm(size: int) -> int:
    return 2 * size


def _feed_forward_parameters(layer: LayerPlan, h: int) -> int:
    return sum(_linear(a, b) for a, b in pairwise((h, *layer.feed_forward, h))) + _norm(h)


def _operation_parameters(layer: LayerPlan, h: int) -> int:
    if layer.operation in ("DFT", "DCT"):
        return _linear(h, h)
    if layer.operation == "SDP":
        return 4 * _linear(h, h) + _norm(h)
    if layer.operation == "WMA":
        return 4 * _linear(h, h) + h * h + _norm(h)
    n, k, a = layer.heads, layer.kernel, layer.heads * layer.head_size
    separable = h * k + h * a + a
    return 3 * _linear(h, a) + separable + _linear(a, n * k) + _linear(h, a) + _linear(h, h) + _norm(h)


def _operation_flops(layer: LayerPlan, h: int, sequence: int) -> int:
    if layer.operation in ("DFT", "DCT"):
        return 2 * h * h + round(2.5 * h * math.log2(sequence * layer.head_size))
    if layer.operation in ("SDP", "WMA"):
        linears = (4 if layer.operation == "SDP" else 5) * h * h
        return 2 * (linears + 2 * sequence * h)
    n, k, a = layer.heads, layer.kernel, layer.heads * layer.head_size
    separable, span = h * k + h * a, a * n * k + h * a + a * k
    return 2 * (3 * h * a + 2 * sequence * a + separable + span + h * h)
