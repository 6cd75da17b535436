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
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import MinLen

from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import Fidelity, Seed, shown, validated
from nas.core.workers import one_thread
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Of, Result, Searcher

if TYPE_CHECKING:
    import optuna

    from nas.search.study import Code, FixedStudy

__all__ = ["OptunaSearch"]

Labels = Annotated[tuple[Annotated[str, MinLen(1)], ...], MinLen(1)]

_CHANGES = 50  # values of a code that are changed, one after the other, until it stands for an unvisited member
_COSTS = ("parameters", "flops")  # objectives that are minimised where nobody says what is


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
    ) -> None:
        super().__init__(pool, seed)
        self._of(of, fidelity)
        if of == "truth" and (objectives or minimise):
            raise ZeronasError(
                "Searcher 'optuna' has of=truth, whose one objective is the truth, but objectives or minimise are "
                "given; leave them out, or use of=proxies."
            )
        wanted = objectives or ()
        if twice := [label for label in wanted if wanted.count(label) > 1]:
            raise ZeronasError(f"Searcher 'optuna' has the objective {shown(twice[0])} twice; name each once.")
        for label in minimise or ():
            if label not in wanted:
                raise ZeronasError(
                    f"Searcher 'optuna' is to minimise {shown(label)}, which is no objective."
                    f"{did_you_mean(label, wanted) if wanted else ' Name it among objectives.'}"
                )
        self._sampler, self._objectives = sampler, wanted
        self._minimised = frozenset(_COSTS if minimise is None else minimise) & frozenset(wanted)
        self._encoding = pool.space.encoding
        # GP fits with torch: one thread, so that a proposal does not depend on their number
        self._threads: Callable[[], AbstractContextManager[None]] = one_thread if sampler == "gp" else nullcontext
        self._running: dict[str, Any] = {}  # key -> trial that was asked for and not told
        self._told: list[tuple[Result, list[float]]] = []

    def prepare(self, labels: Sequence[str]) -> None:
        """Finds the objectives among the run's proxies.

        Raises:
            ZeronasError: an objective is no proxy of the run.
        """
        super().prepare(labels)
        for label in self._objectives:
            if label not in labels:
                raise ZeronasError(
                    f"Searcher 'optuna' has the objective {shown(label)}, which is no proxy of this run."
                    f"{did_you_mean(label, labels)}"
                )

    @cached_property
    def study(self) -> FixedStudy:
        """The study, made when it is first needed: Optuna takes a second to import."""
        import optuna

        from nas.search.study import FixedStudy

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers say so at every start
            sampler = _samplers()[self._sampler](seeds.integer(self.seed, "optuna") % 2**32)
        directions = ["minimize" if label in self._minimised else "maximize" for label in self._objectives]
        return FixedStudy(sampler, self._encoding, directions or ["maximize"])

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
            if values is not None:
                self._told.append((result, values))
            trial = self._running.pop(result.architecture.key, None)
            if trial is not None:
                self.study.tell(trial, values)

    def _values(self, result: Result) -> list[float] | None:
        """Returns the objectives of a result; None where one of them is a failure."""
        scores = [result.scores.get(label) for label in self._objectives]
        values = [score.fitness if score else -math.inf for score in scores] or [result.fitness]
        return values if all(map(math.isfinite, values)) else None

    def front(self) -> list[Result] | None:
        """Returns the study's best trials, which none dominates, in the order told."""
        from nas.search.memory import dominating

        if len(self._objectives) < 2:
            return None
        if not self._told:
            return []
        signs = [-1.0 if label in self._minimised else 1.0 for label in self._objectives]
        above = dominating(np.array([values for _, values in self._told]) * signs)
        return [result for (result, _), count in zip(self._told, above, strict=True) if not count]
