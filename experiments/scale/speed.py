"""``python -m experiments.scale.speed [PART...]``: how fast, on how many workers, beside whose order of work.

``million``: a million draws of the cell space screened by two workers, the driver's peak of memory, and how long a
screening that was stopped at nine tenths takes to go on. ``workers``: two workers beside one, on the micro probe and at
paper sizes. ``order``: the released code's order of work, a pass for each metric at paper sizes and eigenvalues by
numpy, beside one shared pass of the micro probe. ``engine``: what the loop of a search adds to each of 100,000
evaluations that cost nothing. ``cluster``: two actors of Ray beside two local processes. What is compared takes turns
in one run. results/speed.json keeps each part; screenings are kept under ``runs/scale-speed`` and go on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import proxies
import spaces
from experiments.guard import guarded, named
from experiments.paper.runs import composed
from nas.core import seeds
from nas.core.executors import Executor, LocalExecutor, RayExecutor
from nas.core.files import versions, write_json
from nas.core.folders import made_folder
from nas.core.workers import one_thread
from nas.engine.journal import Journal
from nas.engine.run import search
from nas.engine.screen import CHUNK, screened
from nas.engine.trials import PROXIES, Evaluation, Result, Trial
from nas.settings import ScreenSettings, make
from proxies.base import Needs, Score

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "speed.json"
DRAWS = 1_000_000
#: chunks that are not timed: workers start, and meet most of the cells that are drawn often
_AHEAD = 8

#: the paper's metrics of cells
METRICS = (
    *("hidden_covariance", "jacobian_covariance", "jacobian_cosine", "synaptic_saliency", "synaptic_diversity"),
    *("activation_distance",),
)


def _command(folder: Path, draws: int) -> list[str]:
    overrides = ("benchmark=none", f"budget={draws}", "executor.workers=2", f"run.dir={folder}")
    return [sys.executable, "-m", "experiments.cli", "screen", *overrides]


def _peak(process: subprocess.Popen[Any]) -> float:
    """Waits for a process, and returns the most memory it held, in MiB."""
    path, most = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.5)
    return most / 1024


def _million(draws: int = DRAWS) -> dict[str, Any]:
    folder = made_folder(Path("runs/scale-speed/million"))
    before = _lines(folder)
    begun = time.monotonic()
    process = subprocess.Popen(_command(folder, draws), stderr=subprocess.DEVNULL)
    memory = _peak(process)
    wall = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(process.returncode)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    table = (folder / "table.csv").read_bytes()
    # stopped at nine tenths: what was written after that is taken away
    lines = (folder / "chunks.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "chunks.jsonl").write_bytes(b"".join(lines[: len(lines) * 9 // 10]))
    begun, held = time.monotonic(), _lines(folder)
    process = subprocess.Popen(_command(folder, draws), stderr=subprocess.DEVNULL)
    while _lines(folder) == held and process.poll() is None:
        time.sleep(0.05)
    resumed = time.monotonic() - begun
    process.wait()
    return {
        "draws": results["draws"],
        "distinct": results["distinct"],
        "scored_this_session": results["draws"] - before * CHUNK if before else results["draws"],
        "seconds": wall,
        "milliseconds_a_draw_and_core": wall * 2e3 / results["draws"],
        "driver_peak_mib": memory,
        "bytes_on_disk": sum(path.stat().st_size for path in folder.iterdir()),
        "seconds_to_go_on_at_nine_tenths": resumed,
        "same_table": (folder / "table.csv").read_bytes() == table,
    }


def _lines(folder: Path) -> int:
    path = folder / "chunks.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _rate(executor: Executor, overrides: Sequence[str], draws: int, size: int) -> float:
    """Returns seconds a draw, of those after the first ``_AHEAD`` chunks, by when all workers have begun."""
    settings = make(composed("screen", "benchmark=none", *overrides), ScreenSettings)
    scorer = settings.scorer()
    chunks = [range(i, i + size) for i in range(0, draws + _AHEAD * size, size)]
    times = []
    for _ in screened(scorer, chunks, executor):
        times.append(time.monotonic())
    return (times[-1] - times[_AHEAD - 1]) / (len(times) - _AHEAD) / size


def _workers() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, overrides, draws, size in (
        ("micro", (), 16_384, CHUNK),
        ("paper", ("probe=paper", "probe.rnn.stacked=false"), 24, 1),
    ):
        pairs = []
        for number in range(3):
            seeded = (*overrides, f"seed={number}")
            # one worker is a process, too: its memory is watched, so that what differs is their number alone
            executors = {1: LocalExecutor(1, memory=64.0), 2: LocalExecutor(2, memory=64.0)}
            order = (1, 2) if number % 2 else (2, 1)
            times = {workers: _rate(executors[workers], seeded, draws, size) for workers in order}
            pairs.append([times[1], times[2]])
            print(name, number, times, times[1] / times[2], flush=True)
        ratios = [one / two for one, two in pairs]
        found[name] = {"seconds_a_draw": pairs, "ratios": ratios, "median": median(ratios)}
    return found


def _order(cells: int = 4) -> dict[str, Any]:
    """Times the released code's order of work, and ours, on the same cells."""
    space = spaces.get("rnn")
    drawn_cells = [space.sample(seeds.generator(0, "order", i)) for i in range(cells)]
    metrics = {name: proxies.get(name, "rnn") for name in METRICS}
    paper = space.make_probe(composed("screen", "probe=paper")["probe"]["rnn"] | {"stacked": False})
    micro = space.make_probe({"stacked": True})

    def theirs(names: Sequence[str]) -> Iterator[None]:
        for cell in drawn_cells:
            for name in names:
                record = paper.observe(space, cell, Needs.union([metrics[name]]), 0)
                if name == "hidden_covariance":
                    _by_numpy(record)
                else:
                    metrics[name].score_many([record])
            yield

    def ours(names: Sequence[str]) -> Iterator[None]:
        needs = Needs.union([metrics[name] for name in names])
        many = getattr(micro, "observe_many", None)
        together = 1 if many is None else max(1, micro.together(needs))  # type: ignore[attr-defined]
        for begin in range(0, cells * 10, together):
            part = [drawn_cells[i % cells] for i in range(begin, min(cells * 10, begin + together))]
            if together > 1:
                records = micro.observe_many(space, part, needs, 0)  # type: ignore[attr-defined]
            else:
                records = [micro.observe(space, cell, needs, 0) for cell in part]
            for name in names:
                metrics[name].score_many(records)
            yield

    found: dict[str, Any] = {"metrics": list(METRICS), "cells": cells}
    with one_thread():
        for label, names in (("one", METRICS[:1]), ("all", METRICS)):
            rounds = []
            _spent(lambda names=names: ours(names))  # type: ignore[misc]
            for number in range(3):
                order: list[tuple[str, Callable[[], Iterator[None]], int]] = [
                    ("released order", lambda names=names: theirs(names), cells),  # type: ignore[misc]
                    ("one pass", lambda names=names: ours(names), 10 * cells),  # type: ignore[misc]
                ]
                rounds.append({key: _spent(run) / count for key, run, count in (order if number % 2 else order[::-1])})
                print(label, rounds[-1], flush=True)
            ratios = [one["released order"] / one["one pass"] for one in rounds]
            found[label] = {"processor_seconds_a_cell": rounds, "ratios": ratios, "median": median(ratios)}
    return found


