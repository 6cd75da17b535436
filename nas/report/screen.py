"""The answer of a screening: summary.md, table.csv, results.json and a histogram in the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError
from nas.core.files import command_line, number, versions, write_csv, write_json, write_text
from nas.engine.screen import Screen, drawn, fingerprint
from nas.report import plots
from nas.report.tables import markdown_table
from nas.settings import ScreenSettings, Settings

__all__ = ["lines", "report"]

_SHARES = (0.0, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0)


def report(
    folder: Path, settings: Settings[ScreenSettings], screen: Screen, scored: int, wall: float
) -> dict[str, Any]:
    """Writes everything into the run folder and returns what results.json holds.

    Args:
        scored: draws of this session.
        wall: seconds of this session.

    Raises:
        ZeronasError: a draw is not the architecture that was scored: the folder was changed.
    """
    benchmark, space = settings.benchmark, settings.space
    rows, best = [], screen.best(settings.given.top)
    for place, at in enumerate(best, 1):
        architecture = drawn(space, settings.seed, at)
        if fingerprint(architecture.key) != int(screen.keys[at]):
            raise ZeronasError(
                f"Draw {at} is not the architecture that '{folder}' holds the scores of; use fresh=true to start over."
            )
        truth = None if benchmark is None else benchmark.truth(architecture, 1.0)
        counts = space.counts(architecture)
        rows.append(
            [
                *(place, at, architecture.key, *screen.scores[at].tolist(), counts.parameters),
                *(None if truth is None else truth.value, json.dumps(space.readable(architecture).to_json())),
            ]
        )
    header = ["place", "draw", "key", *screen.labels, "parameters", "truth", "architecture"]
    write_csv(folder / "table.csv", header, rows)
    fitness = screen.scores[:, 0]
    valid = fitness[np.isfinite(fitness)]
    results: dict[str, Any] = {
        "command": "screen",
        "space": space.name,
        "reduction": space.rule.to_json(),
        "proxies": list(screen.labels),
        "fitness": screen.labels[0],
        "seed": settings.seed,
        "draws": screen.count,
        "distinct": len(np.unique(screen.keys)),
        "failures": dict(screen.failures),
        "quantiles": dict(zip(map(str, _SHARES), np.quantile(valid, _SHARES), strict=True)) if len(valid) else {},
        "kept": len(rows),
        "truths": sum(row[-2] is not None for row in rows),
        "benchmark": None if benchmark is None else benchmark.name,
        "found": None
        if not rows
        else {**dict(zip(header, rows[0], strict=True)), "architecture": json.loads(rows[0][-1])},
        "scored": scored,
        "seconds": {"wall": wall},
        "command_line": command_line(),
        "config": settings.config,
        "versions": versions(),
    }
    _histogram(valid, screen.labels[0], folder / "scores.png")
    write_text(folder / "summary.md", _summary(results, header, rows))
    write_json(folder / "results.json", results)
    return results


def lines(results: Mapping[str, Any]) -> list[str]:
    """Returns what the command prints."""
    failed = ", ".join(f"{count:,} {reason}" for reason, count in results["failures"].items()) or "none"
    found = [f"draws: {results['draws']:,}, of them {results['distinct']:,} distinct architectures; failures: {failed}"]
    if results["found"] is None:
        return [*found, "found: nothing, as every draw failed"]
    quantiles = results["quantiles"]
    median, high = (number(quantiles[share]) for share in ("0.5", "0.999"))
    one = results["found"]
    return [
        *found,
        f"{results['fitness']}: {number(quantiles['1.0'])} at best, {high} (99.9%), {median} (median)",
        f"best: {one['key']}, draw {one['draw']:,}, {one['parameters']:,} parameters"
        + ("" if one["truth"] is None else f", truth {number(one['truth'])} ({results['benchmark']})"),
    ]


def _found(header: list[str], rows: list[list[Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    return {**dict(zip(header, rows[0], strict=True)), "architecture": json.loads(rows[0][-1])}


def _summary(results: Mapping[str, Any], header: list[str], rows: list[list[Any]]) -> str:
    shown = [[number(cell) if isinstance(cell, float) else cell for cell in row[:-1]] for row in rows[:20]]
    shown = [["" if cell is None else str(cell) for cell in row] for row in shown]
    body = [
        f"# Screening of {results['draws']:,} draws",
        "",
        *(f"- {line}" for line in lines(results)),
        "",
        f"The {min(20, len(rows))} best of {len(rows)} in table.csv:",
        "",
        *markdown_table(header[:-1], shown),
        "",
        f"`{results['command_line']}`",
    ]
    return "\n".join(body) + "\n"


def _histogram(values: np.ndarray, label: str, path: Path) -> None:
    """Draws how many draws have which score; the lowest hundredth is left out of the axis."""
    figure, axes = plots.subplots()
    ax = axes.flat[0]
    if len(values):
        low, high = np.quantile(values, 0.01), values.max()
        ax.hist(values[values >= low], bins=100, range=(low, high) if high > low else None, color="tab:blue")
        ax.set_yscale("log")
    ax.set_xlabel(label)
    ax.set_ylabel("draws")
    plots.save(figure, path)
