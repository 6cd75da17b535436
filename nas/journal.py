"""The record of a run: one JSON line per evaluated architecture, written as it happens, never lost, read on resume."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nas.errors import ZeronasError
from nas.evaluate import Evaluation
from nas.report.files import write_text
from proxies.base import Score

__all__ = ["Journal", "claim", "lock", "made_folder", "run_lock", "whole_lines"]


def made_folder(folder: Path) -> Path:
    """Makes a run folder, finds out whether it can be written, and returns it.

    Raises:
        ZeronasError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ZeronasError(
            f"The run folder '{folder}' cannot be written ({error.strerror}); choose another with run.dir=FOLDER."
        ) from None


def claim(folder: Path, identity: Mapping[str, Any], fresh: bool = False) -> None:
    """Writes down what the run in a folder is, unless another one is there.

    Args:
        fresh: forget what was there.

    Raises:
        ZeronasError: the folder holds another run, or cannot be read or written.
    """
    path = folder / "identity.json"
    if fresh or not path.exists():
        write_text(path, json.dumps(identity, indent=1, sort_keys=True) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # damaged: not JSON, or not even text
        before = {}
    except OSError as error:
        raise ZeronasError(
            f"The run folder '{folder}' cannot be read (identity.json: {error.strerror}); choose another with "
            "run.dir=FOLDER."
        ) from None
    before = before if isinstance(before, dict) else {}
    changed = sorted(key for key in {*before, *identity} if before.get(key) != identity.get(key))
    if changed:
        key = changed[0]
        raise ZeronasError(
            f"The run folder '{folder}' holds another run ({key} was {before.get(key)!r} there, is "
            f"{identity.get(key)!r} now); use another run.dir, or fresh=true to start over."
        )


def lock(path: Path) -> TextIO | None:
    """Returns the lock file at ``path``, held until it is closed, or None where another process holds it."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def run_lock(folder: Path) -> TextIO:
    """Returns the lock of a run folder, held until it is closed.

    Raises:
        ZeronasError: another process holds it.
    """
    held = lock(folder / ".lock")
    if held is None:
        raise ZeronasError(
            f"Another process is writing to the run folder '{folder}'; wait for it or choose run.dir=FOLDER."
        )
    return held


def whole_lines(path: Path, mend: bool = False) -> list[bytes]:
    """Returns the lines of a journal, none where it is not there; a last one that a kill cut off is left out.

    Args:
        mend: remove such a line from the file too, so that the next one stands alone.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if mend and whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return content[:whole].splitlines()


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
