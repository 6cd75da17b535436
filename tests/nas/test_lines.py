"""Locks: one holder at a time, free again when it closes or dies, and one sentence where there can be none."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from nas.core.errors import ZeronasError
from nas.core.folders import run_lock
from nas.core.lines import Tail, append_shared, lock

HOLD = (
    "import sys, pathlib; from nas.core.lines import lock; held = lock(pathlib.Path(sys.argv[1])); print(bool(held)); "
)


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    held = lock(path)
    assert held is not None and lock(path) is None
    held.close()
    held.close()  # once more does nothing
    with lock(path) or pytest.fail("the lock was free"):
        assert lock(path) is None
    again = lock(path)
    assert again is not None and path.exists()
    again.close()


def test_a_lock_is_waited_for_and_may_be_closed_by_another_thread(tmp_path: Path) -> None:
    held = lock(tmp_path / "a.lock")
    assert held is not None
    threading.Thread(target=held.close).start()
    with lock(tmp_path / "a.lock", patience=120) or pytest.fail("the lock was let go"):
        assert lock(tmp_path / "a.lock", patience=0.05) is None


def test_another_process_is_told_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", HOLD + "sys.stdout.flush(); sys.stdin.read()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        assert lock(path) is None
        process.kill()
        process.wait()
        held = lock(path)
        assert held is not None
        second = subprocess.run([*command[:2], HOLD, str(path)], capture_output=True, text=True, check=True)
        assert second.stdout == "False\n"
        held.close()


def test_a_lock_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(ZeronasError) as error:
        run_lock(tmp_path)
    assert str(error.value) == (
        f"The lock file '{tmp_path / '.lock'}' cannot be opened (Is a directory); remove it, or choose another folder."
    )
    (tmp_path / "j.lock").mkdir()
    with pytest.raises(ZeronasError, match=r"j\.lock' cannot be opened"):
        append_shared(tmp_path / "j.jsonl", {"a": 1})


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, **options: object) -> None:  # whoever runs the tests may be allowed everything
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(ZeronasError, match=r"\.lock' cannot be opened \(Permission denied\); remove it, or choose"):
        run_lock(tmp_path)


def test_a_tail_reads_whole_lines_once_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    tail = Tail(path)
    assert list(tail.lines()) == []  # not there yet
    path.write_bytes(b"one\ntwo\nthr")
    assert list(tail.lines()) == [b"one", b"two"] and path.read_bytes() == b"one\ntwo\nthr"
    with path.open("ab") as file:
        file.write(b"ee\n\nfo")
    assert list(tail.lines()) == [b"three", b""] and list(tail.lines()) == []
    path.write_bytes(b"one\ntwo\nthree\n\n")  # a torn line was taken back
    assert (list(tail.lines()), tail.restarts) == ([], 0)
    path.write_bytes(b"one\n")  # written anew, shorter
    assert (list(tail.lines()), tail.restarts) == ([b"one"], 1)
    path.write_bytes(b"ten\neleven\n")  # and longer
    assert (list(tail.lines()), tail.restarts) == ([b"ten", b"eleven"], 2)
    path.unlink()
    assert list(tail.lines()) == []
    path.mkdir()
    with pytest.raises(ZeronasError, match=r"^'.*journal\.jsonl' cannot be read \(Is a directory\)\.$"):
        list(tail.lines())
