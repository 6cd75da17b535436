"""Scores architectures: one shared probe pass each, then every proxy; failures are data; one process or several.

Results come back in the order asked for, and depend on (seed, architecture, settings) alone, so one worker and N
workers give byte-identical tables.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.workers import OUT_OF_MEMORY, end_with_parent, out_of_memory
from proxies.base import Needs, Proxy, Score
from spaces.base import Space
from spaces.record import Probe

__all__ = ["TRANSIENT", "Evaluation", "Evaluator", "Task"]


@dataclass(frozen=True)
class Evaluation:
    """The scores of one architecture.

    Attributes:
        key: the architecture's key.
        scores: proxy label -> score (higher is better) or failure.
        seconds: wall time of the pass and all proxies.
        times: "pass" and proxy labels -> seconds of each part.
    """

    key: str
    scores: Mapping[str, Score]
    seconds: float
    times: Mapping[str, float] = field(default_factory=dict)


#: reasons of failures that are the machine's and not the architecture's
TRANSIENT = frozenset({"time-out", OUT_OF_MEMORY})


class _TimeOut(Exception):
    pass


@dataclass(frozen=True)
class Task:
    """All that a worker needs to score an architecture.

    Attributes:
        proxies: label -> proxy, the first is the fitness.
        timeout: seconds allowed per architecture, or None; a slower one is a failure "time-out".
    """

    space: Space[Any]
    probe: Probe
    proxies: Mapping[str, Proxy]
    seed: int
    device: str = "cpu"
    timeout: float | None = None

    def __post_init__(self) -> None:
        for label, proxy in self.proxies.items():
            if missing := proxy.needs - self.probe.gives:
                raise ZeronasError(
                    f"Proxy '{label}' needs {' and '.join(sorted(missing))}, which the probe of space "
                    f"'{self.space.name}' does not give."
                )
        # once, here in the parent: worker processes get what was prepared
        prepared = {label: proxy.prepare(self.space) for label, proxy in self.proxies.items()}
        object.__setattr__(self, "proxies", prepared)

    def __call__(self, architecture: Any) -> Evaluation:
        """Scores one architecture; NaN, overflow, memory and time-outs become failures with their reason."""
        start = time.perf_counter()
        scores: dict[str, Score] = {}
        times: dict[str, float] = {}
        try:
            with _limit(self.timeout):
                needs = Needs.union(self.proxies.values())
                record = self.probe.observe(self.space, architecture, needs, self.seed, self.device)
                times["pass"] = time.perf_counter() - start
                for label, proxy in self.proxies.items():
                    begun = time.perf_counter()
                    scores[label] = proxy.score(record)
                    times[label] = time.perf_counter() - begun
        except _TimeOut:
            scores = dict.fromkeys(self.proxies, Score(None, "time-out"))
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error) and "failed to converge" not in str(error):
                raise
            reason = OUT_OF_MEMORY if out_of_memory(error) else "no convergence"
            scores = dict.fromkeys(self.proxies, Score(None, reason))
        return Evaluation(architecture.key, scores, time.perf_counter() - start, times)


@contextmanager
def _limit(seconds: float | None) -> Iterator[None]:
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise _TimeOut

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_worker_task: Task | None = None


def _start_worker(task: Task) -> None:
    global _worker_task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    end_with_parent()
    _one_thread(task)
    _worker_task = task


def _one_thread(task: Task) -> None:
    # One thread a process: sums are then made in one order, whatever the number of workers.
    if "forward" in Needs.union(task.proxies.values()).kinds:
        import torch

        torch.set_num_threads(1)


def _work(architecture: Any) -> Evaluation:
    assert _worker_task is not None
    return _worker_task(architecture)


class Evaluator:
    """Scores architectures in this process (``workers=1``) or in a persistent pool of processes.

    Raises:
        ZeronasError: ``workers`` is not a whole number of 1 or more, or CUDA is asked for and absent.
    """

    def __init__(self, task: Task, workers: int = 1) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ZeronasError(f"executor.workers must be a whole number of 1 or more, but got {workers!r}.")
        _check_device(task.device)
        self.task = task
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, _start_worker, (task,))
        else:
            _one_thread(task)

    def map(self, architectures: Iterable[Any], chunk: int = 1) -> Iterator[Evaluation]:
        """Yields the evaluations in the order of ``architectures``, each as soon as it and those before are done.

        Raises:
            ZeronasError: a worker process died (what was yielded before stands).
        """
        if self._pool is None:
            yield from map(self.task, architectures)
            return
        try:
            yield from self._pool.map(_work, architectures, chunksize=chunk)
        except BrokenProcessPool:
            raise ZeronasError(
                "A worker process died (killed, or out of memory); what was computed is kept, so the same command "
                "continues, perhaps with a smaller executor.workers."
            ) from None

    def close(self) -> None:
        """Stops the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    import torch

    kind = device.split(":")[0]
    if kind not in ("cuda", "mps"):
        raise ZeronasError(f"device must be cpu, cuda, cuda:N or mps, but got '{device}'.")
    there = torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()
    if not there:
        raise ZeronasError(f"device={device} was asked for, but torch sees no such device here; use device=cpu.")
