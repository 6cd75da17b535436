"""Screening: very many draws of a space scored, in flat files whose size is that of the scores.

The number of a draw determines it: its random stream depends on the seed and that number alone. So workers draw the
architectures that they score, and only numbers are sent; an architecture is drawn again when it is to be shown. Each
draw takes 8 bytes for each proxy and 8 for its key, in memory and on disk. A finished chunk is recorded by a line with
its checksum.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nas.core import seeds
from nas.core.dispatch import dispatched
from nas.core.errors import ZeronasError
from nas.core.executors import Executor
from nas.core.folders import claimed
from nas.core.lines import LineFile, each_line, unsealed
from nas.core.workers import TRANSIENT, one_thread
from nas.engine.evaluate import Scorer
from proxies.base import Score
from spaces.base import Space

__all__ = ["CHUNK", "Chunk", "Screen", "drawn", "fingerprint", "screened"]

#: draws that are scored, checked and written together
CHUNK = 256
#: scores that a worker remembers, some 300 bytes each
_KEPT = 200_000


def drawn(space: Space[Any], seed: int, number: int) -> Any:
    """Returns a draw by its number."""
    return space.sample(seeds.generator(seed, "screen", number))


def fingerprint(key: str) -> int:
    """Returns 64 bits that stand for a key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")


@dataclass(frozen=True)
class Chunk:
    """Draws that are scored.

    Attributes:
        numbers: which.
        scores: (n, proxies), NaN for a failure.
        keys: (n,) fingerprints.
        failures: reason -> how many failed for it, by the first proxy.
    """

    numbers: range
    scores: NDArray[np.float64]
    keys: NDArray[np.uint64]
    failures: Mapping[str, int]


