"""Scores architectures: one shared probe pass each, then every proxy; failures are data; one process or several.

Scores depend on (seed, architecture, settings) alone, so one worker and N workers give byte-identical tables.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import FrameType
from typing import Any, cast

from nas.core import seeds
from nas.core.dispatch import dispatched
from nas.core.errors import ZeronasError
from nas.core.executors import Executor
from nas.core.workers import TIME_OUT, failure, one_thread
from nas.engine.trials import Evaluation, Trial
from proxies.base import Needs, Proxy, Score
from spaces.base import Space
from spaces.record import Probe, Record, StackingProbe

__all__ = ["Evaluator", "Scorer", "check"]


class _TimeOut(Exception):
    pass


@dataclass(frozen=True)
class Scorer:
    """Scores architectures; it holds all that a worker needs for it.

    Attributes:
        proxies: label -> proxy, the first is the fitness.
        timeout: seconds allowed per architecture, all samples together, or None; what is not scored by then is a
            failure "time-out".
        samples: how often it is scored, V: under the run's seed and under V - 1 that derive from it, the same for all
            architectures; initialisations and batches derive from the seed. A score is the mean of its samples.

    Raises:
        ZeronasError: the probe does not give what a proxy needs, the device is asked for and absent, or a proxy cannot
            be prepared for the space.
    """

    space: Space[Any]
    probe: Probe
    proxies: Mapping[str, Proxy]
    seed: int
    device: str = "cpu"
    timeout: float | None = None
    samples: int = 1
    #: seconds that preparing the proxies took
    prepared_in: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        check(self.space, self.probe, self.proxies)
        _check_device(self.device)
        begun = time.perf_counter()
        # once, here in the parent: worker processes get what was prepared
        prepared = {
            label: proxy.prepare(self.space, self.probe, self.seed, self.device)
            for label, proxy in self.proxies.items()
        }
        object.__setattr__(self, "proxies", prepared)
        object.__setattr__(self, "prepared_in", time.perf_counter() - begun)

    def __call__(self, architecture: Any) -> Evaluation:
        """Scores one architecture; NaN, overflow, memory and time-outs become failures with their reason.

        A proxy's failure is its own: what stands beside it is scored as if it were alone.
        """
        (evaluation,) = self.together([architecture])
        return evaluation

    @property
    def size(self) -> int:
        """How many architectures are best scored together; one by one where each has a time limit of its own."""
        return self._stacked if self.timeout is None else 1

    @cached_property
    def _stacked(self) -> int:
        return self.probe.together(self.needs) if isinstance(self.probe, StackingProbe) else 1

    def together(self, architectures: Sequence[Any]) -> list[Evaluation]:
        """Scores several architectures, in one pass where the probe can: none of them changes what another scores.

        Where that fails, each is scored alone, so that a failure is that of its own architecture. The time of a pass
        is shared equally.
        """
        start = time.perf_counter()
        found: list[dict[str, list[Score]]] = [{label: [] for label in self.proxies} for _ in architectures]
        times: dict[str, float] = {}
        missing = ""
        try:
            with _limit(self.timeout):
                for seed in self.seeds:
                    self._sample(architectures, seed, found, times)
        except _TimeOut:
            missing = TIME_OUT
        except (MemoryError, RuntimeError) as error:  # of the pass, which all share
            if len(architectures) > 1:
                return [self(architecture) for architecture in architectures]
            missing = failure(error)
        seconds = (time.perf_counter() - start) / max(1, len(architectures))
        shares = {label: value / len(architectures) for label, value in times.items()}
        evaluations = []
        for architecture, lists in zip(architectures, found, strict=True):
            for scores in lists.values():
                if len(scores) < self.samples:
                    scores.append(Score(None, missing))
            means = {label: Score.of(scores) for label, scores in lists.items()}
            evaluations.append(Evaluation(architecture.key, means, seconds, shares))
        return evaluations

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the samples, the run's own first. They fit generators that take 32 bits only."""
        return self.seed, *(seeds.integer(self.seed, "sample", i) % 2**32 for i in range(1, self.samples))

    @cached_property
    def needs(self) -> Needs:
        """What all proxies need together, found once: ``evolve-proxy`` has thousands of them."""
        return Needs.union(self.proxies.values())

    def _sample(
        self, architectures: Sequence[Any], seed: int, found: list[dict[str, list[Score]]], times: dict[str, float]
    ) -> None:
        """Adds one sample of each proxy to those found, and the seconds of each part to the times."""
        begun = time.perf_counter()
        records = self._observed(architectures, seed)
        times["pass"] = times.get("pass", 0.0) + time.perf_counter() - begun
        for label, proxy in self.proxies.items():
            begun = time.perf_counter()
            for lists, score in zip(found, _scores(proxy, records), strict=True):
                lists[label].append(score)
            times[label] = times.get(label, 0.0) + time.perf_counter() - begun

    def _observed(self, architectures: Sequence[Any], seed: int) -> list[Record]:
        # What decides is what is looked at, not how many there happen to be: one alone scores as among others.
        if self._stacked > 1:
            probe = cast(StackingProbe, self.probe)
            return probe.observe_many(self.space, architectures, self.needs, seed, self.device)
        return [self.probe.observe(self.space, one, self.needs, seed, self.device) for one in architectures]

    @property
    def runs_torch(self) -> bool:
        """Whether the pass computes with torch."""
        return bool(self.needs.to_run)


