"""The over-optimisation curve in a report: what a proxy selects, against how strongly it selects.

See ``nas.judge.selection`` for what the numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.core.files import number
from nas.judge.selection import LEAST, Selection, oracle, selection
from nas.report import plots
from nas.report.tables import markdown_table, text_table

__all__ = ["SELECTION", "best_line", "curve_lines", "curve_plot", "curve_sections", "curves", "percent"]

#: name of the figure
SELECTION = "selection.png"

_ORACLE = "(by truth)"


def curves(
    scores: Mapping[str, Sequence[float | None]], truth: Sequence[float | None], sign: float, resamples: int
) -> dict[str, Any]:
    """Returns the curves of proxies as results.json holds them, truths in the benchmark's unit.

    Without enough to tell by, they are empty, and ``why`` says what is missing.

    Args:
        scores: label -> one per architecture, None for a failure.
        truth: of the same, in the benchmark's unit, None where the training diverged.
        sign: +1 where a higher truth is better, else -1.
    """
    signed = [None if t is None else sign * t for t in truth]
    made = {label: selection(column, signed, resamples) for label, column in scores.items()}
    found = {label: _plain(one, sign) for label, one in made.items() if one is not None}
    best = oracle(signed)
    why = ""
    if best is None:
        why = f"{len(truth):,} architectures have a truth or diverged, and at least {LEAST} are needed"
        if len(truth) >= LEAST:
            why = f"all {len(truth):,} architectures diverged"
    elif not found:
        why = "no proxy scored any of the architectures with a truth"
    return {
        "pairs": len(truth),
        "diverged": sum(t is None for t in truth),
        "proxies": found,
        "oracle": None if best is None else _plain(best, sign),
        "why": why,
    }


def _plain(made: Selection, sign: float) -> dict[str, Any]:
    """Returns a curve with its truths in the benchmark's unit again."""
    data = asdict(made)
    for point in data["points"]:
        low, high = sorted(sign * end for end in point["truth_interval"])
        point |= {"truth": sign * point["truth"], "truth_interval": (low, high)}
    return data


