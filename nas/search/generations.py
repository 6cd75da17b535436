"""Searches of several objectives in generations: what NSGA-II, NSGA-III and MTF-PDNS have in common.

The first generation is drawn at random; of each further one a child recombines two parents and is mutated, with the
space's own operators; then the survivors of parents and children are the next parents. A generation is told as a whole
before the next is asked for, so what is found does not depend on the batch. All of them begin, with the same seed, with
the same generation, so that they can be compared in pairs. The archive keeps every result that no
other dominates, also those that did not survive.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le, MinLen

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.pools import Pool
from nas.engine.trials import Left, Result, Trial
from nas.search.base import Searcher
from nas.search.objectives import Archive, Objectives

__all__ = ["Generations", "Labels", "PopulationSize"]

#: labels of proxies, one or more
Labels = Annotated[tuple[Annotated[str, MinLen(1)], ...], MinLen(1)]
PopulationSize = Annotated[int, Ge(2), Le(1_000_000)]


class Generations(Searcher):
    """Evolution of several objectives in generations.

    Args:
        population: parents, and children of a generation.
        crossover: probability that a child recombines its parents; else it is a mutant of the first.
        mutation: probability that a child of two is mutated, too.
        objectives: labels of the proxies that are objectives; None: all of the run.
        minimise: labels of the objectives that are minimised; None: parameters and flops, where they are objectives.
        logs: labels of the objectives whose distances are those of sign(x) log10(1 + |x|), for ones of many decades.
    """

    def __init__(
        self,
        pool: Pool,
        seed: int,
        population: int,
        crossover: float,
        mutation: float,
        objectives: Sequence[str] | None,
        minimise: Sequence[str] | None,
        logs: Sequence[str],
    ) -> None:
        super().__init__(pool, seed)
        self.size, self.crossover, self.mutation = population, crossover, mutation
        self._chosen, self._minimise, self._logs = objectives, minimise, logs
        self._archive: Archive | None = None
        self._proposed = 0
        self._children: list[Result] = []
        self.parents: list[Result] = []
        self.generation = 0  # that is being asked for

    def prepare(self, labels: Sequence[str]) -> None:
        """Finds the objectives among the run's proxies.

        Raises:
            ZeronasError: an objective is no proxy of the run, or there are fewer than two.
        """
        super().prepare(labels)
        owner = f"Searcher '{self.name}'"
        objectives = Objectives(owner, labels, self._chosen, self._minimise, self._logs)
        if len(objectives.labels) < 2:
            only = objectives.labels[0]
            setting = "proxy" if self._chosen is None else "searcher.objectives"
            other = next(one for one in (*labels, "parameters", "flops") if one != only)
            raise ZeronasError(
                f"{owner} needs two or more objectives, but got {only} alone; for example {setting}=[{only},{other}]."
            )
        self._archive = Archive(objectives)

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns up to ``n`` trials, and none of two generations together."""
        return super().ask(min(n, self.size - self._proposed % self.size), left)

    def _propose(self) -> Any | None:
        place, self._proposed = self._proposed % self.size, self._proposed + 1
        if not self.parents:
            return self.pool.sample(seeds.generator(self.seed, "searcher", "first generation", self._proposed))
        rng = self._rng()
        first, second = self._pair(rng, place)
        crossed = rng.random() < self.crossover
        if crossed and rng.random() >= self.mutation:
            return self.pool.crossover(first, second, rng)
        return self.pool.mutate(self.pool.space.crossover(first, second, rng) if crossed else first, rng)

    def tell(self, results: Sequence[Result]) -> None:
        """Takes children in; after the last of a generation the survivors are the next parents."""
        for result in results:
            if self._archive is None:
                self._archive = Archive(Objectives.of(result))
            self._archive.add(result)
            self._children.append(result)
        if len(self._children) >= self.size and self._archive is not None:
            self.parents = self._survivors(self._archive)
            self._children = []
            self.generation += 1

    @abstractmethod
    def _pair(self, rng: Any, place: int) -> tuple[Any, Any]:
        """Returns the two parents, as architectures, of the child at a place in its generation, counted from 0."""

    @abstractmethod
    def _survivors(self, archive: Archive) -> list[Result]:
        """Returns the next parents, as many as the population, of the parents and ``_children``."""

    def _stream(self, purpose: str) -> Any:
        """Returns the generator of what is drawn once a generation."""
        return seeds.generator(self.seed, "searcher", self.name, purpose, self.generation)

    def front(self) -> list[Result]:
        """Returns the archive."""
        return [] if self._archive is None else list(self._archive.members)

    def notes(self) -> dict[str, Any]:
        """Returns the objectives, which way they are better, and how many generations were completed."""
        aims = {} if self._archive is None else dict(self._archive.objectives.aims)
        return {"objectives": aims, "generations": self.generation}