def _scores(proxy: Proxy, records: Sequence[Record]) -> list[Score]:
    try:
        return proxy.score_many(records)
    except (MemoryError, RuntimeError) as error:
        if len(records) > 1:
            return [score for record in records for score in _scores(proxy, [record])]
        return [Score(None, failure(error))]


def check(space: Space[Any], probe: Probe, proxies: Mapping[str, Proxy]) -> None:
    """Checks that the probe of a space gives what proxies, by label, need to see.

    Raises:
        ZeronasError: it does not.
    """
    for label, proxy in proxies.items():
        if missing := proxy.needs - probe.gives:
            raise ZeronasError(
                f"Proxy '{label}' needs {' and '.join(sorted(missing))}, which the probe of space '{space.name}' does "
                "not give."
            )


@contextmanager
def _limit(seconds: float | None) -> Iterator[None]:
    # where there is no alarm, in a thread of a cluster's actor, who asked stops the worker (``nas.core.dispatch``)
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


def _check_limit(scorer: Scorer) -> None:
    if scorer.timeout is None:
        return
    if not hasattr(signal, "setitimer"):
        raise ZeronasError(
            "executor.timeout needs the timer signals of Linux or macOS, which this system does not have."
        )
    if threading.current_thread() is not threading.main_thread():
        raise ZeronasError("executor.timeout works in the main thread only; score there, or set it to null.")


def _scored(scorer: Scorer, architectures: Sequence[Any]) -> list[Evaluation]:
    size = scorer.size
    with one_thread() if scorer.runs_torch else nullcontext():
        parts = [scorer.together(architectures[i : i + size]) for i in range(0, len(architectures), size)]
    return [evaluation for part in parts for evaluation in part]


class Evaluator:
    """Measures proxies, in this process or with a crew of workers (see ``nas.core.executors``).

    Args:
        executor: where; a number is that of worker processes on this machine, 1 is none but this one.
        most: how many architectures are to be scored, if that is known: no more workers than that are started.

    Raises:
        ZeronasError: ``executor`` is no whole number of 1 or more, or a time limit cannot be kept here.
    """

    def __init__(self, scorer: Scorer, executor: Executor | int = 1, most: int | None = None) -> None:
        executor = Executor.of(executor)
        self.scorer = scorer
        self.labels = tuple(scorer.proxies)
        self.workers = executor.workers
        self._crew = executor.crew(partial(_scored, scorer), most)
        if self._crew is None:
            _check_limit(scorer)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        """Yields (place, scores) as they are made (see ``nas.engine.trials.Measure``).

        What ends its worker, again and again, or at once by its time or memory, is a failure with that reason.

        Raises:
            ZeronasError: no worker can be started (what was yielded before stands).
        """
        if self._crew is None:
            for begin in range(0, len(trials), self.scorer.size):
                part = [trial.architecture for trial in trials[begin : begin + self.scorer.size]]
                yield from enumerate(_scored(self.scorer, part), begin)
            return
        # of a chunk: fewer messages and fuller passes, workers evenly busy
        share = max(1, len(trials) // ((4 if self.scorer.size == 1 else 2) * self._crew.size))
        size = min(max(16, self.scorer.size), share)
        architectures = [trial.architecture for trial in trials]
        yield from dispatched(self._crew, architectures, size, self._lost, self.scorer.timeout)

    def _lost(self, architecture: Any, reason: str) -> Evaluation:
        return Evaluation(architecture.key, {label: Score(None, reason) for label in self.labels}, 0.0)

    def map(self, architectures: Iterable[Any]) -> Iterator[Evaluation]:
        """Yields the evaluations in the order of ``architectures``.

        Raises:
            ZeronasError: as ``answer``.
        """
        waiting: dict[int, Evaluation] = {}
        following = 0
        for place, evaluation in self.answer([Trial(architecture) for architecture in architectures]):
            waiting[place] = evaluation
            while following in waiting:
                yield waiting.pop(following)
                following += 1

    def close(self) -> None:
        """Stops the workers."""
        if self._crew is not None:
            self._crew.close()

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
