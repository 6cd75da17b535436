"""A command that is killed at a chosen moment: ``python killed.py WHAT N COMMAND [OVERRIDES]``.

WHAT is "line": the process kills itself (SIGKILL) when the N-th line of any journal has been written; "update": when
N updates of trainings are done; "never". So a test decides the moment, and no clock does. With ZERONAS_TINY=FOLDER the
table mini_rnn is one of three cells under a protocol of a few updates, trained into that folder where it is not there.
With ZERONAS_UPDATES=FILE every update of every training, also in processes of this one, adds a byte to FILE.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any


def arm(what: str, count: int) -> None:
    """Makes the process kill itself at the chosen moment."""
    from nas.core import lines

    counter = itertools.count(1)

    def tick() -> None:
        if next(counter) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    if what == "line":
        add = lines.LineFile.add

        def counted(self: Any, *args: Any, **kwargs: Any) -> None:
            add(self, *args, **kwargs)
            tick()

        lines.LineFile.add = counted  # type: ignore[method-assign]
    elif what == "update":
        from nas.truth.train import trainer

        rate = trainer._rate

        def ticking(*args: Any) -> float:
            tick()
            return rate(*args)

        trainer._rate = ticking


def tiny(folder: Path) -> None:
    """Puts a tiny table in the place of mini_rnn."""
    from experiments.mini import tables
    from nas.truth.benchmarks import mini
    from nas.truth.train.table import train_all
    from spaces.rnn import named_cell
    from spaces.rnn import protocol as protocols

    made = protocols.RNNProtocol(
        name="mini_rnn",
        steps=16,
        batch=4,
        sequence=8,
        learning_rate=1e-2,
        embedding=8,
        hidden=(8,),
        evaluations=4,
        vocabulary=1_000,
        cutoffs=(998,),
        validation_tokens=500,
    )
    protocols.PROTOCOLS["mini_rnn"] = made
    mini.TABLES = tables.TABLES = folder
    tables.JOURNALS = folder / "journals"
    tables._ARCHITECTURES["mini_rnn"] = lambda: [named_cell(name) for name in ("RNN", "LSTM", "GRU")]
    if not (folder / "mini_rnn.json").exists():
        train_all(tables.jobs("mini_rnn"), None, folder / "journals" / "mini_rnn.jsonl")
        tables.write("mini_rnn")


def counted(path: Path) -> None:
    """Makes every update add a byte to a file."""
    from nas.truth.train import trainer

    rate = trainer._rate

    def counting(*args: Any) -> float:
        with path.open("ab", buffering=0) as file:
            file.write(b".")
        return rate(*args)

    trainer._rate = counting


if "ZERONAS_UPDATES" in os.environ:  # processes that this one starts import it, too
    counted(Path(os.environ["ZERONAS_UPDATES"]))

if __name__ == "__main__":
    what, count, *command = sys.argv[1:]
    if "ZERONAS_TINY" in os.environ:
        tiny(Path(os.environ["ZERONAS_TINY"]))
    arm(what, int(count))
    from experiments.cli import main

    sys.argv = ["zeronas", *command]
    sys.exit(main())
