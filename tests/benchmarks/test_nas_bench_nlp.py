"""NAS-Bench-NLP: the readers' strictness on made-up tables, and the facts of the published ones."""

import math
import subprocess
import sys
from functools import cached_property

import pytest
from scipy.stats import kendalltau

from nas.core.errors import ZeronasError
from nas.truth.benchmarks import get, recipes
from nas.truth.benchmarks.nas_bench_nlp import NasBenchNLP, Training, read_parameters, read_results
from nas.truth.benchmarks.recipes import cell_of, locate_id, log_id
from spaces.rnn.cell import Cell
from spaces.rnn.generator import generate, named_cell

HEADER = "log name,loss,perplexity,bits per word,trainable paramters,total paramters"
AGAIN = "log name,loss,perplexity,trainable paramters,total paramters"


def log(id, number=1):
    return f"log_stats_model_{id}_2000-01-01_00-00-00_{number}.json"


def table(*lines):
    return "\n".join([HEADER, *lines]) + "\n"


# --- readers, on rows made up here


def test_parameters_reader_counts_everything_it_leaves_out():
    found = read_parameters(
        table(
            f"{log(1000003)},1.5,4.48,2.16,1000,1000",
            "logs.zip,nan,nan,nan,nan,nan",
            f"{log(1000004)},nan,nan,nan,2000,2000",
            f"{log(1000005)},inf,inf,inf,2000,2000",
            f"{log(1000006)},2.5,12.18,3.61,3000,3000{AGAIN}",
            f"{log(1000003)},nan,nan,nan,nan,nan",
            f"{log(1000003)},nan,nan,nan,nan,nan",
            AGAIN,
        )
    )
    assert [(t.log, t.parameters) for t in found.trainings] == [
        (log(1000003), 1000),
        (log(1000004), 2000),
        (log(1000005), 2000),
        (log(1000006), 3000),
    ]
    assert found.trainings[3] == Training(log(1000006), 2.5, 3000)
    assert [math.isfinite(t.loss) for t in found.trainings] == [True, False, False, True]
    assert found.recovered == [log(1000006)]
    assert found.skipped == {"not a log": 1, "empty repeat of a log": 2, "header repeated": 2}
    assert found.records == 9  # eight lines, one of them glued from two


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"{log(1000003)},1.5,4.48,2.16,1000", "Line 2 of .* has 5 fields, expected 6"),
        (f"{log(1000003)},1.5,4.48,2.16,1000,1001", "Line 2 .* parameter counts '1000' and '1001', expected one whole"),
        (f"{log(1000003)},1.5,4.48,2.16,nan,nan", "Line 2 .* parameter counts 'nan' and 'nan', expected one whole"),
        (f"{log(1000003)},big,4.48,2.16,1000,1000", "Line 2 of .* has 'big' where a number is expected"),
        ("other.zip,nan,nan,nan,nan,nan", "'other.zip' is not the name of a training's log"),
        (f"{log(1000003)},1.5,4.48,2.16,1000,1000{log(1000004)},1.5,4.48,2.16,1000,1000", "Line 2 .* has 11 fields"),
    ],
)
def test_parameters_reader_refuses_lines_of_other_shapes(line, sentence):
    with pytest.raises(ZeronasError, match=sentence):
        read_parameters(table(line))


def test_parameters_reader_refuses_a_second_row_with_values():
    with pytest.raises(ZeronasError, match=r"Line 3 of .* repeats the log"):
        read_parameters(table(*[f"{log(1000003)},1.5,4.48,2.16,1000,1000"] * 2))
    with pytest.raises(ZeronasError, match=r"begins with nothing, expected the header"):
        read_parameters("")


def test_results_reader():
    head = "log name,loss,perplexity,bits per word, Metric A,Metric B"
    (run,) = read_results(f"{head}\n{log(1000003)},1.5,4.48,2.16,1E+3,-2\n")
    assert (run.id, run.value, run.published) == (log(1000003), 1.5, {"Metric A": 1000.0, "Metric B": -2.0})
    with pytest.raises(ZeronasError, match=r"Line 2 of .* not finite"):
        read_results(f"{head}\n{log(1000003)},nan,nan,nan,1,1\n")
    with pytest.raises(ZeronasError, match=r"Line 2 of .* has 4 fields, expected 6"):
        read_results(f"{head}\n{log(1000003)},1.5,4.48,2.16\n")
    with pytest.raises(ZeronasError, match=r"Line 3 of .* repeats the log"):
        read_results(f"{head}\n" + f"{log(1000003)},1.5,4.48,2.16,1,1\n" * 2)


# --- the published tables


@pytest.fixture(scope="module")
def bench(data_dir):
    return get("nas_bench_nlp", data_dir)


def test_every_record_is_kept_or_counted(bench):
    sheet = bench.datasheet
    assert (sheet.rows, sheet.kept, sheet.unique) == (12_451, 8_794, 2_499)
    assert sheet.skipped == {
        "loss not finite": 2_310,
        "finite loss but no published metrics": 1_238,
        "not a log": 3,
        "header repeated": 6,
        "empty repeat of a log": 100,
    }
    assert sheet.kept + sum(sheet.skipped.values()) == sheet.rows


