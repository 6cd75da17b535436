"""``zeronas evolve-proxy``: from the command line to the report, on tables of the package; killed and resumed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proxies
from experiments.commands.evolve_proxy import run
from nas import judge
from nas.core.errors import ZeronasError
from nas.engine import statistics
from nas.engine.evaluate import Evaluator
from nas.judge.formulas import tie_broken
from nas.judge.reduction import half
from nas.truth import benchmarks
from proxies.expression import parse

KILLED = Path(__file__).parent / "nas" / "killed.py"
TINY = (
    *(
        "benchmark=mini_rnn",
        "architectures=16",
        "generations=3",
        "population=12",
        "elites=2",
        "chain=0",
        "resamples=20",
    ),
    *("probe.rnn.hidden=[6]", "probe.rnn.embedding=4", "probe.rnn.batch=4", "probe.rnn.steps=4", "tables=false"),
    *("probe.rnn.vocabulary=50", "baselines=[parameters,input_gradient,zerolm]"),
)
FILES = ("table.csv", "formulas.csv", "summary.md", "generations.jsonl")

Composed = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def no_public_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_end_to_end(composed: Composed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}"))
    said = capsys.readouterr().out
    best = results["formulas"][0]
    assert said.startswith(f"formula: {best['text']}\n") and results["formula"] == best["text"]
    assert parse(best["text"]).text == best["text"] and len(results["formulas"]) == 10
    # designed on 16 of one half, reported on all of the other
    table = rows(tmp_path / "table.csv")
    parts = {part: [row for row in table if row["part"] == part] for part in ("design", "reported")}
    assert len(table) == len(parts["design"]) + len(parts["reported"])
    assert len(parts["design"]) == 16 == results["architectures"]["design"]
    assert all(half(row["key"]) == "fitting" for row in parts["design"])
    mini = benchmarks.get("mini_rnn")
    held_out = [key for key in [*mini.by_key, *mini.diverged] if half(key) == "testing"]
    assert sorted(row["key"] for row in parts["reported"]) == sorted(held_out)
    # what is told is what the table holds
    for part, members in parts.items():
        truth = judge.statistics.tied_last([-float(r["truth"]) if r["truth"] else None for r in members])
        scores = judge.statistics.tied_last([float(r[best["text"]]) if r[best["text"]] else None for r in members])
        assert best["on"][part]["tau"] == pytest.approx(tie_broken(scores, truth))
    # the statistics that formulas were designed on are what the formula as a proxy gives
    assert best["fitness"] == pytest.approx(best["on"]["design"]["tau"] - 0.001 * best["size"], abs=0.02)
    assert list(results["baselines"]) == ["parameters", "input_gradient"]  # cells have no zerolm
    asked = rows(tmp_path / "formulas.csv")
    assert results["asked"] == len(asked) == len({row["formula"] for row in asked})
    assert sum(results["rejected"].values()) == sum(bool(row["rejected"]) for row in asked)
    course = results["generations"]
    assert [g["generation"] for g in course] == [0, 1, 2, 3] and course[-1]["formula"] == best["text"]
    assert all(g["gap"] == pytest.approx(g["design"] - g["reported"]) for g in course)
    assert json.loads((tmp_path / "results.json").read_text())["formula"] == best["text"]
    assert (tmp_path / "generations.png").stat().st_size > 10_000
    assert len(list((tmp_path / "statistics").glob("*.npy"))) == 16


def test_further_tables_are_judged_without_what_was_designed_on(composed: Composed, tmp_path: Path) -> None:
    """Cells of mini_rnn as if another table of theirs were at hand, and BERT configurations in their stated reading."""
    overrides = ["space=bert", "benchmark=mini_bert", "architectures=12", "generations=1", "population=6", "elites=1"]
    overrides += ["probe.bert.batch=2", "probe.bert.steps=4", "chain=0", "resamples=0", "baselines=[]"]
    results = run(composed("evolve_proxy", *overrides, f"run.dir={tmp_path}"))
    assert set(results["architectures"]) == {"design", "reported"}  # no public table is at hand
    assert results["best_baseline"] is None


def test_more_generations_and_another_number_of_workers_continue_a_run(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    run(composed("evolve_proxy", *TINY, f"run.dir={whole}"))
    run(composed("evolve_proxy", *TINY, f"run.dir={longer}", "generations=1", "executor.workers=2"))

    def refused(*arguments: Any) -> Any:
        trials = arguments[1]
        assert not trials, "measured again"
        return iter(())

    with monkeypatch.context() as patched:
        original = statistics.measured
        patched.setattr(
            "experiments.commands.evolve_proxy.measured",
            lambda evaluator, *rest: original(_Refusing(evaluator, refused), *rest),
        )
        run(composed("evolve_proxy", *TINY, f"run.dir={longer}"))
    for name in FILES:
        assert content(whole / name) == content(longer / name)


class _Refusing:
    def __init__(self, evaluator: Evaluator, answer: Any) -> None:
        self.labels = evaluator.labels
        self.answer = lambda trials: answer(self, trials)


def content(path: Path) -> str:
    """What a file of a run says, but for what stands for its folder."""
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("lines", [2, 30])
def test_a_killed_run_goes_on(composed: Composed, tmp_path: Path, lines: int) -> None:
    """Killed between generations, and while the formulas are judged."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(composed("evolve_proxy", *TINY, f"run.dir={whole}"))
    command = [sys.executable, str(KILLED), "line", str(lines), "evolve-proxy", f"run.dir={killed}", *TINY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (killed / "results.json").exists() and len(list((killed / "statistics").glob("*.npy"))) == 16
    before = (killed / "generations.jsonl").read_bytes()
    run(composed("evolve_proxy", *TINY, f"run.dir={killed}"))
    assert (killed / "generations.jsonl").read_bytes().startswith(before)
    for name in FILES:
        assert content(whole / name) == content(killed / name)


def test_statistics_are_kept_one_by_one_and_damaged_ones_made_again(composed: Composed, tmp_path: Path) -> None:
    run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}"))
    kept = sorted((tmp_path / "statistics").glob("*.npy"))
    before = {path.name: np.load(path) for path in kept}
    kept[0].write_bytes(b"not numbers")
    np.save(kept[1], np.zeros(3))
    kept[2].unlink()
    run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}"))
    for path in kept:
        assert np.array_equal(np.load(path), before[path.name], equal_nan=True)
    run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}", "fresh=true", "architectures=14"))
    assert len(list((tmp_path / "statistics").glob("*.npy"))) == 14


def test_a_folder_of_another_run_is_refused(composed: Composed, tmp_path: Path) -> None:
    run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}"))
    with pytest.raises(ZeronasError, match=r"holds another run .parsimony was 0.001 there, is 0.5 now"):
        run(composed("evolve_proxy", *TINY, f"run.dir={tmp_path}", "parsimony=0.5"))


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
