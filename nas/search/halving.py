"""Successive halving of the truth, and searches by proxy that it follows: MF-NAS and R-MF-NAS.

Sources: Jamieson & Talwalkar 2016 (arXiv 1502.07943) for successive halving; Phan & Luong, "Efficient Multi-Fidelity
Neural Architecture Search with Zero-Cost Proxy-Guided Local Search" (GECCO 2024) for MF-NAS, and R-MF-NAS, its robust
variant, both in the code ELO-Lab/MF-NAS: 2,000 evaluations of one proxy by first-improvement local search, then 32
candidates trained for 12, 25, 50, 100 and 200 epochs, of which the better half goes on each time. The candidates of
MF-NAS are the proxy's best; of R-MF-NAS a third is, a third are starts of climbs and a third lie between start and end
of one. Here those thirds are the ``finalists=trajectory`` of ``nas.search.funnel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le, MinLen

from nas.core.options import Fidelity, Seed, Size, validated
from nas.engine.pools import Pool
from nas.engine.trials import PROXIES, TRUTH, Left, Result, Trial
from nas.search.base import SEARCHERS, Searcher
from nas.search.evolution import RegularizedEvolution
from nas.search.funnel import Finalists, Funnel
from nas.search.local import LocalSearch
from nas.search.random import RandomSearch
from proxies.base import Score

__all__ = ["RMFNAS", "Halving"]

Rungs = Annotated[tuple[Fidelity, ...], MinLen(1)]
Eta = Annotated[float, Gt(1), Le(1000)]

#: shares of a training, of which those that the truth is known after are the rungs
_RUNGS = (0.0625, 0.125, 0.25, 0.5, 1.0)


class _Halved(Searcher):
    """A search of candidates, then successive halving among them.

    Args:
        candidates: how many are trained to the first rung; None: as many as the budget of truths affords.
        rungs: shares of a training; None: a sixteenth, an eighth, a quarter, a half and all, of them those at which the
            truth is known; so where it is known of whole trainings only, all candidates are trained to the end.
        eta: of the n that reach a rung, n / eta reach the next, rounded up.
        pick: how candidates are picked (see ``nas.search.funnel.finalists``).
    """

    asks_truth = True

    def __init__(
        self,
        pool: Pool,
        seed: int,
        candidates: int | None,
        rungs: Sequence[float] | None,
        eta: float,
        pick: Finalists,
    ) -> None:
        super().__init__(pool, seed)
        self.candidates, self.rungs, self.eta, self.pick = candidates, rungs, eta, pick
        self._told: list[Result] = []
        self._funnel: Funnel | None = None
        if rungs is not None or candidates is not None:
            self._made(candidates or 1)  # rungs that do not rise are found before anything is computed

    def _made(self, candidates: int) -> Funnel:
        known = [share for share in _RUNGS if any(abs(share - one) < 1e-9 for one in self.shares)]
        rungs = self.rungs if self.rungs is not None else known
        seed, comparator = self.seed, self.comparator
        return Funnel(self.pool.space, candidates, rungs or [1.0], self.eta, self.pick, 0.0, seed, comparator)

    @property
    def earliest(self) -> float:
        """The first rung."""
        return self._made(1).rungs[0][1]

    def ask(self, n: int, left: Left) -> list[Trial]:
        """Returns what the search of candidates asks, and when it has no more, the rungs."""
        if self._funnel is None:
            asked = self._searched(n, left)
            if asked or n < 1:
                return asked
            self._funnel = self._made(self.candidates or self._affordable(left.get(TRUTH, 0.0)))
            self._funnel.tell(self._told)
        return self._funnel.ask(n, left)

    def _searched(self, n: int, left: Left) -> list[Trial]:
        raise NotImplementedError

    def _affordable(self, budget: float) -> int:
        """Returns the most candidates that can go through all rungs."""
        count, most = 1, max(1, sum(result.fitness > -float("inf") for result in self._told))
        while count < most and self._made(count + 1).reserve <= budget + 1e-9:
            count += 1
        return count

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores for the choice of candidates, and truths for the rungs."""
        if self._funnel is not None:
            self._funnel.tell(results)
        else:
            self._told += results

    def notes(self) -> dict[str, Any]:
        """Returns the rungs: how many candidates each is for, by its share of a training."""
        if self._funnel is None:
            return {}
        return {"rungs": {f"{share:g}": count for count, share in self._funnel.rungs}}


