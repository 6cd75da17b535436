"""Runs that are killed (SIGKILL) at random moments and continued, their tables compared byte by byte.

A moment is drawn as a share of the lines that the uninterrupted run writes: the kill falls when so many are there, and
up to a tenth of a second later. So it falls while something is computed, however busy the machine is.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.truth.train import protocol
from nas.truth.train.table import Job, train_all
from spaces.rnn import named_cell

__all__ = ["RUNS", "killed", "train"]

_TINY = ("probe.rnn.hidden=[8]", "probe.rnn.embedding=8", "probe.rnn.batch=4", "probe.rnn.steps=8")
_SEARCH = ("search", "benchmark=none", *_TINY)
_TABLE = ("search", "benchmark=mini_rnn", "pool=benchmark", "verify=4", *_TINY)

#: kind of run -> its command; None is that of ``train``
RUNS: dict[str, tuple[str, ...] | None] = {
    "evolution": (*_SEARCH, "budget=400", "searcher=evolution", "searcher.population=50", "executor.workers=2"),
    "optuna": (*_SEARCH, "budget=200", "searcher=optuna"),
    "bayes": (*_TABLE, "budget=60", "queries=12", "searcher=bayes", "searcher.start=3", "searcher.spread=3"),
    "robot": (*_TABLE, "budget=60", "queries=12", "searcher=robot", "proxy=[hidden_covariance,parameters]"),
    "rank": ("rank", "benchmark=mini_rnn", "proxy=[hidden_covariance]", "limit=150", "resamples=20", *_TINY),
    "training": None,
    "sweep": ("search", "-m", "benchmark=none", "budget=80", "searcher=random,evolution", "seed=0,1", *_TINY),
}


def train(folder: Path) -> None:
    """Trains cells under a protocol of a few updates and writes their losses into table.csv.

    Raises:
        ZeronasError: as ``train_all``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "text.txt"
    if not text.exists():
        rng = seeds.generator(0, "kills")
        text.write_text("\n".join(" ".join(f"w{i}" for i in rng.integers(50, size=30)) for _ in range(400)))
    small = {"steps": 60, "batch": 4, "sequence": 8, "embedding": 8, "hidden": (8,), "evaluations": 6}
    made = protocol.get("mini_rnn", vocabulary=60, cutoffs=(40,), validation_tokens=400, **small)
    jobs = [Job(named_cell(name), made, seed) for seed in range(3) for name in ("RNN", "LSTM", "GRU")]
    records = train_all(jobs, str(text), folder / "trained.jsonl")
    rows = [f"{r['key']},{r['seed']},{r['value']!r},{json.dumps(r['curve'])}" for r in records]
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _command(kind: str, folder: Path) -> list[str]:
    overrides = RUNS[kind]
    if overrides is None:
        return [sys.executable, "-m", "experiments.scale.faults", "train", str(folder)]
    where = f"run.root={folder}" if "-m" in overrides else f"run.dir={folder}"
    logs = [f"hydra.sweep.dir={folder / 'hydra'}"] if "-m" in overrides else []
    return [sys.executable, "-m", "experiments.cli", *overrides, where, *logs]


def _tables(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("table.csv"))}


def _lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl"))


def _finished(kind: str, folder: Path) -> None:
    done = subprocess.run(_command(kind, folder), capture_output=True, text=True)
    if done.returncode:
        raise ZeronasError(f"The run '{kind}' ended with status {done.returncode}: {done.stderr[-300:]}")


def killed(kind: str, number: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Kills a run once, continues it, and returns what became of it.

    Args:
        folder: for the uninterrupted run, which is made if it is not there, and for this one.

    Returns:
        "lines" at which it was killed "of" how many, whether it was "killed" before it ended, and whether it is the
        "same" as the uninterrupted one; "twice": lines of the journals beyond those of the uninterrupted run.

    Raises:
        ZeronasError: the uninterrupted run does not end well.
    """
    whole, mine = folder / f"{kind}-whole", folder / f"{kind}-{number}"
    if not (whole / "done").exists():
        shutil.rmtree(whole, ignore_errors=True)
        _finished(kind, whole)
        (whole / "done").write_text("")
    shutil.rmtree(mine, ignore_errors=True)
    rng, of = seeds.generator(seed, "kills", kind, number), _lines(whole)
    wanted, delay = int(rng.integers(of)), float(rng.random()) / 10
    process = subprocess.Popen(
        _command(kind, mine), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and _lines(mine) < wanted:
        time.sleep(0.01)
    time.sleep(delay)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    at = _lines(mine)
    try:
        _finished(kind, mine)
        same, why = _tables(mine) == _tables(whole), ""
    except ZeronasError as error:
        same, why = False, str(error)
    found = {"kind": kind, "number": number, "killed": not ended, "lines": at, "of": of, "same": same, "why": why}
    found["twice"] = _lines(mine) - of
    if same:
        shutil.rmtree(mine, ignore_errors=True)
    return found
