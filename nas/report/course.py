"""Over-optimisation in the report of a search: the best of n of its draws, or its course where its draws adapt.

See ``nas.judge.selection`` and ``nas.judge.course`` for what the numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.core.files import number
from nas.judge.course import blocks, quantiles
from nas.judge.outcome import Asked, Rated
from nas.report import plots
from nas.report.selection import SELECTION, best_line, curve_plot, curve_sections, curves, percent
from nas.report.tables import markdown_table
from nas.truth.benchmarks import Benchmark

__all__ = ["course", "course_lines", "course_plot", "course_section"]

_RESAMPLES = 300


def course(
    rated: Sequence[Rated],
    asked: Sequence[Asked],
    labels: Sequence[str],
    benchmark: Benchmark | None,
    draws: bool,
) -> dict[str, Any]:
    """Returns what is known of the truth against selection, as results.json holds it; ``why`` says why nothing is.

    Args:
        rated: all evaluations in the order asked.
        draws: whether the search only draws at random. Then it is the curve of each proxy over what the table holds of
            its draws; what was trained for this search takes no part, since it was chosen by its score. Else it is the
            course of the search by blocks, with what was trained for it where that is the best so far.
    """
    if benchmark is None:
        return {"kind": "none", "why": "there is no benchmark"}
    table: dict[str, float | None] = {key: entry.value for key, entry in benchmark.by_key.items()}
    table |= dict.fromkeys(benchmark.diverged)
    if draws:
        held = [one for one in rated if one.architecture.key in table]
        columns = {label: [one.scores[label] for one in held] for label in labels}
        truth = [table[one.architecture.key] for one in held]
        return {"kind": "draws", **curves(columns, truth, benchmark.sign, _RESAMPLES)}
    known = table | {one.architecture.key: None for one in asked if one.reason}
    known |= {one.architecture.key: one.entry.value for one in asked if one.entry is not None}
    places = {i: known[one.architecture.key] for i, one in enumerate(rated) if one.architecture.key in known}
    chosen = {i for i in places if rated[i].architecture.key not in table}

    def signed(value: float | None) -> float | None:
        return None if value is None else benchmark.sign * value

    reference = [signed(value) for value in table.values()]
    made = blocks([one.fitness for one in rated], {i: signed(value) for i, value in places.items()}, reference, chosen)
    at = quantiles([signed(v) for v in places.values()], reference, [i not in chosen for i in places])
    why = f"none of the {len(rated):,} scored architectures has a truth in {benchmark.name}"
    return {
        "kind": "blocks",
        "table": len(table),
        "blocks": [asdict(one) | {"best_truth": signed(one.best_truth)} for one in made],
        "known": [
            {"index": i + 1, "quantile": q, "diverged": places[i] is None, "asked": i in chosen}
            for i, q in zip(places, at.tolist(), strict=True)
        ],
        "why": "" if places else why,
    }


def course_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns the sentence that a search prints; none where nothing can be said."""
    found, fitness = results["selection"], results["fitness"]
    if found["why"] or (found["kind"] == "draws" and fitness not in found["proxies"]):
        return []
    name = results["benchmark"]["name"]
    if found["kind"] == "draws":
        return [best_line(found, fitness, name)]
    means = [
        f"{percent(block['quantile'])} in {block['first']:,} to {block['last']:,} ({block['known']:,} known)"
        for block in _ends([block for block in found["blocks"] if block["known"]])
    ]
    best = [
        f"{percent(block['best_quantile'])} after {block['last']:,}"
        for block in _ends([block for block in found["blocks"] if block["best_known"]])
    ]
    told = [f"evaluations on average {', '.join(means)}"] if means else []
    told += [f"the best by {fitness} so far {', '.join(best)}"] if best else []
    return [f"over-optimisation: percentile of the truth among {name}'s: {'; '.join(told)}"] if told else []


