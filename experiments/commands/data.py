"""``zeronas data list|check|fetch [data_dir=PATH]``: what the benchmarks hold, whether it is right, and getting it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from nas.core.errors import ZeronasError, did_you_mean
from nas.report.tables import text_table
from nas.truth.benchmarks import BENCHMARKS, get
from nas.truth.benchmarks.check import check
from nas.truth.benchmarks.data import fetch

__all__ = ["main"]

_COMMANDS = {
    "list": "the benchmarks: rows, what was kept and what was skipped and why, metric, licence, source",
    "check": "recompute checksums, recipes and parameter counts; exit status 1 where one fails",
    "fetch": "download the public files (default: into NAS_DATA_DIR, else the user's cache folder)",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ZeronasError(f"`zeronas data` was called wrongly: {message}; see `zeronas data --help`.")


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, or 1 where a check fails.

    Raises:
        ZeronasError: bad arguments; a file is missing, altered or cannot be fetched.
    """
    parser = _Parser(prog="zeronas data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.epilog = "\n".join(f"{name:6} {text}" for name, text in _COMMANDS.items())
    parser.add_argument("command", metavar="list|check|fetch")
    parser.add_argument("--data-dir", "--target", dest="data_dir", metavar="PATH", help="same as data_dir=PATH")
    parser.add_argument("settings", nargs="*", metavar="data_dir=PATH", help="the folder with the public files")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.command not in _COMMANDS:
        raise ZeronasError(f"Unknown command 'data {arguments.command}'.{did_you_mean(arguments.command, _COMMANDS)}")
    folder = arguments.data_dir
    for setting in arguments.settings:
        name, equals, value = setting.partition("=")
        if not equals or name != "data_dir" or not value:
            raise ZeronasError(f"`zeronas data` does not know the setting '{setting}'; only data_dir=PATH is accepted.")
        folder = value
    commands = {"list": _list, "check": _check, "fetch": _fetch}
    return commands[arguments.command](Path(folder).expanduser() if folder else None)


def _list(folder: Path | None) -> int:
    benchmarks = [get(name, folder) for name in BENCHMARKS]
    rows = []
    for benchmark in benchmarks:
        sheet, better = benchmark.datasheet, "higher" if benchmark.higher_is_better else "lower"
        metric = f"{benchmark.metric} ({benchmark.unit}, {better} is better)"
        sizes = [f"{size:,}" for size in (sheet.rows, sheet.kept, sheet.unique)]
        rows.append((benchmark.name, benchmark.space, *sizes, sheet.licence, metric))
    header = ("benchmark", "space", "rows", "kept", "unique", "licence", "metric")
    print("\n".join(text_table(header, rows, right=(2, 3, 4))))
    for benchmark in benchmarks:
        sheet = benchmark.datasheet
        print(f"\n{benchmark.name}: {sheet.title}")
        print(f"  source:  {sheet.source}")
        print(f"  files:   {', '.join(sheet.files)}")
        print(
            f"  skipped: {', '.join(f'{number:,} {reason}' for reason, number in sheet.skipped.items()) or 'nothing'}"
        )
        for note in sheet.notes:
            print(f"  note:    {note}")
    return 0


def _check(folder: Path | None) -> int:
    results = check(folder)
    for result in results:
        state = "ok" if result.passed else "FAILED"
        detail = f" ({result.detail})" if result.detail else ""
        print(f"{result.name}: {result.found}/{result.expected} {state}{detail}")
    return 0 if all(result.passed for result in results) else 1


def _fetch(folder: Path | None) -> int:
    target = fetch(folder, report=print)
    print(f"All public files are in '{target}'; set NAS_DATA_DIR to it, or pass data_dir={target}.")
    return 0


if __name__ == "__main__":
    from experiments.cli import guarded

    sys.exit(guarded(main))
