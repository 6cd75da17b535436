"""Runs: journals, resuming after kill -9, workers, failures as data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import proxies
import spaces
from experiments.commands import search as app
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Evaluator, Scorer, _TimeOut
from nas.engine.journal import Journal
from nas.engine.trials import Evaluation
from proxies.base import Proxy, Record, Score
from spaces.rnn import Cell, named_cell, parse_cell
from spaces.rnn.probe import RNNProbe

SMALL = ["searcher.population=20", "searcher.tournament=5", "benchmark=none"]


KILLED = Path(__file__).with_name("killed.py")


def start(folder: Path, *overrides: str, kill: tuple[str, int] = ("never", 0), **env: str) -> tuple[int, str]:
    """Runs one search to its end, or to where it kills itself; returns its status and what it said."""
    what, count = kill
    command = [sys.executable, str(KILLED), what, str(count), "search", f"run.dir={folder}", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **env})
    return done.returncode, done.stderr


def finish(folder: Path, *overrides: str, **env: str) -> bytes:
    status, said = start(folder, *overrides, **env)
    assert status == 0, said
    return (folder / "table.csv").read_bytes()


def lines(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def test_killed_three_times_and_with_two_workers_the_table_is_byte_identical(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole", "budget=240", *SMALL)
    assert whole.count(b"\n") == 241
    killed = tmp_path / "killed"
    for more in (5, 85, 80):  # in the first random population, among the mutants, near the end
        before = lines(killed)
        status, _ = start(killed, "budget=240", *SMALL, kill=("line", more))
        assert status == -signal.SIGKILL and lines(killed) == before + more
        assert not (killed / "table.csv").exists()
    assert finish(killed, "budget=240", *SMALL) == whole
    assert lines(killed) == 240
    assert finish(tmp_path / "two", "budget=240", "executor.workers=2", *SMALL) == whole


GUARDED = [*SMALL, "gate=sampler", "gate.draws=60", "region=sampler", "region.draws=60", "region.share=0.9"]


def test_gate_and_region_are_those_of_the_uninterrupted_run(tmp_path: Path) -> None:
    """Killed at the first answer with one worker and among the mutants with two, which then end it."""
    whole = finish(tmp_path / "whole", "budget=90", *GUARDED)
    assert b"outside the gate: " in whole
    killed, two = tmp_path / "killed", "executor.workers=2"
    assert start(killed, "budget=90", *GUARDED, kill=("line", 1))[0] == -signal.SIGKILL
    bounds = killed / "gate.json"
    written = bounds.stat().st_ino, bounds.stat().st_mtime_ns
    assert bounds.read_bytes() == (tmp_path / "whole" / "gate.json").read_bytes()
    assert start(killed, "budget=90", two, *GUARDED, kill=("line", 50))[0] == -signal.SIGKILL
    assert finish(killed, "budget=90", two, *GUARDED) == whole
    assert written == (bounds.stat().st_ino, bounds.stat().st_mtime_ns)  # it was read, and not made again
    limits = [json.loads((f / "results.json").read_text(encoding="utf-8")) for f in (killed, tmp_path / "whole")]
    assert limits[0]["gate"] == limits[1]["gate"] and limits[0]["region"] == limits[1]["region"]
    assert finish(tmp_path / "two", "budget=90", two, *GUARDED) == whole
    assert (tmp_path / "two" / "gate.json").read_bytes() == bounds.read_bytes()


TABLE = ["benchmark=mini_rnn", "pool=benchmark", "budget=40", "verify=8", "batch=3", *SMALL[:2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_among_truths_of_a_table_nothing_is_asked_twice(tmp_path: Path, workers: int) -> None:
    more = (*TABLE, f"executor.workers={workers}")
    whole = finish(tmp_path / "whole", *more)
    killed = tmp_path / "killed"
    for count in (38, 4, 1):  # before the first truth, then twice among them
        assert start(killed, *more, kill=("line", count))[0] == -signal.SIGKILL
    assert sum(entry.get("measure") == "truth" for entry in entries(killed)) == 3
    assert finish(killed, *more) == whole
    assert queries(killed) == queries(tmp_path / "whole") and len(queries(killed)) == 8
    asked = [(entry["key"], entry.get("measure")) for entry in entries(killed)]
    assert len(set(asked)) == len(asked) == 48


def queries(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["queries"]


TRAINED = [
    "benchmark=mini_rnn",
    "truth=train",
    "verify=4",
    "budget=12",
    "searcher=random",
    "seed=3",
    "probe.rnn.steps=8",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, Any]:
    """A tiny table, and the uninterrupted search on it: folder, table.csv, queries."""
    folder = tmp_path_factory.mktemp("tiny")
    whole = finish(folder / "whole", *TRAINED, f"run.root={folder / 'whole'}", ZERONAS_TINY=str(folder / "tables"))
    assert len(queries(folder / "whole")) == 4 and len(stored(folder / "whole")) == 3  # the table holds one of them
    return str(folder / "tables"), whole, queries(folder / "whole")


def stored(root: Path) -> list[str]:
    """Keys of the trainings under a folder of runs."""
    (store,) = (root / "trained").glob("*.jsonl")
    return [json.loads(line)["key"] for line in store.read_bytes().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "kills",
    [(("line", 14),), (("line", 15), ("line", 2)), (("update", 5),)],
    ids=["trained, not yet in the journal", "between two trainings, twice", "in the middle of a training"],
)
def test_killed_while_training_nothing_is_trained_twice(
    tmp_path: Path, tiny: tuple[str, bytes, Any], kills: tuple[tuple[str, int], ...], workers: int
) -> None:
    if kills[0][0] == "update" and workers == 2:
        kills = (("line", 13),)  # the updates are another process's: killed when both have begun
    table, whole, asked = tiny
    more = (*TRAINED, f"executor.workers={workers}", f"run.root={tmp_path}")
    killed = tmp_path / "killed"
    for kill in kills:
        assert start(killed, *more, kill=kill, ZERONAS_TINY=table)[0] == -signal.SIGKILL
    assert finish(killed, *more, ZERONAS_TINY=table) == whole
    assert queries(killed) == asked
    assert len(set(stored(tmp_path))) == len(stored(tmp_path)) == 3
    truths = [entry["key"] for entry in entries(killed) if entry.get("measure") == "truth"]
    assert sorted(truths) == sorted(query["key"] for query in asked)


#: what two runs of one search have in common, however often they were killed
ANSWERS = ("found", "queries", "queries_used", "truths", "regret", "agreement", "selection", "evaluations", "failures")


def answers(folder: Path) -> dict[str, Any]:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {name: results[name] for name in ANSWERS}


def trials(folder: Path) -> list[tuple[Any, ...]]:
    """What is in a run's journal, sorted."""
    return sorted((e["key"], e.get("measure", ""), e.get("fidelity", 0.0)) for e in entries(folder))


