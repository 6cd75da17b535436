"""The live line of a run: evaluations per second, best so far, failures, time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """Shows one line on a terminal, rewritten in place; elsewhere one line every ten seconds.

    Args:
        total: evaluations wanted.
        unit: what is counted.
    """

    def __init__(self, total: int, unit: str = "architectures", stream: TextIO | None = None) -> None:
        self.total, self.unit = total, unit
        self.stream = stream or sys.stderr
        self.done = self.computed = self.failures = 0
        self.best: float | None = None
        self.start = self._shown = time.monotonic()
        self._live = self.stream.isatty()

    def step(self, value: float | None, computed: bool) -> None:
        """Counts one evaluation; ``computed`` is False where the journal knew it."""
        self.done += 1
        self.computed += computed
        if value is None:
            self.failures += 1
        elif self.best is None or value > self.best:
            self.best = value
        now = time.monotonic()
        if now - self._shown >= (0.2 if self._live else 10.0):
            self._shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        rate = self.computed / max(1e-9, now - self.start)
        best = "none" if self.best is None else f"{self.best:.6g}"
        left = f"{(self.total - self.done) / rate:.0f} s left" if rate > 0 else "time left unknown"
        text = f"{self.done}/{self.total} {self.unit}  {rate:.1f}/s  best {best}  {self.failures} failed  {left}"
        self.stream.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
        self.stream.flush()

    def finish(self) -> float:
        """Clears the live line and returns the seconds since the start."""
        if self._live:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
        return time.monotonic() - self.start
