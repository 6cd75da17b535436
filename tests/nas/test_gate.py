"""The gate: two-sided, with the well-known cells inside, its reasons counted, its bounds kept with the run."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proxies
import spaces
from experiments.commands import search as app
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.engine.evaluate import Evaluator, Scorer
from nas.engine.gate import Bounds, Gate, Gated, GateSettings, statistics
from nas.engine.trials import Evaluation, Trial
from proxies.base import Score
from spaces.base import Space
from spaces.rnn import parse_cell

SPACE = spaces.get("rnn")
SETTINGS = GateSettings("sampler", draws=200)

#: its state is a product of five numbers below one
VANISHING = parse_cell(
    {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "activation_tanh", "input": ["a"]},
        "c": {"op": "elementwise_prod", "input": ["a", "b"]},
        "d": {"op": "elementwise_prod", "input": ["c", "b"]},
        "e": {"op": "elementwise_prod", "input": ["d", "c"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["e", "d"]},
    }
)
#: every step makes the state about five times as large: 5^12 after those of the micro probe
EXPLODING = parse_cell(
    {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "elementwise_sum", "input": ["a", "h_prev_0"]},
        "c": {"op": "elementwise_sum", "input": ["b", "h_prev_0"]},
        "d": {"op": "elementwise_sum", "input": ["c", "b"]},
        "h_new_0": {"op": "elementwise_sum", "input": ["d", "c"]},
    }
)


def scorer(seed: int = 0, **probe: Any) -> Scorer:
    made = SPACE.make_probe(probe)
    return Scorer(SPACE, made, {"h": proxies.get("hidden_covariance"), **statistics(SPACE, made)}, seed)


def gate(scoring: Scorer, settings: GateSettings = SETTINGS, space: Space[Any] = SPACE) -> Gate:
    labels = [label for label in scoring.proxies if label.startswith("gate:")]
    return Gate.of(Evaluator(scoring), labels, space, scoring.seed, settings)


@pytest.fixture(scope="module")
def micro() -> tuple[Scorer, Gate]:
    scoring = scorer()
    return scoring, gate(scoring)


def test_states_that_vanish_and_states_that_explode_are_refused(micro: tuple[Scorer, Gate]) -> None:
    scoring, made = micro
    for cell, reason in ((VANISHING, "state_size_1 too small"), (EXPLODING, "state_size_1 too large")):
        raw = scoring(cell)
        assert raw.scores["h"].value is not None  # the proxy itself sees nothing wrong
        ((place, judged),) = Gated(Evaluator(scoring), made).answer([Trial(cell)])
        assert place == 0 and judged.scores["h"] == Score(None, f"outside the gate: {reason}")
        rest = {label: score for label, score in raw.scores.items() if label != "h"}
        assert {label: score for label, score in judged.scores.items() if label != "h"} == rest
        assert list(judged.scores) == list(raw.scores) == list(scoring.proxies)


def test_most_of_the_sampler_passes_and_is_left_as_it_is(micro: tuple[Scorer, Gate]) -> None:
    scoring, made = micro
    fresh = [SPACE.sample(seeds.generator(1, "fresh", i)) for i in range(100)]
    passed = 0
    for raw in map(scoring, fresh):
        judged = made.judged(raw)
        passed += not made.refusal(raw.scores)
        assert made.refusal(raw.scores) or judged == raw
    assert passed >= 80  # of 1,000 at 500 draws, 929


@pytest.mark.parametrize("hidden", [(64,), (64, 64, 64)])
def test_known_cells_are_inside_whatever_the_draws(hidden: tuple[int, ...]) -> None:
    """Also where the draws alone would exclude them: a quarter is cut at each end, and the LSTM's states are small."""
    widened = 0
    for seed in range(20):
        scoring = scorer(seed, hidden=list(hidden))
        made = gate(scoring, GateSettings("sampler", tail=0.25, draws=20))
        assert len(made.bounds) == len(hidden) + 1 and made.known == ("RNN", "LSTM", "GRU")
        for cell in SPACE.known.values():
            scores = scoring(cell).scores
            assert made.refusal(scores) == ""
            widened += any(scores[label].value in (one.lower, one.upper) for label, one in made.bounds.items())
    assert widened >= 20


