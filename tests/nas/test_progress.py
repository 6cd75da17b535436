"""The live lines: what they tell, on a terminal and without one, and that they leave it clean."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nas.core import progress as module
from nas.core.progress import Progress, Truths, span, told
from nas.engine.journal import Journal
from nas.engine.run import answered, search
from nas.engine.trials import PROXIES, TRUTH, Evaluation, Trial
from nas.truth.train.running import Note, Running, running
from proxies.base import Score


class Screen:
    """A terminal of 100 columns that understands what is needed of it."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, force_terminal=True, width=100, height=20, legacy_windows=False)

    @property
    def rows(self) -> list[str]:
        """What stands on it now."""
        rows, row, column = [""], 0, 0
        for text in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", self.file.getvalue()):
            if text == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif text == "\r":
                column = 0
            elif re.fullmatch(r"\x1b\[\d*A", text):
                row -= int(text[2:-1] or 1)
            elif text == "\x1b[2K":
                rows[row] = ""
            elif not text.startswith("\x1b"):
                rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
                column += len(text)
        return [one.rstrip() for one in rows if one.strip()]

    @property
    def cursor_is_there(self) -> bool:
        found = re.findall(r"\x1b\[\?25([hl])", self.file.getvalue())
        return not found or found[-1] == "h"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that stands still unless it is set, and no thread that looks at it."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Progress, "_tick", lambda self: None)
    yield now


def test_the_lines_tell_evaluations_truths_and_trainings(clock: list[float]) -> None:
    screen = Screen()
    truths, others = Truths(10, sign=-1, unit="nats/token"), ["training rnn-1: update 450 of 1,800"]
    with Progress(8, console=screen.console, truths=truths, others=lambda: others) as progress:
        progress.begin()
        assert screen.rows == ["0/8 architectures", "0/10 truths  0 failed", *others]
        for value in (1.0, None, 3.5):
            clock[0] += 2
            progress.step(value, True)
        progress.show()
        assert screen.rows[0] == "3/8 architectures  0.5/s  best 3.5  1 failed  10 s left"
        clock[0] += 500  # a surrogate is fitted: no evaluation's time
        progress.begin(truths=True)
        for key, value in (("a", -4.25), ("b", None), ("c", -4.5)):
            clock[0] += 60
            progress.asked(key, 1.0, value, True)
        progress.begin()
        clock[0] += 2
        progress.step(2.0, True)
        others.clear()
        progress.show()
        assert screen.rows == [
            "4/8 architectures  0.5/s  best 3.5  1 failed  8 s left",
            "3/10 truths  best 4.25 nats/token  1 failed  7 min left",
        ]
        assert screen.cursor_is_there
    assert screen.rows == [] and screen.cursor_is_there and module._shown is None


def test_a_part_of_a_training_costs_its_share_and_a_whole_one_is_before_it() -> None:
    truths = Truths(4, sign=-1)
    for number, (key, share, value) in enumerate([("a", 0.25, -1.0), ("b", 0.25, -2.0), ("a", 1.0, -3.0)]):
        truths.add(key, share, value, False, float(number))
    assert (truths.spent, truths.best) == (1.25, (1.0, -3.0))
    assert truths.text == "1.25/4 trainings (3 asked)  best 3  0 failed"
    truths = Truths(4)
    truths.add("a", 0.25, 2.0, False, 0.0)
    assert truths.text == "0.25/4 trainings (1 asked)  best 2 at 0.25  0 failed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_it_leaves_a_clean_terminal(error: type[BaseException], clock: list[float]) -> None:
    screen = Screen()
    with pytest.raises(error), Progress(8, console=screen.console) as progress:
        progress.step(1.0, True)
        assert screen.rows
        raise error
    assert screen.rows == [] and screen.cursor_is_there
    progress.step(1.0, True)  # too late
    assert screen.rows == []


def test_what_is_printed_meanwhile_stays_above(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    with Progress(8, console=screen.console) as progress:
        progress.step(1.0, True)
        print("trained 1 of 3", file=module.sys.stderr)
        print("an answer")
        progress.step(2.0, True)
        progress.show()
        assert screen.rows[0] == "trained 1 of 3" and screen.rows[1].startswith("2/8 architectures")
    assert screen.rows == ["trained 1 of 3"] and capsys.readouterr().out == "an answer\n"


def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock: list[float]) -> None:
    file = io.StringIO()
    with Progress(50, stream=file, truths=Truths(2)) as progress:
        for number in range(30):
            clock[0] += 1
            progress.step(float(number), True)
        progress.asked("a", 1.0, 7.0, True)
    assert file.getvalue().splitlines() == [
        "10/50 architectures  1.0/s  best 9  0 failed  40 s left | 0/2 truths  0 failed",
        "20/50 architectures  1.0/s  best 19  0 failed  30 s left | 0/2 truths  0 failed",
        "30/50 architectures  1.0/s  best 29  0 failed  20 s left | 0/2 truths  0 failed",
    ]


def test_one_that_begins_while_another_is_shown_is_silent(clock: list[float]) -> None:
    outer, inner = Screen(), Screen()
    with Progress(8, console=outer.console) as progress:
        progress.step(1.0, True)
        with Progress(3, console=inner.console) as second:
            second.step(1.0, True)
        assert inner.file.getvalue() == "" and module._shown is progress
    with Progress(3, console=inner.console) as third:
        third.step(1.0, True)
        assert inner.rows == ["1/3 architectures  " + inner.rows[0].split("  ", 1)[1]]


def test_lines_are_no_wider_than_the_terminal(clock: list[float]) -> None:
    screen = Screen()
    with Progress(8, "letters " * 40, console=screen.console) as progress:
        progress.step(1.0, True)
        assert len(screen.rows) == 1 and len(screen.rows[0]) <= 100


