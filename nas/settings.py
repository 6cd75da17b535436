"""The settings of every command, typed and parsed once, and the objects of a run that are made of them.

``read`` turns a composed configuration (plain dicts) into the typed settings of a command, ``make`` further into the
objects that searching, ranking, scoring and reducing share. Whatever is wrong is named in one sentence. Nothing else
reads the configuration itself; it is kept for the identity of a run and for its results.json.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen

import proxies
import spaces
from nas.core.csv_file import csv_path
from nas.core.csv_file import fingerprint as fingerprint_of_table
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.executors import Executor, LocalExecutor, Memory, Part, RayExecutor, Workers
from nas.core.files import versions
from nas.core.options import (
    Choice,
    Count,
    Device,
    Fidelity,
    Folder,
    NotNegative,
    OpenShare,
    Options,
    Said,
    Seed,
    Share,
    Size,
    choice,
    parse,
    shown,
)
from nas.engine.evaluate import Scorer, check
from nas.engine.gate import GateSettings, statistics
from nas.engine.region import RegionSettings
from nas.search import SEARCHERS
from nas.search.comparison import least_samples
from nas.search.funnel import Finalists
from nas.truth import benchmarks
from nas.truth.benchmarks import Benchmark
from proxies.base import Proxy
from spaces.base import Space
from spaces.record import Probe
from spaces.tokens import fingerprint

__all__ = [
    "CompareSettings",
    "EvolveSettings",
    "ExecutorSettings",
    "ExportSettings",
    "FindSettings",
    "PageSettings",
    "RankSettings",
    "ReduceSettings",
    "RunFolder",
    "ScoreSettings",
    "ScreenSettings",
    "SearchSettings",
    "Settings",
    "SharedSettings",
    "TrainSettings",
    "WatchSettings",
    "make",
    "read",
]


#: keys that do not change what an architecture scores or which are asked for
_NOT_IDENTITY = frozenset(
    {
        *("budget", "top", "verify", "finalists", "rungs", "eta", "queries", "truth"),
        *("executor", "run", "fresh", "data_dir", "baselines", "resamples", "reference", "generations", "tables"),
    }
)


#: what compares as if the key were not there, so that runs made before it was are the same runs
_PLAIN = (("samples", 1), ("comparator", "mean"), ("stacked", False))

#: how often each architecture is scored
Samples = Annotated[int, Ge(1), Le(100)]

#: a key of an architecture, or the beginning of one
Key = Annotated[str, Said("the key of an architecture, or its beginning, such as rnn-43b3"), MinLen(1)]

#: labels of proxies: they name columns, files and folders
_LABEL = re.compile(r"\w[\w.,=+@ -]{0,59}")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Where a run is written: ``dir``, or a folder under ``root`` that is named after its settings."""

    root: Folder
    dir: Folder | None = None

    def path(self, name: str) -> Path:
        """Returns the folder, where it is called ``name`` under the root unless ``dir`` is given."""
        return Path(self.dir) if self.dir else Path(self.root) / name


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings:
    """Where architectures are scored and trained, and what each may take of time and memory (None: what it takes).

    Raises:
        ZeronasError: a setting of a cluster is given for processes on this machine.
    """

    workers: Workers
    name: Literal["local", "ray"] = "local"
    timeout: Annotated[float, Ge(0.001), Le(1e9)] | None = None  # seconds an architecture
    memory: Memory | None = None  # GiB a worker
    address: str | None = None
    cpus: Part = 1.0
    gpus: Part = 0.0

    def __post_init__(self) -> None:
        if self.name == "local" and (self.address is not None or self.gpus):
            raise ZeronasError("executor.address and executor.gpus are settings of a cluster; use executor=ray.")

    def made(self) -> Executor:
        """Returns the executor."""
        if self.name == "local":
            return LocalExecutor(self.workers, self.memory)
        return RayExecutor(self.workers, self.address, self.cpus, self.gpus, self.memory)


