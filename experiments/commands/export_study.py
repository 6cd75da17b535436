"""``zeronas export-study RUNS...``: finished searches as Optuna studies, for optuna-dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from experiments.commands.app import command
from experiments.commands.compare import folders_of, positional
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.folders import made_folder
from nas.report.study import export_studies
from nas.settings import ExportSettings, read

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, int]:
    """Writes one file with the runs named in ``config["runs"]`` and returns study -> number of trials.

    Raises:
        ZeronasError: no run was given, one cannot be read, the file is there already, or it cannot be written.
    """
    given = read(config, ExportSettings)
    folders = folders_of(given.runs, "export-study")
    if given.file is None and len(folders) > 1:
        raise ZeronasError(f"export-study was given {len(folders)} runs; name the file for them with file=FILE.")
    file = Path(given.file) if given.file else folders[0] / "study.log"
    if os.path.exists(file) and not given.fresh:  # the dashboard may have written notes to it
        raise ZeronasError(f"'{file}' is there already; use fresh=true to write it anew, or file=FILE for another.")
    if given.file:
        made_folder(file.parent)
    written = export_studies(folders, file, given.parameters)
    for name, trials in written.items():
        print(f"{name}: {trials:,} trials")
    print(f"file: {file} (open it with: optuna-dashboard {file})")
    return written


main = positional(command(run, "export_study"))


if __name__ == "__main__":
    sys.exit(guarded(main))