def _ends(made: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [*made[:1], *made[1:][-1:]]


def _reached(block: Mapping[str, Any]) -> str:
    return percent(block["best_quantile"]) if block["best_known"] else "unknown"


def course_section(results: Mapping[str, Any]) -> list[str]:
    """Returns the section of summary.md."""
    found, fitness = results["selection"], results["fitness"]
    if found["kind"] == "draws":
        out = curve_sections(found, results["proxies"], results["benchmark"]["unit"])
        if results["pool"] == "space" and not found["why"]:
            out += [
                "",
                f"The curve is over those of the {results['evaluations']:,} drawn architectures that "
                f"{results['benchmark']['name']} holds. Architectures that are drawn often are over-represented.",
            ]
        return out
    out = ["", "## Truth as the search went on", ""]
    if found["why"]:
        return [*out, f"The truth over the course of the search is unknown: {found['why']}."]
    name, here = results["benchmark"]["name"], sum(one["asked"] for one in found["known"])
    asked = (
        f", {here:,} of which the search asked for; these were selected, so the column *known* leaves them out"
        if here
        else ""
    )
    out.append(
        f"Evaluations in the order asked. The truth is known of {len(found['known']):,} of {results['evaluations']:,}"
        f"{asked}. Percentiles are among the {found['table']:,} trained architectures of {name}, diverged ones tied "
        f"last. A percentile that falls while {fitness} rises is over-optimisation."
    )
    unit = results["benchmark"]["unit"]
    header = ["evaluations", "known", "diverged", "mean percentile", f"best by {fitness} so far", f"its truth ({unit})"]
    rows = [
        [
            f"{block['first']:,} to {block['last']:,}",
            f"{block['known']:,}",
            f"{block['diverged']:,}",
            percent(block["quantile"]),
            "n/a" if block["best"] is None else f"evaluation {block['best']:,}",
            _truth(block),
            _reached(block),
        ]
        for block in found["blocks"]
    ]
    return [*out, "", *markdown_table([*header, "its percentile"], rows)]


def _truth(block: Mapping[str, Any]) -> str:
    if not block["best_known"]:
        return "unknown"
    return "diverged" if block["best_truth"] is None else number(block["best_truth"], 5)


def course_plot(folder: Path, results: Mapping[str, Any]) -> list[Path]:
    """Draws the figure and returns its path; no figure, and no path, where nothing can be said."""
    found, fitness = results["selection"], results["fitness"]
    if found["why"]:
        return []
    name = results["benchmark"]["name"]
    if found["kind"] == "draws":
        title = f"{name}, {found['pairs']:,} architectures drawn: the truth of what a proxy selects"
        return curve_plot(folder, found, results["proxies"], title)
    figure, axes = plots.subplots()
    ax, made = axes[0, 0], found["blocks"]
    for diverged, marker, label in ((False, "o", "truth of an evaluation"), (True, "x", "diverged")):
        points = [one for one in found["known"] if one["diverged"] == diverged and not one["asked"]]
        if points:
            ax.scatter(
                [one["index"] for one in points],
                [100 * one["quantile"] for one in points],
                s=14, marker=marker, alpha=0.5, color=plots.COLOURS[5], label=label,
            )  # fmt: skip
    means = [((block["first"] + block["last"]) / 2, block["quantile"]) for block in made if block["known"]]
    best = [(block["last"], block["best_quantile"]) for block in made if block["best_known"]]
    for line, marker, colour, label in (
        (means, "o", plots.COLOURS[0], "mean of a block"),
        (best, "D", plots.COLOURS[1], f"best by {fitness} so far"),
    ):
        if line:
            ax.plot([x for x, _ in line], [100 * y for _, y in line], marker=marker, color=colour, label=label)
    ax.axhline(50, color="#555555", linewidth=0.8, linestyle=":", label="the table's median")
    ax.set_ylim(-1, 101)
    ax.set_xlabel("evaluations")
    ax.set_ylabel(f"percentile of the truth among {name}'s")
    ax.set_title(f"{results['searcher']}, {fitness}: truth as the search went on", fontsize=11)
    ax.legend(fontsize=8)
    return [plots.save(figure, folder / SELECTION)]
