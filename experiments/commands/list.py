"""``zeronas list [KIND]``: spaces, proxies, probes, searchers, benchmarks, reductions, gates, regions, experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable

from experiments.composition import folders
from experiments.guard import guarded
from nas.core.errors import ZeronasError, did_you_mean

__all__ = ["KINDS", "main"]


def _first_line(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def _spaces() -> list[list[str]]:
    import spaces

    rows = [["space", "features that reductions may name"]]
    for name in spaces.SPACES:
        specs = spaces.get(name).feature_specs
        rows.append([name, ", ".join(specs) or "the columns that name its genes and sizes"])
    return rows


def _proxies() -> list[list[str]]:
    import proxies

    rows = [["proxy", "options", "needs", "better", "spaces", "source", "what"]]
    for name in proxies.PROXIES:
        kind = proxies.PROXIES.get(name)
        options = " ".join(f"{key}={value}" for key, value in proxies.options_of(name).items()) or "-"
        better = "higher" if kind.higher_is_better else "lower"
        needs = "+".join(sorted(kind.needs)) or "nothing"
        rows.append(
            [
                name,
                options,
                needs,
                better,
                "+".join(proxies.spaces_of(name)),
                kind.source,
                _first_line(kind.__doc__),
            ]
        )
    return rows


def _searchers() -> list[list[str]]:
    import inspect

    from nas.search import SEARCHERS

    rows = [["searcher", "options", "what"]]
    for name in SEARCHERS:
        kind = SEARCHERS.get(name)
        parameters = inspect.signature(kind.__init__).parameters.values()
        options = [f"{p.name}={p.default}" for p in parameters if p.default is not p.empty]
        rows.append([name, " ".join(options) or "-", _first_line(kind.__doc__)])
    return rows


def _benchmarks() -> list[list[str]]:
    from nas.truth.benchmarks import BENCHMARKS

    rows = [["benchmark", "space", "metric", "better"]]
    for name in BENCHMARKS:
        kind = BENCHMARKS.get(name)
        better = "higher" if kind.higher_is_better else "lower"
        rows.append([name, kind.space or "any", kind.metric, "as told" if kind.as_told else better])
    return rows


def _group(name: str) -> Callable[[], list[list[str]]]:
    def rows() -> list[list[str]]:
        found = [[name, "what"]]
        for folder in folders():
            for file in sorted((folder / name).glob("*.yaml")):
                comments = [line[2:] for line in file.read_text(encoding="utf-8").splitlines() if line[:2] == "# "]
                what = next((c for c in comments if not c.startswith("@package")), "")
                found.append([file.stem, what])
        return found

    return rows


KINDS: dict[str, Callable[[], list[list[str]]]] = {
    "spaces": _spaces,
    "proxies": _proxies,
    "probes": _group("probe"),
    "searchers": _searchers,
    "benchmarks": _benchmarks,
    "reductions": _group("reduction"),
    "gates": _group("gate"),
    "regions": _group("region"),
    "experiments": _group("experiment"),
}


#: kind -> what there is to say beneath its table
NOTES: dict[str, str] = {
    "proxies": (
        "Not among them: the training-free proxies of two works by Fan and Yang (2024; one of Transformers by "
        "expressivity and trainability, one of hybrid convolution-attention networks): no public formula of either was "
        "found."
    ),
}


def main(arguments: list[str] | None = None) -> None:
    """Prints the tables of the kinds named, or of all.

    Raises:
        ZeronasError: unknown kind.
    """
    from rich.console import Console
    from rich.table import Table

    wanted = sys.argv[1:] if arguments is None else arguments
    if wanted in (["-h"], ["--help"]):
        print(f"usage: zeronas list [{'|'.join(KINDS)}]")
        return
    for kind in wanted:
        if kind not in KINDS:
            raise ZeronasError(f"Unknown kind '{kind}'.{did_you_mean(kind, KINDS)}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    for kind in wanted or KINDS:
        header, *rows = KINDS[kind]()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, column in enumerate(header):
            table.add_column(column, overflow="fold", no_wrap=i == 0)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        if kind in NOTES:
            console.print(NOTES[kind], highlight=False)
        console.print()


if __name__ == "__main__":
    sys.exit(guarded(main))
