"""The truth queries of a search in its report: how many, at which share of the protocol, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.files import number
from nas.report.tables import markdown_table
from nas.truth.outcome import Query

__all__ = ["cost", "counted", "diverged", "how_chosen", "partial", "queries_line", "query_row", "query_table"]


def cost(queries: Sequence[Query]) -> float:
    """Returns what the queries cost, in trainings: an int where it is whole."""
    spent = round(sum(query.cost for query in queries), 9)
    return int(spent) if spent == int(spent) else spent


def counted(queries: Sequence[Query], by_fitness: bool) -> dict[str, Any]:
    """Returns how many distinct architectures have an answer, a divergence included, in all and at each share.

    Args:
        by_fitness: whether they were the best by fitness (see ``nas.judge.outcome.by_fitness``).
    """
    answered = [query for query in queries if query.value is not None or query.reason]
    shares = sorted({query.fidelity for query in answered})
    return {
        "by_fitness": by_fitness,
        "architectures": len({query.architecture.key for query in answered}),
        "shares": {
            f"{share:g}": len({query.architecture.key for query in answered if query.fidelity == share})
            for share in shares
        },
    }


def query_row(query: Query) -> dict[str, Any]:
    """Returns a query as results.json holds it; ``truth``, rank and regret are those of the whole protocol."""
    standing = query.standing
    return {
        "key": query.architecture.key,
        **({"id": id} if isinstance(id := getattr(query.architecture, "id", None), str) else {}),
        "fitness": query.fitness,
        "fidelity": query.fidelity,
        "value": query.value,
        "cost": query.cost,
        "truth": None if query.entry is None else query.entry.value,
        "rank": None if standing is None else standing.rank,
        "regret": None if standing is None else standing.regret,
        "reason": query.reason,
    }


def query_table(results: Mapping[str, Any]) -> list[str]:
    """Returns the table of all queries in Markdown; with the share of the protocol where one is below 1."""
    unit, shares = results["benchmark"]["unit"] if results["benchmark"] else "", partial(results)
    asked_at = ["share of the training", "cost"] if shares else []
    reported = (results["benchmark"] or {}).get("reported")
    apart = [] if reported is None else [f"reported ({reported['unit']})"]
    header = ["query", "architecture", results["fitness"], *asked_at, f"truth ({unit})", "rank", "regret", *apart]
    rows = [
        [
            str(i),
            q.get("id", q["key"]),
            number(q["fitness"], 6),
            *([number(q["fidelity"]), number(q["cost"])] if shares else []),
            q["reason"] or number(q["value"], 5),
            number(q["rank"]),
            number(q["regret"]),
            *(number(None if q["reported"] is None else q["reported"]["value"], 5) for _ in apart),
        ]
        for i, q in enumerate(results["queries"], 1)
    ]
    return markdown_table(header, rows)


def diverged(results: Mapping[str, Any]) -> str:
    """Returns how many of the trainings asked for diverged, in words, "" for none."""
    count = len({q["key"] for q in results["queries"] if q["reason"]})
    of = len({q["key"] for q in results["queries"]})
    return f"the training of {count} of the {of} {how_chosen(results)} diverged" if count else ""


def how_chosen(results: Mapping[str, Any]) -> str:
    """Returns what the architectures are whose truth was asked for: verified, where they are the best by fitness."""
    return "verified" if results["truths"]["by_fitness"] else "asked for"


def queries_line(results: Mapping[str, Any]) -> str:
    """Returns what was asked and what as much buys otherwise, in one sentence."""
    regret, unit, spent = results["regret"], results["benchmark"]["unit"], results["queries_used"]
    told = [diverged(results)] if diverged(results) else []
    used, equal = f"{number(spent)}", "with as many queries"
    if partial(results):
        shares = list(results["truths"]["shares"].items())
        steps = [f"{n:,} {'to the end' if share == '1' else f'to a share of {share}'}" for share, n in shares]
        told = [f"architectures trained: {', '.join(steps)}", *told]
        used = f"{number(spent)} {'training' if spent == 1 else 'trainings'}"
        equal = f"with {len(regret['best_so_far'])} whole trainings"
    inside = f" ({'; '.join(told)})" if told else ""
    largest = regret["parameters"]
    sizes = "" if largest is None else f", the largest by parameters {number(_last(largest))}"
    return (
        f"queries used: {used}{inside}; expected regret ({unit}) {equal}: random search "
        f"{number(_last(regret['random']))}{sizes}"
    )


def partial(results: Mapping[str, Any]) -> bool:
    """Returns whether a truth was asked for at a share of the protocol."""
    return any(q["fidelity"] < 1 for q in results["queries"])


def _last(curve: Sequence[float | None]) -> float | None:
    return curve[-1] if curve else None
