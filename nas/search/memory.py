"""The trials of an Optuna study: kept as they are, and shown to a sampler as far as it makes use of them.

TPE's cost grows with every trial that it sees, though it models the best few against the rest: it is shown the best and
the latest. A genetic algorithm makes use of its last two generations and of the parents of those.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

__all__ = ["BEST", "SEEN", "Memory", "dominating"]

#: complete trials that TPE sees, and how many of them are the best, not the latest
SEEN, BEST = 100, 50


def dominating(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns how many rows of (n, m) values, all to be maximised, dominate each; of one objective: are larger."""
    if values.shape[1] == 1:
        return np.searchsorted(np.sort(-values[:, 0]), -values[:, 0])
    no_worse = (values[:, None] >= values[None]).all(axis=2)
    better = (values[:, None] > values[None]).any(axis=2)
    return np.asarray((no_worse & better).sum(axis=0))


class Memory(BaseStorage):
    """The storage of one study, which hands trials out uncopied.

    Args:
        directions: "maximize" or "minimize", for each objective.

    Attributes:
        trials: number -> trial, of all.
    """

    NAME = "search"

    def __init__(self, directions: Sequence[str]) -> None:
        self._directions = [StudyDirection[direction.upper()] for direction in directions]
        self._signs = np.array([1.0 if one == StudyDirection.MAXIMIZE else -1.0 for one in self._directions])
        self._attributes: dict[str, Any] = {}
        self._parents: list[list[int]] = []  # of the last two generations
        self._generations: dict[int, int] = {}
        self._next = 0
        self.trials: dict[int, FrozenTrial] = {}
        self._seen: dict[int, FrozenTrial] = {}

    def see_best_and_latest(self) -> None:
        """Hides trials from the sampler when it sees a quarter more than ``SEEN``; those that run are always seen."""
        complete = [trial for trial in self._seen.values() if trial.state == TrialState.COMPLETE]
        if len(complete) < SEEN + SEEN // 4:
            return
        above = dominating(np.array([trial.values for trial in complete]) * self._signs)
        best = sorted(range(len(complete)), key=lambda i: (above[i], -complete[i].number))[:BEST]
        kept = {complete[i].number for i in best}
        latest = [trial.number for trial in complete if trial.number not in kept][BEST - SEEN :]
        kept.update(latest)
        self._seen = {n: t for n, t in self._seen.items() if n in kept or not t.state.is_finished()}

    def see_generations(self, trial: FrozenTrial, generation: int) -> None:
        """Hears of which generation a trial is; when it is the first of it, hides what is older than the one before."""
        first = generation > max(self._generations.values(), default=generation)
        self._generations[trial.number] = generation
        if first:
            kept = {number for parents in self._parents for number in parents}
            self._seen = {n: t for n, t in self._seen.items() if n in kept or self._generations[n] >= generation - 1}

    def drop(self, trial: FrozenTrial) -> None:
        """Forgets a trial."""
        del self.trials[trial.number]
        self._seen.pop(trial.number, None)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Returns the trials that the sampler sees, in order."""
        return [trial for trial in self._seen.values() if states is None or trial.state in states]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Returns the number of a new trial, which is its id, too."""
        number, self._next = self._next, self._next + 1
        trial = FrozenTrial(number, TrialState.RUNNING, None, None, None, {}, {}, {}, {}, {}, number)
        self.trials[number] = self._seen[number] = trial
        return number

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Ends a trial."""
        trial = self.trials[trial_id]
        trial.state = state
        if values is not None:
            trial.values = list(values)
        return True

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Returns a trial, whether or not the sampler sees it."""
        return self.trials[trial_id]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keeps what the sampler notes of a trial."""
        trial = self.trials[trial_id]
        trial.system_attrs = {**trial.system_attrs, key: value}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Keeps what the sampler notes of the study: a genetic algorithm the parents of each generation."""
        self._attributes[key] = value
        if isinstance(value, list):
            self._parents = [*self._parents[-1:], value]

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Returns the notes."""
        return self._attributes

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Returns the directions."""
        return self._directions

    def get_study_id_from_name(self, study_name: str) -> int:
        """Returns 0: there is one study."""
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        """Returns its name."""
        return self.NAME

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Returns none."""
        return {}

    # What no sampler asks for.

    def _none(self) -> NoReturn:
        raise NotImplementedError("This storage holds the one study of a search.")

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Not there."""
        self._none()

    def delete_study(self, study_id: int) -> None:
        """Not there."""
        self._none()

    def get_all_studies(self) -> NoReturn:
        """Not there."""
        self._none()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Not there."""
        self._none()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Not there."""
        self._none()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Not there."""
        self._none()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Not there."""
        self._none()
