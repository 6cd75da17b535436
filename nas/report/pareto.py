"""The found front in the report of a search of several objectives; ``nas.judge.pareto`` says what the numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.files import number, write_csv
from nas.engine.trials import Result
from nas.judge.pareto import REFERENCE, Plane, non_dominated
from nas.report import plots
from nas.truth.benchmarks import Benchmark
from spaces.base import Space

__all__ = ["FILES", "pareto", "pareto_lines", "pareto_plot", "write_pareto"]

#: what is written where there is a front: its members, and the figure
FILES = ("pareto.csv", "pareto.png")

_TRUTH = ("truth", "parameters")


def pareto(
    space: Space[Any],
    front: Sequence[Result],
    aims: Mapping[str, str],
    places: Mapping[str, int],
    labels: Sequence[str],
    benchmark: Benchmark | None,
) -> dict[str, Any]:
    """Returns what results.json holds of a front.

    Args:
        front: the archive's members in order.
        aims: label of each objective -> "higher" or "lower", what is better.
        places: key -> number of the evaluation.
        labels: of the proxies.
    """
    members = []
    for result in front:
        architecture = result.architecture
        entry = None if benchmark is None else benchmark.lookup(architecture)
        members.append(
            {
                "index": places[architecture.key],
                "key": architecture.key,
                "scores": {label: result.scores[label].value for label in labels},
                "truth": None if entry is None else entry.value,
                "parameters": space.counts(architecture).parameters,
            }
        )
    found = {"objectives": dict(aims), "size": len(members), "members": members}
    # a table may not say how large its members are; then there is no second axis
    return {
        **found,
        "quality": _quality(space, members, benchmark) if benchmark is not None and space.counted else None,
    }


def _quality(space: Space[Any], members: Sequence[Mapping[str, Any]], benchmark: Benchmark) -> dict[str, Any]:
    plane = Plane(
        np.array(
            [(-benchmark.sign * e.value, space.counts(e.architecture).parameters) for e in benchmark.entries],
            dtype=float,
        )
    )
    axes = ("loss", "parameters")
    known = [(-benchmark.sign * m["truth"], m["parameters"]) for m in members if m["truth"] is not None]
    return {
        "known": len(known),
        "reference": REFERENCE,
        "bounds": {axis: ends for axis, *ends in zip(axes, plane.low, plane.high, strict=True)},
        "architectures": len(benchmark.entries),
        "front": len(plane.front),
        "best": vars(plane.best),
        "found": vars(plane.quality(np.array(known, dtype=float).reshape(-1, 2))),
    }


def write_pareto(folder: Path, found: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Writes pareto.csv: the members of the archive in the order that they joined it."""
    rows = [
        [m["index"], m["key"], *(m["scores"][label] for label in labels), m["truth"], m["parameters"]]
        for m in found["members"]
    ]
    proxies = [f"proxy {label}" if label in _TRUTH else label for label in labels]
    write_csv(folder / FILES[0], ["index", "key", *proxies, *_TRUTH], rows)


def pareto_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns the sentences of the summary; none where the search has no front."""
    found = results["pareto"]
    if found is None:
        return []
    aims = ", ".join(f"{label} ({better})" for label, better in found["objectives"].items())
    lines = [
        f"front: {found['size']:,} of the {results['evaluations']:,} scored architectures are non-dominated in "
        f"{aims or 'any objective'}"
    ]
    quality = found["quality"]
    if quality is None or not found["size"]:
        return lines
    name = results["benchmark"]["name"]
    if not quality["known"]:
        return [*lines, f"front by truth: unknown, none of them is in {name}"]
    one, best = quality["found"], quality["best"]
    at, unit = ", ".join(map(str, quality["reference"])), results["benchmark"]["unit"]
    lines.append(
        f"front by truth: {quality['known']:,} of the {found['size']:,} are in {name}; on its {unit} and "
        f"parameters, each from 0 (best) to 1 (worst of its {quality['architectures']:,}), reference point ({at}): "
        f"hypervolume {number(one['hypervolume'])} (its own front of {quality['front']:,}: "
        f"{number(best['hypervolume'])}), IGD {number(one['igd'])}, IGD+ {number(one['igd_plus'])}"
    )
    return lines


def pareto_plot(
    folder: Path, found: Mapping[str, Any] | None, space: Space[Any], benchmark: Benchmark | None, title: str
) -> list[Path]:
    """Draws truth against parameters, the benchmark's own front and the found one; no path where none is known."""
    if found is None or benchmark is None or found["quality"] is None or not found["quality"]["known"]:
        return []
    figure, axes = plots.subplots()
    ax = axes[0, 0]
    table = np.array([((space.counts(e.architecture).parameters or 0) / 1e6, e.value) for e in benchmark.entries])
    ours = np.array([(m["parameters"] / 1e6, m["truth"]) for m in found["members"] if m["truth"] is not None])
    ax.scatter(*table.T, s=8, alpha=0.35, linewidths=0, color="#888888", label=f"{benchmark.name}, all")
    signs = np.array([1.0, -benchmark.sign])
    for points, marker, colour, label in (
        (table, "D", plots.COLOURS[0], "its own front"),
        (ours, "o", plots.COLOURS[1], "the found front by truth"),
    ):
        best = points[non_dominated(points * signs)]
        best = best[np.argsort(best[:, 0])]
        ax.step(*best.T, where="post", color=colour, linewidth=1.2, marker=marker, markersize=5, label=label)
    ax.scatter(*ours.T, s=26, facecolors="none", edgecolors=plots.COLOURS[1], label="the archive")
    ax.set_xlabel("parameters (millions)")
    ax.set_ylabel(benchmark.metric)
    ax.set_title(title, fontsize=11)
    ax.legend(fontsize=9)
    return [plots.save(figure, folder / FILES[1])]
