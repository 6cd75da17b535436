"""``zeronas watch``: what a run folder tells while another process writes to it, and that looking changes nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.commands import rank as rank_app
from experiments.commands import search as search_app
from experiments.commands import watch as watch_app
from nas.engine.journal import Journal
from nas.engine.started import FILE, Started
from nas.engine.trials import PROXIES, TRUTH, Evaluation
from nas.report import watch as module
from nas.report.watch import Watched
from nas.truth.train.running import Note
from proxies.base import Score

START = 1_000_000.0


class Cell:
    def __init__(self, key: str) -> None:
        self.key = key

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key}


def scored(key: str, value: float | None, reason: str = "", **others: float) -> tuple[Evaluation, Cell]:
    scores = {"size": Score(value, reason), **{label: Score(one) for label, one in others.items()}}
    return Evaluation(key, scores, 0.5), Cell(key)


def truth(key: str, value: float | None, share: float = 1.0, seconds: float = 0.0) -> tuple[Evaluation, Cell]:
    score = Score(value, "" if value is not None else "diverged: early")
    return Evaluation(key, {TRUTH: score}, seconds, {}, TRUTH, share), Cell(key)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the run started, for whoever looks on."""
    now = [0.0]
    monkeypatch.setattr(module.time, "time", lambda: START + now[0])
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def started(folder: Path, **given: Any) -> None:
    wanted = {PROXIES: 10, TRUTH: 4.0}
    made = {"command": "search", "wanted": wanted, "sign": -1, "unit": "nats/token", "at": START, **given}
    Started(**made).write(folder)


def touched(folder: Path, seconds: float) -> None:
    os.utime(folder / "journal.jsonl", (START + seconds, START + seconds))


def told(watched: Watched) -> list[str]:
    watched.look()
    return watched.lines


def test_a_run_is_told_as_it_goes_on(tmp_path: Path, clock: list[float]) -> None:
    folder = tmp_path / "run"
    with Journal(folder, {}) as journal:
        started(folder)
        watched = Watched(folder)
        touched(folder, 0)
        assert told(watched) == [
            f"run: zeronas search, process {os.getpid()}, at work for 0 s",
            "0/10 architectures  0 failed",
            "0/4 truths  0 failed",
            "last answer 0 s ago",
        ]
        for made in (scored("a", 1.0), scored("b", None, "constant units"), scored("c", 3.5)):
            journal.add(*made)
        clock[0] = 6.0
        touched(folder, 4)
        assert told(watched) == [
            f"run: zeronas search, process {os.getpid()}, at work for 6 s",
            "3/10 architectures  0.5/s  best size 3.5 (c)  1 failed  14 s left",
            "0/4 truths  0 failed",
            "failures: 1 size: constant units",
            "last answer 2 s ago",
        ]
        for made in (truth("a", -4.5, 1.0, 30.0), truth("c", None, 1.0, 10.0), truth("b", -4.25, 0.5, 10.0)):
            journal.add(*made)
        journal.add(*scored("d", None, "time-out"))
        lines = told(watched)
        assert lines[2] == "2.5/4 trainings (3 asked)  best 4.5 nats/token (a)  1 failed  about 30 s left"
        assert lines[3] == "failures: 1 size: constant units; 1 truth: diverged: early; 1 size: time-out"
        journal.add(*scored("d", 9.0))  # it is tried again, and counts once
        clock[0] = 8.0
        lines = told(watched)
        assert lines[1] == "4/10 architectures  0.5/s  best size 9 (d)  1 failed  12 s left"
        assert lines[3] == "failures: 1 size: constant units; 1 truth: diverged: early"
        assert not watched.ended
        (folder / "results.json").write_text("{}")
        lines = told(watched)
        assert watched.ended and lines[0].startswith("run: zeronas search, finished; the result is in summary.md")
        assert lines[1] == "4/10 architectures  best size 9 (d)  1 failed"  # nothing is left to wait for
        assert lines[2] == "2.5/4 trainings (3 asked)  best 4.5 nats/token (a)  1 failed" and len(lines) == 4


