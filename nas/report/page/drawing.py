"""Architectures as the page draws them: boxes and arrows in pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import spaces
from nas.core.errors import ZeronasError
from nas.report.layout import laid_out
from nas.report.page.runs import Run
from spaces.base import Space

__all__ = ["DRAWN", "drawing", "drawings", "said", "space_of"]

#: architectures of one run that are drawn beside their point, the best by truth
DRAWN = 100

_COLUMN, _ROW, _MARGIN, _LETTER = 112, 62, 12, 6.6


def space_of(run: Run) -> Space[Any] | None:
    """Returns the space of a run, None where it is not to be had here (a plug-in's that is not installed)."""
    made = run.results["config"]["space"]
    try:
        return spaces.get(made["name"], **{key: value for key, value in made.items() if key != "name"})
    except ZeronasError:
        return None


def drawings(run: Run, space: Space[Any] | None) -> dict[str, dict[str, Any]]:
    """Returns key -> drawing of the run's best architectures by truth, as far as its table tells what they are."""
    known = [row for row in run.rows if row.architecture and row.truth is not None]
    known.sort(key=lambda row: row.truth or 0.0, reverse=bool(run.benchmark.get("higher_is_better")))
    drawn = {row.key: drawing(space, json.loads(row.architecture)) for row in known[:DRAWN]}
    return {key: one for key, one in drawn.items() if one is not None}


def drawing(space: Space[Any] | None, architecture: Any) -> dict[str, Any] | None:
    """Returns a drawing in pixels, None where the architecture cannot be read or has no graph.

    ``size`` is (width, height); ``boxes`` are (centre x, centre y, width, height, text, kind), the kind 0 of what is
    read from outside, 2 of what is handed on, else 1; ``arrows`` are (path,) or (path, mark, x, y).

    Args:
        architecture: its JSON form, decoded.
    """
    if space is None:
        return None
    try:
        graph = space.parse(architecture).to_graph()
    except ZeronasError:
        return None
    if not len(graph):
        return None
    made = laid_out(graph)
    left, top = min(x for x, _ in made.place.values()), max(y for _, y in made.place.values())
    wide = {node: max(map(len, text.split("\n"))) * _LETTER + 16 for node, text in made.texts.items()}
    widest = max(wide.values())
    column = max(_COLUMN, widest + 14)
    boxes: dict[Any, list[Any]] = {
        node: [
            round(_MARGIN + widest / 2 + column * (x - left)),
            round(_MARGIN + 20 + _ROW * (top - y)),
            round(wide[node]),
            10 + 15 * len(made.texts[node].split("\n")),
            made.texts[node],
            0 if node in made.sources else 2 if node in made.outputs else 1,
        ]
        for node, (x, y) in made.place.items()
    }
    return {
        "size": [
            max(x + w // 2 for x, _, w, *_ in boxes.values()) + _MARGIN,
            max(y + h // 2 for _, y, _, h, *_ in boxes.values()) + _MARGIN,
        ],
        "boxes": list(boxes.values()),
        "arrows": [_arrow(boxes[u], boxes[v], made.marks.get((u, v), "")) for u, v in graph.edges],
    }


def said(space: Space[Any], architecture: Any) -> str:
    """Returns the graph of an architecture that can be drawn in words, for those who do not see the drawing."""
    graph = space.parse(architecture).to_graph()
    texts = laid_out(graph).texts
    return "; ".join(
        f"{node}: {' '.join(texts[node].split())} of {', '.join(map(str, graph.pred[node]))}"
        for node in graph
        if graph.pred[node]
    )


def _arrow(tail: Sequence[Any], head: Sequence[Any], mark: str) -> list[Any]:
    """Returns the path from the lower edge of one box to the upper edge of another, bowed where it skips rows.

    After it, where there is a mark, the mark and its place.
    """
    x0, y0, x1, y1 = tail[0], tail[1] + tail[3] // 2, head[0], head[1] - head[3] // 2 - 3
    half = (y1 - y0) // 2
    bow = 46 if y1 - y0 > _ROW and abs(x1 - x0) < 0.4 * _COLUMN else 0
    path = f"M{x0} {y0}C{x0 + bow} {y0 + half} {x1 + bow} {y1 - half} {x1} {y1}"
    return [path, mark, round(x0 + 0.8 * (x1 - x0)) + 7, y1 - 5] if mark else [path]
