"""The project's own benchmark: cells and BERT configurations that it trained itself, its tables part of the package.

Small models on the text that every installation carries (``nas.truth.train``): a truth of its own, where public tables
are not at hand, and for BERT the only one in which the operations ran. Each table is a CSV of trainings and a
datasheet; another package's space has one of its own by a subclass of ``MiniTable`` that says where its files lie.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spaces
from nas.core.errors import ZeronasError
from nas.truth.benchmarks.base import Benchmark, Curve, Datasheet, Diverged, Entry, Run

if TYPE_CHECKING:
    from nas.truth.train.protocol import Protocol

__all__ = ["COLUMNS", "TABLES", "MiniBERT", "MiniRNN", "MiniTable"]

#: where the tables lie
TABLES = Path(__file__).parent / "tables"

COLUMNS = ("key", "seed", "loss", "reason", "seconds", "parameters", "skipped", "curve", "architecture")


class MiniTable(Benchmark):
    """A table of trainings under a space's own protocol; one entry per architecture, the mean of its finite losses.

    Attributes:
        protocol_name: of the protocol, one of the space's.
    """

    metric = "validation loss"
    unit = "nats/token"
    higher_is_better = False
    protocol_name: str

    @property
    def folder(self) -> Path:
        """Where NAME.csv and NAME.json lie."""
        return TABLES

    @cached_property
    def sheet(self) -> dict[str, Any]:
        """The datasheet's file: protocol, corpus, versions, machine, date, noise."""
        path = self.folder / f"{self.name}.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise ZeronasError(f"'{path}' is missing or damaged; install zeronas again.") from None

    @property
    def caveat(self) -> str:
        """See Benchmark."""
        agreement = self.sheet["agreement"]
        shared = agreement["shared"] if agreement else {}
        measured = ""
        if shared.get("tau") is not None:
            measured = f" (tau {shared['tau']:.2f} with NAS-Bench-NLP over {shared['cells']} shared cells)"
        return f"{self.name} is a test-bed of small models with a truth of its own{measured}"

    @cached_property
    def diverged(self) -> dict[str, Diverged]:
        """See Benchmark; the reason is that of the first training."""
        parse, found = spaces.get(self.space).parse, {}
        for row in self.trainings:
            if row["key"] not in self.by_key and row["key"] not in found:
                curve = _mean_curve([self._curve(row)])
                found[row["key"]] = Diverged(row["key"], parse(row["architecture"]), row["reason"], curve)
        return found

    @cached_property
    def shares(self) -> tuple[float, ...]:  # type: ignore[override]
        """See Benchmark; the protocol's evaluations."""
        steps = self.protocol.steps
        return tuple(step / steps for step in range(1, steps + 1) if self.protocol.evaluated(step))

    def _curve(self, row: Mapping[str, str]) -> dict[float, float]:
        """Returns share of the protocol -> loss of one training, the last evaluation left out."""
        points = (point.split(":") for point in row["curve"].split())
        steps = self.protocol.steps
        return {int(step) / steps: float(loss) for step, loss in points if int(step) < steps}

    @cached_property
    def protocol(self) -> Protocol:
        """The protocol that the table was trained under.

        Raises:
            ZeronasError: this version of zeronas defines it otherwise than the table says.
        """
        from nas.truth.train import (
            protocol as protocols,  # it checks itself with pydantic, which takes a while to import
        )

        found = protocols.get(self.protocol_name)
        if found.hash != self.sheet["protocol_hash"]:
            raise ZeronasError(
                f"The table '{self.name}' was trained under the protocol {self.sheet['protocol_hash']}, but "
                f"'{self.protocol_name}' is now {found.hash}; install zeronas again."
            )
        return found

    @cached_property
    def trainings(self) -> list[dict[str, str]]:
        """The rows of the table, as text."""
        path = self.folder / f"{self.name}.csv"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except OSError:
            raise ZeronasError(f"'{path}' is missing; install zeronas again.") from None
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ZeronasError(f"'{path}' must have the columns {', '.join(COLUMNS)}; install zeronas again.")
        return rows

    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads the table; a diverged training is counted under its reason, and is no value."""
        space = spaces.get(self.space)
        found: dict[str, tuple[Any, list[Run]]] = {}
        curves: dict[str, list[dict[float, float]]] = {}
        trainings: dict[str, list[float | None]] = {}
        skipped: Counter[str] = Counter()
        for row in self.trainings:
            if row["key"] not in found:
                architecture = space.parse(row["architecture"])
                if architecture.key != row["key"]:
                    raise ZeronasError(f"The table '{self.name}' gives {architecture.key} the key {row['key']}.")
                found[row["key"]] = architecture, []
            loss = float(row["loss"]) if row["loss"] else math.nan
            trainings.setdefault(row["key"], []).append(loss if math.isfinite(loss) else None)
            if math.isfinite(loss):
                found[row["key"]][1].append(Run(f"seed {row['seed']}", loss))
                curves.setdefault(row["key"], []).append(self._curve(row))
            else:
                skipped[row["reason"].partition(":")[0]] += 1
        entries = [
            Entry(
                key,
                architecture,
                math.fsum(run.value for run in runs) / len(runs),
                tuple(runs),
                curve=_mean_curve(curves[key]),
                trainings=tuple(trainings[key]),
            )
            for key, (architecture, runs) in found.items()
            if runs
        ]
        sheet = self.sheet
        datasheet = Datasheet(
            title=sheet["title"],
            source=f"trained by this project, {sheet['date']}",
            licence="Apache-2.0",
            files=tuple(_shown(self.folder / f"{self.name}.{ending}") for ending in ("csv", "json")),
            rows=len(self.trainings),
            kept=sum(len(entry.runs) for entry in entries),
            unique=len(entries),
            skipped=dict(skipped),
            notes=tuple(sheet["notes"]),
        )
        return entries, datasheet


def _mean_curve(curves: Sequence[Mapping[float, float]]) -> Curve:
    """Returns the mean of several trainings' curves, over the shares at which all of them have a finite loss."""
    shares = sorted(set(curves[0]).intersection(*curves[1:]))
    return tuple((share, math.fsum(curve[share] for curve in curves) / len(curves)) for share in shares)


def _shown(path: Path) -> str:
    """Returns a path as the datasheet has it: from zeronas's own folder where it is part of it."""
    home = Path(__file__).resolve().parents[3]
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


class MiniRNN(MiniTable):
    """RNN cells as word-level language models."""

    name = "mini_rnn"
    space = "rnn"
    protocol_name = "mini_rnn"
    metric = "validation loss of a small word-level language model"


class MiniBERT(MiniTable):
    """BERT configurations, stated reading, as masked language models."""

    name = "mini_bert"
    space = "bert"
    protocol_name = "mini_bert"
    metric = "validation loss of a small masked language model"
    unit = "nats/masked token"
