"""The live lines of a run: evaluations per second, truths asked, trainings, best so far, failures, time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "Truths", "span", "told"]

_TICK = 0.5  # seconds between two looks at what may have changed
_PAUSE = 10.0  # without a terminal: seconds until the first line, and between two of them

#: what is shown in this process; one that begins meanwhile is silent
_shown: Progress | None = None


@dataclass
class Truths:
    """What is known of the truths that a run asks for.

    Attributes:
        total: that may be asked for, in whole trainings.
        spent: of them.
        sign: 1 where a high truth is a good one, else -1; values come so that higher is better.
        unit: of the truth.
        asked: how many were, whatever they cost.
        failures: trainings that diverged.
        best: share of the training after which it was taken, and value; a whole training is before a part of one.
        best_key: of the architecture with the best.
    """

    total: float
    sign: float = 1.0
    unit: str = ""
    spent: float = 0.0
    asked: int = 0
    failures: int = 0
    best: tuple[float, float] | None = None
    best_key: str = ""
    _reached: dict[str, float] = field(default_factory=dict)
    _computed: float = 0.0
    _began: float | None = None
    _last: float = 0.0

    def begin(self, now: float) -> None:
        """Notes the time at which truths are asked for first."""
        self._began = now if self._began is None else self._began

    def add(self, key: str, fidelity: float, value: float | None, computed: bool, now: float) -> None:
        """Counts one answer.

        Args:
            key: of the architecture.
            value: higher is better; None for a failure.
            computed: False where the journal knew it.
        """
        cost = max(0.0, fidelity - self._reached.get(key, 0.0))
        self._reached[key] = max(fidelity, self._reached.get(key, 0.0))
        self.spent += cost
        self._computed += cost if computed else 0.0
        self.asked += 1
        self._last = now
        if value is None:
            self.failures += 1
        elif self.best is None or (fidelity, value) > self.best:
            self.best, self.best_key = (fidelity, value), key

    def counted(self, keyed: bool = False) -> list[str]:
        """The parts of the line but the time left; ``keyed``: with the key of the best."""
        of = f"/{self.total:g}" if self.total else ""
        parts = [f"{self.spent:g}{of} truths"]
        if self.asked != self.spent:
            parts = [f"{self.spent:.4g}{of} trainings ({self.asked:,} asked)"]
        if self.best is not None:
            share, value = self.best
            after = (f" at {share:g}" if share < 1 else "") + (f" ({self.best_key})" if keyed else "")
            parts.append(f"best {self.sign * value:.6g} {self.unit}".rstrip() + after)
        return [*parts, f"{self.failures:,} failed"]

    @property
    def text(self) -> str:
        """The line."""
        parts = self.counted()
        if self._computed and self._began is not None and self.spent < self.total:
            parts.append(f"{span((self.total - self.spent) * (self._last - self._began) / self._computed)} left")
        return "  ".join(parts)


class Progress:
    """Shows a few lines on a terminal, rewritten in place and taken away in the end; elsewhere a line now and then.

    It is shown in a ``with`` block, and only counts outside of one: whatever ends it, Ctrl-C too, leaves a clean
    terminal. While one is shown, another of the same process is silent.

    Args:
        total: wanted.
        unit: what is counted.
        stream: where lines go; standard error.
        console: instead of the terminal that the stream is.
        truths: that are asked for beside what is counted.
        others: further lines, such as the trainings under way; asked for twice a second, in another thread.

    Attributes:
        is_live: whether there is a terminal.
        beside: what the line tells instead of the best and the failures.
    """

    def __init__(
        self,
        total: int,
        unit: str = "architectures",
        stream: TextIO | None = None,
        *,
        console: Console | None = None,
        truths: Truths | None = None,
        others: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self.total, self.unit = total, unit
        self.stream = stream or sys.stderr
        self.truths, self.others = truths, others
        self.done = self.computed = self.failures = 0
        self.best: float | None = None
        self.beside: str | None = None
        self.start = self._last = time.monotonic()
        self._busy = 0.0
        self._note = ""
        self._console = console
        self._display: Any = None
        self.is_live = console is not None or self.stream.isatty()
        self._written = self.start
        self._before = ""
        self._lock = threading.Lock()
        self._entered = False
        self._ended = threading.Event()
        self._ticking: threading.Thread | None = None

    def begin(self, truths: bool = False) -> None:
        """Notes that something is asked for now: truths, or what is counted beside them."""
        if not truths:
            self._last = time.monotonic()
        elif self.truths is not None:
            self.truths.begin(time.monotonic())
        self._look()

    def step(self, value: float | None, computed: bool) -> None:
        """Counts one evaluation; ``computed`` is False where the journal knew it."""
        now = time.monotonic()
        self.done += 1
        self.computed += computed
        self._busy += now - self._last if computed else 0.0
        self._last = now
        if value is None:
            self.failures += 1
        elif self.best is None or value > self.best:
            self.best = value
        self._look(at_once=self.computed == 1 and computed)  # the first answer is not waited for

    def took_up(self, values: Sequence[float | None]) -> None:
        """Counts evaluations that the journal knew, None for a failure."""
        found = [value for value in values if value is not None]
        self.done += len(values)
        self.failures += len(values) - len(found)
        self.best = max(found, default=self.best) if self.best is None else max([self.best, *found])
        self._last = time.monotonic()
        self._look()

    def reached(self, done: int) -> None:
        """Says how many are done; those of the first call are none of this session's."""
        now = time.monotonic()
        if self.done:
            self.computed += done - self.done
            self._busy += now - self._last
        self.done, self._last = done, now
        self._look()

    def asked(self, key: str, fidelity: float, value: float | None, computed: bool) -> None:
        """Counts the answer to a question for truth; see ``Truths.add``."""
        if self.truths is not None:
            self.truths.add(key, fidelity, value, computed, time.monotonic())
            self._look()

    def note(self, text: str) -> None:
        """Says what goes on before anything is counted."""
        self._note = text
        self._look()

    @property
    def lines(self) -> list[str]:
        """What is told now."""
        found = [self._note] if self._note and not self.done else []
        if self.total:
            found.append(self._text())
        if self.truths is not None and (self.truths.total or self.truths.asked):
            found.append(self.truths.text)
        return found + list(self.others() if self.others is not None else ())

    def _text(self) -> str:
        parts = [f"{self.done}/{self.total} {self.unit}"]
        if self.computed:
            parts.append(f"{self.computed / max(1e-9, self._busy):.1f}/s")
        elif self.done:
            parts.append("taken up from the journal")
        if self.beside is not None:
            parts.append(self.beside)
        elif self.done:
            best = "none" if self.best is None else f"{self.best:.6g}"
            parts.append(f"best {best}  {self.failures} failed")
        if self.computed and self.done < self.total:
            parts.append(f"{span((self.total - self.done) * self._busy / self.computed)} left")
        return "  ".join(filter(None, parts))

    def _look(self, at_once: bool = False) -> None:
        """Begins to show, or writes a line where there is no terminal and it is time; the rest is the thread's."""
        global _shown
        if not self._entered or self._ended.is_set() or (_shown is not None and _shown is not self):
            return
        _shown = self
        if self._ticking is None:
            self._ticking = threading.Thread(target=self._tick, daemon=True)
            self.show()
            self._ticking.start()
        elif at_once or not self.is_live:
            self.show()

    def _tick(self) -> None:
        while not self._ended.wait(_TICK):
            try:
                self.show()
            except (OSError, ValueError):  # the stream was closed
                return

    def show(self) -> None:
        """Shows what is told now; without a terminal only where it is time for a line."""
        if not self.is_live and time.monotonic() - self._written < _PAUSE:
            return
        with self._lock:
            if self._ended.is_set() or not (lines := self.lines):
                return
            if self.is_live:
                self._drawn(lines)
            elif (text := " | ".join(lines)) != self._before:
                self._written, self._before = time.monotonic(), text
                self.stream.write(f"{text}\n")
                self.stream.flush()

    def _drawn(self, lines: Sequence[str]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
        if self._display is None:
            console = self._console or Console(file=self.stream)
            self._display = Live(text, console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._display.start()
            console.show_cursor(True)  # it was hidden, and stays so where the process is killed
        self._display.update(text, refresh=True)

    def finish(self) -> float:
        """Takes the lines away and returns the seconds since the start."""
        global _shown
        self._ended.set()
        with self._lock:
            if self._display is not None:
                self._display.stop()
                self._display = None
        _shown = None if _shown is self else _shown
        return time.monotonic() - self.start

    def __enter__(self) -> Progress:
        self._entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        self.finish()


@contextmanager
def told(text: str) -> Iterator[None]:
    """Says on a terminal what goes on in a block that takes a moment."""
    with Progress(0) as progress:
        if progress.is_live:
            progress.note(text)
        yield


def span(seconds: float) -> str:
    """Returns a length of time for people, such as "45 s", "12 min" and "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
