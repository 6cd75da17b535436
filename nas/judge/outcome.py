"""The outcome of a search: its result, its regret beside that of simpler searches, and how well its proxies ranked.

Functions of plain data: which architectures were scored, which truths were asked for, and a benchmark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nas.judge.statistics import Agreement, agreement, best_so_far, random_regret, ranked_regret, resamples_of
from nas.truth.benchmarks.base import Benchmark, Entry

__all__ = ["Asked", "Rated", "Regrets", "agreements", "best_reachable", "by_fitness", "find", "regrets"]

_ROUNDING = 1e-9  # of costs, which are sums of shares


class Rated(NamedTuple):
    """One architecture that a search scored: its fitness and all its scores by label, None for a failure."""

    architecture: Any
    fitness: float | None
    scores: Mapping[str, float | None]


class Asked(NamedTuple):
    """One truth that a search asked for; without an entry ``reason`` says why, where it was trained and diverged.

    Attributes:
        fidelity: share of the training protocol after which the value was taken; below 1 there is no entry.
        value: after that share, in the benchmark's unit; None where it diverged or nothing is known.
        cost: in trainings; 0 where nothing is known.
    """

    architecture: Any
    fitness: float
    entry: Entry | None
    reason: str
    fidelity: float = 1.0
    value: float | None = None
    cost: float = 1.0


@dataclass(frozen=True)
class Regrets:
    """Best regret after each training's worth of queries, beside random search and the largest by parameters.

    The unit is one whole training. A truth at a share of the protocol costs what it adds to the architecture's
    earlier shares, and gives no regret; only a truth after the whole protocol does. A cost that is not whole is
    rounded up, so the baselines never have less than the search. A training that diverged is a query too, here or in
    the table, and so it is for random search and for the largest, which draw from all that were trained. None: no
    query so far has a truth.

    Attributes:
        best_so_far: of the queries in the order made.
        over_ties: the mean over the orders of tied scores: where the last query is drawn from several architectures of
            the same score, ``best_so_far`` is one such order. None where the queries were not chosen by fitness alone.
        random: expected for random search.
        parameters: expected for the largest by parameters; None where they are not known.
        pool: architectures with a truth that the two draw from.
        best_in_pool: the least regret among them.
    """

    best_so_far: list[float | None]
    over_ties: list[float | None] | None
    random: list[float | None]
    parameters: list[float | None] | None
    pool: int
    best_in_pool: float | None


def by_fitness(rated: Sequence[Rated], asked: Sequence[Asked]) -> bool:
    """Returns whether the truths asked for are whole ones of the best by fitness, best first, and of nothing else.

    That is what ``verify=k`` asks for. A searcher that chooses its queries by the truths it heard asks for others.
    """
    best = sorted((one.fitness for one in rated if one.fitness is not None), reverse=True)
    return all(one.fidelity >= 1 for one in asked) and [one.fitness for one in asked] == best[: len(asked)]


def find(
    rated: Sequence[Rated],
    asked: Sequence[Asked],
    sign: float,
    fitness: str,
    preferred: tuple[int, str] | None = None,
) -> tuple[int | None, str]:
    """Returns the place in ``rated`` of the architecture that a search found, and by what it was chosen.

    With whole truths asked for it is the one with the best among them; with truths at shares of the protocol only, the
    best of those at the largest share; else the best by its scores, and where truths were asked for, the reason tells
    that their trainings failed.

    Args:
        sign: +1 where higher values are better, else -1.
        fitness: label of the fitness, for the reason.
        preferred: the place of the best by its scores and how it was chosen; None: the highest fitness (ties: the
            earlier).
    """
    places = {one.architecture.key: i for i, one in enumerate(rated)}
    known = {one.architecture.key: sign * one.entry.value for one in asked if one.entry is not None}
    if known:
        chosen = "verified" if by_fitness(rated, asked) else "asked for"
        if any(one.fidelity < 1 for one in asked):
            chosen = "trained to the end"
        return places[max(known, key=lambda key: known[key])], f"best truth of the {len(known)} {chosen}"
    share = max((one.fidelity for one in asked if one.value is not None), default=None)
    if share is not None:
        early = {
            one.architecture.key: sign * one.value for one in asked if one.fidelity == share and one.value is not None
        }
        return (
            places[max(early, key=lambda key: early[key])],
            f"best of the {len(early)} trained to a share of {share:g}, none was trained to the end",
        )
    failed = ""
    if asked and all(one.reason for one in asked):
        trainings = "the training" if len(asked) == 1 else f"all {len(asked)} trainings"
        failed = f"; {trainings} asked for failed"
    if preferred is not None:
        return preferred[0], f"{preferred[1]}{failed}"
    valid = [(one.fitness, -i) for i, one in enumerate(rated) if one.fitness is not None]
    return (-max(valid)[1], f"best {fitness}{failed}") if valid else (None, "no architecture has a score")


def regrets(
    rated: Sequence[Rated],
    asked: Sequence[Asked],
    benchmark: Benchmark,
    obeys: Callable[[Any], bool],
    size: Callable[[Any], int] | None,
    pool: Sequence[Any] | None = None,
) -> Regrets | None:
    """Returns the regret of the truths that were asked for and of the baselines, or None where none was.

    Args:
        obeys: whether an architecture obeys the reduction that the search was under. The baselines of an open search
            draw from the table's members that do, so that they have what the reduction gives, too.
        size: parameters of an architecture; None where the space does not know them.
        pool: members of a closed pool; None for the open space.
    """
    k = _units(sum(one.cost for one in asked))
    if not k:
        return None
    if pool is None:
        entries = [entry for entry in benchmark.entries if obeys(entry.architecture)]
        without = [one.architecture for one in benchmark.diverged.values() if obeys(one.architecture)]
    else:
        entries, without = [benchmark.by_key[architecture.key] for architecture in pool], []
    behind = [benchmark.standing(entry.value).regret for entry in entries]
    largest: list[float] | None = None
    if size is not None:
        sizes = [size(architecture) for architecture in [*(entry.architecture for entry in entries), *without]]
        largest = ranked_regret(sizes, behind + [math.inf] * len(without), k)
    return Regrets(
        _finite(best_so_far(_by_cost(asked, benchmark, k))),
        _over_ties(rated, asked, benchmark, k) if by_fitness(rated, asked) else None,
        _finite(random_regret(behind, k, len(without))),
        None if largest is None else _finite(largest),
        len(entries),
        min(behind, default=None),
    )


def _units(cost: float) -> int:
    return math.ceil(cost - _ROUNDING)


def _by_cost(asked: Sequence[Asked], benchmark: Benchmark, units: int) -> list[float]:
    """Returns the best regret of the whole truths that each unit of cost brought, infinite for none."""
    brought, spent = [math.inf] * units, 0.0
    for one in asked:
        spent += one.cost
        if one.entry is not None:
            at = max(_units(spent), 1) - 1
            brought[at] = min(brought[at], benchmark.place(one.entry).regret)
    return brought


def _over_ties(rated: Sequence[Rated], asked: Sequence[Asked], benchmark: Benchmark, units: int) -> list[float | None]:
    diverged = {*benchmark.diverged, *(one.architecture.key for one in asked if one.reason)}
    seen = [
        (one.fitness, math.inf if entry is None else benchmark.place(entry).regret)
        for one in rated
        if one.fitness is not None
        and ((entry := benchmark.lookup(one.architecture)) is not None or one.architecture.key in diverged)
    ]
    return _finite(ranked_regret([fitness for fitness, _ in seen], [regret for _, regret in seen], units))


def _finite(curve: Sequence[float]) -> list[float | None]:
    return [None if math.isinf(regret) else regret for regret in curve]


def best_reachable(benchmark: Benchmark, can_return: Callable[[Any], bool]) -> Entry | None:
    """Returns the best entry that a search could have returned, or None where the table holds none."""
    entries = [entry for entry in benchmark.entries if can_return(entry.architecture)]
    return max(entries, key=lambda entry: benchmark.sign * entry.value, default=None)


def agreements(rated: Sequence[Rated], labels: Sequence[str], benchmark: Benchmark) -> dict[str, Agreement]:
    """Returns how each label's scores agree with the truth, over the table's architectures that the search scored.

    What was trained for this search takes no part: it was trained because it scored best, and an agreement over
    architectures that were selected by one of its two sides says little of the others. The table's own were not, be
    they verified or not. Failures are left out; labels with fewer than three architectures are, too.
    """
    found = {}
    for label in labels:
        pairs = [
            (score, benchmark.sign * entry.value)
            for one in rated
            if (entry := benchmark.by_key.get(one.architecture.key)) is not None
            and (score := one.scores[label]) is not None
        ]
        resamples = resamples_of(max(1, len(pairs)), most=300)
        judged = agreement([score for score, _ in pairs], [value for _, value in pairs], resamples)
        if judged is not None:
            found[label] = judged
    return found
