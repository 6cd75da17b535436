"""``python -m experiments.mini.tables [TABLE] [workers=2]``: trains what the tables lack, and writes them.

Every finished training is a line of ``runs/mini/TABLE.jsonl``, so an interrupted run goes on where it was. A table can
be written at any time (``write``): it then holds what is finished. ``retrain`` trains two architectures of each table
again and says how far they are from it, and how far one training is from another.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import spaces
from experiments.guard import guarded
from experiments.mini.pilot import even
from nas import judge
from nas.core import seeds
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.files import versions, write_csv, write_json
from nas.core.lines import append_shared
from nas.judge.noise import Noise, retest
from nas.truth import benchmarks
from nas.truth.benchmarks.mini import COLUMNS, TABLES
from nas.truth.benchmarks.recipes import published_seeds
from nas.truth.train import protocol as protocols
from nas.truth.train.corpus import docstrings
from nas.truth.train.table import Job, read_lines, train_all
from spaces.rnn.generator import NAMED_CELLS, generate, named_cell

__all__ = ["Again", "bert_configurations", "jobs", "main", "recall", "rnn_cells", "write"]

RNN_CELLS = 300
BERT_CONFIGURATIONS = 150
FIRST = 150  # architectures trained before any of them is trained again
REPEATED = 30
JOURNALS = Path("runs") / "mini"
#: so many standard deviations of the difference of two trainings may lie between a training and its repetition
_ALLOWED = 3.0
#: half of a normal distribution's 95% interval, in standard deviations
_HALF_OF_95 = 1.96

_PROMISE = (
    "Trained again on the same kind of processor (one that has the same vector instructions) with the versions "
    "recorded here, a loss is the same to the bit; another kind rounds otherwise, which a thousand updates turn into a "
    "difference within the noise of one training. `python -m experiments.mini.tables retrain` prints both."
)

Known = Mapping[tuple[str, str, int], dict[str, Any]]


def rnn_cells(count: int = RNN_CELLS) -> list[Any]:
    """Returns RNN, LSTM, GRU and ``count`` unique generated cells, of one, two and three hidden states in turn.

    They come from the generator's seeds in the order of NAS-Bench-NLP, so most of them are in that benchmark too.
    """
    cells = {cell.key: cell for cell in map(named_cell, NAMED_CELLS)}
    lists = published_seeds()
    sources = [iter(lists[states]) for states in (1, 2, 3)]
    for states in itertools.cycle((1, 2, 3)):
        if len(cells) == count + len(NAMED_CELLS):
            return list(cells.values())
        size = len(cells)
        while len(cells) == size:
            cell = generate(next(sources[states - 1]), states)
            assert cell is not None
            cells.setdefault(cell.key, cell)
    raise AssertionError


def bert_configurations(count: int = BERT_CONFIGURATIONS) -> list[Any]:
    """Returns unique configurations drawn uniformly."""
    space = spaces.get("bert")
    found: dict[str, Any] = {}
    for index in itertools.count():
        if len(found) == count:
            break
        configuration = space.sample(seeds.generator(0, "mini_bert", index))
        found.setdefault(configuration.key, configuration)
    return list(found.values())


_ARCHITECTURES: dict[str, Callable[[], list[Any]]] = {"mini_rnn": rnn_cells, "mini_bert": bert_configurations}


def jobs(table: str, known: Known | None = None) -> list[Job]:
    """Returns the trainings of a table: 150 of it once, then thirty of those with two more seeds, then the rest once.

    So a table that is not complete knows its noise all the same. The thirty are spread evenly over those of the 150
    that have a value; which they are is known, and they are in the list, once the 150 are trained.

    Args:
        known: the trainings there are, by job id.
    """
    architectures = _ARCHITECTURES[table]()
    protocol = protocols.get(table)
    first, *others = protocol.seeds
    once = [Job(a, protocol, first) for a in architectures]
    begun, rest = once[:FIRST], once[FIRST:]
    records = [(known or {}).get(job.id) for job in begun]
    again: list[Job] = []
    if all(record is not None for record in records):
        pairs = zip(begun, records, strict=True)
        valid = [job.architecture for job, record in pairs if record and record["value"] is not None]
        count = min(REPEATED, len(valid))
        chosen = [valid[i * len(valid) // count] for i in range(count)]
        again = [Job(architecture, protocol, seed) for seed in others for architecture in chosen]
    return begun + again + rest


def wanted(table: str) -> int:
    """Returns how many trainings the complete table has, if thirty of its first 150 have a value."""
    return len(_ARCHITECTURES[table]()) + REPEATED * (len(protocols.get(table).seeds) - 1)


def write(table: str) -> dict[str, Any]:
    """Writes the table's CSV and datasheet from what is finished, and returns the datasheet.

    Raises:
        ZeronasError: nothing is finished.
    """
    known = read_lines(JOURNALS / f"{table}.jsonl")
    done = [(job, known[job.id]) for job in jobs(table, known) if job.id in known]
    if not done:
        raise ZeronasError(f"No training of '{table}' is finished; run `python -m experiments.mini.tables {table}`.")
    rows = [
        [
            job.architecture.key,
            job.seed,
            record["value"],
            record["reason"],
            round(record["seconds"], 1),
            record["parameters"],
            record["skipped"],
            " ".join(f"{step}:{value:.4f}" for step, value in record["curve"]),
            json.dumps(job.architecture.to_json(), separators=(",", ":")),
        ]
        for job, record in done
    ]
    TABLES.mkdir(exist_ok=True)
    write_csv(TABLES / f"{table}.csv", COLUMNS, rows)
    sheet = _sheet(table, done)
    write_json(TABLES / f"{table}.json", sheet)
    return sheet


def recall(table: str) -> None:
    """Puts the trainings of a written table into its journal where they are not there, so that none is done again."""
    path = JOURNALS / f"{table}.jsonl"
    if not (TABLES / f"{table}.json").exists():
        return
    sheet = json.loads((TABLES / f"{table}.json").read_text(encoding="utf-8"))
    if sheet["protocol_hash"] != protocols.get(table).hash:
        return  # a table of another protocol
    if sheet["corpus"]["fingerprint"] != docstrings(protocols.get(table).vocabulary).fingerprint:
        raise ZeronasError(
            f"The table '{table}' was trained on the docstrings of "
            f"{', '.join(f'{k} {v}' for k, v in sheet['corpus']['made_of'].items())}; install with constraints.txt."
        )
    known, missing = read_lines(path), []
    with (TABLES / f"{table}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["key"], sheet["protocol_hash"], int(row["seed"])) in known:
                continue
            record = {
                "protocol": sheet["protocol_hash"],
                "corpus": sheet["corpus"]["fingerprint"],
                "key": row["key"],
                "seed": int(row["seed"]),
                "value": float(row["loss"]) if row["loss"] else None,
                "reason": row["reason"],
                "curve": [[int(a), float(b)] for a, b in (point.split(":") for point in row["curve"].split())],
                "seconds": float(row["seconds"]),
                "parameters": int(row["parameters"]),
                "skipped": int(row["skipped"]),
            }
            missing.append(record)
    append_shared(path, *missing)


def _sheet(table: str, done: Sequence[tuple[Job, dict[str, Any]]]) -> dict[str, Any]:
    protocol = protocols.get(table)
    corpus = docstrings(protocol.vocabulary)
    prints = {record["corpus"] for _, record in done}
    if prints != {corpus.fingerprint}:
        raise ZeronasError(
            f"The trainings of '{table}' are of the corpus {', '.join(sorted(p[:12] for p in prints))}, but here it is "
            f"{corpus.fingerprint[:12]}; install with constraints.txt."
        )
    total = wanted(table)
    values = {(job.architecture.key, job.seed): r["value"] for job, r in done if r["value"] is not None}
    again = _retested(done)
    seconds = [r["seconds"] for _, r in done if r["value"] is not None]
    reasons = Counter(r["reason"].partition(":")[0] for _, r in done if r["value"] is None)
    agreement = _agreement(values, protocol.seeds[0]) if table == "mini_rnn" else None
    kind = "word-level language models" if table == "mini_rnn" else "masked language models, stated reading"
    return {
        "title": f"{table}: {kind} trained by zeronas",
        "protocol": protocol.to_json(),
        "protocol_hash": protocol.hash,
        "corpus": {
            "fingerprint": corpus.fingerprint,
            "made_of": corpus.made_of,
            "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        },
        "wanted": total,
        "finished": len(done),
        "architectures": len({key for key, _ in values}),
        "failures": reasons,
        "retest": again,
        "agreement": agreement,
        "seconds": {"median": float(np.median(seconds)), "total": float(np.sum(seconds))},
        "command": f"python -m experiments.mini.tables {table}",
        "versions": versions(),
        "date": _date(table, protocol.hash, len(done)),
        "notes": _notes(protocol, total, len(done), again, agreement, seconds),
    }


def _date(table: str, protocol: str, finished: int) -> str:
    """Returns the day of the last training: today, or that of the written table where this one has no more."""
    path = TABLES / f"{table}.json"
    if path.exists():
        sheet = json.loads(path.read_text(encoding="utf-8"))
        if (sheet["protocol_hash"], sheet["finished"]) == (protocol, finished):
            return str(sheet["date"])
    return datetime.date.today().isoformat()


def _retested(done: Sequence[tuple[Job, dict[str, Any]]]) -> dict[str, Any]:
    """How the trainings of different seeds agree, over the architectures trained with more than one."""
    results: dict[str, list[float | None]] = {}
    for job, record in done:
        results.setdefault(job.architecture.key, []).append(None if record["value"] is None else -record["value"])
    return vars(retest(list(results.values()), fewest=3))


def _agreement(values: dict[tuple[str, int], float], first: int) -> dict[str, Any] | None:
    """Kendall tau with NAS-Bench-NLP over the shared cells, and over those that no choice was made on."""
    public = benchmarks.get("nas_bench_nlp")
    if not public.at_hand:
        return None
    entries = public.by_key
    pairs = [
        (key, value, entries[key].value) for (key, seed), value in values.items() if seed == first and key in entries
    ]
    found: dict[str, Any] = {"benchmark": "nas_bench_nlp"}
    for name, kept in (("shared", pairs), ("shared, not of the pilot's half", [p for p in pairs if not even(p[0])])):
        judged = judge.agreement([-a for _, a, _ in kept], [-b for _, _, b in kept])
        found[name] = {"cells": len(kept), **({} if judged is None else vars(judged))}
    return found


def _notes(
    protocol: Any, wanted: int, done: int, again: dict[str, Any], agreement: Any, seconds: Sequence[float]
) -> list[str]:
    notes = [
        f"Protocol {protocol.name} ({protocol.hash}): {protocol.steps:,} updates of {protocol.batch} x "
        f"{protocol.sequence} tokens of the packages' docstrings; median {np.median(seconds):.0f} s on one core.",
    ]
    if done < wanted:
        notes.append(f"Not complete: {done} of {wanted} trainings are finished.")
    notes.append(_PROMISE)
    if again["tau"] is not None:
        notes.append(
            f"Retest agreement: tau {again['tau']:.3f} between trainings of other seeds ({again['architectures']} of "
            f"the {again['repeated']} architectures that were trained more than once)."
        )
    if again["diverged"]:
        notes.append(
            f"{again['diverged']} of the {again['repeated']} repeated architectures, all of which had trained once, "
            f"diverged under another seed ({again['trainings_diverged']} of {again['trainings']} trainings); with "
            f"these tied last the retest agreement is {again['tau_all']:.3f}."
        )
    rest = agreement["shared, not of the pilot's half"] if agreement else {}
    if rest.get("tau") is not None:
        notes.append(
            f"Agreement with NAS-Bench-NLP: tau {agreement['shared']['tau']:.3f} over {agreement['shared']['cells']} "
            f"shared cells ({rest['tau']:.3f} over the {rest['cells']} that the protocol was not chosen on): a "
            "test-bed with a truth of its own, not a stand-in for that benchmark."
        )
    return notes


@dataclass(frozen=True)
class Again:
    """One training repeated.

    Attributes:
        before, now: its loss in the table and here, nats per token; NaN where it diverged here.
        noise: standard deviation of one training at that loss, or None where the table does not know it.
    """

    key: str
    before: float
    now: float
    noise: float | None

    @property
    def allowed(self) -> float:
        """The largest difference that noise explains.

        Another processor rounds otherwise, and in the worst case the two trainings then have no more in common than
        those of two seeds: their difference has sqrt(2) times the noise of one. Three standard deviations of that are
        passed once in 370 trainings if it is normal; those of one seed lie far nearer (differences seen: below a fifth
        of one). Where the noise is not known, only equal losses will do.
        """
        return 0.0 if self.noise is None else _ALLOWED * math.sqrt(2) * self.noise

    @property
    def holds(self) -> bool:
        """Whether the difference is within it; one that diverged here is not."""
        return abs(self.before - self.now) <= self.allowed

    def __str__(self) -> str:
        difference = abs(self.before - self.now)
        found = f"{self.key}: table {self.before:.6f}, again {self.now:.6f}, "
        if difference == 0:
            return f"{found}equal to the bit"
        if self.noise is None:
            return f"{found}difference {difference:.1e} nats; the table does not know its noise"
        share = difference / (math.sqrt(2) * self.noise)
        return (
            f"{found}difference {difference:.1e} nats, {share:.2g} standard deviations of the difference of two "
            f"trainings (noise of one at this loss: {self.noise:.1e} nats)"
        )


def retrain(table: str) -> list[Again]:
    """Trains two architectures of a table again."""
    benchmark = benchmarks.get(table)
    assert isinstance(benchmark, benchmarks.MiniTable)
    first = benchmark.protocol.seeds[0]
    rows = [row for row in benchmark.trainings if row["loss"] and row["seed"] == str(first)]
    picked = [rows[len(rows) // 3], rows[2 * len(rows) // 3]]
    again = [Job(benchmark.by_key[row["key"]].architecture, benchmark.protocol, first) for row in picked]
    path = JOURNALS / f"retrained-{table}.jsonl"
    path.unlink(missing_ok=True)
    records = train_all(again, None, path)
    values = [math.nan if record["value"] is None else record["value"] for record in records]
    return [
        Again(row["key"], float(row["loss"]), value, _noise(benchmark, float(row["loss"])))
        for row, value in zip(picked, values, strict=True)
    ]


def _noise(benchmark: benchmarks.Benchmark, value: float) -> float | None:
    """Returns the standard deviation of one training near a value: 95% of them lie within 1.96 of it."""
    reach = Noise(benchmark).reach(value)
    return None if reach is None else reach / _HALF_OF_95


def main() -> None:
    """Trains what is missing, then writes the tables; ``write`` only writes, ``retrain`` checks.

    Raises:
        ZeronasError: unknown argument.
    """
    arguments = sys.argv[1:]
    workers = 1
    chosen, only = [], ""
    for argument in arguments:
        if argument.startswith("workers=") and argument[8:].isdigit() and int(argument[8:]):
            workers = int(argument[8:])
        elif argument in ("write", "retrain"):
            only = argument
        elif argument in _ARCHITECTURES:
            chosen.append(argument)
        else:
            accepted = [*_ARCHITECTURES, "workers=2", "write", "retrain"]
            raise ZeronasError(f"Unknown argument '{argument}'.{did_you_mean(argument, accepted)}")
    differ: list[str] = []
    for table in chosen or list(_ARCHITECTURES):
        if only == "retrain":
            for again in retrain(table):
                print(f"{table} {again}")
                if not again.holds:
                    differ.append(again.key)
            continue
        if not only:
            recall(table)
            path = JOURNALS / f"{table}.jsonl"
            train_all(jobs(table)[:FIRST], None, path, workers, _told)
            train_all(jobs(table, read_lines(path)), None, path, workers, _told)
        sheet = write(table)
        print(f"{table}: {sheet['finished']} of {sheet['wanted']} trainings; {' '.join(sheet['notes'])}")
    if differ:
        raise ZeronasError(
            f"{', '.join(differ)}: trained again the loss differs by more than noise explains ({_ALLOWED:g} standard "
            "deviations of the difference of two trainings); it may with other versions than constraints.txt."
        )


def _told(done: int, wanted: int, record: dict[str, Any]) -> None:
    value = record["reason"] or f"{record['value']:.4f}"
    print(f"{done}/{wanted} {record['key']} seed {record['seed']} {value} {record['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
