"""Many trainings by several processes: one JSON line each, written when it is finished, and never lost."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.dispatch import Crew, dispatched
from nas.core.errors import ZeronasError
from nas.core.executors import Executor, LocalExecutor
from nas.core.folders import made_folder
from nas.core.lines import append_shared, lock, whole_lines
from nas.core.workers import OUT_OF_MEMORY, TRANSIENT, out_of_memory
from nas.truth.train.protocol import Protocol
from nas.truth.train.running import FOLDER, Note

__all__ = ["Job", "JobId", "Record", "read_lines", "train_all", "trained", "value_at"]

_AS_LONG_AS_IT_TAKES = 1e9

JobId = tuple[str, str, int]
#: ``Training.to_json()`` with the protocol's hash and the corpus' fingerprint, and how many updates it had if not all
Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One training wanted: an architecture under a protocol with a seed.

    Attributes:
        updates: stop after so many updates, an evaluated number of them; None: after all.
    """

    architecture: Any
    protocol: Protocol
    seed: int
    updates: int | None = None

    @property
    def id(self) -> JobId:
        """What makes two jobs parts of one training."""
        return self.architecture.key, self.protocol.hash, self.seed


def read_lines(path: Path) -> dict[JobId, Record]:
    """Returns job id -> record of a journal, the last of several; a last line without its end is not there.

    Raises:
        ZeronasError: a line is no record.
    """
    found: dict[JobId, Record] = {}
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            record = json.loads(line)
            missing = {"value", "reason", "corpus", "curve"} - set(record)
            if missing:
                raise KeyError(missing)
            value = record["value"]
            if value is not None and (isinstance(value, (bool, str)) or not math.isfinite(value)):
                raise ValueError(value)
            found[record["key"], record["protocol"], record["seed"]] = record
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            raise ZeronasError(f"Line {number} of '{path}' is no record of a training: {line[:60]!r}.") from None
    return found


def value_at(record: Record, updates: int | None) -> tuple[float | None, str] | None:
    """Returns the loss after so many updates, or (None, why there is none), or None if it was not trained so far.

    Args:
        updates: an evaluated number of updates; None: all.
    """
    if updates is None:
        return None if record.get("updates") else (record["value"], record["reason"])
    at = {int(step): float(value) for step, value in record["curve"]}
    if updates in at:
        return at[updates], ""
    return (None, record["reason"]) if record["value"] is None else None


def train_all(
    jobs: Sequence[Job], corpus: str | None, path: Path, executor: Executor | int = 1, report: Any = None
) -> list[Record]:
    """Trains what the journal at ``path`` does not hold yet, and returns the records of all jobs in order.

    Args:
        corpus, path, executor: as ``trained`` takes them.
        report: called with (finished, wanted, record) after each training.

    Raises:
        ZeronasError: as ``trained``.
    """
    records: dict[int, Record] = {}
    distinct = len({job.id for job in jobs})
    for place, record, new in trained(jobs, corpus, path, executor):
        records[place] = record
        if new and report is not None:
            report(len({jobs[i].id for i in records}), distinct, record)
    return [records[place] for place in range(len(jobs))]


