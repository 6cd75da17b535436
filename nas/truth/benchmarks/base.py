"""What a benchmark is: trained architectures with their ground truth, and where a value stands among them.

A benchmark never guesses: ``lookup`` of an architecture that was not trained returns None. To add one: subclass
``Benchmark``, register it in ``nas.truth.benchmarks.BENCHMARKS``, add ``conf/benchmark/NAME.yaml``.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nas import judge
from nas.core.cache import cache_folder
from nas.core.errors import ZeronasError
from nas.truth.benchmarks.data import given_folder

__all__ = ["Benchmark", "Curve", "Datasheet", "Diverged", "Entry", "Run", "Standing", "Truth"]

#: (share of the protocol, value) in increasing order of the share, the last one of all of it left out
Curve = tuple[tuple[float, float], ...]


#: architectures that must have been trained more than once before a benchmark speaks of its noise
_REPEATED = 10
#: of those, how many of the nearest in value speak for a value: so many, or this share if it is more
_NEAR = 15
_NEAR_SHARE = 0.1


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
        tasks: task name -> mean score, for benchmarks of several tasks.
        curve: the value after shares of the protocol, where the source tells: the mean of the runs that have one there.
    """

    key: str
    architecture: Any
    value: float
    runs: tuple[Run, ...]
    tasks: Mapping[str, float] = field(default_factory=dict)
    curve: Curve = ()


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
    """

    name: str
    space: str
    metric: str
    unit: str
    higher_is_better: bool

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

    @cached_property
    def by_key(self) -> dict[str, Entry]:
        """Architecture key -> entry."""
        return {entry.key: entry for entry in self.entries}

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

    def truth(self, architecture: Any, fidelity: float = 1.0) -> Truth | None:
        """Returns what is known of an architecture after a share of the protocol, or None where it was not trained.

        Args:
            fidelity: above 0 and up to 1; the value is that after the last of ``shares`` at or before this one.

        Raises:
            ZeronasError: there is no value that early.
        """
        at = max((share for share in self.shares if share <= fidelity + 1e-9), default=None)
        if at is None:
            raise ZeronasError(
                f"Benchmark '{self.name}' knows no value after a share of {fidelity:g} of a training; "
                f"the smallest share is {self.shares[0]:g}."
            )
        entry, diverged = self.lookup(architecture), self.diverged.get(architecture.key)
        if entry is not None and at == 1:
            return Truth(entry.value)
        found = entry if entry is not None else diverged
        early = dict(found.curve).get(at) if found is not None else None
        if early is not None:
            return Truth(early)
        return Truth(None, diverged.reason) if entry is None and diverged is not None else None

    @property
    def caveat(self) -> str:
        """What a reader must know before trusting a value of this table, in one sentence, or ""."""
        return ""

    @property
    def diverged(self) -> Mapping[str, Diverged]:
        """Architecture key -> what was trained and has no value."""
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
            own: what the entry has in the table, where ``value`` is another of it, such as a further training's or an
                end of an interval: it is ranked in its own place, and not against itself.

        Raises:
            ZeronasError: the value is not finite.
        """
        if not math.isfinite(value):
            raise ZeronasError(f"The value {value} has no standing in benchmark '{self.name}'; a finite one is needed.")
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

    @cached_property
    def noise(self) -> float | None:
        """Standard deviation of one training, in the benchmark's unit.

        None where fewer than ten architectures were trained more than once. It is the median over repeatedly trained
        architectures of their standard deviation, each divided by the median that normal noise of deviation 1 gives
        for as many trainings: a few unstable ones do not speak for all.
        """
        spreads = [
            np.std([run.value for run in e.runs], ddof=1) / _median_deviation(len(e.runs))
            for e in self.entries
            if len(e.runs) > 1
        ]
        return float(np.median(spreads)) if len(spreads) >= _REPEATED else None

    @cached_property
    def ceiling(self) -> tuple[float, int] | None:
        """Kendall tau between the first and the second training of the same architectures, and how many they are.

        No proxy can be expected to agree better with one training than another training does. None where fewer than
        ten architectures were trained twice.
        """
        pairs = [(e.runs[0].value, e.runs[1].value) for e in self.entries if len(e.runs) > 1]
        if len(pairs) < _REPEATED:
            return None
        tau = judge.kendall([a for a, _ in pairs], [b for _, b in pairs])
        return None if tau is None else (tau, len(pairs))

    @cached_property
    def _deviations(self) -> list[tuple[float, str, np.ndarray]]:
        """Value, key and how far each training is off, of the repeatedly trained, by value.

        A training's distance from the mean of its n, itself among them, varies by 1 - 1/n of the noise, and is
        stretched by as much.
        """
        found = []
        for entry in sorted(self.entries, key=lambda entry: entry.value):
            count = len(entry.runs)
            if count > 1:
                values = np.array([run.value for run in entry.runs])
                found.append((entry.value, entry.key, np.abs(values - values.mean()) * math.sqrt(count / (count - 1))))
        return found

    def reach(self, value: float, without: str = "") -> float | None:
        """Returns how far from its architecture's mean 95% of the trainings lie, where the mean is near ``value``.

        Noise depends on the value and has heavy tails, so no one deviation gives it: this is the 95% quantile (of the
        next training, hence a little above the sample's) over the repeatedly trained architectures nearest in value,
        fifteen, or a tenth of them if that is more. None where fewer than ten were trained more than once.

        Args:
            without: key of an architecture that does not speak, for checking what it covers.
        """
        found = [(abs(near - value), deviations) for near, key, deviations in self._deviations if key != without]
        if len(found) < _REPEATED:
            return None
        count = max(_NEAR, round(_NEAR_SHARE * len(found)))
        nearest = sorted(found, key=lambda pair: pair[0])[:count]
        offs = np.sort(np.concatenate([deviations for _, deviations in nearest]))
        return float(offs[min(len(offs), math.ceil(0.95 * (len(offs) + 1))) - 1])

    @property
    def coverage(self) -> float | None:
        """Share of the repeated trainings that ``reach`` covers, each architecture left out in its turn, or None."""
        reaches = [(deviations, self.reach(value, without=key)) for value, key, deviations in self._deviations]
        covered = [deviations <= reach for deviations, reach in reaches if reach is not None]
        return float(np.concatenate(covered).mean()) if covered else None

    def interval(
        self, value: float, trainings: int = 1, member: bool = True, own: float | None = None
    ) -> tuple[Standing, Standing] | None:
        """Returns the standings of both ends of a 95% interval around the mean of so many trainings, the better first.

        The regrets are those of a difference: the best entry is a mean of trainings too. None where the noise is not
        known.

        Args:
            value, member, own: as ``standing`` has them.
        """
        reach, of_best = self.reach(value), self.reach(self.best.value)
        if reach is None or of_best is None:
            return None
        at = value if own is None else own
        off = self.sign * reach / math.sqrt(trainings)
        better, worse = (self.standing(value + side * off, member, at) for side in (1, -1))
        behind = self.sign * (self.best.value - value)  # below 0: better than the best
        wider = math.sqrt(reach**2 / trainings + of_best**2 / len(self.best.runs))
        return replace(better, regret=max(0.0, behind - wider)), replace(worse, regret=max(0.0, behind + wider))

    def subset(self, keep: Sequence[bool]) -> list[Entry]:
        """Returns the entries whose flag is true."""
        return [entry for entry, flag in zip(self.entries, keep, strict=True) if flag]


@lru_cache
def _median_deviation(count: int) -> float:
    """Returns the median of the standard deviation (ddof 1) of so many draws from a normal distribution of deviation 1.

    Draws are independent: its square times (count - 1) is chi-squared with count - 1 degrees of freedom.
    """
    from scipy.special import gammaincinv

    half = (count - 1) / 2  # the median of chi-squared with 2 * half degrees of freedom is 2 gammaincinv(half, 1/2)
    return math.sqrt(float(gammaincinv(half, 0.5)) / half)
