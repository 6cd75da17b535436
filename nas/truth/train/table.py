"""Many trainings by several processes: one JSON line each, written when it is finished, and never lost."""

from __future__ import annotations

import json
import math
import multiprocessing
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.lines import append_shared, whole_lines
from nas.core.workers import OUT_OF_MEMORY, end_with_parent, out_of_memory
from nas.truth.train.protocol import Protocol
from nas.truth.train.running import FOLDER, Note

__all__ = ["Job", "JobId", "Record", "read_lines", "train_all", "trained", "value_at"]

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
    jobs: Sequence[Job], corpus: str | None, path: Path, workers: int = 1, report: Any = None
) -> list[Record]:
    """Trains what the journal at ``path`` does not hold yet, and returns the records of all jobs in order.

    Args:
        corpus, path, workers: as ``trained`` takes them.
        report: called with (finished, wanted, record) after each training.

    Raises:
        ZeronasError: as ``trained``.
    """
    records: dict[int, Record] = {}
    distinct = len({job.id for job in jobs})
    for place, record, new in trained(jobs, corpus, path, workers):
        records[place] = record
        if new and report is not None:
            report(len({jobs[i].id for i in records}), distinct, record)
    return [records[place] for place in range(len(jobs))]


def trained(
    jobs: Sequence[Job], corpus: str | None, path: Path, workers: int = 1
) -> Iterator[tuple[int, Record, bool]]:
    """Yields (place among ``jobs``, record, whether it was trained now): what the journal holds first.

    Several processes may share a journal: a line is added under a lock, and what another one has finished meanwhile is
    not trained again. Records of another corpus are refused: their losses are not comparable. What failed for want of
    memory is a record too, and is tried again by the next call. A training that is to stop early keeps a checkpoint
    beside the journal, and a later job of the same training goes on from it.

    Args:
        corpus: a user's text, or None for the default one.
        workers: processes, one thread each; 1 trains in this process.

    Raises:
        ZeronasError: the journal is damaged, of another corpus, or cannot be written, or a training process died.
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
    made = _here(missing, corpus, path, prints) if workers == 1 else _spread(missing, corpus, path, prints, workers)
    for job, record, new in made:
        if new:
            append_shared(path, record)
        yield from ((place, record, new) for place in places[job.id, job.updates])


def _finished(jobs: Sequence[Job], path: Path, prints: Mapping[int, str]) -> dict[JobId, Record]:
    """Returns what the journal holds of the jobs, failures for want of memory left out."""
    known = read_lines(path)
    for job in jobs:
        fingerprint = prints[job.protocol.vocabulary]
        if job.id in known and known[job.id]["corpus"] != fingerprint:
            raise ZeronasError(
                f"'{path}' holds trainings on another corpus (fingerprint {known[job.id]['corpus'][:12]}, here "
                f"{fingerprint[:12]}); their losses are not comparable. Choose another folder."
            )
    return {ident: record for ident, record in known.items() if record["reason"] != OUT_OF_MEMORY}


def _meanwhile(job: Job, path: Path, prints: Mapping[int, str]) -> Record | None:
    """Returns the record of a job that another process has finished since this one began, or None."""
    record = _finished([job], path, prints).get(job.id)
    return record if record is not None and value_at(record, job.updates) is not None else None


def _here(
    jobs: Sequence[Job], corpus: str | None, path: Path, prints: Mapping[int, str]
) -> Iterator[tuple[Job, Record, bool]]:
    for job in jobs:
        record = _meanwhile(job, path, prints)
        yield (job, _work(job, corpus, path), True) if record is None else (job, record, False)


def _spread(
    jobs: Sequence[Job], corpus: str | None, path: Path, prints: Mapping[int, str], workers: int
) -> Iterator[tuple[Job, Record, bool]]:
    waiting = list(jobs)[::-1]
    running: dict[Future[Record], Job] = {}
    failed: BaseException | None = None
    with _processes(workers) as pool:
        while (waiting and failed is None) or running:
            while waiting and failed is None and len(running) < workers:
                job = waiting.pop()
                record = _meanwhile(job, path, prints)
                if record is not None:
                    yield job, record, False
                    continue
                try:
                    running[pool.submit(_work, job, corpus, path)] = job
                except BrokenProcessPool as error:  # a process died between two trainings
                    failed = error
            done, _ = wait(running, return_when=FIRST_COMPLETED) if running else ((), ())
            for future in done:  # one that was lost loses none that runs beside it
                job = running.pop(future)
                failed = failed or future.exception()
                if future.exception() is None:
                    yield job, future.result(), True
        if isinstance(failed, BrokenProcessPool):
            raise ZeronasError(
                f"A training process died (out of memory?); what is finished is kept. Use fewer than {workers} "
                "workers and run the same command again."
            )
        if failed is not None:
            raise failed


#: number of processes -> a pool that is not in use
_idle: dict[int, ProcessPoolExecutor] = {}


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Lends a pool of processes that stays for the next call; one in which anything went wrong is closed.

    A search asks for a few truths at a time, and a fresh process takes seconds to import torch and to read the corpus.
    """
    pool = _idle.pop(workers, None)
    if pool is None:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent)
    try:
        yield pool
    except BaseException:
        pool.shutdown()
        raise
    _idle[workers] = pool


def _work(job: Job, corpus: str | None, path: Path) -> Record:
    from nas.truth.train.corpus import load
    from nas.truth.train.trainer import Training, train

    text = load(corpus, job.protocol.vocabulary)
    begun = time.process_time()
    name = f"{job.protocol.hash}-{text.fingerprint[:12]}-{job.architecture.key}-s{job.seed}"
    folder = path.parent / "checkpoints" / name
    kept = folder if job.updates is not None or folder.exists() else None
    note = Note(path.parent / FOLDER, name, job.architecture.key, job.updates or job.protocol.steps)
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
