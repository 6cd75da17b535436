"""Optuna's samplers behind ask/tell, on a space's encoding of fixed length.

The study lives in memory (Optuna's databases cost hundreds of milliseconds a trial); the run's journal is the record,
and ``zeronas export-study`` makes a file of it that optuna-dashboard opens.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.options import Fidelity, Seed, Size, validated
from nas.core.workers import one_thread
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Of, Result, Searcher
from nas.search.generations import Labels
from nas.search.objectives import Archive, Objectives

if TYPE_CHECKING:
    import optuna

    from nas.search.study import Code, FixedStudy

__all__ = ["OptunaSearch"]

_CHANGES = 50  # values of a code that are changed, one after the other, until it stands for an unvisited member


def _samplers() -> Mapping[str, Callable[[int], optuna.samplers.BaseSampler]]:
    from optuna import samplers

    from nas.search.study import JointTPE

    return {
        "tpe": JointTPE,
        "gp": lambda seed: samplers.GPSampler(seed=seed),
        "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed),
        "nsga3": lambda seed: samplers.NSGAIIISampler(seed=seed),
        "random": lambda seed: samplers.RandomSampler(seed=seed),
    }


@SEARCHERS.register("optuna")
class OptunaSearch(Searcher):
    """One of Optuna's samplers, which samples all values of a code jointly.

    The first trials, before which a sampler has nothing to go by, are the pool's draws. A code of a visited member has
    random values changed until it is an unvisited one's. What the sampler is told is the code of what was evaluated,
    the simplest one where several stand for it; a failure is a failed trial.

    Args:
        sampler: tpe, gp, nsga2, nsga3, or random, which draws codes uniformly. GP is meant for truths: its cost grows
            with the number of trials, up to seconds each.
        objectives: labels of the proxies that are objectives; None: the fitness alone.
        minimise: labels of the objectives that are minimised; None: parameters and flops, where they are objectives.
        of: "proxies", or "truth", which is asked of each proposal, unscored, and is the one objective.
        fidelity: share of a training after which a truth is taken.
        together: truths of one round, which can be made side by side.
    """

    name = "optuna"

    @validated
    def __init__(
        self,
        pool: Pool,
        seed: Seed,
        sampler: Literal["tpe", "gp", "nsga2", "nsga3", "random"] = "tpe",
        objectives: Labels | None = None,
        minimise: Labels | None = None,
        of: Of = "proxies",
        fidelity: Fidelity = 1.0,
        together: Size = 1,
    ) -> None:
        super().__init__(pool, seed)
        self._of(of, fidelity, together)
        if of == "truth" and (objectives is not None or minimise is not None):
            raise ZeronasError(
                "Searcher 'optuna' has of=truth, whose one objective is the truth, but objectives or minimise are "
                "given; leave them out, or use of=proxies."
            )
        if objectives is None and minimise is not None:
            raise ZeronasError("Searcher 'optuna' is to minimise objectives, but none are named; name objectives, too.")
        self._sampler, self._chosen, self._minimise = sampler, objectives, minimise
        self._encoding = pool.space.encoding
        # GP fits with torch: one thread, so that a proposal does not depend on their number
        self._threads: Callable[[], AbstractContextManager[None]] = one_thread if sampler == "gp" else nullcontext
        self._archive: Archive | None = None
        self._running: dict[str, Any] = {}  # key -> trial that was asked for and not told
        if objectives is not None:
            self._archive = Archive(Objectives("Searcher 'optuna'", objectives, objectives, minimise))

    def prepare(self, labels: Sequence[str]) -> None:
        """Finds the objectives among the run's proxies.

        Raises:
            ZeronasError: an objective is no proxy of the run.
        """
        super().prepare(labels)
        if self._chosen is not None:
            Objectives("Searcher 'optuna'", labels, self._chosen, self._minimise)

    @cached_property
    def study(self) -> FixedStudy:
        """The study, made when it is first needed: Optuna takes a second to import."""
        import optuna

        from nas.search.study import FixedStudy

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers say so at every start
            sampler = _samplers()[self._sampler](seeds.integer(self.seed, "optuna") % 2**32)
        # a point of the archive is to be minimised; a fitness is to be maximised
        directions = ["maximize"] if self._archive is None else ["minimize"] * len(self._archive.objectives.labels)
        return FixedStudy(sampler, self._encoding, directions)

    def _propose(self) -> Any | None:
        if self.pool.exhausted:
            return None
        with self._threads():
            trial, code = self.study.ask(drawn=self._sampler == "random")
        member = None if code is None else self._unvisited(code)
        if member is None:
            member = self.pool.sample(self._rng())
        found = None if member is None else self.pool.space.encode(member)
        if member is None or found is None:
            self.study.drop(trial)  # no code stands for it
        else:
            self.study.begin(trial, found)
            self._running[member.key] = trial
        return member

    def _unvisited(self, code: Code) -> Any | None:
        """Returns the unvisited member that a code stands for, after as few random changes of it as need be."""
        proposed = self.pool.space.decode(code)
        if proposed is not None and (member := self.pool.admit(proposed)) is not None:
            return member
        rng, names, changed = self._rng(), list(code), dict(code)
        for _ in range(_CHANGES):
            name = names[rng.integers(len(names))]
            changed[name] = self._encoding[name][rng.integers(len(self._encoding[name]))]
            proposed = self.pool.space.decode(changed)
            if proposed is not None and (member := self.pool.admit(proposed)) is not None:
                return member
        return None

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the study; a failed evaluation is a failed trial."""
        for result in self._heard(results):
            values = self._values(result)
            if self._archive is not None:
                self._archive.add(result)
            trial = self._running.pop(result.architecture.key, None)
            if trial is not None:
                self.study.tell(trial, values)

    def _values(self, result: Result) -> list[float] | None:
        """Returns the objectives of a result, or its fitness; None for a failure."""
        if self._archive is None:
            return [result.fitness] if math.isfinite(result.fitness) else None
        point = self._archive.objectives.point(result)
        return None if point is None else [float(value) for value in point]

    def front(self) -> list[Result] | None:
        """Returns the results that none dominates; None where there is one objective."""
        if self._archive is None or len(self._archive.objectives.labels) < 2:
            return None
        return list(self._archive.members)

    def notes(self) -> dict[str, Any]:
        """Returns the objectives, where there are several, and which way they are better."""
        return {} if self.front() is None or self._archive is None else {"objectives": self._archive.objectives.aims}
