"""Finds the architecture that a command line names: a file, a run folder, a key of a table, or a known name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import spaces
from nas.core.errors import ZeronasError
from nas.core.options import shown
from nas.report.export import exported
from nas.truth import benchmarks
from nas.truth.benchmarks.data import MissingFile
from spaces.base import Space

__all__ = ["read_architecture"]


def read_architecture(space: Space[Any], given: Any, data_dir: str | None = None) -> Any:
    """Returns the architecture given as a file of JSON, JSON, decoded JSON, a run folder, a key, or a known name.

    A run folder (or its results.json) stands for what the search found, or what was trained, and what `zeronas export`
    wrote (or its architecture.json) for what was exported; a key is looked up in the tables that are available.

    Raises:
        ZeronasError: nothing given, no such file or key, or a malformed architecture.
    """
    known = f", or one of {', '.join(space.known)}" if space.known else ""
    if given is None:
        raise ZeronasError(
            f"An architecture is needed: arch=FILE with its JSON, a run folder, a key of a table{known}."
        )
    if not isinstance(given, str):
        return space.parse(given)
    if (named := space.named(given)) is not None:
        return named
    if space.is_key(given):
        return _by_key(space, given, data_dir)
    for other in spaces.SPACES:
        if spaces.get(other).is_key(given):
            raise ZeronasError(f"'{given}' is the key of an architecture of space '{other}', but space={space.name}.")
    if given.lstrip().startswith(("{", "[", '"')):
        return space.parse(given)
    path = Path(given)
    if os.path.isdir(path):  # False where the name is too long
        path = path / ("architecture.json" if _is_export(path) else "results.json")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ZeronasError(
            f"The architecture {shown(given, 200)} cannot be read ({reason}); give a file of JSON, a run folder, a key "
            f"of a table{known}."
        ) from None
    if path.name == "results.json":
        return space.parse(_found(text, path))
    return space.parse(_exported(text, space, path))


def _is_export(folder: Path) -> bool:
    return not os.path.exists(folder / "results.json") and os.path.exists(folder / "architecture.json")


def _exported(text: str, space: Space[Any], path: Path) -> Any:
    """Returns the architecture in what `zeronas export` wrote, any other text as it is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # the space says what is wrong
        return text
    found = exported(data, space, path)
    return text if found is data else found


def _found(text: str, path: Path) -> Any:
    try:
        results = json.loads(text)
        return results.get("found", results)["architecture"]  # a training's names it itself
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ZeronasError(
            f"'{path}' is not the answer of a search that found an architecture, nor of a training."
        ) from None


def _by_key(space: Space[Any], key: str, data_dir: str | None) -> Any:
    asked = []
    for name in benchmarks.BENCHMARKS:
        if benchmarks.BENCHMARKS.get(name).space != space.name:
            continue
        benchmark = benchmarks.get(name, data_dir, space)
        if not benchmark.at_hand:
            continue
        try:
            found = benchmark.by_key.get(key) or benchmark.diverged.get(key)
        except MissingFile:
            continue
        asked.append(name)
        if found is not None:
            return found.architecture
    raise ZeronasError(f"No available table holds the architecture '{key}' (asked: {', '.join(asked)}).")
