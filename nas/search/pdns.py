"""MTF-PDNS: novelty search with an archive of what no other dominates, on several training-free objectives.

Source: Vo & Luong, "Efficient Multi-Objective Neural Architecture Search via Pareto Dominance-based Novelty Search"
(GECCO 2024, arXiv 2407.20656), as the authors' released code has it. Pairs of a shuffled population of 20 are crossed;
every evaluated individual is offered to an unbounded elitist archive, in order; which parents and children survive is
decided by binary tournaments on novelty alone. The novelty of what is in the archive is its mean distance to all
members, that of what is not is minus that distance: so non-dominated ones far from the archive's bulk are preferred,
and dominated ones near it. Nothing ages. The answer is the archive.

On NAS-Bench-101, where SynFlow spans many decades, the authors take logarithms of the proxies: ``logs`` says of which.

What differs here: crossover and mutation are the space's own (released: two-point crossover always, then each gene of
an integer vector mutates with probability 1/6, so about two thirds of the children do), and no architecture is
evaluated twice. A failure never joins the archive and loses every tournament against a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.core.options import Seed, Share, validated
from nas.engine.pools import Pool
from nas.engine.trials import Result
from nas.search.base import SEARCHERS
from nas.search.generations import Generations, Labels, PopulationSize
from nas.search.objectives import Archive

__all__ = ["MTFPDNS", "novelty"]


def novelty(results: list[Result], archive: Archive) -> np.ndarray:
    """Returns the novelty of each result: larger is preferred, a failure's is minus infinity."""
    valid, points, _ = archive.objectives.split(results)
    found = dict.fromkeys((result.architecture.key for result in results), -np.inf)
    if valid:
        inside = {member.architecture.key for member in archive.members}
        for result, distance in zip(valid, archive.distances(points), strict=True):
            key = result.architecture.key
            found[key] = distance if key in inside else -distance
    return np.array([found[result.architecture.key] for result in results])


@SEARCHERS.register("mtf_pdns")
class MTFPDNS(Generations):
    """Pareto-dominance novelty search.

    Args:
        population: parents, and children of a generation.
        crossover: probability that a child recombines its parents; else it is a mutant of the first.
        mutation: probability that a child of two is mutated, too.
        objectives: labels of the proxies that are objectives; null: all of the run.
        minimise: labels of the objectives that are minimised; null: parameters and flops, where they are objectives.
        logs: labels of the objectives whose distances are those of sign(x) log10(1 + |x|), for ones of many decades.
    """

    name = "mtf_pdns"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        population: PopulationSize = 20,
        crossover: Share = 1.0,
        mutation: Share = 0.67,
        objectives: Labels | None = None,
        minimise: tuple[str, ...] | None = None,
        logs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(pool, seed, population, crossover, mutation, objectives, minimise, logs)

    def _pair(self, rng: Any, place: int) -> tuple[Any, Any]:
        """Returns consecutive members of the shuffled population, and for the next child the same two turned round."""
        order = self._stream("pairs").permutation(len(self.parents))
        mate = place ^ 1 if place ^ 1 < len(order) else 0  # of an odd number, the last one's is the first
        return self.parents[order[place]].architecture, self.parents[order[mate]].architecture

    def _survivors(self, archive: Archive) -> list[Result]:
        if not self.parents:
            return self._children
        rivals = [*self.parents, *self._children]
        value, rng = novelty(rivals, archive), self._stream("tournaments")
        winners: list[Result] = []
        while len(winners) < self.size:
            order = rng.permutation(len(rivals))
            for first, second in zip(order[::2], order[1::2], strict=False):
                winners.append(rivals[first if value[first] >= value[second] else second])
        return winners[: self.size]