class Screen:
    """The scores of the first ``count`` draws, in a run folder that this process holds until ``close``.

    Args:
        folder: of the run; made if it is not there.
        identity: what the run is; a folder that holds another run is refused.
        count: draws wanted.
        labels: of the proxies.
        fresh: forget what the folder holds.

    Attributes:
        scores: (count, proxies), NaN for a failure and for what is not scored yet.
        keys: (count,) fingerprints.
        failures: reason -> how many draws failed for it.
        missing: chunks that are not scored yet.

    Raises:
        ZeronasError: the folder cannot be written, holds another run, or is in use, or its chunks.jsonl is damaged.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], count: int, labels: Sequence[str], fresh: bool = False
    ) -> None:
        self.folder, self.count, self.labels = folder, count, tuple(labels)
        self.run = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.scores = np.full((count, len(self.labels)), math.nan)
        self.keys = np.zeros(count, dtype=np.uint64)
        self.failures: Counter[str] = Counter()
        chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        with ExitStack() as held:
            held.enter_context(claimed(folder, identity, fresh))
            names = ("chunks.jsonl", "scores.f8", "keys.u8")
            if fresh:
                for name in names:
                    (folder / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                (folder / "results.json").unlink()  # until the run ends, no earlier answer stands for it
            done = self._read(*(folder / name for name in names))
            self._lines = held.enter_context(LineFile(folder / names[0]))
            self._scores, self._keys = (held.enter_context(_opened(folder / name)) for name in names[1:])
            self._held = held.pop_all()
        self.missing = [chunk for chunk in chunks if done.get(chunk.start) != chunk.stop]

    def _read(self, lines: Path, scores: Path, keys: Path) -> dict[int, int]:
        """Reads the chunks that are whole; returns their first draw -> the one after their last.

        A chunk whose numbers are not those that were written, or whose failures were the machine's, is scored again.
        """
        done: dict[int, int] = {}
        failures: dict[int, dict[str, int]] = {}
        columns = len(self.labels)
        held = _numbers(scores, np.float64), _numbers(keys, np.uint64)
        for number, line in enumerate(each_line(lines), 1):
            try:
                begin, end, digest, failed = self._entry(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise ZeronasError(
                    f"Line {number} of '{lines}' is damaged or of another run; remove the line to score its draws "
                    "again, or use fresh=true to start over."
                ) from None
            mine = held[0][begin * columns : end * columns], held[1][begin:end]
            if end > self.count or TRANSIENT & set(failed) or _digest(*mine) != digest:
                done.pop(begin, None)
                continue
            self.scores[begin:end], self.keys[begin:end] = mine[0].reshape(-1, columns), mine[1]
            done[begin], failures[begin] = end, failed
        for begin in done:
            self.failures.update(failures[begin])
        return done

    def _entry(self, line: bytes) -> tuple[int, int, int, dict[str, int]]:
        record = unsealed(line)
        if record is None:
            raise ValueError("no seal")
        entry = json.loads(record + b"}")
        if entry["run"] != self.run:
            raise ValueError("another run")
        return int(entry["begin"]), int(entry["end"]), int(entry["digest"]), dict(entry["failures"])

    def add(self, chunk: Chunk) -> None:
        """Keeps a chunk, and writes it: first its numbers, then the line that says so.

        Raises:
            ZeronasError: the disk refuses.
        """
        begin, end = chunk.numbers.start, chunk.numbers.stop
        self.scores[begin:end], self.keys[begin:end] = chunk.scores, chunk.keys
        self.failures.update(chunk.failures)
        try:
            for file, values in ((self._scores, self.scores[begin:end]), (self._keys, self.keys[begin:end])):
                file.seek(begin * values[:1].nbytes)
                file.write(values.tobytes())
        except OSError as error:
            raise ZeronasError(
                f"'{self.folder}' cannot be written ({error.strerror}); what was computed is kept. Make room and run "
                "the same command again."
            ) from None
        digest = _digest(chunk.scores, chunk.keys)
        line = {"run": self.run, "begin": begin, "end": end, "digest": digest, "failures": dict(chunk.failures)}
        self._lines.add(line, seal=True)

    def best(self, most: int) -> list[int]:
        """Returns the numbers of the best draws by the first proxy, best first, of equal architectures the first."""
        fitness = self.scores[:, 0]
        order = np.argsort(-np.where(np.isnan(fitness), -np.inf, fitness), kind="stable")
        kept: dict[int, int] = {}
        for at in order:
            if np.isnan(fitness[at]) or len(kept) >= most:
                break
            kept.setdefault(int(self.keys[at]), int(at))
        return list(kept.values())

    def close(self) -> None:
        """Lets another process have the folder."""
        self._held.close()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def screened(scorer: Scorer, missing: Sequence[range], executor: Executor) -> Iterator[Chunk]:
    """Yields chunks of draws as they are scored.

    A draw that ends its worker, again and again, or at once by its time or memory, is a failure with that reason.

    Raises:
        ZeronasError: no worker can be started (what was yielded before stands).
    """
    work = partial(_scored, scorer)
    crew = executor.crew(work, len(missing))
    if crew is None:
        for numbers in missing:
            yield work([numbers])[0]
        return
    with crew:
        deadly: list[range] = []
        limit = None if scorer.timeout is None else scorer.timeout * CHUNK
        for place, chunk in dispatched(crew, missing, 1, lambda numbers, reason: None, limit):
            if chunk is None:
                deadly.append(missing[place])
            else:
                yield chunk
        for numbers in deadly:  # one by one, so that what kills is found
            ones = [range(i, i + 1) for i in numbers]
            parts = sorted(dispatched(crew, ones, 1, _gone(scorer), scorer.timeout), key=lambda pair: pair[0])
            failures = Counter[str]()
            for _, part in parts:
                failures.update(part.failures)
            scores, keys = (np.concatenate([getattr(part, of) for _, part in parts]) for of in ("scores", "keys"))
            yield Chunk(numbers, scores, keys, failures)


def _scored(scorer: Scorer, wanted: Sequence[range]) -> list[Chunk]:
    return [_memory_of(scorer).chunk(numbers) for numbers in wanted]


class _Memory:
    """Scores of what a process has drawn before, the latest ``_KEPT``: nearly half of 20,000 cells were.

    An architecture scores the same whatever stands beside it, so it makes no difference but in time.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._known: dict[str, tuple[Score, ...]] = {}

    def chunk(self, numbers: range) -> Chunk:
        """Draws and scores."""
        cells = [drawn(self.scorer.space, self.scorer.seed, number) for number in numbers]
        new = [cell for cell in {cell.key: cell for cell in cells}.values() if cell.key not in self._known]
        size = self.scorer.size
        with one_thread() if self.scorer.runs_torch else nullcontext():
            for begin in range(0, len(new), size):
                for one in self.scorer.together(new[begin : begin + size]):
                    self._known[one.key] = tuple(one.scores.values())
        lists = [self._known[cell.key] for cell in cells]
        if len(self._known) > _KEPT:
            for key in list(self._known)[: len(self._known) // 4]:
                del self._known[key]
        values = [[math.nan if score.value is None else score.value for score in scores] for scores in lists]
        failures = Counter(scores[0].reason for scores in lists if scores[0].value is None)
        keys = np.array([fingerprint(cell.key) for cell in cells], dtype=np.uint64)
        return Chunk(numbers, np.array(values, dtype=np.float64), keys, failures)


_memory: _Memory | None = None


def _memory_of(scorer: Scorer) -> _Memory:
    """Returns the memory of a process, which is of one scorer."""
    global _memory
    if _memory is None or _memory.scorer is not scorer:
        _memory = _Memory(scorer)
    return _memory


def _gone(scorer: Scorer) -> Callable[[range, str], Chunk]:
    def lost(numbers: range, reason: str) -> Chunk:
        keys = np.array(
            [fingerprint(drawn(scorer.space, scorer.seed, number).key) for number in numbers], dtype=np.uint64
        )
        nothing = np.full((len(numbers), len(scorer.proxies)), math.nan)
        return Chunk(numbers, nothing, keys, Counter({reason: len(numbers)}))

    return lost


def _digest(scores: NDArray[np.float64], keys: NDArray[np.uint64]) -> int:
    return zlib.crc32(keys.tobytes(), zlib.crc32(scores.tobytes()))


def _numbers(path: Path, kind: Any) -> NDArray[Any]:
    """Returns what a file holds of whole numbers; nothing where it is not there."""
    try:
        return np.fromfile(path, dtype=kind) if path.exists() else np.empty(0, dtype=kind)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be read ({error.strerror}); choose another folder.") from None


def _opened(path: Path) -> BinaryIO:
    try:
        path.touch()
        return path.open("r+b", buffering=0)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be opened ({error.strerror}); choose another folder.") from None
