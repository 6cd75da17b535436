"""Optuna's samplers behind ask/tell: a space's ``suggest`` turns a trial into an architecture.

The study lives in memory (Optuna's databases cost hundreds of milliseconds a trial); the run's journal is the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.workers import one_thread
from nas.engine.pools import Pool
from nas.search.base import SEARCHERS, Result, Searcher

if TYPE_CHECKING:
    import optuna

__all__ = ["OptunaSearch"]

_ATTEMPTS = 200


def _samplers() -> dict[str, Callable[[int], optuna.samplers.BaseSampler]]:
    import optuna.samplers as samplers

    return {
        "tpe": lambda seed: samplers.TPESampler(seed=seed),
        "gp": lambda seed: samplers.GPSampler(seed=seed),
        "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed),
        "random": lambda seed: samplers.RandomSampler(seed=seed),
    }


@SEARCHERS.register("optuna")
class OptunaSearch(Searcher):
    """One of Optuna's samplers.

    Args:
        sampler: tpe, gp, nsga2 or random. GP is meant for up to about 500 trials.

    Suggestions that give no valid member are told the worst fitness so far (pruned while there is none), ones that
    were visited before their known fitness; neither counts as an evaluation.
    """

    name = "optuna"

    def __init__(self, pool: Pool, seed: int, sampler: str = "tpe") -> None:
        import warnings

        import optuna

        super().__init__(pool, seed)
        samplers = _samplers()
        if sampler not in samplers:
            raise ZeronasError(f"Unknown optuna sampler '{sampler}'.{did_you_mean(sampler, samplers)}")
        # GP fits with torch: one thread, so that a proposal does not depend on their number
        self._threads: Callable[[], AbstractContextManager[None]] = one_thread if sampler == "gp" else nullcontext
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers say so at every start
            made = samplers[sampler](seeds.integer(seed, "optuna") % 2**32)
        self.study = optuna.create_study(direction="maximize", sampler=made)
        self._open: list[tuple[Any, str]] = []  # trials asked and not told, with their architecture's key
        self._known: dict[str, float] = {}

    def _propose(self) -> Any | None:
        import optuna

        if self.pool.exhausted:
            return None
        for _ in range(_ATTEMPTS):
            try:
                with self._threads():
                    trial = self.study.ask()
                    architecture = self.space_member(trial)
            except optuna.TrialPruned:
                self._turn_down(trial)
                continue
            if architecture is not None:
                self._open.append((trial, architecture.key))
                return architecture
        return self.pool.sample(self._rng())

    def space_member(self, trial: Any) -> Any | None:
        """Returns the unvisited member a trial stands for; a visited one is told at once and None is returned."""

        proposed = self.pool.space.suggest(trial)
        member = self.pool.admit(proposed)
        if member is None:
            known = self._known.get(proposed.key)
            if known is None:
                self._turn_down(trial)
            else:
                self.study.tell(trial, known)
        return member

    def _turn_down(self, trial: Any) -> None:
        # A sampler that fits finite values only (GP) would propose the same point again: it is told the worst so far.
        import optuna

        if self._known:
            self.study.tell(trial, min(self._known.values()))
        else:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the study; a failed evaluation is a failed trial."""
        import math

        import optuna

        fitness = {result.architecture.key: result.fitness for result in results}
        waiting = []
        for trial, key in self._open:
            if key not in fitness:
                waiting.append((trial, key))
            elif math.isfinite(fitness[key]):
                self._known[key] = fitness[key]
                self.study.tell(trial, fitness[key])
            else:
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        self._open = waiting
