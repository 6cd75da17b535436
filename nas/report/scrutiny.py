"""What tau alone does not show: the influence of ties and of size, the truth of the top, and what is attainable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.core.files import number
from nas.judge import reference as learned
from nas.judge.pairs import SHARE
from nas.judge.ranking import Ranking
from nas.judge.top import SIZE, top
from nas.report.tables import estimate, markdown_table, point, text_table
from spaces.base import Space

__all__ = ["facts", "learn", "lines", "lot", "reference_line", "section", "table"]

#: a cell of a proxy, from its part of results.json
Cell = Callable[[Mapping[str, Any]], str]

_LOT = "(at random)"


def facts(ranking: Ranking) -> dict[str, Any]:
    """Returns what results.json holds of a proxy: ``like_size``, ``given_size`` and ``top``."""
    return {
        "like_size": {"share": SHARE, **vars(ranking.like_size)},
        "given_size": vars(ranking.given_size),
        "top": None if ranking.top is None else vars(ranking.top),
    }


def lot(truth: Sequence[float | None]) -> dict[str, Any] | None:
    """Returns what ten architectures drawn at random hold in expectation, as the ``top`` of a proxy.

    Args:
        truth: higher is better, None where the training diverged.
    """
    found = top(np.zeros(len(truth)), truth)
    return None if found is None else vars(found)


def learn(
    space: Space[Any],
    architectures: Sequence[Any],
    truth: Sequence[float | None],
    asked: str,
    views: Sequence[Sequence[float | None]],
) -> dict[str, Any]:
    """Returns the learned reference: inputs ("features", "features and views") -> learner -> what it reaches.

    Args:
        truth: of the architectures, higher is better, None where the training diverged.
        asked: "features", "views" or "none".
        views: one score of each view for each architecture, (n, v), None for a failure.
    """
    labels = min(learned.MOST, len(truth) - math.ceil(len(truth) / learned.FOLDS))
    found: dict[str, Any] = {"asked": asked, "folds": learned.FOLDS, "labels": labels, "inputs": {}, "why": ""}
    if asked == "none":
        return {**found, "why": "reference=none was chosen"}
    features = np.stack([space.features(architecture) for architecture in architectures])
    seen = {"features": np.empty((len(truth), 0))}
    if asked == "views":
        seen["features and views"] = np.array([[math.nan if v is None else v for v in row] for row in views])
    for name, columns in seen.items():
        reached = learned.reference(truth, features, columns)
        if not reached:
            return {**found, "why": f"it needs {learned.LEAST} architectures or more, whose truths differ"}
        found["inputs"][name] = {learner: vars(one) for learner, one in reached.items()}
    return found


def _paired(of: str) -> Cell:
    return lambda judged: estimate(judged[of])


def _short(of: str) -> Cell:
    return lambda judged: point(judged[of])


def _top(of: str, form: str = ",.1f") -> Cell:
    def cell(judged: Mapping[str, Any]) -> str:
        held = math.nan if judged["top"] is None else _float(judged["top"][of])
        return format(held, form) if math.isfinite(held) else "n/a"

    return cell


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _regret(judged: Mapping[str, Any]) -> str:
    return number(judged["top"]["regret"], 3) if judged["top"] else "n/a"


#: (header, cell) of what the top holds
_HOLDS: list[tuple[str, Cell]] = [
    ("best rank", _top("best_rank")),
    ("median rank", _top("median_rank")),
    ("regret", _regret),
]
_DIVERGED: list[tuple[str, Cell]] = [("diverged", _top("diverged"))]

#: (header, cell) of the two tables: on the terminal, and in summary.md with intervals
_LINES: list[tuple[str, Cell]] = [
    ("distinct", lambda judged: f"{judged['distinct']:,}"),
    ("ties broken", lambda judged: point(judged["agreement_all"], "tie_broken")),
    ("like size", _short("like_size")),
    ("given size", _short("given_size")),
]
_CELLS: list[tuple[str, Cell]] = [
    ("distinct scores", lambda judged: f"{judged['distinct']:,}"),
    ("tau, ties broken [95%]", lambda judged: estimate(judged["agreement_all"], "tie_broken")),
    ("tau, like size [95%]", _paired("like_size")),
    ("tau, given size [95%]", _paired("given_size")),
]


def _rows(
    results: Mapping[str, Any], labels: Sequence[str], told: Sequence[tuple[str, Cell]]
) -> tuple[list[str], list[list[str]]]:
    held = [*_HOLDS, *(_DIVERGED if results["diverged"] else [])]
    rows = [[label, *(cell(results["proxies"][label]) for _, cell in [*told, *held])] for label in labels]
    rows.append([_LOT, *[""] * len(told), *(cell({"top": results["lot"]}) for _, cell in held)])
    return ["proxy", *(header for header, _ in [*told, *held])], rows


def _pairs(results: Mapping[str, Any]) -> int:
    return next((judged["like_size"]["pairs"] for judged in results["proxies"].values()), 0)


def _taken(results: Mapping[str, Any]) -> int:
    return min(SIZE, results["architectures"] + results["diverged"])


def lines(results: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Returns the table that a ranking prints, a line a proxy.

    Args:
        labels: in the order of the lines.
    """
    header, rows = _rows(results, labels, _LINES)
    sizes = f"among {_pairs(results):,} pairs of like size ({SHARE:.0%} of parameters), given size"
    if not _pairs(results):
        sizes = "among pairs of like size and given size where sizes are known"
    title = f"tau with ties broken at random, {sizes}; the {_taken(results)} best:"
    return [title, *text_table(header, rows, range(1, len(header)))]


