"""The first sentences of the page: the result, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.files import number
from nas.report.apart import named
from nas.report.compare import by_benchmark
from nas.report.tables import estimate

__all__ = ["compared", "ranked", "searched", "tied"]


def searched(results: Mapping[str, Any]) -> list[str]:
    """Returns the answer of a search, one thought a sentence."""
    found, benchmark = results["found"], results["benchmark"]
    if found is None:
        return [
            f"The search ({results['searcher']}) found nothing: none of the {results['evaluations']:,} architectures "
            "has a score."
        ]
    told = [f"The search ({results['searcher']}) found {named(found)}: {found['chosen_by']}."]
    if benchmark is None:
        return [*told, f"Its true value is not known: {results.get('no_truth') or 'there is no table of truths'}."]
    unit = benchmark["unit"]
    if found["truth"] is None:
        gone = next((q["reason"] for q in results["queries"] if q["key"] == found["key"] and q["reason"]), "")
        why = f"its training failed ({gone})" if gone else f"it is not in the table {benchmark['name']}"
        told.append(f"Its true value is not known: {why}.")
    else:
        at = found["standing"]
        told.append(
            f"Its true value is {number(found['truth'], 5)} {unit} ({benchmark['metric']}), which is rank "
            f"{at['rank']:,} of {at['of']:,} in {benchmark['name']}: a regret of {number(at['regret'])} {unit} against "
            f"the best of the table."
        )
    regret = results["regret"]
    if regret and regret["random"]:
        told.append(
            f"Random search with the same query budget ({number(results['queries_used'])} trainings) is expected to "
            f"have a regret of {number(regret['random'][-1])} {unit}."
        )
    if found["noise"]:
        better, worse = found["noise"]["best"], found["noise"]["worst"]
        told.append(
            f"Trainings of the same architecture differ by a standard deviation of {number(benchmark['noise'])} "
            f"{unit}, so the true rank may be anything from {better['rank']:,} to {worse['rank']:,} (95% interval)."
        )
    return told


def tied(judged: Mapping[str, Mapping[str, Any]], best: str) -> list[str]:
    """Returns the proxies whose 95% interval of tau meets that of the best."""
    first = judged[best]["agreement_all"]
    if not first or first["tau_interval"][0] is None:
        return []
    low = first["tau_interval"][0]
    return [
        label
        for label, one in judged.items()
        if label != best and (a := one["agreement_all"]) and (high := a["tau_interval"][1]) is not None and high >= low
    ]


def ranked(results: Mapping[str, Any], order: Sequence[str]) -> list[str]:
    """Returns the answer of a ranking, one thought a sentence.

    Args:
        order: the proxies, best first.
    """
    best, noise = order[0], results["noise"]
    told = [
        f"Over {results['architectures'] + results['diverged']:,} architectures of {results['benchmark']}, the proxy "
        f"{best} agrees best with the truth: Kendall tau {estimate(results['proxies'][best]['agreement_all'])}."
    ]
    beside = tied(results["proxies"], best)
    if beside:
        told.append(f"Its 95% interval overlaps with that of {', '.join(beside)}: this run does not distinguish them.")
    elif len(order) > 1:
        told.append(f"The next is {order[1]}, {estimate(results['proxies'][order[1]]['agreement_all'])}.")
    again = noise["retest"]["tau"]
    if again is not None:
        told.append(
            f"Two trainings of the same architectures agree at tau {again:.3f}; a proxy without noise "
            f"would reach about {noise['ceiling']:.3f}."
        )
    return told


def compared(results: Mapping[str, Any]) -> list[str]:
    """Returns the answer of a comparison, one thought a sentence, benchmark by benchmark."""
    told = []
    for table, methods in by_benchmark(results).items():
        known = [(name, method) for name, method in methods if "regret" in method]
        if not known:
            told.append(f"None of {len(methods)} methods found an architecture whose truth is known.")
            continue
        unit, (name, best) = known[0][1]["benchmark"]["unit"], known[0]
        told.append(
            f"On {table}, the best of {len(methods)} {'method' if len(methods) == 1 else 'methods'} by mean regret is "
            f"{name}: {_spread(best)} {unit} over {len(best['regret']['values'])} "
            f"{'seed' if len(best['regret']['values']) == 1 else 'seeds'}."
        )
        if len(known) > 1:
            told.append(f"The next is {known[1][0]}: {_spread(known[1][1])} {unit}.")
        if best.get("random_curve"):
            told.append(
                f"Random search with the same query budget is expected to have {number(best['random_curve'][-1])} "
                f"{unit}."
            )
        noise = best["benchmark"].get("noise")
        if noise is not None:
            told.append(f"Trainings of one architecture differ by a standard deviation of {number(noise)} {unit}.")
    return told


def _spread(method: Mapping[str, Any]) -> str:
    regret = method["regret"]
    if len(regret["values"]) < 2:
        return number(regret["mean"])
    return f"{number(regret['mean'])} +- {number(regret['standard_error'], 2)} (mean and standard error)"
