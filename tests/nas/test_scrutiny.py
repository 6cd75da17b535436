"""What a ranking reports of ties, size, the ten best and what can be learned, against its own table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from experiments.commands import rank as rank_app
from nas import judge
from nas.core.errors import ZeronasError
from nas.judge.pairs import partial, within
from nas.judge.top import top
from nas.report.scrutiny import reference_line, section
from nas.truth import benchmarks


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_report_says_what_its_table_does(composed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # a floor makes hidden covariance fail on some; depth is coarse; 73 of the table diverged
    overrides = ("proxy=[hidden_covariance,depth]", "proxies.hidden_covariance.floor=0.03", "resamples=5")
    results = rank_app.run(
        composed("rank", "space=rnn", "benchmark=mini_rnn", "reference=none", *overrides, f"run.dir={tmp_path}")
    )
    rows, space, bench = table(tmp_path), spaces.get("rnn"), benchmarks.get("mini_rnn")
    members = {**bench.by_key, **bench.diverged}
    counts = [space.counts(members[row["key"]].architecture) for row in rows]
    parameters, flops = [c.parameters for c in counts], [c.flops for c in counts]
    truth = [-float(row["truth"]) if row["truth"] else None for row in rows]
    last = judge.tied_last(truth)
    assert len(rows) == 303 and set(results["proxies"]) == {"hidden_covariance", "depth", "parameters", "random"}
    for label, judged in results["proxies"].items():
        scores = judge.tied_last([float(row[label]) if row[label] else None for row in rows])
        assert judged["agreement_all"]["tie_broken"] == pytest.approx(judge.tie_broken(scores, last))
        assert judged["distinct"] == len({row[label] for row in rows if row[label]})
        expected = within(scores, last, parameters)
        assert (judged["like_size"]["pairs"], judged["like_size"]["tau"]) == (expected.pairs, expected.tau)
        given = partial(scores, last, [parameters, flops])
        assert judged["given_size"]["tau"] == pytest.approx(given.tau, nan_ok=True)
        assert judged["top"] == vars(top(scores, truth))
    assert results["proxies"]["hidden_covariance"]["failures"] and results["proxies"]["depth"]["distinct"] < 20
    assert math.isnan(results["proxies"]["parameters"]["given_size"]["tau"])
    assert results["lot"]["best_rank"] == pytest.approx(304 / 11, abs=0.1)  # 73 share the last places
    assert results["lot"]["diverged"] == pytest.approx(10 * 73 / 303)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["proxies"]["depth"]["top"] == results["proxies"]["depth"]["top"]
    assert written["proxies"]["parameters"]["given_size"]["tau"] is None

    printed = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(printed) if line.startswith("tau with ties broken"))
    assert printed[at + 1].split()[:4] == ["proxy", "distinct", "ties", "broken"]
    order = sorted(results["proxies"], key=lambda label: -results["proxies"][label]["agreement_all"]["tau"])
    assert [line.split()[0] for line in printed[at + 2 : at + 7]] == [*order, "(at"]
    tables = printed[: next(i for i, line in enumerate(printed) if line.startswith("retest"))]
    assert max(len(line) for line in tables[1:]) <= 120
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert f"{results['proxies']['depth']['like_size']['pairs']:,} pairs whose parameters differ by" in summary
    assert "- parameters, given size: not defined, the score ranks as the given sizes do." in summary
    assert "learned from labels: nothing, reference=none was chosen" in summary and "| diverged |" in summary


def test_a_ranking_learns_from_features_or_from_views_too(composed: Any, tmp_path: Path) -> None:
    base = ("rank", "space=bert", "benchmark=mini_bert", "proxy=zerolm", "resamples=0", "limit=24")
    plain = rank_app.run(composed(*base, f"run.dir={tmp_path}"))
    assert list(plain["reference"]["inputs"]) == ["features"]
    # what is scored already stays known, and only the views are added
    found = rank_app.run(composed(*base, "reference=views", f"run.dir={tmp_path}"))
    inputs = found["reference"]["inputs"]
    assert list(inputs) == ["features", "features and views"]
    assert inputs["features"] == plain["reference"]["inputs"]["features"]
    for learner, reached in inputs["features and views"].items():
        assert learner in ("extra trees", "ridge") and -1 <= reached["tau"] <= 1
        assert reached["tau"] == pytest.approx(np.mean(reached["values"]))
    # views are no proxies of the report
    assert set(found["proxies"]) == set(plain["proxies"]) == {"zerolm", "parameters", "random"}
    assert list(table(tmp_path)[0]) == ["key", "truth", "runs", "zerolm", "parameters", "random", "failure"]
    for label, judged in plain["proxies"].items():
        assert found["proxies"][label]["agreement_all"]["tau"] == judged["agreement_all"]["tau"]
    assert reference_line(found).count("ridge") == 2


def test_a_few_architectures_teach_nothing(composed: Any, tmp_path: Path) -> None:
    what = ("space=bert", "benchmark=mini_bert", "proxy=parameters", "limit=6", "resamples=0", f"run.dir={tmp_path}")
    results = rank_app.run(composed("rank", *what))
    assert results["reference"]["inputs"] == {}
    assert reference_line(results) == (
        "learned from labels: nothing, it needs 20 architectures or more, whose truths differ"
    )
    assert "about the 6 best by the proxy" in "\n".join(section(results, list(results["proxies"])))


def test_a_space_without_views_says_so(composed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces.bert.BertSpace.views", lambda self, probe: {})
    with pytest.raises(ZeronasError, match="space 'bert' names none; use reference=features"):
        rank_app.run(composed("rank", "space=bert", "benchmark=mini_bert", "reference=views", f"run.dir={tmp_path}"))
