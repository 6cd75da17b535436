"""A table as a space: what is read, what is refused and how, who is whose neighbour."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import made_table
import spaces
from nas.core.errors import ZeronasError
from nas.engine.pools import BenchmarkPool, SpacePool
from spaces.record import Needs
from spaces.table import Row, TableSpace

HEADER = ["architecture", "op", "acc", "snip"]
ROWS: list[list[Any]] = [["a", "conv", 0.5, 1], ["b", "skip", 0.25, 2], ["c", "conv", 0.75, 3]]
OPTIONS: dict[str, Any] = {"objective": "acc", "higher_is_better": ["acc"], "genes": ["op"]}


def written(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def table(folder: Path, header: list[str] = HEADER, rows: list[list[Any]] = ROWS, **options: Any) -> TableSpace:
    path = written(folder / "t.csv", header, rows)
    made = spaces.get("table", **{"file": str(path), **OPTIONS, **options})
    assert isinstance(made, TableSpace)
    return made


@pytest.fixture(scope="module")
def made() -> TableSpace:
    space = spaces.get("table", **made_table.options())
    assert isinstance(space, TableSpace)
    return space


def by_id(space: TableSpace, *ids: str) -> list[Row]:
    return [space.parse({"id": id}) for id in ids]


# ------------------------------------------------------------------------------------------------------- what is read


def test_rows_of_one_id_are_trainings_of_one_architecture(tmp_path: Path) -> None:
    rows = [["a", "conv", 0.5, 1], ["b", "skip", 0.25, 2], [" a ", "conv", 0.7, 2], ["a", "conv", "", ""]]
    space = table(tmp_path, rows=rows)
    a, b = by_id(space, "a", "b")
    assert {row.id for row in space.members()} == {"a", "b"} and space.size() == 2
    at = space.table.place["a"]
    assert space.table.means["acc"].values[at] == pytest.approx(0.6, abs=1e-15)
    assert space.readings(a)["snip"].value == 1.5 and space.readings(b)["snip"].value == 2
    assert space.describe(a) == {"op": "conv"} and space.counts(a).parameters is None and not space.counted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no value"),
        (" ", "no value"),
        ("NaN", "the value is NaN"),
        ("-inf", "the value is -inf"),
        ("-1e8", "the value is -1e8"),
        ("-100000000.0", "the value is -100000000.0"),
        ("failed", "the value is 'failed'"),
    ],
)
def test_what_is_missing_is_told_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    space = table(tmp_path, rows=[*ROWS, ["d", "conv", 0.5, text]], sentinels=[-1e8, "failed"])
    d, a = by_id(space, "d", "a")
    assert space.readings(d)["snip"] == (None, True, reason)
    assert space.readings(a)["snip"] == (1.0, True, "")


def test_left_over_columns_of_numbers_are_metrics_and_texts_are_not(tmp_path: Path) -> None:
    header = ["architecture", "op", "acc", "snip", "note", "flat", "seconds", "none"]
    rows = [["a", "x", 1, "3", "good", "", 5, ""], ["b", "y", 2, "nan", "4", "7", 6, ""]]
    space = table(tmp_path, header, rows, costs=["seconds"])
    assert space.metrics == ("snip", "flat") and space.table.guessed
    space = table(tmp_path, header, rows, costs=["seconds"], metrics=["flat", "seconds"])
    assert space.metrics == ("flat", "seconds") and not space.table.guessed


def test_genes_are_numbers_where_all_are(tmp_path: Path) -> None:
    header = ["architecture", "acc", "depth", "rate", "code"]
    rows = [["a", 1, "10", "0.5", "01"], ["b", 2, "9", "1e-3", "1"], ["c", 3, " 9", "2", "x"]]
    space = table(tmp_path, header, rows, genes=["depth", "rate", "code"])
    assert {name: feature.choices for name, feature in space.feature_specs.items()} == {
        "depth": (9, 10),
        "rate": (0.001, 0.5, 2.0),
        "code": ("01", "1", "x"),
    }
    assert [row.id for row in space.reduce({"depth": {"max": 9}}).members()] == [
        row.id for row in space.members() if row.id in "bc"
    ]


def test_sizes_in_millions_are_whole_numbers(tmp_path: Path) -> None:
    header, rows = ["architecture", "acc", "params"], [["a", 1, "0.073306"], ["b", 2, "1.5"]]
    space = table(tmp_path, header, rows, genes=[], parameters="params", parameters_unit=1e6)
    assert [space.counts(one).parameters for one in by_id(space, "a", "b")] == [73_306, 1_500_000]
    assert space.counted and space.counts(by_id(space, "a")[0]).flops is None
    assert [one.id for one in space.reduce({"params": {"max": 100_000}}).members()] == ["a"]


def test_a_key_is_that_of_the_id_wherever_it_stands(tmp_path: Path) -> None:
    """And so is the order of the architectures: a table sorted by its truth must not give it away."""
    (tmp_path / "other").mkdir()
    space, turned = table(tmp_path), table(tmp_path / "other", rows=ROWS[::-1])
    assert [row.key for row in space.members()] == [row.key for row in turned.members()]
    keys = [row.key for row in space.members()]
    assert keys == sorted(keys) and all(re.fullmatch("table-[0-9a-f]{16}", key) for key in keys)
    assert space.fingerprint != turned.fingerprint
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    assert [space.sample(rng) for _ in range(5)] == [turned.sample(again) for _ in range(5)]


def test_ids_keys_and_json_name_an_architecture(made: TableSpace) -> None:
    (row,) = by_id(made, "a03")
    assert row.to_json() == {"id": "a03", "genes": {"kind": "conv", "width": 8, "depth": 2, "residual": "yes"}}
    assert made.named("a03") == made.named(row.key) == row and made.named("a99") is None
    for data, words in (
        ({"id": "a99"}, "has no architecture 'a99'."),
        ({"id": "a03", "genes": {"kind": "skip"}}, "has other genes in"),
        ({"id": "a03", "gene": {}}, "is an object with its id"),
        ({"id": True}, "is an object with its id"),
    ):
        with pytest.raises(ZeronasError, match=re.escape(words)):
            made.parse(data)


# --------------------------------------------------------------------------------------------------- what is refused

BAD: list[tuple[list[str], list[list[Any]], dict[str, Any], str]] = [
    (HEADER, [], {}, "The table 't.csv' has no rows; expected a header, and a row for each architecture."),
    (["arch", "op", "acc"], [["a", "x", 1]], {}, "has no column 'architecture' (space.id). Did you mean 'arch'?"),
    (HEADER, ROWS, {"objective": "accu"}, "has no column 'accu' (space.objective). Did you mean 'acc'?"),
    (HEADER, ROWS, {"reported": "test"}, "has no column 'test' (space.reported)."),
    (HEADER, ROWS, {"genes": ["ops"]}, "has no column 'ops' (space.genes). Did you mean 'op'?"),
    (HEADER, ROWS, {"costs": ["s"]}, "has no column 's' (space.costs)."),
    (HEADER, ROWS, {"metrics": ["snp"]}, "has no column 'snp' (space.metrics). Did you mean 'snip'?"),
    (HEADER, ROWS, {"parameters": "n"}, "has no column 'n' (space.parameters)."),
    (HEADER, ROWS, {"lower_is_better": ["x"]}, "has no column 'x' (space.lower_is_better)."),
    ([*HEADER, "acc"], [[*row, 1] for row in ROWS], {}, "has the column 'acc' twice."),
    (HEADER, [*ROWS, ["d", "x"]], {}, "Line 5 of 't.csv' has 2 fields, expected 4."),
    (HEADER, [*ROWS, ["", "x", 1, 1]], {}, "Line 5 of 't.csv', column 'architecture': the architecture's id is empty."),
    (HEADER, [*ROWS, ["d", " ", 1, 1]], {}, "Line 5 of 't.csv', column 'op': it is empty, but every architecture"),
    (HEADER, [*ROWS, ["d", "x", "4,1", 1]], {}, "Line 5 of 't.csv', column 'acc': it is '4,1', but a number is"),
    (HEADER, [*ROWS, ["d", "x", 1, "high"]], {}, "Line 5 of 't.csv', column 'snip': it is 'high', but a number"),
    (HEADER, [["a", "x", 1, "high"]], {"metrics": ["snip"]}, "Line 2 of 't.csv', column 'snip': it is 'high', but"),
    (HEADER, [*ROWS, ["a", "skip", 1, 1]], {}, "column 'op': it is 'skip', but line 2 has 'conv' for the same archi"),
    (HEADER, [["a", "x", "", 1], ["b", "x", "inf", 1]], {}, "The column 'acc' (space.objective) of 't.csv' has no va"),
    (HEADER, ROWS, {"objective": "snip"}, "in either space.higher_is_better=['snip'] or space.lower_is_better=['snip"),
    (HEADER, [["a", "x", 1, ""]], {"metrics": ["snip"]}, "The column 'snip' of 't.csv' has no value in any row; leave"),
    (HEADER, ROWS, {"higher_is_better": []}, "space.lower_is_better=['acc'], but it stands in neither."),
    (HEADER, ROWS, {"lower_is_better": ["acc"]}, "space.lower_is_better=['acc'], but it stands in both."),
    (HEADER, ROWS, {"higher_is_better": ["acc", "snip"], "lower_is_better": ["snip"]}, "'snip' stands in space.higher"),
    (HEADER, ROWS, {"metrics": ["snip", "acc"]}, "The column 'acc' is both space.objective and space.metrics, and can"),
    (HEADER, ROWS, {"genes": ["op", "acc"]}, "The column 'acc' is both space.objective and space.genes, and can only"),
    (HEADER, ROWS, {"genes": ["op", "op"]}, "space.genes names the column 'op' twice."),
    (HEADER, ROWS, {"id": "acc"}, "The column 'acc' is both space.id and space.objective, and"),
    (HEADER, ROWS, {"genes": ["architecture"]}, "The column 'architecture' is both space.id and space.genes, and"),
    (HEADER, ROWS, {"objective": None}, "space=table needs space.objective, the column that is searched by"),
    (HEADER, ROWS, {"file": None}, "space.file must be a CSV file, such as space.file=my_table.csv, but got null."),
    (HEADER, ROWS, {"file": "none.csv"}, "The table 'none.csv' cannot be read (No such file or directory)."),
    (
        HEADER, [*ROWS, ["d", "x", 1, 0.5]], {"parameters": "snip"},
        "Line 5 of 't.csv', column 'snip': it is 0.5, but a whole number is needed; space.parameters_unit=1e6 if it is",
    ),
    (
        HEADER, [*ROWS, ["d", "x", 1, ""]], {"flops": "snip"},
        "Line 5 of 't.csv', column 'snip': no value, but space.flops needs one in every row.",
    ),
    (
        HEADER, [*ROWS, ["d", "x", 1, 0]], {"flops": "snip"},
        "Line 5 of 't.csv', column 'snip': it is 0, which is 0 flops, but 1 or more are needed.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("header", "rows", "options", "words"), BAD, ids=[words[:60] for *_, words in BAD])
def test_a_bad_table_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    header: list[str],
    rows: list[list[Any]],
    options: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("t.csv"), header, rows)
    space = spaces.get("table", **{"file": "t.csv", **OPTIONS, **options})
    with pytest.raises(ZeronasError) as error:
        space.members()
    assert words in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"architecture,acc\na,1\n\xff,1\n", "Line 3 of the table 't.csv' is not UTF-8 text."),
        (b"", "The table 't.csv' has no rows"),
        (b"architecture,op,acc\n", "The table 't.csv' has no rows"),
        (b'architecture,op,acc\n"a,1\n', "Line 2 of 't.csv' cannot be read as CSV ("),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes(content)
    with pytest.raises(ZeronasError) as error:
        spaces.get("table", file="t.csv", **OPTIONS).members()
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"genes": "op"}, "Space 'table' needs genes to be a list, each the name of a column, but got 'op'."),
        ({"id": 5}, "Space 'table' needs id to be the name of a column, but got 5."),
        ({"parameters_unit": 0}, "Space 'table' needs parameters_unit to be a number above 0"),
        ({"sentinels": [[1]]}, "Space 'table' needs sentinels to be a list, each a number or a word, but got [[1]]."),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ZeronasError) as error:
        spaces.get("table", **{**OPTIONS, **options})
    assert str(error.value).startswith(words)


def test_what_is_no_mistake(tmp_path: Path) -> None:
    """A gene that is constant, a table of one row, blanks around names, Excel's mark at the beginning."""
    space = table(tmp_path, [" architecture", "op ", "acc"], [["a", "x", 1], ["b", "x", 2]])
    a, b = by_id(space, "a", "b")
    assert list(space.neighbours(a)) == [b] and space.distance(a, b) == 0
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "t.csv").read_bytes())
    assert spaces.get("table", file=str(tmp_path / "t.csv"), **OPTIONS).members() == space.members()
    alone = table(tmp_path, rows=ROWS[:1])
    (only,) = alone.members()
    assert list(alone.neighbours(only)) == []
    assert alone.mutate(only, np.random.default_rng(0)) == alone.crossover(only, only, np.random.default_rng(0)) == only