def table(results: Mapping[str, Any], labels: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows with intervals, a row a proxy, the last one at random.

    Args:
        labels: in the order of the rows.
    """
    return _rows(results, labels, _CELLS)


def section(results: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Returns the section of summary.md: what it is, the table, why there is no value, the learned reference."""
    undefined = [
        f"- {label}, given size: not defined, {judged['given_size']['why']}."
        for label, judged in results["proxies"].items()
        if judged["given_size"]["why"]
    ]
    return [
        "",
        "## Ties, size, and the ten best",
        "",
        "These figures are over the same architectures as tau above, with failures and divergences tied last. *Ties "
        "broken*: the expected tau when tied scores are ordered at random; tau itself (tau-b) flatters coarse scores. "
        "*Like size*: the same among the "
        f"{_pairs(results):,} pairs whose parameters differ by at most {SHARE:.0%} of the larger (the 10%-PW tau of "
        "NSC, arXiv 2609.23087). *Given size*: Kendall's partial tau given parameters and FLOPs; it can be above 0 (by "
        ".1 where tau with both is .5) even if score and truth are related through size alone. Brackets: 95% intervals "
        "over architectures, by bootstrap for *ties broken* and by jackknife for the other two.",
        "",
        f"The last columns are about the {_taken(results)} best by the proxy, in expectation over the order of ties: "
        f"the best of their true ranks, the median of their true ranks, and the regret of the best "
        f"({results['noise']['unit']}). Diverged trainings have the last rank. *At random* is the expectation for as "
        "many random architectures. A few architectures decide these figures; the next section has intervals.",
        "",
        *markdown_table(*table(results, labels)),
        *(["", *undefined] if undefined else []),
        "",
        f"- {reference_line(results)}",
    ]


def reference_line(results: Mapping[str, Any]) -> str:
    """Returns what learners reach that see labels of the table, in one sentence."""
    found = results["reference"]
    if found["why"]:
        return f"learned from labels: nothing, {found['why']}"
    parts = [
        f"{estimate(one)} by {learner} from {inputs}"
        for inputs, reached in found["inputs"].items()
        for learner, one in reached.items()
    ]
    spread = max(one["deviation"] for reached in found["inputs"].values() for one in reached.values())
    return (
        f"learned from {found['labels']:,} labels ({found['folds']}-fold, ties broken, mean of {learned.REPEATS} "
        f"divisions that differ by a standard deviation of {spread:.3f} at most): tau {', '.join(parts)}"
    )
