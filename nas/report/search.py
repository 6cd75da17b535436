"""The answer of a search: summary.md, table.csv, results.json and plots in the run folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.core import seeds
from nas.core.files import command_line, number, versions, write_csv, write_json, write_text
from nas.engine.gate import Gate
from nas.engine.pools import BenchmarkPool, Pool
from nas.engine.trials import Result
from nas.judge.noise import Noise
from nas.judge.outcome import Asked, Rated, Regrets, agreements, best_reachable, by_fitness, find, regrets
from nas.report import plots
from nas.report.apart import about_reported, cost_lines, costs, kept_apart, named, reported_lines
from nas.report.course import course, course_lines, course_plot, course_section
from nas.report.page import PAGE, write_page
from nas.report.pareto import FILES, pareto, pareto_lines, pareto_plot, write_pareto
from nas.report.queries import cost, counted, diverged, how_chosen, partial, queries_line, query_row, query_table
from nas.report.tables import estimate, markdown_table
from nas.search import SEARCHERS
from nas.search.comparison import stat_max
from nas.settings import SearchSettings, Settings
from nas.truth.benchmarks import Benchmark, Entry
from nas.truth.outcome import UNSCORED, Query, Scored
from spaces.base import Space

__all__ = ["answer", "report", "summary"]


def report(
    folder: Path,
    settings: Settings[SearchSettings],
    scored: Sequence[Scored],
    queries: Sequence[Query],
    pool: Pool,
    wall: float,
    note: str = "",
    truth_seconds: float = 0.0,
    gate: Gate | None = None,
    notes: Mapping[str, Any] | None = None,
    front: Sequence[Result] | None = None,
) -> dict[str, Any]:
    """Writes everything into the run folder and returns what results.json holds.

    Args:
        scored: all evaluated architectures in the order asked.
        queries: the truths asked for, in order.
        pool: what was searched, for the baselines of the regret plot.
        wall: seconds this session took, the truth included (a resumed run computes only what was missing).
        note: a warning about the truth, told with it.
        truth_seconds: how many of them the truth took.
        gate: what made architectures infeasible, if there is one.
        notes: what the searcher tells of itself.
        front: its archive, where it has several objectives.
    """
    benchmark, fitness = settings.benchmark, settings.fitness
    rated = [_rated(s, fitness) for s in scored]
    asked = [Asked(q.architecture, q.fitness, q.entry, q.reason, q.fidelity, q.value, q.cost) for q in queries]
    sign, preferred = benchmark.sign if benchmark else 1.0, _preferred(settings, scored)
    place, reason = find(rated, asked, sign, fitness, preferred)
    chosen = None if place is None else scored[place]
    truth = {s.architecture.key: _entry(benchmark, s.architecture) for s in scored}
    labels = list(settings.proxies)
    _write_table(folder, settings.space, scored, [*labels, *settings.statistics], truth)
    results: dict[str, Any] = {
        "command": "search",
        "space": settings.space.name,
        "reduction": settings.space.rule.to_json(),
        "searcher": settings.given.searcher.name,
        "searcher_notes": dict(notes or {}),
        "proxies": labels,
        "fitness": fitness,
        "probe": settings.given.probe.name,
        "pool": settings.given.pool,
        "gate": None if gate is None else {**gate.to_json(), "refused": _refused(gate, scored)},
        "region": None if pool.region is None else {**pool.region.to_json(), "turned_away": pool.turned_away},
        "seed": settings.seed,
        "evaluations": len(scored),
        "unscored": sum(s.evaluation.scores[fitness].reason == UNSCORED for s in scored),
        "failures": _failures(scored, fitness),
        "found": None if chosen is None else _describe(settings, chosen, reason, benchmark, pool),
        "benchmark": None if benchmark is None else _benchmark(benchmark),
        "no_truth": settings.no_truth,
        "note": note,
        "queries": [{**query_row(q), **kept_apart(benchmark, q.architecture)} for q in queries],
        "queries_used": cost(queries),
        **costs(benchmark, queries),
        "truths": counted(queries, by_fitness(rated, asked)),
        "agreement": {} if benchmark is None else {k: vars(a) for k, a in agreements(rated, labels, benchmark).items()},
        "regret": _regrets(settings, rated, asked, pool),
        "selection": course(rated, asked, labels, benchmark, SEARCHERS.get(settings.given.searcher.name).only_draws),
        "pareto": None if front is None else _pareto(settings, scored, front, notes or {}),
        "seconds": {
            "wall": wall,
            "truth": truth_seconds,
            "scoring": sum(s.evaluation.seconds for s in scored),
        },
        "command_line": command_line(),
        "config": settings.config,
        "versions": versions(),
    }
    results["plots"] = _plots(folder, settings, results, scored, chosen)
    results["plots"] += [path.name for path in course_plot(folder, results)]
    if results["pareto"] is not None:
        write_pareto(folder, results["pareto"], labels)
        title = f"{results['searcher']}: {', '.join(results['pareto']['objectives'])}"
        made = pareto_plot(folder, results["pareto"], settings.space, benchmark, title)
        results["plots"] += [path.name for path in made]
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", summary(results))
    write_page([folder], folder / PAGE)
    return results


def _preferred(settings: Settings[SearchSettings], scored: Sequence[Scored]) -> tuple[int, str] | None:
    """Returns the place of what Stat-MAX chooses, and how to say so; None where means are compared."""
    level, found = settings.given.comparator_level, [s.evaluation.scores[settings.fitness].samples for s in scored]
    places = [i for i, samples in enumerate(found) if samples]
    if level is None or not places:
        return None
    chosen = stat_max(np.array([found[i] for i in places]), level, seeds.generator(settings.seed, "final choice"))
    return places[chosen], f"Stat-MAX of {settings.fitness}, {settings.given.samples} samples each"


def _rated(scored: Scored, fitness: str) -> Rated:
    scores = {label: score.value for label, score in scored.evaluation.scores.items()}
    return Rated(scored.architecture, scores[fitness], scores)


def _pareto(
    settings: Settings[SearchSettings], scored: Sequence[Scored], front: Sequence[Result], notes: Mapping[str, Any]
) -> dict[str, Any]:
    places = {one.architecture.key: one.index for one in scored}
    aims = notes.get("objectives") or dict.fromkeys(settings.proxies, "higher")
    return pareto(settings.space, front, aims, places, list(settings.proxies), settings.benchmark)


def _refused(gate: Gate, scored: Sequence[Scored]) -> int:
    return sum(bool(gate.refusal(s.evaluation.scores)) for s in scored)


def _regrets(
    settings: Settings[SearchSettings], rated: Sequence[Rated], asked: Sequence[Asked], pool: Pool
) -> dict[str, Any]:
    space, members = settings.space, pool.members if isinstance(pool, BenchmarkPool) else None
    found: Regrets | None = None
    if settings.benchmark is not None:
        size = (lambda architecture: space.counts(architecture).parameters or 0) if space.counted else None
        found = regrets(rated, asked, settings.benchmark, pool.contains, size, members)
    return {} if found is None else vars(found)


def _entry(benchmark: Benchmark | None, architecture: Any) -> Entry | None:
    return benchmark.lookup(architecture) if benchmark else None


def _write_table(
    folder: Path, space: Space[Any], scored: Sequence[Scored], labels: list[str], truth: dict[str, Entry | None]
) -> None:
    rows = []
    for s in scored:
        scores = [s.evaluation.scores[label].value for label in labels]
        reasons = [f"{label}: {s.evaluation.scores[label].reason}" for label in labels]
        failed = "; ".join(r for r, v in zip(reasons, scores, strict=True) if v is None)
        entry = truth[s.architecture.key]
        text = space.format(s.architecture)
        rows.append([s.index, s.architecture.key, *scores, failed, None if entry is None else entry.value, text])
    write_csv(folder / "table.csv", ["index", "key", *labels, "failure", "truth", "architecture"], rows)


def _failures(scored: Sequence[Scored], fitness: str) -> dict[str, int]:
    failed = (s.evaluation.scores[fitness].reason for s in scored if s.evaluation.scores[fitness].value is None)
    return dict(Counter(reason for reason in failed if reason != UNSCORED))


def _describe(
    settings: Settings[SearchSettings],
    chosen: Scored,
    reason: str,
    benchmark: Benchmark | None,
    pool: Pool,
) -> dict[str, Any]:
    counts = settings.space.counts(chosen.architecture)
    entry = _entry(benchmark, chosen.architecture)
    standing = around = reachable = None
    trained_here = False
    if benchmark is not None and entry is not None:
        trained_here = entry.key not in benchmark.by_key
        standing = benchmark.place(entry)
        around = Noise(benchmark).standings(entry.value, len(entry.runs), member=not trained_here)
        reachable = _reachable(settings, benchmark, entry, pool)
    return {
        "key": chosen.architecture.key,
        "chosen_by": reason,
        "index": chosen.index,
        "scores": {label: score.value for label, score in chosen.evaluation.scores.items()},
        "parameters": counts.parameters,
        "flops_per_token": counts.flops,
        "truth": None if entry is None else entry.value,
        "standing": None if standing is None else vars(standing),
        **kept_apart(benchmark, chosen.architecture),
        "noise": None if around is None else {"best": vars(around[0]), "worst": vars(around[1])},
        "trained_here": trained_here,
        "reachable": reachable,
        "architecture": settings.space.readable(chosen.architecture).to_json(),
    }


def _reachable(
    settings: Settings[SearchSettings], benchmark: Benchmark, entry: Entry, pool: Pool
) -> dict[str, Any] | None:
    """Returns the best of the table that this search could have returned, and the regret of a find against it."""
    closed = isinstance(pool, BenchmarkPool)
    draws = not closed and SEARCHERS.get(settings.given.searcher.name).only_draws

    def can_return(architecture: Any) -> bool:
        if isinstance(pool, BenchmarkPool):
            return architecture.key in pool.index
        return pool.contains(architecture) and (not draws or settings.space.draws(architecture))

    best = best_reachable(benchmark, can_return)
    if best is None:
        return None
    behind = max(0.0, benchmark.sign * (best.value - entry.value))
    return {"key": best.key, "value": best.value, "regret": behind, "draws": draws}


def _benchmark(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "metric": benchmark.metric,
        "unit": benchmark.unit,
        "higher_is_better": benchmark.higher_is_better,
        "architectures": len(benchmark.entries),
        "best": {"key": benchmark.best.key, "value": benchmark.best.value},
        "noise": Noise(benchmark).deviation,
        "caveat": benchmark.caveat,
        **about_reported(benchmark),
    }


def _plots(
    folder: Path,
    settings: Settings[SearchSettings],
    results: dict[str, Any],
    scored: Sequence[Scored],
    chosen: Scored | None,
) -> list[str]:
    made = []
    benchmark = settings.benchmark
    if chosen is not None:
        title = f"{chosen.architecture.key}: {results['found']['chosen_by']}"
        made.append(
            plots.draw_architecture(
                folder / "architecture.png", settings.space.readable(chosen.architecture).to_graph(), title
            )
        )
    if benchmark is not None:
        for label in settings.proxies:
            points = [
                (value, entry.value)
                for s in scored
                if (entry := benchmark.by_key.get(s.architecture.key)) is not None
                and (value := s.evaluation.scores[label].value) is not None
            ]
            if len(points) < 3:
                continue
            agreement = results["agreement"].get(label, {})
            marked = {}
            if chosen is not None and results["found"]["truth"] is not None:
                value = chosen.evaluation.scores[label].value
                if value is not None:
                    marked["found"] = (value, results["found"]["truth"])
            made.append(
                plots.scatter(
                    folder / f"truth_{label}.png",
                    [p[0] for p in points],
                    [p[1] for p in points],
                    f"{label} (higher is better)",
                    f"{benchmark.metric}",
                    f"{benchmark.name}, {len(points)} architectures: "
                    f"tau {agreement.get('tau', float('nan')):.3f}, rho {agreement.get('rho', float('nan')):.3f}",
                    marked,
                )
            )
        if results["regret"]:
            made.append(
                plots.regret_curves(
                    folder / "regret.png",
                    {
                        label: [math.nan if regret is None else regret for regret in results["regret"][of]]
                        for label, of in zip(
                            (f"{settings.given.searcher.name}, {settings.fitness}", *plots.BASELINES),
                            ("best_so_far", "random", "parameters"),
                            strict=True,
                        )
                        if results["regret"][of] is not None
                    },
                    benchmark.unit,
                    f"{benchmark.name}: regret of the architectures {how_chosen(results)}",
                    queries="truth queries (cost in trainings)" if partial(results) else "truth queries",
                )
            )
    return [path.name for path in made]


def summary(results: dict[str, Any]) -> str:
    """Returns summary.md: the answer first, then how it was reached."""
    fitness = results["fitness"] if results["unscored"] < results["evaluations"] else "the truth"
    lines = [f"# {results['space']} search: {results['searcher']}, fitness {fitness}", ""]
    lines += [f"- {text}" for text in answer(results)]
    if results["agreement"]:
        header = ["proxy", "architectures", "Kendall tau [95%]", "Spearman rho [95%]", "top-10% recall"]
        rows = [
            [label, f"{a['count']:,}", estimate(a), estimate(a, "rho"), f"{a['recall']:.2f}"]
            for label, a in results["agreement"].items()
        ]
        lines += ["", *markdown_table(header, rows), ""]
        lines += [
            f"The correlations are over the architectures of {results['benchmark']['name']} that the search scored. "
            "Those that it trained itself are left out, because they were selected by their score."
        ]
    if results["queries"]:
        lines += ["", *query_table(results)]
    lines += course_section(results)
    archive = "" if results["pareto"] is None else f"{FILES[0]} (the archive), "
    record = "results.json (all of this), journal.jsonl (the record)"
    lines += ["", f"Files: table.csv (every evaluation), {archive}{record}."]
    lines += [f"Plots: {', '.join(results['plots'])}."] if results["plots"] else []
    lines += ["", "```json", _pretty(results), "```", ""]
    return "\n".join(lines)


def answer(results: dict[str, Any]) -> list[str]:
    """Returns the first lines of the summary, one fact each: what was found and how good it is."""
    lines = []
    chosen, benchmark = results["found"], results["benchmark"]
    if chosen is None:
        lines.append("found: nothing, no architecture has a score")
    else:
        size = "size not known" if chosen["parameters"] is None else f"{chosen['parameters']:,} parameters"
        lines.append(f"found: {named(chosen)} ({chosen['chosen_by']}), {size}")
        if any(value is not None for value in chosen["scores"].values()):
            scores = ", ".join(f"{label} {number(chosen['scores'][label], 6)}" for label in results["proxies"])
            lines.append(f"proxy score: {scores}")
        lines += _truth_lines(results, chosen, benchmark)
    lines += pareto_lines(results)
    lines += course_lines(results)
    if results.get("searcher_notes"):
        lines.append(f"{results['searcher']}: {_told(results['searcher_notes'])}")
    lines += _limit_lines(results)
    failures = ", ".join(f"{count} {reason}" for reason, count in results["failures"].items()) or "none"
    seconds = results["seconds"]
    unscored = f", {results['unscored']:,} of them by their truth alone" if results.get("unscored") else ""
    lines.append(f"evaluated: {results['evaluations']:,} distinct architectures{unscored}; failures: {failures}")
    training = f", {seconds['truth']:.1f} of it for the truth" if seconds["truth"] else ""
    lines.append(
        f"seconds: {seconds['wall']:.1f} this session{training}; scoring took {seconds['scoring']:.1f} in total, "
        "summed over the evaluations"
    )
    return lines


def _told(notes: Mapping[str, Any]) -> str:
    """Returns a searcher's notes in words: "rounds 20; weights: snip 0.5, grasp -1"."""
    parts = []
    for name, value in notes.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            parts.append(f"{words}: {', '.join(f'{one} {_figure(what)}' for one, what in value.items())}")
        else:
            parts.append(f"{words} {_figure(value)}")
    return "; ".join(parts)


