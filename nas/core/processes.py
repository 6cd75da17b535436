"""A crew of processes on this machine."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from nas.core.dispatch import Answered, Crew, Event, Gone, Joined, Work
from nas.core.errors import ZeronasError
from nas.core.workers import OUT_OF_MEMORY, TOO_MUCH_MEMORY, WORKER_DIED, end_with_parent, watch_memory

__all__ = ["ProcessCrew"]

_STARTS = 3  # workers that die before they are ready, one after the other
_READY = -1


@dataclass
class _Member:
    process: BaseProcess
    connection: Connection
    joined: bool = False
    reason: str = ""


class ProcessCrew(Crew):
    """Processes, one thread each. They end with this one, even when it is killed, and are deaf to Ctrl-C.

    Args:
        size: how many.
        work: what they do; it is pickled once for each.
        memory: GiB of resident memory above which a worker is stopped, or None.
    """

    def __init__(self, size: int, work: Work, memory: float | None = None) -> None:
        super().__init__()
        self.size = size
        self._work, self._memory = work, memory
        self._context = multiprocessing.get_context("spawn")
        self._members: dict[int, _Member] = {}
        self._next = 0
        self._failed_starts = 0
        for _ in range(size):
            self._hire()

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work, self._memory), daemon=True)
        process.start()
        theirs.close()  # so that its end is heard of
        self._members[self._next] = _Member(process, ours)
        self._next += 1

    def send(self, member: int, number: int, chunk: Sequence[Any]) -> None:
        with suppress(OSError):  # gone, which ``wait`` tells
            self._members[member].connection.send((number, chunk))

    def wait(self, seconds: float | None) -> list[Event]:
        found: list[Event] = []
        by_connection: dict[Any, int] = {one.connection: number for number, one in self._members.items()}
        for connection in wait_for(list(by_connection), seconds):
            number = by_connection[connection]
            try:
                about, answers = self._members[number].connection.recv()
            except Exception:  # its end, or a message that its end tore
                found += self._left(number)
                continue
            if about == _READY:
                self._members[number].joined = True
                self._failed_starts = 0
                self.ready.append(number)
                found.append(Joined(number))
            else:
                found.append(Answered(number, about, answers))
        return found

    def _left(self, number: int) -> list[Event]:
        member = self._members.pop(number)
        member.connection.close()
        member.process.join()
        status = member.process.exitcode
        self._hire()
        if member.joined:
            self.ready.remove(number)
            return [Gone(number, member.reason or (OUT_OF_MEMORY if status == TOO_MUCH_MEMORY else WORKER_DIED))]
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise ZeronasError(
                f"{_STARTS} worker processes in a row died as they started (the last with exit status {status}); is "
                "there memory for them? What was computed is kept; use a smaller executor.workers."
            )
        return []

    def stop(self, member: int, reason: str) -> None:
        self._members[member].reason = reason
        self._members[member].process.kill()

    def close(self) -> None:
        for member in self._members.values():
            member.process.kill()
        for member in self._members.values():
            member.process.join()
            member.connection.close()
        self._members.clear()
        self.ready.clear()


def _serve(connection: Connection, work: Work, memory: float | None) -> None:
    """What a worker process does until its parent ends or kills it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    end_with_parent()
    if memory is not None:
        watch_memory(memory)
    # chunks are taken in while one is being done: two full pipes would else wait for each other
    chunks: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, chunks), daemon=True).start()
    connection.send((_READY, None))
    while (given := chunks.get()) is not None:
        number, items = given
        answers: Any
        try:
            answers = work(items)
        except Exception as error:
            answers = error
        try:
            connection.send((number, answers))
        except (BrokenPipeError, ConnectionError):
            return
        except Exception as error:  # an error that cannot be pickled is told in words
            connection.send((number, RuntimeError(f"{type(error).__name__}: {error}")))


def _receive(connection: Connection, chunks: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            chunks.put(connection.recv())
    except (EOFError, OSError):
        chunks.put(None)
