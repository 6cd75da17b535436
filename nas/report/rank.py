"""The answer of a ranking: how each proxy agrees with the truth of a whole benchmark, beside its baselines."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas import judge
from nas.core.files import command_line, number, versions, write_csv, write_json, write_text
from nas.engine.evaluate import Evaluation
from nas.judge.noise import Noise, ceiling
from nas.judge.pairs import within
from nas.judge.ranking import UNSIZED, Ranking, rankings
from nas.judge.variation import variation_index
from nas.report import plots, scrutiny
from nas.report.apart import ranked_apart, ranked_line
from nas.report.page import PAGE, write_page
from nas.report.selection import curve_lines, curve_plot, curve_sections, curves
from nas.report.tables import estimate, failures, markdown_table, text_table
from nas.settings import RankSettings, Settings
from nas.truth.benchmarks import Benchmark, Diverged, Entry
from proxies.base import Proxy
from spaces.base import Counts, Space

__all__ = ["lines", "members_line", "noise", "noise_line", "ordered", "published_lines", "report", "samples_lines"]


def report(
    folder: Path,
    settings: Settings[RankSettings],
    proxies: Mapping[str, Proxy],
    members: Sequence[Entry | Diverged],
    evaluations: Sequence[Evaluation],
    resamples: int,
    wall: float,
) -> dict[str, Any]:
    """Writes summary.md, table.csv, results.json and plots; returns what results.json holds.

    The plots are a scatter of truth and score for each proxy, and the over-optimisation curves of all.

    Args:
        proxies: label -> proxy, baselines included, and views where the learned reference is of views.
        members: the benchmark's architectures that were scored, those whose training diverged among them.
        evaluations: their scores, same order.
        resamples: of the bootstrap.
        wall: seconds the scoring took this session.
    """
    benchmark = settings.needed_truth()
    labels = [label for label in proxies if label not in settings.views]
    rows = [
        [*_truth_cells(m), *(ev.scores[label].value for label in labels), _failed(ev, labels)]
        for m, ev in zip(members, evaluations, strict=True)
    ]
    header = ["key", "truth", "runs", *labels, "failure"]
    if any(ids := [getattr(m.architecture, "id", None) for m in members]):  # of a table of the user's own
        header, rows = [*header, "id"], [[*row, id] for row, id in zip(rows, ids, strict=True)]
    write_csv(folder / "table.csv", header, rows)
    columns = {label: [ev.scores[label].value for ev in evaluations] for label in labels}
    truth = [m.value if isinstance(m, Entry) else None for m in members]
    signed = [None if t is None else benchmark.sign * t for t in truth]
    architectures = [m.architecture for m in members]
    sizes = [settings.space.counts(architecture) for architecture in architectures]
    ranked = rankings(columns, signed, sizes, resamples)
    judged = {
        label: _judge(label, proxies[label], ranked[label], benchmark, members, sizes, evaluations, settings.space)
        for label in labels
    }
    known = sum(isinstance(m, Entry) for m in members)
    results: dict[str, Any] = {
        "command": "rank",
        "space": settings.space.name,
        "reduction": settings.space.rule.to_json(),
        "benchmark": benchmark.name,
        "metric": benchmark.metric,
        "higher_is_better": benchmark.sign > 0,
        "architectures": known,
        "of": len(benchmark.entries),
        "diverged": len(members) - known,
        "noise": noise(benchmark),
        "caveat": benchmark.caveat,
        "probe": settings.given.probe.name,
        "seed": settings.seed,
        "proxies": judged,
        "resamples": resamples,
        "lot": scrutiny.lot(signed),
        "reference": scrutiny.learn(
            settings.space,
            architectures,
            signed,
            settings.given.reference,
            [[ev.scores[view].value for view in settings.views] for ev in evaluations],
        ),
        "reported": ranked_apart(benchmark, [member.key for member in members], columns),
        "selection": curves(columns, truth, benchmark.sign, resamples),
        "seconds": {"wall": wall, "scoring": sum(e.seconds for e in evaluations)},
        "command_line": command_line(),
        "config": settings.config,
        "versions": versions(),
    }
    results["plots"] = [_plot(folder, label, benchmark, members, evaluations, judged[label]) for label in labels]
    title = f"{benchmark.name}, {len(members):,} architectures: the truth of what a proxy selects"
    results["plots"] += [path.name for path in curve_plot(folder, results["selection"], _order(results), title)]
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", "\n".join(_summary(results)) + "\n")
    write_page([folder], folder / PAGE)
    return results


def noise(benchmark: Benchmark) -> dict[str, Any]:
    """Returns what is known of a table's noise: retest agreement, what a noiseless predictor would reach, deviation.

    ``ceiling`` is with one training, ``ceiling_of_mean`` with the mean of ``trainings``, the median number of trainings
    behind a value of the table.
    """
    measured = Noise(benchmark)
    tau = measured.retest.tau
    trainings = int(np.median([len(entry.runs) for entry in benchmark.entries]))
    return {
        "retest": vars(measured.retest),
        "ceiling": None if tau is None else ceiling(tau),
        "ceiling_of_mean": None if tau is None else ceiling(tau, trainings),
        "trainings": trainings,
        "standard_deviation": measured.deviation,
        "unit": benchmark.unit,
    }


def _truth_cells(member: Entry | Diverged) -> list[Any]:
    return [member.key, member.value, len(member.runs)] if isinstance(member, Entry) else [member.key, None, 0]


def _failed(evaluation: Evaluation, labels: Sequence[str]) -> str:
    scores = evaluation.scores
    return "; ".join(f"{label}: {scores[label].reason}" for label in labels if scores[label].value is None)


def _judge(
    label: str,
    proxy: Proxy,
    ranking: Ranking,
    benchmark: Benchmark,
    members: Sequence[Entry | Diverged],
    sizes: Sequence[Counts],
    evaluations: Sequence[Evaluation],
    space: Space[Any],
) -> dict[str, Any]:
    pairs = [(m, ev.scores[label]) for m, ev in zip(members, evaluations, strict=True)]
    scores = [score.value for _, score in pairs if score.value is not None]
    valid = [(m, score.value) for m, score in pairs if score.value is not None and isinstance(m, Entry)]
    times = [ev.times for ev in evaluations if label in ev.times]
    own = float(np.mean([t[label] for t in times])) if times else float("nan")
    shared = 0.0
    if "columns" in proxy.needs:
        own = math.nan  # to look a score up is not what it costs
    elif times and "forward" in proxy.needs:
        shared = float(np.mean([t["pass"] for t in times]))
    elif proxy.needs:  # they only read shapes, which the pass makes
        shapes = space.matrices if "matrices" in proxy.needs else space.counts
        start = time.perf_counter()
        for member in members[:100]:
            shapes(member.architecture)
        shared = (time.perf_counter() - start) / len(members[:100])
    return {
        "agreement_all": None if ranking.overall is None else vars(ranking.overall),
        "agreement": None if ranking.valid is None else vars(ranking.valid),
        "common": {"count": ranking.common_count, "tau": None if math.isnan(ranking.common) else ranking.common},
        **scrutiny.facts(ranking),
        "distinct": len(set(scores)),
        "ties": len(scores) - len(set(scores)),
        "variation": variation_index([score.samples for _, score in pairs]),
        "failures": dict(Counter(score.reason for _, score in pairs if score.value is None)),
        "milliseconds": 1000 * (own + shared),
        "milliseconds_scoring": 1000 * own,
        "source": proxy.source,
        "runs": _by_run(
            proxy, benchmark, valid, {m.key: size.parameters for m, size in zip(members, sizes, strict=True)}
        ),
    }


def _by_run(
    proxy: Proxy, benchmark: Benchmark, valid: Sequence[tuple[Entry, float]], parameters: Mapping[str, int | None]
) -> dict[str, Any]:
    """Compares over single trainings, as published tables do, and with the published column of the metric."""
    runs = [(score, run) for entry, score in valid for run in entry.runs]
    if len(runs) < 3:
        return {}
    scores = [score for score, _ in runs]
    truth = [benchmark.sign * run.value for _, run in runs]
    sizes = [size for entry, _ in valid for _ in entry.runs if (size := parameters[entry.key]) is not None]
    result: dict[str, Any] = {
        "count": len(runs),
        "tau": judge.kendall(scores, truth),
        "tie_broken": judge.tie_broken(scores, truth),
        "like_size": vars(within(scores, truth, sizes) if len(sizes) == len(runs) else UNSIZED),
    }
    column = benchmark.published_column(proxy)
    if column is None:
        return result
    both = [(s, run.published[column], t) for (s, run), t in zip(runs, truth, strict=True) if column in run.published]
    if len(both) >= 3:
        mine, published, values = zip(*both, strict=True)
        result["published"] = {
            "column": column,
            "count": len(both),
            "spearman": judge.spearman(mine, published),
            "kendall": judge.kendall(mine, published),
            "tau_of_column": judge.kendall(published, values),
            "tau": judge.kendall(mine, values),
        }
    return result


def _plot(
    folder: Path,
    label: str,
    benchmark: Benchmark,
    members: Sequence[Entry | Diverged],
    evaluations: Sequence[Evaluation],
    judged: Mapping[str, Any],
) -> str:
    scores = [(ev.scores[label].value, m) for m, ev in zip(members, evaluations, strict=True)]
    valid = [(s, m.value) for s, m in scores if s is not None and isinstance(m, Entry)]
    a = judged["agreement"] or {"tau": float("nan"), "rho": float("nan")}
    title = f"{benchmark.name}, {len(valid)} architectures: tau {a['tau']:.3f}, rho {a['rho']:.3f}"
    path = folder / f"truth_{label}.png"
    plots.scatter(
        path, [s for s, _ in valid], [t for _, t in valid], f"{label} (higher is better)", benchmark.metric, title
    )
    return path.name


def lines(results: Mapping[str, Any]) -> list[str]:
    """Returns the tables that the command prints, one line a proxy, best tau first.

    Agreement; ties, size and the ten best; selection.
    """
    order = _order(results)
    return [
        *text_table(*_table(results, short=True)),
        *scrutiny.lines(results, order),
        *curve_lines(results["selection"], order),
    ]


def _order(results: Mapping[str, Any]) -> list[str]:
    return [label for label, _ in ordered(results["proxies"])]


def _table(results: Mapping[str, Any], short: bool = False) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the agreement, for a terminal of 120 columns where it is to be short."""
    # where every architecture has a truth and every proxy a score, the three taus are one
    one_set = all(r["agreement_all"] == r["agreement"] for r in results["proxies"].values())
    common = next((r["common"]["count"] for r in results["proxies"].values()), 0)
    sampled = any(r.get("variation") is not None for r in results["proxies"].values())
    apart: list[str] = []
    if not one_set:
        apart = ["valid pairs"] if short else ["tau, valid pairs [95%]", "pairs", f"tau, common {common:,}"]
    rows = []
    for label, r in ordered(results["proxies"]):
        whole, valid = r["agreement_all"], r["agreement"]
        cells = [estimate(whole), estimate(whole, "rho"), f"{whole['recall']:.2f}" if whole else "n/a"]
        if apart:
            shared = r["common"]["tau"]
            told = [estimate(valid), f"{valid['count']:,}" if valid else "n/a"]
            told.append("n/a" if shared is None else f"{shared:.3f}")
            cells += [f"{valid['tau']:.3f}" if valid else "n/a"] if short else told
        failed = f"{sum(r['failures'].values()):,}" if short else failures(r)
        rows.append([label, *cells, number(r["milliseconds"], 3), failed])
        rows[-1] += [number(r["variation"], 3)] if sampled else []
    recall, time_of_one = ("top 10%", "ms") if short else ("top-10% recall", "ms/architecture")
    header = ["proxy", "tau [95%]", "rho [95%]", recall, *apart, time_of_one, "failures"]
    return [*header, *(["variation index"] if sampled else [])], rows