@dataclass(frozen=True, kw_only=True)
class SharedSettings:
    """What search, rank, score and reduce share; see ``conf/common.yaml``.

    Class attributes:
        command: its name on the command line.
        scores: whether architectures are scored, so that a proxy is needed.
    """

    command: ClassVar[str]
    scores: ClassVar[bool] = True

    space: Choice
    reduction: Options
    proxies: Options | None = None
    probe: Choice
    benchmark: Choice
    executor: ExecutorSettings
    seed: Seed
    device: Device
    bert_reading: str
    data_dir: Folder | None = None
    fresh: bool
    run: RunFolder
    experiment: Options | None = None  # what a named experiment leaves of itself: nothing

    @property
    def trains(self) -> bool:
        """Whether an architecture that the benchmark lacks is to be trained."""
        return False


@dataclass(frozen=True, kw_only=True)
class SearchSettings(SharedSettings):
    """``zeronas search``; see ``conf/search.yaml``."""

    command: ClassVar[str] = "search"

    searcher: Choice
    gate: GateSettings
    region: RegionSettings
    pool: Literal["space", "benchmark"]
    budget: Size
    batch: Size
    verify: Count
    finalists: Finalists
    rungs: Annotated[tuple[Fidelity, ...], MinLen(1)]
    eta: Annotated[float, Gt(1), Le(1000)]
    queries: Count | None = None
    truth: Literal["table", "train"]
    samples: Samples
    comparator: Literal["mean", "stat"]
    significance: Annotated[float, Gt(0), Lt(0.5)]

    def __post_init__(self) -> None:
        if self.comparator == "stat" and self.samples < (least := least_samples(self.significance)):
            raise ZeronasError(
                f"comparator=stat cannot find any difference with samples={self.samples} of each architecture: the "
                f"least p of its test is {1 / comb(2 * self.samples, self.samples):.3g}, which is not below "
                f"significance={self.significance:g}; use samples={least} or more."
            )

    @property
    def comparator_level(self) -> float | None:
        """Significance of the comparator; None where it compares means."""
        return self.significance if self.comparator == "stat" else None

    @property
    def trains(self) -> bool:
        """See SharedSettings."""
        return self.truth == "train"


@dataclass(frozen=True, kw_only=True)
class RankSettings(SharedSettings):
    """``zeronas rank``; see ``conf/rank.yaml``."""

    command: ClassVar[str] = "rank"

    limit: Size | None = None
    samples: Samples
    baselines: bool
    resamples: Annotated[int, Ge(0), Le(1_000_000)] | None
    reference: Literal["features", "views", "none"]


@dataclass(frozen=True, kw_only=True)
class ScreenSettings(SharedSettings):
    """``zeronas screen``; see ``conf/screen.yaml``."""

    command: ClassVar[str] = "screen"

    budget: Size
    top: Size
    samples: Samples


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(SharedSettings):
    """``zeronas score``; see ``conf/score.yaml``. ``arch`` is read by ``experiments.commands.arch``."""

    command: ClassVar[str] = "score"

    arch: Any = None
    draw: Folder | None = None


@dataclass(frozen=True, kw_only=True)
class ReduceSettings(SharedSettings):
    """``zeronas reduce``; see ``conf/reduce.yaml``."""

    command: ClassVar[str] = "reduce"
    scores: ClassVar[bool] = False

    effect: NotNegative
    keep: OpenShare
    significance: OpenShare