def test_what_the_reduction_forbids_widens_nothing() -> None:
    space = SPACE.reduce({"hidden_states": 1, "parameters": {"max": 8_000_000}})
    scoring = scorer()
    assert gate(scoring, GateSettings("sampler", draws=20), space).known == tuple(
        name for name, cell in SPACE.known.items() if space.contains(cell)
    )


class Told:
    """A measure that answers what it was told, whatever is asked."""

    labels = ("h", "gate:a", "gate:b")

    def __init__(self, values: Sequence[tuple[float | None, float | None]]) -> None:
        self.values = values
        self.asked: list[str] = []

    def answer(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Evaluation]]:
        for place, trial in reversed(list(enumerate(trials))):
            self.asked.append(trial.architecture.key)
            a, b = (Score(v, "" if v is not None else "overflow") for v in self.values[trial.architecture.number])
            yield place, Evaluation(trial.architecture.key, {"h": Score(1.0), "gate:a": a, "gate:b": b}, 0.0)


class Numbers:
    """A space whose draws are numbered, every tenth one the first again; it knows one that is never drawn."""

    def __init__(self, known: int | None = None) -> None:
        self.drawn = -1
        self.known = {} if known is None else {"special": self._number(known)}

    def _number(self, at: int) -> Any:
        return type("Number", (), {"key": f"n{at}", "number": at})

    def contains(self, architecture: Any) -> bool:
        return True

    def sample(self, rng: np.random.Generator) -> Any:
        self.drawn += 1
        return self._number(0 if self.drawn % 10 == 9 else self.drawn)


def test_bounds_are_the_quantiles_of_the_draws_and_widened_to_the_known() -> None:
    """Twenty draws, of which two are the first again: 0, 1, .. 8, 0, 10, .. 18, 0."""
    values: list[tuple[float | None, float | None]] = [(float(i), None if i in (2, 3) else 0.5) for i in range(19)]
    measure, settings = Told([*values, (40.0, 0.25)]), GateSettings("sampler", tail=0.1, draws=20)
    plain = Gate.of(measure, ["gate:a", "gate:b"], Numbers(), 0, settings)  # type: ignore[arg-type]
    drawn = sorted([*range(9), *range(10, 19), 0, 0])
    lower, upper = np.quantile(drawn, [0.1, 0.9])
    assert plain.bounds["gate:a"] == Bounds(lower, upper, 2 if lower > 0 else 0, 2, 0)
    assert plain.bounds["gate:b"] == Bounds(0.5, 0.5, 0, 0, 2)
    assert len(measure.asked) == len(set(measure.asked)) == 18  # none is measured twice
    refused = Counter(plain.refusal(scores) for scores in _scores_of(measure, drawn))
    assert plain.outside == 20 - refused[""] and refused["outside the gate: b has no value (overflow)"] == 2
    wide = Gate.of(measure, ["gate:a", "gate:b"], Numbers(known=19), 0, settings)  # type: ignore[arg-type]
    assert wide.bounds["gate:a"] == Bounds(lower, 40.0, plain.bounds["gate:a"].too_small, 0, 0)
    assert wide.bounds["gate:b"].lower == 0.25 and wide.known == ("special",)


def _scores_of(measure: Told, drawn: Sequence[int]) -> Iterator[Any]:
    for number in drawn:
        ((_, evaluation),) = measure.answer([Trial(type("N", (), {"key": f"n{number}", "number": number}))])
        yield evaluation.scores


def test_without_any_value_there_are_no_bounds() -> None:
    measure = Told([(1.0, None)] * 20)
    with pytest.raises(ZeronasError) as error:
        Gate.of(measure, ["gate:a", "gate:b"], Numbers(), 0, GateSettings("sampler", draws=20))  # type: ignore[arg-type]
    assert str(error.value) == (
        "The gate has no bounds: none of 20 draws has a value of 'gate:b' (overflow); use gate=none."
    )