def curve_lines(found: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Returns the table that a ranking prints, a line a proxy: percentiles of the truth at powers of ten.

    Args:
        labels: in the order of the lines; those without a curve are left out.
    """
    if found["why"]:
        return []
    shown = _decades(found["oracle"])
    header = ["best of n by", *(f"n={n:,}" for n in shown), "best n [95%]"]
    rows = [
        [label, *(percent(_at(found["proxies"][label], n)["quantile"]) for n in shown), best_n(found["proxies"][label])]
        for label in labels
        if label in found["proxies"]
    ]
    rows.append([_ORACLE, *(percent(_at(found["oracle"], n)["quantile"]) for n in shown), ""])
    title = "percentile of the truth, expected for the best by proxy of n random architectures"
    last = ", diverged ones tied last" if found["diverged"] else ""
    return [f"{title}{last}:", *text_table(header, rows, range(1, len(shown) + 1))]


def curve_sections(found: Mapping[str, Any], labels: Sequence[str], unit: str) -> list[str]:
    """Returns the section of summary.md: what it is, then a table a proxy."""
    out = ["", "## Truth against how strongly the proxy selects", ""]
    if found["why"]:
        return [*out, f"There is no curve: {found['why']}."]
    diverged = found["diverged"]
    counted = (
        f" The trainings of {diverged:,} diverged. They are tied last in the percentile and left out of the mean truth "
        "and the regret; *diverged* is the probability that the pick is one of them."
        if diverged
        else ""
    )
    out.append(
        "If the proxy picks the best of n random architectures, how good is its pick? The values are exact "
        f"expectations over all subsets of n of the {found['pairs']:,} architectures. Ties are broken at random, "
        f"and failed scores are tied last.{counted} n = 1 is random search, and *by truth* is the pick of a perfect "
        "proxy. Brackets are 95% bootstrap intervals over architectures; where n is near their number, a few "
        "architectures decide. *Best n* is where the expected percentile is highest (HedgeTune, arXiv 2506.19248): "
        f'with more candidates the pick gets worse. "More than {found["pairs"]:,}" means that it still rises at the '
        "largest n of this table."
    )
    header = ["n", "percentile [95%]", "by truth", f"truth ({unit}) [95%]", "regret"]
    header += ["diverged [95%]"] if diverged else []
    for label in labels:
        if label not in found["proxies"]:
            out += ["", f"{label}: scored none of them."]
            continue
        made = found["proxies"][label]
        rows = []
        for point, perfect in zip(made["points"], found["oracle"]["points"], strict=True):
            row = [
                f"{point['n']:,}",
                percent(point["quantile"]) + _between(point["quantile_interval"], percent),
                percent(perfect["quantile"]),
                number(point["truth"], 5) + _between(point["truth_interval"], lambda value: number(value, 5)),
                number(point["regret"], 3),
            ]
            share = percent(point["diverged"]) + "%" + _between(point["diverged_interval"], percent)
            rows.append([*row, share] if diverged else row)
        out += ["", f"**{label}**: best n {best_n(made)}", "", *markdown_table(header, rows)]
    return out


def best_line(found: Mapping[str, Any], label: str, benchmark: str) -> str:
    """Returns the curve of one proxy in a sentence."""
    made = found["proxies"][label]
    drawn = " / ".join(f"{n:,}" for n in _decades(made))
    reached = " / ".join(percent(_at(made, n)["quantile"]) for n in _decades(made))
    return (
        f"over-optimisation: expected percentile of the truth {reached} for the best by {label} of {drawn} draws, "
        f"best n {best_n(made)} (over {found['pairs']:,} draws that {benchmark} holds)"
    )


def best_n(made: Mapping[str, Any]) -> str:
    """Returns the best n with its interval, "more than N" where the data cannot tell."""
    best = made["best"]

    def told(n: int) -> str:
        return f"more than {n:,}" if n >= best["most"] else f"{n:,}"

    if best["interval"] is None:
        return told(best["n"])
    low, high = best["interval"]
    return f"{told(best['n'])} [{told(low)}, {told(high)}]"


def percent(share: float) -> str:
    """Returns a share in percent, one decimal, "n/a" for NaN."""
    return "n/a" if math.isnan(share) else f"{100 * share:.1f}"


def _between(ends: Sequence[float], form: Any) -> str:
    low, high = ends
    return "" if math.isnan(low) else f" [{form(low)}, {form(high)}]"


def _decades(made: Mapping[str, Any]) -> list[int]:
    return [point["n"] for point in made["points"] if str(point["n"]).rstrip("0") == "1"]


def _at(made: Mapping[str, Any], n: int) -> Mapping[str, Any]:
    return next(point for point in made["points"] if point["n"] == n)


def curve_plot(folder: Path, found: Mapping[str, Any], labels: Sequence[str], title: str) -> list[Path]:
    """Draws all curves into one figure, the share of diverged picks beside them where any diverged; returns its path.

    Nothing is drawn, and the list is empty, where nothing can be said.
    """
    if found["why"]:
        return []
    parts = [("quantile", "percentile of the truth of the pick")]
    parts += [("diverged", "diverged picks (%)")] if found["diverged"] else []
    figure, axes = plots.subplots(columns=len(parts))
    for ax, (of, axis) in zip(axes[0], parts, strict=True):
        for i, label in enumerate(label for label in labels if label in found["proxies"]):
            made, colour = found["proxies"][label], plots.COLOURS[i % len(plots.COLOURS)]
            n, style = [p["n"] for p in made["points"]], ("-", "-.", ":")[i // len(plots.COLOURS) % 3]
            shares = [100 * p[of] for p in made["points"]]
            ax.plot(n, shares, style, color=colour, marker="o", markersize=3, label=f"{label}, best n {best_n(made)}")
            ends = [[100 * end for end in p[f"{of}_interval"]] for p in made["points"]]
            ax.fill_between(n, [e[0] for e in ends], [e[1] for e in ends], color=colour, alpha=0.1, linewidth=0)
        perfect = found["oracle"]["points"]
        ax.plot([p["n"] for p in perfect], [100 * p[of] for p in perfect], "--", color="#555555", label=_ORACLE)
        ax.axhline(100 * perfect[0][of], color="#555555", linewidth=0.8, linestyle=":", label="random search")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
        ax.set_ylim(0, 101)
        ax.set_xlabel("n: the best by proxy of n random architectures")
        ax.set_ylabel(axis)
    axes[0, 0].legend(fontsize=7)
    figure.suptitle(title, fontsize=11)
    return [plots.save(figure, folder / SELECTION)]
