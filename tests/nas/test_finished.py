"""A finished search is read again: what was edited in its results.json is told by name, and no crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.commands import compare, search
from nas.core.errors import ZeronasError
from nas.report.finished import read_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("finished")
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from experiments.commands.app import plain

    GlobalHydra.instance().clear()
    tiny = ["probe.rnn.hidden=[4]", "probe.rnn.embedding=4", "probe.rnn.batch=2", "probe.rnn.steps=2"]
    asked = ["searcher=random", "budget=6", "verify=2", "pool=benchmark", "benchmark=mini_rnn", f"run.dir={folder}"]
    with initialize_config_module(config_module="conf", version_base="1.3"):
        search.run(plain(compose(config_name="search", overrides=[*tiny, *asked])))
    return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("seed",), [1], "seed is [1]"),
        (("found",), 5, "found is 5"),
        (("found", "truth"), True, "found.truth is True"),
        (("found", "standing"), None, "found.standing is null"),
        (("benchmark", "name"), "../x", "benchmark.name is '../x'"),
        (("searcher",), "\x1b[31mred", r"searcher is '\x1b[31mred'"),
        (("seconds",), None, "seconds is null"),
        (("config", "probe"), 5, "config.probe is 5"),
        (("regret", "best_so_far"), [], "regret.best_so_far is []"),
    ],
)
def test_what_was_edited_is_named(
    tmp_path: Path, results: dict[str, Any], place: tuple[str, ...], value: Any, told: str
) -> None:
    edited: dict[str, Any] = json.loads(json.dumps(results))
    inner = edited
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(edited), encoding="utf-8")
    with pytest.raises(ZeronasError) as found:
        read_run(tmp_path)
    assert f"was edited, or is another version's: {told}" in str(found.value)


def test_what_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"a":' * 100_000, encoding="utf-8")
    with pytest.raises(ZeronasError, match="nested too deeply"):
        read_run(tmp_path)


def test_names_are_shown_without_what_a_terminal_obeys(
    tmp_path: Path, results: dict[str, Any], composed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        made = {**results, "seed": 0, "config": {**results["config"], "searcher": {"name": "\x1b[2J" * (seed + 1)}}}
        (tmp_path / f"s{seed}").mkdir()
        (tmp_path / f"s{seed}" / "results.json").write_text(json.dumps(made), encoding="utf-8")
    folders = f"runs=['{tmp_path / 's0'}','{tmp_path / 's1'}']"
    compare.run(composed("compare", folders, f"run.dir={tmp_path / 'out'}"))
    out = capsys.readouterr().out
    assert "\x1b" not in out and r"\x1b[2J\x1b[2J" in out
    assert "\x1b" not in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
