"""Optuna's samplers over the same categorical parameters in every trial, asked and told at the cost of a proxy.

``optuna.Study.ask`` draws parameter by parameter, copies the trial and compares distributions each time, and hands the
sampler all trials there are. Here a sampler is asked for all parameters at once, by the life cycle that
``optuna.samplers.BaseSampler`` documents, and sees as much of the history as it makes use of (``nas.search.memory``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler, BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from nas.search.memory import Memory
from spaces.rules import Value

__all__ = ["Code", "FixedStudy", "JointTPE"]

#: code: name -> value
Code = dict[str, Value]

_PRIOR = 0.03


class FixedStudy:
    """A study in memory.

    Args:
        sampler: one of Optuna's.
        parameters: name -> choices, of every trial.
        directions: "maximize" or "minimize", for each objective.
    """

    def __init__(
        self, sampler: BaseSampler, parameters: Mapping[str, Sequence[Value]], directions: Sequence[str]
    ) -> None:
        self.sampler = sampler
        self._all = {name: _Choice(choices) for name, choices in parameters.items()}
        self._open: dict[str, BaseDistribution] = {name: one for name, one in self._all.items() if not one.single()}
        self._memory = Memory(directions)

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials that were told, in the order asked, whatever of them the sampler sees."""
        return [trial for trial in self._memory.trials.values() if trial.state.is_finished()]

    def ask(self, drawn: bool = False) -> tuple[FrozenTrial, Code | None]:
        """Returns a new trial and its parameters; None where the sampler has too little to go by yet.

        Args:
            drawn: the sampler draws what it has too little to go by for, each parameter on its own.
        """
        study = self._study()
        trial = self._memory.get_trial(self._memory.create_new_trial(0))
        self.sampler.before_trial(study, trial)
        found = self.sampler.sample_relative(study, trial, self._open) if self._open else {}
        if isinstance(self.sampler, BaseGASampler):
            self._memory.see_generations(trial, self.sampler.get_trial_generation(study, trial))
        if not found and not drawn:
            return trial, None
        code: Code = {}
        for name, choice in self._all.items():
            if name in found:
                code[name] = found[name]
            elif name in self._open:  # a genetic algorithm leaves out what is to be mutated
                code[name] = self.sampler.sample_independent(study, trial, name, choice)
            else:
                code[name] = choice.choices[0]  # type: ignore[assignment]
        return trial, code

    def begin(self, trial: FrozenTrial, code: Mapping[str, Value]) -> None:
        """Says with what parameters a trial is evaluated, which need not be those that the sampler suggested."""
        trial.params, trial.distributions = dict(code), dict(self._all)

    def drop(self, trial: FrozenTrial) -> None:
        """Forgets a trial that is not evaluated."""
        self._memory.drop(trial)

    def tell(self, trial: FrozenTrial, values: Sequence[float] | None) -> None:
        """Tells the values of a trial; None is a failure."""
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self.sampler.after_trial(self._study(), trial, state, values)
        self._memory.set_trial_state_values(trial._trial_id, state, values)
        if isinstance(self.sampler, TPESampler):
            self._memory.see_best_and_latest()

    def _study(self) -> optuna.Study:
        # a study keeps what it has read until it is asked by its own ``ask``, so each is used once
        return optuna.load_study(study_name=Memory.NAME, storage=self._memory, sampler=self.sampler)


class JointTPE(TPESampler):
    """TPE of all parameters jointly.

    It keeps the places of a trial's values among their choices, which Optuna's looks up anew in every ask.
    """

    def __init__(self, seed: int) -> None:
        # A joint sample is a good trial, of whose values each is kept or redrawn. With Optuna's weight of 1 for the
        # prior a third of 40 values are redrawn, and what was good is lost; the option is announced to end with
        # Optuna 6.
        super().__init__(seed=seed, multivariate=True, constant_liar=True, prior_weight=_PRIOR)
        self._rows: dict[int, NDArray[np.float64]] = {}

    def _get_internal_repr(self, trials: list[FrozenTrial], search_space: Any, *rest: Any) -> dict[str, Any]:
        for trial in trials:
            if trial.number not in self._rows:
                places = [one.to_internal_repr(trial.params[name]) for name, one in search_space.items()]
                self._rows[trial.number] = np.array(places, dtype=float)
        found = np.array([self._rows[trial.number] for trial in trials]).reshape(len(trials), len(search_space))
        return dict(zip(search_space, found.T, strict=True))


class _Choice(CategoricalDistribution):
    """A choice that finds the place of a value in a table: TPE looks up every value of every trial each time."""

    def __init__(self, choices: Sequence[Value]) -> None:
        super().__init__(choices)
        self._places = {value: place for place, value in enumerate(choices)}

    def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
        """Returns the place of a value among the choices."""
        return self._places[param_value_in_external_repr]
