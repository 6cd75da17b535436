"""The record of a run: one JSON line per evaluated architecture, written as it happens, never lost, read on resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.folders import claim, made_folder, run_lock
from nas.core.lines import whole_lines
from nas.engine.evaluate import Evaluation
from proxies.base import Score

__all__ = ["Journal"]


class Journal:
    """Opens a run folder for one process and remembers every evaluation in ``journal.jsonl``.

    Args:
        folder: of the run; made if it is not there.
        identity: what the run is; a folder that holds another run is refused.
        fresh: forget what the folder holds.

    Raises:
        ZeronasError: the folder cannot be written, holds another run, is in use, or its journal is damaged.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], fresh: bool = False) -> None:
        self.folder = folder
        self.known: dict[str, Evaluation] = {}
        self._lock = run_lock(made_folder(folder))
        path = folder / "journal.jsonl"
        if fresh:
            path.unlink(missing_ok=True)
        claim(folder, identity, fresh)
        (folder / "results.json").unlink(missing_ok=True)  # until the run ends, no earlier answer stands for it
        self._read(path)
        self._file = path.open("a", encoding="utf-8")

    def _read(self, path: Path) -> None:
        for number, line in enumerate(whole_lines(path, mend=True), 1):  # what was cut off is made again
            try:
                entry = json.loads(line.decode("utf-8"))
                scores = {
                    label: Score(value["value"], value.get("reason", "")) for label, value in entry["scores"].items()
                }
                times = {label: float(value) for label, value in entry.get("times", {}).items()}
                self.known[entry["key"]] = Evaluation(entry["key"], scores, float(entry["seconds"]), times)
            except (ValueError, KeyError, TypeError, AttributeError):
                shown = line[:60].decode(errors="replace")
                raise ZeronasError(
                    f"Line {number} of '{path}' is damaged: {shown!r}; remove the line to evaluate that architecture "
                    "again, or use fresh=true to start over."
                ) from None

    def add(self, evaluation: Evaluation, architecture: Any) -> None:
        """Writes one evaluation and hands it to the operating system, so that killing the process loses nothing.

        Raises:
            ZeronasError: the disk refuses.
        """
        scores = {
            label: {"value": score.value, **({"reason": score.reason} if score.value is None else {})}
            for label, score in evaluation.scores.items()
        }
        entry = {
            "key": evaluation.key,
            "scores": scores,
            "seconds": round(evaluation.seconds, 6),
            "times": {label: round(value, 6) for label, value in evaluation.times.items()},
            "architecture": architecture.to_json(),
        }
        try:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            raise ZeronasError(f"The journal in '{self.folder}' cannot be written ({error.strerror}).") from None
        self.known[evaluation.key] = evaluation

    def close(self) -> None:
        """Closes the journal and lets another process use the folder."""
        self._file.close()
        self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
