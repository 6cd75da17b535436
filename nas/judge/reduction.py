"""Qualitative search-space reduction: which named features the truth depends on, and the reduced space they imply.

Fitted on one half of a benchmark and judged on the other, so that what it promises was not picked for its luck.

Source: the qualitative analysis of Serianni & Kalita (ACL 2023, arXiv 2306.00288), which shrinks FlexiBERT to its
best configurations. They read the features off by eye; here each step is a test and a threshold.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.judge import random_regret
from nas.judge.effects import f_test, holm
from spaces.rules import Feature, Rule

__all__ = [
    "PICKS",
    "Effect",
    "Effects",
    "Fit",
    "Level",
    "Outcome",
    "Spread",
    "Step",
    "Table",
    "fit",
    "half",
    "levels_of",
    "outcome",
]

#: how many random picks the best is expected of
PICKS = (1, 5, 10)
#: a number with more distinct values than this is binned at its quartiles
_MOST_VALUES = 6
_FEWEST = 20


def half(key: str) -> str:
    """Returns "fitting" or "testing": the half of the benchmark that an architecture's key belongs to.

    It depends on the first hexadecimal digit of the key's SHA-256 (even or odd), so it needs no seed and never changes.
    ``experiments.mini.pilot.even`` splits by the last bit: the two halves are different ones, and independent of each
    other.
    """
    return "fitting" if int(hashlib.sha256(key.encode()).hexdigest()[0], 16) % 2 == 0 else "testing"


@dataclass(frozen=True)
class Level:
    """One value of a feature, or one bin of a number (the smallest and the largest value that fell in it)."""

    low: Any
    high: Any

    def holds(self, value: Any) -> bool:
        """Returns whether a value is of this level."""
        return bool(value == self.low or (self.low != self.high and self.low <= value <= self.high))

    def __str__(self) -> str:
        return _show(self.low) if self.low == self.high else f"{_show(self.low)} to {_show(self.high)}"


@dataclass(frozen=True)
class Effect:
    """What the truth is at one level; all in the benchmark's unit, signed so that higher is better.

    Attributes:
        n: architectures, or layers for a per-layer feature (each layer once).
        mean, sd: of the truth.
        error: standard error of the mean; layers of one architecture share its truth and count as one cluster.
        effect: mean minus the mean of all architectures, or of all layers for a per-layer feature.
        residual: the same after the mean of its cell is taken from each truth; the cells cross the levels of the
            features chosen for the rule (without this one).
        residual_error: standard error of the residual.
    """

    level: Level
    n: int
    mean: float
    sd: float
    error: float
    effect: float
    residual: float
    residual_error: float


@dataclass(frozen=True)
class Effects:
    """One feature: its levels, and F-tests that they differ (raw, and beside the chosen features).

    Attributes:
        p, p_holm: of the plain effect, and after Holm's correction over all features.
        residual_p, residual_p_holm: of the effect within the cells of the chosen features.
    """

    name: str
    levels: tuple[Effect, ...]
    p: float
    p_holm: float
    residual_p: float
    residual_p_holm: float


@dataclass(frozen=True)
class Step:
    """One restriction, taken or (as ``Fit.next``) the best one refused.

    Attributes:
        condition: what a rule allows of the feature: values or ``{min, max}``.
        gain: how much the mean truth of the members left rises, in the benchmark's unit.
        gain_in_sd: the same in standard deviations of the truth of the members left.
        p_holm: of the feature's F-test among the members left, within the cells of the features chosen before,
            corrected over the features still open.
        before, after: members of the fitting half before and after.
        refused: why not taken; empty if taken.
    """

    feature: str
    condition: Any
    gain: float
    gain_in_sd: float
    p_holm: float
    before: int
    after: int
    refused: str = ""


@dataclass(frozen=True)
class Fit:
    """The analysis of the fitting half.

    Attributes:
        conditions: the implied rule, as ``reduction=`` reads it; empty where nothing qualified.
        steps: the restrictions in the order taken.
        next: the best restriction that was refused, or None where none was left.
        effects: one entry per feature, over the whole fitting half.
    """

    conditions: dict[str, Any]
    steps: tuple[Step, ...]
    next: Step | None
    effects: tuple[Effects, ...]
    members: int
    mean: float
    sd: float


@dataclass(frozen=True)
class Table:
    """Architectures described by named features, each with its truth.

    Attributes:
        described: feature -> value (a tuple for per-layer features), one mapping per architecture.
        truth: one number per architecture, higher is better.
        specs: the features.
    """

    described: Sequence[Mapping[str, Any]]
    truth: np.ndarray
    specs: Mapping[str, Feature]

    @cached_property
    def levels(self) -> dict[str, tuple[Level, ...]]:
        """Feature -> its levels in this table, for features that vary."""
        found = {
            name: levels_of([_items(d[name]) for d in self.described], spec.choices)
            for name, spec in self.specs.items()
        }
        return {name: levels for name, levels in found.items() if len(levels) > 1}

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """Feature -> how often each architecture has each level, (architectures, levels)."""
        return {
            name: np.array(
                [[sum(level.holds(item) for item in _items(d[name])) for level in levels] for d in self.described],
                dtype=float,
            )
            for name, levels in self.levels.items()
        }

    def cells(self, features: Sequence[str], among: np.ndarray) -> np.ndarray:
        """Returns for each architecture of a mask the number of its cell: the crossed levels of some features."""
        if not features:
            return np.zeros(int(among.sum()), dtype=int)
        crossed = np.hstack([self.counts[name][among] for name in features])
        return np.unique(crossed, axis=0, return_inverse=True)[1].reshape(-1)


def levels_of(values: Sequence[Sequence[Any]], choices: Sequence[Any] | None) -> tuple[Level, ...]:
    """Returns the levels of a feature: the choices that occur, or a number's values, or its quartile bins.

    Args:
        values: one sequence per architecture (of one value, or one per layer).
        choices: the values the feature can take, or None for a number.
    """
    flat = [item for items in values for item in items]
    present = set(flat)
    if choices is not None:
        return tuple(Level(choice, choice) for choice in choices if choice in present)
    ordered = sorted(present)
    if len(ordered) <= _MOST_VALUES:
        return tuple(Level(value, value) for value in ordered)
    edges = sorted({*np.quantile(flat, [0.25, 0.5, 0.75], method="lower").tolist(), ordered[-1]})
    bins = np.searchsorted(edges, ordered)
    grouped = [[value for value, bin in zip(ordered, bins, strict=True) if bin == i] for i in range(len(edges))]
    return tuple(Level(group[0], group[-1]) for group in grouped)


def fit(table: Table, effect: float, keep: float, significance: float) -> Fit:
    """Finds the implied rule greedily and measures every feature.

    Each step takes, of the restrictions that qualify, the one that tells most of the truth's variance apart between
    the members it keeps and those it drops. (By the largest gain alone, a narrow restriction of a feature that merely
    goes along with the real one would win.) To qualify, the F-test of the feature among the members left must be
    significant after Holm's correction over the open features, the mean must rise by ``effect`` standard deviations of
    the members left, and ``keep`` of the half must remain.

    Args:
        table: the fitting half.
        effect: least gain of a step, in standard deviations of the truth of the members left.
        keep: least share of the half that the rule keeps, 0 to 1.
        significance: level of the tests.

    Raises:
        ZeronasError: fewer than 20 architectures.
    """
    n = len(table.truth)
    if n < _FEWEST:
        raise ZeronasError(f"The fitting half holds {n} architectures; the analysis needs at least {_FEWEST}.")
    left = np.ones(n, dtype=bool)
    steps: list[Step] = []
    while True:
        best = _best(table, left, [step.feature for step in steps], effect, keep, significance)
        if best is None or best.refused:
            break
        steps.append(best)
        left &= _allowed(table, {best.feature: best.condition})
    chosen = [step.feature for step in steps]
    sd = float(table.truth.std(ddof=1))
    conditions = {step.feature: step.condition for step in steps}
    return Fit(conditions, tuple(steps), best, _effects(table, chosen), n, float(table.truth.mean()), sd)


def _best(
    table: Table, left: np.ndarray, chosen: Sequence[str], effect: float, keep: float, significance: float
) -> Step | None:
    # The best that qualifies. Else the nearest: it keeps enough, fails fewest demands, and gains most.
    truth, before = table.truth[left], int(left.sum())
    mean, sd = float(truth.mean()), float(truth.std(ddof=1))
    open_features = [name for name in table.levels if name not in chosen]
    cells = table.cells(chosen, left)
    p_values = holm([_f_test(truth, table.counts[name][left], cells) for name in open_features])
    ranked: list[tuple[tuple[bool, int, float], Step]] = []
    for name, p in zip(open_features, p_values, strict=True):
        for condition in _restrictions(table, name, left):
            kept = left & _allowed(table, {name: condition})
            after = int(kept.sum())
            gain = float(table.truth[kept].mean()) - mean if after else 0.0
            if not 0 < after < before or gain <= 0 or sd == 0:
                continue
            failed = []
            if not p < significance:
                failed.append(f"not significant (p = {p:.2g} after Holm's correction)")
            if gain < effect * sd:
                failed.append(f"gains {gain / sd:.2f} standard deviations, {effect:g} are needed")
            if after < keep * len(left):
                failed.append(f"keeps {after / len(left):.1%} of the half, {keep:.0%} are needed")
            worth = gain if failed else gain * math.sqrt(after / (before - after))
            step = Step(name, condition, gain, gain / sd, p, before, after, "; ".join(failed))
            ranked.append(((after >= keep * len(left), -len(failed), worth), step))
    return max(ranked, key=lambda item: item[0])[1] if ranked else None  # ties: the first


def _restrictions(table: Table, name: str, left: np.ndarray) -> list[Any]:
    """Returns the conditions to try: the best 1, 2, .. values of a choice, every range of levels of a number."""
    levels, counts = table.levels[name], table.counts[name][left]
    present = [i for i in range(len(levels)) if counts[:, i].sum() > 0]
    if table.specs[name].choices is not None:
        means = {i: float(counts[:, i] @ table.truth[left] / counts[:, i].sum()) for i in present}
        order = sorted(present, key=lambda i: -means[i])
        subsets = [sorted(order[:size]) for size in range(1, len(order))]
        return [levels[s[0]].low if len(s) == 1 else [levels[i].low for i in s] for s in subsets]
    found: list[Any] = []
    for first in range(len(present)):
        for last in range(first, len(present)):
            ends = {}
            if first > 0:
                ends["min"] = levels[present[first]].low
            if last < len(present) - 1:
                ends["max"] = levels[present[last]].high
            if ends:
                exact = levels[present[first]].low
                found.append(exact if len(ends) == 2 and exact == ends["max"] else ends)
    return found


def _allowed(table: Table, conditions: Mapping[str, Any]) -> np.ndarray:
    rule = Rule.parse(conditions, table.specs, "fitted")
    return np.array([rule.allows(d) for d in table.described])


def _f_test(truth: np.ndarray, counts: np.ndarray, cells: np.ndarray) -> float:
    """Returns p of the partial F-test that truth depends on the shares of the levels, beside the cells.

    For a feature with one value per architecture and no cells this is one-way analysis of variance. A per-layer
    feature enters by the share of layers at each level: one observation per architecture, however many layers it has.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)  # (architectures, levels)
    return f_test(truth, shares, lambda columns: _centred(columns, cells), len(np.unique(cells))).p


