"""``zeronas evolve-proxy``: from the command line to the report, on tables of the package; killed and resumed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module

import proxies
import spaces
from experiments.commands import evolve_proxy
from experiments.commands.app import plain
from experiments.commands.evolve_proxy import run
from nas import judge
from nas.core.errors import ZeronasError
from nas.core.progress import Progress
from nas.core.workers import TIME_OUT
from nas.engine import statistics
from nas.engine.evaluate import Evaluator, Scorer
from nas.engine.trials import Evaluation
from nas.judge.reduction import half
from nas.judge.statistics import tie_broken
from nas.truth import benchmarks
from nas.truth.benchmarks import Diverged
from proxies.base import Score
from proxies.expression import parse

KILLED = Path(__file__).parent / "nas" / "killed.py"
FILES = ("table.csv", "formulas.csv", "summary.md", "generations.jsonl")
BASELINES = ("parameters", "input_gradient", "zerolm")

Composed = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def no_public_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:  # a fixture of the module runs before one of a test
        patch.delenv("NAS_DATA_DIR", raising=False)
        yield


def in_order() -> list[Any]:
    """Cells of mini_rnn with two hidden states, those that diverged among them."""
    table, space = benchmarks.get("mini_rnn"), spaces.get("rnn").reduce({"hidden_states": 2})
    return [m for m in [*table.entries, *table.diverged.values()] if space.contains(m.architecture)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Settings of a run of seconds: a small table, every other of those cells, with mini_rnn beside it."""
    path = tmp_path_factory.mktemp("table") / "cells.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["architecture", "loss", "reason"])
        for member in in_order()[::2]:
            lost = isinstance(member, Diverged)
            value, reason = ("", "diverged") if lost else (member.value, "")
            writer.writerow([json.dumps(member.architecture.to_json()), value, reason])
    return (
        *("benchmark=csv", f"benchmark.file={path}", "benchmark.value=loss", "benchmark.higher_is_better=false"),
        *("++reduction.hidden_states=2", "architectures=16", "generations=3", "population=12", "elites=2", "chain=0"),
        *("probe.rnn.hidden=[6]", "probe.rnn.embedding=4", "probe.rnn.batch=4", "probe.rnn.steps=4", "resamples=20"),
        *("probe.rnn.vocabulary=50", f"baselines=[{','.join(BASELINES)}]", "benchmark.metric=loss"),
    )


@pytest.fixture(scope="module")
def whole(
    no_public_tables: None, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], str]:
    """The folder of a run that nothing disturbed, its results, and what it printed."""
    folder, said = tmp_path_factory.mktemp("whole"), io.StringIO()
    with initialize_config_module(config_module="conf", version_base="1.3"):
        config = plain(compose(config_name="evolve_proxy", overrides=[*tiny, f"run.dir={folder}"]))
    with redirect_stdout(said):
        results = run(config)
    return folder, results, said.getvalue()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_end_to_end(whole: tuple[Path, dict[str, Any], str]) -> None:
    folder, results, said = whole
    best = results["formulas"][0]
    assert said.startswith(f"formula 1: {best['text']}\n") and results["formula"] == best["text"]
    assert parse(best["text"]).text == best["text"] and len(results["formulas"]) == 10
    table = rows(folder / "table.csv")
    parts = {name: [row for row in table if row["part"] == name] for name in ("design", "reported", "mini_rnn")}
    assert {name: len(members) for name, members in parts.items()} == results["architectures"]
    # designed on 16 of one half, reported on all of the other, and on what of a further table was not designed on
    own = [member.key for member in in_order()[::2]]
    design = {row["key"] for row in parts["design"]}
    assert len(design) == 16 and design < {key for key in own if half(key) == "fitting"}
    assert sorted(row["key"] for row in parts["reported"]) == sorted(key for key in own if half(key) == "testing")
    assert {row["key"] for row in parts["mini_rnn"]} == {member.key for member in in_order()} - design
    assert any(row["truth"] == "" for row in parts["reported"])  # diverged ones are judged, too
    # what is told is what the table holds
    for part, members in parts.items():
        truth = judge.statistics.tied_last([-float(r["truth"]) if r["truth"] else None for r in members])
        for label, told in [(best["text"], best), ("proxy input_gradient", results["baselines"]["input_gradient"])]:
            scores = judge.statistics.tied_last([float(r[label]) if r[label] else None for r in members])
            assert told["on"][part]["tau"] == pytest.approx(tie_broken(scores, truth))
    # the statistics that formulas were designed on are what the formula gives as a proxy
    assert best["fitness"] == pytest.approx(best["on"]["design"]["tau"] - 0.001 * best["size"], abs=0.02)
    assert list(results["baselines"]) == ["parameters", "input_gradient"]  # cells have no zerolm
    taus = {name: one["on"]["design"]["tau"] for name, one in results["baselines"].items()}
    assert results["best_baseline"] == max(taus, key=lambda name: taus[name])
    asked = rows(folder / "formulas.csv")
    assert results["asked"] == len(asked) == len({row["formula"] for row in asked})
    assert sum(results["rejected"].values()) == sum(bool(row["rejected"]) for row in asked)
    course = results["generations"]
    assert [g["generation"] for g in course] == [0, 1, 2, 3] and course[-1]["formula"] == best["text"]
    assert all(g["gap"] == pytest.approx(g["design"] - g["reported"]) for g in course)
    assert json.loads((folder / "results.json").read_text())["formula"] == best["text"]
    assert (folder / "generations.png").stat().st_size > 10_000
    assert len(list((folder / "statistics").glob("*.npy"))) == 16


