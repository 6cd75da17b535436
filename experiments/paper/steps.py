"""The steps of the reproduction; each writes one file of numbers, and figures, under ``results``."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import proxies
import spaces
from experiments.commands import reduce as reduce_app
from experiments.paper.metrics import Proxies, bert_metrics, peers, rnn_metrics
from experiments.paper.operations import operation_test
from experiments.paper.runs import RESULTS, composed, ranked, read_results, read_table
from experiments.paper.tables import Subset, grid, published_taus, save, summarise
from nas import judge
from nas.core.files import versions
from nas.engine.evaluate import Scorer
from nas.truth import benchmarks
from nas.truth.benchmarks import Entry
from nas.truth.benchmarks.recipes import cell_of, log_id
from proxies.base import Proxy
from spaces.bert.probe import BertProbe
from spaces.rnn.probe import RNNProbe

__all__ = ["READINGS", "STEPS"]

READINGS = ("stated", "scored", "trained")

RNN_SUBSETS: Subset = {"loss below 5": lambda entry: entry.value < 5.0}


def _reduced(entry: Entry) -> bool:
    return entry.architecture.hidden_size == 256 and len(entry.architecture.layers) == 4


BERT_SUBSETS: Subset = {"256, 4 layers": _reduced}


def _both(metrics: Callable[[str], Proxies]) -> Proxies:
    return {
        f"{label}_{variant}": body for variant in ("released", "corrected") for label, body in metrics(variant).items()
    }


def rnn_published() -> None:
    """Released metrics of 300 cells drawn evenly over the loss, at the paper's sizes, against the published columns."""
    benchmark = benchmarks.get("nas_bench_nlp")
    folder = ranked("rnn_published", rnn_metrics("released"), "space=rnn", "probe=paper", "limit=300", baselines=False)
    summary = summarise(folder, benchmark, {})
    summary["same_recipe"] = _same_recipe(folder, rnn_metrics("released"))
    save(RESULTS / "rnn_published.json", summary)


def _same_recipe(folder: Path, metrics: Proxies) -> dict[str, dict[str, Any]]:
    """Spearman with the column over trainings whose recipe is written as the scored one, and over the others.

    Equal cells were trained from recipes written in different ways, and the released saliency skips whatever input is
    written first.
    """
    benchmark = benchmarks.get("nas_bench_nlp")
    found = {}
    for label, body in metrics.items():
        options = dict(body)
        column = benchmark.published_column(proxies.get(options.pop("name"), "rnn", **options))
        pairs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for row in read_table(folder):
            if row[label] == "":
                continue  # a failure
            entry = benchmark.by_key[row["key"]]
            for run in entry.runs:
                same = cell_of(log_id(run.id)).nodes == entry.architecture.nodes
                pairs[same].append((float(row[label]), run.published[str(column)]))
        found[label] = {
            name: {"trainings": len(some), "spearman": judge.spearman([a for a, _ in some], [b for _, b in some])}
            for name, some in (("same", pairs[True]), ("other", pairs[False]))
        }
    return found


def rnn_truth() -> None:
    """Every metric in both variants on all unique cells at the small probe, hidden covariance also at the micro one."""
    benchmark = benchmarks.get("nas_bench_nlp")
    chosen: Proxies = {**_both(rnn_metrics), "swap": {"name": "swap"}, "depth": {}, "width": {}}
    folder = ranked("rnn_truth", chosen, "space=rnn", "probe=small")
    summary = summarise(folder, benchmark, RNN_SUBSETS)
    summary["published"] = published_taus(benchmark, RNN_SUBSETS)
    save(RESULTS / "rnn_truth.json", summary)
    for variant in ("released", "corrected"):
        labels = [f"{label}_{variant}" for label in rnn_metrics(variant)]
        title = f"NAS-Bench-NLP, 2,499 untrained cells, {variant} metrics, probe small"
        grid(RESULTS / f"rnn_{variant}.png", folder, benchmark, labels, title)


