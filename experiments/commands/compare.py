"""``zeronas compare RUNS...``: collate finished searches over seeds."""

from __future__ import annotations

import glob
import hashlib
import sys
from pathlib import Path
from typing import Any

from experiments.cli import guarded
from experiments.commands.app import command
from nas.core.errors import ZeronasError
from nas.report.compare import compare, lines, read_run

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Compares the runs named in ``config["runs"]`` (folders, or patterns such as runs/search-*).

    Raises:
        ZeronasError: no runs were given, one cannot be read, or the comparison cannot be written.
    """
    folders = [Path(found) for text in config["runs"] for found in (sorted(glob.glob(str(text))) or [str(text)])]
    folders = list(dict.fromkeys(folders))
    if not folders:
        raise ZeronasError("compare needs run folders, but none were given; for example: zeronas compare runs/search-*")
    runs = [read_run(folder) for folder in folders]
    target = config["run"]["dir"]
    if not target:
        digest = hashlib.sha256("\n".join(map(str, folders)).encode()).hexdigest()[:8]
        target = Path(str(config["run"]["root"])) / f"compare-{len(runs)}-{digest}"
    folder = Path(str(target))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZeronasError(
            f"The folder '{folder}' cannot be written ({error.strerror}); choose another run.dir."
        ) from None
    results = compare(runs, folder)
    print("\n".join(lines(results)))
    print(f"folder: {folder} (summary.md, table.csv, results.json, {', '.join(results['plots']) or 'no plots'})")
    return results


_app = command(run, "compare")


def main() -> None:
    """Runs the command line: arguments without '=' are run folders."""
    arguments = sys.argv[1:]
    folders = [a for a in arguments if "=" not in a and not a.startswith("-")]
    rest = [a for a in arguments if a not in folders]
    quoted = ",".join("'" + f.replace("\\", "\\\\").replace("'", "\\'") + "'" for f in folders)
    sys.argv[1:] = [*rest, *([f"runs=[{quoted}]"] if folders else [])]
    _app()


if __name__ == "__main__":
    sys.exit(guarded(main))
