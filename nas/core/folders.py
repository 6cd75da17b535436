"""Run folders: made, claimed by one run, locked by one process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError
from nas.core.files import write_text
from nas.core.lines import Lock, lock
from nas.core.options import shown

__all__ = ["claim", "claimed", "made_folder", "run_lock"]


@contextmanager
def claimed(folder: Path, identity: Mapping[str, Any], fresh: bool = False) -> Iterator[Path]:
    """Makes a run folder, holds its lock, and claims it for a run.

    Raises:
        ZeronasError: it cannot be written, another process is writing to it, or it holds another run.
    """
    with run_lock(made_folder(folder)):
        claim(folder, identity, fresh)
        yield folder


def made_folder(folder: Path, what: str = "run folder", option: str = "run.dir") -> Path:
    """Makes a folder, finds out whether it can be written, and returns it.

    Args:
        what: it is, in the sentence.
        option: names another one.

    Raises:
        ZeronasError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ZeronasError(
            f"The {what} {shown(str(folder), 200)} cannot be written ({error.strerror}); choose another with "
            f"{option}=FOLDER."
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
    except (ValueError, RecursionError):  # damaged: not JSON, or not even text
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
            f"The run folder '{folder}' holds another run ({key} was {shown(before.get(key))} there, "
            f"is {shown(identity.get(key))} now); use another run.dir, or fresh=true to start over."
        )


def run_lock(folder: Path) -> Lock:
    """Returns the lock of a run folder, held until it is closed.

    Raises:
        ZeronasError: another process holds it, or its file cannot be opened.
    """
    held = lock(folder / ".lock")
    if held is None:
        raise ZeronasError(
            f"Another process is writing to the run folder '{folder}'; wait for it or choose run.dir=FOLDER."
        )
    return held
