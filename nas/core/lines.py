"""JSON-lines files: whole lines or none, one writer at a time, a line that a kill cut off is dropped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nas.core.errors import ZeronasError

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Lock", "append", "lock", "whole_lines", "writing"]


class Lock:
    """A lock file that this process holds until ``close``, or until the process ends, however it ends."""

    def __init__(self, held: BaseFileLock) -> None:
        self._held = held

    def close(self) -> None:
        """Lets another process have it; the file stays."""
        self._held.release()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def lock(path: Path) -> Lock | None:
    """Returns the lock at ``path`` without waiting for it, or None where another one holds it.

    Raises:
        ZeronasError: the file cannot be made or opened.
    """
    from filelock import FileLock, Timeout

    held = FileLock(path, thread_local=False)  # whichever thread closes it
    try:
        held.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as error:
        raise ZeronasError(
            f"The lock file '{path}' cannot be opened ({error.strerror}); remove it, or choose another folder."
        ) from None
    return Lock(held)


def whole_lines(path: Path, mend: bool = False) -> list[bytes]:
    """Returns the lines of a journal, none where it is not there; a last one that a kill cut off is left out.

    Args:
        mend: remove such a line from the file too, so that the next one stands alone.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if mend and whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return content[:whole].splitlines()


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Opens the journal at ``path`` for adding lines, for one process at a time; a cut-off last line is dropped.

    Raises:
        ZeronasError: it is in use, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock(path.with_suffix(".lock"))
        if held is None:
            raise ZeronasError(f"Another process is writing to '{path}'; wait for it or choose another folder.")
        with held:
            whole_lines(path, mend=True)
            with path.open("a", encoding="utf-8") as file:
                yield file
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be written ({error.strerror}); what it holds is kept.") from None


def append(file: TextIO, record: dict[str, Any]) -> None:
    """Writes one record and sees it on the disk."""
    file.write(json.dumps(record) + "\n")
    file.flush()
    os.fsync(file.fileno())
