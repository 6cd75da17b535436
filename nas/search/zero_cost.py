"""Ageing evolution of the truth with zero-cost warm-up and zero-cost move proposal.

Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS" (ICLR 2021, arXiv 2101.08134); numbers as in the
notebook of their code (SamsungLabs/zero-cost-nas): warm-up of 3,000 draws, population 64, tournament 10; a move is the
proxy's best among all mutants of the parent with probability 3/4, else one of them at random.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from nas.core.errors import ZeronasError
from nas.core.options import Count, Fidelity, Seed, Share, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.base import SEARCHERS, Searcher

__all__ = ["ZeroCostSearch"]


@dataclass
class _Move:
    """Mutants of one parent; ``drawn`` is the place of the one to ask for, None for the proxy's best."""

    mutants: list[Any]
    drawn: int | None


@SEARCHERS.register("zero_cost")
class ZeroCostSearch(Searcher):
    """Ageing evolution whose fitness is the truth, and whose first population and moves a proxy proposes.

    ``warmup`` draws are scored, and the truths of the best of them asked for: they are the first population. Then, as
    in ageing evolution, a tournament picks a parent; some of its mutants are scored, and the truth of the proxy's best
    is asked for, with probability ``greedy``, or of one of them at random. What was scored and not asked for can be
    proposed again; what has no score is never asked for. A training that diverged ages with the others and wins no
    tournament from one that did not. Where the budget of scores is used up, the best of what was scored and not asked
    for follows.

    Args:
        population: size of the population.
        tournament: size of a tournament, drawn without replacement; its best by truth is the parent.
        warmup: draws of which the proxy's best are the first population; 0: the first population is random.
        proposals: mutants of a parent among which the proxy chooses; 1: no choice, as in plain ageing evolution.
        greedy: probability that a move is the proxy's best.
        together: moves that are made before their truths are heard.
        fidelity: share of the training protocol after which truths are taken.
    """

    name = "zero_cost"
    asks_truth = True

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: Annotated[int, Ge(2), Le(1_000_000)] = 64,
        tournament: Size = 10,
        warmup: Count = 1000,
        proposals: Size = 10,
        greedy: Share = 0.75,
        together: Size = 1,
        fidelity: Fidelity = 1.0,
    ) -> None:
        super().__init__(pool, seed)
        if tournament > population:
            raise ZeronasError(
                f"Searcher 'zero_cost' needs tournament <= population, but got ({tournament=}, {population=})."
            )
        self.size, self.tournament, self.warmup = population, tournament, warmup
        self.proposals, self.greedy, self.together, self.fidelity = proposals, greedy, together, fidelity
        self.population: deque[Result] = deque(maxlen=population)
        self.open = pool.anew()  # of its members those are visited that were asked for, or failed
        self._scored: dict[str, Result] = {}
        self._first: list[Any] | None = None  # of the first population, whose truths are still to be asked for
        self._moves: list[_Move] = []

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns draws to score, then the first population's truths, then mutants to score and truths in turns."""
        if n < 1:
            return []
        draws = max(self.warmup, self.size)
        if self._first is None:
            fresh = super().ask(min(n, draws - len(self._scored)), left)
            if fresh:
                return fresh
            self._first = self._started()
        affordable = int((left.get(TRUTH, 0.0) + 1e-9) / self.fidelity)
        if not affordable:
            return []
        self._first = [one for one in self._first if one.key not in self.open.visited]
        if self._first:
            return self._truths(self._first[: min(n, affordable)])
        most = min(n, self.together, affordable)
        while True:
            self._moves = self._moves or [self._move() for _ in range(most)]
            missing = {one.key: one for move in self._moves for one in move.mutants if one.key not in self._scored}
            if missing and left.get(PROXIES, 0) >= 1:
                return [Trial(self._visited(one)) for one in list(missing.values())[: int(min(n, left[PROXIES]))]]
            chosen = {one.key: one for one in map(self._choice, self._moves) if one is not None}
            again = not missing and any(move.mutants for move in self._moves)  # all failed, and are not drawn again
            self._moves = []
            if chosen or not again:
                return self._truths(list(chosen.values()) or self._rest(most))

    def _propose(self) -> Any | None:
        return self.pool.sample(self._rng())

    def _visited(self, architecture: Any) -> Any:
        return architecture if architecture.key in self.pool.visited else self.pool.take(architecture)

    def _truths(self, architectures: Sequence[Any]) -> list[Trial]:
        return [Trial(one, TRUTH, self.fidelity) for one in architectures]

    def _started(self) -> list[Any]:
        """Returns the first population, best by proxy first; without a warm-up in the order drawn."""
        valid = [result for result in self._scored.values() if result.fitness > -math.inf]
        if self.warmup:
            valid = sorted(valid, key=lambda result: -result.fitness)  # stable: ties keep their order
        return [result.architecture for result in valid[: self.size]]

    def _move(self) -> _Move:
        rng = self._rng()
        mutants: dict[str, Any] = {}
        parent = self._winner(rng)
        for _ in range(4 * self.proposals):  # several edits may come to the same mutant
            mutant = self.open.sample(rng) if parent is None else self.open.mutate(parent, rng)
            if mutant is None or len(mutants) == self.proposals:
                break
            mutants[mutant.key] = mutant
        self.pool.turned_away += self.open.turned_away
        self.open.turned_away = 0
        drawn = int(rng.integers(len(mutants))) if mutants and rng.random() >= self.greedy else None
        return _Move(list(mutants.values()), drawn)

    def _winner(self, rng: np.random.Generator) -> Any | None:
        if not self.population:
            return None
        drawn = rng.choice(len(self.population), size=min(self.tournament, len(self.population)), replace=False)
        return max((self.population[i] for i in sorted(drawn)), key=lambda result: result.fitness).architecture

    def _choice(self, move: _Move) -> Any | None:
        """Returns the mutant of a move whose truth is asked for."""
        if move.drawn is not None and self._fitness(move.mutants[move.drawn]) > -math.inf:
            return move.mutants[move.drawn]
        best = max(move.mutants, key=self._fitness, default=None)
        return None if best is None or self._fitness(best) == -math.inf else best

    def _fitness(self, architecture: Any) -> float:
        scored = self._scored.get(architecture.key)
        return -math.inf if scored is None else scored.fitness

    def _rest(self, most: int) -> list[Any]:
        """Returns the best by proxy of what was scored and not asked for."""
        left = [result for key, result in self._scored.items() if key not in self.open.visited]
        return [result.architecture for result in sorted(left, key=lambda result: -result.fitness)[:most]]

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores; of truths, the population ages by those that are known."""
        for result in results:
            failed = result.trial.measure == PROXIES and result.fitness == -math.inf
            if result.trial.measure == PROXIES:
                self._scored[result.architecture.key] = result
            elif result.known and result.truth is not None:
                self.population.append(Result(result.trial, {TRUTH: result.truth}, result.cost))
            if (failed or result.trial.measure == TRUTH) and result.architecture.key not in self.open.visited:
                self.open.take(result.architecture)