def members_line(results: Mapping[str, Any]) -> str:
    """Returns over which architectures the main numbers are, in one sentence."""
    diverged = results["diverged"]
    last = f", and {diverged:,} whose training diverged, tied last in the truth" if diverged else ""
    return (
        f"{results['benchmark']}: {results['architectures']:,} of {results['of']:,} unique architectures{last}; "
        f"{results['metric']}"
    )


def noise_line(results: Mapping[str, Any]) -> str:
    """Returns what the noise of the truth is, in one sentence."""
    found = results["noise"]
    again, table = found["retest"], f"; {results['caveat']}" if results["caveat"] else ""
    if again["tau"] is None:
        return f"retest agreement: unknown, too few architectures were trained twice{table}"
    whole = ""
    if again["diverged"]:
        whole = (
            f"; {again['diverged']:,} of the {again['repeated']:,} diverged with another seed, and with these tied "
            f"last the tau is {again['tau_all']:.3f}"
        )
    mean = ""
    if found["trainings"] > 1:
        mean = f", with the mean of {found['trainings']} {found['ceiling_of_mean']:.3f}"
    return (
        f"retest agreement: tau {again['tau']:.3f} between two trainings of the same architectures "
        f"({again['architectures']:,} of {again['repeated']:,} repeated ones{whole}); a noiseless predictor would "
        f"reach tau {found['ceiling']:.3f} with one training{mean} if trainings were bivariate normal; the standard "
        f"deviation of one training is {number(found['standard_deviation'])} {found['unit']}{table}"
    )


