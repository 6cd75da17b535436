"""A resumed search does not propose again what its journal holds in whole rounds, and goes on as if it had."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import spaces
from nas import search as searchers
from nas.core.errors import ZeronasError
from nas.engine.journal import Journal
from nas.engine.pools import SpacePool
from nas.engine.run import search
from nas.engine.trials import PROXIES, Evaluation, Trial
from proxies.base import Score
from spaces.rnn import Cell

SPACE = spaces.get("rnn")
BATCH = 4


class Sizes:
    """Scores a cell by its number of nodes; cells of five have none."""

    labels = ("nodes",)

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        for place, trial in reversed(list(enumerate(trials))):  # as workers may
            nodes = len(trial.architecture.nodes)
            score = Score(None, "five nodes") if nodes == 5 else Score(float(nodes))
            yield place, Evaluation(trial.key, {"nodes": score}, 0.5, {"pass": 0.25})


def ran(folder: Path, budget: int, name: str) -> tuple[list[Any], int, int]:
    """Returns what a search was told, what its table would hold, and how many it proposed and was spared."""
    options = {"population": 6, "tournament": 3} if name == "evolution" else {}
    searcher = searchers.get(name, SpacePool(SPACE), 3, **options)
    proposed, propose = [0], searcher._propose

    def counting() -> Any:
        proposed[0] += 1
        return propose()

    searcher._propose = counting  # type: ignore[method-assign]
    with Journal(folder, {"a": 1}) as journal:
        results, _ = search(searcher, {PROXIES: Sizes()}, journal, {PROXIES: budget}, BATCH, SPACE.restored)
        assert all(journal.known[result.trial.id].scores == result.scores for result in results)
    told = [(result.key, SPACE.format(result.architecture), result.scores, result.cost) for result in results]
    return told, proposed[0], searcher._draws


@pytest.mark.parametrize("name", ["evolution", "random"])
def test_whole_rounds_are_not_proposed_again(tmp_path: Path, name: str) -> None:
    whole, _, draws = ran(tmp_path / "whole", 41, name)
    first, proposed, _ = ran(tmp_path / "parts", 26, name)
    assert len(first) == proposed == 26
    again, proposed, _ = ran(tmp_path / "parts", 26, name)
    assert again == first and proposed == 0
    longer, proposed, drawn = ran(tmp_path / "parts", 41, name)  # the seventh round was cut short: asked anew
    assert longer == whole and proposed == 41 - 24 and drawn == draws
    shorter, proposed, _ = ran(tmp_path / "parts", 15, name)
    assert shorter == whole[:15] and proposed == 0


def test_a_round_with_a_gap_is_asked_again(tmp_path: Path) -> None:
    whole, _, _ = ran(tmp_path, 30, "evolution")
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if json.loads(line)["asked"] != [3, 1]))
    again, proposed, _ = ran(tmp_path, 30, "evolution")
    assert again == whole and proposed == 30 - 3 * BATCH
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_journal_of_an_earlier_version_is_asked_again(tmp_path: Path) -> None:
    whole, _, _ = ran(tmp_path, 30, "evolution")
    path = tmp_path / "journal.jsonl"
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    plain = [{key: value for key, value in one.items() if key not in ("asked", "crc")} for one in records]
    path.write_text("".join(json.dumps(one) + "\n" for one in plain), encoding="utf-8")
    assert ran(tmp_path, 30, "evolution")[:2] == (whole, 30)


def test_any_flipped_bit_of_a_line_is_found(tmp_path: Path) -> None:
    ran(tmp_path, 1, "random")
    path = tmp_path / "journal.jsonl"
    line = path.read_bytes()
    for at in range(0, len(line) - 1, 7):
        path.write_bytes(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :])
        with pytest.raises(ZeronasError, match=r"Line 1 of .* is (damaged|of another run)"):
            Journal(tmp_path, {"a": 1})


def test_a_restored_cell_is_the_one_that_was_written() -> None:
    cell = SPACE.known["LSTM"]
    again = SPACE.restored(SPACE.format(cell).encode(), cell.key)
    assert isinstance(again, Cell) and again == cell and again.key == cell.key and again.nodes == cell.nodes
