"""Optuna's samplers on codes: what they see of the history, what they are told, several objectives, and as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import spaces
from experiments.commands import export_study
from experiments.commands import search as search_command
from experiments.paper.runs import composed
from nas import search
from nas.core.errors import ZeronasError
from nas.engine.pools import BenchmarkPool, SpacePool
from nas.engine.trials import PROXIES, Result, Trial
from nas.search import memory
from nas.search.memory import Memory, dominating
from nas.search.study import FixedStudy, JointTPE
from proxies.base import Score

PARAMETERS: dict[str, tuple[Any, ...]] = {"one": (7,), **{f"p{i}": ("a", 2, 0.5, "b") for i in range(6)}}


def worth(code: dict[str, Any]) -> float:
    return float(sum(value == "b" for value in code.values()))


def asked(study: FixedStudy, count: int, waiting: int = 1) -> list[dict[str, Any]]:
    """What a study asks, told in batches; the last of each batch of four is a failure."""
    codes: list[dict[str, Any]] = []
    for _ in range(0, count, waiting):
        trials = []
        for _ in range(waiting):
            trial, code = study.ask(drawn=True)
            assert code is not None
            study.begin(trial, code)
            trials.append((trial, code))
        for trial, code in trials:
            codes.append(code)
            study.tell(trial, None if len(codes) % 4 == 0 else [worth(code)])
    return codes


# What a sampler sees


def test_how_many_dominate_each() -> None:
    assert list(dominating(np.array([[1.0], [3.0], [2.0], [3.0]]))) == [3, 0, 2, 0]
    points = np.array([[1.0, 1.0], [2.0, 0.0], [2.0, 2.0], [2.0, 2.0], [0.0, 3.0]])
    assert list(dominating(points)) == [2, 2, 0, 0, 0]


def test_tpe_sees_the_best_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten trials, of which TPE may see four and the two best of them: the best are those of 9 and 8."""
    monkeypatch.setattr(memory, "SEEN", 8)
    monkeypatch.setattr(memory, "BEST", 2)
    study = Memory(["maximize"])
    for value in (9.0, 0.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0):
        study.set_trial_state_values(study.create_new_trial(0), TrialState.COMPLETE, [value])
        study.see_best_and_latest()
    study.create_new_trial(0)
    seen = study.get_all_trials(0)
    assert [trial.number for trial in seen] == [0, 2, 4, 5, 6, 7, 8, 9, 10]  # at ten the two worst were the oldest
    assert len(study.trials) == 11
    minimised = Memory(["minimize"])
    for value in range(10):
        minimised.set_trial_state_values(minimised.create_new_trial(0), TrialState.COMPLETE, [float(value)])
    minimised.see_best_and_latest()
    assert [trial.number for trial in minimised.get_all_trials(0)] == [0, 1, 4, 5, 6, 7, 8, 9]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", [optuna.samplers.NSGAIISampler, optuna.samplers.NSGAIIISampler])
def test_a_genetic_algorithm_misses_nothing_that_it_does_not_see(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty generations of six: it asks as one that sees all trials, and sees fewer."""
    study = FixedStudy(kind(seed=1, population_size=6), PARAMETERS, ["maximize"])
    found = asked(study, 160, waiting=4)
    assert len(study._memory.get_all_trials(0)) < 40 and len(study.trials) == 160
    monkeypatch.setattr(Memory, "see_generations", lambda self, trial, generation: None)
    assert asked(FixedStudy(kind(seed=1, population_size=6), PARAMETERS, ["maximize"]), 160, waiting=4) == found


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_joint_tpe_is_optunas() -> None:
    """What it keeps of each trial changes no proposal: those of Optuna's with the same options are the same."""
    ours = asked(FixedStudy(JointTPE(3), PARAMETERS, ["maximize"]), 60, waiting=3)
    theirs = optuna.samplers.TPESampler(seed=3, multivariate=True, constant_liar=True, prior_weight=0.03)
    assert asked(FixedStudy(theirs, PARAMETERS, ["maximize"]), 60, waiting=3) == ours
    assert np.mean([worth(code) for code in ours[40:]]) > np.mean([worth(code) for code in ours[:10]])


# The searcher


def test_a_sampler_is_told_the_code_of_what_was_evaluated() -> None:
    space = spaces.get("bert")
    rng = np.random.default_rng(0)
    members = [space.sample(rng) for _ in range(60)]
    searcher: Any = search.get("optuna", BenchmarkPool(space, members), 0)
    found = []
    for _ in range(30):
        (trial,) = searcher.ask(1, {PROXIES: 1})
        found.append(trial.architecture)
        searcher.tell([Result.of(trial.architecture, float(len(found)))])
    assert [space.decode(trial.params) for trial in searcher.study.trials] == found
    assert [trial.value for trial in searcher.study.trials] == [float(i) for i in range(1, 31)]


def of(architecture: Any, **scores: float | None) -> Result:
    return Result(Trial(architecture), {n: Score(v, "" if v is not None else "failed") for n, v in scores.items()})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3"])
def test_the_front_is_what_none_dominates(sampler: str) -> None:
    """Accuracy is better the higher, parameters the lower; what failed is on no front."""
    space = spaces.get("bert")
    searcher: Any = search.get("optuna", SpacePool(space), 0, sampler=sampler, objectives=["accuracy", "parameters"])
    searcher.prepare(["accuracy", "parameters", "flops"])
    assert searcher.front() == [] and searcher.notes() == {"objectives": {"accuracy": "higher", "parameters": "lower"}}
    scores: list[tuple[float | None, float]] = [(3, 9), (2, 5), (3, 8), (1, 5), (None, 1), (0, 4)]
    told = []
    for accuracy, parameters in scores:
        (trial,) = searcher.ask(1, {PROXIES: 1})
        told.append(of(trial.architecture, accuracy=accuracy, parameters=parameters))
        searcher.tell(told[-1:])
    assert searcher.front() == [told[1], told[2], told[5]]
    states = [trial.state for trial in searcher.study.trials]
    assert states.count(TrialState.FAIL) == 1 and states[4] == TrialState.FAIL
    for _ in range(60):  # it goes on past its first generation
        (trial,) = searcher.ask(1, {PROXIES: 1})
        searcher.tell([of(trial.architecture, accuracy=0.0, parameters=9.0)])
    assert len(searcher.front()) == 3


def test_one_objective_has_no_front() -> None:
    pool = SpacePool(spaces.get("bert"))
    assert search.get("optuna", pool, 0).front() is None
    assert search.get("optuna", pool, 0, objectives=["parameters"]).front() is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objectives": []}, "needs objectives to be a list of one or more, each a word or null, but got []."),
        ({"objectives": ["a", "a"]}, "has the objective 'a' twice; name each once."),
        ({"objectives": ["ab"], "minimise": ["a"]}, "is to minimise 'a', which is no objective. Did you mean 'ab'?"),
        ({"minimise": ["a"]}, "is to minimise objectives, but none are named; name objectives, too."),
        ({"of": "truth", "objectives": ["a"]}, "has of=truth, whose one objective is the truth, but objectives or"),
        ({"fidelity": 0.5}, "has fidelity=0.5, which concerns truths, but it searches by a proxy"),
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ZeronasError) as error:
        search.get("optuna", SpacePool(spaces.get("bert")), 0, **options)
    assert str(error.value).startswith(f"Searcher 'optuna' {words}")


