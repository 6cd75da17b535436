"""Every configuration composes, and says exactly what the code accepts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import conf
import made_table
import proxies
import spaces
from experiments.commands import search as app
from experiments.composition import folders
from nas import search
from nas.engine.gate import GateSettings
from nas.engine.pools import SpacePool
from nas.engine.region import RegionSettings
from nas.search.base import SEARCHERS
from nas.settings import SearchSettings, make
from nas.truth.benchmarks import BENCHMARKS

FOLDER = Path(next(iter(conf.__path__)))


def names(group: str) -> list[str]:
    return sorted(path.stem for folder in folders() for path in (folder / group).glob("*.yaml"))


@pytest.mark.parametrize("name", names("proxy"))
def test_a_proxys_options_are_its_constructors(name: str, composed: Any) -> None:
    options = dict(composed("search", f"proxy={name}")["proxies"][name] or {})
    registered = options.pop("name", name)
    defaults = proxies.options_of(registered)
    assert set(options) == set(defaults)
    assert all(type(options[key]) is type(defaults[key]) for key in options if registered == name)
    proxies.get(registered, **options)


def test_every_registered_name_has_a_configuration() -> None:
    assert set(proxies.PROXIES) <= set(names("proxy"))
    assert set(SEARCHERS) == set(names("searcher"))
    assert set(BENCHMARKS) <= set(names("benchmark"))
    assert set(spaces.SPACES) == set(names("space"))
    assert {name for space in spaces.SPACES for name in spaces.get(space).protocols} <= set(names("protocol"))


@pytest.mark.parametrize("name", names("searcher"))
def test_a_searchers_options_are_its_constructors(name: str, composed: Any) -> None:
    config = composed("search", f"searcher={name}")
    options = dict(config["searcher"])
    search.get(options.pop("name"), SpacePool(make(config, SearchSettings).space), 0, **options)


@pytest.mark.parametrize("group", ["gate", "region"])
def test_a_limits_options_are_its_settings(group: str, composed: Any) -> None:
    kind = {"gate": GateSettings, "region": RegionSettings}[group]
    for name in names(group):
        given = getattr(make(composed("search", f"{group}={name}"), SearchSettings).given, group)
        assert given == kind(name) and given.is_open == (name == "none")
    chosen = composed("search", f"{group}=sampler")[group]
    assert set(chosen) == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("name", names("probe"))
@pytest.mark.parametrize("space", names("space"))
def test_a_probe_fits_all_spaces(name: str, space: str, composed: Any) -> None:
    config = composed("search", f"probe={name}", *(made_table.overrides() if space == "table" else [f"space={space}"]))
    assert config["probe"]["name"] == name
    make(config, SearchSettings)


@pytest.mark.parametrize("name", names("reduction"))
def test_a_reduction_names_features_of_some_space(name: str) -> None:
    conditions = OmegaConf.to_container(OmegaConf.load(FOLDER / "reduction" / f"{name}.yaml"))
    assert isinstance(conditions, dict)
    fitting = [s for s in spaces.SPACES if set(conditions) <= set(spaces.get(s).feature_specs)]
    assert fitting
    spaces.get(fitting[-1]).reduce({str(k): v for k, v in conditions.items()})


@pytest.mark.parametrize("name", [n for n in names("experiment") if n != "none"])
def test_every_experiment_runs_with_a_tiny_budget(name: str, composed: Any, data_dir: Path, tmp_path: Path) -> None:
    overrides = [f"experiment={name}", "budget=3", f"run.dir={tmp_path}", "executor.workers=1"]
    if name == "paper_search":  # the paper's sizes cost seconds a cell
        overrides += ["probe.rnn.hidden=[16]", "probe.rnn.embedding=8", "probe.rnn.batch=4", "probe.rnn.steps=4"]
    results = app.run(composed("search", *overrides))
    assert results["evaluations"] == 3
    assert results["found"]["truth"] is not None


def test_identity_leaves_out_what_does_not_change_the_scores(composed: Any) -> None:
    # the table is named: which one benchmark=auto means depends on the data at hand
    def identified(*overrides: str) -> str:
        return make(composed("search", "benchmark=nas_bench_nlp", *overrides), SearchSettings).folder.name

    base = identified()
    same = ("budget=7", "verify=3", "queries=5", "executor.workers=2", "fresh=true", "run.root=elsewhere", "data_dir=x")
    for override in same:
        assert identified(override) == base
    for override in (
        "seed=1",
        "proxy=random",
        "probe.rnn.steps=9",
        "batch=8",
        "pool=benchmark",
        "device=cuda",
        "gate=sampler",
    ):
        assert identified(override) != base
