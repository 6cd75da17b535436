"""Finalists of a search, and the funnel of trainings that decides among them (``verify=K``).

Sources: finalists from all over the trajectory, R-MF-NAS (2025, github.com/ELO-Lab/MF-NAS); successive halving,
Jamieson & Talwalkar 2016 (arXiv 1502.07943). That each finalist has a niche of its own is this project's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.comparison import MEANS, Comparator
from spaces.base import Space

__all__ = ["Finalists", "Funnel", "finalists"]

#: how finalists are picked
Finalists = Literal["best", "niches", "trajectory"]

_COMPARED = 200  # architectures whose distances say how wide a niche is
_WIDTH = 0.1  # quantile of those distances
_RANKED = 10  # times the finalists, that a comparator puts in order for niches


class Funnel:
    """Trains finalists in rungs: all for the first share of the protocol, the best 1/eta of them for the next, ...

    With the one rung of 1 that is the default, the ``count`` finalists are trained to the end. Truths that the stage
    before asked for are taken up: finalists are then the best by truth, and go on where they stopped.

    Args:
        space: whose features say what a niche is.
        count: finalists K.
        shares: of the protocol, increasing, the last one 1.
        eta: of the n that reach a rung, n / eta reach the next, rounded up.
        pick: see ``finalists``.
        begun: share of the protocol that the finalists have been trained for already.
        seed: of the draws among the search's first architectures, and of the comparator.
        comparator: how finalists are compared before any truth is known.

    Raises:
        ZeronasError: the shares do not increase to 1, or eta is not above 1.
    """

    name = "funnel"

    def __init__(
        self,
        space: Space[Any],
        count: int,
        shares: Sequence[float] = (1.0,),
        eta: float = 3.0,
        pick: Finalists = "best",
        begun: float = 0.0,
        seed: int = 0,
        comparator: Comparator = MEANS,
    ) -> None:
        if not shares or shares[-1] != 1 or any(b <= a for a, b in zip((0.0, *shares), shares, strict=False)):
            raise ZeronasError(f"rungs must be increasing shares of a training up to 1, but got {list(shares)}.")
        if not eta > 1:
            raise ZeronasError(f"eta must be above 1, but got {eta:g}.")
        self.space, self.pick, self.seed, self.comparator = space, pick, seed, comparator
        counts = [max(1, math.ceil(count / eta**i - 1e-9)) for i in range(len(shares))]
        self.rungs = [(n, share) for n, share in zip(counts, shares, strict=True) if share > begun]
        self.begun = begun
        self._told: list[Result] = []
        self._seen: set[str] = set()
        self._reached: dict[str, tuple[float, float]] = {}  # key -> highest share asked, and the truth there
        self._at = -1
        self._waiting: list[Trial] = []

    @property
    def reserve(self) -> float:
        """Trainings that all rungs take."""
        before = [self.begun, *(share for _, share in self.rungs)]
        return sum(n * (share - earlier) for (n, share), earlier in zip(self.rungs, before, strict=False))

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns the next of a rung, as many as the budget of truths has left; then the best of it for the next."""
        while not self._waiting and self._at + 1 < len(self.rungs):
            self._at += 1
            count, share = self.rungs[self._at]
            self._waiting = [Trial(architecture, TRUTH, share) for architecture in self._rivals(count)]
        asked: list[Trial] = []
        budget = left.get(TRUTH, 0.0) + 1e-9
        while self._waiting and len(asked) < n:
            trial = self._waiting[0]
            cost = max(0.0, trial.fidelity - self._reached.get(trial.key, (0.0, 0.0))[0])
            if cost > budget:
                self._waiting = []  # the next rung costs more
                break
            budget -= cost
            asked.append(self._waiting.pop(0))
        return asked

    def tell(self, results: Sequence[Result]) -> None:
        """Hears what the stages before it propose and ask for, and its own truths."""
        for result in results:
            if result.trial.measure == PROXIES or result.key not in self._seen:
                self._told.append(result)  # once, though it be only for its truth that a search asked
                self._seen.add(result.key)
            if result.trial.measure == TRUTH and result.known and result.truth is not None:
                reached = self._reached.get(result.key, (0.0, 0.0))
                self._reached[result.key] = max(reached, (result.trial.fidelity, result.truth.fitness))

    def _rivals(self, count: int) -> list[Any]:
        """Returns the architectures of the next rung: the best by truth where there are truths, else the finalists."""
        trained = [r for r in self._told if self._reached.get(r.key, (0.0, -math.inf))[1] > -math.inf]
        if self._reached:
            order = sorted(trained, key=lambda r: self._reached[r.key], reverse=True)
            if self._at == 0 and self.pick != "best":
                order = one_a_niche(self.space, order, self._told)
            return [result.architecture for result in order[:count]]
        chosen = finalists(self.space, self._told, count, self.pick, self.seed, self.comparator)
        return [result.architecture for result in chosen]