def test_an_objective_that_is_no_proxy_of_the_run_is_one_sentence() -> None:
    searcher = search.get("optuna", SpacePool(spaces.get("bert")), 0, objectives=["synflow", "flop"])
    with pytest.raises(ZeronasError, match=r"^Searcher 'optuna' has the objective 'flop', which is no proxy of this "):
        searcher.prepare(["synflow", "flops"])


# As a file for optuna-dashboard


_SMALL = ["probe.rnn.hidden=[4]", "probe.rnn.embedding=4", "probe.rnn.batch=2", "probe.rnn.steps=2", "space=rnn"]


def made(folder: Path, *overrides: str) -> Path:
    search_command.run(composed("search", *_SMALL, f"run.dir={folder}", *overrides))
    return folder


def exported(*folders: Path, **settings: Any) -> dict[str, int]:
    return export_study.run({**composed("export_study"), "runs": [str(folder) for folder in folders], **settings})


def loaded(file: Path, name: str) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(file))
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))


@pytest.fixture(scope="module")
def random_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("runs") / "one", "searcher=random", "benchmark=none", "budget=6")


def test_finished_searches_are_studies(random_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of any searcher, with one objective, with several, and of truths; with every trial's scores and its code."""
    one = random_search
    two = made(
        tmp_path / "two",
        *("searcher=optuna", "searcher.objectives=[hidden_covariance,parameters]", "benchmark=none", "budget=4"),
        "proxy=[hidden_covariance,parameters]",
    )
    truth = made(
        tmp_path / "truth",
        *("searcher=optuna", "searcher.sampler=gp", "searcher.of=truth", "benchmark=mini_rnn", "pool=benchmark"),
        *("queries=3", "budget=1"),
    )
    table = (one / "table.csv").read_text().splitlines()
    broken = table[2].split(",", 4)  # a failure as a search writes it
    table[2] = ",".join([broken[0], broken[1], "", "hidden_covariance: not finite", broken[4]])
    (one / "table.csv").write_text("\n".join(table) + "\n")

    file = tmp_path / "all.log"
    assert exported(one, two, truth, file=str(file)) == {"one": 6, "two": 4, "truth": 3}
    assert capsys.readouterr().out.endswith(f"file: {file} (open it with: optuna-dashboard {file})\n")

    study = loaded(file, "one")
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert study.trials[1].user_attrs["reason"] == "hidden_covariance: not finite"
    space, found = spaces.get("rnn"), json.loads((one / "results.json").read_text())["found"]
    for trial in study.trials:
        assert space.decode(trial.params) == space.parse(trial.user_attrs["architecture"])
        assert space.decode(trial.params).key == trial.user_attrs["key"]  # type: ignore[union-attr]
    assert found["scores"]["hidden_covariance"] == max(t.value for t in study.trials if t.value is not None)

    both = loaded(file, "two")
    assert [direction.name for direction in both.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert both.metric_names == ["hidden_covariance", "parameters"]
    front = json.loads((two / "results.json").read_text())["pareto"]
    assert {trial.user_attrs["key"] for trial in both.best_trials} == {row["key"] for row in front["members"]}

    asked_for = json.loads((truth / "results.json").read_text())["queries"]
    of_truth = loaded(file, "truth")
    assert of_truth.direction == optuna.study.StudyDirection.MINIMIZE
    assert [trial.value for trial in of_truth.trials] == [query["value"] for query in asked_for]


def test_features_may_be_the_parameters(random_search: Path) -> None:
    run = random_search
    assert exported(run, parameters="features") == {"one": 6}
    space = spaces.get("rnn")
    for trial in loaded(run / "study.log", "one").trials:
        assert trial.params == space.describe(space.parse(trial.user_attrs["architecture"]))
    with pytest.raises(ZeronasError) as error:
        exported(run)
    assert str(error.value) == (
        f"'{run}/study.log' is there already; use fresh=true to write it anew, or file=FILE for another."
    )
    assert exported(run, fresh=True) == {"one": 6}