# ------------------------------------------------------------------------------------------------------ who is near


def differ(a: Row, b: Row) -> int:
    return sum(x != y for x, y in zip(a.genes, b.genes, strict=True))


def test_neighbours_differ_in_one_gene(made: TableSpace) -> None:
    for row in made.members()[::9]:
        found = list(made.neighbours(row))
        assert found == [other for other in made.members() if differ(row, other) == 1]
        assert all(made.distance(row, other) == differ(row, other) for other in made.members())
    rng = np.random.default_rng(0)
    row, drawn = made.members()[0], set()
    for _ in range(200):
        drawn.add(made.mutate(row, rng).id)
    assert drawn == {other.id for other in made.neighbours(row)}


def test_where_nothing_differs_in_one_gene_the_nearest_are_neighbours(tmp_path: Path) -> None:
    header = ["architecture", "acc", "x", "y", "z"]
    rows = [["a", 1, 0, 0, 0], ["b", 1, 1, 1, 0], ["c", 1, 1, 1, 1], ["d", 1, 0, 2, 2]]
    space = table(tmp_path, header, rows, genes=["x", "y", "z"])
    a, b, c, d = by_id(space, "a", "b", "c", "d")
    assert {one.id for one in space.neighbours(a)} == {"b", "d"}  # two genes apart, c is three
    assert list(space.neighbours(b)) == [c]
    reduced = space.reduce({"x": 0})
    assert list(reduced.neighbours(a)) == [d] and {one.id for one in reduced.neighbours(c)} == {"a", "d"}


