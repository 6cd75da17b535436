"""The record of a run: one JSON line per answer, written as it comes, never lost, read on resume."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from nas.core.errors import ZeronasError
from nas.core.folders import claimed
from nas.core.lines import LineFile, Tail, each_line, unsealed
from nas.core.progress import Progress
from nas.engine.trials import PROXIES, Evaluation, Recalled, TrialId
from proxies.base import Score

__all__ = ["Journal", "answer_of", "architectures", "no_garbage"]


class Journal:
    """Opens a run folder for one process and remembers every answer in ``journal.jsonl``.

    Every line says which run it is of, so that scores made under other settings are never taken for this run's, even
    where the folder's identity.json was lost. It ends with its checksum, so that no damage passes for a score. And it
    says in which round of the search its architecture was asked for, so that a searcher need not propose it again.

    Args:
        folder: of the run; made if it is not there.
        identity: what the run is; a folder that holds another run is refused.
        fresh: forget what the folder holds.

    Attributes:
        run: what stands for this run in every line.

    Raises:
        ZeronasError: the folder cannot be written, holds another run, is in use, or its journal is damaged.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], fresh: bool = False) -> None:
        self.folder = folder
        self.known: dict[TrialId, Evaluation] = {}
        self.run = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        with ExitStack() as held:
            held.enter_context(claimed(folder, identity, fresh))
            path = folder / "journal.jsonl"
            if fresh:
                _remove(path)
            _remove(folder / "results.json")  # until the run ends, no earlier answer stands for it
            self._read(path)
            self._file = held.enter_context(LineFile(path))
            self._held = held.pop_all()

    def _read(self, path: Path) -> None:
        self._rounds: dict[int, dict[int, tuple[str, bytes]]] = {}  # round -> place -> key and JSON
        progress = Progress(0)
        with no_garbage():
            for number, line in enumerate(each_line(path), 1):  # what was cut off is made again
                try:
                    entry, form = _entry(line)
                    run, evaluation, asked = entry["run"], _evaluation(entry), _place(entry.get("asked"))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
                    shown = line[:60].decode(errors="replace")
                    raise ZeronasError(
                        f"Line {number} of '{path}' is damaged: {shown!r}; remove the line to evaluate that "
                        "architecture again, or use fresh=true to start over."
                    ) from None
                if run != self.run:
                    raise ZeronasError(
                        f"Line {number} of '{path}' is of another run than this one (other settings, or another "
                        "version); use another run.dir, or fresh=true to start over."
                    )
                self.known[evaluation.id] = evaluation
                if asked is not None:
                    self._rounds.setdefault(asked[0], {})[asked[1]] = evaluation.key, form
                if number % 1000 == 0:
                    progress.note(f"reading the journal: {number:,} answers")
        progress.finish()

    def recalled(self, number: int, size: int, restore: Callable[[bytes, str], Any]) -> list[Recalled]:
        """Returns the first trials of a round, in the order asked; none where the journal lacks one of them.

        It can be asked once for each round.

        Args:
            number: of the round, from 0.
            size: how many are wanted.
            restore: makes an architecture of its JSON and its key.
        """
        found = self._rounds.pop(number, {})
        if any(place not in found for place in range(size)):
            return []
        return [Recalled(*found[place], restore) for place in range(size)]

    def add(self, evaluation: Evaluation, architecture: Any, asked: tuple[int, int] | None = None) -> None:
        """Writes one answer and hands it to the operating system, so that killing the process loses nothing.

        Args:
            asked: in which round of a search it was asked for, and at which place in it, both from 0.

        Raises:
            ZeronasError: the disk refuses.
        """
        if evaluation.key != architecture.key:
            raise AssertionError(f"the answer of {evaluation.key} was taken for that of {architecture.key}")
        entry: dict[str, Any] = {"run": self.run, "key": evaluation.key}
        if evaluation.measure != PROXIES:
            entry |= {"measure": evaluation.measure, "fidelity": evaluation.fidelity}
        if asked is not None:
            entry["asked"] = asked
        entry |= {
            "scores": {
                label: {
                    "value": score.value,
                    **({"reason": score.reason} if score.value is None else {}),
                    **({"samples": list(score.samples)} if score.samples else {}),
                }
                for label, score in evaluation.scores.items()
            },
            "seconds": round(evaluation.seconds, 6),
            "times": {label: round(value, 6) for label, value in evaluation.times.items()},
            "architecture": architecture.to_json(),
        }
        self._file.add(entry, seal=True)
        self.known[evaluation.id] = evaluation

    def close(self) -> None:
        """Closes the journal and lets another process use the folder."""
        self._held.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ZeronasError(f"'{path}' cannot be removed ({error.strerror}); choose another run.dir.") from None


