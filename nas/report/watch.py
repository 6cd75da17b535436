"""The progress of a run of another process, read from its folder alone, in which files may be half written."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nas.core.errors import ZeronasError, printable
from nas.core.lines import Tail
from nas.core.options import shown
from nas.core.progress import Truths, span
from nas.engine.journal import answer_of
from nas.engine.started import Started
from nas.engine.trials import PROXIES, TRUTH, Evaluation, TrialId
from nas.truth.train.running import FOLDER, running

__all__ = ["Watched"]

_WINDOW = 60.0  # seconds of answers that the rate is of, where they were seen to come
_REASONS = 5  # that are told


class Watched:
    """What a run folder tells of its run, read a little further with each ``look``.

    Args:
        folder: of the run.

    Attributes:
        ended: whether nothing more will come: the run is finished, or its process is gone.

    Raises:
        ZeronasError: there is no such folder, or no run with a journal in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not os.path.isdir(folder):  # False where the name is too long
            raise ZeronasError(f"There is no run folder {shown(str(folder), 200)}.")
        if not (folder / "journal.jsonl").exists():
            raise ZeronasError(
                f"The run folder {shown(str(folder), 200)} has no journal.jsonl: nothing was evaluated in it; watch "
                "takes the folder of one `zeronas search` or `zeronas rank`."
            )
        self.ended = False
        self._finished = False
        self._started: Started | None = None
        self._tail = Tail(folder / "journal.jsonl")
        self._answers = _Answers()
        self._trainings = _Trainings()

    def look(self) -> None:
        """Takes in what was written since the last look.

        Raises:
            ZeronasError: the journal cannot be read.
        """
        # what the end is told by is looked at before the journal is read, so that the last answers are taken in
        finished, restarts = (self.folder / "results.json").exists(), self._tail.restarts
        self._started = Started.read(self.folder)
        alive = None if self._started is None else self._started.is_alive
        for line in self._tail.lines():
            if self._tail.restarts != restarts:  # the run was begun anew
                restarts, self._answers = self._tail.restarts, _Answers()
            self._answers.take(line)
        self._answers.count(time.monotonic())
        if self._started is not None and self._started.trained:
            self._trainings.look(self.folder / self._started.trained)
        self.ended, self._finished = finished or alive is False, finished

    @property
    def lines(self) -> list[str]:
        """What is known of the run, a line each, fit for a terminal."""
        return [printable(line) for line in self._told()]

    def _told(self) -> Iterator[str]:
        found, started, now = self._answers, self._started, time.time()
        yield f"{self.folder.name or self.folder}: {self._state(now)}"
        wanted = 0.0 if started is None else _amount(started.wanted.get(PROXIES))
        yield found.scored_line(wanted, None if self.ended else self._rate())
        trainings = 0.0 if started is None else _amount(started.wanted.get(TRUTH))
        if trainings or found.truths.asked:
            yield found.truths_line(started, trainings, self.ended)
        if reasons := +found.reasons:
            told = [f"{count:,} {reason}" for reason, count in reasons.most_common(_REASONS)]
            rest = sum(reasons.values()) - sum(count for _, count in reasons.most_common(_REASONS))
            yield f"failures: {'; '.join(told)}{f'; {rest:,} others' if rest else ''}"
        if not self.ended:
            yield from self._trainings.running
        if self._trainings.line:
            yield self._trainings.line
        if found.damaged:
            yield f"lines of the journal that are damaged: {found.damaged:,}"
        if not self.ended:
            with suppress(OSError):
                yield f"last answer {span(max(0.0, now - self._tail.path.stat().st_mtime))} ago"

    def _state(self, now: float) -> str:
        started = self._started
        command = "" if started is None else f"zeronas {started.command}, "
        if self._finished:
            return f"{command}finished; the result is in summary.md and report.html"
        if started is None:
            return "not finished"
        if self.ended:
            return f"{command}stopped: its process is gone, and the same command continues it"
        where = f"process {started.process}{'' if started.is_alive else f' on {started.host}'}"
        return f"{command}{where}, at work for {span(max(0.0, now - started.at))}"

    def _rate(self) -> float | None:
        """Returns architectures a second: of the last minute, else of the session; None where that cannot be told."""
        if (seen := self._answers.seen_rate) is not None or self._started is None:
            return seen
        with suppress(OSError):
            seconds = self._tail.path.stat().st_mtime - self._started.at
            if seconds > 0 and self._answers.scored > self._started.known:
                return (self._answers.scored - self._started.known) / seconds
        return None