@dataclass(frozen=True, kw_only=True)
class EvolveSettings(SharedSettings):
    """``zeronas evolve-proxy``; see ``conf/evolve_proxy.yaml``."""

    command: ClassVar[str] = "evolve-proxy"
    scores: ClassVar[bool] = False

    architectures: Annotated[int, Ge(10), Le(1_000_000)] | None = None
    generations: Count
    population: Annotated[int, Ge(2), Le(100_000)]
    tournament: Size
    elites: Count
    crossover: Share
    parsimony: Share
    longest: Annotated[int, Ge(1), Le(40)]
    chain: Annotated[int, Ge(0), Le(2)]
    baselines: tuple[str, ...]
    tables: bool
    resamples: Annotated[int, Ge(0), Le(1_000_000)]

    def __post_init__(self) -> None:
        if self.elites >= self.population:
            raise ZeronasError(
                f"zeronas evolve-proxy needs elites < population, but got ({self.elites}, {self.population})."
            )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """``zeronas train``; see ``conf/train.yaml``. ``arch`` is read by ``experiments.commands.arch``."""

    command: ClassVar[str] = "train"

    space: Choice
    protocol: Choice
    arch: Any = None
    corpus: Folder | None = None
    seed: Seed
    device: str
    data_dir: Folder | None = None
    fresh: bool
    run: RunFolder


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """``zeronas compare``; see ``conf/compare.yaml``."""

    command: ClassVar[str] = "compare"

    runs: tuple[Folder, ...]
    run: RunFolder


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """``zeronas export-study``; see ``conf/export_study.yaml``."""

    command: ClassVar[str] = "export-study"

    runs: tuple[Folder, ...]
    file: Folder | None = None
    parameters: Literal["encoding", "features"]
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class FindSettings:
    """``zeronas export``; see ``conf/export.yaml``. ``arch`` is read by ``experiments.commands.export``."""

    command: ClassVar[str] = "export"

    space: Choice
    arch: Any = None
    key: Key | None = None
    folder: Folder | None = None
    sizes: Options
    onnx: bool | Literal["auto"]
    seed: Seed
    bert_reading: str
    data_dir: Folder | None = None
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """``zeronas report``; see ``conf/report.yaml``."""

    command: ClassVar[str] = "report"

    runs: tuple[Folder, ...]
    file: Folder | None = None


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """``zeronas watch``; see ``conf/watch.yaml``."""

    command: ClassVar[str] = "watch"

    runs: tuple[Folder, ...]
    once: bool


K = TypeVar(
    "K",
    SearchSettings,
    RankSettings,
    ScreenSettings,
    ScoreSettings,
    ReduceSettings,
    EvolveSettings,
    TrainSettings,
    CompareSettings,
    ExportSettings,
    FindSettings,
    PageSettings,
    WatchSettings,
)
S = TypeVar("S", bound=SharedSettings, covariant=True)
Q = TypeVar("Q", bound=SharedSettings)


def read(config: Mapping[str, Any], kind: type[K]) -> K:
    """Returns the typed settings of a command.

    Raises:
        ZeronasError: a setting is missing, unknown, or not of its type.
    """
    return parse(kind, config, _owner(kind.command))


def _owner(command: str) -> str:
    return f"zeronas {command}"


