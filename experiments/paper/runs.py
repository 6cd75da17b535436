"""The rankings behind the tables: one resumable run folder each, under ``runs/paper``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from experiments.commands import rank
from experiments.commands.app import plain
from experiments.paper.metrics import Proxies

__all__ = ["RESULTS", "composed", "ranked", "read_results", "read_table"]

#: where committed results go
RESULTS = Path(__file__).parent / "results"


def composed(command: str, *overrides: str) -> dict[str, Any]:
    """Returns the plain configuration of a command."""
    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="conf", version_base="1.3"):
        return plain(compose(config_name=command, overrides=list(overrides)))


def ranked(name: str, proxies: Proxies, *overrides: str, baselines: bool = True, group: str = "paper") -> Path:
    """Ranks a benchmark with the given proxies in the folder ``runs/GROUP/NAME`` and returns the folder.

    What can be learned from labels is left out, unless ``overrides`` ask for it.
    """
    folder = Path("runs") / group / name
    fixed = (f"run.dir={folder}", f"baselines={str(baselines).lower()}", "reference=none")
    config = composed("rank", *fixed, *overrides)
    rank.run({**config, "proxies": proxies})
    return folder


def read_results(folder: Path) -> dict[str, Any]:
    """Returns the results.json of a run folder."""
    return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def read_table(folder: Path) -> list[dict[str, str]]:
    """Returns the rows of the table.csv of a run folder."""
    with (folder / "table.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
