"""FlexiBERT: the reader on made-up rows, and the facts of the published ones."""

import pytest

from nas.core.errors import ZeronasError
from nas.truth.benchmarks import get
from nas.truth.benchmarks.flexibert import TASKS, read_metrics, read_rows
from spaces.bert.config import parse_config
from spaces.bert.sampler import published_sample


def row(**changes):
    overrides = published_sample(1)[0].to_json()
    scores = {**{task: float(i) for i, task in enumerate(TASKS)}, "glue": 3.5}
    return {"id": 0, "completed": True, "scores": scores, "hparams": {"model_hparam_overrides": overrides}, **changes}


def test_rows_reader():
    (found,) = read_rows([row()])
    assert (found.id, found.glue, found.tasks["mnli"]) == (0, 3.5, 1.0)
    assert found.config == published_sample(1)[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": 7}, "Row 0 of .* has id 7 and completed True, expected 0 and true"),
        ({"completed": False}, "Row 0 of .* has id 0 and completed False"),
        ({"scores": {"glue": 1.0}}, "Row 0 of .* expected finite ones of glue, cola, mnli"),
        ({"scores": {**dict.fromkeys(TASKS, 1.0), "glue": 2.0}}, "GLUE score 2.0, expected the mean of its tasks, 1.0"),
    ],
)
def test_rows_reader_refuses(changes, sentence):
    with pytest.raises(ZeronasError, match=sentence):
        read_rows([row(**changes)])


def test_metrics_reader():
    assert read_metrics("ID,GLUE Score,M\n3,1.5,2\n") == {3: {"GLUE Score": 1.5, "M": 2.0}}
    for line in ("3,1.5", "3,1.5,x", "x,1,1", "3,1.5,2,9"):
        with pytest.raises(ZeronasError, match=r"Line 2 of .* is not an ID and numbers"):
            read_metrics(f"ID,GLUE Score,M\n{line}\n")
    with pytest.raises(ZeronasError, match=r"Line 3 of .* repeats ID 3"):
        read_metrics("ID,GLUE Score,M\n3,1.5,2\n3,1.5,2\n")


def test_the_published_rows(data_dir):
    bench = get("flexibert", data_dir)
    sheet = bench.datasheet
    assert (sheet.rows, sheet.kept, sheet.unique, sheet.skipped) == (500, 500, 491, {})
    assert sum(len(entry.runs) for entry in bench.entries) == 500
    assert all(len(run.published) == 15 for entry in bench.entries for run in entry.runs)
    for entry in bench.entries:
        assert entry.value == pytest.approx(sum(entry.tasks.values()) / 8, abs=1e-9)
    glue = sorted(run.value for entry in bench.entries for run in entry.runs)
    assert (round(glue[0], 2), round(glue[-1], 2), round(sum(glue) / 500, 2)) == (53.66, 75.13, 68.89)
    assert bench.standing(bench.best.value).rank == 1
    first = bench.entries[0]
    assert bench.lookup(parse_config(first.architecture.to_json())) is first
    unknown = next(config for config in published_sample(600) if config.key not in bench.by_key)
    assert bench.lookup(unknown) is None