def test_entries_are_unique_cells_with_the_mean_of_their_runs(bench):
    assert len(bench.entries) == len(bench.by_key) == 2_499
    assert sum(len(entry.runs) for entry in bench.entries) == 8_794
    for entry in bench.entries[::97]:
        assert entry.value == pytest.approx(sum(run.value for run in entry.runs) / len(entry.runs), abs=1e-12)
        assert entry.architecture is cell_of(log_id(entry.runs[0].id))
        assert {cell_of(log_id(run.id)).key for run in entry.runs} == {entry.key}
        assert all(len(run.published) == 12 for run in entry.runs)


def test_parameters_by_log(bench):
    assert len(bench.parameters) == 12_342  # 12,341 whole rows and the recovered one
    assert min(bench.parameters.values()) > 4_000_000


def test_best_cell(bench):
    place = locate_id(log_id(bench.best.runs[0].id))
    assert (place.states, place.index) == (2, 1534)
    ordered = sorted(entry.value for entry in bench.entries)
    assert math.exp(ordered[0]) == pytest.approx(84.4, abs=0.05)
    assert math.exp(ordered[1]) == pytest.approx(94.6, abs=0.05)
    standing = bench.standing(bench.best.value)
    assert (standing.rank, standing.of, standing.percentile, standing.regret) == (1, 2_499, 100.0, 0.0)
    assert standing.of_runs == 8_794


def test_losses(bench):
    values = sorted(run.value for entry in bench.entries for run in entry.runs)
    assert values[0] == pytest.approx(4.4287, abs=1e-4)
    assert values[-1] == pytest.approx(10.5, abs=0.01)
    assert values[len(values) // 2] == pytest.approx(4.867, abs=1e-3)


def test_published_correlation_over_rows(bench):
    """Serianni & Kalita report 0.37 for layer 1 over all rows; 0.005 is half of its last printed digit."""
    runs = [run for entry in bench.entries for run in entry.runs]
    tau = kendalltau([run.published["Layer 1 Hidden Covariance"] for run in runs], [-run.value for run in runs])
    assert tau.statistic == pytest.approx(0.37, abs=0.005)


def test_lookup_of_cells_that_were_and_were_not_trained(bench):
    entry = bench.entries[5]
    assert bench.lookup(entry.architecture.canonical()) is entry
    assert bench.lookup(named_cell("LSTM")) is None


def test_standing_of_values_outside_the_table(bench):
    best = bench.standing(1.0)
    assert (best.rank, best.percentile, best.regret) == (1, 100.0, 0.0)
    worst = bench.standing(99.0)
    assert (worst.rank, worst.percentile, worst.rank_runs) == (2_500, 0.0, 8_795)
    with pytest.raises(ZeronasError, match=r"The value nan cannot be ranked in benchmark 'nas_bench_nlp'"):
        bench.standing(math.nan)


def test_all_finite_runs(data_dir):
    bench = get("nas_bench_nlp", data_dir, runs="all")
    assert bench.datasheet.kept == sum(len(entry.runs) for entry in bench.entries) == 10_032
    assert "finite loss but no published metrics" not in bench.datasheet.skipped
    assert bench.datasheet.kept + sum(bench.datasheet.skipped.values()) == bench.datasheet.rows
    assert bench.datasheet.unique == len(bench.by_key) > 2_499


def test_options_are_checked():
    with pytest.raises(
        ZeronasError, match=r"Unknown runs 'result' of benchmark 'nas_bench_nlp'\. Did you mean 'results'"
    ):
        get("nas_bench_nlp", runs="result")
    with pytest.raises(ZeronasError, match=r"Benchmark 'nas_bench_nlp' has no option 'run'. Did you mean 'runs'"):
        get("nas_bench_nlp", run="all")
    with pytest.raises(ZeronasError, match=r"Unknown benchmark 'nasbench_nlp'. Did you mean 'nas_bench_nlp'"):
        get("nasbench_nlp")


def test_every_cell_is_made_once_and_equal_recipes_share_one_key(data_dir, monkeypatch):
    """What makes loading quick, counted and not timed: 8,794 runs are of fewer places, and those of fewer recipes."""
    bench = NasBenchNLP(data_dir)
    ids = [log_id(run.id) for entry in bench.entries for run in entry.runs]
    places = {(place.states, place.index) for place in map(locate_id, ids) if not isinstance(place, str)}
    recipes._cell.cache_clear()
    made, keyed = [], []
    monkeypatch.setattr(recipes, "generate", lambda *at: made.append(at) or generate(*at))
    monkeypatch.setattr(recipes, "_shared", {})
    key = Cell.__dict__["key"].func
    counted = cached_property(lambda cell: keyed.append(cell.nodes) or key(cell))
    counted.__set_name__(Cell, "key")
    monkeypatch.setattr(Cell, "key", counted)
    assert [entry.key for entry in NasBenchNLP(data_dir).entries] == [entry.key for entry in bench.entries]
    assert len(made) == len(set(made)) == len(places) < len(ids)
    assert len(keyed) == len(set(keyed)) < len(places)
    recipes._cell.cache_clear()  # what was made here goes with its counters


def test_importing_is_cheap():
    heavy = "('torch', 'pydantic', 'optuna', 'pooch')"
    code = f"import sys, nas.truth.benchmarks; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
