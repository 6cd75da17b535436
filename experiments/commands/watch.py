"""``zeronas watch RUN``: how far a run is that another process works on."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from experiments.commands.app import command
from experiments.commands.compare import folders_of, positional
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.progress import Progress
from nas.report.watch import Watched
from nas.settings import WatchSettings, read

__all__ = ["main", "run"]

_PAUSE = 1.0  # seconds between two looks


def run(config: dict[str, Any]) -> list[str]:
    """Tells how far the run named in ``config["runs"]`` is, on a terminal until it ends; returns what it told last.

    Raises:
        ZeronasError: not one run was given, there is no such run, or its journal cannot be read.
    """
    given = read(config, WatchSettings)
    folders = folders_of(given.runs, "watch")
    if len(folders) > 1:
        raise ZeronasError(f"watch takes one run folder, but was given {len(folders)}.")
    watched = Watched(folders[0])
    watched.look()
    if not given.once and sys.stdout.isatty():
        with suppress(KeyboardInterrupt), Progress(0, stream=sys.stdout, others=lambda: watched.lines) as progress:
            progress.begin()
            while not watched.ended:
                time.sleep(_PAUSE)
                watched.look()
    print("\n".join(watched.lines))
    return watched.lines


main = positional(command(run, "watch"))


if __name__ == "__main__":
    sys.exit(guarded(main))
