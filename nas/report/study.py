"""A finished search as an Optuna study, in the journal format that optuna-dashboard opens: one trial an architecture.

Not a database: Optuna's takes 160 ms a trial of 40 parameters to be written, this file 2 ms.
"""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import spaces
from nas.core.errors import ZeronasError
from nas.core.files import replacing
from nas.report.finished import read_run
from spaces.base import Space

if TYPE_CHECKING:
    import optuna

__all__ = ["export_studies"]

#: what the parameters of a trial are: the values of its code, or the features of its architecture
Parameters = Literal["encoding", "features"]


def export_studies(folders: Sequence[Path], file: Path, parameters: Parameters = "encoding") -> dict[str, int]:
    """Writes a file with one study a run, named after its folder; returns name -> number of trials.

    Raises:
        ZeronasError: a folder holds no finished search, or the file cannot be written.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = _names(folders)
    runs = [read_run(folder) for folder in folders]
    lines = _lines()
    storage = optuna.storages.JournalStorage(lines)
    written = {}
    for folder, name, run in zip(folders, names, runs, strict=True):
        objectives = _objectives(run)
        study = optuna.create_study(storage=storage, study_name=name, directions=list(objectives.values()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of objectives are an experimental feature
            study.set_metric_names(list(objectives))
        for key in ("space", "reduction", "searcher", "proxies", "probe", "pool", "seed"):
            study.set_user_attr(key, run.get(key))
        rows = _rows(folder)
        study.add_trials(list(_trials(run, rows, list(objectives), parameters)))
        written[name] = len(rows)
    with replacing(file) as out:
        for line in lines.logs:
            out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    return written


def _lines() -> Any:
    from optuna.storages.journal import BaseJournalBackend

    class Lines(BaseJournalBackend):
        """The lines of a journal in memory: Optuna's own file waits for the disk after each."""

        def __init__(self) -> None:
            self.logs: list[dict[str, Any]] = []

        def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
            return self.logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.logs += json.loads(json.dumps(logs))  # as a file would hand them out again

    return Lines()


def _names(folders: Sequence[Path]) -> list[str]:
    """Returns the folders' names, with as much of the path before them as tells them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ZeronasError(f"The run folder '{folders[0]}' is given twice; name each once.")


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "table.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise ZeronasError(f"'{path}' cannot be read ({error}); run the search again.") from None


def _objectives(run: Mapping[str, Any]) -> dict[str, Literal["maximize", "minimize"]]:
    """Returns label -> direction of what the search was about: its objectives, the fitness, or the truth."""
    if run["config"]["searcher"].get("of") == "truth":
        return {"truth": "maximize" if (run["benchmark"] or {}).get("higher_is_better") else "minimize"}
    aims = (run.get("searcher_notes") or {}).get("objectives") or {run["fitness"]: "higher"}
    return {label: "maximize" if better == "higher" else "minimize" for label, better in aims.items()}


def _trials(
    run: Mapping[str, Any], rows: Sequence[Mapping[str, str]], objectives: Sequence[str], parameters: Parameters
) -> Iterable[optuna.trial.FrozenTrial]:
    from optuna.trial import TrialState, create_trial

    made = run["config"]["space"]
    options = {key: value for key, value in made.items() if key != "name"}
    space = spaces.get(made["name"], **options).reduce(run["reduction"])
    architectures = [space.parse(row["architecture"]) for row in rows]
    described = _described(space, architectures, parameters)
    asked = {query["key"]: query for query in reversed(run["queries"])}
    # of when each was evaluated no file tells: they share the time that the run took
    each = timedelta(seconds=run["seconds"]["wall"] / max(1, len(rows)))
    ended = datetime.fromtimestamp(os.path.getmtime(Path(run["folder"]) / "results.json"), UTC)
    for place, (row, (params, distributions)) in enumerate(zip(rows, described, strict=True)):
        query = asked.get(row["key"], {})
        scores: dict[str, Any] = {label: float(row[label]) for label in run["proxies"] if row[label]}
        truth = query.get("value") if objectives == ["truth"] or not row["truth"] else float(row["truth"])
        if truth is not None:
            scores["truth"] = truth
        attributes = {"key": row["key"], "architecture": row["architecture"], **scores}
        values = [scores[label] for label in objectives if label in scores]
        if len(values) < len(objectives):
            reason = query.get("reason") or "not asked for" if objectives == ["truth"] else row["failure"]
            attributes["reason"] = reason
        trial = create_trial(
            state=TrialState.FAIL if "reason" in attributes else TrialState.COMPLETE,
            values=None if "reason" in attributes else values,
            params=params,
            distributions=distributions,
            user_attrs=attributes,
        )
        trial.datetime_start = ended - each * (len(rows) - place)
        trial.datetime_complete = ended - each * (len(rows) - place - 1)
        yield trial


def _described(
    space: Space[Any], architectures: Sequence[Any], parameters: Parameters
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns the parameters and their distributions of each architecture; none where no code stands for it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameters == "encoding":
        choices = {name: CategoricalDistribution(values) for name, values in space.encoding.items()}
        codes = [space.encode(architecture) for architecture in architectures]
        return [({}, {}) if code is None else (code, choices) for code in codes]
    rows = []
    for architecture in architectures:
        described = space.describe(architecture)
        single = {name: value for name, value in described.items() if not isinstance(value, tuple)}
        layers = {
            f"layer{number}.{name}": value
            for name, values in described.items()
            if isinstance(values, tuple)
            for number, value in enumerate(values, 1)
        }
        rows.append({**single, **layers})
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            found[name] = IntDistribution(min(values), max(values))
        elif all(isinstance(value, (int, float)) for value in values):
            found[name] = FloatDistribution(float(min(values)), float(max(values)))
        else:
            found[name] = CategoricalDistribution(sorted(set(values), key=str))
    return [(row, {name: found[name] for name in row}) for row in rows]
