"""A table of the user's own: what a row says, what is refused and how, and every command that needs a truth."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from experiments.commands import compare as compare_app
from experiments.commands import rank as rank_app
from experiments.commands import reduce as reduce_app
from experiments.commands import score as score_app
from experiments.commands import search as search_app
from nas.core.errors import ZeronasError
from nas.settings import SearchSettings, make
from nas.truth import benchmarks
from nas.truth.benchmarks.csv_table import CsvTable
from spaces.rnn import named_cell

OPTIONS = ("benchmark=csv", "benchmark.value=loss", "benchmark.higher_is_better=false")


def write(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def cell(name: str) -> str:
    return json.dumps(named_cell(name).to_json())


def table(tmp_path: Path, rows: list[list[Any]], header: list[str] | None = None, **options: Any) -> CsvTable:
    path = write(tmp_path / "mine.csv", header or ["architecture", "loss"], rows)
    made = benchmarks.get(
        "csv", None, "rnn", **{"file": str(path), "value": "loss", "higher_is_better": False, **options}
    )
    assert isinstance(made, CsvTable)
    return made


def test_rows_of_one_architecture_are_its_trainings(tmp_path: Path) -> None:
    gru = named_cell("GRU").to_json()
    turned = json.dumps(dict(reversed(gru.items())))  # the same cell, written otherwise
    found = table(tmp_path, [[cell("GRU"), "4.0"], [cell("LSTM"), "5"], [turned, " 4.5 "]], unit="nats")
    assert [(e.key, e.value, [r.value for r in e.runs]) for e in found.entries] == [
        (named_cell("GRU").key, 4.25, [4.0, 4.5]),
        (named_cell("LSTM").key, 5.0, [5.0]),
    ]
    assert found.lookup(named_cell("RNN")) is None and found.best.key == named_cell("GRU").key
    assert (found.space, found.metric, found.unit, found.higher_is_better) == ("rnn", "loss", "nats", False)
    sheet = found.datasheet
    assert (sheet.rows, sheet.kept, sheet.unique, sheet.skipped) == (3, 3, 2, {})


def test_trainings_without_a_value_are_counted_with_their_reason(tmp_path: Path) -> None:
    rows = [
        [cell("GRU"), "", "power cut: at night", "7"],
        [cell("LSTM"), "nan", "", "8"],
        [cell("LSTM"), "inf", "", "9"],
        [cell("RNN"), "3", "", "1"],
        [cell("RNN"), "-inf", "", "2"],
    ]
    found = table(tmp_path, rows, ["architecture", "loss", "reason", "seed"])
    assert [(e.key, len(e.runs)) for e in found.entries] == [(named_cell("RNN").key, 1)]
    assert {key: one.reason for key, one in found.diverged.items()} == {
        named_cell("GRU").key: "power cut: at night",
        named_cell("LSTM").key: "the value is nan",
    }
    assert found.datasheet.skipped == {
        "power cut": 1,
        "the value is nan": 1,
        "the value is inf": 1,
        "the value is -inf": 1,
    }
    assert (found.datasheet.rows, found.datasheet.kept) == (5, 1)


def test_other_names_and_a_key_that_is_right(tmp_path: Path) -> None:
    key = named_cell("GRU").key
    found = table(
        tmp_path, [["0.5", cell("GRU"), key]], ["acc", "cell", "key"],
        value="acc", architecture="cell", higher_is_better=True, metric="accuracy",
    )  # fmt: skip
    assert (found.by_key[key].value, found.sign, found.metric, found.unit) == (0.5, 1.0, "accuracy", "acc")
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "mine.csv").read_bytes())  # as Excel writes it
    again = benchmarks.get(
        "csv", None, "rnn", file=str(tmp_path / "mine.csv"), value="acc", architecture="cell", higher_is_better=True
    )
    assert again.best.value == 0.5


GRU = cell("GRU")
BAD: list[tuple[list[str], list[list[Any]], str]] = [
    (["architecture", "loss"], [], "has no rows; expected a header, and a row for each training."),
    (["architecture", "losses"], [[GRU, 1]], "has no column 'loss' (benchmark.value). Did you mean 'losses'?"),
    (["arch", "loss"], [[GRU, 1]], "has no column 'architecture' (benchmark.architecture). Did you mean 'arch'?"),
    (["architecture", "loss", "loss"], [[GRU, 1, 1]], "has the column 'loss' twice."),
    (["architecture", "loss"], [[GRU, 1], [GRU]], "Line 3 of 'mine.csv' has 1 fields, expected 2."),
    (["architecture", "loss"], [[GRU, "4,1"]], "Line 2 of 'mine.csv', column 'loss': it is '4,1', but a number is"),
    (["architecture", "loss"], [["{", 1]], "Line 2 of 'mine.csv', column 'architecture': "),
    (["architecture", "loss"], [["", 1]], "Line 2 of 'mine.csv', column 'architecture': "),
    (["architecture", "loss"], [[GRU, 1], ['{"h_new_0": 5}', 1]], "Line 3 of 'mine.csv', column 'architecture': "),
    (
        ["architecture", "loss", "key"],
        [[GRU, 1, "rnn-0"]],
        f"Line 2 of 'mine.csv', column 'key': it is 'rnn-0', but the architecture's key is '{named_cell('GRU').key}'.",
    ),
    (["architecture", "loss"], [[GRU, ""], [GRU, "nan"]], "The column 'loss' of 'mine.csv' has no finite value"),
]


@pytest.mark.parametrize(("header", "rows", "words"), BAD, ids=[words[-40:] for _, _, words in BAD])
def test_a_bad_table_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: list[str], rows: list[list[Any]], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("mine.csv"), header, rows)
    with pytest.raises(ZeronasError) as error:
        _ = benchmarks.get("csv", None, "rnn", file="mine.csv", value="loss", higher_is_better=False).entries
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)."),
        (b"architecture,loss\n\xff,1\n", "is not UTF-8 text."),
        (b"", "has no rows"),
        (b'architecture,loss\n"{,1\n', "cannot be read as CSV ("),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZeronasError) as error:
        _ = benchmarks.get("csv", None, "rnn", file=str(path), value="loss", higher_is_better=False).entries
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": None}, "benchmark.file must be a CSV file, such as benchmark.file=my_table.csv, but got null."),
        ({"file": ["a"]}, "benchmark.file must be a CSV file"),
        ({"file": "x" * 300}, "cannot be read (File name too long)."),
        ({"value": None}, "benchmark.value must be the name of a column, such as benchmark.value=loss, but got None."),
        ({"higher_is_better": None}, "benchmark.higher_is_better must be true or false, but got None."),
        ({"higher_is_better": "no"}, "benchmark.higher_is_better must be true or false, but got 'no'."),
        ({"metric": 5}, "benchmark.metric must be a text, but got 5."),
        ({"values": "loss"}, "Benchmark 'csv' has no option 'values'. Did you mean 'value'?"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ZeronasError) as error:
        _ = table(tmp_path, [[GRU, 1]], **options).entries
    assert words in str(error.value)


def test_the_space_must_be_told() -> None:
    with pytest.raises(ZeronasError, match="so that space must be given"):
        benchmarks.get("csv", file="a.csv", value="loss", higher_is_better=True)


def drawn(space: str, count: int, path: Path) -> Path:
    """A table of drawn architectures whose value goes with their size, each fifth of them trained twice."""
    made, rng = spaces.get(space), np.random.default_rng(0)
    rows = []
    for index in range(count):
        architecture = made.sample(rng)
        size = math.log(made.counts(architecture).parameters)
        for run in range(1 + (index % 5 == 0)):
            rows.append([index, run, 20.0 - size + 0.01 * rng.normal(), made.format(architecture)])
    return write(path, ["index", "run", "loss", "architecture"], rows)


@pytest.mark.parametrize("space", ["rnn", "bert"])
def test_search_rank_reduce_score_and_compare_take_it(
    space: str, tmp_path: Path, composed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(space, 80, Path("my table.csv"))
    settings = (f"space={space}", *OPTIONS, "benchmark.file='my table.csv'", "benchmark.unit=nats")
    folders = []
    for seed in (0, 1):
        search = ("pool=benchmark", "verify=3", "budget=30", "proxy=parameters", f"seed={seed}", f"run.dir=s{seed}")
        results = search_app.run(composed("search", *settings, *search))
        folders.append(f"s{seed}")
        assert results["benchmark"]["name"] == "csv_my_table" and results["queries_used"] == 3
        values = {e.key: e.value for e in table_at("my table.csv", space).entries}
        assert (
            results["found"]["truth"] == values[results["found"]["key"]] == min(q["truth"] for q in results["queries"])
        )
        assert results["found"]["standing"]["rank"] == 1 + sum(v < results["found"]["truth"] for v in values.values())
    ranked = rank_app.run(composed("rank", *settings, "proxy=parameters", "resamples=5", "run.dir=r"))
    assert ranked["architectures"] == len(values) and ranked["proxies"]["parameters"]["agreement"]["tau"] > 0.9
    reduced = reduce_app.run(composed("reduce", *settings, "run.dir=q"))
    assert sum(reduced["halves"].values()) == len(values)
    entry = table_at("my table.csv", space).best
    scored = score_app.run({**composed("score", *settings), "arch": entry.architecture.to_json()})
    assert scored["truth"] == entry.value
    compared = compare_app.run({**composed("compare", "run.dir=c"), "runs": folders})
    (method,) = compared["methods"].values()
    assert method["benchmark"]["name"] == "csv_my_table" and len(method["regret"]["values"]) == 2
    out = capsys.readouterr().out
    assert "nats (loss, csv_my_table" in out and "csv_my_table: " in out


def table_at(file: str, space: str) -> CsvTable:
    made = benchmarks.get("csv", None, space, file=file, value="loss", higher_is_better=False)
    assert isinstance(made, CsvTable)
    return made


def test_what_diverged_in_it_is_told_when_it_is_asked_for(tmp_path: Path, composed: Any) -> None:
    write(tmp_path / "t.csv", ["architecture", "loss", "reason"], [[GRU, "", "power cut"], [cell("RNN"), "3", ""]])
    settings = (*OPTIONS, f"benchmark.file={tmp_path / 't.csv'}")
    results = search_app.run(composed("search", *settings, "budget=4", "verify=2", f"run.dir={tmp_path / 'a'}"))
    assert results["benchmark"]["name"] == "csv_t"
    assert score_app.run(composed("score", *settings, "arch=GRU"))["truth"] is None


def test_truth_cannot_be_trained_beside_it(tmp_path: Path, composed: Any) -> None:
    write(tmp_path / "t.csv", ["architecture", "loss"], [[GRU, 3]])
    with pytest.raises(ZeronasError, match="truth=train needs a table of the project's own"):
        search_app.run(composed("search", *OPTIONS, f"benchmark.file={tmp_path / 't.csv'}", "truth=train", "verify=1"))


def test_a_changed_table_is_another_run(tmp_path: Path, composed: Any) -> None:
    path = write(tmp_path / "t.csv", ["architecture", "loss"], [[GRU, 3]])
    config = composed("search", *OPTIONS, f"benchmark.file={path}")
    before = make(config, SearchSettings).folder.name
    assert make(config, SearchSettings).folder.name == before
    path.write_text(path.read_text(encoding="utf-8").replace("3", "4"), encoding="utf-8")
    assert make(config, SearchSettings).folder.name != before