@contextmanager
def no_garbage() -> Iterator[None]:
    """Keeps Python from looking for garbage among millions of objects that all stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


#: the fields of a line of an earlier version, which had no seal
_EARLIER = frozenset({"run", "key", "measure", "fidelity", "scores", "seconds", "times", "architecture"})

_FORM = b',"architecture":'  # what a sealed line's last field begins with; inside a JSON string the quote is escaped


def answer_of(line: bytes) -> tuple[str, Evaluation]:
    """Returns what stands for the run in a line of a journal, and the answer.

    Raises:
        ValueError: it is no such line.
    """
    try:
        entry, _ = _entry(line)
        run, evaluation = entry["run"], _evaluation(entry)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None
    return str(run), evaluation


def architectures(path: Path, keys: Collection[str]) -> dict[str, bytes]:
    """Returns key -> JSON of the architectures that a journal holds; its file is only read, and need not be there.

    Lines that are damaged, or of a version that had no seal, are passed over.

    Raises:
        ZeronasError: the file cannot be read.
    """
    found: dict[str, bytes] = {}
    for line in Tail(path).lines():
        key = _KEY.search(line)
        if key is None or (name := key[1].decode("ascii")) not in keys or name in found:
            continue
        try:
            record = unsealed(line)
        except ValueError:
            continue
        if record is not None:
            found[name] = record[record.index(_FORM) + len(_FORM) :]
        if len(found) == len(keys):
            break
    return found


_KEY = re.compile(rb'"key":"([\x20-\x21\x23-\x5b\x5d-\x7e]+)"')


def _entry(line: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the fields of a line, and the JSON of its architecture, which is decoded when it is needed.

    Raises:
        ValueError: it is no such line.
    """
    record = unsealed(line)
    if record is None:  # of an earlier version, or its seal is damaged
        entry = json.loads(line.decode("utf-8"))
        if not entry.keys() <= _EARLIER:
            raise ValueError(entry.keys() - _EARLIER)
        return entry, b""
    at = record.index(_FORM)
    return from_json(record[:at] + b"}", allow_inf_nan=False), record[at + len(_FORM) :]


def _place(asked: Any) -> tuple[int, int] | None:
    if asked is None:
        return None
    number, place = asked
    if type(number) is not int or type(place) is not int:
        raise TypeError(asked)
    return number, place


def _evaluation(entry: dict[str, Any]) -> Evaluation:
    """Returns the answer of a line.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    scores = {label: _score(score) for label, score in entry["scores"].items()}
    times = {label: _seconds(value) for label, value in entry.get("times", {}).items()}
    key, measure, fidelity = entry["key"], entry.get("measure", PROXIES), _number(entry.get("fidelity", 1.0))
    if not isinstance(key, str) or not isinstance(measure, str) or not 0 < fidelity <= 1 or not scores:
        raise TypeError(key)
    return Evaluation(key, scores, _seconds(entry["seconds"]), times, measure, fidelity)


def _score(score: dict[str, Any]) -> Score:
    value = score["value"]
    if value is None:
        reason = score["reason"]
        if not isinstance(reason, str) or not reason:
            raise TypeError(reason)
        return Score(None, reason)
    samples = score.get("samples")
    return Score(_number(value), "", tuple(map(_number, samples)) if samples else ())


def _number(value: Any) -> float:
    if type(value) is not float and type(value) is not int:  # to Python True is an int
        raise TypeError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _seconds(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError(value)
    return float(value)
