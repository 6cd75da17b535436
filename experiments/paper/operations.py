"""Whether the operation of each layer matters for the truth of BERT configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nas.judge.effects import FTest, nested_f_test

__all__ = ["operation_test"]


def operation_test(configs: Sequence[Any], truth: Sequence[float], trained: bool) -> FTest:
    """Tests whether the operation of each layer matters for the truth of BERT configurations.

    Within every class of (hidden size, depth) and at every layer position, the base model has the choices that take
    effect and the added columns are dummies of the operation (SDP, WMA, DFT, DCT, kernel 5, kernel 9).

    Args:
        configs: ``BertConfig``s, one per training.
        truth: their values.
        trained: the configurations were trained as the released code of FlexiBERT trains them (the ``trained``
            reading): the feed-forward dimension takes effect only with three feed-forward matrices, and its dummy with
            one is tested together with the operations.
    """
    base: list[Callable[[Any], Any]] = [lambda layer: layer.num_operation_heads, lambda layer: layer.num_feed_forward]
    added: list[Callable[[Any], Any]] = [lambda layer: layer.operation_parameter]
    if trained:
        base.append(lambda layer: layer.feed_forward_dimension if layer.num_feed_forward == 3 else 0)
        added.append(lambda layer: layer.feed_forward_dimension if layer.num_feed_forward == 1 else 0)
    else:
        base.append(lambda layer: layer.feed_forward_dimension)
    classes = [(config.hidden_size, len(config.layers)) for config in configs]
    return nested_f_test(
        np.asarray(truth, dtype=float),
        np.hstack([_dummies(classes), _by_class(configs, classes, base)]),
        _by_class(configs, classes, added),
    )


def _dummies(values: Sequence[Any]) -> np.ndarray:
    levels = sorted(set(values), key=str)
    return np.array([[float(value == level) for level in levels] for value in values])


def _by_class(configs: Sequence[Any], classes: Sequence[Any], choices: Sequence[Callable[[Any], Any]]) -> np.ndarray:
    # every class has its own effects: a choice's dummies are zero outside their class
    columns = []
    for kind in sorted(set(classes)):
        inside = np.array([c == kind for c in classes])
        for position in range(kind[1]):
            for choice in choices:
                values = [choice(c.layers[position]) if ok else None for c, ok in zip(configs, inside, strict=True)]
                levels = sorted({value for value in values if value is not None}, key=str)[1:]
                columns += [np.array([float(value == level) for value in values]) for level in levels]
    return np.stack(columns, axis=1)
