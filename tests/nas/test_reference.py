"""The learned upper reference: what it finds where there is something to learn, and nothing where there is not."""

from __future__ import annotations

import numpy as np
import pytest

from nas.judge import reference as learned
from nas.judge.reference import FOLDS, LEARNERS, REPEATS, reference

NONE = np.empty((120, 0))


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, size=(120, 6)).astype(float)


def test_it_learns_what_the_features_tell(features: np.ndarray) -> None:
    truth = (features @ [3, 1, 0.5, 0, 0, 0]).tolist()
    found = reference(truth, features, NONE)
    assert list(found) == list(LEARNERS)
    for one in found.values():
        assert one.tau > 0.8 and len(one.values) == REPEATS and one.tau == pytest.approx(np.mean(one.values))
        assert one.tau_interval[0] < one.tau < one.tau_interval[1]
        assert one.deviation == pytest.approx(np.std(one.values, ddof=1))
    assert reference(truth, features, NONE) == found  # and the same again


def test_no_truth_is_predicted_by_itself(features: np.ndarray) -> None:
    # independent of the features: a forest that had seen the truth it is asked for would be near 1
    truth = np.random.default_rng(1).normal(size=120).tolist()
    for one in reference(truth, features, NONE).values():
        assert abs(one.tau) < 0.2  # its standard error is .06


def test_views_tell_what_features_do_not(features: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=120)
    views = np.stack([truth + 0.1 * rng.normal(size=120), rng.normal(size=120)], axis=1)
    views[3, 0] = np.nan  # a failure
    for one in reference(truth.tolist(), features, views).values():
        assert one.tau > 0.6


def test_what_diverged_is_learned_as_the_lowest(features: np.ndarray) -> None:
    truth = [None if row[0] == 0 else float(row[0]) for row in features]
    for one in reference(truth, features, NONE).values():
        assert one.tau > 0.6  # 1 less the pairs tied in the truth's levels, which are a third of all


def test_every_architecture_is_held_out_once(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[bytes]] = []

    class Watched:
        def fit(self, rows: np.ndarray, target: np.ndarray) -> Watched:
            self.known = {row.tobytes() for row in rows}
            return self

        def predict(self, rows: np.ndarray) -> np.ndarray:
            held = {row.tobytes() for row in rows}
            assert not held & self.known and len(rows) == 120 // FOLDS
            asked.append(held)
            return np.arange(len(rows), dtype=float)

    distinct = features + np.arange(120)[:, None] / 1000
    monkeypatch.setattr(learned, "LEARNERS", ("ridge",))
    monkeypatch.setattr("sklearn.linear_model.RidgeCV", lambda penalties: Watched())
    reference(list(range(120)), distinct, NONE)
    assert len(asked) == FOLDS * REPEATS
    assert all(len(set().union(*asked[at : at + FOLDS])) == 120 for at in range(0, len(asked), FOLDS))


def test_a_learner_is_shown_no_more_than_so_many_labels(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(learned, "MOST", 30)
    monkeypatch.setattr(learned, "LEARNERS", ("extra trees",))
    monkeypatch.setattr("nas.search.surrogate.forest", lambda rows, target, seed: shown.append(len(rows)) or Mean())
    reference(list(range(120)), features, NONE)
    assert shown == [30] * FOLDS * REPEATS


class Mean:
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return rows.mean(axis=1)


def test_it_says_nothing_of_few_or_of_equal_truths(features: np.ndarray) -> None:
    assert reference([1.0, 2.0] * 9, features[:18], NONE[:18]) == {}
    assert reference([1.0] * 120, features, NONE) == {}
