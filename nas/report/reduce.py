"""The answer of a reduction: the implied rule, how it does where it was not fitted, and what each feature does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from nas.core.errors import printable
from nas.core.files import number, write_csv, write_json, write_text
from nas.judge import random_regret
from nas.judge.reduction import PICKS, Fit, Step
from nas.report.plots import COLOURS, save
from nas.report.tables import markdown_table
from nas.truth.benchmarks import Benchmark
from spaces.rules import Rule

__all__ = ["answer", "conditions_of", "overrides_of", "write"]

_HEADER = [
    *("feature", "value", "n", "mean", "sd", "standard_error", "effect", "residual", "residual_error"),
    *("p", "p_holm", "residual_p", "residual_p_holm", "in_rule"),
]


def conditions_of(rule: Rule) -> dict[str, Any]:
    """Returns a rule as ``reduction=`` reads it: single values bare, whole numbers whole, no infinite bounds."""
    found: dict[str, Any] = {}
    for name, condition in rule.to_json().items():
        if isinstance(condition, list):
            found[name] = condition[0] if len(condition) == 1 else condition
        else:
            ends = {end: value for end, value in condition.items() if math.isfinite(value)}
            found[name] = {end: int(value) if value == int(value) else value for end, value in ends.items()}
    return found


def overrides_of(conditions: Mapping[str, Any]) -> str:
    """Returns a rule as command-line settings."""
    words = []
    for name, condition in conditions.items():
        if isinstance(condition, Mapping):
            inner = ",".join(f"{end}:{value}" for end, value in condition.items())
            words.append(f"'reduction.{name}={{{inner}}}'")
        elif isinstance(condition, list):
            words.append(f"'reduction.{name}=[{','.join(map(str, condition))}]'")
        else:
            words.append(f"reduction.{name}={condition}")
    return " ".join(words)


def _says(name: str, condition: Any) -> str:
    if isinstance(condition, Mapping):
        low, high = (f"{condition[end]:,}" if end in condition else None for end in ("min", "max"))
        return f"{name} of at least {low}" if high is None else f"{name} {f'{low} to' if low else 'up to'} {high}"
    if isinstance(condition, list):
        return f"{name} one of {', '.join(map(str, condition))}"
    return f"{name}={condition}"


def answer(results: Mapping[str, Any], fitted: Fit) -> list[str]:
    """Returns the first lines of the summary: the rule, and how it does where it was not fitted."""
    unit, halves = results["benchmark"]["unit"], results["halves"]
    fitted_on = f"the fitting half ({halves['fitting']:,} architectures)"
    if not results["rule"]:
        lines = [f"Implied rule: none. No restriction of any feature qualifies on {fitted_on}; nothing is reduced."]
        return lines + _refusal(fitted, unit)
    lines = [
        "Implied rule: " + "; ".join(_says(*item) for item in results["rule"].items()) + f". Fitted on {fitted_on}."
    ]
    result, whole = results["testing"]["implied"], results["testing"]["implied"]["whole"]
    reduced = result["reduced"]
    if reduced is None:
        return [
            *lines,
            f"It keeps none of the other half ({halves['testing']:,} architectures), so it cannot be judged.",
        ]
    lines.append(
        f"On the other half ({halves['testing']:,} architectures, not looked at before) it keeps {reduced['n']:,} "
        f"({reduced['n'] / whole['n']:.1%}), {_part(result['top_tenth'])} of the top 10% and "
        f"{_part(result['top_quarter'])} of the top quarter."
    )
    lines.append(
        f"There the mean goes from {number(whole['mean'])} to {number(reduced['mean'])} {unit} "
        f"({number(result['gain'], 3)} ± {number(result['gain_error'], 2)} better); the expected best of 5 random "
        f"picks from {number(whole['best_of'][5])} to {number(reduced['best_of'][5])}."
    )
    if "implied" in results["members"]:
        sizes = results["members"]
        lines.append(f"The space has {sizes['whole']:,} members, the reduced space {sizes['implied']:,}.")
    if results["rules"].get("paper") == results["rule"]:
        lines.append("It is the published rule (reduction=paper).")
    return lines + _refusal(fitted, unit)


def _part(share: float) -> str:
    return "all" if share == 1 else f"{share:.1%}"


def _refusal(fitted: Fit, unit: str) -> list[str]:
    step = fitted.next
    if step is None:
        return []
    return [
        f"The nearest {'further ' * bool(fitted.steps)}restriction, {_says(step.feature, step.condition)} "
        f"(gain {number(step.gain, 3)} {unit}), was refused: {step.refused}."
    ]


def write(
    folder: Path,
    results: dict[str, Any],
    fitted: Fit,
    values: np.ndarray,
    kept: np.ndarray,
    benchmark: Benchmark,
) -> None:
    """Writes summary.md, features.csv, results.json, reduction.yaml and reduction.png into the run folder.

    Args:
        results: what results.json holds, but for the effects of the features.
        values: of the testing half (n,), in the benchmark's unit.
        kept: which of them the implied rule keeps (n,).
    """
    write_csv(folder / "features.csv", _HEADER, _feature_rows(fitted, benchmark.sign))
    _plot(folder / "reduction.png", fitted, values, kept, benchmark)
    comment = f"# The space {results['space']}, reduced by `zeronas reduce` on half of {benchmark.name}.\n"
    rule = results["whole_rule"]
    write_text(folder / "reduction.yaml", comment + OmegaConf.to_yaml(OmegaConf.create(rule)))
    write_text(folder / "summary.md", _summary(results, fitted, benchmark))
    write_json(folder / "results.json", {**results, "effects": _effects(fitted, benchmark.sign)})


def _feature_rows(fitted: Fit, sign: float) -> list[list[Any]]:
    rows = []
    for e in fitted.effects:
        tests = [e.p, e.p_holm, e.residual_p, e.residual_p_holm, e.name in fitted.conditions]
        for x in e.levels:
            errors = [None if math.isnan(v) else v for v in (x.error, x.residual_error)]
            size = [x.n, sign * x.mean, x.sd, errors[0], x.effect, x.residual, errors[1]]
            rows.append([e.name, str(x.level), *size, *tests])
    return rows


def _effects(fitted: Fit, sign: float) -> list[dict[str, Any]]:
    return [dict(zip(_HEADER, row, strict=True)) for row in _feature_rows(fitted, sign)]


def _summary(results: Mapping[str, Any], fitted: Fit, benchmark: Benchmark) -> str:
    unit, better = benchmark.unit, "higher" if benchmark.higher_is_better else "lower"
    lines = [f"# Reduction of the space {results['space']} after {benchmark.name}", ""]
    for line in answer(results, fitted):
        lines += [line, ""]
    if results["reduction"]:
        said = "; ".join(_says(*item) for item in results["reduction"].items())
        lines += [f"The analysis is inside the reduction in force: {said}. reduction.yaml combines both.", ""]
    lines += [f"Truth: {benchmark.metric}, {unit}, {better} is better. Effects and gains: + is better.", ""]
    if results["whole_rule"]:
        lines += [
            "## Use it",
            "",
            "On the command line of search, rank or reduce:",
            "",
            f"    zeronas search space={results['space']} {results['command_line']}",
            "",
            "or copy reduction.yaml to FOLDER/reduction/mine.yaml:",
            "",
            f"    zeronas search --config-dir FOLDER space={results['space']} reduction=mine",
            "",
        ]
    lines += ["## How the rule was found", ""]
    lines += markdown_table(
        ["restriction", f"gain ({unit})", "gain (sd of those left)", "p (Holm)", "members", ""],
        [_step_row(step, "taken") for step in fitted.steps]
        + [_step_row(step, f"refused: {step.refused}") for step in [fitted.next] if step is not None],
    )
    lines.append("")
    titles = {
        "testing": "The testing half: not looked at when the rule was fitted",
        "whole_table": "The whole table" + ": PARTLY FITTED, half of it chose the implied rule" * bool(results["rule"]),
    }
    for key, title in titles.items():
        lines += [f"## {title}", "", *_outcome_table(results, key, unit)]
    if "paper" in results["rules"]:
        lines += [
            "The paper's rule ("
            + "; ".join(_says(*item) for item in results["rules"]["paper"].items())
            + ") was chosen "
            "by its authors on the whole table, so neither half is unseen for it.",
            "",
        ]
    lines += ["## Features, on the fitting half", ""]
    lines += markdown_table(
        ["feature", "value", "n", "mean ± s.e.", "sd", "effect", "residual ± s.e.", "p (Holm)", "residual p (Holm)"],
        _feature_table(fitted, benchmark.sign),
    )
    lines += [
        "",
        f"All {fitted.members:,}: mean {number(benchmark.sign * fitted.mean)}, sd {number(fitted.sd)} {unit}. "
        "Features of layers count every layer once; their standard errors take an architecture's layers as one cluster "
        "and their tests take an architecture as one observation. Numbers with many values are binned at their "
        "quartiles. Residual: the effect within the cells of the features in the rule (without the feature itself), so "
        "that these do not leak into it. p: F-tests that the levels differ, corrected over all features; features "
        "that are built from each other (a count of layers and what is counted) are not independent findings.",
        "",
    ]
    return "\n".join(lines)


def _step_row(step: Step, verdict: str) -> list[str]:
    counts = f"{step.before:,} to {step.after:,}"
    gain = [f"+{number(step.gain, 3)}", f"+{step.gain_in_sd:.2f}", f"{step.p_holm:.2g}"]
    return [_says(step.feature, step.condition), *gain, counts, verdict]


def _outcome_table(results: Mapping[str, Any], key: str, unit: str) -> list[str]:
    outcomes = results[key]
    rows = [_spread_row("whole", next(iter(outcomes.values()))["whole"], ["100%", "100%"])]
    for name, found in outcomes.items():
        label = f"{name} rule"
        if name == "implied" and not results["rule"]:
            continue
        if found["reduced"] is None:
            rows.append([label, "0", *["n/a"] * 8, "0%", "0%"])
            continue
        tops = [f"{found[share]:.1%}" for share in ("top_tenth", "top_quarter")]
        rows.append(_spread_row(label, found["reduced"], tops))
    header = ["", "n", f"mean ({unit})", "sd", "min", "median", "max"]
    picks = [f"best of {k}" for k in PICKS]
    table = markdown_table([*header, *picks, "of the top 10%", "of the top quarter"], rows)
    return [*table, "", "best of k: expected best of k random picks, exact.", ""]


def _spread_row(label: str, spread: Mapping[str, Any], tops: Sequence[str]) -> list[str]:
    numbers = [number(spread[key]) for key in ("mean", "sd", "min", "median", "max")]
    return [label, f"{spread['n']:,}", *numbers, *(number(v) for v in spread["best_of"].values()), *tops]


def _feature_table(fitted: Fit, sign: float) -> list[list[str]]:
    rows = []
    for e in fitted.effects:
        mark = " (in the rule)" if e.name in fitted.conditions else ""
        for i, x in enumerate(e.levels):
            first = [f"{e.name}{mark}", f"{e.p_holm:.2g}", f"{e.residual_p_holm:.2g}"] if i == 0 else ["", "", ""]
            measured = [f"{number(sign * x.mean)} ± {number(x.error, 2)}", number(x.sd, 3), _signed(x.effect)]
            residual = f"{_signed(x.residual)} ± {number(x.residual_error, 2)}"
            rows.append([first[0], str(x.level), f"{x.n:,}", *measured, residual, *first[1:]])
    return rows


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _plot(path: Path, fitted: Fit, values: np.ndarray, kept: np.ndarray, benchmark: Benchmark) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    count = sum(len(e.levels) for e in fitted.effects)
    figure = Figure(figsize=(13, max(6.5, 0.23 * count + 1.5)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["effects", "truth"], ["effects", "best"]], width_ratios=[1.25, 1])
    for ax in axes.values():
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    _plot_effects(axes["effects"], fitted, benchmark)
    sets = {f"whole (n={len(values):,})": values}
    if fitted.conditions and kept.any():
        sets[f"reduced (n={int(kept.sum()):,})"] = values[kept]
    direction = "higher" if benchmark.higher_is_better else "lower"
    edges = np.linspace(values.min(), values.max(), 41)
    ax = axes["truth"]
    for (label, part), colour in zip(sets.items(), COLOURS, strict=False):
        ax.hist(part, bins=edges.tolist(), color=colour, alpha=0.55, label=label)
    ax.set_title("truth on the testing half", fontsize=11)
    ax.set_xlabel(f"{benchmark.metric}\n({benchmark.unit}, {direction} is better)")
    ax.set_ylabel("architectures")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    ax = axes["best"]
    for (label, part), colour in zip(sets.items(), COLOURS, strict=False):
        best = float((benchmark.sign * part).max())
        curve = benchmark.sign * (best - np.array(random_regret(best - benchmark.sign * part, 30)))
        ax.plot(np.arange(1, len(curve) + 1), curve, "o-", markersize=3, color=colour, label=label)
    ax.set_title("expected best of k random picks, testing half", fontsize=11)
    ax.set_xlabel("k")
    ax.set_ylabel(f"{benchmark.unit} ({direction} is better)")
    ax.legend()
    save(figure, path)


def _plot_effects(ax: Any, fitted: Fit, benchmark: Benchmark) -> None:
    labels, places, y = [], [], 0.0
    series: dict[str, list[tuple[float, float, float]]] = {"effect": [], "residual": []}
    for i, e in enumerate(fitted.effects):
        height = len(e.levels)
        if i % 2 == 0:
            ax.axhspan(y - 0.6, y + height - 0.4, color="#000000", alpha=0.045, linewidth=0)
        for x in e.levels:
            labels.append(f"{e.name} {x.level} (n={x.n:,})" if len(str(x.level)) < 12 else f"{e.name} {x.level}")
            places.append(y)
            series["effect"].append((y - 0.14, x.effect, x.error))
            series["residual"].append((y + 0.14, x.residual, x.residual_error))
            y += 1
        y += 0.2
    names = {"effect": "effect ± s.e.", "residual": "within the cells of the rule's features ± s.e."}
    for (name, points), colour, marker in zip(series.items(), COLOURS, "os", strict=False):
        if name == "residual" and not fitted.conditions:
            continue
        at, centre, error = (np.array(column) for column in zip(*points, strict=True))
        ax.errorbar(
            centre, at, xerr=np.nan_to_num(error), fmt=marker, markersize=4, color=colour, capsize=2, label=names[name]
        )
    ax.axvline(0, color="#555555", linewidth=0.8)
    ax.set_yticks(places, list(map(printable, labels)), fontsize=8, parse_math=False)
    ax.set_ylim(y - 0.2, -0.8)
    ax.set_xlabel(f"difference from the mean ({benchmark.unit}; right is better)")
    ax.set_title(f"features on the fitting half of {benchmark.name}", fontsize=11)
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9, frameon=False)
