"""The plots of a run, as PNG files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.errors import ZeronasError, printable
from nas.core.options import shown
from nas.report.layout import laid_out

__all__ = [
    "BASELINES",
    "COLOURS",
    "draw_architecture",
    "draw_graph",
    "linear_within",
    "regret_curves",
    "save",
    "scatter",
    "subplots",
]

#: one colour per series, readable in grey and for colour-blind readers (Okabe-Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: labels of curves that are baselines, drawn dashed
BASELINES = ("random search (expected)", "parameters, largest first")


def subplots(columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 4.6) -> tuple[Any, np.ndarray]:
    """Returns a figure and its axes (rows, columns), drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.ravel():
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Any, path: Path) -> Path:
    """Writes a figure (150 dpi where it has dots) without a time stamp, the same bytes each time, and returns its path.

    Names of columns, of architectures and of folders are the user's own: what a font has no letter for, such as an
    escape character, is spelt out, and a dollar begins no formula.

    Raises:
        ZeronasError: the folder cannot be written.
    """
    import matplotlib

    stamps = {".png": {"Software": None}, ".svg": {"Date": None}}
    legends = [*figure.legends, *(legend for ax in figure.axes if (legend := ax.get_legend()) is not None)]
    for text in [
        *figure.texts,
        *(text for ax in figure.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)),
        *(text for legend in legends for text in legend.get_texts()),
    ]:
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        text.set_parse_math(False)
    try:
        with matplotlib.rc_context({"svg.hashsalt": "zeronas"}):  # names of its parts would be random
            figure.savefig(path, dpi=150, metadata=stamps.get(path.suffix))
    except OSError as error:
        raise ZeronasError(
            f"{shown(str(path), 200)} cannot be written ({error.strerror}); choose another folder."
        ) from None
    except ValueError as error:
        raise ZeronasError(f"{shown(str(path), 200)} cannot be drawn ({' '.join(str(error).split())}).") from None
    return path


def linear_within(values: np.ndarray) -> float | None:
    """Returns how far a symmetric log axis is linear for values that span many decades, None where it needs no log."""
    sizes = np.abs(values[values != 0])
    if len(sizes) < 3 or float(sizes.max() / np.quantile(sizes, 0.05)) <= 300:
        return None
    return float(np.quantile(sizes, 0.02))


def scatter(
    path: Path,
    scores: Sequence[float],
    truth: Sequence[float],
    x_label: str,
    y_label: str,
    title: str,
    marked: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Plots truth against proxy score, one dot per architecture.

    Args:
        scores: x; a symmetric log axis is used where they span many decades.
        truth: y, in the benchmark's unit.
        marked: label -> point to point out.
    """
    figure, axes = subplots()
    ax = axes[0, 0]
    x, y = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    ax.scatter(x, y, s=9, alpha=0.45, linewidths=0, color=COLOURS[0])
    if (within := linear_within(x)) is not None:
        ax.set_xscale("symlog", linthresh=within)
    for (label, (at, value)), marker in zip((marked or {}).items(), "*D^v", strict=False):
        ax.scatter([at], [value], s=130, marker=marker, color=COLOURS[1], edgecolors="black", zorder=3, label=label)
    if marked:
        ax.legend(frameon=True, framealpha=0.85)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(title, fontsize=11)
    return save(figure, path)


def regret_curves(
    path: Path,
    curves: Mapping[str, Sequence[float]],
    unit: str,
    title: str,
    errors: Mapping[str, Sequence[float]] | None = None,
    queries: str = "truth queries",
) -> Path:
    """Plots best-so-far regret against the number of truth queries, one line per method.

    Args:
        curves: label -> regret after 1, 2, .. queries.
        unit: of the regret.
        errors: label -> standard error at each query, drawn as a band.
        queries: what a query is, on the axis.
    """
    figure, axes = subplots()
    ax = axes[0, 0]
    longest = max((len(curve) for curve in curves.values()), default=1)
    for i, (label, curve) in enumerate(curves.items()):
        baseline = label.startswith(BASELINES)
        colour = COLOURS[i % len(COLOURS)]
        x, y = np.arange(1, len(curve) + 1), np.asarray(curve, dtype=float)
        ax.plot(x, y, "--" if baseline else "-", marker="o", markersize=4, color=colour, label=label)
        if errors and label in errors:
            band = np.asarray(errors[label], dtype=float)
            ax.fill_between(x, np.clip(y - band, 0, None), y + band, color=colour, alpha=0.18, linewidth=0)
    ax.set_xlim(0.7, longest + 0.3)
    ax.set_ylim(bottom=0)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel(queries)
    ax.set_ylabel(f"regret of the best so far ({unit})")
    ax.set_title(title, fontsize=11)
    ax.legend(fontsize=9)
    return save(figure, path)


def draw_architecture(path: Path, graph: Any, title: str) -> Path:
    """Draws an architecture's graph from its sources (top) to its outputs (bottom).

    Args:
        graph: as ``draw_graph``.
    """
    rows = Counter(y for _, y in laid_out(graph).place.values())
    figure, axes = subplots(width=max(4.0, 1.75 * max(rows.values()) + 1), height=0.95 * len(rows) + 0.8)
    draw_graph(axes[0, 0], graph, title)
    return save(figure, path)


def draw_graph(ax: Any, graph: Any, title: str) -> None:
    """Draws an architecture's graph into axes, from its sources (top) to its outputs (bottom).

    Args:
        graph: networkx.DiGraph with node attribute ``op`` and, where the order of inputs matters, edge attribute
            ``position``.
    """
    drawn = laid_out(graph)
    place = drawn.place
    ax.axis("off")
    texts = drawn.texts
    for u, v in graph.edges:
        skips = abs(place[u][1] - place[v][1]) > 1
        bend = 0.22 if skips and abs(place[u][0] - place[v][0]) < 0.4 else 0.0
        ax.annotate(
            "",
            xy=place[v],
            xytext=place[u],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#555555",
                "shrinkA": 14 + 6 * texts[u].count("\n"),
                "shrinkB": 14 + 6 * texts[v].count("\n"),
                "connectionstyle": f"arc3,rad={bend}",
            },
        )
        if (u, v) in drawn.marks:
            (x0, y0), (x1, y1) = place[u], place[v]
            ax.text(x0 + 0.68 * (x1 - x0), y0 + 0.68 * (y1 - y0), drawn.marks[u, v], fontsize=8, color=COLOURS[1])
    for node, (x, y) in place.items():
        fill = "#E8F1F8" if node in drawn.sources else "#FBE6D6" if node in drawn.outputs else "#FFFFFF"
        ax.text(
            x,
            y,
            texts[node],
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": "#333333"},
        )
    xs, ys = zip(*place.values(), strict=True)
    ax.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    ax.set_ylim(min(ys) - 0.5, max(ys) + 0.5)
    ax.set_title(title, fontsize=11)