def bert_published() -> None:
    """Released metrics of all 500 configurations in the scored reading, against the published columns."""
    benchmark = benchmarks.get("flexibert")
    sizes = ("probe=paper", "probe.bert.batch=1", "probe.bert.steps=256")
    folder = ranked("bert_published", bert_metrics("released"), "space=bert", "bert_reading=scored", *sizes)
    summary = summarise(folder, benchmark, BERT_SUBSETS)
    summary["published"] = published_taus(benchmark, BERT_SUBSETS)
    counted = spaces.get("bert", reading="scored")
    runs = [(entry, run) for entry in benchmark.entries for run in entry.runs]
    equal = sum(counted.counts(e.architecture).parameters == run.published["Number of Parameters"] for e, run in runs)
    summary["parameters_equal"] = [equal, len(runs)]
    save(RESULTS / "bert_published.json", summary)
    labels = list(bert_metrics("released"))
    grid(RESULTS / "bert_released.png", folder, benchmark, labels, "FlexiBERT, released metrics in the scored reading")


def bert_corrected() -> None:
    """Corrected metrics and the peers' in all three readings, with tau inside the reduced space and baselines."""
    benchmark = benchmarks.get("flexibert")
    summary = {}
    for reading in READINGS:
        options = ("space=bert", f"bert_reading={reading}", "probe=micro")
        chosen = {**bert_metrics("corrected"), **{k: v for k, v in peers().items() if not k.startswith("swap")}}
        chosen["depth"] = chosen["width"] = chosen["flops"] = {}
        chosen["hidden_covariance"] = {"name": "hidden_covariance", "layer": 2, "variant": "corrected"}
        sizes = ("probe.bert.batch=8", "probe.bert.steps=32")
        folder = ranked(f"bert_corrected_{reading}", chosen, *options, *sizes)
        summary[reading] = summarise(folder, benchmark, BERT_SUBSETS)
        swap = {k: v for k, v in peers().items() if k.startswith("swap")}
        sizes = ("probe.bert.batch=64", "probe.bert.steps=16")
        swapped = ranked(f"bert_swap_{reading}", swap, *options, *sizes, baselines=False)
        summary[reading]["proxies"].update(summarise(swapped, benchmark, BERT_SUBSETS)["proxies"])
        if reading == "trained":
            title = "FlexiBERT, corrected metrics in the trained reading"
            grid(RESULTS / "bert_corrected.png", folder, benchmark, list(bert_metrics("corrected")), title)
    summary["baselines"] = _bert_baselines()
    save(RESULTS / "bert_corrected.json", summary)


def _bert_baselines() -> dict[str, Any]:
    """Layers, hidden size and their product: what a metric on FlexiBERT must beat."""
    benchmark = benchmarks.get("flexibert")
    truth = [entry.value for entry in benchmark.entries]
    configs = [entry.architecture for entry in benchmark.entries]
    scores = {
        "layers": [float(len(c.layers)) for c in configs],
        "hidden size": [float(c.hidden_size) for c in configs],
        "hidden size x layers": [float(c.hidden_size * len(c.layers)) for c in configs],
    }
    return {name: vars(judge.agreement(values, truth, 300)) for name, values in scores.items()}