def test_only_the_fitness_is_told_to_have_failed(tmp_path: Path, clock: list[float]) -> None:
    with Journal(tmp_path, {}) as journal:
        one, cell = scored("a", None, "constant units")
        journal.add(replace(one, scores={**one.scores, "view_size": Score(None, "no states")}), cell)
        two, cell = scored("b", 2.0)
        journal.add(replace(two, scores={**two.scores, "view_size": Score(None, "no states")}), cell)
        started(tmp_path)
        lines = told(Watched(tmp_path))
    assert "1 failed" in lines[1] and "failures: 1 size: constant units" in lines


def test_the_rate_is_of_the_session_where_nobody_looked_before(tmp_path: Path, clock: list[float]) -> None:
    with Journal(tmp_path, {}) as journal:
        for key in "abcdef":
            journal.add(*scored(key, 1.0))
        started(tmp_path, known=2)
    touched(tmp_path, 8)  # four in eight seconds
    assert told(Watched(tmp_path))[1] == "6/10 architectures  0.5/s  best size 1 (a)  0 failed  8 s left"


def test_looking_changes_nothing_whatever_is_half_written(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal:
        for key in "abc":
            journal.add(*scored(key, 1.0))
        started(tmp_path)
        path = tmp_path / "journal.jsonl"
        whole = path.read_bytes()
        last = whole[:-1].rindex(b"\n") + 1
        for cut in range(last, len(whole), 37):  # as another process may have got so far
            path.write_bytes(whole[:cut])
            before = {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in tmp_path.iterdir()}
            watched = Watched(tmp_path)
            assert told(watched)[1].startswith("2/10 architectures")
            assert before == {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in tmp_path.iterdir()}
            path.write_bytes(whole)
            assert told(watched)[1].startswith("3/10 architectures")


def test_damaged_lines_are_counted_and_what_they_hold_is_obeyed_by_no_terminal(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal:
        journal.add(*scored("a\x1b[31m", None, "bad\nthing"))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b"no JSON\n[]\n{}\n" + b"[" * 5000 + b"\n" + b"\xff\n")
    (tmp_path / "started.json").write_text("[")
    lines = told(Watched(tmp_path))
    assert lines[0] == f"{tmp_path.name}: not finished" and "lines of the journal that are damaged: 5" in lines
    assert "failures: 1 size: bad\\nthing" in lines and all(line.isprintable() for line in lines)


def test_a_run_that_begins_anew_is_read_anew(tmp_path: Path) -> None:
    with Journal(tmp_path, {"n": 1}) as journal:
        journal.add(*scored("a", 1.0))
        journal.add(*scored("b", 2.0))
    watched = Watched(tmp_path)
    assert told(watched)[1] == "2 architectures  best size 2 (b)  0 failed"
    with Journal(tmp_path, {"n": 2}, fresh=True) as journal:
        journal.add(*scored("c", 0.5))
        assert told(watched)[1] == "1 architectures  best size 0.5 (c)  0 failed"


def test_a_process_that_is_gone_ends_it_and_one_elsewhere_does_not(tmp_path: Path) -> None:
    with Journal(tmp_path, {}):
        pass
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    started(tmp_path, process=gone.pid)
    watched = Watched(tmp_path)
    assert told(watched)[0].endswith("zeronas search, stopped: its process is gone, and the same command continues it")
    assert watched.ended
    started(tmp_path, process=gone.pid, host="elsewhere")
    assert f"process {gone.pid} on elsewhere, at work for" in told(watched)[0] and not watched.ended
    for process in (0, -1, 10**30):
        started(tmp_path, process=process)
        watched.look()
        assert watched.ended == (process > 0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"command": 5}', '{"command": "a", "wanted": 3}', "[" * 10_000, '{"what": 1}']
)
def test_a_strangers_file_is_no_start(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    assert Started.read(tmp_path) is None and Started.read(tmp_path / "nothing") is None


def test_what_a_stranger_wants_is_no_total(tmp_path: Path) -> None:
    with Journal(tmp_path, {}):
        pass
    for wrong in ("ten", None, True, -3, 1e300, [1]):
        started(tmp_path, wanted={PROXIES: wrong, TRUTH: wrong})
        assert told(Watched(tmp_path))[1:2] == ["0 architectures  0 failed"]


def test_trainings_are_told_while_they_run_and_when_they_are_kept(tmp_path: Path) -> None:
    folder, store = tmp_path / "run", tmp_path / "trained" / "mini_rnn-0a1b"
    with Journal(folder, {}):
        pass
    started(folder, trained="../trained/mini_rnn-0a1b")
    watched = Watched(folder)
    assert not any("training" in line for line in told(watched))
    with Note(store.parent / "running", "one", "rnn-1", 1800) as note:
        note._written = -10.0
        note.evaluated(450, 4.71)
        assert "training rnn-1: update 450 of 1,800  validation loss 4.7100" in told(watched)
    record = {"key": "rnn-1", "value": 4.5, "reason": "", "curve": [[900, 4.6], [1800, 4.5]], "seconds": 41.6}
    lost = {"key": "rnn-2", "value": None, "reason": "diverged: early", "curve": [], "seconds": 3.2}
    for name, lines in (("-ff.jsonl", [record, lost]), ("-ee.jsonl", [{}])):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        store.with_name(store.name + name).write_text(text + '{"key": "torn')
    (store.parent / "other-0a1b.jsonl").write_text(json.dumps(record) + "\n")
    lines = told(watched)
    assert "trainings kept beside the runs: 2, the last rnn-2: diverged: early, 3 s" in lines
    assert not any(line.startswith("training rnn") for line in lines)
    with store.with_name(store.name + "-gg.jsonl").open("w") as file:
        file.write(json.dumps(record) + "\n")  # further than before
        file.write(json.dumps({**record, "seed": 1}) + "\n")
    kept = "trainings kept beside the runs: 3, the last rnn-1: 4.5000 nats/token after 1,800 updates, 42 s"
    assert kept in told(watched)


def _mini(*overrides: str) -> tuple[str, ...]:
    return ("benchmark=mini_rnn", "proxy=[parameters,random]", *overrides)


@pytest.mark.parametrize("command", ["search", "rank"])
def test_real_runs(command: str, composed: Callable[..., Any], tmp_path: Path, capsys: Any) -> None:
    only = ("pool=benchmark", "budget=12", "verify=3") if command == "search" else ("limit=12", "resamples=10")
    run = {"search": search_app.run, "rank": rank_app.run}[command]
    results = run(composed(command, *_mini(*only, f"run.dir={tmp_path}", "seed=3")))
    capsys.readouterr()
    lines = watch_app.run({"runs": [str(tmp_path)], "once": True})
    assert capsys.readouterr().out == "\n".join(lines) + "\n"
    assert lines[0].startswith(f"{tmp_path.name}: zeronas {command}, finished")
    assert lines[1].startswith("12/12 architectures  best parameters ")
    if command == "search":
        asked = [query["value"] for query in results["queries"]]
        best = min(value for value in asked if value is not None)
        assert lines[2].startswith(f"3/3 truths  best {best:.6g} nats/token (rnn-")
        found = Started.read(tmp_path)
        assert found is not None and found.wanted == {PROXIES: 12, TRUTH: 3.0} and found.known == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_goes_on_until_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path, {}) as journal:
        journal.add(*scored("a", 1.0))
    started(tmp_path)
    screen, looks = Terminal(), [0]
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(watch_app, "_PAUSE", 0.0)
    look = Watched.look

    def counted(self: Watched) -> None:
        looks[0] += 1
        if looks[0] == 4:
            (tmp_path / "results.json").write_text("{}")
        look(self)

    monkeypatch.setattr(Watched, "look", counted)
    lines = watch_app.run({"runs": [str(tmp_path)], "once": False})
    assert looks[0] == 4 and "finished" in lines[0]
    out = screen.getvalue()
    assert "at work for" in out and out.endswith("\x1b[2K" + "\n".join(lines) + "\n")
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")


def test_ctrl_c_leaves_what_was_told_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path, {}):
        pass
    started(tmp_path)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_app.time, "sleep", interrupted)
    lines = watch_app.run({"runs": [str(tmp_path)], "once": False})
    assert "at work for" in lines[0] and screen.getvalue().endswith("\x1b[2K" + "\n".join(lines) + "\n")
