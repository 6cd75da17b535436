"""``python -m zeronas_stack.make_table``: trains 24 stacks and writes the table."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path

import numpy as np

import spaces
from nas.core.files import versions, write_csv, write_json
from nas.truth.benchmarks.mini import COLUMNS
from nas.truth.train.corpus import docstrings
from nas.truth.train.table import Job, train_all
from zeronas_stack.table import StackTable

ARCHITECTURES = 24


def main() -> None:
    """Trains and writes the table."""
    space, rng = spaces.get(StackTable.space), np.random.default_rng(0)
    protocol = space.own_protocol
    stacks = {stack.key: stack for stack in space.known.values()}
    while len(stacks) < ARCHITECTURES:
        stack = space.sample(rng)
        stacks.setdefault(stack.key, stack)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(stack, protocol, protocol.seeds[0]) for stack in stacks.values()]
        records = train_all(jobs, None, Path(folder) / "trainings.jsonl")
    rows = []
    for record in records:
        curve = " ".join(f"{step}:{value:.4f}" for step, value in record["curve"])
        loss = "" if record["value"] is None else f"{record['value']:.6f}"
        numbers = [f"{record['seconds']:.1f}", record["parameters"], record["skipped"]]
        architecture = space.format(stacks[record["key"]])
        rows.append([record["key"], record["seed"], loss, record["reason"], *numbers, curve, architecture])
    corpus = docstrings(protocol.vocabulary)
    folder_of = StackTable().folder
    folder_of.mkdir(exist_ok=True)
    write_csv(folder_of / f"{StackTable.name}.csv", COLUMNS, rows)
    sheet = {
        "title": f"{len(rows)} stacks of recurrent layers as very small word-level language models",
        "date": datetime.date.today().isoformat(),
        "protocol_hash": protocol.hash,
        "corpus": {"fingerprint": corpus.fingerprint, "made_of": corpus.made_of},
        "versions": versions(),
        "agreement": None,
        "notes": ["Made for the tests of zeronas: 120 updates tell stacks apart, and nothing more."],
    }
    write_json(folder_of / f"{StackTable.name}.json", sheet)


if __name__ == "__main__":
    main()