def rounding_noise() -> None:
    """Released BERT gradient metrics in float32 and float64, and their rank agreement between seeds."""
    names = ("synaptic_diversity", "synaptic_saliency", "head_importance", "jacobian_covariance", "jacobian_cosine")
    space = spaces.get("bert", reading="scored")
    configs = [e.architecture for e in benchmarks.get("flexibert").entries[::16]]
    rows: dict[str, Any] = {}
    for variant in ("released", "corrected"):
        chosen = {name: proxies.get(name, "bert", variant=variant) for name in names}
        single = BertProbe(batch=2, steps=192, train_mode=True)
        double = dataclasses.replace(single, dtype="float64")
        first = _scores(space, single, chosen, configs, 0)
        second = _scores(space, single, chosen, configs, 1)
        exact = _scores(space, double, chosen, configs, 0)
        for name in names:
            a, b, c = first[name], second[name], exact[name]
            rows[f"{name}, {variant}"] = {
                "float32 over float64, median": float(np.median(a / c)),
                "Spearman float32 with float64": judge.spearman(a, c),
                "Spearman between seeds": judge.spearman(a, b),
                "tau between seeds": judge.kendall(a, b),
            }
    data = {"configurations": len(configs), "batch": 2, "steps": 192, "metrics": rows, "versions": versions()}
    save(RESULTS / "rounding_noise.json", data)


def _scores(
    space: Any, probe: Any, chosen: dict[str, Proxy], architectures: Sequence[Any], seed: int
) -> dict[str, np.ndarray]:
    scorer = Scorer(space, probe, chosen, seed)
    found = [scorer(architecture).scores for architecture in architectures]
    return {
        label: np.array([f[label].value if f[label].value is not None else np.nan for f in found]) for label in chosen
    }


def ablations() -> None:
    """Ten architectures, one per decile of truth: ten true initialisations and ten disjoint batches."""
    rnn = _made("rnn", rnn_metrics)
    bert = _made("bert", bert_metrics)
    small = RNNProbe(embedding=192, hidden=(192, 192, 192), batch=16, steps=20)
    micro = BertProbe(batch=8, steps=32)
    data = {
        "rnn": _ablation("nas_bench_nlp", spaces.get("rnn"), small, rnn),
        "bert": _ablation("flexibert", spaces.get("bert", reading="scored"), micro, bert),
        "versions": versions(),
    }
    save(RESULTS / "ablations.json", data)


def _made(space: str, metrics: Callable[[str], Proxies]) -> dict[str, Proxy]:
    return _instances(space, _both(metrics))


def _instances(space: str, metrics: Proxies) -> dict[str, Proxy]:
    made = {}
    for label, body in metrics.items():
        options = dict(body)
        made[label] = proxies.get(options.pop("name"), space, **options)
    return made


def _ablation(name: str, space: Any, probe: Any, chosen: dict[str, Proxy]) -> dict[str, Any]:
    benchmark = benchmarks.get(name)
    ordered = sorted(benchmark.entries, key=lambda entry: benchmark.sign * entry.value)
    picked = [ordered[int((d + 0.5) * len(ordered) / 10)] for d in range(10)]
    truth = [benchmark.sign * entry.value for entry in picked]
    architectures = [entry.architecture for entry in picked]
    result: dict[str, Any] = {"architectures": [entry.key for entry in picked], "probe": dataclasses.asdict(probe)}
    fixed = dataclasses.replace(probe, tokens_seed=0)
    kinds = {
        "initialisations": [_scores(space, fixed, chosen, architectures, seed) for seed in range(10)],
        "batches": [
            _scores(space, dataclasses.replace(probe, tokens_seed=j), chosen, architectures, 0) for j in range(10)
        ],
    }
    for kind, replicates in kinds.items():
        result[kind] = {}
        for label in chosen:
            values = np.array([r[label] for r in replicates])  # (replicates, architectures)
            valid = np.isfinite(values).all(axis=0)
            kept = values[:, valid]
            if kept.shape[1] < 3:
                result[kind][label] = {"architectures": int(valid.sum())}
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                variation = kept.std(axis=0, ddof=1) / np.abs(kept.mean(axis=0))
            pairs = [judge.kendall(kept[i], kept[j]) for i in range(len(kept)) for j in range(i)]
            taus = [judge.kendall(row, np.array(truth)[valid]) for row in kept]
            result[kind][label] = {
                "architectures": int(valid.sum()),
                "coefficient of variation, median": float(np.median(variation)),
                "coefficient of variation, largest": float(np.max(variation)),
                "tau between replicates, mean": float(np.mean(pairs)),
                "tau between replicates, least": float(np.min(pairs)),
                "tau with truth, mean": float(np.mean(taus)),
                "tau with truth, range": [float(np.min(taus)), float(np.max(taus))],
            }
    return result


