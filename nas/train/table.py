"""Many trainings by several processes: one JSON line each, written when it is finished, and never lost."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import ZeronasError
from nas.journal import drop_partial_line, lock, whole_lines
from nas.train.protocol import Protocol

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
    are refused: their losses are not comparable.

    Args:
        corpus: a user's text, or None for the default one.
        workers: processes, one thread each; 1 trains in this process.
        report: called with (finished, wanted, record) after each training.

    Raises:
        ZeronasError: the journal is damaged, in use, of another corpus, or cannot be written.
    """
    from nas.train.corpus import load

    vocabularies = {job.protocol.vocabulary for job in jobs}
    prints = {size: load(corpus, size).fingerprint for size in vocabularies}  # fills the cache before workers read it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock(path.with_suffix(".lock"))
    except OSError as error:
        raise ZeronasError(f"'{path.parent}' cannot be written ({error.strerror}); choose another folder.") from None
    if held is None:
        raise ZeronasError(f"Another process is writing to '{path}'; wait for it or choose another folder.")
    with held:
        known = read_lines(path)
        wanted = {job.id: job for job in jobs}
        for ident, job in wanted.items():
            print_ = prints[job.protocol.vocabulary]
            if ident in known and known[ident]["corpus"] != print_:
                raise ZeronasError(
                    f"'{path}' holds trainings on another corpus (fingerprint {known[ident]['corpus'][:12]}, here "
                    f"{print_[:12]}); their losses are not comparable. Choose another folder."
                )
        missing = [job for ident, job in wanted.items() if ident not in known]
        drop_partial_line(path)
        with path.open("a", encoding="utf-8") as file:

            def keep(ident: tuple[str, str, int], record: dict[str, Any]) -> None:
                known[ident] = record
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
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
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                running[pool.submit(_work, job, corpus)] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            failed: BaseException | None = None
            for future in done:  # one that was lost loses no other that has ended
                job = running.pop(future)
                failed = future.exception() or failed
                if future.exception() is None:
                    keep(job.id, future.result())
            if isinstance(failed, BrokenProcessPool):
                raise ZeronasError(
                    f"A training process died (out of memory?); what is finished is kept. Use fewer than {workers} "
                    "workers and run the same command again."
                )
            if failed is not None:
                raise failed


def _work(job: Job, corpus: str | None) -> dict[str, Any]:
    from nas.train.corpus import load
    from nas.train.trainer import train

    text = load(corpus, job.protocol.vocabulary)
    made, _ = train(job.architecture, job.protocol, text, job.seed)
    return {"protocol": job.protocol.hash, "corpus": text.fingerprint, **made.to_json()}
