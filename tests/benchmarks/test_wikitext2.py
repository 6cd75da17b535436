"""The WikiText-2 logs: the reader on a made-up log, and the facts of the published ones."""

import json

import pytest

from nas.core.errors import ZeronasError
from nas.truth.benchmarks import get
from nas.truth.benchmarks.recipes import locate_id
from nas.truth.benchmarks.wikitext2 import read_log
from spaces.rnn.counts import RNNSizes, parameters
from spaces.rnn.generator import named_cell

NAME = "log_stats_model_1000000_2000-01-01_00-00-00_1.json"


def made_up(**changes):
    return {
        "recepie_id": 1000000,
        "recepie": json.dumps(named_cell("RNN").to_json()),
        "num_params": 1,
        "status": "OK",
        "val_losses": [3.0] * 48 + [1.0, 2.0],
        "test_losses": [4.0] * 48 + [1.5, 2.5],
        **changes,
    }


def test_scores_of_a_log():
    log = read_log(NAME, made_up())
    assert log.scores == {"last_epoch": 2.5, "best_validation_epoch": 1.5}
    assert log.cell == named_cell("RNN")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recepie_id": 1000001}, "has the id 1000001, expected the 1000000 of its name"),
        ({"val_losses": [1.0], "test_losses": [1.0]}, "has 1 validation and 1 test losses, expected 50 of each"),
    ],
)
def test_logs_that_contradict_themselves(changes, sentence):
    with pytest.raises(ZeronasError, match=sentence):
        read_log(NAME, made_up(**changes))
    with pytest.raises(ZeronasError, match="lacks the field 'status'"):
        read_log(NAME, {key: value for key, value in made_up().items() if key != "status"})


def test_the_published_logs(data_dir):
    bench = get("nas_bench_nlp_wikitext2", data_dir)
    sheet = bench.datasheet
    assert (sheet.rows, sheet.kept, sheet.unique) == (345, 341, 263)
    assert sheet.skipped == {"training stopped: loss is nan": 4}
    names = [place for place in (locate_id(log.id) for log in bench.logs) if isinstance(place, str)]
    assert sorted(names) == ["GRU", "LSTM", "RNN"]
    assert bench.lookup(named_cell("LSTM")) is not None
    for entry in bench.entries:
        assert entry.tasks["last_epoch"] == pytest.approx(entry.value, abs=1e-12)
    sizes = RNNSizes(vocabulary=33_278)
    assert all(parameters(log.cell, sizes) == log.parameters for log in bench.logs)
