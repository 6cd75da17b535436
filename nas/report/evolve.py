"""The answer of ``zeronas evolve-proxy``: the formulas found, where they were designed and where they were not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.files import number, versions, write_csv, write_json, write_text
from nas.judge.formulas import judged
from nas.report.plots import COLOURS, save, subplots
from nas.report.tables import estimate, markdown_table, text_table
from nas.search.formulas import Answer, Generation, best
from nas.settings import EvolveSettings, Settings

__all__ = ["Scored", "lines", "report"]


@dataclass(frozen=True)
class Scored:
    """What formulas and baselines score on some architectures.

    Attributes:
        name: "design", "reported", or that of a further table.
        benchmark: the table that the truth is of.
        truth: higher is better, None where the training diverged.
        sign: of the table: -1 where the truth is a loss with its sign turned.
        scores: label -> scores, higher is better, None for a failure.
    """

    name: str
    benchmark: str
    keys: Sequence[str]
    truth: Sequence[float | None]
    sign: float
    scores: Mapping[str, Sequence[float | None]]


def report(
    folder: Path,
    settings: Settings[EvolveSettings],
    generations: Sequence[Generation],
    scored: Sequence[Scored],
    baselines: Sequence[str],
    count: int,
) -> dict[str, Any]:
    """Writes summary.md, table.csv, formulas.csv, results.json and generations.png; returns what results.json holds.

    Args:
        scored: on the design half, on the reported half, then on further tables.
        baselines: labels of the proxies among the scores.
        count: how many of the best formulas are shown.
    """
    given, benchmark = settings.given, settings.needed_truth()
    found = best(generations, count)
    texts = [answer.text for answer in found]
    worth = {label: _judged(label, scored, given.resamples) for label in [*texts, *baselines]}
    rejected = Counter(a.reason for g in generations for a in g.answers if a.fitness is None)
    results: dict[str, Any] = {
        "command": "evolve-proxy",
        "space": settings.space.name,
        "reduction": settings.space.rule.to_json(),
        "benchmark": benchmark.name,
        "metric": benchmark.metric,
        "caveat": benchmark.caveat,
        "probe": given.probe.name,
        "seed": settings.seed,
        "formula": texts[0],
        "architectures": {one.name: len(one.keys) for one in scored},
        "formulas": [{"text": a.text, "size": a.node.size, "fitness": a.fitness, **worth[a.text]} for a in found],
        "baselines": {label.removeprefix("proxy "): worth[label] for label in baselines},
        "best_baseline": _best_baseline(worth, baselines),
        "asked": sum(len(g.answers) for g in generations),
        "rejected": dict(rejected.most_common()),
        "generations": _course(generations, scored),
        "config": settings.config,
        "versions": versions(),
    }
    _tables(folder, generations, scored, [*texts, *baselines])
    _plot(folder / "generations.png", results)
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", "\n".join(_summary(results)) + "\n")
    return results


def _judged(label: str, scored: Sequence[Scored], resamples: int) -> dict[str, Any]:
    found = {}
    for one in scored:
        tau, (low, high) = judged(one.scores[label], one.truth, resamples)
        missing = sum(score is None for score in one.scores[label])
        found[one.name] = {"tau": tau, "tau_interval": [low, high], "failures": missing}
    return {"on": found}


def _best_baseline(worth: Mapping[str, Any], baselines: Sequence[str]) -> str | None:
    """Returns the baseline that agrees best where the formulas were designed, so that it was chosen as they were."""
    chosen = max(baselines, key=lambda label: worth[label]["on"]["design"]["tau"], default=None)
    return None if chosen is None else chosen.removeprefix("proxy ")


def _course(generations: Sequence[Generation], scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Returns for each generation its best formula and what that is worth on either half."""
    found, known = [], dict[str, dict[str, float]]()
    for generation in generations:
        if not generation.population:
            continue
        first = generation.population[0]
        if first.text not in known:
            halves = {one.name: judged(one.scores[first.text], one.truth, 0) for one in scored[:2]}
            known[first.text] = {name: tau for name, (tau, _) in halves.items()}
        taus = known[first.text]
        row = {"generation": generation.number, "formula": first.text, **taus}
        found.append({**row, "gap": taus["design"] - taus["reported"], "asked": len(generation.answers)})
    return found


def _tables(folder: Path, generations: Sequence[Generation], scored: Sequence[Scored], labels: Sequence[str]) -> None:
    rows = []
    for one in scored:
        for place, (key, truth) in enumerate(zip(one.keys, one.truth, strict=True)):
            value = None if truth is None else one.sign * truth
            rows.append([one.name, one.benchmark, key, value, *(one.scores[label][place] for label in labels)])
    write_csv(folder / "table.csv", ["part", "benchmark", "key", "truth", *labels], rows)
    asked = [_asked(generation, answer) for generation in generations for answer in generation.answers]
    write_csv(folder / "formulas.csv", ["generation", "formula", "size", "fitness", "rejected"], asked)