@SEARCHERS.register("halving")
class Halving(_Halved):
    """Successive halving of the truth among the proxy's best, or among draws at random.

    Args:
        start: candidates trained to the first rung; None: as many as the budget of truths affords.
        order: "proxy", the best of ``drawn`` draws (of a closed pool, of all members), or "random", draws unscored.
        drawn: architectures that the proxy scores.
        rungs: shares of a training; None: a sixteenth, an eighth, a quarter, a half and all, of them those at which the
            truth is known.
        eta: of the n that reach a rung, n / eta reach the next, rounded up.
    """

    name = "halving"
    only_draws = True

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        start: Size | None = None,
        order: Literal["proxy", "random"] = "proxy",
        drawn: Size = 1000,
        rungs: Rungs | None = None,
        eta: Eta = 2.0,
    ) -> None:
        super().__init__(pool, seed, start, rungs, eta, "best")
        self.order = order
        self._drawn = drawn if pool.size is None else pool.size
        if order == "random":
            self.measure = TRUTH

    def _propose(self) -> Any | None:
        return self.pool.sample(self._rng())

    def _searched(self, n: int, left: Left) -> list[Trial]:
        if self.order == "random":
            return self._draw(left.get(TRUTH, 0.0))
        return super(_Halved, self).ask(min(n, self._drawn - len(self._told)), left)

    def _draw(self, budget: float) -> list[Trial]:
        """Draws the candidates, all alike, so that the funnel takes them in the order drawn."""
        count = 1
        while (self.candidates or count) > len(self._told) and (drawn := self._propose()) is not None:
            self._told.append(Result(Trial(self.pool.take(drawn)), {"drawn": Score(0.0)}))
            if self.candidates is None and self._made(count + 1).reserve <= budget + 1e-9:
                count += 1
        return []


@SEARCHERS.register("r_mf_nas")
class RMFNAS(_Halved):
    """A search by proxy, within the budget of scores, then successive halving among candidates from all over it.

    Args:
        first: the search by proxy: "local", "evolution" or "random", each with its own defaults (but local search
            starts every climb from one draw, as there).
        candidates: trained to the first rung; None: as many as the budget of truths affords.
        pick: "trajectory", thirds of R-MF-NAS: the proxy's best, the first draws, those that were the best at their
            time, one a niche; "best", MF-NAS; "niches", the best, none close to a better one.
        rungs: shares of a training; None: a sixteenth, an eighth, a quarter, a half and all, of them those at which the
            truth is known.
        eta: of the n that reach a rung, n / eta reach the next, rounded up.
    """

    name = "r_mf_nas"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        first: Literal["local", "evolution", "random"] = "local",
        candidates: Size | None = None,
        pick: Finalists = "trajectory",
        rungs: Rungs | None = None,
        eta: Eta = 2.0,
    ) -> None:
        super().__init__(pool, seed, candidates, rungs, eta, pick)
        made = {
            "local": lambda: LocalSearch(pool, seed, 1),
            "evolution": lambda: RegularizedEvolution(pool, seed),
            "random": lambda: RandomSearch(pool, seed),
        }
        self.first: Searcher = made[first]()

    def _searched(self, n: int, left: Left) -> list[Trial]:
        self.first.comparator = self.comparator
        return self.first.ask(n, {PROXIES: left.get(PROXIES, 0)})

    def tell(self, results: Sequence[Result]) -> None:
        """Takes in scores, for the search and for the choice of candidates, and truths for the rungs."""
        if self._funnel is None:
            self.first.tell(results)
        super().tell(results)
