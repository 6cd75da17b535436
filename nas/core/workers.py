"""What all processes that work for another one share: how they end with it, and what want of memory looks like."""

from __future__ import annotations

import multiprocessing
import os
import threading

__all__ = ["OUT_OF_MEMORY", "end_with_parent", "out_of_memory"]

#: the reason of a failure for want of memory
OUT_OF_MEMORY = "out of memory"

_SAYINGS = ("out of memory", "can't allocate memory", "not enough memory", "size calculation overflowed")


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that there was not enough memory; torch has several ways to."""
    return isinstance(error, MemoryError) or any(saying in str(error) for saying in _SAYINGS)


def end_with_parent() -> None:
    """Ends this process when the one that started it ends, even by a kill; else it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