@dataclass(frozen=True)
class Settings(Generic[S]):
    """The objects that every command shares.

    Attributes:
        given: the typed settings.
        proxies: label -> proxy, the first is the fitness.
        benchmark: the ground truth, or None with ``no_truth`` saying why.
        config: the composed configuration, plain, for results.json.
    """

    given: S
    space: Space[Any]
    probe: Probe
    proxies: Mapping[str, Proxy]
    benchmark: Benchmark | None
    no_truth: str
    config: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """Seed of all random streams."""
        return self.given.seed

    @cached_property
    def executor(self) -> Executor:
        """Where architectures are scored and trained."""
        return self.given.executor.made()

    @property
    def trains(self) -> bool:
        """Whether an architecture that the benchmark lacks is to be trained (``truth=train``)."""
        return self.given.trains

    @property
    def fitness(self) -> str:
        """Label of the first proxy."""
        return next(iter(self.proxies))

    @cached_property
    def statistics(self) -> Mapping[str, Proxy]:
        """Label -> proxy of what the gate looks at; none without a gate.

        Raises:
            ZeronasError: there is a gate, and the space has no statistics for it.
        """
        given = self.given
        if not isinstance(given, SearchSettings) or given.gate.is_open:
            return {}
        return statistics(self.space, self.probe)

    @cached_property
    def views(self) -> Mapping[str, Proxy]:
        """Label -> proxy of what the searcher, or the learned reference of a ranking, learns from beside the proxies.

        Raises:
            ZeronasError: a ranking asks for them, and the space has none.
        """
        given = self.given
        if isinstance(given, RankSettings):
            if given.reference != "views":
                return {}
            if not self.space.views(self.probe):
                raise ZeronasError(
                    f"reference=views needs views of an untrained architecture, but space '{self.space.name}' names "
                    "none; use reference=features."
                )
        elif not isinstance(given, SearchSettings) or not SEARCHERS.get(given.searcher.name).wants_views:
            return {}
        return proxies.listed(self.space.views(self.probe), self.space.name, "view_")

    def scorer(self, extra: Sequence[str] = ()) -> Scorer:
        """Returns what scores architectures, with further proxies (by name, default options) behind those asked for.

        What a gate looks at and what a surrogate learns from are measured too, behind all proxies.
        """
        given = self.given
        samples = given.samples if isinstance(given, (SearchSettings, RankSettings, ScreenSettings)) else 1
        timeout, wanted = given.executor.timeout, self.measured(extra)
        return Scorer(self.space, self.probe, wanted, self.seed, given.device, timeout, samples)

    def measured(self, extra: Sequence[str] = ()) -> dict[str, Proxy]:
        """Returns label -> proxy of all that ``scorer`` measures, in its order."""
        wanted = dict(self.proxies)
        for name in extra:
            wanted.setdefault(name, proxies.get(name, self.space.name))
        return {**wanted, **self.statistics, **self.views}

    def needed_truth(self) -> Benchmark:
        """Returns the benchmark.

        Raises:
            ZeronasError: there is none.
        """
        if self.benchmark is None:
            raise ZeronasError(f"This command needs ground truth, but {self.no_truth}.")
        return self.benchmark

    @property
    def identity(self) -> dict[str, Any]:
        """What makes a run the run it is, with the versions that made it.

        Settings that change neither scores nor proposals are left out, so a longer ``budget`` or another number of
        workers, wherever they are, continues the same run.
        """
        # Other versions may score otherwise: they are told apart in a folder, but do not change its name.
        made_by = {name: version for name, version in versions().items() if name in ("zeronas", "torch", "numpy")}
        return {**json.loads(self._identity), "made_by": made_by}

    @cached_property
    def _identity(self) -> str:
        kept = {key: value for key, value in self.config.items() if key not in _NOT_IDENTITY}
        kept = {key: value for key, value in kept.items() if (key, value) not in _PLAIN}
        if "comparator" not in kept:
            kept.pop("significance", None)
        if isinstance(kept.get("searcher"), Mapping) and kept["searcher"].get("of") == "proxies":
            # as before there was a choice
            kept["searcher"] = {k: v for k, v in kept["searcher"].items() if k not in ("of", "fidelity", "together")}
        kept["command"] = self.given.command
        space, table = self.space.name, self.benchmark
        if self.given.benchmark.name == "auto" and table is not None and table.name != self.space.benchmarks[0]:
            kept["benchmark"] = {"name": table.name}  # which one is meant depends on the machine, so it is named
        elif self.given.benchmark.name == "csv":
            digest = fingerprint_of_table(csv_path("benchmark.file", self.given.benchmark.options.get("file")))
            kept["benchmark"] = {"name": "csv", **self.given.benchmark.options, "sha256": digest}
        if self.space.fingerprint:
            kept["space"] = {**kept["space"], "sha256": self.space.fingerprint}
        probe = {"name": self.given.probe.name, **(self.given.probe.options.get(space) or {})}
        kept["probe"] = {key: value for key, value in probe.items() if (key, value) not in _PLAIN}
        kept["tokens"] = fingerprint(getattr(self.probe, "text", None))
        return json.dumps(kept, sort_keys=True, default=str)

    @property
    def folder(self) -> Path:
        """The folder of the run: ``run.dir``, or one under ``run.root`` named after the settings."""
        given, labels = self.given, list(self.proxies)
        parts = [given.command, self.space.name]
        if isinstance(given, SearchSettings):
            parts += [given.searcher.name, *labels[:1], given.pool]
        else:
            parts += labels[:2]
        digest = hashlib.sha256(self._identity.encode()).hexdigest()[:8]
        return given.run.path("-".join([*parts, f"s{self.seed}", digest]))