def _asked(generation: Generation, answer: Answer) -> list[Any]:
    return [generation.number, answer.text, answer.node.size, answer.fitness, answer.reason]


def lines(results: Mapping[str, Any]) -> list[str]:
    """Returns what the command prints: the formula, then the best beside the baselines, and what was rejected."""
    header, rows = _rows(results, short=True)
    return [f"formula 1: {results['formula']}", *text_table(header, rows), _asked_line(results), _use(results)]


def _rows(results: Mapping[str, Any], short: bool = False) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows, a line each formula and baseline; ``short`` numbers the formulas."""
    parts = results["architectures"]
    header = ["tau, ties broken [95%]", *(f"{name} ({count:,})" for name, count in parts.items())]

    def row(label: str, on: Mapping[str, Any]) -> list[str]:
        return [label, *(estimate(on[part]) for part in parts)]

    baselines = sorted(results["baselines"].items(), key=lambda item: -item[1]["on"]["design"]["tau"])
    named = [f"formula {i}" if short else one["text"] for i, one in enumerate(results["formulas"], start=1)]
    rows = [row(label, one["on"]) for label, one in zip(named, results["formulas"], strict=True)]
    return header, [*rows, *(row(f"proxy {name}", one["on"]) for name, one in baselines)]


def _asked_line(results: Mapping[str, Any]) -> str:
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in results["rejected"].items()) or "none"
    asked, count = results["asked"], len(results["generations"])
    return f"{asked:,} formulas were asked for in {count} generations; rejected: {rejected}"


def _use(results: Mapping[str, Any]) -> str:
    return (
        f"use it: zeronas rank space={results['space']} proxy=expression "
        f"'proxies.expression.formula=\"{results['formula']}\"'"
    )


def _summary(results: Mapping[str, Any]) -> list[str]:
    header, rows = _rows(results)
    first, last = results["generations"][0], results["generations"][-1]
    strongest = results["best_baseline"]
    out = [
        f"# A proxy for {results['space']}, designed on half of {results['benchmark']}, probe {results['probe']}",
        "",
        f"Formula: `{results['formula']}`",
        "",
        f"Truth: {results['metric']}{'; ' + results['caveat'] if results['caveat'] else ''}. Formulas were found and "
        "chosen on *design*, one half of the table by key hash. *reported* is the other half, on which nothing was "
        "chosen. Further tables are the space's other benchmarks, without the architectures of the design half.",
        "",
        *markdown_table(header, rows),
        "",
        "The figures are Kendall's tau, in expectation over the order of tied scores. Failed scores are tied last in "
        "the scores, and diverged trainings are tied last in the truth. Brackets are 95% bootstrap intervals over "
        "architectures. On *design* the formulas are the best of many, so their tau and its interval are too high "
        "there; the difference from *reported* shows by how much.",
        "",
    ]
    if strongest is not None:
        mine, other = (results["formulas"][0]["on"], results["baselines"][strongest]["on"])
        beside = "; ".join(f"{part} {mine[part]['tau']:.3f} and {other[part]['tau']:.3f}" for part in mine)
        out += [f"The formula and the baseline that is best on design, {strongest}: {beside}.", ""]
    out += [
        f"From the first generation to the last the best formula's tau went from {first['design']:.3f} to "
        f"{last['design']:.3f} on design, and from {first['reported']:.3f} to {last['reported']:.3f} on reported.",
        "",
        "## Generations",
        "",
        *markdown_table(
            ["generation", "design", "reported", "gap", "best formula"],
            [
                [str(g["generation"]), *(f"{g[key]:.3f}" for key in ("design", "reported", "gap")), f"`{g['formula']}`"]
                for g in results["generations"]
            ],
        ),
        "",
        f"{_asked_line(results)}.",
        "",
        f"To {_use(results)}",
        "",
        "Made by " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".",
    ]
    return out


def _plot(path: Path, results: Mapping[str, Any]) -> None:
    figure, axes = subplots(width=8, height=4.5)
    ax = axes[0, 0]
    at = [g["generation"] for g in results["generations"]]
    for key, colour in zip(("design", "reported"), COLOURS, strict=False):
        label = f"{key} ({results['architectures'][key]:,} architectures)"
        ax.plot(at, [g[key] for g in results["generations"]], "o-", markersize=3, color=colour, label=label)
        strongest = results["best_baseline"]
        if strongest is not None:
            tau = results["baselines"][strongest]["on"][key]["tau"]
            ax.axhline(tau, color=colour, linewidth=0.9, linestyle="--", label=f"{key}, {strongest}: {number(tau, 3)}")
    ax.set_xlabel("generation")
    ax.set_ylabel("tau of the best formula, ties broken")
    ax.set_title(f"{results['benchmark']}: the formula that is best on design", fontsize=11)
    ax.legend(fontsize=9)
    save(figure, path)
