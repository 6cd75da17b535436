"""Puts a page together: reads the runs, makes the parts, fills the template."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nas import __version__
from nas.core.files import number, plain, write_text
from nas.report import scrutiny
from nas.report.apart import named
from nas.report.compare import collated, tables
from nas.report.page import answers, charts
from nas.report.page.drawing import DRAWING_BYTES, arrow_path, drawing, drawings, said, space_of
from nas.report.page.runs import Run, read_folders
from nas.report.page.words import WORDS
from nas.report.selection import best_n
from nas.report.tables import estimate

__all__ = ["PAGE", "write_page"]

#: name of the file in a run folder
PAGE = "report.html"

_DATA_BYTES = 5_600_000  # of rows and drawings of all runs of a page; drawings have at the most what rows leave


def write_page(folders: Sequence[Path], file: Path) -> Path:
    """Writes one page of all runs in the folders and returns its path; the same files give the same bytes.

    Raises:
        ZeronasError: a folder holds no finished run, or the page cannot be written.
    """
    runs = read_folders(folders)
    write_text(file, _page(runs, file))
    return file


def _page(runs: Sequence[Run], file: Path) -> str:
    names = _names(runs)
    views = [
        _view(run, name, place, file, len(runs)) for place, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    searches = [run for run in runs if run.results["command"] == "search"]
    together = plain(collated([run.results for run in searches])) if len(runs) > 1 and searches else None
    numbered: list[dict[str, Any]] = []

    def chart(made: Mapping[str, Any] | None) -> int | None:
        """Adds a chart to the page's data and returns its number."""
        if made is None:
            return None
        numbered.append(dict(made))
        return len(numbered) - 1

    for run, view, place in zip(runs, views, range(len(runs)), strict=True):
        made = [(label, charts.scatter(run, place, label)) for label in _order(run)]
        view["scatters"] = [(label, chart(one), one) for label, one in made if one is not None]
        view["selection"] = chart(charts.selection(run))
        view["best_n"] = _best_n(run)
        view["regret"] = chart(charts.regret_of_search(run)) if view["search"] and together is None else None
    regrets = charts.regret_of_methods(together) if together is not None else {}
    context = {
        "title": f"{names[0]} - zeronas" if len(runs) == 1 else f"{len(runs)} runs - zeronas",
        "heading": views[0]["heading"] if len(runs) == 1 else f"{len(runs)} runs",
        "views": views,
        "answer": answers.compared(together) if together is not None else [],
        "methods": tables(together) if together is not None else [],
        "regrets": [(table, chart(made), made) for table, made in regrets.items()],
        "charts": numbered,
        "words": WORDS,
        "version": __version__,
    }
    data = {"runs": [view.pop("points") for view in views], "charts": numbered}
    return _environment().get_template("page.html.j2").render(context, data=_embedded(data))


