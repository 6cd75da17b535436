"""``python -m experiments.scale.cells``: what a cell costs, part by part, one by one and many in one pass.

Times are processor time of one thread. Both ways take turns on the same cells, and in going first, as a plan is
compiled once; so what else a machine does meets both. The least of the rounds is what a part takes undisturbed, the
median what it took. Probe micro, hidden covariance, random draws. The score one by one is that of the eigenvalues.
"All in" is what a random search does with one worker: it draws, makes keys, scores and writes the journal.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import proxies
import spaces
from experiments.guard import guarded
from nas.core import seeds
from nas.core.files import versions, write_json
from nas.core.workers import one_thread
from nas.engine.evaluate import Scorer
from nas.engine.journal import Journal
from nas.engine.pools import SpacePool
from nas.search.random import RandomSearch
from proxies.base import ProxyFailure
from proxies.covariance import correlation_eigenvalues
from spaces.record import Needs, Record, StackingProbe

__all__ = ["main", "measure"]

#: cells of a round, and rounds
CELLS, ROUNDS = 256, 8


def measure(cells: int = CELLS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Returns milliseconds a cell by part: {"least": {...}, "median": {...}}, with the ratios of alone to together."""
    space = spaces.get("rnn")
    probe = space.make_probe({"stacked": True})
    assert isinstance(probe, StackingProbe)
    proxy = proxies.get("hidden_covariance", "rnn")
    needs = Needs.union([proxy])
    size = probe.together(needs)
    times: dict[str, list[float]] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        times.setdefault(part, []).append((time.process_time() - begun) / cells * 1e3)

    with one_thread(), tempfile.TemporaryDirectory() as folder:
        scorer = Scorer(space, probe, {"hidden_covariance": proxy}, 0)
        scorer.together([space.sample(seeds.generator(0, "warm", i)) for i in range(size)])
        for number in range(rounds):
            with timed("stream"):
                rngs = [seeds.generator(number, "scale", i) for i in range(cells)]
            with timed("draw"):
                drawn = [space.sample(rng) for rng in rngs]
            with timed("key"):
                for cell in drawn:
                    _ = cell.key
            with timed("mutate, key included"):
                for cell, rng in zip(drawn, rngs, strict=True):
                    space.mutate(cell, rng)
            parts = [drawn[i : i + size] for i in range(0, cells, size)]
            alone: list[Record] = []
            together: list[list[Record]] = []
            for way in ("alone", "together") if number % 2 else ("together", "alone"):
                with timed(f"pass {way}"):
                    if way == "alone":
                        alone = [probe.observe(space, cell, needs, 0) for cell in drawn]
                    else:
                        together = [probe.observe_many(space, part, needs, 0) for part in parts]
            with timed("score alone"):
                for record in alone:
                    _by_eigenvalues(record)
            with timed("score together"):
                for records in together:
                    proxy.score_many(records)
            answers = [answer for part in parts for answer in scorer.together(part)]
            with Journal(Path(folder) / f"parts-{number}", {"round": number}) as journal, timed("journal"):
                for answer, cell in zip(answers, drawn, strict=True):
                    journal.add(answer, cell)
            with Journal(Path(folder) / f"whole-{number}", {"round": number}) as journal, timed("all in"):
                _whole(scorer, number, cells, journal)
    found: dict[str, Any] = {"cells": cells, "rounds": rounds, "together": size}
    for name, of in (("least", min), ("median", median)):
        found[name] = {part: round(of(values), 4) for part, values in times.items()}
    found["ratio"] = {
        part: round(median(a / b for a, b in zip(times[f"{part} alone"], times[f"{part} together"], strict=True)), 2)
        for part in ("pass", "score")
    }
    return {**found, "versions": versions()}


def _by_eigenvalues(record: Record) -> float | None:
    hidden = record.hidden[0]
    rows = hidden.permute(2, 1, 0).reshape(hidden.shape[2], -1)  # (T, B, d) -> (d, B*T)
    try:
        eigenvalues = correlation_eigenvalues(rows, "hidden states", "constant units") + 1e-5
    except ProxyFailure:
        return None
    return float(-(eigenvalues.log() + 1 / eigenvalues).sum())


def _whole(scorer: Scorer, seed: int, cells: int, journal: Journal) -> None:
    """Draws, scores and writes cells as a random search with one worker does."""
    searcher = RandomSearch(SpacePool(scorer.space), seed)
    for _ in range(0, cells, scorer.size):
        asked = searcher.ask(scorer.size, {"proxies": scorer.size})
        for trial, answer in zip(asked, scorer.together([trial.architecture for trial in asked]), strict=True):
            journal.add(answer, trial.architecture)


def main() -> None:
    """Measures and writes results/cells.json."""
    found = measure()
    path = Path(__file__).parent / "results" / "cells.json"
    write_json(path, found)
    print(json.dumps({key: found[key] for key in ("least", "median", "ratio")}, indent=1))


if __name__ == "__main__":
    sys.exit(guarded(main))
