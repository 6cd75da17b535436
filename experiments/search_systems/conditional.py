"""Optuna as it was before cells and configurations had codes of fixed length: define-by-run, one parameter at a time.

What a cell's operations and inputs are called depends on the number of states, and how many there are on the number of
nodes; what gives no valid cell is told the worst fitness so far. Kept to be measured against.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from nas.core import seeds
from nas.core.workers import one_thread
from nas.engine.pools import Pool
from nas.search.base import Result, Searcher
from spaces.bert.config import DEPTHS, HIDDEN_SIZES, SIZES, TYPE_OF, BertConfig, Layer
from spaces.rnn.cell import OPERATIONS, Cell
from spaces.rnn.edits import Recipe, tidy

if TYPE_CHECKING:
    import optuna

__all__ = ["ConditionalSearch"]

_ATTEMPTS = 200


class ConditionalSearch(Searcher):
    """TPE, GP or NSGA-II over conditional suggestions, with the options that Optuna gives them."""

    name = "optuna"

    def __init__(self, pool: Pool, seed: int, sampler: str) -> None:
        import optuna

        super().__init__(pool, seed)
        self._threads: Callable[[], AbstractContextManager[None]] = one_thread if sampler == "gp" else nullcontext
        suggest: dict[str, Callable[[Any], Any]] = {"rnn": _cell, "bert": _config}
        self._suggest = suggest[pool.space.name]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        number = seeds.integer(seed, "optuna") % 2**32
        kinds: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
            "tpe": optuna.samplers.TPESampler,
            "gp": optuna.samplers.GPSampler,
            "nsga2": optuna.samplers.NSGAIISampler,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = kinds[sampler](seed=number)
        self.study = optuna.create_study(direction="maximize", sampler=made)
        self._open: list[tuple[Any, str]] = []
        self._known: dict[str, float] = {}

    def _propose(self) -> Any | None:
        import optuna

        for _ in range(_ATTEMPTS):
            with self._threads():
                trial = self.study.ask()
                try:
                    proposed = self._suggest(trial)
                except optuna.TrialPruned:
                    self._turn_down(trial)
                    continue
            member = self.pool.admit(proposed)
            if member is not None:
                self._open.append((trial, member.key))
                return member
            if proposed.key in self._known:
                self.study.tell(trial, self._known[proposed.key])
            else:
                self._turn_down(trial)
        return self.pool.sample(self._rng())

    def _turn_down(self, trial: optuna.Trial) -> None:
        import optuna

        if self._known:
            self.study.tell(trial, min(self._known.values()))
        else:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def tell(self, results: Sequence[Result]) -> None:
        """Tells the study; a failed evaluation is a failed trial."""
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


def _config(trial: optuna.Trial) -> BertConfig:
    hidden = trial.suggest_categorical("hidden_size", HIDDEN_SIZES)
    layers = []
    for number in range(1, trial.suggest_categorical("layers", DEPTHS) + 1):
        parameter: Any = trial.suggest_categorical(f"layer{number}.operation", tuple(TYPE_OF))
        sizes: Any = (
            trial.suggest_categorical(f"layer{number}.{'heads' if name == 'num_operation_heads' else name}", choices)
            for name, choices in SIZES.items()
        )
        layers.append(Layer(TYPE_OF[parameter], parameter, *sizes))
    return BertConfig(hidden, tuple(layers))


def _cell(trial: optuna.Trial) -> Cell:
    """Takes the last nodes as outputs; a source that nothing reads is added to a linear node of two inputs."""
    import optuna

    states = int(trial.suggest_categorical("hidden_states", [1, 2, 3]))
    size = trial.suggest_int(f"h{states}.nodes", states + 1, states + 10)
    recipe: Recipe = {}
    sources = ["x", *(f"h_prev_{j}" for j in range(states))]
    names = [f"node_{i}" for i in range(size)]
    for i, name in enumerate(names):
        op = str(trial.suggest_categorical(f"h{states}.node{i}.op", list(OPERATIONS)))
        candidates = sources + names[:i]
        inputs: list[str] = []
        for j in range(OPERATIONS[op][0]):
            start = trial.suggest_int(f"h{states}.node{i}.input{j}", 0, len(candidates) - 1)
            turned = candidates[start:] + candidates[:start]
            free = (c for c in turned if c not in inputs and (op == "linear" or c != "x"))
            inputs.append(next(free, turned[0]))
        recipe[name] = (op, tuple(inputs))
    new = {old: f"h_new_{states - 1 - i}" for i, old in enumerate(reversed(names)) if i < states}
    renamed = {new.get(n, n): (op, tuple(new.get(i, i) for i in read)) for n, (op, read) in recipe.items()}
    for source in sources:
        if any(source in read for _, read in renamed.values()):
            continue
        for name in reversed(list(renamed)):
            op, read = renamed[name]
            if op == "linear" and len(read) == 2:
                renamed[name] = (op, (*read, source))
                break
    cell = tidy(renamed, states)
    if cell is None:
        raise optuna.TrialPruned
    return cell
