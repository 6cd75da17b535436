"""``python -m experiments.mini.pilot``: trains cells that NAS-Bench-NLP also holds under several protocols.

It answers which protocol's losses agree best with that benchmark's, at what cost. The cells are of the half whose keys
hash to an even number, so that agreement on the other half stays untouched by the choice. Names of ``VARIANTS`` as
arguments train and judge only these; what results/pilot.json holds of the others stays. The trainings are kept beside
it, in results/pilot.jsonl, so that a protocol that takes hours can be gone on with anywhere.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.guard import guarded, named
from experiments.paper.tables import save, saved
from nas import judge
from nas.core import seeds
from nas.core.files import versions
from nas.truth import benchmarks
from nas.truth.benchmarks import Entry
from nas.truth.train import protocol as protocols
from nas.truth.train.protocol import Protocol
from nas.truth.train.table import Job, train_all

__all__ = ["VARIANTS", "even", "main", "pilot_entries"]

RESULTS = Path(__file__).parent / "results"

WORKERS = 2
#: name -> what differs from the protocol ``mini_rnn``
VARIANTS: dict[str, dict[str, Any]] = {
    "chosen": {},
    "10,000 words, 16 streams": {"vocabulary": 10_000, "cutoffs": [1_000, 4_000], "batch": 16},
    "drop-out .25, weight drop .5": {"dropout": 0.25, "weight_drop": 0.5},
    "2,000 updates": {"steps": 2_000},
    "128 units": {"embedding": 128, "hidden": [128, 128]},
    "4,000 updates": {"steps": 4_000},
    "5,000 words": {"vocabulary": 5_000, "cutoffs": [1_000, 2_500]},
    "three layers": {"hidden": [64, 64, 64]},
}
CELLS = 40


def even(key: str) -> bool:
    """Whether a key is of the half that the pilot's choice of a protocol is made on.

    It depends on the last bit of the key's SHA-256. ``nas.judge.reduction.half`` splits by the first hexadecimal digit:
    the two halves are different ones, and independent of each other.
    """
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 0


def pilot_entries(count: int = CELLS) -> list[Entry]:
    """Returns cells of the even half, evenly spread over their rank by loss."""
    entries = sorted((e for e in benchmarks.get("nas_bench_nlp").entries if even(e.key)), key=lambda e: e.value)
    return [entries[round((i + 0.5) * len(entries) / count)] for i in range(count)]


def main() -> None:
    """Trains what is missing and writes results/pilot.json."""
    entries = pilot_entries()
    tried: dict[str, Protocol] = {name: protocols.get("mini_rnn", **changes) for name, changes in VARIANTS.items()}
    wanted = named(tried, "protocol of the pilot")
    journal, path = RESULTS / "pilot.jsonl", RESULTS / "pilot.json"
    cells = [e.key for e in entries]
    before = saved(path)
    found = before["protocols"] if before.get("cells") == cells else {}
    for name in wanted:
        protocol = tried[name]
        jobs = [Job(e.architecture, protocol, protocol.seeds[0]) for e in entries]
        records = train_all(jobs, None, journal, WORKERS, report=lambda a, b, r: print(a, b, r["value"], flush=True))
        found[name] = one = _judged(entries, records, protocol)
        print(name, one["tau"], one["tau by updates"], one["seconds, median"], flush=True)
    truth = {e.key: e.value for e in entries}
    for name in found:
        found[name]["beside the chosen"] = _beside(found["chosen"]["values"], found[name]["values"], truth)
    ordered = {name: found[name] for name in tried if name in found}
    save(path, {"cells": cells, "protocols": ordered, "versions": versions()})


def _judged(entries: list[Entry], records: list[dict[str, Any]], protocol: Protocol) -> dict[str, Any]:
    pairs = [(r["value"], e.value) for r, e in zip(records, entries, strict=True) if r["value"] is not None]
    curves = [(dict(r["curve"]), e.value) for r, e in zip(records, entries, strict=True)]
    by_step = {}
    for step in filter(protocol.evaluated, range(1, protocol.steps + 1)):
        at = [(curve[step], value) for curve, value in curves if step in curve]  # a loss that was not finite is not
        by_step[str(step)] = judge.kendall([a for a, _ in at], [b for _, b in at])
    seconds = sorted(r["seconds"] for r in records)
    agreement = judge.agreement([-a for a, _ in pairs], [-b for _, b in pairs])
    assert agreement is not None
    return {
        "protocol": protocol.to_json(),
        "hash": protocol.hash,
        "tau": agreement.tau,
        "tau_interval": list(agreement.tau_interval),
        "tau by updates": by_step,
        "finite": len(pairs),
        "seconds, median": seconds[len(seconds) // 2],
        "values": {r["key"]: r["value"] for r in records},
    }


def _beside(
    chosen: dict[str, float | None], other: dict[str, float | None], truth: dict[str, float], resamples: int = 2_000
) -> dict[str, Any]:
    """By how much another protocol's tau is above the chosen one's, over the cells that both trained to an end."""
    keys = [key for key in truth if chosen[key] is not None and other[key] is not None]
    columns = np.array([[chosen[key], other[key], truth[key]] for key in keys], dtype=float)

    def difference(rows: np.ndarray) -> tuple[float]:
        return (judge.kendall(rows[:, 1], rows[:, 2]) - judge.kendall(rows[:, 0], rows[:, 2]),)

    [found] = judge.bootstrap(difference, columns, resamples, seeds.generator(0, "pilot", len(keys)))
    return {"cells": len(keys), "tau": difference(columns)[0], "tau_interval": list(found)}


if __name__ == "__main__":
    sys.exit(guarded(main))
