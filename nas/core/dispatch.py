"""Work spread over workers that may die: nothing is lost or answered twice, and what kills its worker is found.

A ``Crew`` is the workers, wherever they run; ``dispatched`` hands them chunks. The chunk of a worker that died is done
again by another one, which is harmless as an answer depends on its item alone. A chunk that killed twice is halved, so
that in the end a single item is found that kills, and it is answered as lost. Where a worker was stopped for a reason
that is known (its time, its memory), once is enough.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from nas.core.workers import TIME_OUT, WORKER_DIED

__all__ = ["Answered", "Crew", "Event", "Gone", "Joined", "Work", "dispatched"]

#: what workers do: items -> as many answers
Work = Callable[[Sequence[Any]], Sequence[Any]]

Item = TypeVar("Item")

#: seconds that a chunk may take beyond the sum of its items' limits, before its worker is stopped
GRACE = 5.0
_KILLS = 2  # deaths of one chunk, of a reason not known, before it is halved, or given up if it is one item
_numbers = count()


@dataclass(frozen=True)
class Joined:
    """A worker is ready for its first chunk."""

    member: int


@dataclass(frozen=True)
class Answered:
    """A chunk is done; ``answers`` is the error instead, where the work raised one."""

    member: int
    number: int
    answers: Sequence[Any] | Exception


@dataclass(frozen=True)
class Gone:
    """A worker is no more, and why."""

    member: int
    reason: str


Event = Joined | Answered | Gone


class Crew(ABC):
    """Workers that do chunks of work, each its own in the order sent. What dies is replaced by the crew.

    Answers of one worker may be heard of in another order than they were made.

    Attributes:
        size: how many workers there are to be.
        ready: those that have joined and are not gone.
    """

    size: int

    def __init__(self) -> None:
        self.ready: list[int] = []

    @abstractmethod
    def send(self, member: int, number: int, chunk: Sequence[Any]) -> None:
        """Gives a worker a chunk. Where it is gone, ``wait`` tells."""

    @abstractmethod
    def wait(self, seconds: float | None) -> list[Event]:
        """Returns what happened, as soon as anything has, or nothing after so many seconds.

        Raises:
            ZeronasError: workers die before they are ready, again and again.
        """

    @abstractmethod
    def stop(self, member: int, reason: str) -> None:
        """Ends a worker at once, whatever it does; ``wait`` tells that it is gone, for this reason."""

    @abstractmethod
    def close(self) -> None:
        """Ends all workers at once."""

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass(eq=False)
class _Chunk:
    places: range
    kills: int = 0
    number: int = field(default_factory=lambda: next(_numbers))
    begun: float = 0.0  # when its worker had nothing else before it


def dispatched(
    crew: Crew,
    items: Sequence[Item],
    size: int,
    lost: Callable[[Item, str], Any],
    limit: float | None = None,
    ahead: int = 2,
) -> Iterator[tuple[int, Any]]:
    """Yields (place among ``items``, answer), each chunk as it is done.

    Args:
        size: items of a chunk.
        lost: the answer for an item that ends its worker, of the item and the reason.
        limit: seconds that an item may take. A worker whose chunk takes longer than that for each of its items, and
            ``GRACE``, is stopped.
        ahead: chunks that a worker is given before it answers the first, so that it never waits.

    Raises:
        ZeronasError: as ``Crew.wait``.
        Exception: that of the work itself, once what was being done beside it is yielded.
    """
    waiting = deque(_Chunk(range(i, min(i + size, len(items)))) for i in range(0, len(items), size))
    given: dict[int, deque[_Chunk]] = {member: deque() for member in crew.ready}
    failed: Exception | None = None
    try:
        while waiting or any(given.values()):
            _give(crew, items, waiting, given, ahead)
            for event in crew.wait(_patience(given, limit)):
                if isinstance(event, Joined):
                    given.setdefault(event.member, deque())
                elif isinstance(event, Answered):
                    chunk = _taken(given, event)
                    if chunk is None:
                        continue
                    if isinstance(event.answers, Exception):
                        failed = failed or event.answers
                        waiting.clear()  # what is being done beside it is still taken in
                        continue
                    yield from zip(chunk.places, event.answers, strict=True)
                else:
                    chunks = given.pop(event.member, deque())
                    again, given_up = _after_death(chunks, event.reason)
                    waiting.extendleft(reversed(again))
                    yield from ((place, lost(items[place], event.reason)) for place in given_up)
            for member in _late(given, limit):
                crew.stop(member, TIME_OUT)
        if failed is not None:
            raise failed
    finally:  # left early: what is still being done is nobody's
        for member, chunks in given.items():
            if chunks:
                with suppress(OSError):
                    crew.stop(member, WORKER_DIED)


def _give(
    crew: Crew, items: Sequence[Any], waiting: deque[_Chunk], given: dict[int, deque[_Chunk]], ahead: int
) -> None:
    """Gives out chunks, to the least busy worker first."""
    while waiting and given:
        member = min(given, key=lambda one: len(given[one]))
        if len(given[member]) >= ahead:
            return
        chunk = waiting.popleft()
        if not given[member]:
            chunk.begun = time.monotonic()
        given[member].append(chunk)
        crew.send(member, chunk.number, [items[place] for place in chunk.places])


def _taken(given: dict[int, deque[_Chunk]], event: Answered) -> _Chunk | None:
    """Returns the chunk that is answered, off its worker's list; None for one of an earlier call."""
    chunks = given.get(event.member, deque())
    chunk = next((one for one in chunks if one.number == event.number), None)
    if chunk is None:
        return None
    if chunk is chunks[0] and len(chunks) > 1:
        chunks[1].begun = time.monotonic()
    chunks.remove(chunk)
    return chunk


def _after_death(chunks: deque[_Chunk], reason: str) -> tuple[list[_Chunk], list[int]]:
    """Returns what is to be done again, in order, and the places that are given up. The first chunk was being done."""
    if not chunks:
        return [], []
    first, rest = chunks[0], [_Chunk(chunk.places, chunk.kills) for chunk in list(chunks)[1:]]
    kills = first.kills + 1 if reason == WORKER_DIED else _KILLS
    places = first.places
    if kills < _KILLS:
        return [_Chunk(places, kills), *rest], []
    if len(places) == 1:
        return rest, list(places)
    middle = len(places) // 2
    # one of the halves has killed already; a single item is given up for what it did alone
    halves = [_Chunk(half, int(len(half) > 1)) for half in (places[:middle], places[middle:])]
    return [*halves, *rest], []


def _deadline(chunk: _Chunk, limit: float) -> float:
    return chunk.begun + limit * len(chunk.places) + GRACE


def _patience(given: dict[int, deque[_Chunk]], limit: float | None) -> float | None:
    """Returns the seconds until the first worker is late."""
    if limit is None:
        return None
    times = [_deadline(chunks[0], limit) for chunks in given.values() if chunks]
    return max(0.0, min(times) - time.monotonic()) if times else None


def _late(given: dict[int, deque[_Chunk]], limit: float | None) -> list[int]:
    if limit is None:
        return []
    now = time.monotonic()
    return [member for member, chunks in given.items() if chunks and now > _deadline(chunks[0], limit)]
