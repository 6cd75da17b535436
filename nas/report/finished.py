"""What is read of a finished search or training: its results.json, checked against what was ever written into one.

A run folder may be a stranger's, or edited, so each value that a comparison or an export reads has its type checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, MaxLen, MinLen, Predicate
from pydantic import BaseModel, ConfigDict, ValidationError

from nas.core.errors import ZeronasError, is_printable
from nas.core.options import shown

__all__ = ["read_results", "read_run", "search_results", "training_results"]

Word = Annotated[str, MaxLen(300), Predicate(is_printable)]
#: a word that files are named after
Name = Annotated[Word, Predicate(lambda text: "/" not in text)]
Curve = list[float | None]
Group = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class _Standing(_Part):
    rank: Annotated[int, Ge(1)]
    of: Annotated[int, Ge(1)] | None = None
    regret: float


class _Best(_Part):
    value: float


class _Benchmark(_Part):
    name: Name
    metric: Word
    unit: Word
    architectures: int
    higher_is_better: bool
    best: _Best
    caveat: str = ""


class _Reported(_Part):
    value: float
    standing: _Standing


class _Known(_Part):
    """A find with a truth."""

    key: Word
    scores: dict[str, float | None]
    truth: float
    standing: _Standing
    chosen_by: Word = ""
    reported: _Reported | None = None


class _Unknown(_Part):
    """A find without one."""

    key: Word
    scores: dict[str, float | None]
    truth: None
    chosen_by: Word = ""


class _Regret(_Part):
    best_so_far: Annotated[Curve, MinLen(1)]
    random: Curve
    parameters: Curve | None


class _Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Config(_Part):
    searcher: Group
    proxies: dict[str, Group | None]
    probe: Group
    space: Group
    benchmark: Group
    budget: int
    verify: int
    batch: int | None = None


class _Seconds(_Part):
    scoring: float
    wall: Annotated[float, Ge(0)]


class _Query(_Part):
    key: Word
    value: float | None = None
    reason: str = ""


class _Run(_Part):
    command: Literal["search"]
    space: Name
    benchmark: _Benchmark | None
    pool: Word
    reduction: Group
    searcher: Word
    proxies: list[str]
    fitness: Word
    probe: Word
    seed: Annotated[int, Ge(0)]
    found: _Known | _Unknown | None
    regret: _Regret | _Nothing
    queries: list[_Query]
    queries_used: float
    evaluations: Annotated[int, Ge(0)]
    seconds: _Seconds
    config: _Config
    no_truth: str = ""
    command_line: str = ""
    versions: dict[str, Word] = {}


class _Training(_Part):
    key: Word
    seed: Annotated[int, Ge(0)]
    value: float | None
    reason: str


class _Protocol(_Part):
    name: Word
    hash: Word


class _Corpus(_Part):
    name: str
    fingerprint: Word


class _Place(_Part):
    benchmark: Name
    rank: Annotated[int, Ge(1)]
    of: Annotated[int, Ge(1)]
    regret: float


class _Trained(_Part):
    command: Literal["train"]
    space: Name
    training: _Training
    protocol: _Protocol
    corpus: _Corpus
    test_loss: float | None
    standing: _Place | None
    versions: dict[str, Word]


def read_results(folder: Path, unfinished: str = "it holds no finished run", what: str = "it") -> Any:
    """Returns what the results.json of a run folder decodes to.

    Args:
        unfinished: what it means that there is none.
        what: is to be run again where it cannot be read.

    Raises:
        ZeronasError: the folder or its results.json is not there, or the latter cannot be read.
    """
    path = folder / "results.json"
    if not os.path.isdir(folder):  # False where the name is too long
        raise ZeronasError(f"There is no run folder {shown(str(folder), 200)}.")
    if not path.exists():
        raise ZeronasError(f"The run folder '{folder}' has no results.json: {unfinished}; run it again.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ZeronasError(f"'{path}' cannot be read ({error}); run {what} again.") from None
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        raise ZeronasError(f"'{path}' cannot be read ({why}); run {what} again.") from None


def read_run(folder: Path) -> dict[str, Any]:
    """Returns the results of a finished search.

    Raises:
        ZeronasError: the folder is not there, holds no finished search, or its results cannot be read.
    """
    return search_results(read_results(folder, "the search did not finish", "the search"), folder)


def search_results(results: Any, folder: Path) -> dict[str, Any]:
    """Returns what ``read_results`` gave of a folder, as the results of a search, with the folder's name.

    Raises:
        ZeronasError: they are none, or of another version.
    """
    path = folder / "results.json"
    if not isinstance(results, dict) or results.get("command") != "search":
        raise ZeronasError(f"'{path}' is not the result of a search; compare takes folders that `zeronas search` made.")
    _check(results, _Run, path, "the search")
    return {**results, "folder": str(folder)}


def training_results(results: Any, folder: Path) -> dict[str, Any]:
    """Returns what ``read_results`` gave of a folder, as the results of a training, with the folder's name.

    Raises:
        ZeronasError: they are none, or of another version.
    """
    path = folder / "results.json"
    if not isinstance(results, dict) or results.get("command") != "train":
        raise ZeronasError(f"'{path}' is not the result of a training.")
    _check(results, _Trained, path, "the training")
    return {**results, "folder": str(folder)}


def _check(results: Mapping[str, Any], kind: type[BaseModel], path: Path, what: str) -> None:
    """Raises ZeronasError where a value that is read is missing or of another type; ``what`` is to be run again."""
    missing = [name for name, field in kind.model_fields.items() if field.is_required() and name not in results]
    if missing:
        raise ZeronasError(
            f"'{path}' lacks '{missing[0]}': another version of zeronas wrote it; run {what} again with this one."
        )
    try:
        kind.model_validate(results)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in wrong["loc"] if not str(part).startswith(("_", "function-")))
        raise ZeronasError(
            f"'{path}' was edited, or is another version's: {where} is {shown(wrong['input'])}; run {what} again."
        ) from None
