"""The record of a run: one JSON line per answer, written as it comes, never lost, read on resume."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.folders import claimed
from nas.core.lines import LineFile, whole_lines
from nas.engine.trials import PROXIES, Evaluation, TrialId
from proxies.base import Score

__all__ = ["Journal"]


class Journal:
    """Opens a run folder for one process and remembers every answer in ``journal.jsonl``.

    Every line says which run it is of, so that scores made under other settings are never taken for this run's, even
    where the folder's identity.json was lost.

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
        for number, line in enumerate(whole_lines(path, mend=True), 1):  # what was cut off is made again
            try:
                entry = json.loads(line.decode("utf-8"))
                run, evaluation = entry["run"], _evaluation(entry)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                shown = line[:60].decode(errors="replace")
                raise ZeronasError(
                    f"Line {number} of '{path}' is damaged: {shown!r}; remove the line to evaluate that architecture "
                    "again, or use fresh=true to start over."
                ) from None
            if run != self.run:
                raise ZeronasError(
                    f"Line {number} of '{path}' is of another run than this one (other settings, or another version); "
                    "use another run.dir, or fresh=true to start over."
                )
            self.known[evaluation.id] = evaluation

    def add(self, evaluation: Evaluation, architecture: Any) -> None:
        """Writes one answer and hands it to the operating system, so that killing the process loses nothing.

        Raises:
            ZeronasError: the disk refuses.
        """
        if evaluation.key != architecture.key:
            raise AssertionError(f"the answer of {evaluation.key} was taken for that of {architecture.key}")
        entry: dict[str, Any] = {"run": self.run, "key": evaluation.key}
        if evaluation.measure != PROXIES:
            entry |= {"measure": evaluation.measure, "fidelity": evaluation.fidelity}
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
        self._file.add(entry)
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


def _evaluation(entry: dict[str, Any]) -> Evaluation:
    """Returns the answer of a line.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    scores = {}
    for label, score in entry["scores"].items():
        value, reason, samples = score["value"], score.get("reason", ""), score.get("samples", [])
        if not isinstance(samples, list) or not isinstance(reason, str):
            raise TypeError(label)
        scores[label] = Score(None if value is None else _number(value), reason, tuple(map(_number, samples)))
    times = {label: float(value) for label, value in entry.get("times", {}).items()}
    key, measure, fidelity = entry["key"], entry.get("measure", PROXIES), float(entry.get("fidelity", 1.0))
    if not isinstance(key, str) or not isinstance(measure, str):
        raise TypeError(key)
    return Evaluation(key, scores, float(entry["seconds"]), times, measure, fidelity)


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return float(value)