def make(config: Mapping[str, Any], kind: type[Q]) -> Settings[Q]:
    """Makes the objects of a run.

    Args:
        config: the composed configuration as plain dicts and lists.
        kind: the settings of the command, such as ``SearchSettings``.

    Raises:
        ZeronasError: any part of the configuration is wrong.
    """
    if not kind.scores:
        config = {**config, "proxies": {}}
    given = parse(kind, config, _owner(kind.command))
    if kind.scores and not given.proxies:
        raise ZeronasError("At least one proxy is needed, but proxy=[] was given; for example proxy=hidden_covariance.")
    space = spaces.get(given.space.name, **given.space.options).reduce(given.reduction)
    chosen = _proxies(given, space)
    probe = _probe(given, space)
    benchmark, note = _benchmark(given, space)
    settings = Settings(given, space, probe, chosen, benchmark, note, config)
    check(space, probe, settings.measured())  # a proxy that does not fit is found before anything is computed
    return settings


def _proxies(given: SharedSettings, space: Space[Any]) -> dict[str, Proxy]:
    """Returns label -> proxy of those asked for, one that stands for several as these."""
    chosen: dict[str, Proxy] = {}
    for label, options in (given.proxies or {}).items():
        for name, proxy in _proxy(given, label, options, space.name).expanded(label, space).items():
            if name in chosen:
                raise ZeronasError(f"Two proxies would be called '{name}', as '{label}' brings one, too; rename one.")
            chosen[name] = proxy
    return chosen


def _proxy(given: SharedSettings, label: str, options: Any, space: str) -> Proxy:
    owner = _owner(given.command)
    if not _LABEL.fullmatch(label):
        raise ZeronasError(f"{owner} needs proxies.LABEL to be a label of up to 60 letters, but got {shown(label)}.")
    if options is None or isinstance(options, Mapping):
        options = {"name": label, **(options or {})}
    chosen = choice(options, owner, f"proxies.{label}")
    return proxies.get(chosen.name, space, **chosen.options)


def _probe(given: SharedSettings, space: Space[Any]) -> Probe:
    for name, options in given.probe.options.items():  # those of the other spaces are checked too
        if name not in spaces.SPACES:
            known = [f"probe.{one}" for one in ("name", *spaces.SPACES)]
            raise ZeronasError(
                f"{_owner(given.command)} has no option {shown(f'probe.{name}')}.{did_you_mean(f'probe.{name}', known)}"
            )
        if name != space.name:
            spaces.get(name).make_probe(options)
    return space.make_probe(given.probe.options.get(space.name))  # one that is not named has its own defaults


def _benchmark(given: SharedSettings, space: Space[Any]) -> tuple[Benchmark | None, str]:
    name = given.benchmark.name
    if name == "none":
        return None, "benchmark=none was chosen"
    if name == "auto":
        if not space.benchmarks:
            return None, f"space '{space.name}' has no benchmark"
        name = benchmarks.automatic(space, given.data_dir, given.trains)
    benchmark = benchmarks.get(name, given.data_dir, space, **given.benchmark.options)
    if benchmark.space != space.name:
        fitting = [n for n in benchmarks.BENCHMARKS if benchmarks.BENCHMARKS.get(n).space == space.name]
        raise ZeronasError(
            f"Benchmark '{name}' holds architectures of space '{benchmark.space}', but space '{space.name}' was "
            f"chosen; for it there is: {', '.join(fitting) or 'none'}."
        )
    if given.trains and benchmark.protocol is None:
        fitting = [n for n in benchmarks.BENCHMARKS if benchmarks.BENCHMARKS.get(n).protocol_name is not None]
        raise ZeronasError(
            f"truth=train needs a table of the project's own ({', '.join(fitting)}), but benchmark={name} was chosen: "
            "trainings here cannot be compared with its values."
        )
    return benchmark, ""
