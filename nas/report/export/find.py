"""What is exported: an architecture with what its run knows of it, and the form of architecture.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spaces
from nas.core.csv_file import CsvFile
from nas.core.errors import ZeronasError
from nas.core.options import shown
from nas.report.finished import read_results, search_results, training_results
from spaces.base import Space

__all__ = ["FORMAT", "Find", "alone", "exported", "read_find"]

#: what the field ``format`` of an architecture.json says
FORMAT = "zeronas architecture"

_SHOWN = 3  # keys, where a prefix is that of many


@dataclass(frozen=True)
class Find:
    """An architecture to export.

    Attributes:
        space: that it is of.
        options: the options that the space was made with.
        known: what is known of it, as JSON values: ``chosen_by``, ``scores`` (label -> value, higher is better),
            ``truth``, or ``no_truth`` with the reason, and ``run``.
        weights: file of trained weights, where there is one.
    """

    space: Space[Any]
    options: Mapping[str, Any]
    architecture: Any
    known: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns what architecture.json holds, but for who exported it."""
        return {
            "format": FORMAT,
            "key": self.architecture.key,
            "space": {"name": self.space.name, "options": dict(self.options)},
            "architecture": self.space.readable(self.architecture).to_json(),
            **self.known,
        }


def alone(space: Space[Any], options: Mapping[str, Any], architecture: Any) -> Find:
    """Returns an architecture that no run found."""
    return Find(space, _kept(space, options), architecture, {"scores": {}, "truth": None, "no_truth": "not of a run"})


def exported(data: Any, space: Space[Any], path: Path) -> Any:
    """Returns the JSON form of the architecture in the content of an architecture.json; other content as it is.

    Args:
        data: the decoded content.

    Raises:
        ZeronasError: it is of another space.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        return data
    made = data.get("space")
    name = made.get("name") if isinstance(made, Mapping) else None
    if name != space.name:
        raise ZeronasError(f"'{path}' holds an architecture of space {shown(name)}, but space={space.name}.")
    return data.get("architecture")


def read_find(folder: Path, key: str | None = None) -> Find:
    """Returns what a search found, or what was trained; the files are checked.

    Args:
        key: of another architecture of a search, or the beginning of its key.

    Raises:
        ZeronasError: the folder holds no such run, its files were edited or are another version's, the search found
            nothing, or no architecture, or more than one, has the key.
    """
    results = read_results(folder, "the run did not finish", "the run")
    command = results.get("command") if isinstance(results, dict) else None
    if command == "search":
        return _of_search(search_results(results, folder), folder, key)
    if command == "train":
        return _of_training(training_results(results, folder), folder, key)
    raise ZeronasError(
        f"'{folder / 'results.json'}' is not the result of a search or a training, so it has no architecture to "
        "export; export takes folders that `zeronas search` and `zeronas train` made."
    )


def _of_search(run: Mapping[str, Any], folder: Path, key: str | None) -> Find:
    space, options = _space(run["config"]["space"], folder)
    found = run["found"]
    about = {
        "command": run.get("command_line", ""),
        "searcher": run["searcher"],
        "fitness": run["fitness"],
        "probe": run["probe"],
        "seed": run["seed"],
        "versions": run.get("versions", {}),
    }
    if key is not None and (found is None or key != found["key"]):
        row = _row(run, space, folder, key)
        if found is None or row["key"] != found["key"]:
            architecture = _parsed(space, row["architecture"], row["key"], folder / "table.csv")
            known = {"chosen_by": "named by its key", "scores": row["scores"], **_truth_of_row(run, row)}
            return Find(space, options, architecture, {**known, "run": about})
    if found is None:
        raise ZeronasError(
            f"The search in '{folder}' found nothing, as no architecture has a score; choose one of its table.csv with "
            "key=KEY."
        )
    architecture = _parsed(space, found.get("architecture"), found["key"], folder / "results.json")
    known = {"chosen_by": found.get("chosen_by", ""), "scores": found["scores"], **_truth_of_find(run)}
    return Find(space, options, architecture, {**known, "run": about})


def _of_training(run: Mapping[str, Any], folder: Path, key: str | None) -> Find:
    training, standing = run["training"], run["standing"]
    if key is not None and not training["key"].startswith(key):
        raise ZeronasError(f"The training in '{folder}' is that of {training['key']}, not of {shown(key)}.")
    space, options = _space({"name": run["space"]}, folder)
    architecture = _parsed(space, run.get("architecture"), training["key"], folder / "results.json")
    if training["value"] is None:
        truth: dict[str, Any] = {"truth": None, "no_truth": training["reason"]}
    else:
        place = {} if standing is None else {name: standing[name] for name in ("benchmark", "rank", "of", "regret")}
        value = {"value": training["value"], "unit": "nats/token", "metric": "validation loss of this training"}
        truth = {"truth": {**value, "higher_is_better": False, **place}}
    about = {
        "training": {"seed": training["seed"], "protocol": run["protocol"], "test_loss": run["test_loss"]},
        "corpus": {name: run["corpus"][name] for name in ("name", "fingerprint")},
        "versions": run["versions"],
    }
    weights = folder / "weights.pt"
    known = {"chosen_by": "trained", "scores": {}, **truth, "run": about}
    return Find(space, options, architecture, known, weights if weights.is_file() else None)


def _space(made: Mapping[str, Any], folder: Path) -> tuple[Space[Any], dict[str, Any]]:
    """Returns the space of a run, and those of its options that matter."""
    name, options = made.get("name"), {key: value for key, value in made.items() if key != "name"}
    if not isinstance(name, str):
        raise ZeronasError(f"'{folder / 'results.json'}' was edited: config.space.name is {shown(name)}; run it again.")
    space = spaces.get(name, **options)
    return space, _kept(space, options)


def _kept(space: Space[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options without those that leave a space as it is by default."""
    kept = dict(options)
    for name in options:
        fewer = {key: value for key, value in kept.items() if key != name}
        try:
            same = vars(spaces.get(space.name, **fewer)) == vars(spaces.get(space.name, **kept))
        except ZeronasError:  # it cannot be left out
            continue
        kept = fewer if same else kept
    return kept


