"""The project's own tables: what they must hold, strict reading, and truth by training."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

import spaces
from experiments.commands import rank as rank_app
from experiments.commands import score as score_app
from experiments.commands import search as search_app
from experiments.commands import train as train_app
from experiments.commands.arch import read_architecture
from experiments.mini import report as mini_report
from experiments.mini import searches, tables
from experiments.paper.runs import read_table
from nas.core.errors import ZeronasError
from nas.core.folders import run_lock
from nas.engine.trials import TRUTH, Trial
from nas.judge import noise
from nas.judge.noise import Noise
from nas.search import Searcher
from nas.settings import SearchSettings, make
from nas.truth import benchmarks, measures
from nas.truth.benchmarks import base, mini
from nas.truth.benchmarks.mini import MiniRNN
from nas.truth.train import corpus as corpora
from nas.truth.train.table import read_lines, train_all
from nas.truth.train.trainer import load_model
from proxies.base import Score
from spaces.rnn import named_cell
from spaces.rnn.protocol import PROTOCOLS, RNNProtocol

TINY = RNNProtocol(
    name="mini_rnn",
    steps=20,
    batch=4,
    sequence=8,
    learning_rate=1e-2,
    embedding=8,
    hidden=(8,),
    evaluations=2,
    vocabulary=40,
    cutoffs=(10,),
)


# ------------------------------------------------------------------------------------- what is committed


@pytest.mark.parametrize("name", ["mini_rnn", "mini_bert"])
def test_the_table_is_of_the_protocol_and_of_the_architectures_that_make_it(name: str) -> None:
    benchmark = benchmarks.get(name)
    assert isinstance(benchmark, mini.MiniTable)
    assert benchmark.protocol.hash == benchmark.sheet["protocol_hash"]
    known = {
        (row["key"], benchmark.protocol.hash, int(row["seed"])): {"value": float(row["loss"]) if row["loss"] else None}
        for row in benchmark.trainings
    }
    wanted = [(job.architecture.key, job.seed) for job in tables.jobs(name, known)]
    assert len(set(wanted)) == len(wanted) and tables.wanted(name) == benchmark.sheet["wanted"]
    have = [(row["key"], int(row["seed"])) for row in benchmark.trainings]
    assert len(have) == benchmark.sheet["finished"] and set(have) <= set(wanted)
    assert have == [one for one in wanted if one in set(have)]  # in the order of the jobs
    for row in benchmark.trainings:
        if row["loss"]:
            curve = [(int(a), float(b)) for a, b in (point.split(":") for point in row["curve"].split())]
            assert [step for step, _ in curve][-1] == benchmark.protocol.steps
            assert curve[-1][1] == pytest.approx(float(row["loss"]), abs=1e-4)
            assert 1 < float(row["loss"]) < 8 and not row["reason"]
        else:
            assert row["reason"].startswith("diverged: ")


@pytest.mark.parametrize("name", ["mini_rnn", "mini_bert"])
def test_entries_are_means_of_their_runs_and_the_datasheet_counts_them(name: str) -> None:
    benchmark = benchmarks.get(name)
    assert isinstance(benchmark, mini.MiniTable)
    by_key: dict[str, list[float]] = {}
    for row in benchmark.trainings:
        if row["loss"]:
            by_key.setdefault(row["key"], []).append(float(row["loss"]))
    assert {entry.key: entry.value for entry in benchmark.entries} == {
        key: pytest.approx(np.mean(values)) for key, values in by_key.items()
    }
    sheet = benchmark.datasheet
    assert sheet.rows == len(benchmark.trainings) == sheet.kept + sum(sheet.skipped.values())
    assert sheet.unique == len(by_key) == benchmark.sheet["architectures"]
    for entry in benchmark.entries:
        assert entry.architecture.key == entry.key
    best = min(np.mean(values) for values in by_key.values())
    assert benchmark.best.value == pytest.approx(best)
    assert benchmark.standing(benchmark.best.value).rank == 1


def test_the_rankings_are_of_the_whole_tables_and_of_their_noise() -> None:
    data = json.loads((mini_report.RESULTS / "tables.json").read_text(encoding="utf-8"))
    for name in ("mini_rnn", "mini_bert"):
        table = benchmarks.get(name)
        assert (data[name]["architectures"], data[name]["diverged"]) == (len(table.entries), len(table.diverged))
        assert data[name]["noise"]["retest"] == vars(Noise(table).retest)
        assert isinstance(table, mini.MiniTable) and table.sheet["retest"] == vars(Noise(table).retest)


def test_the_cells_are_those_of_the_generator_in_all_three_sizes() -> None:
    cells = tables.rnn_cells()
    assert len({cell.key for cell in cells}) == len(cells) == 303
    assert [cell.key for cell in cells[:3]] == [named_cell(name).key for name in ("RNN", "LSTM", "GRU")]
    assert all(sum(cell.states == states for cell in cells) >= 100 for states in (1, 2, 3))
    configurations = tables.bert_configurations()
    assert len({c.key for c in configurations}) == len(configurations) == 150


def test_enough_cells_are_shared_with_nas_bench_nlp(data_dir: Path) -> None:
    known = benchmarks.get("nas_bench_nlp", data_dir).by_key
    assert sum(cell.key in known for cell in tables.rnn_cells()) >= 120


def test_the_default_corpus_is_the_tables_under_their_versions() -> None:
    for name in ("mini_rnn", "mini_bert"):
        benchmark = benchmarks.get(name)
        assert isinstance(benchmark, mini.MiniTable)
        found = corpora.docstrings(benchmark.protocol.vocabulary)
        recorded = benchmark.sheet["corpus"]
        same = found.made_of == recorded["made_of"]
        assert (found.fingerprint == recorded["fingerprint"]) == same
        assert bool(measures.corpus_note(benchmark)) != same


# --------------------------------------------------------------------------------------- a table of one's own


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of the three known cells under a tiny protocol, on a text that stands for the docstrings."""
    text = tmp_path / "text.txt"
    starts = np.random.default_rng(0).integers(0, 20, 120)
    text.write_text("\n".join(" ".join(f"w{(s + i) % 20}" for i in range(12)) for s in starts), encoding="utf-8")
    small = dataclasses.replace(corpora.from_files(text, 40), made_of={"torch": "1"})
    monkeypatch.setattr(corpora, "docstrings", lambda vocabulary=40: small)
    monkeypatch.setattr(tables, "docstrings", lambda vocabulary=40: small)
    monkeypatch.setitem(PROTOCOLS, "mini_rnn", TINY)
    folder = tmp_path / "tables"
    monkeypatch.setattr(mini, "TABLES", folder)
    monkeypatch.setattr(tables, "TABLES", folder)
    monkeypatch.setattr(tables, "JOURNALS", tmp_path / "journals")
    monkeypatch.setitem(tables._ARCHITECTURES, "mini_rnn", lambda: [named_cell(n) for n in ("RNN", "LSTM", "GRU")])
    monkeypatch.setattr(tables, "REPEATED", 3)
    monkeypatch.setattr(noise, "_REPEATED", 3)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setattr(base, "cache_folder", lambda: tmp_path / "cache")  # holds no public table, and none is fetched
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_table_is_trained_written_read_and_recalled(own: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journals" / "mini_rnn.jsonl"
    assert [job.seed for job in tables.jobs("mini_rnn")] == [0, 0, 0]
    train_all(tables.jobs("mini_rnn"), None, journal)
    wanted = tables.jobs("mini_rnn", read_lines(journal))  # what is repeated is known once all have been trained
    assert [job.seed for job in wanted] == [0, 0, 0, 1, 1, 1, 2, 2, 2] and tables.wanted("mini_rnn") == 9
    train_all(wanted[:5], None, journal)
    sheet = tables.write("mini_rnn")
    assert (sheet["finished"], sheet["wanted"], sheet["architectures"]) == (5, 9, 3)
    assert "Not complete: 5 of 9" in " ".join(sheet["notes"]) and sheet["agreement"] is None
    train_all(wanted, None, journal)
    assert tables.write("mini_rnn")["retest"]["architectures"] == 3
    benchmark = MiniRNN()
    assert len(benchmark.entries) == 3 and all(len(entry.runs) == 3 for entry in benchmark.entries)
    spreads = [np.std([run.value for run in entry.runs], ddof=1) for entry in benchmark.entries]
    measured = Noise(benchmark)
    assert measured.deviation == pytest.approx(np.median(spreads) / np.sqrt(np.log(2)))  # chi2 of 2: median 2 ln 2
    runs = [[entry.runs[seed].value for entry in benchmark.entries] for seed in range(3)]
    taus = [kendalltau(runs[a], runs[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert measured.retest.tau == pytest.approx(np.mean(taus)) and measured.retest.architectures == 3
    ends, reach = measured.standings(benchmark.best.value, 3), measured.reach(benchmark.best.value)
    assert ends is not None and reach is not None
    assert ends[1].regret == pytest.approx(reach * np.sqrt(1 / 3 + 1 / 3)) and ends[0].rank == 1
    assert "test-bed" in benchmark.caveat and benchmark.diverged == {}
    again = tables.retrain("mini_rnn")  # in the process that trained them: equal to the bit
    assert [one.before for one in again] == [one.now for one in again] and len(again) == 2
    assert [one.noise for one in again] == [pytest.approx(Noise(benchmark).reach(one.before) / 1.96) for one in again]
    # a lost journal is made again from the table, and nothing is trained twice
    journal.write_text('{"key": "cut off', encoding="utf-8")
    tables.recall("mini_rnn")
    trained: list[Any] = []
    train_all(wanted, None, journal, report=lambda *a: trained.append(a))
    assert trained == []
    before = (own / "mini_rnn.csv").read_bytes()
    tables.write("mini_rnn")
    assert (own / "mini_rnn.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("now", "noise", "holds", "words"),
    [
        (4.2, 0.02, True, "equal to the bit"),
        (4.2 + 3.1e-3, 0.018, True, "difference 3.1e-03 nats, 0.12 standard deviations"),
        (4.2 - 2.99 * 2**0.5 * 0.02, 0.02, True, "3 standard deviations of the difference of two trainings"),
        (4.2 + 3.01 * 2**0.5 * 0.02, 0.02, False, "(noise of one at this loss: 2.0e-02 nats)"),
        (float("nan"), 0.02, False, "again nan"),
        (4.2 + 1e-9, None, False, "the table does not know its noise"),
        (4.2, None, True, "equal to the bit"),
    ],
)
def test_a_training_repeated_is_judged_by_the_noise(now: float, noise: float | None, holds: bool, words: str) -> None:
    again = tables.Again("rnn-0", 4.2, now, noise)
    assert again.holds is holds and words in str(again)


def test_only_what_noise_does_not_explain_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables.sys, "argv", ["tables", "retrain", "mini_rnn"])
    near, far = tables.Again("rnn-a", 4.2, 4.203, 0.018), tables.Again("rnn-b", 4.2, 4.5, 0.018)
    monkeypatch.setattr(tables, "retrain", lambda table: [near])
    tables.main()
    assert capsys.readouterr().out == f"mini_rnn {near}\n"
    monkeypatch.setattr(tables, "retrain", lambda table: [near, far])
    with pytest.raises(ZeronasError, match=r"^rnn-b: trained again the loss differs by more than noise explains \(3 "):
        tables.main()
    assert capsys.readouterr().out == f"mini_rnn {near}\nmini_rnn {far}\n"


def test_the_datasheets_say_where_a_loss_is_the_same() -> None:
    for name in ("mini_rnn", "mini_bert"):
        assert tables._PROMISE in benchmarks.get(name).datasheet.notes


def whole(tmp_path: Path) -> None:
    """Trains and writes the complete table."""
    journal = tmp_path / "journals" / "mini_rnn.jsonl"
    train_all(tables.jobs("mini_rnn"), None, journal)
    train_all(tables.jobs("mini_rnn", read_lines(journal)), None, journal)
    tables.write("mini_rnn")


def test_a_search_ends_with_its_candidates_trained(own: Path, tmp_path: Path, composed: Any) -> None:
    whole(tmp_path)
    overrides = ("budget=20", "verify=2", "truth=train", "run.dir=found", "seed=3")
    results = search_app.run(composed("search", *overrides))
    assert results["benchmark"]["name"] == "mini_rnn"
    assert results["queries_used"] == 2 and results["found"]["trained_here"]
    losses = {q["key"]: q["truth"] for q in results["queries"]}
    assert results["found"]["truth"] == min(losses.values()) == losses[results["found"]["key"]]
    values = [entry.value for entry in MiniRNN().entries]
    assert results["found"]["standing"]["rank"] == 1 + sum(v < results["found"]["truth"] for v in values)
    assert results["found"]["standing"]["of"] == 4  # those of the table, and itself
    assert len(results["regret"]["random"]) == 2
    summary = (tmp_path / "found" / "summary.md").read_text(encoding="utf-8")
    assert "trained here" in summary and "noise: one training has a standard deviation" in summary
    assert "selection: this is the best of 2 noisy values" in summary and "winner's curse" in summary
    seconds = results["seconds"]
    assert 0 < seconds["truth"] < seconds["wall"] and f"{seconds['truth']:.1f} of it for the truth" in summary
    # the two were trained because they scored best: they say nothing of the proxy's agreement with the truth
    visited = {row["key"] for row in read_table(tmp_path / "found")}
    held = visited & {entry.key for entry in MiniRNN().entries}
    assert (
        results["agreement"] == {} if len(held) < 3 else results["agreement"]["hidden_covariance"]["count"] == len(held)
    )
    assert results["note"] == "" and "table: mini_rnn is a test-bed" in summary
    journal = tmp_path / "runs" / "trained" / f"mini_rnn-{TINY.hash}-{corpora.docstrings(40).fingerprint[:12]}.jsonl"
    first = journal.read_bytes()
    again = search_app.run(composed("search", *overrides))
    assert journal.read_bytes() == first  # nothing is trained twice
    assert again["found"] == results["found"]


def test_another_text_is_told_with_the_answer(own: Path, tmp_path: Path, composed: Any) -> None:
    train_all(tables.jobs("mini_rnn"), None, tmp_path / "journals" / "mini_rnn.jsonl")
    tables.write("mini_rnn")
    path = own / "mini_rnn.json"
    sheet = json.loads(path.read_text(encoding="utf-8"))
    sheet["corpus"] = {"fingerprint": "0" * 64, "made_of": {"torch": "0"}}
    path.write_text(json.dumps(sheet), encoding="utf-8")
    results = search_app.run(composed("search", "budget=5", "verify=1", "truth=train", "run.dir=found"))
    assert "torch 1 instead of 0" in results["note"]
    assert "only rough" in (tmp_path / "found" / "summary.md").read_text(encoding="utf-8")


def test_a_diverged_candidate_is_told_with_its_reason(
    own: Path, tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_all(tables.jobs("mini_rnn"), None, tmp_path / "journals" / "mini_rnn.jsonl")
    tables.write("mini_rnn")
    from nas.truth.train import trainer

    monkeypatch.setattr(trainer.torch.nn.utils, "clip_grad_norm_", lambda *a, **k: float("nan"))
    results = search_app.run(composed("search", "budget=5", "verify=1", "truth=train", "run.dir=found"))
    assert results["queries"][0]["reason"].startswith("diverged: ")
    assert results["queries_used"] == 1 and results["found"]["truth"] is None
    summary = (tmp_path / "found" / "summary.md").read_text(encoding="utf-8")
    assert "the training of 1 of the 1 verified diverged" in summary
    assert results["regret"]["best_so_far"] == [None]
    assert "queries used: 1 (" in summary and "random search" in summary


def test_a_ranking_of_the_table_needs_no_data(own: Path, tmp_path: Path, composed: Any) -> None:
    train_all(tables.jobs("mini_rnn"), None, tmp_path / "journals" / "mini_rnn.jsonl")
    tables.write("mini_rnn")
    results = rank_app.run(composed("rank", "run.dir=ranked", "resamples=5"))
    assert results["benchmark"] == "mini_rnn" and (results["architectures"], results["diverged"]) == (3, 0)


def test_a_ranking_charges_for_failures_and_for_what_diverged(
    tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    what = ("benchmark=mini_rnn", "resamples=3", f"run.dir={tmp_path}", "proxies.hidden_covariance.floor=0.03")
    results = rank_app.run(composed("rank", *what))
    benchmark = MiniRNN()
    rows = read_table(tmp_path)
    assert len(rows) == len(benchmark.entries) + len(benchmark.diverged) == 303
    truth = [-float(row["truth"]) if row["truth"] else -np.inf for row in rows]
    for label, judged in results["proxies"].items():
        scores = [float(row[label]) if row[label] else -np.inf for row in rows]
        assert judged["agreement_all"]["count"] == 303  # the same for every proxy
        assert judged["agreement_all"]["tau"] == pytest.approx(kendalltau(scores, truth).statistic)
        kept = [(s, t) for s, t in zip(scores, truth, strict=True) if np.isfinite(s) and np.isfinite(t)]
        assert judged["agreement"]["count"] == len(kept)
        assert judged["agreement"]["tau"] == pytest.approx(kendalltau(*zip(*kept, strict=True)).statistic)
    failed = [row for row in rows if not row["hidden_covariance"]]
    assert failed and sum(results["proxies"]["hidden_covariance"]["failures"].values()) == len(failed)
    counts = {judged["common"]["count"] for judged in results["proxies"].values()}
    assert counts == {results["proxies"]["hidden_covariance"]["agreement"]["count"]}
    out, summary = capsys.readouterr().out, (tmp_path / "summary.md").read_text(encoding="utf-8")
    for text in (out, summary):
        assert "73 whose training diverged, tied last in the truth" in text
        assert "5 of the 30 diverged with another seed" in text and "(25 of 30 repeated ones" in text
    assert "s of wall time, summed over the evaluations" in summary and "processor time" not in summary
    header = next(line for line in summary.splitlines() if line.startswith("| proxy"))
    for part in summary.split("\n\n"):  # no reason breaks a row of a table
        bars = {line.count("|") for line in part.splitlines() if line.startswith("|")}
        assert len(bars) <= 1 and (header not in part or bars == {header.count("|")})


def test_a_few_of_a_table_are_drawn_over_the_diverged_too(tmp_path: Path, composed: Any) -> None:
    what = ("space=rnn", "benchmark=mini_rnn", "proxy=parameters", "resamples=0", f"run.dir={tmp_path}", "limit=31")
    rank_app.run(composed("rank", *what))
    rows = read_table(tmp_path)
    assert len(rows) == 31
    # evenly over all 303, the 73 without a loss behind the others: every tenth
    assert sum(row["truth"] == "" for row in rows) in (7, 8)


def test_a_search_that_draws_is_judged_by_what_it_could_have_drawn(
    tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("benchmark=mini_rnn", "budget=60", "verify=60", "proxy=parameters", "reduction=stable")
    table, stable = MiniRNN(), spaces.get("rnn").reduce({"state_growth": ["bounded", "linear"]})
    inside = [e for e in table.entries if stable.contains(e.architecture)]
    known = [e.architecture for e in inside if e.key != table.best.key][:60]
    monkeypatch.setattr("nas.engine.pools.SpacePool.sample", lambda self, rng: known[len(self.visited)])
    found = {}
    for searcher in ("random", "evolution"):
        results = search_app.run(
            composed("search", *settings, f"searcher={searcher}", f"run.dir={tmp_path / searcher}")
        )
        found[searcher] = results
    behind = {name: results["found"]["reachable"] for name, results in found.items()}
    drawn = min(e.value for e in inside if stable.draws(e.architecture))
    assert behind["random"]["value"] == drawn > table.best.value == behind["evolution"]["value"]
    best = found["random"]["found"]
    assert behind["random"]["regret"] == pytest.approx(max(0.0, best["truth"] - drawn))
    assert best["standing"]["regret"] == pytest.approx(best["truth"] - table.best.value)
    assert found["random"]["regret"]["pool"] == len(inside)  # the baselines obey the reduction
    text = (tmp_path / "random" / "summary.md").read_text(encoding="utf-8")
    assert "reachable: the best architecture of mini_rnn that could be drawn by this search has" in text
    assert "reachable:" not in (tmp_path / "evolution" / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_the_known_cells_are_over_the_floor(name: str, composed: Any) -> None:
    floor = searches.CHOSEN[1]
    cell, deviations = named_cell(name), []
    for seed in range(20):
        what = ("reduction=stable", f"proxies.hidden_covariance.floor={floor}", f"seed={seed}", "benchmark=none")
        settings = make(composed("search", *what), SearchSettings)
        assert settings.space.contains(cell)
        assert settings.scorer()(cell).scores["hidden_covariance"].value is not None
        deviations.append(searches.state_deviation(settings.space, settings.probe, cell, seed))
    assert min(deviations) > 2 * floor  # with room for what another seed or machine makes of it


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("truth=train",), "verify is 0"),
        (("truth=train", "verify=1", "benchmark=nas_bench_nlp"), "a table of the project's own"),
        (("truth=trained", "verify=1"), "Unknown truth 'trained'"),
    ],
)
def test_truth_that_cannot_be_trained_is_refused(composed: Any, overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ZeronasError, match=words):
        search_app.run(composed("search", "budget=5", *overrides))


def test_a_damaged_table_is_told(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeronasError, match=r"mini_rnn.json' is missing or damaged"):
        _ = MiniRNN().sheet
    train_all(tables.jobs("mini_rnn")[:3], None, tmp_path / "journals" / "mini_rnn.jsonl")
    tables.write("mini_rnn")
    path = own / "mini_rnn.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    rows[1][0] = "rnn-" + "0" * 20
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ZeronasError, match="gives rnn-"):
        _ = MiniRNN().entries
    path.write_text("key,loss\n", encoding="utf-8")
    with pytest.raises(ZeronasError, match="must have the columns"):
        _ = MiniRNN().entries
    path.unlink()
    with pytest.raises(ZeronasError, match="is missing"):
        _ = MiniRNN().entries


def test_a_value_trained_elsewhere_is_ranked_among_the_entries_and_itself(own: Path, tmp_path: Path) -> None:
    whole(tmp_path)
    benchmark = MiniRNN()
    low, middle, high = sorted(entry.value for entry in benchmark.entries)
    inside = benchmark.standing(middle)
    assert (inside.rank, inside.of, inside.percentile) == (2, 3, 50.0)
    second = benchmark.standing((low + middle) / 2, member=False)
    assert (second.rank, second.of, second.percentile) == (2, 4, pytest.approx(200 / 3))
    last = benchmark.standing(high + 1, member=False)
    assert (last.rank, last.of, last.percentile, last.rank_runs, last.of_runs) == (4, 4, 0.0, 10, 10)
    first = benchmark.standing(low - 1, member=False)
    assert (first.rank, first.percentile, first.regret) == (1, 100.0, 0.0)


def test_the_noise_of_repeated_trainings_is_their_deviation() -> None:
    """Simulated trainings of a known deviation, two and three of each architecture."""
    rng = np.random.default_rng(0)
    entries = []
    for index in range(4000):
        values = rng.normal(5.0, 0.02, 2 + index % 2)
        runs = tuple(base.Run(str(i), float(v)) for i, v in enumerate(values))
        entries.append(base.Entry(f"rnn-{index}", None, float(values.mean()), runs))
    assert Noise(table_of(entries)).deviation == pytest.approx(0.02, rel=0.05)


def table_of(entries: list[base.Entry]) -> MiniRNN:
    benchmark = MiniRNN()
    benchmark.__dict__["_loaded"] = entries, None
    return benchmark


def simulated(count: int, trainings: int, spread: Any) -> tuple[MiniRNN, np.ndarray]:
    """A table of simulated trainings with heavy tails, whose noise depends on the value; and the true means."""
    rng = np.random.default_rng(1)
    means = rng.uniform(4.0, 5.0, count)
    entries = []
    for index, mean in enumerate(means):
        values = mean + spread(mean) * rng.standard_t(4, trainings)
        runs = tuple(base.Run(str(i), float(v)) for i, v in enumerate(values))
        entries.append(base.Entry(f"rnn-{index}", None, float(values.mean()), runs))
    return table_of(entries), means


def test_the_reach_of_the_noise_is_that_of_trainings_of_like_value() -> None:
    benchmark, _ = simulated(3000, 3, lambda mean: 0.01 if mean < 4.5 else 0.05)
    measured = Noise(benchmark)
    quantile = 2.776  # of t with 4 degrees of freedom, both sides 95%
    assert measured.reach(4.2) == pytest.approx(0.01 * quantile, rel=0.15)
    assert measured.reach(4.8) == pytest.approx(0.05 * quantile, rel=0.15)
    few, _ = simulated(30, 3, lambda mean: 0.01 if mean < 4.5 else 0.05)
    covered = [
        abs(run.value - np.mean([other.value for other in entry.runs if other is not run])) <= reach * np.sqrt(3 / 2)
        for entry in few.entries
        for run in entry.runs
        if (reach := Noise(few).reach(entry.value, without=entry.key)) is not None
    ]
    assert len(covered) == 90 and 0.9 <= np.mean(covered) <= 1.0


def test_the_ends_of_an_interval_are_places_of_the_table() -> None:
    benchmark, _ = simulated(40, 2, lambda mean: 0.05)
    ordered = sorted(benchmark.entries, key=lambda entry: entry.value)
    measured = Noise(benchmark)
    best, worst = (measured.standings(entry.value, 2) for entry in (ordered[0], ordered[-1]))
    assert best is not None and worst is not None
    assert (best[0].rank, best[0].percentile, worst[1].rank, worst[1].percentile) == (1, 100.0, 40, 0.0)
    reach = measured.reach(ordered[20].value)
    assert reach is not None
    for side, end in zip((-1, 1), measured.standings(ordered[20].value, 2) or (), strict=True):
        others = np.array([entry.value for entry in ordered if entry is not ordered[20]])
        assert end.rank == 1 + np.sum(others < ordered[20].value + side * reach / np.sqrt(2))
    # far better than the best: no regret at either end; another training of the worst: in its own place
    above = measured.standings(ordered[0].value - 1.0, member=False)
    assert above is not None and (above[0].regret, above[1].regret, above[1].rank) == (0.0, 0.0, 1)
    again = benchmark.standing(ordered[-1].value + 1.0, own=ordered[-1].value)
    assert (again.rank, again.of, again.percentile) == (40, 40, 0.0)


def test_what_diverged_in_the_table_is_known_by_its_reason(
    own: Path, tmp_path: Path, composed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    train_all(tables.jobs("mini_rnn"), None, tmp_path / "journals" / "mini_rnn.jsonl")
    tables.write("mini_rnn")
    path = own / "mini_rnn.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    lstm = next(row for row in rows if row[0] == named_cell("LSTM").key)
    lstm[2:4] = "", "diverged: the validation loss is not finite"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    benchmark = MiniRNN()
    assert list(benchmark.diverged) == [lstm[0]] and len(benchmark.entries) == 2
    assert read_architecture(spaces.get("rnn"), lstm[0]).key == lstm[0]
    assert score_app.run(composed("score", f"arch={lstm[0]}"))["truth"] is None
    assert "truth: none, mini_rnn trained it and it diverged: the validation loss" in capsys.readouterr().out
    (answer,) = measures.TrainingTruth(benchmark, tmp_path, 1).answer([Trial(named_cell("LSTM"), TRUTH)])
    assert answer[1].scores == {TRUTH: Score(None, lstm[3])}
    assert not (tmp_path / "trained").exists()  # not trained again

    class Known(Searcher):
        """A searcher of the three."""

        name = "known"

        def __init__(self, pool: Any, seed: int) -> None:
            super().__init__(pool, seed)
            self.left = [named_cell(name) for name in ("LSTM", "GRU", "RNN")]

        def ask(self, n: int, left: Any) -> list[Trial]:
            asked, self.left = self.left[:n], self.left[n:]
            return [Trial(cell) for cell in asked]

        def tell(self, results: Any) -> None:
            pass

    settings = composed("search", "budget=3", "verify=3", "run.dir=found", "proxy=parameters")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search_app.searchers, "get", lambda name, pool, seed, **options: Known(pool, seed))
        results = search_app.run(settings)
    assert results["queries"][0]["key"] == lstm[0] and results["queries_used"] == 3
    regret = results["regret"]
    assert regret["best_so_far"] == regret["over_ties"] == regret["parameters"]  # the fitness is the size
    assert regret["best_so_far"][0] is None and regret["best_so_far"][2] == 0.0
    assert regret["random"][0] == pytest.approx(np.mean([benchmark.place(e).regret for e in benchmark.entries]))


@pytest.mark.parametrize("name", ["mini_rnn", "mini_bert"])
def test_an_architecture_is_found_by_the_key_a_table_gives_it(name: str) -> None:
    benchmark = benchmarks.get(name)
    entry = benchmark.entries[0]
    assert read_architecture(spaces.get(benchmark.space), entry.key).key == entry.key


def test_training_is_told_with_its_place_and_its_weights(own: Path, tmp_path: Path, composed: Any) -> None:
    whole(tmp_path)
    results = train_app.run(composed("train", "arch=LSTM", "run.dir=trained", "device=cpu"))
    known = benchmarks.get("mini_rnn").by_key[named_cell("LSTM").key]
    assert results["training"]["value"] == known.runs[0].value  # the same seed, protocol and text
    standing = results["standing"]
    assert standing["of"] == 3 and standing["benchmark"] == "mini_rnn"  # in its own place, not against itself
    assert standing["rank"] == MiniRNN().place(known).rank
    summary = (tmp_path / "trained" / "summary.md").read_text(encoding="utf-8")
    assert f"perplexity {np.exp(known.runs[0].value):.4g}"[:14] in summary
    assert "95% interval of one training's noise" in summary and "test-bed" in summary
    model, words = load_model(tmp_path / "trained" / "weights.pt")
    assert words == corpora.docstrings(40).words
    assert model.validate(corpora.docstrings(40)) == known.runs[0].value
    assert read_architecture(spaces.get("rnn"), "trained").key == known.key
    again = train_app.run(composed("train", "arch=LSTM", "run.dir=trained", "device=cpu"))
    assert again["training"]["curve"] == results["training"]["curve"]
    answer = (tmp_path / "trained" / "results.json").read_bytes()
    with pytest.raises(ZeronasError, match="holds another run"):
        train_app.run(composed("train", "arch=GRU", "run.dir=trained", "device=cpu"))
    with run_lock(tmp_path / "trained"), pytest.raises(ZeronasError, match="Another process"):
        train_app.run(composed("train", "arch=LSTM", "run.dir=trained", "device=cpu"))
    assert (tmp_path / "trained" / "results.json").read_bytes() == answer
    changed = train_app.run(composed("train", "arch=LSTM", "run.dir=other", "device=cpu", "+protocol.optimiser=sgd"))
    assert changed["standing"] is None and changed["training"]["value"] != known.runs[0].value
