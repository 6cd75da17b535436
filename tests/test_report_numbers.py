"""Every number in a committed report comes from the results: two sets of other results leave none of it standing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from experiments.mini import report as mini
from experiments.paper import report as paper
from experiments.paper.metrics import PEERS_PUBLISHED
from experiments.proxies import report as proxies
from experiments.proxies.published import PUBLISHED, SOURCES
from experiments.proxies.variation import FINALISTS
from experiments.queries import report as queries
from experiments.search_systems import report as systems
from experiments.search_systems.claims import CLAIMS
from experiments.search_systems.compare import AT, PAIRS, POOLS
from experiments.search_systems.scores import PROBES, TABLES

#: what prose may say with digits: names, and the level of the intervals
NAMES = ("ACL 2023", "95%", "float32", "float64")


def keys_of(data: Any) -> Iterator[str]:
    """Yields every key of nested mappings."""
    if isinstance(data, dict):
        yield from data
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from keys_of(value)


def changed(data: Any, digit: int, keys: frozenset[str]) -> Any:
    """Returns the data with other numbers: every digit of its values is ``digit``; strings that name a key stay."""
    if isinstance(data, dict):
        return {key: changed(value, digit, keys) for key, value in data.items()}
    if isinstance(data, list):
        return [changed(value, digit, keys) for value in data]
    if isinstance(data, bool) or data is None:
        return data
    if isinstance(data, int):
        return int(str(digit) * digit)  # 333, 7777777: quotients with others change, too
    if isinstance(data, float):
        return (10 * digit / 9) * (1 if data >= 0 else -1)
    return data if data in keys else re.sub(r"\d", str(digit), data)


def typed_in(report: Callable[[Any], str], data: Any, allowed: Iterable[str]) -> list[str]:
    """Returns the numbers of a report that stay the same, whatever the data are."""
    keys = frozenset(keys_of(data))
    names = sorted((name for name in {*keys, *allowed} if re.search(r"\d", name)), key=len, reverse=True)
    renders = []
    for digit in (3, 7):
        text = report(changed(data, digit, keys))
        for name in names:
            if not name.isdigit():
                text = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", "", text)
        renders.append(re.findall(r"[^\s|]*\d[^\s|]*", text))
    first, second = renders
    assert len(first) == len(second) > 50
    return [a for a, b in zip(first, second, strict=True) if a == b and re.search("[1-9]", a)]


def labels(*tables: Mapping[str, Any]) -> list[str]:
    return [label for table in tables for label in table]


def test_the_papers() -> None:
    data = paper.read_data()
    assert all(data.values()), "a step has no committed results"
    claims = [text for claim in PEERS_PUBLISHED.values() for text in (claim.title, f"published {claim.said}")]
    counted = [f"{len(data['ablations'][space]['architectures'])} architectures" for space in ("rnn", "bert")]
    columns = list(paper._rnn_columns().values())
    allowed = [*NAMES, *claims, *counted, *columns, f"Below {paper._LOW}"]
    assert typed_in(paper.report, data, allowed) == []


def test_the_minis(monkeypatch: pytest.MonkeyPatch) -> None:
    data = mini.read_data()
    pilot, runs = data["pilot"], data["searches"]["runs"]
    counted = [f"{len(pilot['cells'])} cells", *(f"best of {len(run['losses'])} of" for run in runs)]
    # seeds are counted in the list, so no number stands for them
    without = [f"{a} of {b} seeds" for b in range(1, len(runs) + 1) for a in range(b + 1)]
    allowed = [*NAMES, *counted, *without]
    assert typed_in(mini.report, data, allowed) == []


def test_the_systems() -> None:
    """Beside names, what stays is what the code sets: budgets, pairs, initialisations, levels."""
    settings = {*map(str, AT), str(PAIRS), str(len(TABLES) * len(POOLS)), "nsga2", "nsga3", "(1.05,", "1.05).", ".05)."}
    settings |= {f"{len(probes)}{mark}" for probes in PROBES.values() for mark in ",."}
    settings |= {word for claim in CLAIMS for word in claim.said.split() if re.search(r"\d", word)}
    assert set(typed_in(systems.report, systems.read_data(), NAMES)) <= settings


def test_the_proxies() -> None:
    data = proxies.read_data()
    claims = [claim for table in PUBLISHED.values() for said, _ in table.values() for claim in said]
    said = [f"{proxies._said(claim.tau)} / {proxies._said(claim.rho)}" for claim in claims]
    differs = [text for table in PUBLISHED.values() for _, text in table.values()]
    settings = ["sample of 500 cells", "2,000 cells", "99th percentile", "up to .1", "at most 10%", "SHA-256"]
    formulas = [one["text"] for table in data["evolved"].values() for one in table["formulas"]]
    runs = [run for run in data["survival"]["runs"] if run["method"] == "drawing"]
    trainings = sum(len(run["losses"]) for run in runs)
    # trainings and seeds are counted in the lists, so no number stands for them
    settings += [f"{count} of {trainings}" for count in range(trainings + 1)]
    settings += [f"{count} of {len(runs)} seeds" for count in range(len(runs) + 1)]
    settings += [f"{len(runs)} seeds", *(f"best of {k}" for k in FINALISTS)]
    allowed = [*NAMES, *said, *differs, *settings, *SOURCES, *SOURCES.values(), *formulas, "Coates 2025"]
    assert typed_in(proxies.report, data, allowed) == []


def test_a_number_typed_into_the_prose_is_found() -> None:
    data = {"tau": 0.5, "count": 3, "label_1": "seed 1"}

    def report(found: Mapping[str, Any]) -> str:
        numbers = " ".join(f"{found['tau']:.2f} {found['count']} {found['label_1']} label_1" for _ in range(20))
        return f"a third, .94 of 491 and {numbers}"

    assert typed_in(report, data, []) == [".94", "491"]


@pytest.mark.parametrize("module", [mini, paper, proxies, queries, systems])
def test_the_committed_report_is_what_the_committed_numbers_give(module: Any) -> None:
    assert module.report(module.read_data()) == (module.RESULTS / "report.md").read_text(encoding="utf-8")


def test_a_step_that_was_not_run_is_named() -> None:
    data = {**paper.read_data(), "costs": None}
    assert "*Step costs was not run.*" in paper.report(data)
    assert json.dumps(data)
