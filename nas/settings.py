"""Turns a composed configuration (plain dicts) into the objects of a run, naming whatever is wrong in one sentence."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proxies
import spaces
from nas.core.errors import ZeronasError, did_you_mean
from nas.core.files import versions
from nas.core.options import mapping
from nas.engine.evaluate import Task
from nas.truth import benchmarks
from nas.truth.benchmarks import Benchmark
from proxies.base import Proxy
from spaces.base import Space
from spaces.record import Probe
from spaces.tokens import fingerprint

__all__ = ["Settings", "choice", "data_folder", "identity", "make", "number", "run_folder"]

#: groups of settings, with an example of one
_GROUPS = {
    "space": "space.name=rnn",
    "proxies": "proxies.hidden_covariance.layer=2",
    "probe": "probe.rnn.steps=20",
    "benchmark": "benchmark.name=auto",
    "executor": "executor.workers=2",
    "run": "run.dir=FOLDER",
}

#: keys that do not change what an architecture scores or which are asked for
_NOT_IDENTITY = frozenset(
    {"budget", "verify", "executor", "run", "fresh", "data_dir", "baselines", "resamples", "truth"}
)


@dataclass(frozen=True)
class Settings:
    """The objects that every command shares.

    Attributes:
        config: the composed configuration, plain.
        proxies: label -> proxy, the first is the fitness.
        benchmark: the ground truth, or None with ``no_truth`` saying why.
        trains: whether an architecture that the benchmark lacks is to be trained (``truth=train``).
    """

    config: Mapping[str, Any]
    space: Space[Any]
    probe: Probe
    proxies: Mapping[str, Proxy]
    benchmark: Benchmark | None
    no_truth: str
    seed: int
    workers: int
    trains: bool = False

    @property
    def fitness(self) -> str:
        """Label of the first proxy."""
        return next(iter(self.proxies))

    def task(self, extra: Sequence[str] = ()) -> Task:
        """Returns the evaluation task, with further proxies (by name, default options) behind those asked for."""
        wanted = dict(self.proxies)
        for name in extra:
            wanted.setdefault(name, proxies.get(name, self.space.name))
        timeout = self.config["executor"].get("timeout")
        if timeout is not None:
            timeout = number(self.config["executor"], "timeout", "executor.timeout", low=0.001, whole=False)
        return Task(self.space, self.probe, wanted, self.seed, str(self.config["device"]), timeout)

    def needed_truth(self) -> Benchmark:
        """Returns the benchmark.

        Raises:
            ZeronasError: there is none.
        """
        if self.benchmark is None:
            raise ZeronasError(f"This command needs ground truth, but {self.no_truth}.")
        return self.benchmark


def make(config: Mapping[str, Any]) -> Settings:
    """Makes the objects of a run.

    Args:
        config: the composed configuration as plain dicts and lists.

    Raises:
        ZeronasError: any part of the configuration is wrong.
    """
    if config.get("proxies") is None:
        raise ZeronasError("At least one proxy is needed, but proxy=[] was given; for example proxy=hidden_covariance.")
    for key, example in _GROUPS.items():
        mapping(config, key, example)
    space = spaces.get(**config["space"]).reduce(config["reduction"])
    chosen = {label: _proxy(label, options or {}, space.name) for label, options in config["proxies"].items()}
    named = space.name in config["probe"]  # one that is not named has its own defaults
    probe = space.make_probe(mapping(config["probe"], space.name, f"probe.{space.name}.steps=20") if named else None)
    trains = choice({"truth": config.get("truth", "table")}, "truth", ("table", "train")) == "train"
    benchmark, note = _benchmark(config, space, trains)
    settings = Settings(
        config,
        space,
        probe,
        chosen,
        benchmark,
        note,
        number(config, "seed", "seed", low=0, high=2**63 - 1),
        number(config["executor"], "workers", "executor.workers", low=1),
        trains,
    )
    settings.task()  # a proxy that does not fit the space is found before anything is computed
    return settings


def _proxy(label: str, options: Mapping[str, Any], space: str) -> Proxy:
    rest = mapping({f"proxies.{label}": options}, f"proxies.{label}", f"proxies.{label}.variant=released")
    return proxies.get(rest.pop("name", label), space, **rest)


def _benchmark(config: Mapping[str, Any], space: Space[Any], trains: bool) -> tuple[Benchmark | None, str]:
    options = dict(config["benchmark"])
    name = options.pop("name")
    data_dir = data_folder(config)
    if name == "none":
        return None, "benchmark=none was chosen"
    if name == "auto":
        if not space.benchmarks:
            return None, f"space '{space.name}' has no benchmark"
        name = benchmarks.automatic(space, config["data_dir"], trains)
    benchmark = benchmarks.get(name, data_dir, **options)
    if benchmark.space != space.name:
        fitting = [n for n in benchmarks.BENCHMARKS if benchmarks.BENCHMARKS.get(n).space == space.name]
        raise ZeronasError(
            f"Benchmark '{name}' holds architectures of space '{benchmark.space}', but space '{space.name}' was "
            f"chosen; for it there is: {', '.join(fitting) or 'none'}."
        )
    if trains and benchmark.protocol is None:
        fitting = [n for n in benchmarks.BENCHMARKS if benchmarks.BENCHMARKS.get(n).protocol_name is not None]
        raise ZeronasError(
            f"truth=train needs a table of the project's own ({', '.join(fitting)}), but benchmark={name} was chosen: "
            "trainings here cannot be compared with its values."
        )
    return benchmark, ""


def data_folder(config: Mapping[str, Any]) -> str | None:
    """Returns ``config["data_dir"]`` if it is a folder's name or None.

    Raises:
        ZeronasError: it is anything else.
    """
    folder = config["data_dir"]
    if folder is not None and not isinstance(folder, str):
        raise ZeronasError(f"data_dir must be a folder, but got {folder!r}.")
    return folder


def number(
    config: Mapping[str, Any], key: str, label: str, low: float = 0, whole: bool = True, high: float = math.inf
) -> Any:
    """Returns ``config[key]`` if it is a finite (whole) number from ``low`` to ``high``.

    Raises:
        ZeronasError: it is not.
    """
    value = config[key]
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value) or value < low:
        kind = "a whole number" if whole else "a number"
        raise ZeronasError(f"{label} must be {kind} of {low:g} or more, but got {value!r}.")
    if value > high:
        raise ZeronasError(f"{label} must be at most {high}, but got {value!r}.")
    return value


def choice(config: Mapping[str, Any], key: str, accepted: Sequence[str]) -> str:
    """Returns ``config[key]`` if it is one of the accepted words.

    Raises:
        ZeronasError: it is not.
    """
    value = config[key]
    if value not in accepted:
        raise ZeronasError(f"Unknown {key} '{value}'.{did_you_mean(str(value), accepted)}")
    return str(value)


def identity(config: Mapping[str, Any], command: str) -> tuple[dict[str, Any], str]:
    """Returns what makes a run the run it is, and its hash.

    Settings that change neither scores nor proposals are left out, so a longer ``budget`` or another number of
    workers continues the same run.
    """
    kept = {key: value for key, value in config.items() if key not in _NOT_IDENTITY}
    kept["command"] = command
    space = config["space"]["name"]
    listed = spaces.get(space)
    if config["benchmark"].get("name") == "auto" and listed.benchmarks:
        name = benchmarks.automatic(listed, config["data_dir"], config.get("truth") == "train")
        if name != listed.benchmarks[0]:  # which one is meant depends on the machine, so it is named
            kept["benchmark"] = {"name": name}
    kept["probe"] = {"name": config["probe"].get("name"), **config["probe"].get(space, {})}
    kept["tokens"] = fingerprint(kept["probe"].get("text"))
    text = json.dumps(kept, sort_keys=True, default=str)
    # Other versions may score otherwise: they are told apart in a folder, but do not change its name.
    made_by = {name: version for name, version in versions().items() if name in ("zeronas", "torch", "numpy")}
    return {**json.loads(text), "made_by": made_by}, hashlib.sha256(text.encode()).hexdigest()[:8]


def run_folder(config: Mapping[str, Any], command: str) -> Path:
    """Returns the folder of a run: ``run.dir``, or one under ``run.root`` named after the settings."""
    if config["run"]["dir"]:
        return Path(str(config["run"]["dir"]))
    _, digest = identity(config, command)
    parts = [command, config["space"]["name"]]
    if command == "search":
        parts += [config["searcher"]["name"], *list(config["proxies"])[:1], config["pool"]]
    else:
        parts += list(config["proxies"])[:2]
    return Path(str(config["run"]["root"])) / "-".join([*parts, f"s{config['seed']}", digest])