def test_a_note_is_taken_back_when_something_is_counted(clock: list[float]) -> None:
    screen = Screen()
    with Progress(8, console=screen.console) as progress:
        progress.note("reading the journal: 5,000 answers")
        assert screen.rows[0] == "reading the journal: 5,000 answers"
        progress.took_up([1.0, None, 2.0])
        progress.show()
        assert screen.rows == ["3/8 architectures  taken up from the journal  best 2  1 failed"]


def test_the_thread_shows_what_changes_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 0.01)
    screen, others = Screen(), ["training a"]
    with Progress(2, console=screen.console, others=lambda: others) as progress:
        progress.begin()
        others[:] = ["training b"]
        for _ in range(3000):
            if screen.rows[-1:] == ["training b"]:
                break
            time.sleep(0.01)
        assert screen.rows[-1] == "training b"
        thread = progress._ticking
    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()


def test_a_stream_that_was_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 0.001)
    monkeypatch.setattr(module, "_PAUSE", -1.0)
    file = io.StringIO()
    with Progress(2, stream=file, others=lambda: [str(time.monotonic())]) as progress:
        progress.step(1.0, True)
        file.close()
        thread = progress._ticking
        assert thread is not None
        thread.join(60)
        assert not thread.is_alive()


def test_what_takes_a_moment_is_told_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with told("reading the table"):
        time.sleep(0)
    assert capsys.readouterr().err == ""


def test_one_that_is_not_entered_only_counts(clock: list[float]) -> None:
    screen = Screen()
    progress = Progress(2, console=screen.console)
    progress.step(1.0, True)
    assert (progress.done, screen.file.getvalue(), progress._ticking, module._shown) == (1, "", None, None)


def test_lengths_of_time() -> None:
    assert [span(seconds) for seconds in (0, 119, 120, 7199, 7200, 90000)] == [
        *("0 s", "119 s", "2 min", "120 min", "2.0 h", "25.0 h")
    ]


class _Cell:
    def __init__(self, key: str) -> None:
        self.key = key

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key}


class _Measure:
    """Answers with the number in the key; "c" diverges, and "d" is not known."""

    def __init__(self, label: str) -> None:
        self.labels = (label,)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        for place, trial in enumerate(trials):
            score = Score(None, "diverged") if trial.key == "c" else Score(float(ord(trial.key)))
            known = self.labels != (TRUTH,) or trial.key != "d"
            yield place, Evaluation(trial.key, {self.labels[0]: score}, 0.0, {}, trial.measure, trial.fidelity, known)


def test_truths_are_counted_as_they_come_and_again_when_a_run_goes_on(tmp_path: Path) -> None:
    measures = {PROXIES: _Measure("size"), TRUTH: _Measure(TRUTH)}
    trials = [Trial(_Cell(key)) for key in "abc"] + [Trial(_Cell(key), TRUTH, 0.5) for key in "abcd"]
    for session in range(2):
        progress = Progress(3, truths=Truths(4), console=Screen().console)
        with Journal(tmp_path, {}) as journal, progress:
            answered(trials, measures, journal, progress)
        truths = progress.truths
        assert truths is not None and (truths.asked, truths.spent, truths.failures) == (3, 1.5, 1)
        assert truths.best == (0.5, 98.0)
        assert (progress.done, progress.failures, progress.computed) == (3, 1, 0 if session else 3)


class _Two:
    """Asks for two scores, then for their truths, then for nothing."""

    name = "two"

    def __init__(self) -> None:
        self.rounds = [[Trial(_Cell(key)) for key in "ab"], [Trial(_Cell(key), TRUTH) for key in "ab"]]

    def ask(self, n: int, left: Any) -> list[Trial]:
        return self.rounds.pop(0) if self.rounds else []

    def tell(self, results: Any) -> None:
        pass


def test_a_search_shows_both_and_finishes(tmp_path: Path) -> None:
    measures, screen = {PROXIES: _Measure("size"), TRUTH: _Measure(TRUTH)}, Screen()
    progress = Progress(2, truths=Truths(2.0, unit="points"), console=screen.console)
    with Journal(tmp_path, {}) as journal:
        search(_Two(), measures, journal, {PROXIES: 2, TRUTH: 2.0}, 2, progress=progress)
    assert progress.lines[1] == "2/2 truths  best 98 points  0 failed"
    assert progress.lines[0].startswith("2/2 architectures") and screen.rows == [] and screen.file.getvalue()


def test_notes_of_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nas.truth.train.running.time.monotonic", lambda: now[0])
    folder = tmp_path / "running"
    assert running(folder) == []
    with Note(folder, "one", "rnn-1", 1800) as note:
        assert running(folder) == [Running("rnn-1", 0, 1800)]
        note.updated(5)
        assert running(folder) == [Running("rnn-1", 0, 1800)]  # it writes once a second
        now[0] = 1.5
        note.evaluated(450, 4.71)
        (found,) = running(folder)
        assert found.text == "training rnn-1: update 450 of 1,800  validation loss 4.7100"
        for name, text in (("two", "{"), ("three", '{"key": 1}'), ("four", "[" * 10_000), ("five", "[]")):
            (folder / f"{name}.json").write_text(text)
        assert running(folder) == [found]
        os.utime(folder / "one.json", (1, 1))  # killed long ago
        assert running(folder) == []
    assert not (folder / "one.json").exists() and folder.exists()
    for path in folder.iterdir():
        path.unlink()
    with Note(folder, "one", "rnn-1", 1800):
        assert folder.exists()
    assert not folder.exists()


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "running").write_text("a file")
    with Note(tmp_path / "running", "one", "rnn-1", 10) as note:
        note.updated(1)
    assert json.dumps((tmp_path / "running").read_text()) == '"a file"'
