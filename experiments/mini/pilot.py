"""``python -m experiments.mini.pilot``: trains cells that NAS-Bench-NLP also holds under several protocols.

It answers which protocol's losses agree best with that benchmark's, at what cost. The cells are of the half whose keys
hash to an even number, so that agreement on the other half stays untouched by the choice.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from experiments.paper.tables import save
from nas import benchmarks, judge
from nas.benchmarks import Entry
from nas.cli import guarded
from nas.report.files import versions
from nas.train import protocol as protocols
from nas.train.protocol import Protocol
from nas.train.table import Job, train_all

__all__ = ["VARIANTS", "even", "main", "pilot_entries"]

RESULTS = Path(__file__).parent / "results"

WORKERS = 2
#: name -> what differs from the protocol ``mini_rnn``
VARIANTS: dict[str, dict[str, Any]] = {
    "chosen": {},
    "10,000 words, 16 streams": {"vocabulary": 10_000, "cutoffs": [1_000, 4_000], "batch": 16},
}
CELLS = 40


def even(key: str) -> bool:
    """Whether a key is of the half that choices are made on."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 0


def pilot_entries(count: int = CELLS) -> list[Entry]:
    """Returns cells of the even half, evenly spread over their rank by loss."""
    entries = sorted((e for e in benchmarks.get("nas_bench_nlp").entries if even(e.key)), key=lambda e: e.value)
    return [entries[round((i + 0.5) * len(entries) / count)] for i in range(count)]


def main() -> None:
    """Trains what is missing and writes results/pilot.json."""
    entries = pilot_entries()
    tried: dict[str, Protocol] = {name: protocols.get("mini_rnn", **changes) for name, changes in VARIANTS.items()}
    wanted = sys.argv[1:] or list(tried)
    journal = Path("runs") / "mini" / "pilot.jsonl"
    data: dict[str, Any] = {"cells": [e.key for e in entries], "protocols": {}}
    for name in wanted:
        protocol = tried[name]
        jobs = [Job(e.architecture, protocol, protocol.seeds[0]) for e in entries]
        records = train_all(jobs, None, journal, WORKERS, report=lambda a, b, r: print(a, b, r["value"], flush=True))
        data["protocols"][name] = found = _judged(entries, records, protocol)
        print(name, found["tau"], found["tau by updates"], found["seconds, median"], flush=True)
    save(RESULTS / "pilot.json", {**data, "versions": versions()})


def _judged(entries: list[Entry], records: list[dict[str, Any]], protocol: Protocol) -> dict[str, Any]:
    pairs = [(r["value"], e.value) for r, e in zip(records, entries, strict=True) if r["value"] is not None]
    by_step = {}
    for index, (step, _) in enumerate(records[0]["curve"]):
        at = [(r["curve"][index][1], e.value) for r, e in zip(records, entries, strict=True) if r["value"] is not None]
        by_step[str(step)] = judge.kendall([a for a, _ in at], [b for _, b in at])
    seconds = sorted(r["seconds"] for r in records)
    agreement = judge.agreement([-a for a, _ in pairs], [-b for _, b in pairs])
    assert agreement is not None
    return {
        "protocol": protocol.to_json(),
        "hash": protocol.hash,
        "tau": agreement.tau,
        "tau, 95% interval": list(agreement.tau_interval),
        "tau by updates": by_step,
        "finite": len(pairs),
        "seconds, median": seconds[len(seconds) // 2],
        "values": {r["key"]: r["value"] for r in records},
    }


if __name__ == "__main__":
    sys.exit(guarded(main))