def _figure(value: Any) -> str:
    return number(value, 3) if isinstance(value, (int, float)) else str(value)


def _limit_lines(results: dict[str, Any]) -> list[str]:
    """What kept the search where the sampler's architectures are, if anything did."""
    lines, gate, region = [], results.get("gate"), results.get("region")
    if gate is not None:
        bounds = ", ".join(
            f"{name} {number(one['lower'], 3)} to {number(one['upper'], 3)}" for name, one in gate["statistics"].items()
        )
        lines.append(
            f"gate: {gate['refused']:,} of {results['evaluations']:,} scored architectures were rejected; of the "
            f"{gate['draws']:,} random draws that set the bounds, {gate['outside']:,} are outside: {bounds}"
        )
    if region is not None:
        lines.append(
            f"region: {region['turned_away']:,} proposals were rejected as too unlike random architectures: "
            f"further than {number(region['reach'])} from them (L1 distance of features to the fifth nearest "
            f"of {region['draws']:,} draws, or to a known one); {100 * region['held']:.1f}% of the draws are inside"
        )
    return lines


def _truth_lines(results: dict[str, Any], chosen: dict[str, Any], benchmark: dict[str, Any] | None) -> list[str]:
    if benchmark is None:
        return [f"true value: unknown, {results['no_truth']}"]
    if chosen["truth"] is None:
        asked = _query_lines(results, benchmark) if results["regret"] else []
        return [_unknown(results, chosen, benchmark), *reported_lines(chosen, benchmark), *asked]
    at, unit = chosen["standing"], benchmark["unit"]
    here = ", trained here" if chosen["trained_here"] else ""
    lines = [
        f"true value: {number(chosen['truth'], 5)} {unit} ({benchmark['metric']}, {benchmark['name']}{here}); "
        f"the benchmark's best is {number(benchmark['best']['value'], 5)}",
        f"rank: {at['rank']:,} of {at['of']:,} unique architectures "
        f"({at['rank_runs']:,} of {at['of_runs']:,} trainings), percentile {at['percentile']:.1f}, "
        f"regret {number(at['regret'])} {unit}",
    ]
    lines += reported_lines(chosen, benchmark)
    reachable = chosen["reachable"]
    if reachable is not None and reachable["key"] != benchmark["best"]["key"]:
        how = "drawn by this search" if reachable["draws"] else "returned by this search"
        lines.append(
            f"reachable: the best architecture of {benchmark['name']} that could be {how} has "
            f"{number(reachable['value'], 5)}; the regret against it is {number(reachable['regret'])} {unit}"
        )
    if chosen["noise"]:
        high, low = chosen["noise"]["best"], chosen["noise"]["worst"]
        known = len({q["key"] for q in results["queries"] if q["truth"] is not None})
        lines.append(
            f"noise: one training has a standard deviation of {number(benchmark['noise'])} {unit} (median); "
            f"95% interval here: rank {high['rank']:,} to {low['rank']:,}, "
            f"regret {number(high['regret'])} to {number(low['regret'])}"
        )
        if known > 1:
            lines.append(
                f"selection: this is the best of {known} noisy values, so the architecture is probably worse than its "
                "value (winner's curse); the interval does not account for that, but a training with another seed "
                "would show it"
            )
    return lines + _query_lines(results, benchmark)


