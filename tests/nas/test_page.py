"""The report page: one file, the numbers of the run, and nothing of a stranger's that a browser would obey."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.commands import rank as rank_app
from experiments.commands import report as report_app
from experiments.commands import search as search_app
from nas.core.errors import ZeronasError
from nas.core.files import number
from nas.report.page import packed, runs, write, write_page

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


class Page(HTMLParser):
    """What a browser makes of a page: its elements and their texts."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.html = file.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def data(self) -> dict[str, Any]:
        """What its script draws from."""
        place = next(i for i, text in enumerate(self.texts) if text.startswith('{"runs"'))
        return dict(json.loads(self.texts[place]))


def numbers(column: dict[str, Any]) -> list[float | None]:
    """A packed column as its run's table has it."""
    found = np.frombuffer(base64.b64decode(column["data"]), dtype=f"<f{column['bits'] // 8}")
    return [None if value != value else float(value) for value in found]


def words(column: dict[str, Any] | list[str]) -> list[str]:
    if isinstance(column, list):
        return column
    text, digits = base64.b64decode(column["data"]).hex(), column["digits"]
    return [column["prefix"] + text[i : i + digits] for i in range(0, len(text), digits)]


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from experiments.commands.app import plain

    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in range(2)]
    for seed, folder in enumerate(folders):
        GlobalHydra.instance().clear()
        overrides = ["benchmark=mini_rnn", "pool=benchmark", "proxy=[parameters,random]", "budget=30", "verify=4"]
        with initialize_config_module(config_module="conf", version_base="1.3"):
            made = compose(config_name="search", overrides=[*overrides, f"seed={seed}", f"run.dir={folder}"])
        search_app.run(plain(made))
    return folders


def test_a_page_holds_the_numbers_of_its_run_and_loads_nothing(searches: list[Path]) -> None:
    folder = searches[0]
    page, results = Page(folder / "report.html"), json.loads((folder / "results.json").read_text())
    found, text = results["found"], " ".join(" ".join(page.texts).split())
    for shown in (
        f"found {found['key']}",
        f"true value is {number(found['truth'], 5)} nats/token",
        f"rank {found['standing']['rank']} of {found['standing']['of']} in mini_rnn",
        f"regret of {number(results['regret']['random'][-1])} nats/token",
    ):
        assert shown in text
    data = page.data
    curves = {one["name"]: one["y"] for chart in data["charts"] for one in chart.get("series", [])}
    assert curves["this search"] == results["regret"]["best_so_far"]
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    (run,) = data["runs"]
    assert words(run["key"]) == [row["key"] for row in rows] and len(rows) == 30 == run["count"]
    for column, name in ((run["truth"], "truth"), (run["scores"]["random"], "random")):
        assert numbers(column) == [float(row[name]) if row[name] else None for row in rows]
    assert run["scores"]["parameters"]["bits"] == 32 and run["index"] is None
    for name in ("table.csv", "journal.jsonl"):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in text
    assert not re.search(r"https?://", page.html)
    loading = [(tag, attributes) for tag, attributes in page.elements if {"src", "srcset", "data"} & set(attributes)]
    assert not loading and "link" not in {tag for tag, _ in page.elements}
    assert {attributes["href"] for tag, attributes in page.elements if tag == "a"} == {"#answer", "table.csv"}
    assert "default-src 'none'" in next(a["content"] or "" for _, a in page.elements if "http-equiv" in a)


def test_every_box_of_the_architecture_found_is_drawn(searches: list[Path]) -> None:
    page, results = Page(searches[0] / "report.html"), json.loads((searches[0] / "results.json").read_text())
    nodes = results["found"]["architecture"]
    read = {name for node in nodes.values() for name in node["input"]} - set(nodes)
    assert [tag for tag, _ in page.elements].count("rect") == len(nodes) + len(read)


def test_the_same_run_gives_the_same_bytes_and_several_runs_one_page(searches: list[Path], tmp_path: Path) -> None:
    before = (searches[0] / "report.html").read_bytes()
    assert write_page([searches[0]], searches[0] / "report.html").read_bytes() == before
    page = Page(report_app.run({"runs": [*map(str, searches)], "file": str(tmp_path / "new" / "both.html")}))
    assert len(page.data["runs"]) == 2
    names = [one["name"] for one in page.data["charts"][-1]["series"]]
    assert len(names) > 2 and any(name.startswith("random search (expected)") for name in names)


