"""Runs: journals, resuming after kill -9, workers, failures as data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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
from nas.engine.evaluate import Evaluation, Evaluator, Task, _TimeOut
from nas.engine.journal import Journal
from proxies.base import Proxy, Record, Score
from spaces.rnn import Cell, named_cell, parse_cell
from spaces.rnn.probe import RNNProbe

SMALL = ["searcher.population=20", "searcher.tournament=5", "benchmark=none"]


def start(folder: Path, *overrides: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "experiments.cli", "search", f"run.dir={folder}", *SMALL, *overrides]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder: Path, *overrides: str) -> bytes:
    process = start(folder, *overrides)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    return (folder / "table.csv").read_bytes()


def lines(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_three_times_and_with_two_workers_the_table_is_byte_identical(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole", "budget=240")
    assert whole.count(b"\n") == 241
    killed = tmp_path / "killed"
    for moment in (5, 90, 170):  # in the first random population, among the mutants, near the end
        process = start(killed, "budget=240")
        deadline = time.monotonic() + 60
        while lines(killed) < moment and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the search ended before it could be killed"
        assert moment <= lines(killed) < 240
        assert not (killed / "table.csv").exists()
    before = lines(killed)
    assert finish(killed, "budget=240") == whole
    assert lines(killed) == 240 > before
    assert finish(tmp_path / "two", "budget=240", "executor.workers=2") == whole


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
        assert journal.known == {cell.key: evaluation(cell.key)}


def test_a_torn_last_line_is_forgotten_and_a_damaged_one_named(tmp_path: Path) -> None:
    cell = named_cell("GRU")
    with Journal(tmp_path, {}) as journal:
        journal.add(evaluation(cell.key), cell)
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with Journal(tmp_path, {}) as journal:
        assert list(journal.known) == [cell.key]
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
        def _derived(self, *arguments: Any) -> Any:
            table, weights = super()._derived(*arguments)
            return table, [({r: 40 * w for r, w in fused.items()}, 40 * bias) for fused, bias in weights]

    space = spaces.get("rnn")
    hidden = {"hidden_covariance": proxies.get("hidden_covariance"), "random": proxies.get("random")}
    task = Task(space, Big(embedding=8, hidden=(4,), batch=4, steps=40), hidden, 0)
    found = task(parse_cell(EXPLODING))
    assert found.scores["hidden_covariance"] == Score(None, "hidden states are not finite")
    assert found.scores["random"].value is not None
    # leaky ReLU of a product that underflows: the unit stays exactly zero
    task = Task(space, RNNProbe(embedding=2, hidden=(2,), batch=2, steps=2), hidden, 0)
    zero = parse_cell(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "h_new_0": {"op": "elementwise_prod", "input": ["a", "h_prev_0"]},
        }
    )
    assert task(zero).scores["hidden_covariance"] == Score(None, "constant units")


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
    """Sleeps where the key's last digit is even."""

    name = "slow"
    title = source = "test"
    needs = frozenset()

    def __call__(self, record: Record) -> float:
        if record.key == named_cell("RNN").key:
            time.sleep(5)
        return 1.0


def test_a_time_out_is_a_failure_and_the_next_is_scored() -> None:
    task = Task(spaces.get("rnn"), RNNProbe(), {"slow": Slow()}, 0, timeout=0.1)
    first, second = Evaluator(task).map([named_cell("RNN"), named_cell("GRU")])
    assert first.scores["slow"] == Score(None, "time-out")
    assert second.scores["slow"] == Score(1.0)


def test_a_worker_that_dies_is_one_sentence_and_keeps_what_was_done() -> None:
    task = Task(spaces.get("rnn"), RNNProbe(), {"deadly": Deadly()}, 0)
    with Evaluator(task, workers=2) as evaluator:
        results = evaluator.map([named_cell("GRU"), named_cell("RNN")])
        assert next(results).scores["deadly"] == Score(1.0)
        with pytest.raises(ZeronasError, match="A worker process died"):
            next(results)


class Deadly(Proxy):
    """Kills its process on the vanilla RNN, a moment after the others are done."""

    name = "deadly"
    title = source = "test"
    needs = frozenset()

    def __call__(self, record: Record) -> float:
        if record.key == named_cell("RNN").key:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0


def test_two_workers_score_as_one_does() -> None:
    space = spaces.get("rnn")
    cells: list[Cell] = [space.sample(seeds.generator(0, i)) for i in range(20)]
    task = Task(space, RNNProbe(), {"h": proxies.get("hidden_covariance")}, 0)
    with Evaluator(task, 2) as two:
        assert [e.scores for e in two.map(cells)] == [e.scores for e in Evaluator(task).map(cells)]
