"""The over-optimisation curve: exact over subsets, its best n, the course of a search, and the reports of both."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from experiments.commands import rank as rank_app
from experiments.commands import search as search_app
from nas.judge.course import blocks, quantiles
from nas.judge.selection import LEAST, Selection, oracle, selection, sizes
from nas.judge.statistics import random_regret, tied_last
from nas.report.selection import best_n, curves, percent
from nas.truth import benchmarks

Values = list[float | None]


def by_hand(scores: Values, truth: Values, n: int) -> tuple[float, float, float]:
    """Quantile, mean truth of those that trained and share diverged of the best of n, over all subsets one by one."""
    places = [(rank - 1) / (len(truth) - 1) for rank in tied_last(truth)]
    failed = [-math.inf if score is None else score for score in scores]
    picks: list[tuple[float, int]] = []  # chance and place of each pick
    for subset in itertools.combinations(range(len(truth)), n):
        best = max(failed[i] for i in subset)
        tied = [i for i in subset if failed[i] == best]
        picks += [(1 / len(tied), i) for i in tied]
    whole = sum(chance for chance, _ in picks)
    trained = [(chance, t) for chance, i in picks if (t := truth[i]) is not None]
    of_trained = sum(chance for chance, _ in trained)
    mean = sum(chance * t for chance, t in trained) / of_trained if of_trained else math.nan
    return sum(chance * places[i] for chance, i in picks) / whole, mean, 1 - of_trained / whole


def made(scores: Any, truth: Any, resamples: int = 0) -> Selection:
    found = selection(list(scores), list(truth), resamples)
    assert found is not None
    return found


FEW = st.one_of(st.none(), st.integers(0, 4).map(float))


@settings(max_examples=25)
@given(st.lists(st.tuples(FEW, FEW), min_size=LEAST, max_size=LEAST + 1))
def test_the_curve_is_that_of_all_subsets_one_by_one(pairs: list[tuple[float | None, float | None]]) -> None:
    scores, truth = [s for s, _ in pairs], [t for _, t in pairs]
    found = selection(scores, truth, 0)
    if found is None:
        assert all(s is None for s in scores) or all(t is None for t in truth)
        return
    assert [point.n for point in found.points] == sizes(len(pairs))
    best = max(t for t in truth if t is not None)
    for point in found.points:
        quantile, mean, diverged = by_hand(scores, truth, point.n)
        assert (point.quantile, point.diverged) == pytest.approx((quantile, diverged), abs=1e-9)
        assert point.truth == pytest.approx(mean, abs=1e-6, nan_ok=True)
        assert point.regret == pytest.approx(best - mean, abs=1e-6, nan_ok=True)
    curve = [by_hand(scores, truth, n)[0] for n in range(1, len(pairs) + 1)]
    assert found.best.n == 1 + next(i for i, value in enumerate(curve) if value > max(curve) - 1e-9)
    assert (found.pairs, found.diverged) == (len(pairs), truth.count(None))


def test_the_oracle_is_the_best_of_n_and_one_draw_is_random() -> None:
    truth = np.random.default_rng(0).normal(size=40).tolist()
    perfect = oracle(truth)
    assert perfect is not None
    behind = random_regret([max(truth) - t for t in truth], 40)
    assert [p.regret for p in perfect.points] == pytest.approx([behind[n - 1] for n in sizes(40)])
    assert [p.quantile for p in perfect.points] == pytest.approx([(40 * n - 1) / (n + 1) / 39 for n in sizes(40)])
    for scores in (truth, [-t for t in truth], [1.0] * 40, np.arange(40.0).tolist()):
        first = made(scores, truth).points[0]
        assert (first.quantile, first.truth) == pytest.approx((0.5, np.mean(truth)))
    assert perfect.best.n == perfect.best.most == 40  # it rises to the end
    flat = made([1.0] * 40, truth, 20)  # nothing is selected, so more draws are no better
    assert flat.best.n == 1 and flat.best.interval == (1, 1)
    assert [p.quantile for p in flat.points] == pytest.approx([0.5] * len(flat.points))


@pytest.mark.parametrize("good", [0.7, 0.8, 0.95])
def test_the_best_n_solves_hedgetunes_equation(good: float) -> None:
    # the truth rises with the proxy's quantile up to ``good``, and falls as fast above
    u = (np.arange(4000) + 0.5) / 4000
    truth = np.minimum(u, 2 * good - u)
    places = (tied_last(truth.tolist()) - 1) / 3999

    def slope(n: float) -> float:
        return float(np.mean(places * n * u ** (n - 1) * (1 / n + np.log(u))))

    best = made(u, truth, 30).best
    assert best.n == pytest.approx(brentq(slope, 1, 400), abs=0.51 + 0.01 * best.n)
    assert best.interval is not None and best.interval[0] <= best.n <= best.interval[1] < best.most


def test_what_the_data_cannot_tell_is_not_told() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=60)
    rising = made(truth + 0.01 * rng.normal(size=60), truth, 50)
    assert rising.best.n == 60 and best_n({"best": vars(rising.best)}).startswith("more than 60 [")
    noise = made(rng.normal(size=60), truth, 200)
    assert noise.best.interval is not None
    low, high = noise.best.interval
    assert low <= 5 and high == 60  # a control's best n may be anything
    assert selection([1.0] * 9, [1.0] * 9, 0) is None and selection([None] * 12, [1.0] * 12, 0) is None
    assert selection([1.0] * 12, [None] * 12, 0) is None
    without = made(rng.normal(size=20), rng.normal(size=20))
    assert without.best.interval is None and all(math.isnan(end) for end in without.points[3].quantile_interval)


def test_the_interval_covers_what_a_larger_sample_shows() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=20_000)
    truth = scores + 2 * rng.normal(size=20_000)
    largest = {p.n: p for p in made(scores, truth).points}
    inside = []
    for start in range(0, 20_000, 500):  # forty samples of 500
        points = made(scores[start : start + 500], truth[start : start + 500], 200).points
        inside += [
            low <= largest[p.n].quantile <= high for p in points if 1 < p.n <= 20 for low, high in [p.quantile_interval]
        ]
    # 160 intervals of four sizes; those of one sample depend on each other, so the expected 152 vary by some 10
    assert 130 <= sum(inside) <= 160


def test_a_tie_of_the_diverged_is_the_worst_and_is_no_value() -> None:
    scores = [float(i) for i in range(12)]
    truth: Values = [float(i) for i in range(10)] + [None, None]  # the proxy puts those that diverge first
    last = made(scores, truth).points[-1]
    assert (last.n, last.diverged) == (12, 1.0)
    assert last.quantile == pytest.approx(0.5 / 11) and math.isnan(last.truth) and math.isnan(last.regret)


# ------------------------------------------------------------------------------------------------- the course


def test_quantiles_are_among_the_table() -> None:
    reference: Values = [1.0, 2.0, 2.0, 3.0, None]
    of: Values = [3.0, 2.0, None, 1.0]
    assert quantiles(of, reference, [True] * 4).tolist() == [1.0, 0.625, 0.0, 0.25]
    assert quantiles([2.5, None], reference, [False] * 2).tolist() == [0.8, 0.1]
    assert quantiles(of, reference, [True] * 4)[1] == (tied_last(reference)[1] - 1) / 4


def test_blocks_follow_the_best_so_far_and_leave_out_what_was_chosen() -> None:
    scores: Values = [1.0, 3.0, None, 3.0, 5.0, 4.0]
    known: dict[int, float | None] = {0: 2.0, 1: 3.0, 3: 1.0, 4: None}
    reference: Values = [1.0, 2.0, 3.0]
    first, second, third = blocks(scores, known, reference, chosen={4}, count=3)
    assert (first.first, first.last, first.known, first.quantile) == (1, 2, 2, 0.75)
    assert (first.best, first.best_truth, first.best_quantile) == (2, 3.0, 1.0)
    assert (second.known, second.diverged, second.quantile, second.best) == (1, 0, 0.0, 2)  # the earlier of equals
    assert (third.known, third.best, third.best_known, third.best_truth, third.best_quantile) == (0, 5, True, None, 0.0)
    assert math.isnan(third.quantile)
    (failed,) = blocks([None], {}, reference)
    assert (failed.best, failed.best_known, failed.known) == (None, False, 0)
    assert blocks([], {}, reference) == []


# ------------------------------------------------------------------------------------------------- reports


def test_curves_are_in_the_benchmarks_unit() -> None:
    losses = [float(i) for i in range(12)]
    found = curves({"p": [-loss for loss in losses], "none": [None] * 12}, losses, -1.0, 30)
    last = found["proxies"]["p"]["points"][-1]
    assert (last["truth"], last["regret"]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert list(found["proxies"]) == ["p"] and found["why"] == ""
    second = found["proxies"]["p"]["points"][1]
    low, high = second["truth_interval"]
    assert low < second["truth"] < high
    few = curves({"p": [1.0] * 3}, [1.0] * 3, 1.0, 0)
    assert few["why"] == "3 architectures have a truth or diverged, and at least 10 are needed"
    assert "diverged" in curves({"p": [1.0] * 12}, [None] * 12, 1.0, 0)["why"]
    assert "no proxy scored" in curves({"p": [None] * 12}, losses, 1.0, 0)["why"]


def test_a_ranking_shows_the_curve_of_every_proxy(
    composed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ("benchmark=mini_rnn", "proxy=parameters", "resamples=20", f"run.dir={tmp_path}")
    results = rank_app.run(composed("rank", *overrides))
    table = benchmarks.get("mini_rnn")
    found = results["selection"]
    assert (found["pairs"], found["diverged"]) == (303, 73) and set(found["proxies"]) == {"parameters", "random"}
    first = found["proxies"]["parameters"]["points"][0]
    assert first["truth"] == pytest.approx(np.mean([e.value for e in table.entries]))
    assert first["diverged"] == pytest.approx(73 / 303) and first["quantile"] == pytest.approx(0.5)
    assert found["oracle"]["points"][-1]["truth"] == pytest.approx(table.best.value)
    printed = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(printed) if line.startswith("percentile of the truth"))
    assert printed[at].endswith("random architectures, diverged ones tied last:")
    assert printed[at + 1].split()[4:] == ["n=1", "n=10", "n=100", "best", "n", "[95%]"]
    assert [line.split()[0] for line in printed[at + 2 : at + 5]] == [*_by_tau(results), "(by"]
    made = {p["n"]: p for p in found["proxies"]["parameters"]["points"]}
    line = next(line for line in printed[at:] if line.startswith("parameters"))
    assert line.split()[1:4] == [percent(made[n]["quantile"]) for n in (1, 10, 100)]
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "## Truth against how strongly the proxy selects" in summary and "HedgeTune" in summary
    assert f"**parameters**: best n {best_n(found['proxies']['parameters'])}" in summary
    assert summary.count(f"| {percent(made[100]['quantile'])} [") >= 1 and "The trainings of 73 diverged" in summary
    assert "selection.png" in results["plots"]
    assert (tmp_path / "selection.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "results.json").read_text())["selection"]["oracle"]["best"]["n"] == 303


def _by_tau(results: dict[str, Any]) -> list[str]:
    return sorted(results["proxies"], key=lambda label: -results["proxies"][label]["agreement_all"]["tau"])


def test_a_short_ranking_says_why_there_is_no_curve(composed: Any, tmp_path: Path) -> None:
    results = rank_app.run(
        composed("rank", "benchmark=mini_bert", "space=bert", "proxy=parameters", "limit=6", f"run.dir={tmp_path}")
    )
    assert results["selection"]["proxies"] == {} and "selection.png" not in results["plots"]
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "There is no curve: 6 architectures have a truth or diverged, and at least 10 are needed." in summary


def searched(composed: Any, folder: Path, *overrides: str) -> tuple[dict[str, Any], str]:
    results = search_app.run(
        composed("search", "benchmark=mini_bert", "space=bert", "proxy=parameters", f"run.dir={folder}", *overrides)
    )
    return results, (folder / "summary.md").read_text(encoding="utf-8")


def test_a_search_that_draws_shows_the_best_of_n_of_its_draws(composed: Any, tmp_path: Path) -> None:
    overrides = ("pool=benchmark", "searcher=random", "budget=60")
    results, summary = searched(composed, tmp_path / "found", *overrides)
    found = results["selection"]
    table = benchmarks.get("mini_bert")
    rows = [line.split(",") for line in (tmp_path / "found" / "table.csv").read_text().splitlines()[1:]]
    expected = made([float(row[2]) for row in rows], [table.sign * table.by_key[row[1]].value for row in rows])
    got = [point["quantile"] for point in found["proxies"]["parameters"]["points"]]
    assert found["kind"] == "draws" and found["pairs"] == 60
    assert got == pytest.approx([point.quantile for point in expected.points])
    assert "- over-optimisation: expected percentile of the truth 50.0 / " in summary
    assert "draws, best n " in summary and "selection.png" in results["plots"]


def test_a_search_that_adapts_shows_its_course(composed: Any, tmp_path: Path) -> None:
    overrides = ("pool=benchmark", "searcher=evolution", "budget=60")
    results, summary = searched(composed, tmp_path / "found", *overrides)
    found = results["selection"]
    assert found["kind"] == "blocks" and [b["known"] for b in found["blocks"]] == [6] * 10
    table = benchmarks.get("mini_bert")
    rows = [line.split(",") for line in (tmp_path / "found" / "table.csv").read_text().splitlines()[1:]]
    sizes_ = [float(row[2]) for row in rows[:30]]
    best = rows[sizes_.index(max(sizes_))]
    assert found["blocks"][4]["best_truth"] == table.by_key[best[1]].value
    place = table.standing(table.by_key[best[1]].value)
    assert 100 * found["blocks"][4]["best_quantile"] == pytest.approx(place.percentile)
    assert "## Truth as the search went on" in summary and "| 25 to 30 | 6 | 0 |" in summary
    assert "- over-optimisation: percentile of the truth among mini_bert's: evaluations on average " in summary
    assert "selection.png" in results["plots"]


def test_where_nothing_is_known_a_sentence_says_so(composed: Any, tmp_path: Path) -> None:
    for name, overrides, why in (
        ("none", ("benchmark=none",), "there is no benchmark"),
        ("open", ("searcher=random", "budget=4"), "architectures have a truth or diverged, and at least 10"),
    ):
        results, summary = searched(composed, tmp_path / name, "budget=20", *overrides)
        assert why in results["selection"]["why"] and why in summary
        assert "over-optimisation" not in summary.split("## ")[0] and "selection.png" not in results["plots"]