#: embedding, width of the layers, batch and steps tried for cheap probes; the paper's embedding is 2/3 of its width
_PROBES: tuple[tuple[int, int, int, int], ...] = (
    (32, 64, 12, 12),
    (64, 64, 12, 12),
    (64, 64, 16, 20),
    (85, 128, 12, 12),
    (85, 128, 16, 20),
    (128, 128, 12, 12),
    (128, 128, 16, 20),
    (128, 128, 24, 32),
    (192, 192, 12, 12),
    (256, 256, 16, 20),
)
_PAPER = RNNProbe(400, (600, 600, 400), 50, 70, init="replayed")
_AGREES = 0.97
_TIMED = 12


def probe_agreement() -> None:
    """Spearman of cheap probes with the paper's sizes on the 300 cells of ``rnn_published``, released variant.

    Then every metric on all unique cells at the cheapest probe that agrees.
    """
    exact = {row["key"]: row for row in read_table(Path("runs") / "paper" / "rnn_published")}
    metrics = rnn_metrics("released")
    data: dict[str, Any] = {}
    cheapest: dict[str, tuple[float, str]] = {}
    sizes: dict[str, dict[str, Any]] = {}
    for embedding, width, batch, steps in _PROBES:
        for init in ("derived", "replayed"):
            name = f"{embedding}/{width} wide, {batch} x {steps}, init {init}"
            sizes[name] = {
                "embedding": embedding,
                "hidden": (width, width, width),
                "batch": batch,
                "steps": steps,
                "init": init,
            }
            label = f"agreement_{embedding}_{width}_{batch}_{steps}_{init}"
            rows = read_table(ranked(label, metrics, *_probe_options(sizes[name]), "limit=300", baselines=False))
            milliseconds = _pass_time(RNNProbe(**sizes[name]), metrics)
            columns = {}
            for metric in metrics:
                pairs = [(r[metric], exact[r["key"]][metric]) for r in rows]
                kept = [(float(ours), float(paper)) for ours, paper in pairs if ours != "" and paper != ""]
                columns[metric] = found = judge.spearman([a for a, _ in kept], [b for _, b in kept])
                if found is not None and found >= _AGREES and milliseconds < cheapest.get(metric, (np.inf, ""))[0]:
                    cheapest[metric] = (milliseconds, name)
            data[name] = {"spearman": columns, "milliseconds, all metrics": milliseconds}
    save(
        RESULTS / "probe_agreement.json",
        {
            "cells": len(exact),
            "threshold": _AGREES,
            "timed cells": _TIMED,
            "probes": data,
            "paper, milliseconds": _pass_time(_PAPER, metrics, passes=1),
            "all cells": _at_the_cheapest({metric: name for metric, (_, name) in cheapest.items()}, sizes),
            "versions": versions(),
        },
    )