def test_a_failure_keeps_its_reason_and_the_machines_failures_stay_the_machines() -> None:
    made = Gate({"gate:a": Bounds(0.0, 1.0, 0, 0, 0)}, 20, 0, ())

    def judged(h: Score, a: Score) -> Score:
        return made.judged(Evaluation("k", {"h": h, "gate:a": a}, 0.0)).scores["h"]

    assert judged(Score(3.0), Score(1.0)) == judged(Score(3.0), Score(0.0)) == Score(3.0)
    assert judged(Score(None, "constant units"), Score(7.0)) == Score(None, "constant units")
    assert judged(Score(3.0), Score(None, "overflow")) == Score(None, "outside the gate: a has no value (overflow)")
    assert judged(Score(3.0), Score(None, "time-out")) == Score(None, "time-out")  # it is tried again


def test_bounds_are_read_as_they_were_written(micro: tuple[Scorer, Gate], tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    assert Gate.read(path, "this") is None
    micro[1].write(path, "this")
    assert Gate.read(path, "this") == micro[1] and Gate.read(path, "another") is None
    path.write_text(path.read_text(encoding="utf-8").replace('"lower"', '"lowest"', 1), encoding="utf-8")
    with pytest.raises(ZeronasError, match=r"gate\.json' is damaged; remove it, and its bounds are computed again\.$"):
        Gate.read(path, "this")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


SMALL = ["benchmark=none", "gate=sampler", "gate.draws=100", "region=sampler", "region.draws=100"]


def test_evolution_finds_nothing_outside_gate_and_region(tmp_path: Path, composed: Any) -> None:
    overrides = ("budget=300", "searcher.population=30", "searcher.tournament=10", "region.share=0.5")
    results = app.run(composed("search", f"run.dir={tmp_path}", *SMALL, *overrides))
    bounds = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))["statistics"]
    assert list(bounds) == ["state_size_1", "input_gradient"]
    inside, refused, found = 0, Counter[str](), rows(tmp_path)
    for row in found:
        values = {name: row[f"gate:{name}"] for name in bounds}
        within = all(
            values[name] and one["lower"] <= float(values[name]) <= one["upper"] for name, one in bounds.items()
        )
        inside += within
        if not within:
            assert row["hidden_covariance"] == "" and row["key"] != results["found"]["key"]
            refused[row["failure"].split("; ")[0].removeprefix("hidden_covariance: ")] += 1
    assert len(found) == 300 and 0 < inside < 300
    assert results["gate"]["refused"] == 300 - inside
    outside = {reason: count for reason, count in refused.items() if reason.startswith("outside the gate: ")}
    assert outside and {reason: results["failures"][reason] for reason in outside} == outside
    region = results["region"]
    assert region["turned_away"] > 0 and region["held"] >= region["share"] == 0.5
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert f"- gate: {300 - inside} of 300 scored architectures were rejected; of the " in summary
    assert f"- region: {region['turned_away']:,} proposals were rejected as too unlike random" in summary


def test_gate_and_region_of_bert(tmp_path: Path, composed: Any) -> None:
    overrides = ("gate.draws=20", "gate.tail=0.2", "budget=20", "searcher=random", "++reduction.layers=2")
    tiny = ("++reduction.hidden_size=128", "probe.bert.batch=3", "probe.bert.steps=4", "probe.bert.vocabulary=50")
    chosen = composed("search", f"run.dir={tmp_path}", "space=bert", *SMALL, *overrides, *tiny)
    results = app.run(chosen)
    assert list(results["gate"]["statistics"]) == ["state_size_1", "state_size_2", "input_gradient"]
    assert results["gate"]["known"] == [] and 0 < results["gate"]["refused"] < 20
    assert set(results["failures"]) <= {
        f"outside the gate: {name} too {end}" for name in results["gate"]["statistics"] for end in ("small", "large")
    }


def test_a_gate_needs_statistics_of_the_space() -> None:
    with pytest.raises(ZeronasError) as error:
        statistics(spaces.get("stack"), spaces.get("stack").make_probe())
    assert str(error.value) == "gate=sampler needs statistics to look at, but space 'stack' names none; use gate=none."