def test_a_child_is_the_nearest_to_the_genes_of_its_parents(tmp_path: Path) -> None:
    """a and b give (0 or 1, 0 or 1): of c, d and e no other than those that are nearest to one of these four."""
    header = ["architecture", "acc", "x", "y"]
    rows = [["a", 1, 0, 0], ["b", 1, 1, 1], ["c", 1, 0, 1], ["d", 1, 5, 0], ["e", 1, 5, 5]]
    space = table(tmp_path, header, rows, genes=["x", "y"])
    a, b = by_id(space, "a", "b")
    rng = np.random.default_rng(0)
    children = [space.crossover(a, b, rng).id for _ in range(300)]
    # (0,0): c, d; (0,1): c; (1,0): d; (1,1): c
    assert set(children) == {"c", "d"} and abs(children.count("c") - 187.5) < 5 * math.sqrt(300 * 0.625 * 0.375)


def test_without_genes_all_are_neighbours(tmp_path: Path) -> None:
    rows = [[f"a{i}", "x", i, i] for i in range(30)]
    space = table(tmp_path, rows=rows, genes=[])
    rng, first = np.random.default_rng(0), space.members()[0]
    assert list(space.neighbours(first)) == space.members()[1:]
    assert {space.mutate(first, rng).id for _ in range(400)} == {row.id for row in space.members()[1:]}
    assert not space.features(first).any() and space.feature_specs == {}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {space.suggest(study.ask()).id for _ in range(300)} == {row.id for row in space.members()}


def test_architectures_of_the_same_genes_are_all_suggested(tmp_path: Path) -> None:
    space = table(tmp_path, rows=[["a", "x", 1, 1], ["b", "x", 2, 1], ["c", "y", 3, 1]])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {space.suggest(study.ask()).id for _ in range(60)} == {"a", "b", "c"}


@pytest.mark.parametrize("kind", ["space", "benchmark"])
def test_a_pool_gives_every_row_once(made: TableSpace, kind: str) -> None:
    reduced = made.reduce({"kind": ["conv", "pool"]})
    pool = SpacePool(reduced) if kind == "space" else BenchmarkPool(reduced, made.members())
    rng, given = np.random.default_rng(0), []
    while (member := pool.sample(rng)) is not None:
        given.append(pool.take(member).id)
    assert sorted(given) == sorted(row.id for row in reduced.members()) and len(given) == reduced.size() == 48


def test_the_probe_reads_what_is_asked_for(made: TableSpace) -> None:
    record = made.make_probe().observe(made, made.members()[0], Needs(frozenset({"columns"}), 0), 0)
    assert list(record.columns) == ["good", "noise", "latency"] and record.described == {}
    assert [reading.higher_is_better for reading in record.columns.values()] == [True, True, False]
