"""The answer of a search: summary.md, table.csv, results.json and plots in the run folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas import judge
from nas.core.files import number, versions, write_csv, write_json, write_text
from nas.report import plots
from nas.settings import Settings
from nas.truth.benchmarks import Benchmark, Entry, Standing
from nas.truth.outcome import Query, Scored

__all__ = ["found", "report"]


def found(scored: Sequence[Scored], queries: Sequence[Query], fitness: str, sign: float) -> tuple[Scored | None, str]:
    """Returns the architecture a search found, and by what it was chosen.

    With verified queries it is the one with the best truth among them, else the best by proxy (ties: the earlier).
    """
    by_key = {s.architecture.key: s for s in scored}
    known = [q for q in queries if q.entry is not None]
    if known:
        best = max(known, key=lambda q: sign * q.entry.value if q.entry else 0.0)
        return by_key[best.architecture.key], f"best truth of the {len(known)} verified"
    valid = [s for s in scored if s.evaluation.scores[fitness].value is not None]
    if not valid:
        return None, "no architecture has a score"
    return max(valid, key=lambda s: s.evaluation.scores[fitness].fitness), f"best {fitness}"


def report(
    folder: Path,
    settings: Settings,
    scored: Sequence[Scored],
    queries: Sequence[Query],
    pool: Sequence[Any] | None,
    wall: float,
    note: str = "",
) -> dict[str, Any]:
    """Writes everything into the run folder and returns what results.json holds.

    Args:
        scored: all evaluated architectures in the order asked.
        queries: the verified ones, in order.
        pool: members of a closed pool (None: the open space), for the baselines of the regret plot.
        wall: seconds this session's search took (a resumed run computes only what was missing).
        note: a warning about the truth, told with it.
    """
    benchmark, fitness = settings.benchmark, settings.fitness
    chosen, reason = found(scored, queries, fitness, benchmark.sign if benchmark else 1.0)
    truth = {s.architecture.key: _entry(benchmark, s.architecture) for s in scored}
    labels = list(settings.proxies)
    _write_table(folder, scored, labels, truth)
    results: dict[str, Any] = {
        "command": "search",
        "space": settings.space.name,
        "reduction": settings.space.rule.to_json(),
        "searcher": settings.config["searcher"]["name"],
        "proxies": labels,
        "fitness": fitness,
        "probe": settings.config["probe"].get("name"),
        "pool": settings.config["pool"],
        "seed": settings.seed,
        "evaluations": len(scored),
        "failures": _failures(scored, fitness),
        "found": None if chosen is None else _describe(settings, chosen, reason, benchmark),
        "benchmark": None if benchmark is None else _benchmark(benchmark),
        "no_truth": settings.no_truth,
        "note": note,
        "queries": [_query(q) for q in queries],
        "queries_used": sum(q.entry is not None or bool(q.reason) for q in queries),
        "agreement": _agreements(scored, labels, truth, benchmark),
        "regret": _regrets(settings, scored, queries, pool),
        "seconds": {"wall": wall, "scoring": sum(s.evaluation.seconds for s in scored)},
        "config": settings.config,
        "versions": versions(),
    }
    results["plots"] = _plots(folder, settings, results, scored, chosen, truth)
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", summary(results))
    return results


def _entry(benchmark: Benchmark | None, architecture: Any) -> Entry | None:
    return benchmark.lookup(architecture) if benchmark else None


def _write_table(folder: Path, scored: Sequence[Scored], labels: list[str], truth: dict[str, Entry | None]) -> None:
    rows = []
    for s in scored:
        scores = [s.evaluation.scores[label].value for label in labels]
        reasons = [f"{label}: {s.evaluation.scores[label].reason}" for label in labels]
        failed = "; ".join(r for r, v in zip(reasons, scores, strict=True) if v is None)
        entry = truth[s.architecture.key]
        text = _one_line(s.architecture)
        rows.append([s.index, s.architecture.key, *scores, failed, None if entry is None else entry.value, text])
    write_csv(folder / "table.csv", ["index", "key", *labels, "failure", "truth", "architecture"], rows)


def _one_line(architecture: Any) -> str:
    import json

    return json.dumps(architecture.to_json(), separators=(",", ":"))


def _failures(scored: Sequence[Scored], fitness: str) -> dict[str, int]:
    return dict(
        Counter(s.evaluation.scores[fitness].reason for s in scored if s.evaluation.scores[fitness].value is None)
    )


def _describe(settings: Settings, chosen: Scored, reason: str, benchmark: Benchmark | None) -> dict[str, Any]:
    counts = settings.space.counts(chosen.architecture)
    entry = _entry(benchmark, chosen.architecture)
    standing = around = None
    trained_here = False
    if benchmark is not None and entry is not None:
        trained_here = entry.key not in benchmark.by_key
        standing = benchmark.place(entry)
        around = benchmark.interval(entry.value, len(entry.runs), member=not trained_here)
    return {
        "key": chosen.architecture.key,
        "chosen_by": reason,
        "index": chosen.index,
        "scores": {label: score.value for label, score in chosen.evaluation.scores.items()},
        "parameters": counts.parameters,
        "flops_per_token": counts.flops,
        "truth": None if entry is None else entry.value,
        "standing": None if standing is None else vars(standing),
        "noise": None if around is None else {"best": vars(around[0]), "worst": vars(around[1])},
        "trained_here": trained_here,
        "architecture": settings.space.readable(chosen.architecture).to_json(),
    }


def _benchmark(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "metric": benchmark.metric,
        "unit": benchmark.unit,
        "higher_is_better": benchmark.higher_is_better,
        "architectures": len(benchmark.entries),
        "best": {"key": benchmark.best.key, "value": benchmark.best.value},
        "noise": benchmark.noise,
        "caveat": benchmark.caveat,
    }


def _query(query: Query) -> dict[str, Any]:
    standing: Standing | None = query.standing
    return {
        "key": query.architecture.key,
        "fitness": query.fitness,
        "truth": None if query.entry is None else query.entry.value,
        "rank": None if standing is None else standing.rank,
        "regret": None if standing is None else standing.regret,
        "reason": query.reason,
    }


def _agreements(
    scored: Sequence[Scored], labels: list[str], truth: dict[str, Entry | None], benchmark: Benchmark | None
) -> dict[str, Any]:
    found_agreements: dict[str, Any] = {}
    if benchmark is None:
        return found_agreements
    for label in labels:
        pairs = [
            (s.evaluation.scores[label].value, benchmark.sign * entry.value)
            for s in scored
            if (entry := truth[s.architecture.key]) is not None and s.evaluation.scores[label].value is not None
        ]
        agreement = judge.agreement([p[0] for p in pairs if p[0] is not None], [p[1] for p in pairs], resamples=300)
        if agreement is not None:
            found_agreements[label] = vars(agreement)
    return found_agreements


def _regrets(
    settings: Settings, scored: Sequence[Scored], queries: Sequence[Query], pool: Sequence[Any] | None
) -> dict[str, Any]:
    """Best regret after each query, beside random search and the largest by parameters on the same pool.

    A training that diverged is a query too, here or in the table, and so it is for random search and for the largest,
    which draw from all that were trained. None: no query so far has a truth. ``over_ties`` averages over the orders of
    tied scores: where the last query is drawn from several architectures of the same score, ``best_so_far`` is one
    such order.
    """
    benchmark, fitness = settings.benchmark, settings.fitness
    used = [q for q in queries if q.standing is not None or q.reason]
    if benchmark is None or not used:
        return {}
    k = len(used)
    best_so_far = judge.best_so_far([math.inf if q.standing is None else q.standing.regret for q in used])
    entries = benchmark.entries if pool is None else [benchmark.by_key[a.key] for a in pool]
    without = list(benchmark.diverged.values()) if pool is None else []
    regrets = [benchmark.standing(entry.value).regret for entry in entries]
    trained = [one.architecture for one in entries] + [one.architecture for one in without]
    sizes = [settings.space.counts(architecture).parameters for architecture in trained]
    diverged = {*benchmark.diverged, *(q.architecture.key for q in used if q.reason)}
    seen = [
        (s.evaluation.scores[fitness].fitness, math.inf if entry is None else benchmark.place(entry).regret)
        for s in scored
        if s.evaluation.scores[fitness].value is not None
        and ((entry := benchmark.lookup(s.architecture)) is not None or s.architecture.key in diverged)
    ]

    def told(curve: Sequence[float]) -> list[float | None]:
        return [None if math.isinf(regret) else regret for regret in curve]

    return {
        "best_so_far": told(best_so_far),
        "over_ties": told(judge.ranked_regret([fit for fit, _ in seen], [regret for _, regret in seen], k)),
        "random": judge.random_regret(regrets, k, len(without)),
        "parameters": told(judge.ranked_regret(sizes, regrets + [math.inf] * len(without), k)),
        "pool": len(entries),
        "best_in_pool": min(regrets),
    }


def _plots(
    folder: Path,
    settings: Settings,
    results: dict[str, Any],
    scored: Sequence[Scored],
    chosen: Scored | None,
    truth: dict[str, Entry | None],
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
                if (entry := truth[s.architecture.key]) is not None
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
                            (f"{settings.config['searcher']['name']}, {settings.fitness}", *plots.BASELINES),
                            ("best_so_far", "random", "parameters"),
                            strict=True,
                        )
                    },
                    benchmark.unit,
                    f"{benchmark.name}: regret of the verified candidates",
                )
            )
    return [path.name for path in made]


def summary(results: dict[str, Any]) -> str:
    """Returns summary.md: the answer first, then how it was reached."""
    lines = [f"# {results['space']} search: {results['searcher']}, fitness {results['fitness']}", ""]
    lines += [f"- {text}" for text in answer(results)]
    if results["agreement"]:
        lines += ["", "| proxy | architectures | Kendall tau [95%] | Spearman rho [95%] | top-10% recall |"]
        lines += ["|---|---|---|---|---|"]
        for label, a in results["agreement"].items():
            low, high = a["tau_interval"]
            low_rho, high_rho = a["rho_interval"]
            lines.append(
                f"| {label} | {a['count']:,} | {a['tau']:.3f} [{low:.3f}, {high:.3f}] "
                f"| {a['rho']:.3f} [{low_rho:.3f}, {high_rho:.3f}] | {a['recall']:.2f} |"
            )
    if results["queries"]:
        unit = results["benchmark"]["unit"] if results["benchmark"] else ""
        lines += ["", f"| query | architecture | {results['fitness']} | truth ({unit}) | rank | regret |"]
        lines += ["|---|---|---|---|---|---|"]
        for i, q in enumerate(results["queries"], 1):
            lines.append(
                f"| {i} | {q['key']} | {number(q['fitness'], 6)} | {q['reason'] or number(q['truth'], 5)} "
                f"| {number(q['rank'])} | {number(q['regret'])} |"
            )
    lines += ["", "Files: table.csv (every evaluation), results.json (all of this), journal.jsonl (the record)."]
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
        lines.append(f"found: {chosen['key']} ({chosen['chosen_by']}), {chosen['parameters']:,} parameters")
        scores = ", ".join(f"{label} {number(value, 6)}" for label, value in chosen["scores"].items())
        lines.append(f"proxy score: {scores}")
        lines += _truth_lines(results, chosen, benchmark)
    failures = ", ".join(f"{count} {reason}" for reason, count in results["failures"].items()) or "none"
    seconds = results["seconds"]
    lines.append(f"evaluated: {results['evaluations']:,} distinct architectures; failures: {failures}")
    lines.append(f"seconds: {seconds['wall']:.1f} this session, {seconds['scoring']:.1f} of scoring in all")
    return lines


def _truth_lines(results: dict[str, Any], chosen: dict[str, Any], benchmark: dict[str, Any] | None) -> list[str]:
    if benchmark is None:
        return [f"true value: unknown, {results['no_truth']}"]
    if chosen["truth"] is None:
        asked = f"; none of the {len(results['queries'])} verified is in it" if results["queries"] else ""
        diverged = _diverged(results)
        if diverged:
            return [f"true value: none, {diverged}", *_query_lines(results, benchmark)]
        return [f"true value: unknown, the architecture is not in {benchmark['name']}{asked}"]
    at, unit = chosen["standing"], benchmark["unit"]
    here = ", trained here" if chosen["trained_here"] else ""
    lines = [
        f"true value: {number(chosen['truth'], 5)} {unit} ({benchmark['metric']}, {benchmark['name']}{here}); "
        f"the benchmark's best is {number(benchmark['best']['value'], 5)}",
        f"rank: {at['rank']:,} of {at['of']:,} unique architectures "
        f"({at['rank_runs']:,} of {at['of_runs']:,} trainings), percentile {at['percentile']:.1f}, "
        f"regret {number(at['regret'])} {unit}",
    ]
    if chosen["noise"]:
        high, low = chosen["noise"]["best"], chosen["noise"]["worst"]
        lines.append(
            f"noise: one training has a standard deviation of {number(benchmark['noise'])} {unit} (median); "
            f"95% interval here: rank {high['rank']:,} to {low['rank']:,}, "
            f"regret {number(high['regret'])} to {number(low['regret'])}"
        )
    return lines + _query_lines(results, benchmark)


def _diverged(results: dict[str, Any]) -> str:
    count = sum(bool(q["reason"]) for q in results["queries"])
    return f"the training of {count} of the {len(results['queries'])} verified diverged" if count else ""


def _query_lines(results: dict[str, Any], benchmark: dict[str, Any]) -> list[str]:
    """How much truth was asked, what that buys otherwise, and what must be known of it."""
    lines, regret, unit = [], results["regret"], benchmark["unit"]
    if regret:
        diverged = f" ({_diverged(results)})" if _diverged(results) else ""
        lines.append(
            f"queries used: {results['queries_used']}{diverged}; expected regret ({unit}) with as many queries: random "
            f"search {number(regret['random'][-1])}, the largest by parameters {number(regret['parameters'][-1])}"
        )
        one_order, all_orders = regret["best_so_far"][-1], regret["over_ties"][-1]
        if one_order is not None and all_orders is not None and abs(all_orders - one_order) > 1e-9:
            lines.append(
                f"ties: several architectures share the last query's {results['fitness']}; over the orders of tied "
                f"scores the expected regret is {number(all_orders)} {unit}"
            )
    else:
        lines.append("queries used: 0 (the truth above only judges the find)")
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
