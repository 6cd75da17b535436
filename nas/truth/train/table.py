"""Many trainings by several processes: one JSON line each, written when it is finished, and never lost."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.lines import append, whole_lines, writing
from nas.core.workers import OUT_OF_MEMORY, end_with_parent, out_of_memory
from nas.truth.train.protocol import Protocol

__all__ = ["Job", "read_lines", "train_all"]


@dataclass(frozen=True)
class Job:
    """One training wanted: an architecture under a protocol with a seed."""

    architecture: Any
    protocol: Protocol
    seed: int

    @property
    def id(self) -> tuple[str, str, int]:
        """What makes two jobs one."""
        return self.architecture.key, self.protocol.hash, self.seed


def read_lines(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Returns job id -> record of a journal; a last line without its end, as a kill leaves it, is not there.

    Raises:
        ZeronasError: a line is no record.
    """
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            record = json.loads(line)
            missing = {"value", "reason", "corpus"} - set(record)
            if missing:
                raise KeyError(missing)
            found[record["key"], record["protocol"], record["seed"]] = record
        except (ValueError, KeyError, TypeError):
            raise ZeronasError(f"Line {number} of '{path}' is no record of a training: {line[:60]!r}.") from None
    return found


def train_all(
    jobs: Sequence[Job],
    corpus: str | None,
    path: Path,
    workers: int = 1,
    report: Callable[[int, int, dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Trains what the journal at ``path`` does not hold yet, and returns the records of all jobs in order.

    A record is ``Training.to_json()`` with the protocol's hash and the corpus' fingerprint. Records of another corpus
    are refused: their losses are not comparable. What failed for want of memory is a record too, and is tried again
    by the next call.

    Args:
        corpus: a user's text, or None for the default one.
        workers: processes, one thread each; 1 trains in this process.
        report: called with (finished, wanted, record) after each training.

    Raises:
        ZeronasError: the journal is damaged, in use, of another corpus, or cannot be written.
    """
    from nas.truth.train.corpus import load

    vocabularies = {job.protocol.vocabulary for job in jobs}
    prints = {size: load(corpus, size).fingerprint for size in vocabularies}  # fills the cache before workers read it
    with writing(path) as file:
        known = read_lines(path)
        wanted = {job.id: job for job in jobs}
        for ident, job in wanted.items():
            print_ = prints[job.protocol.vocabulary]
            if ident in known and known[ident]["corpus"] != print_:
                raise ZeronasError(
                    f"'{path}' holds trainings on another corpus (fingerprint {known[ident]['corpus'][:12]}, here "
                    f"{print_[:12]}); their losses are not comparable. Choose another folder."
                )
        known = {ident: record for ident, record in known.items() if record["reason"] != OUT_OF_MEMORY}
        missing = [job for ident, job in wanted.items() if ident not in known]

        def keep(ident: tuple[str, str, int], record: dict[str, Any]) -> None:
            known[ident] = record
            append(file, record)
            if report is not None:
                report(sum(i in known for i in wanted), len(wanted), record)

        if workers == 1:
            for job in missing:
                keep(job.id, _work(job, corpus))
        else:
            _spread(missing, corpus, workers, keep)
    return [known[job.id] for job in jobs]


def _spread(
    jobs: Sequence[Job], corpus: str | None, workers: int, keep: Callable[[tuple[str, str, int], dict[str, Any]], None]
) -> None:
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)[::-1]
    running: dict[Future[dict[str, Any]], Job] = {}
    failed: BaseException | None = None
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                running[pool.submit(_work, job, corpus)] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:  # one that was lost loses none that runs beside it
                job = running.pop(future)
                failed = failed or future.exception()
                if future.exception() is None:
                    keep(job.id, future.result())
            if failed is not None:
                waiting.clear()
    if isinstance(failed, BrokenProcessPool):
        raise ZeronasError(
            f"A training process died (out of memory?); what is finished is kept. Use fewer than {workers} "
            "workers and run the same command again."
        )
    if failed is not None:
        raise failed


def _work(job: Job, corpus: str | None) -> dict[str, Any]:
    from nas.truth.train.corpus import load
    from nas.truth.train.trainer import Training, train

    text = load(corpus, job.protocol.vocabulary)
    begun = time.process_time()
    try:
        made, _ = train(job.architecture, job.protocol, text, job.seed)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        made = Training(job.architecture.key, job.seed, None, OUT_OF_MEMORY, (), time.process_time() - begun, 0)
    return {"protocol": job.protocol.hash, "corpus": text.fingerprint, **made.to_json()}
