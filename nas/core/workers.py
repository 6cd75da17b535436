"""Helpers of worker processes: end with the parent, recognise want of memory, compute in one thread."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    *("OUT_OF_MEMORY", "TIME_OUT", "TOO_MUCH_MEMORY", "TRANSIENT", "WORKER_DIED"),
    *("end_with_parent", "failure", "one_thread", "out_of_memory", "resident", "watch_memory"),
]

#: reasons of failures for want of memory and of time, and of what ends its worker, whenever it is tried
OUT_OF_MEMORY, TIME_OUT, WORKER_DIED = "out of memory", "time-out", "worker died"

#: reasons of failures that are the machine's and not the architecture's
TRANSIENT = frozenset({TIME_OUT, OUT_OF_MEMORY, WORKER_DIED})

#: exit status of a worker that went over its memory
TOO_MUCH_MEMORY = 70
_LOOK = 0.02  # seconds between two looks at a worker's memory

_SAYINGS = ("out of memory", "can't allocate memory", "not enough memory", "size calculation overflowed")


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that there was not enough memory; torch has several ways to."""
    return isinstance(error, MemoryError) or any(saying in str(error) for saying in _SAYINGS)


def failure(error: Exception) -> str:
    """Returns the reason of a failure.

    Raises:
        Exception: the error itself, where it is none that an architecture or a machine can cause.
    """
    if out_of_memory(error):
        return OUT_OF_MEMORY
    if "failed to converge" in str(error):
        return "no convergence"
    raise error


def end_with_parent() -> None:
    """Ends this process when the one that started it ends, even by a kill; else it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def watch_memory(most: float, before: Callable[[], None] | None = None) -> None:
    """Ends this process, with status ``TOO_MUCH_MEMORY``, as soon as it holds more than so many GiB.

    Args:
        before: called before the end, to say so.
    """

    def watch() -> None:
        while resident() <= most * 2**30:
            time.sleep(_LOOK)
        if before is not None:
            before()
        os._exit(TOO_MUCH_MEMORY)

    threading.Thread(target=watch, daemon=True).start()


def resident() -> int:
    """Returns the bytes of memory that this process holds; where Linux does not tell, the most that it ever held."""
    path = Path("/proc/self/statm")
    if path.exists():
        return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch use one thread inside, and as many as before outside.

    Sums are then made in one order, so that a result depends neither on the number of cores nor of workers.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
