"""``zeronas data list|check|fetch [data_dir=PATH]``: what the benchmarks hold, whether it is right, and getting it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError, did_you_mean
from nas.report.tables import text_table
from nas.truth.benchmarks import BENCHMARKS, get
from nas.truth.benchmarks.check import check
from nas.truth.benchmarks.data import ENVIRONMENT, FILES, fetch, given_folder

__all__ = ["main"]

_COMMANDS = {
    "list": "the benchmarks: rows, kept, skipped and why, metric, licence, source; and what is not here",
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
    return commands[arguments.command](Path(os.path.expanduser(folder)) if folder else None)


def _list(folder: Path | None) -> int:
    """Prints what is here, the tables that are part of the package first, and then what is not and how to get it."""
    kinds = [BENCHMARKS.get(name) for name in BENCHMARKS]
    benchmarks = [
        get(kind.name, folder) for kind in sorted(kinds, key=lambda kind: bool(kind.files)) if not kind.as_told
    ]
    sheets, damaged = {}, {}
    for benchmark in benchmarks:
        try:
            if benchmark.at_hand:  # else it would be downloaded
                sheets[benchmark.name] = benchmark.datasheet
        except ZeronasError as error:
            damaged[benchmark.name] = str(error)
    rows = []
    for benchmark in benchmarks:
        sheet, better = sheets.get(benchmark.name), "higher" if benchmark.higher_is_better else "lower"
        metric = f"{benchmark.metric} ({benchmark.unit}, {better} is better)"
        sizes = ["-"] * 3 if sheet is None else [f"{size:,}" for size in (sheet.rows, sheet.kept, sheet.unique)]
        licences = [sheet.licence] if sheet is not None else [FILES[file].licence for file in benchmark.files[:1]]
        rows.append([benchmark.name, benchmark.space, *sizes, *(licences or ["-"]), metric])
    header = ["benchmark", "space", "rows", "kept", "unique", "licence", "metric"]
    print("\n".join(text_table(header, rows, right=(2, 3, 4))))
    for name, sheet in sheets.items():
        print(f"\n{name}: {sheet.title}")
        print(f"  source:  {sheet.source}")
        print(f"  files:   {', '.join(sheet.files)}")
        skipped = ", ".join(f"{number:,} {reason}" for reason, number in sheet.skipped.items())
        print(f"  skipped: {skipped or 'nothing'}")
        for note in sheet.notes:
            print(f"  note:    {note}")
    for name, sentence in damaged.items():
        print(f"\n{name}: {sentence}")
    missing = [b for b in benchmarks if b.name not in sheets and b.name not in damaged]
    if missing:
        target = given_folder(folder) or cache_folder()
        command = "zeronas data fetch" if folder is None else f"zeronas data fetch data_dir={folder}"
        files = dict.fromkeys(file for benchmark in missing for file in benchmark.files)
        print(f"\nnot in '{target}': {', '.join(benchmark.name for benchmark in missing)} ({', '.join(files)})")
        print(
            f"  to get:  `{command}` downloads them from their sources and checks their SHA-256; or set {ENVIRONMENT}"
        )
        print("           (or data_dir=FOLDER) to a folder that holds them")
    print("\nany table of yours: benchmark=csv, as `zeronas list benchmarks` and conf/benchmark/csv.yaml say")
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
    from experiments.guard import guarded

    sys.exit(guarded(main))
