"""``python -m experiments.scale.hardships``: a full disk, a folder that cannot be written, no time, no memory, Ctrl-C.

Each is made for real, by file systems in memory that are mounted for it (so this needs Linux, and root), limits that
are too low, and signals. results/hardships.json says for each what the command said and with which status it ended, and
whether the run that was continued afterwards has the table of an undisturbed one. It ends with status 2 where one did
anything but what is expected.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.files import versions, write_json

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "hardships.json"
_TINY = ("probe.rnn.hidden=[8]", "probe.rnn.embedding=8", "probe.rnn.batch=4", "probe.rnn.steps=8")
_SEARCH = ("search", "benchmark=none", "budget=600", "searcher=evolution", "executor.workers=2", *_TINY)


def _run(*overrides: str, **env: str) -> tuple[int, list[str], str]:
    """Runs a command; returns its status, its lines of errors without those of progress, and what it printed."""
    command = [sys.executable, "-m", "experiments.cli", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env={**os.environ, **env})
    said = [line for line in done.stderr.splitlines() if line and " s left" not in line and "taken up" not in line]
    return done.returncode, said, done.stdout


@contextmanager
def _memory_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mounts a file system in memory; yields what changes it, by options such as "size=1m" or "ro"."""
    folder.mkdir(parents=True, exist_ok=True)

    def mount(options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            raise ZeronasError(f"A file system in memory cannot be mounted ({done.stderr.strip()}); this needs root.")

    mount(f"size={size}")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", str(folder)], check=False)


def _full_disk(folder: Path) -> dict[str, Any]:
    with _memory_disk(folder / "disk", "96k") as change:
        status, said, _ = _run(*_SEARCH, f"run.dir={folder / 'disk' / 'run'}")
        change("size=50m")
        again, _, _ = _run(*_SEARCH, f"run.dir={folder / 'disk' / 'run'}")
        table = (folder / "disk" / "run" / "table.csv").read_bytes()
    _run(*_SEARCH, f"run.dir={folder / 'whole'}")
    same = table == (folder / "whole" / "table.csv").read_bytes()
    return {
        "status": status,
        "said": said,
        "continued": again,
        "same table": same,
        "right": (status, again, same) == (2, 0, True),
    }


def _read_only(folder: Path) -> dict[str, Any]:
    with _memory_disk(folder / "disk", "1m") as change:
        change("ro")
        status, said, _ = _run(*_SEARCH, f"run.dir={folder / 'disk' / 'run'}")
    return {"status": status, "said": said, "right": status == 2 and len(said) == 1}


def _no_time(folder: Path) -> dict[str, Any]:
    """Cells at paper sizes have 20 ms each; then they have all they need."""
    more = ("search", "benchmark=none", "searcher=random", "budget=4", "executor.workers=2", "probe=paper")
    status, said, _ = _run(*more, "executor.timeout=0.02", f"run.dir={folder / 'run'}")
    failures = _failures(folder / "run")
    again, _, _ = _run(*more, f"run.dir={folder / 'run'}")
    right = (status, again) == (0, 0) and failures == {"time-out": 4} and "time-out" not in _failures(folder / "run")
    return {
        "status": status,
        "said": said,
        "failures": failures,
        "afterwards": _failures(folder / "run"),
        "right": right,
    }


def _no_memory(folder: Path) -> dict[str, Any]:
    """Cells of 6,000 units have 800 MiB each; then they have 16 GiB."""
    large = ("probe.rnn.hidden=[6000]", *_TINY[1:])
    more = ("search", "benchmark=none", "searcher=random", "budget=4", "executor.workers=2", *large)
    status, said, _ = _run(*more, "executor.memory=0.8", f"run.dir={folder / 'run'}")
    failures = _failures(folder / "run")
    again, _, _ = _run(*more, "executor.memory=16", f"run.dir={folder / 'run'}")
    afterwards = _failures(folder / "run")
    right = (status, again) == (0, 0) and failures.get("out of memory", 0) > 0 and "out of memory" not in afterwards
    return {"status": status, "said": said, "failures": failures, "afterwards": afterwards, "right": right}


def _failures(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "results.json").read_text(encoding="utf-8"))["failures"]
    return found


def _interrupted(folder: Path) -> dict[str, Any]:
    """Ctrl-C while cells train in two processes, sent to the parent alone."""
    overrides = ("search", "benchmark=mini_rnn", "truth=train", "verify=4", "budget=8", "searcher=random", "seed=5")
    where = (f"run.root={folder}", f"run.dir={folder / 'run'}", "executor.workers=2")
    command = [sys.executable, "-m", "experiments.cli", *overrides, *where]
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    # a shell's background jobs are deaf to Ctrl-C, and hand that on
    process = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training"):
            break
    time.sleep(10)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().splitlines()
    status = process.wait()
    seconds = time.monotonic() - begun
    return {"status": status, "said": said, "seconds": round(seconds, 2), "right": status == 130 and seconds < 10}


HARDSHIPS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "full disk": _full_disk,
    "read-only folder": _read_only,
    "no time": _no_time,
    "no memory": _no_memory,
    "interrupted": _interrupted,
}


def main() -> None:
    """Makes each hardship and writes results/hardships.json.

    Raises:
        ZeronasError: one did not go as it should, or cannot be made here.
    """
    found = {}
    for name, hardship in HARDSHIPS.items():
        with TemporaryDirectory() as folder:
            found[name] = _without(hardship(Path(folder)), folder)
        print(name, found[name], flush=True)
    write_json(RESULT, {**found, "versions": versions()})
    if wrong := [name for name, one in found.items() if not one["right"]]:
        raise ZeronasError(f"Not as it should be: {', '.join(wrong)}; see {RESULT}.")


def _without(found: dict[str, Any], folder: str) -> dict[str, Any]:
    """Returns what was found without the name of the temporary folder."""
    return {**found, "said": [line.replace(folder, "FOLDER") for line in found["said"]]}


if __name__ == "__main__":
    sys.exit(guarded(main))
