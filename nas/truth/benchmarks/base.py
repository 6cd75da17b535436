"""What a benchmark is: trained architectures with their ground truth, and where a value stands among them.

A benchmark never guesses: ``lookup`` of an architecture that was not trained returns None. To add one: subclass
``Benchmark``, register it in ``nas.truth.benchmarks.BENCHMARKS``, add ``conf/benchmark/NAME.yaml``.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError
from nas.truth.benchmarks.data import given_folder
from proxies.base import PROXIES, Proxy
from spaces.protocol import Protocol

__all__ = ["Benchmark", "Curve", "Datasheet", "Diverged", "Entry", "Run", "Standing", "Truth", "named_after"]

#: (share of the protocol, value) in increasing order of the share, the last one of all of it left out
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Run:
    """One training: its id in the source, its result in the benchmark's unit, and its published metric columns."""

    id: str
    value: float
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One unique architecture with its truth.

    Attributes:
        architecture: as the source gives it (the first of equal ones).
        value: the mean of its finite runs, in the benchmark's unit.
        runs: the finite runs.
        trainings: the values of all its trainings in order, None for one that diverged; left out where the source tells
            of the finite ones only.
        tasks: task name -> mean score, for benchmarks of several tasks.
        curve: the value after shares of the protocol, where the source tells: the mean of the runs that have one there.
    """

    key: str
    architecture: Any
    value: float
    runs: tuple[Run, ...]
    tasks: Mapping[str, float] = field(default_factory=dict)
    curve: Curve = ()
    trainings: tuple[float | None, ...] = ()

    @property
    def results(self) -> tuple[float | None, ...]:
        """The values of its trainings in order, None for one that diverged."""
        return self.trainings or tuple(run.value for run in self.runs)


@dataclass(frozen=True)
class Diverged:
    """One unique architecture that was trained and has no value, why, and its curve before it diverged."""

    key: str
    architecture: Any
    reason: str
    curve: Curve = ()


@dataclass(frozen=True)
class Truth:
    """What a benchmark answers: a value in its unit, or None and the reason why the training gave none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a value stands in a benchmark.

    Attributes:
        rank: 1 for the best; the number of entries that are strictly better, plus one.
        of: how many unique architectures there are.
        percentile: share of the other entries that are strictly worse, in percent (100 for a sole best).
        regret: how much worse than the best entry, in the benchmark's unit, never negative.
        rank_runs, of_runs: the same rank counted among single trainings.
    """

    rank: int
    of: int
    percentile: float
    regret: float
    rank_runs: int
    of_runs: int


@dataclass(frozen=True)
class Datasheet:
    """What a table holds and where it is from, as ``zeronas data list`` prints it.

    Attributes:
        files: relative paths of the files read.
        rows: rows in the source.
        kept: rows used.
        skipped: reason -> number of rows left out.
        notes: facts a user must know to read the values.
    """

    title: str
    source: str
    licence: str
    files: tuple[str, ...]
    rows: int
    kept: int
    unique: int
    skipped: Mapping[str, int]
    notes: tuple[str, ...] = ()


class Benchmark(ABC):
    """A table of trained architectures of one space.

    Attributes:
        name: the registered name.
        space: the name of the space its architectures belong to.
        metric: what ``value`` is, e.g. "test loss (nats per word)".
        unit: short unit for tables and axes.
        higher_is_better: direction of ``value``.
        protocol_name: the protocol of the space that it was trained under, where trainings here extend it, else None.
        as_told: whether the direction is the user's to tell, so that the class knows none.
    """

    kind: ClassVar[str] = "Benchmark"
    name: str
    space: str
    metric: str
    unit: str
    higher_is_better: bool
    protocol_name: str | None = None
    as_told: ClassVar[bool] = False

    def __init__(self, data_dir: Path | None = None) -> None:
        self.data_dir = data_dir
        #: key -> entry of architectures trained elsewhere under the same protocol: ``lookup`` finds them, but they take
        #: no part in the table's statistics
        self.trained: dict[str, Entry] = {}

    @abstractmethod
    def load(self) -> tuple[list[Entry], Datasheet]:
        """Reads the table strictly; entries in a fixed order.

        Raises:
            ZeronasError: a file is missing, or its checksum is not the published one.
        """

    #: files that it is read from, relative to the data folder; none where the table is part of the package
    files: tuple[str, ...] = ()

    @property
    def at_hand(self) -> bool:
        """Whether reading it would download nothing."""
        folder = given_folder(self.data_dir) or cache_folder()
        return all(os.path.exists(folder / file) for file in self.files)  # False for a name that is too long

    @cached_property
    def _loaded(self) -> tuple[list[Entry], Datasheet]:
        return self.load()

    @property
    def entries(self) -> list[Entry]:
        """All unique architectures with a finite truth, in a fixed order."""
        return self._loaded[0]

    @property
    def datasheet(self) -> Datasheet:
        """Rows, sources, licence, what was skipped and why."""
        return self._loaded[1]

    @property
    def members(self) -> list[Entry | Diverged]:
        """All unique architectures: the entries, then those whose training diverged."""
        return [*self.entries, *self.diverged.values()]

    @cached_property
    def by_key(self) -> dict[str, Entry]:
        """Architecture key -> entry."""
        return {entry.key: entry for entry in self.entries}

    #: published column of the table -> the proxy that it holds, by name, with the options that matter to it
    columns: Mapping[str, tuple[str, Mapping[str, Any]]] = {}

    def published_column(self, proxy: Proxy) -> str | None:
        """Returns the column that holds a metric as configured, in the definition for this space; None without one."""
        if proxy.name not in PROXIES or PROXIES.get(proxy.name, self.space) is not type(proxy):
            return None
        for column, (name, options) in self.columns.items():
            if name == proxy.name and all(getattr(proxy, key) == value for key, value in options.items()):
                return column
        return None

    def lookup(self, architecture: Any) -> Entry | None:
        """Returns the truth of an architecture, or None where it was not trained; an entry of the table first."""
        return self.by_key.get(architecture.key) or self.trained.get(architecture.key)

    def remember(self, architecture: Any, value: float) -> None:
        """Takes in the value of an architecture that was trained elsewhere under the same protocol, unless it is held.

        Args:
            value: in the benchmark's unit.
        """
        if architecture.key not in self.by_key:
            run = Run("trained here", value)
            self.trained[architecture.key] = Entry(architecture.key, architecture, value, (run,))

    #: shares of the protocol after which values are known, in increasing order
    shares: tuple[float, ...] = (1.0,)

    def share(self, fidelity: float) -> float:
        """Returns the last of ``shares`` at or before a share of the protocol.

        Raises:
            ZeronasError: there is no value that early.
        """
        at = max((share for share in self.shares if share <= fidelity + 1e-9), default=None)
        if at is None:
            raise ZeronasError(
                f"Benchmark '{self.name}' has no value after a share of {fidelity:g} of a training; "
                f"the smallest share is {self.shares[0]:g}."
            )
        return at

    def truth(self, architecture: Any, fidelity: float = 1.0) -> Truth | None:
        """Returns what is known of an architecture after a share of the protocol, or None where it was not trained.

        Args:
            fidelity: above 0 and up to 1; the value is that after ``share(fidelity)``.

        Raises:
            ZeronasError: there is no value that early.
        """
        at = self.share(fidelity)
        entry, diverged = self.lookup(architecture), self.diverged.get(architecture.key)
        if entry is not None and at == 1:
            return Truth(entry.value)
        found = entry if entry is not None else diverged
        early = dict(found.curve).get(at) if found is not None else None
        if early is not None:
            return Truth(early)
        return Truth(None, diverged.reason) if entry is None and diverged is not None else None

    @property
    def protocol(self) -> Protocol | None:
        """The protocol under which what it lacks can be trained, or None: nothing trained here compares with it."""
        return None

    @property
    def caveat(self) -> str:
        """What a reader must know before trusting a value of this table, in one sentence, or ""."""
        return ""

    @property
    def diverged(self) -> Mapping[str, Diverged]:
        """Architecture key -> what was trained and has no value."""
        return {}

    @property
    def reported(self) -> Benchmark | None:
        """The same architectures with the value that is reported of them, where that is not the one searched by.

        No search sees it: reports tell where a find stands in it.
        """
        return None

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of what the table says a training costs, such as seconds."""
        return ()

    def cost(self, key: str) -> Mapping[str, float]:
        """Returns what one training of an architecture cost, by the names in ``costs``; unknown ones are missing."""
        return {}

    @property
    def sign(self) -> float:
        """+1 where higher values are better, else -1."""
        return 1.0 if self.higher_is_better else -1.0

    @cached_property
    def best(self) -> Entry:
        """The entry with the best value (the first of equals)."""
        return max(self.entries, key=lambda entry: self.sign * entry.value)

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        means = np.sort([self.sign * entry.value for entry in self.entries])
        runs = np.sort([self.sign * run.value for entry in self.entries for run in entry.runs])
        return means, runs

    def place(self, entry: Entry) -> Standing:
        """Returns rank, percentile and regret of an entry, be it of the table or trained elsewhere."""
        return self.standing(entry.value, entry.key in self.by_key)

    def standing(self, value: float, member: bool = True, own: float | None = None) -> Standing:
        """Returns rank, percentile and regret of a value in the benchmark's unit.

        Args:
            member: the value is that of an entry. One of another architecture is ranked among the entries and itself.
            own: the architecture's table value, where ``value`` is a further training of it or an end of an interval
                around it; the table value is then left out of the ranking.

        Raises:
            ZeronasError: the value is not finite.
        """
        if not math.isfinite(value):
            raise ZeronasError(
                f"The value {value} cannot be ranked in benchmark '{self.name}'; a finite one is needed."
            )
        means, runs = self._sorted
        signed, mine = self.sign * value, self.sign * (value if own is None else own)
        better = len(means) - int(np.searchsorted(means, signed, side="right")) - (member and mine > signed)
        worse = int(np.searchsorted(means, signed, side="left")) - (member and mine < signed)
        others = len(means) - 1 if member else len(means)
        return Standing(
            rank=better + 1,
            of=others + 1,
            percentile=100.0 * min(1.0, worse / others) if others else 100.0,
            regret=max(0.0, float(means[-1] - signed)),
            rank_runs=len(runs) - int(np.searchsorted(runs, signed, side="right")) + 1,
            of_runs=len(runs) if member else len(runs) + 1,
        )


def named_after(kind: str, path: Path) -> str:
    """Returns the name of a table of the user's own, by which tables are told apart, also in the names of plots."""
    stem = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in path.stem)
    return f"{kind}_{stem[:40]}"
