"""The live line of a run: evaluations per second, best so far, failures, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
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
        self.start = self._shown = self._last = self._began = time.monotonic()
        self._live = self.stream.isatty()
        self._pause = 0.2 if self._live else 10.0

    def step(self, value: float | None, computed: bool) -> None:
        """Counts one evaluation; ``computed`` is False where the journal knew it."""
        self.done += 1
        if computed and not self.computed:
            self._began = self._last
        self.computed += computed
        if value is None:
            self.failures += 1
        elif self.best is None or value > self.best:
            self.best = value
        self._last = time.monotonic()
        self._show(self._text)

    def took_up(self, values: Sequence[float | None]) -> None:
        """Counts evaluations that the journal knew, None for a failure."""
        found = [value for value in values if value is not None]
        self.done += len(values)
        self.failures += len(values) - len(found)
        self.best = max(found, default=self.best) if self.best is None else max([self.best, *found])
        self._last = time.monotonic()
        self._show(self._text)

    def note(self, text: str) -> None:
        """Shows what goes on before anything is counted, no more often than the line of the evaluations."""
        self._show(lambda: text)

    def _show(self, text: Callable[[], str]) -> None:
        now = time.monotonic()
        if now - self._shown >= self._pause:
            self._shown = now
            self._write(text())

    def _text(self) -> str:
        best = "none" if self.best is None else f"{self.best:.6g}"
        told = f"best {best}  {self.failures} failed"
        if not self.computed:
            return f"{self.done}/{self.total} {self.unit}  taken up from the journal  {told}"
        rate = self.computed / max(1e-9, self._last - self._began)
        return (
            f"{self.done}/{self.total} {self.unit}  {rate:.1f}/s  {told}  {(self.total - self.done) / rate:.0f} s left"
        )

    def _write(self, text: str) -> None:
        self.stream.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
        self.stream.flush()

    def finish(self) -> float:
        """Clears the live line and returns the seconds since the start."""
        if self._live:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
        return time.monotonic() - self.start
