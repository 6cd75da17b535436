"""Genetic programming over formulas: what is drawn, what is rejected, and that a run is the same however it is cut."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas.core.errors import ZeronasError
from nas.core.lines import whole_lines
from nas.judge.formulas import CONSTANT, DUPLICATE, NOT_FINITE, TIES, Worth, judged
from nas.judge.generations import Generations
from nas.judge.statistics import tie_broken
from nas.search.formulas import Answer, Evolution, Generation, Grammar, best
from proxies.expression import Kind, Node, parse

GIVES = frozenset({"shapes", "forward", "weights", "activations"})
COUNT = 60


def grammar(chain: int = 1, longest: int = 12) -> Grammar:
    return Grammar.of(GIVES, chain, longest)


def table(of: Grammar, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns of numbers that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    return {column.text: rng.normal(size=COUNT) for column in of.columns}


def test_the_columns_are_all_totals_of_all_statistics() -> None:
    made = grammar()
    assert [node.name for node in made.groups] == ["hidden", "activations", "weights"]
    assert [node.name for node in made.sizes] == ["parameters", "flops", "depth", "width"]
    texts = [column.text for column in made.columns]
    # of 3 groups: 9 statistics of the tensors, 6 of each of their 8 transforms, 6 totals each
    assert len(texts) == len(set(texts)) == 4 + 3 * (9 + 8 * 6) * 6
    assert "sum(logdet(hidden))" in texts and "last(std(softmax(weights)))" in texts
    assert "sum(logdet(abs(hidden)))" not in texts and "sum(std(abs(abs(hidden))))" not in texts
    assert "sum(std(abs(abs(hidden))))" in [column.text for column in grammar(2).columns]
    assert len(grammar(0).columns) == 4 + 3 * 9 * 6


@pytest.mark.parametrize("chain", [0, 1, 2])
def test_what_is_drawn_crossed_and_edited_is_a_formula(chain: int) -> None:
    made, rng = grammar(chain, 40), np.random.default_rng(0)
    drawn = [made.draw(rng, Kind.NUMBER, 3) for _ in range(200)]
    assert all(made.contains(node) for node in drawn if node.size <= 40)
    children = [made.crossed(a, b, rng) for a, b in pairwise(drawn)]
    children += [made.edited(node, rng) for node in drawn for _ in range(5)]
    assert all(parse(child.text) == child for child in children)
    assert sum(made.contains(child) for child in children) > 0.5 * len(children)
    used = {part.name for node in drawn for _, part in node.parts()}
    assert used >= {"add", "divide", "log", "sum", "last", "logdet", "std", "hidden", "width"}
    assert ("softmax" in used) == (chain > 0)


def test_what_the_table_lacks_is_not_in_the_grammar() -> None:
    made = grammar(1, 5)
    for text, fits in [
        ("sum(std(abs(hidden)))", True),
        ("log(sum(std(abs(hidden))))", True),
        ("negative(log(sum(std(abs(hidden)))))", False),  # too long
        ("sum(std(abs(abs(hidden))))", False),
        ("sum(entropy(abs(hidden)))", False),
        ("sum(std(queries))", False),
    ]:
        assert made.contains(parse(text)) == fits


def test_fitness_is_tau_with_ties_broken_less_the_price_of_the_parts() -> None:
    truth = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    columns = {"depth": np.array([1.0, 1, 1, 1, 1, 2, 2, 2, 2, 2]), "width": np.arange(10.0)}
    worth = Worth(columns, truth, 0.01)
    assert worth(parse("width")).fitness == pytest.approx(1 - 0.01)
    assert worth(parse("depth")).fitness == pytest.approx(25 / 45 - 0.01)  # 25 of 45 pairs are told apart, all rightly
    assert worth(parse("negative(width)")).fitness == pytest.approx(-1 - 0.02)


def test_what_cannot_be_judged_is_rejected_with_its_reason() -> None:
    rng = np.random.default_rng(0)
    columns = {
        "depth": rng.normal(size=COUNT),
        "width": np.where(np.arange(COUNT) < COUNT / 5, np.nan, 1.0),
        "flops": np.array([1.0, *[0.0] * (COUNT - 1)]),
        "parameters": np.where(np.arange(COUNT) < 3, np.nan, rng.normal(size=COUNT)),
    }
    worth = Worth(columns, rng.normal(size=COUNT).tolist(), 0.0)

    def reason(text: str) -> str:
        return worth(parse(text)).reason

    assert worth(parse("depth")).fitness is not None
    assert reason("width") == NOT_FINITE and reason("subtract(depth, depth)") == CONSTANT and reason("flops") == TIES
    assert reason("add(depth, depth)") == DUPLICATE == reason("add(depth, subtract(depth, depth))")
    assert reason("log(flops)") == TIES and reason("divide(depth, subtract(depth, depth))") == CONSTANT
    assert worth(parse("negative(depth)")).fitness is not None  # the other way round is another formula
    assert worth(parse("parameters")).fitness is not None  # a few failures are ranked last
    # rounding makes no formula new
    assert reason("subtract(multiply(depth, depth), multiply(depth, subtract(depth, depth)))") in ("", DUPLICATE)
    assert reason("divide(multiply(depth, depth), depth)") == DUPLICATE


def test_tie_broken_is_the_mean_over_orders_of_ties() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(4, size=30).astype(float), rng.integers(20, size=30).astype(float)
    broken = [kendalltau(scores + 1e-6 * rng.permutation(30), truth).statistic for _ in range(4000)]
    assert tie_broken(scores, truth) == pytest.approx(np.mean(broken), abs=0.005)  # their deviation is below .1
    assert tie_broken(np.arange(30), truth) == pytest.approx(kendalltau(np.arange(30), truth).statistic)
    assert tie_broken(np.ones(30), truth) == 0


def test_failures_and_diverged_are_tied_last() -> None:
    tau, (low, high) = judged([3, 2, None, 1], [30, 20, None, 10], 200)
    assert tau == 1 and 0 < low <= high == 1
    tau, interval = judged([3, 2, 5, 1], [30, 20, None, 10], 0)
    assert tau == 0 and all(map(math.isnan, interval))


def evolution(worth, seed: int = 0, of: Grammar | None = None) -> Evolution:  # type: ignore[no-untyped-def]
    return Evolution(of or grammar(), worth, seed, 20, 3, 2, 0.5)


def found(generations: list[Generation]) -> list[tuple[str, float | None, str]]:
    return [(a.text, a.fitness, a.reason) for g in generations for a in g.answers]


def test_evolution_finds_what_is_there() -> None:
    """The truth is a formula of four parts; the first generation does not have it."""
    made = Grammar(("hidden", "depth"), 0, 12)
    columns = table(made)
    truth = columns["sum(logdet(hidden))"] - columns["depth"] + 0.5 * np.random.default_rng(9).normal(size=COUNT)
    ideal = tie_broken(columns["sum(logdet(hidden))"] - columns["depth"], truth)
    generations = list(evolution(Worth(columns, truth.tolist(), 0.001), of=made).generations(30))
    start, end = best(generations[:1], 1)[0].fitness, best(generations, 1)[0].fitness
    assert start is not None and end is not None and end > start + 0.1
    assert end > 0.7 * ideal
    tops = [generation.population[0].fitness or 0 for generation in generations]
    assert tops == sorted(tops)  # elites stay
    for generation in generations:
        texts = [answer.text for answer in generation.population]
        assert len(texts) == len(set(texts)) == 20 and all(made.contains(a.node) for a in generation.population)


def test_no_formula_is_asked_for_twice_and_the_seed_decides() -> None:
    truth = np.random.default_rng(1).normal(size=COUNT).tolist()

    def run(seed: int) -> list[tuple[str, float | None, str]]:
        return found(list(evolution(Worth(table(grammar()), truth, 0.001), seed).generations(4)))

    assert run(0) == run(0) != run(1)
    texts = [text for text, _, _ in run(0)]
    assert len(texts) == len(set(texts)) > 80


def test_a_small_grammar_is_exhausted() -> None:
    only = Grammar(("depth", "width"), 0, 1)
    columns = {"depth": np.arange(COUNT) * 1.0, "width": np.sin(np.arange(COUNT))}
    generations = list(evolution(Worth(columns, list(range(COUNT)), 0.0), of=only).generations(5))
    assert [g.number for g in generations] == [0] and {a.text for a in generations[0].answers} == {"depth", "width"}


def test_a_run_that_was_cut_goes_on_as_if_it_was_not(tmp_path: Path) -> None:
    truth = np.random.default_rng(1).normal(size=COUNT).tolist()
    columns = table(grammar())

    class Counted(Worth):
        asked = 0

        def __call__(self, node: Node) -> Answer:
            self.asked += 1
            return super().__call__(node)

    def run(path: Path, count: int, run: str = "r") -> tuple[list[tuple[str, float | None, str]], int]:
        worth = Counted(columns, truth, 0.001)
        with Generations(path, run, worth) as ask:
            generations = []
            for generation in evolution(ask).generations(count):
                ask.add(generation)
                generations.append(generation)
        return found(generations), worth.asked

    whole, asked = run(tmp_path / "whole", 6)
    cut = tmp_path / "cut"
    first, before = run(cut, 2)
    with cut.open("ab") as file:
        file.write(b'{"run":"r","generation":3,"formu')  # a kill
    again, after = run(cut, 6)
    assert again == whole and whole[: len(first)] == first
    assert after == asked - before
    assert whole_lines(cut) == whole_lines(tmp_path / "whole") and len(whole_lines(cut)) == 7
    assert run(cut, 6) == (whole, 0)
    with pytest.raises(ZeronasError, match=r"Line 1 of .* is damaged, or of another run; use fresh=true"):
        run(cut, 6, "other")
    cut.write_bytes(b"5\n")
    with pytest.raises(ZeronasError, match=r"Line 1 of .* is damaged"):
        run(cut, 6)