def _spent(run: Callable[[], Iterator[None]]) -> float:
    begun = time.process_time()
    for _ in run():
        pass
    return time.process_time() - begun


def _by_numpy(record: Any) -> float:
    """Scores hidden covariance as the released code does: eigenvalues of the correlation, by numpy in float64."""
    hidden = record.hidden[0].permute(2, 1, 0)
    rows = hidden.reshape(hidden.shape[0], -1).numpy()
    with np.errstate(all="ignore"):
        correlation = np.nan_to_num(np.corrcoef(rows))
    values = np.linalg.eig(correlation)[0] + 1e-5
    return float(-np.sum(np.log(np.abs(values)) + 1 / values))


class _Named:
    """An architecture of nothing but a key."""

    def __init__(self, number: int) -> None:
        self.key = f"none-{number:020d}"

    def to_json(self) -> dict[str, Any]:
        return {"node_0": {"op": "linear", "input": ["x", "h_prev_0"]}}


class _Counting:
    """Asks for numbers."""

    name = "counting"

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, n: int, left: Any) -> list[Trial]:
        count = min(n, int(left[PROXIES]))
        self.asked += count
        return [Trial(_Named(i)) for i in range(self.asked - count, self.asked)]

    def tell(self, results: Sequence[Result]) -> None: ...


class _Nothing:
    """Answers at once."""

    labels = ("nothing",)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        for place, trial in enumerate(trials):
            yield place, Evaluation(trial.key, {"nothing": Score(1.0)}, 0.0, {"pass": 0.0, "nothing": 0.0})


def _engine(count: int = 100_000) -> dict[str, Any]:
    rounds = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), {}) as journal:
            begun = time.process_time()
            search(_Counting(), {PROXIES: _Nothing()}, journal, {PROXIES: count}, 512)
            rounds.append((time.process_time() - begun) / count * 1e3)
            print("engine", rounds[-1], flush=True)
    return {"evaluations": count, "milliseconds": rounds, "median": median(rounds)}


def _cluster(draws: int = 16_384) -> dict[str, Any]:
    pairs = []
    ray = RayExecutor(2)
    for number in range(4):
        overrides = (f"seed={number}",)
        order: list[tuple[str, Executor]] = [("local", LocalExecutor(2)), ("ray", ray)]
        times = {
            name: _rate(executor, overrides, draws, CHUNK) for name, executor in (order if number % 2 else order[::-1])
        }
        pairs.append([times["local"], times["ray"]])
        print("cluster", times, times["ray"] / times["local"], flush=True)
    ratios = [b / a for a, b in pairs]
    return {"seconds_a_draw": pairs, "ratios": ratios, "median": median(ratios)}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "million": _million,
    "workers": _workers,
    "order": _order,
    "engine": _engine,
    "cluster": _cluster,
}


def main() -> None:
    """Measures what is named, or all, and writes results/speed.json."""
    parts = named(PARTS, "part")
    kept = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    for part in parts:
        kept[part] = {**PARTS[part](), "versions": versions()}
        write_json(RESULT, {name: kept[name] for name in PARTS if name in kept})
        print(part, json.dumps({key: value for key, value in kept[part].items() if key != "versions"})[:600])


if __name__ == "__main__":
    sys.exit(guarded(main))
