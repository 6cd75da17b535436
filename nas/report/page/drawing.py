"""Architectures as the page draws them: boxes and arrows in pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import spaces
from nas.core.errors import ZeronasError
from nas.engine.journal import architectures
from nas.report.layout import laid_out
from nas.report.page.runs import Row, Run
from spaces.base import Space

__all__ = ["DRAWING_BYTES", "arrow_path", "drawing", "drawings", "said", "space_of"]

#: what the drawings beside the points of a page may take in it, at the most; of more, the best by truth are drawn
DRAWING_BYTES = 900_000

_TRIES = 50
_COLUMN, _ROW, _MARGIN, _LETTER = 112, 62, 12, 6.6


def space_of(run: Run) -> Space[Any] | None:
    """Returns the space of a run, None where it is not to be had here (a plug-in's that is not installed)."""
    made = run.results["config"]["space"]
    try:
        return spaces.get(made["name"], **{key: value for key, value in made.items() if key != "name"})
    except ZeronasError:
        return None


def drawings(run: Run, space: Space[Any] | None, room: int) -> dict[str, Any]:
    """Returns the drawings of architectures that have a point in a chart, the best by truth first, while there is room.

    ``texts`` are (text, width, height) of boxes; ``of`` is the place of a row -> (boxes, arrows, marks): four numbers a
    box, which are centre x, centre y, place of its text and kind; two an arrow, the places of its boxes; and
    (place of the arrow, mark, x, y).

    Args:
        room: bytes.
    """
    known = [i for i, row in enumerate(run.rows) if row.truth is not None and any(map(_is_there, row.scores.values()))]
    known.sort(key=lambda i: run.rows[i].truth or 0.0, reverse=run.higher_is_better)
    forms = _forms(run, [run.rows[i] for i in known]) if space is not None else {}
    texts: dict[tuple[str, int, int], int] = {}
    made: dict[str, Any] = {}
    for tried, i in enumerate(known):
        if tried == _TRIES and not made:  # architectures of this space have no graph
            break
        one = drawing(space, _decoded(forms.get(run.rows[i].key)))
        if one is None or not one["arrows"]:  # one box says no more than the name
            continue
        before = len(texts)
        short = _short(one, texts)
        room -= len(json.dumps([*list(texts)[before:], short], separators=(",", ":"))) + 10
        if room < 0:
            break
        made[str(i)] = short
    return {"texts": list(texts), "of": made}


def _is_there(score: float | None) -> bool:
    return score is not None


def _decoded(form: str | bytes | None) -> Any:
    """Returns what a JSON text holds, None for what is no JSON, such as an edited cell of a table."""
    try:
        return None if form is None else json.loads(form)
    except (ValueError, RecursionError):
        return None


def _forms(run: Run, rows: Sequence[Row]) -> Mapping[str, str | bytes]:
    """Returns key -> JSON of architectures: as the run's table has them, else as its journal has."""
    found = {row.key: row.architecture for row in rows if row.architecture}
    if found or not rows:
        return found
    return architectures(run.folder / "journal.jsonl", {row.key for row in rows})


def _short(drawn: Mapping[str, Any], texts: dict[tuple[str, int, int], int]) -> list[list[Any]]:
    boxes: list[int] = []
    for x, y, wide, high, text, kind in drawn["boxes"]:
        boxes += [x, y, texts.setdefault((text, wide, high), len(texts)), kind]
    ends = [place for tail, head, *_ in drawn["arrows"] for place in (tail, head)]
    marks = [[number, *mark] for number, (_, _, *mark) in enumerate(drawn["arrows"]) if mark]
    return [boxes, ends, marks]


def drawing(space: Space[Any] | None, architecture: Any) -> dict[str, Any] | None:
    """Returns a drawing in pixels, None where the architecture cannot be read or has no graph.

    ``size`` is (width, height); ``boxes`` are (centre x, centre y, width, height, text, kind), the kind 0 of what is
    read from outside, 2 of what is handed on, else 1; ``arrows`` are (tail, head) or (tail, head, mark, x, y), tail and
    head places among the boxes.

    Args:
        architecture: its JSON form, decoded.
    """
    if space is None or architecture is None:
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
    at = {node: i for i, node in enumerate(boxes)}
    return {
        "size": [
            max(x + w // 2 for x, _, w, *_ in boxes.values()) + _MARGIN,
            max(y + h // 2 for _, y, _, h, *_ in boxes.values()) + _MARGIN,
        ],
        "boxes": list(boxes.values()),
        "arrows": [[at[u], at[v], *_mark(boxes[u], boxes[v], made.marks.get((u, v), ""))] for u, v in graph.edges],
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


def arrow_path(tail: Sequence[Any], head: Sequence[Any]) -> str:
    """Returns the path from the lower edge of one box to the upper edge of another, bowed where it skips rows.

    The script of the page draws the same.
    """
    x0, y0, x1, y1 = tail[0], tail[1] + tail[3] // 2, head[0], head[1] - head[3] // 2 - 3
    half = (y1 - y0) // 2
    bow = 46 if y1 - y0 > _ROW and abs(x1 - x0) < 0.4 * _COLUMN else 0
    return f"M{x0} {y0}C{x0 + bow} {y0 + half} {x1 + bow} {y1 - half} {x1} {y1}"


def _mark(tail: Sequence[Any], head: Sequence[Any], mark: str) -> list[Any]:
    """Returns the mark of an arrow and its place, nothing where it has none."""
    return [mark, round(tail[0] + 0.8 * (head[0] - tail[0])) + 7, head[1] - head[3] // 2 - 8] if mark else []
