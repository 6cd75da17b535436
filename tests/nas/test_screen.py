"""Screening: the same numbers however many workers, whatever is killed or damaged, and the best are what was scored."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proxies
import spaces
from experiments.commands import screen as app
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.executors import LocalExecutor
from nas.engine.evaluate import Scorer
from nas.engine.screen import CHUNK, Screen, drawn, fingerprint, screened
from proxies.base import Proxy
from spaces.record import Record
from spaces.rnn.probe import RNNProbe

TINY = ["probe.rnn.hidden=[6]", "probe.rnn.embedding=6", "probe.rnn.batch=4", "probe.rnn.steps=4", "benchmark=none"]
FILES = ("scores.f8", "keys.u8", "table.csv")


@pytest.fixture
def made(tmp_path: Path, composed: Any) -> Callable[..., Path]:
    def run(name: str, *overrides: str) -> Path:
        app.run(composed("screen", *TINY, "budget=600", "top=20", f"run.dir={tmp_path / name}", *overrides))
        return tmp_path / name

    return run


def content(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_the_best_are_the_draws_that_score_so(made: Callable[..., Path]) -> None:
    folder = made("one", "proxy=[hidden_covariance,parameters]")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((folder / "table.csv").open(encoding="utf-8")))
    space = spaces.get("rnn")
    cells = [space.sample(seeds.generator(0, "screen", number)) for number in range(600)]
    scorer = Scorer(
        space,
        RNNProbe(hidden=(6,), embedding=6, batch=4, steps=4, stacked=True),
        {name: proxies.get(name, "rnn") for name in ("hidden_covariance", "parameters")},
        0,
    )
    scores = [one.scores for one in scorer.together(cells)]
    wanted: dict[str, tuple[float, int]] = {}
    for number, (cell, score) in enumerate(zip(cells, scores, strict=True)):
        if score["hidden_covariance"].value is not None:
            wanted.setdefault(cell.key, (-score["hidden_covariance"].value, number))
    best = sorted(wanted.values())[:20]
    assert [int(row["draw"]) for row in rows] == [number for _, number in best]
    assert [float(row["hidden_covariance"]) for row in rows] == [-negative for negative, _ in best]
    assert [space.parse(json.loads(row["architecture"])).key for row in rows] == [row["key"] for row in rows]
    failed = sum(score["hidden_covariance"].value is None for score in scores)
    assert sum(results["failures"].values()) == failed > 0
    assert results["distinct"] == len({cell.key for cell in cells})
    assert results["found"]["key"] == rows[0]["key"]


def test_two_workers_and_a_longer_budget_write_the_same_bytes(made: Callable[..., Path], tmp_path: Path) -> None:
    whole = content(made("whole"))
    assert content(made("two", "executor.workers=2")) == whole
    made("longer", "budget=300")
    assert content(made("longer")) == whole
    assert json.loads((tmp_path / "longer" / "results.json").read_text(encoding="utf-8"))["scored"] == 600 - CHUNK


def test_killed_in_the_middle_it_goes_on(made: Callable[..., Path], tmp_path: Path) -> None:
    whole = content(made("whole"))
    folder = tmp_path / "killed"
    script = (
        "import os, signal, sys\n"
        "from nas.engine import screen\n"
        "add, count = screen.Screen.add, iter([0])\n"
        "def killing(self, chunk):\n"
        "    if next(count, None) is None:\n"
        "        begin = chunk.numbers.start\n"
        "        self._scores.seek(begin * 8)\n"
        "        self._scores.write(chunk.scores.tobytes()[:100])\n"  # as a kill in the middle of a write leaves it
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    add(self, chunk)\n"
        "screen.Screen.add = killing\n"
        "from experiments import cli\n"
        "sys.exit(cli.main())\n"
    )
    command = [sys.executable, "-c", script, "screen", *TINY, "budget=600", "top=20", f"run.dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert content(made("killed")) == whole
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["scored"] == 600 - CHUNK


@pytest.mark.parametrize("name", ["scores.f8", "keys.u8"])
def test_damaged_numbers_are_made_again(made: Callable[..., Path], name: str) -> None:
    folder = made("one")
    whole = content(folder)
    damaged = bytearray((folder / name).read_bytes())
    damaged[8 * (CHUNK + 3)] ^= 1
    (folder / name).write_bytes(bytes(damaged))
    assert content(made("one")) == whole
    (folder / name).unlink()
    assert content(made("one")) == whole


def test_a_damaged_line_is_named(made: Callable[..., Path]) -> None:
    path = made("one") / "chunks.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b'"begin":', b'"begun":') + b"".join(lines[2:]))
    with pytest.raises(ZeronasError, match=r"Line 2 of '.*chunks.jsonl' is damaged or of another run"):
        made("one")
    with pytest.raises(ZeronasError, match=r"holds another run \(seed was 0 there, is 1 now\)"):
        made("one", "seed=1")


class Deadly(Proxy):
    """Kills its process on one architecture."""

    name = "deadly"
    title = source = "test"
    needs = frozenset()

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, record: Record) -> float:
        if record.key == self.key:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0


def test_what_kills_its_worker_is_the_only_failure(tmp_path: Path) -> None:
    space = spaces.get("rnn")
    deadly = drawn(space, 0, 7)
    scorer = Scorer(space, RNNProbe(), {"deadly": Deadly(deadly.key)}, 0)
    with Screen(tmp_path, {"run": 1}, 20, ["deadly"]) as screen:
        for chunk in screened(scorer, screen.missing, LocalExecutor(1, memory=8.0)):
            screen.add(chunk)
        assert screen.failures == {"worker died": int((screen.keys == fingerprint(deadly.key)).sum())}
        assert np.isnan(screen.scores[7]) and np.isnan(screen.scores).sum() == screen.failures["worker died"]
    with Screen(tmp_path, {"run": 1}, 20, ["deadly"]) as screen:
        assert screen.missing == [range(0, 20)]  # that was the machine's fault, and is tried again


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(spaces.get("rnn"), RNNProbe(), {"parameters": proxies.get("parameters", "rnn")}, 0)
    with Screen(tmp_path, {}, 10, ["parameters"]) as screen:
        [chunk] = screened(scorer, screen.missing, LocalExecutor(1))

        class Full:
            def seek(self, place: int) -> None: ...

            def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(screen, "_scores", Full())
        with pytest.raises(ZeronasError, match=r"cannot be written \(No space left on device\); what"):
            screen.add(chunk)