def _centred(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    sizes = np.bincount(cells)
    means = np.stack([np.bincount(cells, weights=column) / sizes for column in values.T], axis=1)
    return np.asarray(values - means[cells])


def _effects(table: Table, chosen: Sequence[str]) -> tuple[Effects, ...]:
    everything = np.ones(len(table.truth), dtype=bool)
    names = list(table.levels)
    cells = {name: table.cells([other for other in chosen if other != name], everything) for name in names}
    none = np.zeros(len(table.truth), dtype=int)
    plain = [_f_test(table.truth, table.counts[name], none) for name in names]
    within = [_f_test(table.truth, table.counts[name], cells[name]) for name in names]
    found = []
    for name, p, p_holm, q, q_holm in zip(names, plain, holm(plain), within, holm(within), strict=True):
        residuals = _centred(table.truth[:, None], cells[name])[:, 0]
        levels = tuple(
            _effect(level, table.truth, residuals, table.counts[name], i) for i, level in enumerate(table.levels[name])
        )
        found.append(Effects(name, levels, p, p_holm, q, q_holm))
    return tuple(found)


def _effect(level: Level, truth: np.ndarray, residuals: np.ndarray, counts: np.ndarray, column: int) -> Effect:
    weights, all_weights = counts[:, column], counts.sum(axis=1)
    mean, sd, error = _moments(truth, weights)
    residual, _, residual_error = _moments(residuals, weights)
    overall = float(all_weights @ truth / all_weights.sum())
    return Effect(level, int(weights.sum()), mean, sd, error, mean - overall, residual, residual_error)


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    # mean, standard deviation and cluster-robust standard error, an architecture counting `weights` times
    n, clusters = float(weights.sum()), int((weights > 0).sum())
    mean = float(weights @ values / n)
    if clusters < 2:
        return mean, 0.0, math.nan
    sd = math.sqrt(float(weights @ (values - mean) ** 2) / (n - 1))
    error = math.sqrt(float(((weights * (values - mean)) ** 2).sum()) * clusters / (clusters - 1)) / n
    return mean, sd, error


@dataclass(frozen=True)
class Spread:
    """A set of truths in the benchmark's unit; ``best_of`` maps k to the expected best of k random members."""

    n: int
    mean: float
    sd: float
    min: float
    median: float
    max: float
    best_of: dict[int, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A rule's effect on a set of architectures, in the benchmark's unit.

    Attributes:
        whole, reduced: all members, and those the rule keeps (None where it keeps none).
        gain, gain_error: how much better the mean of the kept is than that of all (positive is better), and its
            standard error.
        top_tenth, top_quarter: share of the best 10% and 25% that the rule keeps, 0 to 1.
    """

    whole: Spread
    reduced: Spread | None
    gain: float
    gain_error: float
    top_tenth: float
    top_quarter: float


def outcome(values: Sequence[float] | np.ndarray, kept: Sequence[bool] | np.ndarray, sign: float) -> Outcome:
    """Compares the members that a rule keeps with all.

    Args:
        values: truth in the benchmark's unit.
        kept: one flag per value.
        sign: +1 where higher values are better, else -1.

    Raises:
        ZeronasError: there are no values.
    """
    all_values, flags = np.asarray(values, dtype=float), np.asarray(kept, dtype=bool)
    if not len(all_values):
        raise ZeronasError("There is no architecture to judge the reduction on; the testing half is empty.")
    inside, outside = sign * all_values[flags], sign * all_values[~flags]
    whole = _spread(all_values, sign)
    if not len(inside):
        return Outcome(whole, None, math.nan, math.nan, 0.0, 0.0)
    gain = float(inside.mean() - sign * whole.mean)
    error = 0.0 if not len(outside) else math.nan
    if len(inside) > 1 and len(outside) > 1:
        # the mean of all moves with both parts: gain = share dropped * (mean inside - mean outside)
        parts = [part.var(ddof=1) / len(part) for part in (inside, outside)]
        error = len(outside) / len(all_values) * math.sqrt(sum(parts))
    order = np.argsort(-sign * all_values, kind="stable")
    top = [float(flags[order[: max(1, round(share * len(order)))]].mean()) for share in (0.1, 0.25)]
    return Outcome(whole, _spread(all_values[flags], sign), gain, error, *top)


def _spread(values: np.ndarray, sign: float) -> Spread:
    best = float((sign * values).max())
    regrets = random_regret(best - sign * values, max(PICKS))
    best_of = {k: sign * (best - regrets[k - 1]) if k <= len(regrets) else None for k in PICKS}
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    low, high = float(values.min()), float(values.max())
    return Spread(len(values), float(values.mean()), sd, low, float(np.median(values)), high, best_of)


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 100_000 else str(value)
