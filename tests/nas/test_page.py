"""The report page: one file, the numbers of the run, and nothing of a stranger's that a browser would obey."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from experiments.commands import rank as rank_app
from experiments.commands import report as report_app
from experiments.commands import search as search_app
from nas.core.errors import ZeronasError
from nas.core.files import number
from nas.report.page import write_page

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
    assert run["key"] == [row["key"] for row in rows] and len(rows) == 30
    assert run["truth"] == [float(row["truth"]) if row["truth"] else None for row in rows]
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
    assert f"{HOSTILE}3" in page.data["runs"][0]["named"]


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
