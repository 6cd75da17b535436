"""Trainings in progress: a small file for each beside the journal of trainings, which any process may read.

A training writes its own at most once a second, and removes it in the end. One that was killed leaves it; it counts no
more when it was not written to for a while.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nas.core.errors import ZeronasError, printable
from nas.core.files import write_text

__all__ = ["FOLDER", "Note", "Running", "running"]

#: name of the folder beside a journal of trainings
FOLDER = "running"

_PAUSE = 1.0  # seconds between two writes
_DEAD = 120.0  # seconds without a write after which a training counts as killed


@dataclass(frozen=True)
class Running:
    """A training under way.

    Attributes:
        key: of the architecture.
        updates: done so far.
        of: updates after which it stops.
        loss: the last validation loss, nats per token; None before the first.
    """

    key: str
    updates: int
    of: int
    loss: float | None = None

    @property
    def text(self) -> str:
        """A line for people."""
        loss = "" if self.loss is None else f"  validation loss {self.loss:.4f}"
        return f"training {printable(self.key)}: update {self.updates:,} of {self.of:,}{loss}"


class Note:
    """Writes down how far a training is, in a ``with`` block around it; where it cannot, the training goes on.

    Args:
        folder: of the notes; made if it is not there. None: on another machine than the run, where nobody would look.
        name: of the training, and of its file.
        key: of the architecture.
        of: updates after which it stops.
    """

    def __init__(self, folder: Path | None, name: str, key: str, of: int) -> None:
        self.path = None if folder is None else folder / f"{name}.json"
        self._state = Running(key, 0, of)
        self._written = -_PAUSE

    def updated(self, updates: int) -> None:
        """Takes in how many updates are done."""
        self._state = Running(self._state.key, updates, self._state.of, self._state.loss)
        self._write()

    def evaluated(self, updates: int, loss: float) -> None:
        """Takes in a validation loss."""
        self._state = Running(self._state.key, updates, self._state.of, loss)
        self._write()

    def _write(self) -> None:
        now = time.monotonic()
        if self.path is not None and now - self._written >= _PAUSE:
            self._written = now
            with suppress(ZeronasError, OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.path, json.dumps(asdict(self._state)))

    def __enter__(self) -> Note:
        self._write()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.path is None:
            return
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()  # where it was the last


def running(folder: Path) -> list[Running]:
    """Returns the trainings under way whose notes a folder holds, by name; none where there is no folder."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            if time.time() - path.stat().st_mtime > _DEAD:
                continue
            state = json.loads(path.read_text(encoding="utf-8"))
            loss = state["loss"]
            made = Running(str(state["key"])[:100], int(state["updates"]), int(state["of"]), loss and float(loss))
            found.append(made)
    return found
