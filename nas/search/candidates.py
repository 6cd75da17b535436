"""Searches that score candidates first, and then ask for the truths of some of them.

What they share: all members of a closed pool, or a number of draws, are scored before the first truth is asked for;
where they breed, mutants of the best by truth join before each further round. What nothing is known of is not asked
again, nor is a truth that is known.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown
from nas.engine.gate import OUTSIDE
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.base import Searcher

__all__ = ["CandidateSearch", "feasible"]

Array = NDArray[np.float64]


def feasible(result: Result) -> bool:
    """Returns whether the gate, if there is one, let an architecture pass."""
    first = next(iter(result.scores.values()), None)
    return first is None or first.value is not None or not first.reason.startswith(OUTSIDE)


class CandidateSearch(Searcher):
    """Scores candidates, then asks for truths among them, round by round; a subclass says which (``_chosen``).

    Args:
        drawn: candidates drawn first; of a closed pool all members are candidates.
        children: mutants of the best by truth that join the candidates before each round.
        parents: how many of the best by truth they are made of.
        together: truths of one round at most.
        fidelity: share of the training protocol after which truths are taken.
    """

    asks_truth = True

    def __init__(
        self,
        pool: Pool,
        seed: int,
        drawn: int,
        children: int = 0,
        parents: int = 1,
        together: int = 1,
        fidelity: float = 1.0,
    ) -> None:
        super().__init__(pool, seed)
        self.children, self.parents, self.together, self.fidelity = children, parents, together, fidelity
        self._wanted = drawn if pool.size is None else pool.size  # to be scored before the next truth is asked for
        self._scored: dict[str, Result] = {}
        self._truths: dict[str, float] = {}
        self._unknown: set[str] = set()
        self._total = 0  # distinct truths that all of the budget affords
        self._held: tuple[int, list[str], Array] | None = None
        self._place: dict[str, int] = {}  # of those that may be asked for, in the table
        self._features: dict[str, Array] = {}

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns candidates to score until there are as many as wanted, then the truths of a round."""
        missing = self._wanted - len(self._scored)
        if missing > 0:
            candidates = super().ask(min(n, missing), left)
            if candidates:
                return candidates
        affordable = int((left.get(TRUTH, 0.0) + 1e-9) / self.fidelity)
        self._total = len(self._truths) + affordable
        keys = self._chosen(min(n, self.together, affordable)) if n and affordable else []
        return [Trial(self._scored[key].architecture, TRUTH, self.fidelity) for key in keys]

    @property
    def _starts(self) -> int:
        """How many truths are asked for before anything is learnt from them."""
        return 0

    def _propose(self) -> Any | None:
        rng = self._rng()
        best = self._best()
        if len(self._truths) < self._starts or not best or not self.children:
            return self._draw(rng)
        parent = self._scored[best[int(rng.integers(min(self.parents, len(best))))]].architecture
        child = self.pool.mutate(parent, rng)
        # half of them are two edits away, so that a better one behind a worse neighbour can be reached
        return self.pool.mutate(child, rng) if child is not None and rng.random() < 0.5 else child

    def _draw(self, rng: np.random.Generator) -> Any | None:
        return self.pool.sample(rng)

    def _best(self) -> list[str]:
        """Returns the keys of what did not diverge, the best truth first."""
        return sorted((key for key in self._truths if self._truths[key] > -math.inf), key=lambda k: -self._truths[k])

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores and truths; after truths, the next round's mutants are wanted."""
        for result in results:
            key = result.architecture.key
            if result.trial.measure == PROXIES:
                self._scored[key] = result
            elif result.trial.fidelity == self.fidelity:
                if result.known and result.truth is not None:
                    self._truths[key] = result.truth.fitness
                else:
                    self._unknown.add(key)
        if self._truths and results and results[0].trial.measure == TRUTH:
            self._wanted = len(self._scored) + self.children

    @abstractmethod
    def _chosen(self, most: int) -> list[str]:
        """Returns the keys of up to ``most`` candidates (1 or more) whose truths are asked for next."""

    def _eligible(self, result: Result) -> bool:
        """Returns whether a candidate may be asked for: it has a fitness."""
        return result.fitness > -math.inf

    def _table(self) -> tuple[list[str], Array]:
        """Returns the keys of all that may be asked for, in the order scored, and their scores (n, labels).

        A score is NaN where it is a failure.
        """
        if self._held is None or self._held[0] != len(self._scored):
            kept = {key: result for key, result in self._scored.items() if self._eligible(result)}
            rows = [[math.nan if s is None else s for s in self._values(result)] for result in kept.values()]
            width = len(rows[0]) if rows else 0
            self._held = len(self._scored), list(kept), np.array(rows, dtype=float).reshape(len(rows), width)
            self._place = {key: i for i, key in enumerate(kept)}
        return self._held[1], self._held[2]

    def _values(self, result: Result) -> list[float | None]:
        return [result.scores[label].value for label in self._names]

    @property
    def _names(self) -> list[str]:
        """Labels of the scores that are looked at: those of the run's proxies, else all that it was told of."""
        if self.labels is not None:
            return list(self.labels)
        first = next(iter(self._scored.values()), None)
        return [] if first is None else [label for label in first.scores if label != TRUTH]

    def _column(self, label: str, what: str) -> int:
        """Returns the place of a label among the scores.

        Raises:
            ZeronasError: no proxy of the run has it.
        """
        labels = self._names
        if label not in labels:
            raise ZeronasError(
                f"Searcher '{self.name}' has {what}={shown(label)}, which is no proxy of this run."
                f"{did_you_mean(label, labels)}"
            )
        return labels.index(label)

    def _features_of(self, keys: Sequence[str]) -> Array:
        """Returns the features of candidates (n, f), each column with mean 0 and variance 1, without constant ones."""
        for key in keys:
            if key not in self._features:
                self._features[key] = self.pool.space.features(self._scored[key].architecture)
        rows = np.stack([self._features[key] for key in keys]).astype(float)
        spread = rows.std(axis=0)
        told = rows[:, spread > 0]
        return np.asarray((told - told.mean(axis=0)) / spread[spread > 0])

    def _free(self) -> NDArray[np.bool_]:
        """Returns which candidates of the table have no truth yet, and are not known to have none."""
        return self._without(self._truths.keys() | self._unknown)

    def _without(self, some: Collection[str]) -> NDArray[np.bool_]:
        """Returns which candidates of the table are none of some."""
        mask = np.ones(len(self._table()[0]), dtype=bool)
        mask[[self._place[key] for key in some if key in self._place]] = False
        return mask

    def _at_random(self, keys: Sequence[str], purpose: str) -> list[str]:
        """Returns candidates in random order, another one for each number of truths that were asked for."""
        asked = len(self._truths) + len(self._unknown)
        rng = seeds.generator(self.seed, "searcher", self.name, purpose, asked)
        return [keys[i] for i in rng.permutation(len(keys))]