def finalists(
    space: Space[Any],
    told: Sequence[Result],
    count: int,
    pick: Finalists,
    seed: int = 0,
    comparator: Comparator = MEANS,
) -> list[Result]:
    """Returns the finalists of a search by proxy; failures are never among them.

    Args:
        told: all that was scored, in order.
        pick: "best", those of the highest fitness, the earlier of equals. "niches", the same, but none that is close
            to a better one. "trajectory": a third so; a third at random from the first tenth of the search, which no
            selection touched; a third of those that were the best at their time, evenly over the search; one a niche.
        comparator: says which are the best. By samples that is Stat-TOPK; where finalists must have niches, ten times
            as many are compared so, and the rest follows by fitness.
    """
    valid = [result for result in told if result.fitness > -math.inf]
    rng = seeds.generator(seed, "finalists", "comparator")
    if pick == "best":
        return comparator.top(valid, count, rng)
    best = comparator.top(valid, _RANKED * count, rng)
    ranked = set(map(id, best))
    best += [result for result in MEANS.top(valid, len(valid), rng) if id(result) not in ranked]
    if pick == "niches":
        return one_a_niche(space, best, valid)[:count]
    first = valid[: max(1, len(valid) // 10)]
    drawn = [first[i] for i in seeds.generator(seed, "finalists").permutation(len(first))]
    highest, records = -math.inf, []
    for result in valid:
        if result.fitness > highest:
            highest = result.fitness
            records.append(result)
    middle = [records[i] for i in np.linspace(0, len(records) - 1, min(len(records), count)).round().astype(int)][::-1]
    turns = zip(best, _padded(middle, len(best)), _padded(drawn, len(best)), strict=True)
    order = list({r.key: r for turn in turns for r in turn if r is not None}.values())
    return one_a_niche(space, order, valid)[:count]


def _padded(results: list[Result], length: int) -> list[Result | None]:
    return [*results[:length], *[None] * (length - len(results))]


def one_a_niche(space: Space[Any], order: Sequence[Result], among: Sequence[Result]) -> list[Result]:
    """Returns ``order`` with what is close to an earlier one moved behind all others.

    Close is nearer, in L1 distance of the features, than nine tenths of the pairs of ``among`` are.
    """
    sample = among[:: max(1, len(among) // _COMPARED)]
    vectors = np.stack([space.features(result.architecture) for result in sample]) if sample else np.zeros((0, 1))
    distances = np.abs(vectors[:, None] - vectors[None]).sum(axis=2)[np.triu_indices(len(vectors), 1)]
    width = float(np.quantile(distances, _WIDTH)) if len(distances) else 0.0
    kept: list[Result] = []
    held: list[np.ndarray] = []
    crowded: list[Result] = []
    for result in order:
        features = space.features(result.architecture)
        if any(float(np.abs(features - other).sum()) < width for other in held):
            crowded.append(result)
        else:
            kept.append(result)
            held.append(features)
    return kept + crowded
