"""Beside the truth that a search optimised: the value that is only reported, and what the trainings cost.

Only reports look at the reported value (``Benchmark.reported``), so it can neither lead a search nor be selected for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nas import judge
from nas.core.files import number
from nas.truth.benchmarks import Benchmark, Entry
from nas.truth.outcome import Query

__all__ = [
    "about_reported",
    "cost_lines",
    "costs",
    "kept_apart",
    "named",
    "ranked_apart",
    "ranked_line",
    "reported_lines",
]


def about_reported(benchmark: Benchmark) -> dict[str, Any]:
    """Returns what results.json tells of the value that is reported; nothing where there is none."""
    apart = benchmark.reported
    if apart is None:
        return {}
    both = [(e.value, r.value) for e in benchmark.entries if (r := apart.by_key.get(e.key)) is not None]
    tau = judge.kendall([benchmark.sign * s for s, _ in both], [apart.sign * r for _, r in both])
    return {
        "reported": {
            "metric": apart.metric,
            "unit": apart.unit,
            "higher_is_better": apart.higher_is_better,
            "architectures": len(apart.entries),
            "best": {"key": apart.best.key, "value": apart.best.value},
            "tau": None if math.isnan(tau) else tau,
        }
    }


def kept_apart(benchmark: Benchmark | None, architecture: Any) -> dict[str, Any]:
    """Returns the value that is reported of an architecture and where it stands; nothing where none is reported."""
    apart = None if benchmark is None else benchmark.reported
    if apart is None:
        return {}
    entry = apart.by_key.get(architecture.key)
    if entry is None:
        gone = apart.diverged.get(architecture.key)
        return {"reported": None, **({} if gone is None else {"not_reported": gone.reason})}
    return {"reported": {"value": entry.value, "standing": vars(apart.place(entry))}}


def reported_lines(found: Mapping[str, Any], benchmark: Mapping[str, Any]) -> list[str]:
    """Returns how good the selected architecture is by the reported value, in one sentence; none without one."""
    apart = benchmark.get("reported")
    if apart is None:
        return []
    tau = f"tau with {benchmark['unit']} over the table {number(apart['tau'], 3)}"
    if found["reported"] is None:
        return [f"reported: no {apart['unit']} of it, {found.get('not_reported', 'it is not in the table')}; {tau}"]
    value, at, unit = found["reported"]["value"], found["reported"]["standing"], apart["unit"]
    return [
        f"reported: {number(value, 5)} {unit}, which the search did not see (the best is "
        f"{number(apart['best']['value'], 5)}); rank {at['rank']:,} of {at['of']:,}, percentile "
        f"{at['percentile']:.1f}, regret {number(at['regret'])} {unit}; {tau}"
    ]


def costs(benchmark: Benchmark | None, queries: Sequence[Query]) -> dict[str, Any]:
    """Returns what the trainings behind the queries cost, column by column; nothing where the table does not say.

    A query is one training, at a share of the protocol that share of one; what an architecture's trainings cost on
    average is what one of them costs.
    """
    if benchmark is None or not benchmark.costs:
        return {}
    known = [(query.cost, benchmark.cost(query.architecture.key)) for query in queries if query.cost]
    return {
        "costs": {
            column: {
                "sum": math.fsum(share * cost[column] for share, cost in known if column in cost),
                "missing": sum(column not in cost for _, cost in known),
            }
            for column in benchmark.costs
        }
    }


def cost_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns them in one sentence."""
    told = [
        f"{number(one['sum'], 6)} {column}" + (f" (not known of {one['missing']:,})" if one["missing"] else "")
        for column, one in results.get("costs", {}).items()
    ]
    return [f"cost of the queries by the table: {', '.join(told)}"] if told and results["queries"] else []


def named(found: Mapping[str, Any]) -> str:
    """Returns the key of a find, and the name that it has in a table of the user's own."""
    data = found["architecture"]
    return f"{found['key']} (id {data['id']})" if isinstance(data.get("id"), str) else str(found["key"])


def ranked_apart(
    benchmark: Benchmark, keys: Sequence[str], scores: Mapping[str, Sequence[float | None]]
) -> dict[str, Any] | None:
    """Returns how proxies agree with the value that is reported, None where none is.

    Args:
        keys: of the architectures.
        scores: label -> one for each, higher is better, None for a failure.
    """
    apart = benchmark.reported
    if apart is None:
        return None
    entries: list[Entry | None] = [apart.by_key.get(key) for key in keys]
    taus = {}
    for label, column in scores.items():
        both = [(s, apart.sign * e.value) for s, e in zip(column, entries, strict=True) if s is not None and e]
        tau = judge.kendall([s for s, _ in both], [t for _, t in both]) if len(both) > 2 else math.nan
        taus[label] = None if math.isnan(tau) else tau
    return {**about_reported(benchmark)["reported"], "proxies": taus}


def ranked_line(results: Mapping[str, Any]) -> list[str]:
    """Returns the same in one sentence, best first."""
    apart = results["reported"]
    if apart is None:
        return []
    order = sorted(apart["proxies"].items(), key=lambda item: 9.0 if item[1] is None else -item[1])
    taus = ", ".join(f"{label} {number(tau, 3)}" for label, tau in order)
    return [
        f"reported beside it: {apart['unit']}, whose tau with the truth above is {number(apart['tau'], 3)}; tau of the "
        f"proxies with it, over pairs that have both: {taus}"
    ]
