"""Helpers of worker processes: end with the parent, recognise want of memory, compute in one thread."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["OUT_OF_MEMORY", "TIME_OUT", "TRANSIENT", "end_with_parent", "failure", "one_thread", "out_of_memory"]

#: reasons of failures for want of memory and of time
OUT_OF_MEMORY, TIME_OUT = "out of memory", "time-out"

#: reasons of failures that are the machine's and not the architecture's
TRANSIENT = frozenset({TIME_OUT, OUT_OF_MEMORY})

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