LOOKED_UP = [
    *("benchmark=mini_rnn", "pool=benchmark", "budget=40", "batch=5", "queries=4", "probe.rnn.steps=8"),
    *("searcher=bayes", "searcher.start=3", "searcher.spread=3", "searcher.together=2", "searcher.fidelity=0.125"),
    *("verify=4", "rungs=[0.375,1]", "eta=2"),
]


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted search: 40 scores, 14 truths at an eighth, 4 at three eighths, 2 to the end."""
    folder = tmp_path_factory.mktemp("looked_up")
    finish(folder, *LOOKED_UP)
    assert answers(folder)["truths"]["shares"] == {"0.125": 14, "0.375": 4, "1": 2} and lines(folder) == 60
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_among_a_surrogates_queries_and_in_the_funnel_of_a_table(
    tmp_path: Path, looked_up: Path, workers: int
) -> None:
    more = (*LOOKED_UP, f"executor.workers={workers}")
    for count in (51, 6):  # in the middle of a round of the surrogate's; among the finalists
        assert start(tmp_path, *more, kill=("line", count))[0] == -signal.SIGKILL
    truths = [fidelity for _, measure, fidelity in trials(tmp_path) if measure == "truth"]
    assert sorted(truths) == [0.125] * 14 + [0.375] * 3
    assert finish(tmp_path, *more) == (looked_up / "table.csv").read_bytes()
    assert answers(tmp_path) == answers(looked_up)
    assert trials(tmp_path) == trials(looked_up) and len(set(trials(tmp_path))) == 60  # and nothing twice


FUNNELLED = [
    *("benchmark=mini_rnn", "truth=train", "budget=30", "queries=3", "seed=3", "probe.rnn.steps=8"),
    *("searcher=bayes", "searcher.drawn=8", "searcher.start=1", "searcher.spread=1", "searcher.children=2"),
    *("searcher.together=2", "searcher.fidelity=0.25", "verify=2", "rungs=[0.5,1]", "eta=2"),
]


@pytest.fixture(scope="module")
def funnelled(tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, bytes, Any]) -> tuple[Path, int]:
    """The uninterrupted search on the tiny table: its root, and the updates that it took.

    8 truths at a quarter (4 updates), of which the table holds one; 2 at a half; 1 to the end.
    """
    root = tmp_path_factory.mktemp("funnelled")
    finish(root / "run", *FUNNELLED, f"run.root={root}", ZERONAS_TINY=tiny[0], ZERONAS_UPDATES=str(root / "updates"))
    assert answers(root / "run")["truths"]["shares"] == {"0.25": 8, "0.5": 2, "1": 1}
    assert len(trainings(root)) == 7 + 2 + 1
    return root, (root / "updates").stat().st_size


def trainings(root: Path) -> list[tuple[str, int]]:
    """What was trained under a folder of runs, and up to how many updates (0: to the end), sorted."""
    (store,) = (root / "trained").glob("*.jsonl")
    records = [json.loads(line) for line in store.read_bytes().splitlines()]
    return sorted((record["key"], record.get("updates", 0)) for record in records)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_among_a_surrogates_trainings_and_in_the_funnel(
    tmp_path: Path, tiny: tuple[str, bytes, Any], funnelled: tuple[Path, int], workers: int
) -> None:
    """Trained but not yet in the run's journal: in the second round of queries, and in the funnel's first rung.

    With one worker also when two updates of the last training are done: it goes on from its checkpoint at a half.
    """
    root, updates = funnelled
    more = (*FUNNELLED, f"executor.workers={workers}", f"run.root={tmp_path}")
    env = {"ZERONAS_TINY": tiny[0], "ZERONAS_UPDATES": str(tmp_path / "updates")}
    killed, lost = tmp_path / "run", 0
    for count in (16, 16 if workers == 1 else 4):
        assert start(killed, *more, kill=("line", count), **env)[0] == -signal.SIGKILL
        made, known = len(trainings(tmp_path)), sum(e.get("measure") == "truth" for e in entries(killed))
        # the table knows one of them; two workers write their trainings themselves, so the kill falls elsewhere
        assert workers == 2 or made == known
    if workers == 1:
        assert [reached for _, reached in trainings(tmp_path)].count(8) == 1  # of the funnel's first rung
        assert start(killed, *more, kill=("update", 4 + 3), **env)[0] == -signal.SIGKILL
        lost = 2
    assert finish(killed, *more, **env) == (root / "run" / "table.csv").read_bytes()
    assert answers(killed) == answers(root / "run")
    assert trials(killed) == trials(root / "run") and len(set(trials(killed))) == len(trials(killed))
    assert trainings(tmp_path) == trainings(root) and len(set(trainings(tmp_path))) == 10
    if workers == 1:  # with two, what another process was at when this one was killed is lost, too
        assert (tmp_path / "updates").stat().st_size == updates + lost


def test_a_longer_budget_continues_the_same_run(tmp_path: Path, composed: Any) -> None:
    def run(folder: str, budget: int) -> bytes:
        app.run(composed("search", f"run.dir={tmp_path / folder}", f"budget={budget}", *SMALL))
        return (tmp_path / folder / "table.csv").read_bytes()

    run("a", 40)
    written = (tmp_path / "a" / "journal.jsonl").read_bytes()
    assert run("a", 75) == run("b", 75)
    assert (tmp_path / "a" / "journal.jsonl").read_bytes().startswith(written)


def test_fresh_starts_over_and_another_run_is_refused(tmp_path: Path, composed: Any) -> None:
    settings = [f"run.dir={tmp_path / 'a'}", "budget=10", *SMALL]
    app.run(composed("search", *settings))
    with pytest.raises(ZeronasError, match=r"holds another run \(seed was 0 there, is 1 now\); .*fresh=true"):
        app.run(composed("search", *settings, "seed=1"))
    app.run(composed("search", *settings, "seed=1", "fresh=true"))
    assert json.loads((tmp_path / "a" / "identity.json").read_text())["seed"] == 1
    assert lines(tmp_path / "a") == 10


def test_a_time_out_is_tried_again_when_the_limit_is_another(
    tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [f"run.dir={tmp_path / 'a'}", "budget=4", *SMALL]
    monkeypatch.setattr("nas.engine.evaluate._limit", _never)
    assert app.run(composed("search", *settings))["failures"] == {"time-out": 4}
    monkeypatch.undo()
    assert app.run(composed("search", *settings))["failures"] == {}


@contextmanager
def _never(seconds: float | None) -> Iterator[None]:
    raise _TimeOut
    yield


def test_a_missing_table_is_found_before_anything_is_computed(tmp_path: Path, composed: Any) -> None:
    with pytest.raises(ZeronasError, match="does not exist"):
        app.run(composed("search", f"run.dir={tmp_path / 'a'}", "budget=4", "data_dir=/no/such"))
    assert not (tmp_path / "a").exists()


def test_an_earlier_answer_does_not_stand_for_a_run_that_goes_on(tmp_path: Path, composed: Any) -> None:
    app.run(composed("search", f"run.dir={tmp_path}", "budget=4", *SMALL))
    identity = json.loads((tmp_path / "identity.json").read_text())
    assert (tmp_path / "results.json").exists()
    with Journal(tmp_path, identity):
        assert not (tmp_path / "results.json").exists()


def evaluation(key: str) -> Evaluation:
    return Evaluation(key, {"p": Score(0.1 + 0.2), "q": Score(None, "constant units")}, 0.5, {"pass": 0.25})


def test_a_journal_returns_what_it_was_given_exactly(tmp_path: Path) -> None:
    cell = named_cell("GRU")
    with Journal(tmp_path, {"a": 1}) as journal:
        journal.add(evaluation(cell.key), cell)
    with Journal(tmp_path, {"a": 1}) as journal:
        assert journal.known == {(cell.key, "proxies", 1.0): evaluation(cell.key)}


def test_a_torn_last_line_is_forgotten_and_a_damaged_one_named(tmp_path: Path) -> None:
    cell = named_cell("GRU")
    with Journal(tmp_path, {}) as journal:
        journal.add(evaluation(cell.key), cell)
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with Journal(tmp_path, {}) as journal:
        assert [key for key, *_ in journal.known] == [cell.key]
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"scores"', b'"scares"') + whole)
    path.write_bytes(whole + b"\xff\xfe\n")
    with pytest.raises(ZeronasError, match=r"^Line 2 of '.*journal.jsonl' is damaged: "):
        Journal(tmp_path, {})
    path.write_bytes(whole.replace(b'"scores"', b'"scares"') + whole)
    with pytest.raises(ZeronasError, match=r"^Line 1 of '.*journal.jsonl' is damaged: .*fresh=true to start over\.$"):
        Journal(tmp_path, {})


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, {}),
        pytest.raises(ZeronasError, match="Another process is writing to the run folder"),
    ):
        Journal(tmp_path, {})


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ZeronasError, match=r"cannot be written \(Not a directory\); choose another with run.dir=FOLDER"
    ):
        Journal(tmp_path / "file" / "run", {})


#: its hidden state is a product of an exploding sum: it overflows to infinity, then NaN, within the micro probe's steps
EXPLODING = {
    "a": {"op": "linear", "input": ["x", "h_prev_0"]},
    "b": {"op": "elementwise_sum", "input": ["a", "h_prev_0"]},
    "c": {"op": "elementwise_prod", "input": ["a", "b"]},
    "d": {"op": "elementwise_prod", "input": ["b", "c"]},
    "e": {"op": "elementwise_prod", "input": ["d", "c"]},
    "f": {"op": "elementwise_prod", "input": ["e", "d"]},
    "h_new_0": {"op": "elementwise_prod", "input": ["f", "e"]},
}


def test_overflow_and_constant_units_are_failures_with_their_reason() -> None:
    # Small weights would let the products vanish instead: a positive feedback through the sum makes them explode.
    class Big(RNNProbe):
        @staticmethod
        def _bound(hidden: int) -> float:
            return 40 * RNNProbe._bound(hidden)

    space = spaces.get("rnn")
    hidden = {"hidden_covariance": proxies.get("hidden_covariance"), "random": proxies.get("random")}
    scorer = Scorer(space, Big(embedding=8, hidden=(4,), batch=4, steps=40), hidden, 0)
    found = scorer(parse_cell(EXPLODING))
    assert found.scores["hidden_covariance"] == Score(None, "hidden states are not finite")
    assert found.scores["random"].value is not None
    # leaky ReLU of a product that underflows: the unit stays exactly zero
    scorer = Scorer(space, RNNProbe(embedding=2, hidden=(2,), batch=2, steps=2), hidden, 0)
    zero = parse_cell(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "h_new_0": {"op": "elementwise_prod", "input": ["a", "h_prev_0"]},
        }
    )
    assert scorer(zero).scores["hidden_covariance"] == Score(None, "constant units")


def test_failures_are_counted_and_ranked_last(tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Moody(Proxy):
        name = "random"
        title = source = "test"
        needs = frozenset()

        def __call__(self, record: Record) -> float:
            return float("nan") if int(record.key[-1], 16) % 2 else -1000.0

    monkeypatch.setitem(proxies.PROXIES._items, "random", {"": Moody})
    results = app.run(composed("search", f"run.dir={tmp_path / 'a'}", "budget=60", "proxy=random", *SMALL))
    failed = results["failures"]["the score is NaN"]
    assert 0 < failed < 60
    assert results["found"]["scores"]["random"] == -1000.0
    table = (tmp_path / "a" / "table.csv").read_text()
    assert table.count("random: the score is NaN") == failed
    assert f"failures: {failed} the score is NaN" in (tmp_path / "a" / "summary.md").read_text()


class Slow(Proxy):
    """Takes longer than it may where the cell is the vanilla RNN: the alarm that is set rings at once."""

    name = "slow"
    title = source = "test"
    needs = frozenset()

    def __call__(self, record: Record) -> float:
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600
        if record.key == named_cell("RNN").key:
            signal.raise_signal(signal.SIGALRM)
        return 1.0


def test_a_time_out_is_a_failure_and_the_next_is_scored() -> None:
    scorer = Scorer(spaces.get("rnn"), RNNProbe(), {"slow": Slow()}, 0, timeout=3600)
    first, second = Evaluator(scorer).map([named_cell("RNN"), named_cell("GRU")])
    assert first.scores["slow"] == Score(None, "time-out")
    assert second.scores["slow"] == Score(1.0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


class Endless(Proxy):
    """Never ends of itself."""

    name = "endless"
    title = source = "test"
    needs = frozenset()

    def __call__(self, record: Record) -> float:
        while True:
            signal.pause()


def test_what_never_ends_is_stopped_by_the_clock() -> None:
    scorer = Scorer(spaces.get("rnn"), RNNProbe(), {"endless": Endless()}, 0, timeout=0.01)
    assert scorer(named_cell("GRU")).scores["endless"] == Score(None, "time-out")


class Deadly(Proxy):
    """Kills its process on the vanilla RNN so many times."""

    name = "deadly"
    title = source = "test"
    needs = frozenset()

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = folder, times

    def __call__(self, record: Record) -> float:
        if record.key == named_cell("RNN").key and len(list(self.folder.iterdir())) < self.times:
            (self.folder / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0


@pytest.mark.parametrize(("times", "score"), [(1, Score(1.0)), (9, Score(None, "worker died"))])
def test_a_worker_that_dies_loses_nothing_but_what_kills(tmp_path: Path, times: int, score: Score) -> None:
    scorer = Scorer(spaces.get("rnn"), RNNProbe(), {"deadly": Deadly(tmp_path, times)}, 0)
    with Evaluator(scorer, 2) as evaluator:
        cells = [named_cell(name) for name in ("GRU", "RNN", "LSTM")]
        found = [evaluation.scores["deadly"] for evaluation in evaluator.map(cells)]
    assert found == [Score(1.0), score, Score(1.0)]
    assert len(list(tmp_path.iterdir())) == min(times, 2)


def test_two_workers_score_as_one_does() -> None:
    space = spaces.get("rnn")
    cells: list[Cell] = [space.sample(seeds.generator(0, i)) for i in range(20)]
    scorer = Scorer(space, RNNProbe(), {"h": proxies.get("hidden_covariance")}, 0)
    with Evaluator(scorer, 2) as two:
        assert [e.scores for e in two.map(cells)] == [e.scores for e in Evaluator(scorer).map(cells)]


class Unsolvable(Proxy):
    """Its eigenvalue solver does not converge."""

    name = "unsolvable"
    title = source = "test"
    needs = frozenset({"forward"})
    layers = 1

    def __call__(self, record: Record) -> float:
        raise RuntimeError("linalg.eigh: the algorithm failed to converge")


def test_a_proxy_that_fails_does_not_void_what_stands_beside_it() -> None:
    alone = {"h": proxies.get("hidden_covariance"), "parameters": proxies.get("parameters")}
    space, cell = spaces.get("rnn"), named_cell("GRU")
    beside = Scorer(space, RNNProbe(), {"u": Unsolvable(), **alone}, 0)(cell).scores
    assert beside["u"] == Score(None, "no convergence")
    assert {label: beside[label] for label in alone} == Scorer(space, RNNProbe(), alone, 0)(cell).scores


def test_scoring_leaves_the_callers_threads_alone() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen: list[int] = []

        class Threads(Slow):
            needs = frozenset({"forward"})

            def __call__(self, record: Record) -> float:
                seen.append(torch.get_num_threads())
                return 1.0

        with Evaluator(Scorer(spaces.get("rnn"), RNNProbe(), {"t": Threads()}, 0)) as evaluator:
            list(evaluator.map([named_cell("GRU")]))
        assert seen == [1] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_time_limit_that_cannot_be_kept_is_told() -> None:
    import threading

    scorer = Scorer(spaces.get("rnn"), RNNProbe(), {"slow": Slow()}, 0, timeout=1.0)
    told: list[str] = []

    def elsewhere() -> None:
        try:
            Evaluator(scorer)
        except ZeronasError as error:
            told.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert told == ["executor.timeout works in the main thread only; score there, or set it to null."]


def test_a_lost_identity_does_not_show_another_runs_scores(tmp_path: Path) -> None:
    cell = named_cell("GRU")
    with Journal(tmp_path, {"steps": 12}) as journal:
        journal.add(evaluation(cell.key), cell)
    (tmp_path / "identity.json").unlink()
    with pytest.raises(ZeronasError, match=r"^Line 1 of '.*journal.jsonl' is of another run than this one"):
        Journal(tmp_path, {"steps": 20})
    (tmp_path / "identity.json").unlink()
    with Journal(tmp_path, {"steps": 12}) as journal:  # of this run, it goes on
        assert len(journal.known) == 1


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    settings = ["budget=60", *SMALL]
    command = [sys.executable, "-m", "experiments.cli", "search", f"run.dir={tmp_path / 'a'}", *settings]
    limited = f"trap '' XFSZ; ulimit -f 4; exec {' '.join(command)}"  # 4 KiB a file
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    said = [
        line for line in done.stderr.splitlines() if "architectures" not in line
    ]  # how far it was, on a busy machine
    assert len(said) == 1 and "journal.jsonl' cannot be written (File too large); what it holds is kept." in said[0]
    assert 0 < lines(tmp_path / "a") < 60 and (tmp_path / "a" / "journal.jsonl").read_bytes().endswith(b"\n")
    assert finish(tmp_path / "a", *settings) == finish(tmp_path / "b", *settings)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"0.5"', "[1]", "{}", "1" * 400])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_score_that_is_no_number_is_a_damaged_line(tmp_path: Path, value: str, sealed: bool) -> None:
    cell = named_cell("GRU")
    with Journal(tmp_path, {}) as journal:
        journal.add(Evaluation(cell.key, {"p": Score(0.25)}, 0.5), cell)
    path = tmp_path / "journal.jsonl"
    line = path.read_bytes().replace(b"0.25", value.encode())
    if not sealed:  # as an earlier version wrote it
        line = line[: line.rindex(b',"crc"')] + b"}\n"
    path.write_bytes(line)
    with pytest.raises(ZeronasError, match=r"^Line 1 of .* is damaged"):
        Journal(tmp_path, {})


def test_an_answer_is_not_taken_for_that_of_another_architecture(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal, pytest.raises(AssertionError):
        journal.add(evaluation(named_cell("GRU").key), named_cell("LSTM"))
