"""The sampler that drew the 500 configurations of the FlexiBERT benchmark of Serianni & Kalita (ACL 2023)."""

from __future__ import annotations

import random

from spaces.bert.config import DEPTHS, HIDDEN_SIZES, OPERATIONS, SIZES, BertConfig, Layer

__all__ = ["published_sample"]


def published_sample(n: int = 500, seed: int = 0) -> list[BertConfig]:
    """Returns the first ``n`` configurations of the published sampler; the defaults give the benchmark, ids 0 to 499.

    It draws the hidden size, the depth, then for each layer the type, the type's parameter, the heads, the feed-forward
    dimension and the number of feed-forward layers, each uniformly; repeats occur.
    """
    choose = random.Random(seed).choice
    configs = []
    for _ in range(n):
        hidden, depth = choose(HIDDEN_SIZES), choose(DEPTHS)
        layers = []
        for _ in range(depth):
            kind = choose(tuple(OPERATIONS))
            parameter = choose(OPERATIONS[kind])
            layers.append(Layer(kind, parameter, **{name: choose(values) for name, values in SIZES.items()}))
        configs.append(BertConfig(hidden, tuple(layers)))
    return configs