class _Answers:
    """What the journal holds: how many of what, the best, and what failed.

    An answer has failed where its first score has: the fitness, or the truth. What a gate or a surrogate looks at
    beside it has no value for most of these either, and is not told.
    """

    def __init__(self) -> None:
        self.scored = 0
        self.truths = Truths(0.0)
        self.reasons: Counter[str] = Counter()
        self.damaged = 0
        self._label = ""
        self._best: tuple[float, str] | None = None
        self._failed = 0
        self._seen: dict[TrialId, str] = {}  # trial -> why it failed, "" where it did not
        self._trained: dict[str, tuple[float, float]] = {}  # key -> share, seconds
        self._counts: deque[tuple[float, int]] = deque()

    def take(self, line: bytes) -> None:
        """Takes in a line."""
        try:
            _, evaluation = answer_of(line)
        except ValueError:
            self.damaged += 1
            return
        label, score = next(iter(evaluation.scores.items()))
        reason = f"{label}: {score.reason}" if score.value is None else ""
        before = self._seen.get(evaluation.id)  # what failed for want of time or memory is tried again
        self._seen[evaluation.id] = reason
        self.reasons.update([reason] if reason else [])
        self.reasons.subtract([before] if before else [])
        if evaluation.measure == PROXIES:
            self.scored += before is None
            self._failed += bool(reason) - bool(before)
            self._label = label
            if score.value is not None and (self._best is None or score.value > self._best[0]):
                self._best = score.value, evaluation.key
        else:
            if before is not None:
                self.truths.asked -= 1
                self.truths.failures -= bool(before)
            self._truth(evaluation, score.value)

    def _truth(self, evaluation: Evaluation, value: float | None) -> None:
        self.truths.add(evaluation.key, evaluation.fidelity, value, False, 0.0)
        if evaluation.seconds:
            share, seconds = self._trained.get(evaluation.key, (0.0, 0.0))
            self._trained[evaluation.key] = max(share, evaluation.fidelity), max(seconds, evaluation.seconds)

    def count(self, now: float) -> None:
        """Notes how many there are now."""
        self._counts.append((now, self.scored))
        while len(self._counts) > 2 and now - self._counts[1][0] > _WINDOW:
            self._counts.popleft()

    @property
    def seen_rate(self) -> float | None:
        """Architectures a second, as they were seen to come; None where none came."""
        (begun, first), (ended, last) = self._counts[0], self._counts[-1]
        return (last - first) / (ended - begun) if last > first and ended > begun else None

    def scored_line(self, wanted: float, rate: float | None) -> str:
        """Returns the line of the architectures scored."""
        parts = [f"{self.scored:,}{f'/{wanted:,.0f}' if wanted else ''} architectures"]
        left = wanted - self.scored
        if rate is not None and left > 0:
            parts.append(f"{rate:.1f}/s")
        if self._best is not None:
            parts.append(f"best {self._label} {self._best[0]:.6g} ({self._best[1]})")
        parts.append(f"{self._failed:,} failed")
        if rate is not None and left > 0:
            parts.append(f"{span(left / rate)} left")
        return "  ".join(parts)

    def truths_line(self, started: Started | None, wanted: float, ended: bool) -> str:
        """Returns the line of the truths asked."""
        truths = self.truths
        truths.total, truths.unit = wanted, "(higher is better)"
        if started is not None:
            truths.sign, truths.unit = started.sign, started.unit
        parts = truths.counted(keyed=True)
        trained = sum(share for share, _ in self._trained.values())
        if started is not None and trained and wanted > truths.spent and not ended:
            each = sum(seconds for _, seconds in self._trained.values()) / trained
            parts.append(f"about {span((wanted - truths.spent) * each / max(1, started.workers))} left")
        return "  ".join(parts)


class _Trainings:
    """What the journals of trainings beside the runs hold, and what is under way there, whichever run asked for it."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.line = ""
        self._tails: dict[Path, Tail] = {}
        self._kept: set[tuple[str, str]] = set()  # key and seed
        self._last = ""

    def look(self, store: Path) -> None:
        """Takes in what is new.

        Args:
            store: how the names of the journals begin.
        """
        self.running = [one.text for one in running(store.parent / FOLDER)]
        for path in sorted(store.parent.glob("*.jsonl")):
            if path.name.startswith(store.name):
                for line in self._tails.setdefault(path, Tail(path)).lines():
                    self._take(line)
        kept = len(self._kept)
        self.line = f"trainings kept beside the runs: {kept:,}, the last {self._last}" if kept else ""

    def _take(self, line: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError, RecursionError, IndexError):  # damaged
            record = json.loads(line)
            value, curve = record["value"], record["curve"]
            what = record["reason"] if value is None else f"{float(value):.4f} nats/token"
            after = f" after {int(curve[-1][0]):,} updates" if curve else ""
            self._last = f"{record['key']}: {what}{after}, {float(record['seconds']):.0f} s"
            self._kept.add((str(record["key"]), str(record.get("seed"))))


def _amount(value: object) -> float:
    """Returns a number of a stranger's file, 0 for what is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e15 else 0.0  # type: ignore[operator, arg-type]
