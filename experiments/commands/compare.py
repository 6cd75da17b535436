"""``zeronas compare RUNS...``: collate finished searches over seeds."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.app import command
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.folders import made_folder
from nas.core.options import shown
from nas.report.compare import compare, lines
from nas.report.finished import read_run
from nas.report.page import PAGE, write_page
from nas.settings import CompareSettings, read

__all__ = ["folders_of", "main", "positional", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Compares the runs named in ``config["runs"]`` (folders, or patterns such as runs/search-*).

    Raises:
        ZeronasError: no runs were given, one cannot be read, or the comparison cannot be written.
    """
    given = read(config, CompareSettings)
    folders = folders_of(given.runs, "compare")
    runs = [read_run(folder) for folder in folders]
    digest = hashlib.sha256("\n".join(map(str, folders)).encode()).hexdigest()[:8]
    folder = made_folder(given.run.path(f"compare-{len(runs)}-{digest}"))
    results = compare(runs, folder)
    write_page(folders, folder / PAGE)
    print("\n".join(lines(results)))
    made = ", ".join(results["plots"]) or "no plots"
    print(f"folder: {folder} (report.html, summary.md, table.csv, results.json, {made})")
    return results


def folders_of(runs: Sequence[str], command: str) -> list[Path]:
    """Returns the folders of a list of names and patterns that a command was given, each once.

    Raises:
        ZeronasError: there are none.
    """
    folders = list(dict.fromkeys(Path(found) for text in runs for found in _matching(text)))
    if not folders:
        raise ZeronasError(
            f"{command} needs run folders, but none were given; for example: zeronas {command} runs/search-*"
        )
    return folders


def _matching(text: str) -> list[str]:
    return [text] if os.path.exists(text) else sorted(glob.glob(text)) or [text]


def positional(app: Callable[[], None], single: str | None = None) -> Callable[[], None]:
    """Returns a hydra app to which arguments without '=', and folders that have one in their name, are run folders.

    Args:
        single: the setting that is meant, where there can be one argument only.
    """

    def started() -> None:
        arguments = sys.argv[1:]
        folders = [a for a in arguments if not a.startswith("-") and ("=" not in a or os.path.exists(a))]
        rest = [a for a in arguments if a not in folders]
        if single is not None and len(folders) > 1:
            given = ", ".join(shown(folder) for folder in folders[:3])
            raise ZeronasError(f"One {single}=NAME can be given at a time, but {len(folders)} were: {given}.")
        listed = (
            f"{single}={_quoted(folders[0])}" if single and folders else f"runs=[{','.join(map(_quoted, folders))}]"
        )
        sys.argv[1:] = [*rest, *([listed] if folders else [])]
        app()

    return started


def _quoted(text: str) -> str:
    """Returns a text as hydra reads it back: a backslash escapes a quote, and itself before one, and nothing else."""
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)
    return "'" + doubled.replace("'", "\\'") + "'"


main = positional(command(run, "compare"))


if __name__ == "__main__":
    sys.exit(guarded(main))