def _names(runs: Sequence[Run]) -> list[str]:
    """Returns the folders' names, with as much of the path before them as tells them apart."""
    parts = [Path(os.path.abspath(run.folder)).parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _view(run: Run, name: str, place: int, file: Path, runs: int) -> dict[str, Any]:
    """Returns what the template shows of one run among so many, the charts apart."""
    results, space = run.results, space_of(run)
    search = results["command"] == "search"
    found: Any = results["found"] if search else None
    drawn = None if found is None else drawing(space, found["architecture"])
    command = results.get("command_line")
    points = charts.points(run, name)
    points["drawn"] = drawings(run, space, min(DRAWING_BYTES, _DATA_BYTES - len(_json(points)) * runs) // runs)
    beside = Path(os.path.abspath(run.folder)) == Path(os.path.abspath(file)).parent
    return {
        "name": name,
        "place": place,
        "search": search,
        "heading": f"{results['space']} search: {results['searcher']}"
        if search
        else f"ranking on {results['benchmark']}",
        "answer": answers.searched(results) if search else answers.ranked(results, _order(run)),
        "found": None if found is None else _found(results, found),
        "drawing": drawn,
        "said": "" if drawn is None or space is None else said(space, found["architecture"]),
        "proxies": _agreements(results) if search else _ranking(run),
        "failures": _failures(results),
        "evaluations": results["evaluations"] if search else results["architectures"] + results["diverged"],
        "left_out": run.left_out,
        "fitness": run.fitness,
        "command": command,
        "config": json.dumps(results["config"], indent=1, ensure_ascii=False),
        "versions": results["versions"],
        "checksums": run.checksums,
        "caveat": run.benchmark.get("caveat") if search else results["caveat"],
        "seconds": results["seconds"],
        "beside": beside,
        "unit": charts.unit(run),
        "why": results["selection"]["why"],
        "kind": results["selection"].get("kind", "draws"),
        "points": points,
    }


def _found(results: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts of the find, name -> value as written, and its JSON."""
    benchmark, at = results["benchmark"], found["standing"]
    facts = {"key": named(found), "chosen by": found["chosen_by"]}
    if found["parameters"] is not None:
        facts["parameters"] = f"{found['parameters']:,}"
    facts |= {f"score by {label}": number(score, 6) for label, score in found["scores"].items() if score is not None}
    if found["truth"] is not None:
        facts["truth"] = f"{number(found['truth'], 5)} {benchmark['unit']}"
        facts["rank"] = f"{at['rank']:,} of {at['of']:,} (percentile {at['percentile']:.1f})"
        facts["regret"] = f"{number(at['regret'])} {benchmark['unit']}"
    if found["noise"]:
        better, worse = found["noise"]["best"], found["noise"]["worst"]
        facts["rank, 95% interval"] = f"{better['rank']:,} to {worse['rank']:,}"
        facts["regret, 95% interval"] = f"{number(better['regret'])} to {number(worse['regret'])} {benchmark['unit']}"
    if found.get("reported"):
        apart = benchmark["reported"]
        facts["reported"] = f"{number(found['reported']['value'], 5)} {apart['unit']}"
    return {
        "key": found["key"],
        "facts": facts,
        "json": json.dumps(found["architecture"], indent=1, ensure_ascii=False),
    }


def _order(run: Run) -> list[str]:
    """Returns the proxies of a run, those of a ranking best first."""
    if run.results["command"] == "search":
        return run.labels

    def tau(label: str) -> float:
        agreement = run.results["proxies"][label]["agreement_all"]
        return -9.0 if not agreement or agreement["tau"] is None else float(agreement["tau"])

    return sorted(run.labels, key=tau, reverse=True)


def _agreements(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns header and rows of how the proxies of a search agree with the truth of what it scored."""
    if not results.get("agreement"):
        return None
    rows = [
        [label, f"{a['count']:,}", estimate(a), estimate(a, "rho"), number(a["recall"], 2)]
        for label, a in results["agreement"].items()
    ]
    header = ["proxy", "architectures", "Kendall tau [95%]", "Spearman rho [95%]", "top-10% recall"]
    return {"header": header, "rows": rows, "beside": []}


def _ranking(run: Run) -> dict[str, Any]:
    """Returns header and rows of the proxies of a ranking, best first."""
    results, order = run.results, _order(run)
    beside = answers.tied(results["proxies"], order[0])
    header, told = scrutiny.table(results, order)
    rows = []
    for label, cells in zip([*order, ""], told, strict=True):
        if not label:
            rows.append([cells[0], "", "", "", *cells[1:], ""])
            continue
        one = results["proxies"][label]
        whole, ties = one["agreement_all"], f"{one['ties']:,}"
        failed = f"{sum(one['failures'].values()):,}"
        rows.append([label, estimate(whole), estimate(whole, "rho"), ties, *cells[1:], failed])
    names = ["proxy", "Kendall tau [95%]", "Spearman rho [95%]", "tied scores", *header[1:], "failures"]
    return {"header": names, "rows": rows, "beside": beside}


def _failures(results: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Returns (what failed, reason, how often), the most frequent first."""
    if results["command"] == "search":
        found = [(results["fitness"], reason, count) for reason, count in results["failures"].items()]
        gone: dict[str, set[str]] = {}
        for query in results["queries"]:
            if query["reason"]:
                gone.setdefault(query["reason"], set()).add(query["key"])
        found += [("training", reason, len(keys)) for reason, keys in gone.items()]
    else:
        found = [
            (label, reason, count)
            for label, one in results["proxies"].items()
            for reason, count in one["failures"].items()
        ]
        found += [("training", "diverged", results["diverged"])] if results["diverged"] else []
    return sorted(found, key=lambda one: -one[2])


def _best_n(run: Run) -> list[tuple[str, str]]:
    """Returns, of every proxy with a curve, how strongly it may select."""
    curves = run.results["selection"].get("proxies") or {}
    return [(label, best_n(curves[label])) for label in run.labels if label in curves]


def _embedded(data: Mapping[str, Any]) -> Markup:
    """Returns data as JSON that may stand inside a script element, whatever is written in it."""
    text = _json(data)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(plain(data), separators=(",", ":"), ensure_ascii=False)


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # half of what the page imports, needed at the end

    environment = Environment(
        loader=PackageLoader("nas.report.page", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, thousands=lambda value: f"{value:,}", quoted=shlex.join)
    environment.globals.update(own=_own, arrow_path=arrow_path)
    return environment


def _own(name: str) -> Markup:
    """Returns a file of the page's own, as it stands."""
    return Markup(files("nas.report.page").joinpath("templates", name).read_text(encoding="utf-8"))
