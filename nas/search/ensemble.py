"""An ensemble of small networks that predict the truth, trained at once.

Source: White et al. 2021 (BANANAS, arXiv 1910.11858) and its code (naszilla): five networks of 10 layers of 20 units,
mean absolute error, Adam. All are trained side by side, on all rows at each update. Backpropagation through layers this
small is a page of numpy, which takes half as long as torch and gives the same numbers; scikit-learn's regressors, one
after the other, take longer than either.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.core import seeds

__all__ = ["Ensemble", "ensemble"]

Array = NDArray[np.float64]

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8  # of Adam, as in Kingma & Ba (arXiv 1412.6980)


class Ensemble:
    """Networks with hidden layers of rectified units, side by side; all of their weights are one vector.

    Args:
        members: networks.
        sizes: units of each layer, the inputs first.
        seed: of the weights, uniform within one over the root of a unit's inputs.
    """

    def __init__(self, members: int, sizes: list[int], seed: int) -> None:
        self.members, self.layers = members, len(sizes) - 1
        rng, drawn = seeds.generator(seed, "ensemble"), []
        self._shapes: list[tuple[int, int, int]] = []
        for fan_in, fan_out in pairwise(sizes):
            for shape in ((members, fan_in, fan_out), (members, 1, fan_out)):
                self._shapes.append(shape)
                drawn.append(rng.uniform(-1, 1, shape).ravel() / math.sqrt(max(fan_in, 1)))
        self.weights = np.concatenate(drawn)

    def _parts(self, vector: Array) -> list[Array]:
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])
        pieces = np.split(vector, ends[:-1])  # views, as basic slices are
        return [piece.reshape(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def outputs(self, rows: Array) -> list[Array]:
        """Returns what each layer gives out for rows (n, d), the rows first: (members, n, units) each."""
        parts, given = self._parts(self.weights), [np.broadcast_to(rows, (self.members, *rows.shape))]
        for at in range(self.layers):
            summed = given[-1] @ parts[2 * at] + parts[2 * at + 1]
            given.append(np.maximum(summed, 0) if at + 1 < self.layers else summed)
        return given

    def gradient(self, rows: Array, truths: Array) -> Array:
        """Returns the gradient of the mean absolute errors, summed over the networks, in the weights."""
        gradient = np.zeros_like(self.weights)
        parts, into, given = self._parts(self.weights), self._parts(gradient), self.outputs(rows)
        back = np.sign(given[-1] - truths[:, None]) / len(rows)  # (members, n, 1)
        for at in reversed(range(self.layers)):
            into[2 * at][...] = given[at].transpose(0, 2, 1) @ back
            into[2 * at + 1][...] = back.sum(axis=1, keepdims=True)
            if at:
                back = (back @ parts[2 * at].transpose(0, 2, 1)) * (given[at] > 0)
        return gradient

    def train(self, rows: Array, truths: Array, epochs: int, rate: float) -> None:
        """Makes as many updates by Adam, each with all rows (n, d) and their truths (n,)."""
        mean, square = np.zeros_like(self.weights), np.zeros_like(self.weights)
        for update in range(1, epochs + 1):
            gradient = self.gradient(rows, truths)
            mean += (1 - _FIRST) * (gradient - mean)
            square += (1 - _SECOND) * (gradient**2 - square)
            step = mean / (1 - _FIRST**update) / (np.sqrt(square / (1 - _SECOND**update)) + _TINY)
            self.weights -= rate * step


def ensemble(
    rows: Array,
    truths: Array,
    others: Array,
    seed: int,
    members: int = 5,
    layers: int = 10,
    width: int = 20,
    epochs: int = 150,
    rate: float = 0.01,
) -> Array:
    """Returns the predictions (members, m) of networks that were trained on rows (n, d) and truths (n,) for ``others``.

    One thread computes; on another kind of processor they are the same within rounding.

    Args:
        others: rows (m, d) to predict.
        seed: of the initial weights.
        layers: hidden layers of ``width`` units.
        epochs: updates.
        rate: of Adam.
    """
    with threadpool_limits(1):
        networks = Ensemble(members, [rows.shape[1], *[width] * layers, 1], seed)
        networks.train(rows, truths, epochs, rate)
        return np.asarray(networks.outputs(others)[-1][..., 0])