def _pass_time(probe: RNNProbe, metrics: Proxies, passes: int = 3) -> float:
    """Processor time of one pass with these metrics, in milliseconds a cell."""
    entries = benchmarks.get("nas_bench_nlp").entries
    cells = [e.architecture for e in entries[:: len(entries) // _TIMED][:_TIMED]]
    return _processor_time(Scorer(spaces.get("rnn"), probe, _instances("rnn", metrics), 0), cells, passes)


def _probe_options(sizes: dict[str, Any]) -> list[str]:
    values = {**sizes, "hidden": str(list(sizes["hidden"])).replace(" ", "")}
    return ["space=rnn", "probe=small", *(f"probe.rnn.{key}={value}" for key, value in values.items())]


def _at_the_cheapest(chosen: dict[str, str], sizes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Ranks all unique cells with each metric at the probe chosen for it; metrics of one probe share its pass."""
    benchmark = benchmarks.get("nas_bench_nlp")
    found: dict[str, Any] = {}
    for name in dict.fromkeys(chosen.values()):
        metrics = {label: body for label, body in rnn_metrics("released").items() if chosen.get(label) == name}
        digest = hashlib.sha256(f"{name} {list(metrics)}".encode()).hexdigest()[:8]
        folder = ranked(f"cheapest_{digest}", metrics, *_probe_options(sizes[name]), baselines=False)
        milliseconds = _pass_time(RNNProbe(**sizes[name]), metrics)
        for label, judged in summarise(folder, benchmark, RNN_SUBSETS)["proxies"].items():
            if label in metrics:
                found[label] = {"probe": name, **judged, "milliseconds": milliseconds}
    return found


def costs() -> None:
    """Processor time of all metrics of one architecture together, over that of the most expensive alone."""
    data: dict[str, Any] = {}
    cases: dict[str, tuple[str, Any, Callable[[str], Proxies]]] = {
        "rnn": ("nas_bench_nlp", RNNProbe(embedding=192, hidden=(192, 192, 192)), rnn_metrics),
        "bert": ("flexibert", BertProbe(batch=8), bert_metrics),
    }
    for name, (table, probe, metrics) in cases.items():
        space = spaces.get(name)
        entries = benchmarks.get(table).entries
        architectures = [e.architecture for e in entries[:: len(entries) // 12]]
        for variant in ("released", "corrected"):
            chosen = {k: v for k, v in _made(name, metrics).items() if k.endswith(f"_{variant}")}
            together = _processor_time(Scorer(space, probe, chosen, 0), architectures)
            alone = {k: _processor_time(Scorer(space, probe, {k: v}, 0), architectures) for k, v in chosen.items()}
            dearest = max(alone, key=lambda label: alone[label])
            data[f"{name}, {variant}"] = {
                "together, ms": together,
                "dearest": dearest,
                "dearest alone, ms": alone[dearest],
                "ratio": together / alone[dearest],
            }
    save(RESULTS / "costs.json", {"architectures": 12, "cases": data, "versions": versions()})


def _processor_time(scorer: Scorer, architectures: Sequence[Any], passes: int = 3) -> float:
    """Returns the least of some passes over the architectures, in milliseconds each."""
    times = []
    for _ in range(passes):
        start = time.process_time()
        for architecture in architectures:
            scorer(architecture)
        times.append(time.process_time() - start)
    return 1000 * min(times) / len(architectures)


def reduction() -> None:
    """The qualitative reduction, fitted on one half and tested on the other, of both spaces; and the operation test."""
    data: dict[str, Any] = {}
    for space in ("bert", "rnn"):
        folder = Path("runs") / "paper" / f"reduction_{space}"
        reduce_app.run(composed("reduce", f"space={space}", f"run.dir={folder}"))
        data[space] = read_results(folder)
        shutil.copy(folder / "reduction.png", RESULTS / f"reduction_{space}.png")
    runs = [(e.architecture, run.value) for e in benchmarks.get("flexibert").entries for run in e.runs]
    found = operation_test([c for c, _ in runs], [v for _, v in runs], trained=True)
    data["operation_test"] = dataclasses.asdict(found)
    save(RESULTS / "reduction.json", data)


#: in the order in which they are best run: the cheap ones first
STEPS: dict[str, Callable[[], None]] = {
    "reduction": reduction,
    "rnn_truth": rnn_truth,
    "bert_published": bert_published,
    "bert_corrected": bert_corrected,
    "rounding_noise": rounding_noise,
    "ablations": ablations,
    "rnn_published": rnn_published,
    "probe_agreement": probe_agreement,
    "costs": costs,
}