def trained(
    jobs: Sequence[Job], corpus: str | None, path: Path, executor: Executor | int = 1
) -> Iterator[tuple[int, Record, bool]]:
    """Yields (place among ``jobs``, record, whether it was trained now): what the journal holds first.

    Several processes may share a journal: a line is added under a lock, and what another one has finished meanwhile, or
    is just training on this machine, is not trained again. Records of another corpus are refused: their losses are not
    comparable. What failed for want of memory is a record too, and is tried again by the next call. A training that is
    to stop early keeps a checkpoint beside the journal, and a later job of the same training goes on from it.

    Args:
        corpus: a user's text, or None for the default one.
        executor: where they are made, one thread each; a number is that of processes on this machine, 1 is none but
            this one. What ends its worker twice, or for want of memory, is a record.

    Raises:
        ZeronasError: the journal is damaged, of another corpus, or cannot be written, or no worker can be started.
    """
    from nas.truth.train.corpus import load

    # fills the cache before workers read it
    prints = {size: load(corpus, size).fingerprint for size in {job.protocol.vocabulary for job in jobs}}
    known = _finished(jobs, path, prints)
    places: dict[tuple[JobId, int | None], list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault((job.id, job.updates), []).append(place)
    missing = []
    for alike in places.values():
        job = jobs[alike[0]]
        if job.id in known and value_at(known[job.id], job.updates) is not None:
            yield from ((place, known[job.id], False) for place in alike)
        else:
            missing.append(job)
    executor = Executor.of(executor)
    here = isinstance(executor, LocalExecutor)
    wanted = [_Wanted(job, corpus, path, prints[job.protocol.vocabulary], here) for job in missing]
    for job, record, new, written in _made(wanted, executor):
        if not written:
            append_shared(path, record)
        yield from ((place, record, new) for place in places[job.id, job.updates])


def _finished(jobs: Sequence[Job], path: Path, prints: Mapping[int, str]) -> dict[JobId, Record]:
    """Returns what the journal holds of the jobs, failures that are the machine's left out."""
    known = read_lines(path)
    for job in jobs:
        fingerprint = prints[job.protocol.vocabulary]
        if job.id in known and known[job.id]["corpus"] != fingerprint:
            raise ZeronasError(
                f"'{path}' holds trainings on another corpus (fingerprint {known[job.id]['corpus'][:12]}, here "
                f"{fingerprint[:12]}); their losses are not comparable. Choose another folder."
            )
    return {ident: record for ident, record in known.items() if record["reason"] not in TRANSIENT}


@dataclass(frozen=True)
class _Wanted:
    """A job with all that a worker, perhaps on another machine, needs for it."""

    job: Job
    corpus: str | None
    path: Path
    fingerprint: str
    here: bool  # whether the worker is on the machine of the journal, and writes there itself


#: record, whether it was trained now, whether the journal has it
_Made = tuple[Record, bool, bool]


def _made(wanted: Sequence[_Wanted], executor: Executor) -> Iterator[tuple[Job, Record, bool, bool]]:
    """Yields (job, record, whether it was trained now, whether the journal has it) in the order in which they end."""
    with _lent(executor, len(wanted)) as crew:
        if crew is None:
            yield from ((one.job, *_work(one)) for one in wanted)
            return
        # of one training at a time: the next one begins when a worker is free, wherever that is
        for place, made in dispatched(crew, wanted, 1, _lost, ahead=1):
            yield wanted[place].job, *made


def _lost(wanted: _Wanted, reason: str) -> _Made:
    """Returns the record of a training that ended its worker, twice or for want of memory."""
    from nas.truth.train.trainer import Training

    made = Training(wanted.job.architecture.key, wanted.job.seed, None, reason, (), 0.0, 0)
    return {"protocol": wanted.job.protocol.hash, "corpus": wanted.fingerprint, **made.to_json()}, True, False


#: executor -> workers that are not in use
_idle: dict[Executor, Crew] = {}


@contextmanager
def _lent(executor: Executor, most: int) -> Iterator[Crew | None]:
    """Lends workers that stay for the next call; those among which anything went wrong are ended.

    A search asks for a few truths at a time, and a fresh process takes seconds to import torch and to read the corpus.
    """
    if not most:
        yield None
        return
    crew = _idle.pop(executor, None)
    if crew is not None and crew.size < min(executor.workers, most):
        crew.close()
        crew = None
    if crew is None:
        crew = executor.crew(_work_all, most)
    try:
        yield crew
    except BaseException:
        if crew is not None:
            crew.close()
        raise
    if crew is not None:
        _idle[executor] = crew


def _work_all(wanted: Sequence[_Wanted]) -> list[_Made]:
    return [_work(one) for one in wanted]


def _work(wanted: _Wanted) -> _Made:
    """Trains, unless another process has finished the same since the call began.

    Where the journal is at hand, whoever trains holds the training's lock until the journal has it, and another one
    that wants the same waits for that.

    Raises:
        ZeronasError: the corpus of this machine is another one than that of the machine that asks, or the journal
            cannot be written.
    """
    if not wanted.here:
        return _found(wanted) or (_record(wanted), True, False)
    folder = made_folder(wanted.path.parent / "locks")
    job = wanted.job
    held = lock(folder / f"{job.protocol.hash}-{job.architecture.key}-s{job.seed}", patience=_AS_LONG_AS_IT_TAKES)
    assert held is not None
    with held:
        if (found := _found(wanted)) is not None:
            return found
        record = _record(wanted)
        append_shared(wanted.path, record)
        return record, True, True


def _found(wanted: _Wanted) -> _Made | None:
    """Returns what the journal holds by now."""
    job = wanted.job
    record = _finished([job], wanted.path, {job.protocol.vocabulary: wanted.fingerprint}).get(job.id)
    if record is None or value_at(record, job.updates) is None:
        return None
    return record, False, True


def _record(wanted: _Wanted) -> Record:
    """Trains."""
    job, path = wanted.job, wanted.path

    from nas.truth.train.corpus import load
    from nas.truth.train.trainer import Training, train

    text = load(wanted.corpus, job.protocol.vocabulary)
    if text.fingerprint != wanted.fingerprint:
        raise ZeronasError(
            f"The text on a worker differs from the text on the machine of the command (fingerprint "
            f"{text.fingerprint[:12]}, there {wanted.fingerprint[:12]}); install the same versions on all nodes."
        )
    begun = time.process_time()
    name = f"{job.protocol.hash}-{text.fingerprint[:12]}-{job.architecture.key}-s{job.seed}"
    folder = path.parent / "checkpoints" / name
    kept = folder if job.updates is not None or folder.exists() else None
    notes = path.parent / FOLDER if wanted.here else None
    note = Note(notes, name, job.architecture.key, job.updates or job.protocol.steps)
    try:
        with note:
            made, _ = train(
                job.architecture,
                job.protocol,
                text,
                job.seed,
                folder=kept,
                report=note.evaluated,
                until=job.updates,
                each=note.updated,
            )
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        made = Training(job.architecture.key, job.seed, None, OUT_OF_MEMORY, (), time.process_time() - begun, 0)
    record = {"protocol": job.protocol.hash, "corpus": text.fingerprint, **made.to_json()}
    if job.updates is not None and job.updates < job.protocol.steps and made.value is not None:
        record["updates"] = job.updates
    elif kept is not None:
        shutil.rmtree(kept, ignore_errors=True)
    return record
