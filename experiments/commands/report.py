"""``zeronas report RUNS...``: one page of several runs, which opens offline in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.commands.app import command
from experiments.commands.compare import folders_of, positional
from experiments.guard import guarded
from nas.core.folders import made_folder
from nas.report.page import PAGE, write_page
from nas.settings import PageSettings, read

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> Path:
    """Writes the page of the runs named in ``config["runs"]`` and returns its path.

    Raises:
        ZeronasError: no run was given, one cannot be read, or the page cannot be written.
    """
    given = read(config, PageSettings)
    folders = folders_of(given.runs, "report")
    beside = folders[0] / PAGE if len(folders) == 1 else Path(PAGE)
    file = beside if given.file is None else Path(given.file)
    if given.file is not None:
        made_folder(file.parent)
    write_page(folders, file)
    print(f"page: {file}")
    return file


main = positional(command(run, "report"))


if __name__ == "__main__":
    sys.exit(guarded(main))