def ordered(judged: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns (label, judgement) of the proxies, best tau over all architectures first, those without one last."""

    def tau(item: tuple[str, dict[str, Any]]) -> float:
        agreement = item[1]["agreement_all"]
        value = agreement["tau"] if agreement else math.nan
        return -9.0 if value is None or math.isnan(value) else value

    return sorted(judged.items(), key=tau, reverse=True)


def published_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns one sentence per proxy that has a published column: published beside recomputed."""
    found = []
    for label, r in results["proxies"].items():
        p = r["runs"].get("published")
        if p:
            found.append(
                f"{label} against the published column '{p['column']}' ({p['count']:,} trainings): Spearman "
                f"{p['spearman']:.4f}; tau with the truth {p['tau']:.4f}, published column {p['tau_of_column']:.4f}"
            )
    return found


def samples_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns what a score is where each architecture was scored several times, in one sentence."""
    samples = results["config"].get("samples", 1)
    if samples == 1:
        return []
    return [
        f"each score is the mean of {samples} samples over initialisations and batches; variation index: the mean over "
        "architectures of the samples' standard deviation divided by the size of their mean"
    ]


def _summary(results: Mapping[str, Any]) -> list[str]:
    out = [
        f"# {results['benchmark']}, probe {results['probe']}",
        "",
        f"{members_line(results)}.",
        "",
        "tau and rho are positive where a higher score goes with a better truth. They are over all architectures: "
        "failed scores are tied last in the scores, and diverged trainings are tied last in the truth. *Valid pairs* "
        "leaves both out, as most publications do. *Common* has the architectures with a truth that every proxy "
        "scored. Brackets are 95% bootstrap intervals over architectures. The time is that of one core, for the "
        "score and the pass that all proxies of this run share.",
        "",
        *markdown_table(*_table(results)),
        "",
        f"- {noise_line(results)}",
        *(f"- {text}" for text in published_lines(results)),
        *(f"- {text}" for text in [*samples_lines(results), *ranked_line(results)]),
        *scrutiny.section(results, _order(results)),
        *curve_sections(results["selection"], _order(results), results["noise"]["unit"]),
    ]
    seconds, made = results["seconds"], results["versions"]
    out += [
        "",
        f"Scoring took {seconds['scoring']:.1f} s of wall time, summed over the evaluations ({seconds['wall']:.1f} s "
        "this session); made by " + ", ".join(f"{name} {version}" for name, version in made.items()) + ".",
    ]
    return out
