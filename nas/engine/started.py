"""What the process that writes to a run folder set out to do, for who looks on; nothing of the run depends on it."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nas.core.files import write_json
from nas.core.options import Count, Options, parse

__all__ = ["FILE", "Started"]

FILE = "started.json"


@dataclass(frozen=True, kw_only=True)
class Started:
    """One session of a run.

    Attributes:
        command: of the run, such as "search".
        wanted: measure -> architectures to score, trainings of truth to ask for.
        sign, unit: of the truth, 1 where higher is better, else -1.
        workers: processes.
        trained: how the journals of trainings begin that the run may add to, seen from its folder; "" where there are
            none.
        known: answers that the journal held already.
        at: when it started, in seconds since 1970.
        process, host: what runs it, and where.
    """

    command: str
    wanted: Options
    sign: int = 1
    unit: str = ""
    workers: Count = 1
    trained: str = ""
    known: Count = 0
    at: float = field(default_factory=time.time)
    process: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    def write(self, folder: Path) -> None:
        """Writes it into a run folder.

        Raises:
            ZeronasError: it cannot be written.
        """
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Started | None:
        """Returns what a run folder holds of it; None where there is nothing, or what another version wrote."""
        try:
            return parse(cls, json.loads((folder / FILE).read_text(encoding="utf-8")), "The file")
        except (OSError, ValueError, RecursionError):  # ZeronasError is a ValueError
            return None

    @property
    def is_alive(self) -> bool | None:
        """Whether its process is there; None where that cannot be told, as on another machine."""
        if self.host != socket.gethostname() or self.process < 1:
            return None
        try:
            os.kill(self.process, 0)
        except PermissionError:
            return True  # another user's
        except (OSError, OverflowError):
            return False
        return True
