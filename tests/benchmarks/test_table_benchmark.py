"""A table that is a space is its own benchmark: what a search sees of it, what only reports tell, and every command."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

import made_table
import proxies
import spaces
from experiments.commands import compare as compare_app
from experiments.commands import rank as rank_app
from experiments.commands import reduce as reduce_app
from experiments.commands import score as score_app
from experiments.commands import search as search_app
from nas.core.errors import ZeronasError
from nas.judge import kendall
from nas.settings import SearchSettings, make
from nas.truth import benchmarks
from nas.truth.benchmarks import Benchmark
from spaces.table import TableSpace


@pytest.fixture(scope="module")
def space() -> TableSpace:
    found = spaces.get("table", **made_table.options())
    assert isinstance(found, TableSpace)
    return found


@pytest.fixture(scope="module")
def table(space: TableSpace) -> Benchmark:
    return benchmarks.get("table", None, space)


def column(name: str) -> dict[str, list[float]]:
    """Id -> the numbers in a column of the file, read without the package; what is missing is left out."""
    found: dict[str, list[float]] = {}
    with Path(made_table.options()["file"]).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = float(row[name] or "nan")
            if math.isfinite(value) and value != -1e8:
                found.setdefault(row["architecture"], []).append(value)
    return found


def means(name: str) -> dict[str, float]:
    return {id: math.fsum(values) / len(values) for id, values in column(name).items()}


def test_entries_are_the_means_of_the_trainings(table: Benchmark, space: TableSpace) -> None:
    assert {e.architecture.id: e.value for e in table.entries} == means("valid")
    assert {e.architecture.id: [run.value for run in e.runs] for e in table.entries} == column("valid")
    assert (table.name, table.unit, table.sign, table.costs) == ("table_made", "valid", 1.0, ("seconds",))
    assert {one.architecture.id: one.reason for one in table.diverged.values()} == {
        "a07": "no value",
        "a20": "power cut: at night",
    }
    sheet = table.datasheet
    # a20 was trained twice, both times without a value
    assert (sheet.rows, sheet.kept, sheet.unique) == (len(made_table.rows()), len(made_table.rows()) - 3, 64)
    assert sheet.skipped == {"no value": 1, "power cut": 2}
    assert table.cost(space.parse({"id": "a00"}).key) == {"seconds": 18.0} and table.cost("table-0") == {}
    assert table.caveat == ""


def test_what_is_reported_is_a_benchmark_of_its_own(table: Benchmark, space: TableSpace) -> None:
    apart = table.reported
    assert apart is not None and apart.reported is None and (apart.unit, apart.sign) == ("test", 1.0)
    assert {e.architecture.id: e.value for e in apart.entries} == means("test")
    loss = spaces.get("table", **{**made_table.options(), "higher_is_better": ["test"], "lower_is_better": ["valid"]})
    turned = benchmarks.get("table", None, loss)
    assert (turned.sign, turned.best.value) == (-1.0, min(means("valid").values()))
    assert turned.reported is not None and turned.reported.sign == 1.0
    assert (
        benchmarks.get("table", None, spaces.get("table", **{**made_table.options(), "reported": "valid"})).reported
        is None
    )


def test_guessed_metrics_are_told(space: TableSpace) -> None:
    guessed = spaces.get(
        "table", **{**made_table.options(), "metrics": None, "reported": None, "higher_is_better": ["valid"]}
    )
    table = benchmarks.get("table", None, guessed)
    assert guessed.metrics == ("test", "good", "noise", "latency")  # which is why they are told
    assert (
        "(test, good, noise, latency); space.metrics=[...] names them, and must where one of them is a truth"
        in table.caveat
    )


def test_it_is_the_truth_of_its_space_alone() -> None:
    with pytest.raises(ZeronasError) as error:
        benchmarks.get("table", None, "rnn")
    assert str(error.value).startswith("Benchmark 'table' is the truth of space=table, but space=rnn was chosen;")
    with pytest.raises(ZeronasError, match="so that space must be given"):
        benchmarks.get("table")


# ------------------------------------------------------------------------------------------------------- the columns


def scored(proxy: str, space: TableSpace, **options: Any) -> dict[str, tuple[float | None, str]]:
    from nas.engine.evaluate import Scorer

    scorer = Scorer(space, space.make_probe(), {"x": proxies.get(proxy, "table", **options)}, 0)
    return {row.id: (s.value, s.reason) for row in space.members() for s in [scorer(row).scores["x"]]}


def test_a_column_is_a_proxy_and_higher_is_better(space: TableSpace) -> None:
    found, told = scored("column", space, column="latency"), means("latency")
    assert {id: value for id, (value, _) in found.items() if value is not None} == {i: -v for i, v in told.items()}
    assert {found[id] for id in found if id not in told} == {(None, "the value is -100000000.0")}
    assert scored("column", space) == scored("columns", space) == scored("column", space, column="good")
    assert [
        id for id, (value, reason) in scored("column", space, column="noise").items() if reason == "the value is nan"
    ]


def test_columns_stand_for_each(space: TableSpace) -> None:
    found = proxies.get("columns", "table").expanded("columns", space)
    assert {label: proxy.column for label, proxy in found.items()} == {n: n for n in ("good", "noise", "latency")}  # type: ignore[attr-defined]
    chosen = proxies.get("columns", "table", columns=("latency", "good")).expanded("columns", space)
    assert list(chosen) == ["latency", "good"]
    with pytest.raises(ZeronasError, match=r"The table has no metric 'goood'\. Did you mean 'good'\?"):
        proxies.get("columns", "table", columns=("goood",)).expanded("columns", space)
    with pytest.raises(ZeronasError, match="has no metric 'valid'"):  # a truth is none
        proxies.get("column", "table", column="valid").prepare(space)
    with pytest.raises(ZeronasError, match="was given none of the table's columns"):
        proxies.get("columns", "table", columns=()).expanded("columns", space)


def test_labels_that_a_report_can_write(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,acc,a/b,truth,$x\n1,1,2,3,4\n2,2,3,4,5\n", encoding="utf-8")
    told = {"file": str(path), "id": "id", "objective": "acc", "higher_is_better": ["acc"]}
    found = proxies.get("columns", "table").expanded("columns", spaces.get("table", **told))
    assert list(found) == ["a_b", "column_truth", "_x"]
    path.write_text("id,acc,a/b,a_b\n1,1,2,3\n2,2,3,4\n", encoding="utf-8")
    with pytest.raises(ZeronasError, match="two columns that would both be called 'a_b'"):
        proxies.get("columns", "table").expanded("columns", spaces.get("table", **told))
    path.write_text("id,acc\n1,1\n2,2\n", encoding="utf-8")
    with pytest.raises(ZeronasError, match="the table has none beside those that have another role"):
        proxies.get("columns", "table").expanded("columns", spaces.get("table", **told))


# ------------------------------------------------------------------------------------------------------ the commands


@pytest.mark.parametrize("pool", ["space", "benchmark"])
def test_a_search_sees_the_objective_and_tells_both(
    pool: str, tmp_path: Path, composed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = (*made_table.overrides(), f"pool={pool}", "budget=30", "verify=4", f"run.dir={tmp_path}")
    results = search_app.run(composed("search", *settings))
    valid, test, seconds = means("valid"), means("test"), means("seconds")
    id = results["found"]["architecture"]["id"]
    assert results["proxies"] == ["good", "noise", "latency"] and results["fitness"] == "good"
    assert results["found"]["truth"] == valid[id]
    assert results["found"]["standing"]["rank"] == 1 + sum(value > valid[id] for value in valid.values())
    apart = results["found"]["reported"]
    assert apart["value"] == test[id]
    assert apart["standing"]["rank"] == 1 + sum(value > test[id] for value in test.values())
    assert apart["standing"]["regret"] == pytest.approx(max(test.values()) - test[id])
    of = results["benchmark"]["reported"]
    both = sorted(set(valid) & set(test))
    assert of["tau"] == pytest.approx(kendall([valid[i] for i in both], [test[i] for i in both]))
    ids = {row.key: row.id for row in spaces.get("table", **made_table.options()).members()}
    asked = [ids[query["key"]] for query in results["queries"]]
    assert results["costs"] == {"seconds": {"sum": pytest.approx(sum(seconds[i] for i in asked)), "missing": 0}}
    assert [query["reported"]["value"] for query in results["queries"]] == [test[i] for i in asked]
    # nothing that the search wrote down while it searched knows of what is reported
    journal = (tmp_path / "journal.jsonl").read_text(encoding="utf-8")
    assert not any(f'"value": {value!r}' in journal for value in test.values())
    out, summary = capsys.readouterr().out, (tmp_path / "summary.md").read_text(encoding="utf-8")
    for words in (
        "reported: ",
        " test, which the search did not see (the best is ",
        "cost of the queries by the table: ",
    ):
        assert words in out and words in summary
    assert f"(id {id})" in out and "| reported (test) |" in summary and f"| 1 | {asked[0]} |" in summary
    assert score_app.run({**composed("score", *made_table.overrides()), "arch": str(tmp_path)})["truth"] == valid[id]


def test_sizes_that_the_table_does_not_tell_are_not_invented(
    tmp_path: Path, composed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = made_table.overrides(parameters=None, flops=None, reported=None, costs=[])
    results = search_app.run(composed("search", *told, "budget=20", "verify=3", f"run.dir={tmp_path / 's'}"))
    assert results["found"]["parameters"] is None and results["regret"]["parameters"] is None
    assert "reported" not in results["found"] and "costs" not in results
    ranked = rank_app.run(composed("rank", *told, "resamples=5", f"run.dir={tmp_path / 'r'}"))
    assert list(ranked["proxies"]) == ["good", "noise", "latency", "random"] and ranked["reported"] is None
    assert ranked["proxies"]["good"]["like_size"]["why"] == "the parameters are not known"
    score_app.run({**composed("score", *told), "arch": "a07"})
    out = capsys.readouterr().out
    assert ", size not known" in out and "the largest by parameters" not in out
    assert "sizes: not known" in out and "truth: none, no value" in out
    compare_app.run({**composed("compare", f"run.dir={tmp_path / 'c'}"), "runs": [str(tmp_path / "s")]})


def test_rank_reduce_score_and_compare_take_it(
    tmp_path: Path, composed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = made_table.overrides()
    ranked = rank_app.run(composed("rank", *told, "resamples=5", f"run.dir={tmp_path / 'r'}"))
    assert (ranked["architectures"], ranked["diverged"], ranked["resamples"]) == (64, 2, 5)
    valid, test, good = means("valid"), means("test"), means("good")
    judged = ranked["proxies"]["good"]
    assert judged["agreement"]["tau"] == pytest.approx(kendall([good[i] for i in valid], list(valid.values())))
    assert ranked["reported"]["proxies"]["good"] == pytest.approx(kendall([good[i] for i in test], list(test.values())))
    assert math.isnan(judged["milliseconds"]) and judged["source"] == "the table"
    assert judged["like_size"]["pairs"] > 0 and judged["given_size"]["tau"] > 0
    table = csv.DictReader((tmp_path / "r" / "table.csv").read_text(encoding="utf-8").splitlines())
    assert {row["id"]: float(row["truth"] or "nan") for row in table if row["truth"]} == valid
    reduced = reduce_app.run(composed("reduce", *told, f"run.dir={tmp_path / 'q'}"))
    assert reduced["members"]["whole"] == 66 and sum(reduced["halves"].values()) == 64
    folders = []
    for seed in (0, 1):
        folders.append(str(tmp_path / f"s{seed}"))
        search_app.run(composed("search", *told, "budget=20", "verify=4", f"seed={seed}", f"run.dir={folders[-1]}"))
    compared = compare_app.run({**composed("compare", f"run.dir={tmp_path / 'c'}"), "runs": folders})
    (method,) = compared["methods"].values()
    told_apart = [
        json.loads((Path(f) / "results.json").read_text(encoding="utf-8"))["found"]["reported"] for f in folders
    ]
    assert method["reported"]["values"] == [one["value"] for one in told_apart]
    assert "reported: mean +- s.e." in (tmp_path / "c" / "summary.md").read_text(encoding="utf-8")
    scored = score_app.run({**composed("score", *told), "arch": '{"id": "a03"}'})
    assert (
        scored["truth"] == valid["a03"] == score_app.run({**composed("score", *told), "arch": scored["key"]})["truth"]
    )
    out = capsys.readouterr().out
    assert "reported beside it: test, whose tau with the truth above is " in out


def test_a_csv_of_its_architectures_is_a_benchmark_too(tmp_path: Path, composed: Any) -> None:
    path = tmp_path / "other.csv"
    path.write_text('architecture,loss\n"{""id"": ""a03""}",1\n"{""id"": ""a04""}",2\n', encoding="utf-8")
    told = ("benchmark=csv", f"benchmark.file={path}", "benchmark.value=loss", "benchmark.higher_is_better=false")
    results = score_app.run({**composed("score", *made_table.overrides(), *told), "arch": "a04"})
    assert results["truth"] == 2.0


def test_a_changed_table_is_another_run(tmp_path: Path, composed: Any) -> None:
    told = made_table.options(str(tmp_path))
    overrides = made_table.overrides(file=told["file"])

    def folder() -> str:
        return make(composed("search", *overrides), SearchSettings).folder.name

    before = folder()
    assert folder() == before and before.startswith("search-table-evolution-good-space-s0-")
    path = Path(told["file"])
    path.write_text(path.read_text(encoding="utf-8").replace("a03", "b03"), encoding="utf-8")
    assert folder() != before


TOLD = made_table.overrides()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["space=table"], "space.file must be a CSV file, such as space.file=my_table.csv, but got null."),
        (["space=table", "space.file=none.csv"], "space=table needs space.objective, the column that is searched by"),
        ([*TOLD, "proxy=hidden_covariance"], "Proxy 'hidden_covariance' needs forward, which the probe of space"),
        ([*TOLD, "proxy=[columns,column]", "proxies.column.column=x"], "The table has no metric 'x'."),
        ([*TOLD, "proxy=[columns,random]", "++proxies.good.name=random"], "Two proxies would be called 'good'"),
        (["space=rnn", "proxy=columns"], "Proxy 'columns' needs columns, which the probe of space 'rnn' does not"),
        ([*TOLD, "truth=train", "verify=1"], "truth=train needs a table of the project's own"),
        ([*TOLD, "gate=sampler"], "gate"),
        ([*TOLD, "reduction.kind=[cnv]"], "The reduction wants kind='cnv', but kind takes one of: conv"),
        ([*TOLD, "searcher=bayes", "queries=0"], "asks for truths while it searches"),
    ],
)
def test_what_does_not_fit_is_one_sentence(overrides: list[str], words: str, composed: Any, tmp_path: Path) -> None:
    from experiments.guard import open_mappings

    with pytest.raises(ZeronasError) as error:
        search_app.run(composed("search", *open_mappings(overrides), "budget=2", f"run.dir={tmp_path}"))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_nothing_is_trained_or_designed_on_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import cli

    for command, words in (
        ("train", "Space 'table' has no networks, so its members cannot be trained."),
        ("evolve-proxy", "but the probe of space 'table' records nothing of one."),
    ):
        monkeypatch.setattr("sys.argv", ["zeronas", command, *TOLD])
        with pytest.raises(SystemExit) as left:
            raise SystemExit(cli.main())
        assert left.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("searcher", ["bayes", "local", "optuna", "random"])
def test_without_genes_every_searcher_goes_through_it(searcher: str, composed: Any, tmp_path: Path) -> None:
    told = made_table.overrides(genes=[], parameters=None, flops=None)
    asked = ["queries=6"] if searcher == "bayes" else []
    results = search_app.run(
        composed("search", *told, f"searcher={searcher}", "budget=18", "proxy=column", *asked, f"run.dir={tmp_path}")
    )
    assert results["evaluations"] == 18 and results["found"] is not None