def test_more_generations_and_another_number_of_workers_continue_a_run(
    whole: tuple[Path, Any, Any], tiny: tuple[str, ...], composed: Composed, tmp_path: Path, monkeypatch: Any
) -> None:
    run(composed("evolve_proxy", *tiny, f"run.dir={tmp_path}", "generations=1", "executor.workers=2"))
    original = statistics.measured
    monkeypatch.setattr(evolve_proxy, "measured", lambda evaluator, *rest: original(_Refusing(evaluator), *rest))
    run(composed("evolve_proxy", *tiny, f"run.dir={tmp_path}"))
    for name in FILES:
        assert (whole[0] / name).read_text() == (tmp_path / name).read_text()


class _Refusing:
    """An evaluator that must not be asked."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.labels, self.workers = evaluator.labels, evaluator.workers

    def answer(self, trials: Any) -> Any:
        raise AssertionError("measured again")


@pytest.mark.parametrize("lines", [2, 30])
def test_a_killed_run_goes_on(
    whole: tuple[Path, Any, Any], tiny: tuple[str, ...], composed: Composed, tmp_path: Path, lines: int
) -> None:
    """Killed between generations, and while the formulas are judged."""
    command = [sys.executable, str(KILLED), "line", str(lines), "evolve-proxy", f"run.dir={tmp_path}", *tiny]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "results.json").exists() and len(list((tmp_path / "statistics").glob("*.npy"))) == 16
    before = (tmp_path / "generations.jsonl").read_bytes()
    assert len(before.splitlines()) == min(lines, 4)
    run(composed("evolve_proxy", *tiny, f"run.dir={tmp_path}"))
    assert (tmp_path / "generations.jsonl").read_text().split('"generation":', 1)[1].startswith("0")
    for name in FILES:
        assert (whole[0] / name).read_text() == (tmp_path / name).read_text()


def test_statistics_are_kept_one_by_one_and_damaged_ones_made_again(tmp_path: Path) -> None:
    space = spaces.get("rnn")
    wanted = {text: proxies.get("expression", formula=text) for text in ("parameters", "sum(std(weights))")}
    cells = [member.architecture for member in in_order()[:4]]
    asked: list[str] = []

    class Counting(Evaluator):
        def answer(self, trials: Any) -> Any:
            for place, evaluation in super().answer(trials):
                asked.append(evaluation.key)
                yield place, evaluation

    def made(run: str = "r") -> np.ndarray:
        asked.clear()
        with Counting(Scorer(space, space.make_probe({"hidden": [4]}), wanted, 0)) as evaluator:
            return statistics.measured(evaluator, cells, tmp_path / "s", run, Progress(4))

    first = made()
    assert first.shape == (4, 2) and asked == [cell.key for cell in cells]
    paths = [tmp_path / "s" / f"r-{cell.key}.npy" for cell in cells]
    paths[0].write_bytes(b"not numbers")
    np.save(paths[1], np.zeros(3))
    paths[2].unlink()
    assert np.array_equal(made(), first) and asked == [cell.key for cell in cells[:3]]
    assert np.array_equal(made(), first) and asked == []
    assert np.array_equal(made("another"), first) and len(asked) == 4


def test_a_failure_for_want_of_time_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, cell = spaces.get("rnn"), in_order()[0].architecture
    with Evaluator(Scorer(space, space.make_probe(), {"p": proxies.get("parameters")}, 0)) as evaluator:
        failed = Evaluation(cell.key, {"p": Score(None, TIME_OUT)}, 0.0)
        monkeypatch.setattr(evaluator, "answer", lambda trials: iter([(0, failed)]))
        assert np.isnan(statistics.measured(evaluator, [cell], tmp_path / "s", "r", Progress(1))).all()
    assert list((tmp_path / "s").iterdir()) == []


def test_a_folder_of_another_run_is_refused_and_fresh_starts_over(
    tiny: tuple[str, ...], composed: Composed, tmp_path: Path
) -> None:
    short = [*tiny, f"run.dir={tmp_path}", "generations=0", "population=4", "elites=1", "tables=false", "baselines=[]"]
    assert run(composed("evolve_proxy", *short))["best_baseline"] is None
    with pytest.raises(ZeronasError, match=r"holds another run .parsimony was 0.001 there, is 0.5 now"):
        run(composed("evolve_proxy", *short, "parsimony=0.5"))
    run(composed("evolve_proxy", *short, "parsimony=0.5", "architectures=14", "fresh=true"))
    assert len(list((tmp_path / "statistics").glob("*.npy"))) == 14
    assert len((tmp_path / "generations.jsonl").read_bytes().splitlines()) == 1


def test_a_formula_is_a_proxy_in_a_search(tmp_path: Path) -> None:
    """As a user types it, without further quotes."""
    formula = "proxies.expression.formula=subtract(sum(logdet(hidden)), log(parameters))"
    command = [sys.executable, "-m", "experiments.cli", "search", "proxy=expression", formula, "budget=4"]
    command += ["benchmark=none", "searcher=random", "probe.rnn.hidden=[6]", f"run.dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["config"]["proxies"]["expression"]["formula"] == formula.partition("=")[2]
    assert results["evaluations"] == 4


def test_the_baselines_of_the_configuration_are_proxies(composed: Composed) -> None:
    assert set(composed("evolve_proxy")["baselines"]) <= set(proxies.PROXIES)