def test_names_of_strangers_are_text(composed: Any, tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as file:
        rows = [[f"{HOSTILE}{i}", i % 3, i, i * i % 7] for i in range(12)]
        csv.writer(file).writerows([["architecture", "op", "acc", HOSTILE], *rows])
    settings = composed("rank", "space=table", "resamples=10", f"run.dir={tmp_path / 'run'}")
    settings["space"] |= {"file": str(tmp_path / "t.csv"), "objective": "acc", "higher_is_better": ["acc"]}
    rank_app.run(settings)
    page = Page(tmp_path / "run" / "report.html")
    assert {tag for tag, _ in page.elements} >= {"main", "table"} and "img" not in {tag for tag, _ in page.elements}
    assert HOSTILE not in page.html and any(HOSTILE in text for text in page.texts)
    assert f"{HOSTILE}3" in words(page.data["runs"][0]["named"])


@pytest.mark.parametrize(
    "given",
    [[], ["rnn-0a1b", "rnn-0a1c"], ["a1"], ["arch007", "arch013"], ["x", "xyz"], ["LSTM", "GRU"], ["ä-00", "ä-0é"]],
)
def test_words_survive(given: list[str]) -> None:
    assert words(packed.packed_words(given)) == given


def test_numbers_survive_and_whole_ones_are_short() -> None:
    for given, bits in (([1e7, None, -3.0], 32), ([0.1, None], 64), ([16777217.0], 64), ([1e300, 1.0], 64), ([], 32)):
        column = packed.packed_numbers(given)
        assert (numbers(column), column["bits"]) == (given, bits)


def test_the_architectures_of_points_are_drawn_in_rankings_too(composed: Any, tmp_path: Path) -> None:
    few = ["benchmark=mini_rnn", "proxy=parameters", "limit=40", "resamples=10", "reference=none"]
    rank_app.run(composed("rank", *few, f"run.dir={tmp_path}"))
    page = Page(tmp_path / "report.html")
    (run,) = page.data["runs"]
    with (tmp_path / "table.csv").open() as file:
        known = [i for i, row in enumerate(csv.DictReader(file)) if row["truth"]]
    drawn = run["drawn"]
    assert sorted(map(int, drawn["of"])) == known
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    nodes = {entry["key"]: entry["architecture"] for entry in map(json.loads, lines)}
    place = known[0]
    boxes, ends, _ = drawn["of"][str(place)]
    cell = nodes[words(run["key"])[place]]
    sources = {name for node in cell.values() for name in node["input"]} - set(cell)
    assert len(boxes) == 4 * len({*cell, *sources})
    assert len(ends) == 2 * sum(len(set(node["input"])) for node in cell.values())
    assert {drawn["texts"][i][0] for i in boxes[2::4]} >= sources
    before = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(before[:-20])  # a torn line is neither mended nor drawn
    torn = Page(write_page([tmp_path], tmp_path / "report.html")).data["runs"][0]["drawn"]["of"]
    assert len(known) - 1 <= len(torn) <= len(known) and (tmp_path / "journal.jsonl").read_bytes() == before[:-20]


def test_drawings_take_no_more_than_their_room(searches: list[Path], tmp_path: Path, monkeypatch: Any) -> None:
    whole = Page(searches[0] / "report.html").data["runs"][0]["drawn"]["of"]
    monkeypatch.setattr(write, "DRAWING_BYTES", 2_000)
    few = Page(write_page([searches[0]], tmp_path / "page.html")).data["runs"][0]
    assert 1 < len(few["drawn"]["of"]) < len(whole)
    assert len(json.dumps(few["drawn"]["of"], separators=(",", ":"))) < 2_400
    truth = numbers(few["truth"])
    least = sorted(value for value in truth if value is not None)[: len(few["drawn"]["of"])]
    assert sorted(truth[int(place)] or 0 for place in few["drawn"]["of"]) == least  # the best by truth


def test_rows_of_a_page_take_no_more_than_their_room(composed: Any, tmp_path: Path, monkeypatch: Any) -> None:
    made = [[f"a{i:04d}", (i * 37) % 601 / 7, (i * 101) % 601 / 11] for i in range(601)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["architecture", "acc", "score"], *made])
    settings = composed("rank", "space=table", "resamples=10", "reference=none", f"run.dir={tmp_path / 'run'}")
    settings["space"] |= {"file": str(tmp_path / "t.csv"), "objective": "acc", "higher_is_better": ["acc"]}
    rank_app.run(settings)
    with (tmp_path / "run" / "table.csv").open() as file:
        rows = [[row["id"], float(row["truth"]), float(row["score"])] for row in csv.DictReader(file)]
    page = Page(tmp_path / "run" / "report.html")
    (run,) = page.data["runs"]
    assert run["count"] == 601 and words(run["named"]) == [name for name, *_ in rows]
    monkeypatch.setattr(runs, "ROW_BYTES", 12_000)
    page = Page(write_page([tmp_path / "run"], tmp_path / "page.html"))
    (run,) = page.data["runs"]
    taken = sum(len(json.dumps(run[name])) for name in ("index", "key", "named", "truth", "failure", "scores"))
    assert 200 < run["count"] < 500 and taken < 12_400
    assert f"{601 - run['count']} of them are not on this page" in " ".join(" ".join(page.texts).split())
    names, third = words(run["named"]), run["count"] // 3
    for column in (1, 2):
        assert {row[0] for row in sorted(rows, key=lambda row: -row[column])[:third]} <= set(names)
    places = np.frombuffer(base64.b64decode(run["index"]), dtype="<u4")
    assert [rows[place - 1][0] for place in places] == names
    assert numbers(run["truth"]) == [rows[place - 1][1] for place in places]


def test_a_page_without_a_benchmark_has_no_drawings_and_no_band(composed: Any, tmp_path: Path) -> None:
    search_app.run(composed("search", "benchmark=none", "proxy=parameters", "budget=5", f"run.dir={tmp_path}"))
    page = Page(tmp_path / "report.html")
    assert page.data["runs"][0]["drawn"] == {"texts": [], "of": {}}
    assert "Differences within the band" not in page.html and not page.data["charts"]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ZeronasError, match=r"^There is no run folder '.*none'\.$"):
        write_page([tmp_path / "none"], tmp_path / "page.html")
    with pytest.raises(ZeronasError, match=r"has no results.json: it holds no finished run; run it again\.$"):
        write_page([tmp_path], tmp_path / "page.html")
    (tmp_path / "results.json").write_text('{"command": "reduce"}')
    with pytest.raises(ZeronasError, match="is not the result of a search, a ranking or a comparison"):
        write_page([tmp_path], tmp_path / "page.html")
    (tmp_path / "results.json").write_text('{"command": "rank"}')
    with pytest.raises(ZeronasError, match=r"lacks 'space': another version of zeronas wrote it"):
        write_page([tmp_path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
