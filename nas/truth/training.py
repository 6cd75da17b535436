"""Truth by training: what a table lacks is trained under the table's own protocol, once, and kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.truth.benchmarks import Entry, MiniTable, Run
from nas.truth.train.table import Job, train_all

__all__ = ["corpus_note", "train_missing"]


def train_missing(benchmark: MiniTable, architectures: Sequence[Any], root: Path, workers: int) -> dict[str, str]:
    """Trains architectures that the table does not know and adds them to ``benchmark.trained``.

    Trainings are kept under ``root``, one line each, in a file for each protocol and corpus, and never done twice. The
    seed is that of the table's first trainings.

    Returns:
        Key -> reason, of those that diverged, here or in the table.

    Raises:
        ZeronasError: the journal there is damaged or in use, or cannot be written.
    """
    failed = {a.key: benchmark.diverged[a.key].reason for a in architectures if a.key in benchmark.diverged}
    missing = [a for a in dict.fromkeys(architectures) if benchmark.lookup(a) is None and a.key not in failed]
    if not missing:
        return failed
    from nas.truth.train.corpus import docstrings

    protocol = benchmark.protocol
    jobs = [Job(architecture, protocol, protocol.seeds[0]) for architecture in missing]
    fingerprint = docstrings(protocol.vocabulary).fingerprint
    path = root / "trained" / f"{benchmark.name}-{protocol.hash}-{fingerprint[:12]}.jsonl"

    def report(done: int, wanted: int, record: dict[str, Any]) -> None:
        value = record["reason"] or f"{record['value']:.4f} {benchmark.unit}"
        print(f"trained {done} of {wanted}: {record['key']} {value}, {record['seconds']:.0f} s", file=sys.stderr)

    print(f"training {len(missing)} candidates under the protocol {benchmark.protocol_name}", file=sys.stderr)
    records = train_all(jobs, None, path, min(workers, len(jobs)), report)
    for job, record in zip(jobs, records, strict=True):
        key = job.architecture.key
        if record["value"] is None:
            failed[key] = record["reason"]
        else:
            run = Run(f"trained here, seed {record['seed']}", record["value"])
            benchmark.trained[key] = Entry(key, job.architecture, record["value"], (run,))
    return failed


def corpus_note(benchmark: MiniTable) -> str:
    """Returns a warning where the text here is not the text the table was trained on, else ""."""
    from nas.truth.train.corpus import docstrings

    corpus = docstrings(benchmark.protocol.vocabulary)
    then = benchmark.sheet["corpus"]
    if corpus.fingerprint == then["fingerprint"]:
        return ""
    changed = [
        f"{k} {v} instead of {then['made_of'].get(k)}" for k, v in corpus.made_of.items() if v != then["made_of"].get(k)
    ]
    return (
        f"The default corpus here is not the one that {benchmark.name} was trained on "
        f"({', '.join(changed) or 'same versions, other sources'}): losses trained here are of another text, so rank, "
        "percentile and regret among the table's are only rough. Install with constraints.txt to compare exactly."
    )