def _unknown(results: dict[str, Any], chosen: dict[str, Any], benchmark: dict[str, Any]) -> str:
    """Why the find has no true value, and what is known instead."""
    early = [q for q in results["queries"] if q["key"] == chosen["key"] and q["value"] is not None]
    if early:
        last = max(early, key=lambda q: q["fidelity"])
        return (
            f"true value: unknown; after a share of {last['fidelity']:g} of the training it is "
            f"{number(last['value'], 5)} {benchmark['unit']} ({benchmark['metric']}, {benchmark['name']})"
        )
    if diverged(results):
        return f"true value: none, {diverged(results)}"
    asked = f"; none of the {len(results['queries'])} {how_chosen(results)} is in it" if results["queries"] else ""
    return f"true value: unknown, the architecture is not in {benchmark['name']}{asked}"


def _query_lines(results: dict[str, Any], benchmark: dict[str, Any]) -> list[str]:
    """How much truth was asked, what that buys otherwise, and what must be known of it."""
    lines, regret, unit = [], results["regret"], benchmark["unit"]
    if regret:
        lines.append(queries_line(results))
        one_order, all_orders = regret["best_so_far"][-1], (regret["over_ties"] or [None])[-1]
        if one_order is not None and all_orders is not None and abs(all_orders - one_order) > 1e-9:
            lines.append(
                f"ties: several candidates tie for the last query; averaged over tie-breaks the regret is "
                f"{number(all_orders)} {unit}"
            )
    else:
        lines.append("queries used: 0 (no truth was used for the selection; the value above is for evaluation only)")
    lines += cost_lines(results)
    lines += [f"table: {benchmark['caveat']}"] if benchmark["caveat"] else []
    lines += [f"note: {results['note']}"] if results["note"] else []
    return lines


def _pretty(results: dict[str, Any]) -> str:
    import json

    if results["found"] is None:
        return "{}"
    data = results["found"]["architecture"]
    if all(isinstance(v, dict) and "op" in v for v in data.values()):
        body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(node)}" for name, node in data.items())
        return "{\n" + body + "\n}"
    return json.dumps(data, indent=1)
