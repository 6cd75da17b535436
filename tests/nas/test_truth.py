"""Truth at shares of the protocol: tables answer by their curves, trainings stop there and go on where they stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.core.errors import ZeronasError
from nas.engine.trials import TRUTH, Trial
from nas.truth import benchmarks
from nas.truth.benchmarks import Diverged, Entry, MiniTable, Run
from nas.truth.measures import TableTruth
from nas.truth.train import protocol as protocols
from nas.truth.train.table import Job, read_lines, train_all, value_at
from spaces.rnn import named_cell


def truth_of(name: str) -> TableTruth:
    return TableTruth(benchmarks.get(name))


@pytest.mark.parametrize("name", ["mini_rnn", "mini_bert"])
def test_a_table_answers_at_eighths_as_its_trainings_curves_say(name: str) -> None:
    table = benchmarks.get(name)
    assert isinstance(table, MiniTable)
    assert table.shares == tuple(i / 8 for i in range(1, 9))
    row = next(row for row in table.trainings if row["loss"])
    entry = table.by_key[row["key"]]
    points = dict(point.split(":") for point in row["curve"].split())
    for share in table.shares[:-1]:
        found = table.truth(entry.architecture, share)
        assert found is not None
        if len(entry.runs) == 1:
            assert found.value == float(points[str(round(share * table.protocol.steps))])
    assert table.truth(entry.architecture, 0.3) == table.truth(entry.architecture, 0.25)  # the last one before it
    full = table.truth(entry.architecture)
    assert full is not None and full.value == entry.value
    with pytest.raises(ZeronasError, match=r"has no value after a share of 0.1 of a training; the smallest share is"):
        table.truth(entry.architecture, 0.1)


def test_truth_is_signed_so_that_higher_is_better_and_failures_are_answers() -> None:
    measure = truth_of("mini_rnn")
    table = measure.benchmark
    good, bad = table.best, next(iter(table.diverged.values()))
    unknown = named_cell("LSTM") if named_cell("LSTM").key not in table.by_key else None
    answers = [e for _, e in measure.answer([Trial(a.architecture, TRUTH) for a in (good, bad)])]
    assert answers[0].scores[TRUTH].value == -good.value
    assert answers[1].scores[TRUTH].value is None and answers[1].scores[TRUTH].reason == bad.reason
    assert unknown is None and all(answer.known for answer in answers)


def test_what_diverged_late_has_a_value_early() -> None:
    table = benchmarks.get("mini_rnn")
    cell, other = named_cell("GRU"), named_cell("LSTM")
    table.__dict__["_loaded"] = [Entry("k", cell, 4.0, (Run("a", 4.0),), curve=((0.125, 6.0), (0.25, 5.0)))], None
    table.__dict__["diverged"] = {other.key: Diverged(other.key, other, "diverged: late", ((0.125, 6.5),))}
    table.__dict__["by_key"] = {cell.key: table.entries[0]}
    values = [table.truth(other, share) for share in (0.125, 0.25, 1.0)]
    assert [(t.value, t.reason) for t in values if t] == [(6.5, ""), (None, "diverged: late"), (None, "diverged: late")]


def test_the_wikitext_logs_answer_after_every_epoch(data_dir: Path) -> None:
    table = benchmarks.get("nas_bench_nlp_wikitext2", data_dir)
    entry = table.entries[0]
    early, late = table.truth(entry.architecture, 0.02), table.truth(entry.architecture, 0.98)
    assert early is not None and late is not None and early.value is not None and late.value is not None
    assert early.value > late.value and len(entry.curve) == 49


def test_a_table_without_curves_says_so(data_dir: Path) -> None:
    table = benchmarks.get("flexibert", data_dir)
    with pytest.raises(ZeronasError, match="the smallest share is 1"):
        table.truth(table.entries[0].architecture, 0.5)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_stops_early_goes_on_to_the_bit(tmp_path: Path, workers: int) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(f"w{(s + i) % 20}" for i in range(12)) for s in range(120)), encoding="utf-8")
    changes = {"steps": 16, "batch": 4, "sequence": 8, "embedding": 8, "hidden": [8], "vocabulary": 40}
    protocol = protocols.get("mini_rnn", **changes, cutoffs=[10], evaluations=4)
    cells = [named_cell("GRU"), named_cell("LSTM")]
    whole = train_all([Job(cell, protocol, 0) for cell in cells], str(text), tmp_path / "whole" / "j.jsonl")
    path = tmp_path / "parts" / "j.jsonl"
    for share in (0.25, 0.5, 1.0):
        updates = None if share == 1 else protocol.updates(share)
        records = train_all([Job(cell, protocol, 0, updates) for cell in cells], str(text), path, workers)
        for record, full in zip(records, whole, strict=True):
            found = value_at(record, updates)
            assert found == value_at(full, updates) and found is not None and found[0] is not None
    assert [record["curve"] for record in records] == [record["curve"] for record in whole]
    steps = [json.loads(line).get("updates") for line in path.read_bytes().splitlines()]
    assert steps == [4, 4, 8, 8, None, None]  # each part trained once
    assert not list((tmp_path / "parts" / "checkpoints").iterdir())
    early = train_all([Job(cell, protocol, 0, 4) for cell in cells], str(text), path, workers)
    assert [value_at(r, 4) for r in early] == [value_at(r, 4) for r in whole] and len(read_lines(path)) == 2
