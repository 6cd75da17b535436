"""The reproduction: its metrics exist, its tables say what their runs say, its report is what the numbers give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

import proxies
import spaces
from experiments.paper import report
from experiments.paper.hooks import leaked_hooks
from experiments.paper.labels import labelled_alpha
from experiments.paper.metrics import bert_metrics, peers, rnn_metrics
from experiments.paper.runs import RESULTS, ranked, read_table
from experiments.paper.steps import BERT_SUBSETS, RNN_SUBSETS, STEPS
from experiments.paper.tables import grid, published_taus, summarise
from nas.core.errors import ZeronasError
from nas.truth import benchmarks
from nas.truth.benchmarks.flexibert import FlexiBERT


@pytest.mark.parametrize("variant", ["released", "corrected"])
def test_every_metric_of_the_tables_can_be_made(variant: str) -> None:
    for space, metrics in (("rnn", rnn_metrics(variant)), ("bert", {**bert_metrics(variant), **peers()})):
        for body in metrics.values():
            options = dict(body)
            made = proxies.get(options.pop("name"), space, **options)
            assert made.needs <= spaces.get(space).probe.gives


def test_published_columns_have_the_taus_that_are_known_of_them(data_dir: Path) -> None:
    """The paper's released notebook gives these to four digits, with signs as its plots turn them."""
    taus = published_taus(benchmarks.get("nas_bench_nlp", data_dir), RNN_SUBSETS)
    known = {
        "Layer 1 Hidden Covariance": 0.3715,
        "Layer 2 Hidden Covariance": 0.3141,
        "Layer 3 Hidden Covariance": 0.2473,
        "Activation Distance": 0.2230,
        "Jacobian Cosine": 0.2641,
    }
    for column, tau in known.items():
        assert taus[column]["tau"] == pytest.approx(tau, abs=1e-4)
    # it is one number for one parameter count: the embedding's offset in the random stream
    assert taus["Jacobian Covariance"]["distinct"] == 93
    bert = published_taus(benchmarks.get("flexibert", data_dir), BERT_SUBSETS)
    assert bert["Number of Parameters"]["tau"] == pytest.approx(0.454, abs=1e-3)
    assert bert["Head Confidence"]["tau"] == pytest.approx(0.478, abs=1e-3)


def test_tables_are_those_of_their_runs(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    benchmark = benchmarks.get("nas_bench_nlp", data_dir)
    chosen = {"h": {"name": "hidden_covariance"}, "width": {}}
    folder = ranked("small", chosen, "space=rnn", "limit=40", "resamples=5", baselines=False)
    summary = summarise(folder, benchmark, {"loss below 5": lambda entry: entry.value < 5})
    rows = [row for row in read_table(folder) if float(row["truth"]) < 5]
    inside = summary["proxies"]["h"]["subsets"]["loss below 5"]
    assert inside["count"] == len(rows) < 40
    expected = kendalltau([float(r["h"]) for r in rows], [-float(r["truth"]) for r in rows]).statistic
    assert inside["tau"] == pytest.approx(expected)
    grid(tmp_path / "grid.png", folder, benchmark, ["h", "width"], "two metrics")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_the_committed_report_is_what_the_committed_numbers_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = (RESULTS / "report.md").read_text(encoding="utf-8")
    for name in STEPS:
        path = RESULTS / f"{name}.json"
        assert path.exists(), f"the step {name} has no committed result"
        assert "was not run" not in committed
        (tmp_path / path.name).write_bytes(path.read_bytes())
        json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.write_report().read_text(encoding="utf-8") == committed


def test_labelled_alpha() -> None:
    rng = np.random.default_rng(0)
    a, f = rng.normal(size=100), rng.normal(size=100)
    assert labelled_alpha(a, f, 0.7 * a + 0.3 * f) == pytest.approx(0.7, abs=0.06)
    assert labelled_alpha(a, f, 2 * a - f) == 1.0
    assert labelled_alpha(a, f, 1.4 * a - 0.4 * f, clip=False) == pytest.approx(1.4, abs=0.1)
    with pytest.raises(ZeronasError, match="needs three or more architectures"):
        labelled_alpha([1.0], [1.0], [1.0])


def test_leaked_hooks_by_hand() -> None:
    assert leaked_hooks([4, 2, 4], fresh=(2,), before=26) == [30, 32, 4]


def test_leaked_hooks_explain_every_published_row(data_dir: Path) -> None:
    bench = FlexiBERT(data_dir)
    hooks = leaked_hooks([len(row.config.layers) for row in bench.rows])
    for row, factor in zip(bench.rows, hooks, strict=True):
        published = bench.metrics[row.id]
        activations = sum(layer.num_feed_forward for layer in row.config.layers)
        ratio = published["Activation Distance"] / published["Activation Distance Normalized"]
        assert ratio == pytest.approx(activations * factor, rel=1e-5)  # float32 sums