def _parsed(space: Space[Any], data: Any, key: str, path: Path) -> Any:
    """Returns the architecture of a file, if it has the key that the file says."""
    try:
        architecture = space.parse(data)
    except ZeronasError as error:
        raise ZeronasError(f"'{path}' was edited, or is another version's: {error}") from None
    if architecture.key != key:
        raise ZeronasError(
            f"'{path}' was edited, or is another version's: its architecture {shown(key)} has the key "
            f"'{architecture.key}'; run the search again."
        )
    return architecture


def _row(run: Mapping[str, Any], space: Space[Any], folder: Path, key: str) -> dict[str, Any]:
    """Returns key, architecture, scores, truth and failure of the one row of table.csv whose key begins so."""
    table = CsvFile(folder / "table.csv")
    wanted = ("key", *run["proxies"], "failure", "truth", "architecture")
    for column in wanted:
        if column not in table.header:
            raise ZeronasError(f"'{table.path}' lacks the column {shown(column)}; run the search again.")
    at = {column: table.header.index(column) for column in wanted}
    keys = dict.fromkeys(fields[at["key"]] for fields in table.rows)
    meant = [key] if key in keys else [one for one in keys if one.startswith(key)]
    if not meant:
        raise ZeronasError(
            f"No architecture of '{table.path}' has a key that begins with {shown(key)}; its {len(keys):,} keys begin "
            f"with '{space.name}-'."
        )
    if len(meant) > 1:
        several = ", ".join(shown(one) for one in meant[:_SHOWN]) + (", ..." if len(meant) > _SHOWN else "")
        raise ZeronasError(
            f"{len(meant):,} architectures of '{table.path}' have a key that begins with {shown(key)} ({several}); "
            "give more of it."
        )
    place = next(i for i, fields in enumerate(table.rows) if fields[at["key"]] == meant[0])
    fields, line = table.rows[place], table.lines[place]
    return {
        "key": meant[0],
        "architecture": fields[at["architecture"]],
        "scores": {label: _number(table, line, label, fields[at[label]]) for label in run["proxies"]},
        "truth": _number(table, line, "truth", fields[at["truth"]]),
        "failure": fields[at["failure"]],
    }


def _number(table: CsvFile, line: int, column: str, text: str) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise table.wrong(line, column, f"{shown(text)} is no number.") from None
    return value if math.isfinite(value) else None


def _truth_of_find(run: Mapping[str, Any]) -> dict[str, Any]:
    found = run["found"]
    if found["truth"] is None:
        return {"truth": None, "no_truth": _why_not(run, found["key"])}
    standing = found["standing"]
    place = {name: standing.get(name) for name in ("rank", "of", "regret")}
    return {"truth": {**_measured(run, found["truth"]), **place}}


def _truth_of_row(run: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    if row["truth"] is None or run["benchmark"] is None:
        return {"truth": None, "no_truth": _why_not(run, row["key"])}
    return {"truth": _measured(run, row["truth"])}


def _measured(run: Mapping[str, Any], value: float) -> dict[str, Any]:
    benchmark = run["benchmark"] or {}
    about = {name: benchmark.get(name) for name in ("unit", "metric", "higher_is_better")}
    caveat = {"caveat": benchmark["caveat"]} if benchmark.get("caveat") else {}
    return {"value": value, **about, "benchmark": benchmark.get("name"), **caveat}


def _why_not(run: Mapping[str, Any], key: str) -> str:
    if run["benchmark"] is None:
        return str(run.get("no_truth", "")) or "there is no table of truths"
    queries: Sequence[Mapping[str, Any]] = run["queries"]
    reasons = [query["reason"] for query in queries if query["key"] == key and query.get("reason")]
    return reasons[0] if reasons else f"the architecture is not in {run['benchmark']['name']}"
