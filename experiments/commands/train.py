"""``zeronas train arch=...``: one architecture trained as a language model, its loss, its place in a table, weights."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spaces
from experiments.commands.app import command
from experiments.commands.arch import read_architecture
from experiments.guard import guarded
from nas.core.errors import ZeronasError
from nas.core.files import number, versions, write_json, write_text
from nas.core.folders import claimed
from nas.core.options import Choice, shown
from nas.core.progress import Progress
from nas.core.workers import out_of_memory
from nas.judge.noise import Noise
from nas.report import plots
from nas.settings import TrainSettings, read
from nas.truth import benchmarks
from nas.truth.measures import corpus_note
from nas.truth.train import protocol as protocols
from nas.truth.train.protocol import Protocol

if TYPE_CHECKING:
    from nas.truth.train.corpus import Corpus
    from nas.truth.train.trainer import Training
    from spaces.base import Space

__all__ = ["main", "run"]


def run(config: dict[str, Any]) -> dict[str, Any]:
    """Trains one architecture, or goes on where the same command stopped, and returns what results.json holds.

    Raises:
        ZeronasError: a setting, the architecture or the corpus is wrong, or the run folder cannot be used.
    """
    from nas.truth.train.corpus import load

    given = read(config, TrainSettings)
    space = spaces.get(given.space.name, **given.space.options)
    protocol = _protocol(given.protocol, space)
    architecture = read_architecture(space, given.arch, given.data_dir)
    device = _device(given.device)
    corpus = load(given.corpus, protocol.vocabulary)
    digest = hashlib.sha256(json.dumps([protocol.hash, corpus.fingerprint]).encode()).hexdigest()[:8]
    folder = given.run.path(f"train-{architecture.key}-s{given.seed}-{digest}")
    identity = {
        "command": given.command,
        "architecture": architecture.key,
        "seed": given.seed,
        "protocol": protocol.hash,
        "corpus": corpus.fingerprint,
        "device": device,
    }
    from nas.truth.train.trainer import CHECKPOINT, WEIGHTS  # torch; what is wrong above is told without it

    with claimed(folder, identity, given.fresh):
        answer = ("results.json", "summary.md")  # until the training ends, no earlier one stands for it
        for name in (*answer, CHECKPOINT, WEIGHTS) if given.fresh else answer:
            (folder / name).unlink(missing_ok=True)
        return _trained(folder, architecture, protocol, corpus, given.seed, device)


def _trained(
    folder: Path, architecture: Any, protocol: Protocol, corpus: Corpus, seed: int, device: str
) -> dict[str, Any]:
    from nas.truth.train.trainer import WEIGHTS, save_model, train

    print(
        f"training {architecture.key} under {protocol.name} ({protocol.hash}): {protocol.steps:,} updates on "
        f"{corpus.name}, {len(corpus.splits['train']):,} tokens, {device}",
        file=sys.stderr,
    )

    progress = Progress(protocol.steps, "updates")
    progress.beside = ""

    def report(step: int, value: float) -> None:
        progress.beside = f"validation loss {value:.4f}"
        print(f"update {step:,} of {protocol.steps:,}: validation loss {value:.4f}", file=sys.stderr, flush=True)

    try:
        with progress:
            training, model = train(architecture, protocol, corpus, seed, device, folder, report, each=progress.reached)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise ZeronasError(
            f"There is not enough memory to train {architecture.key} under this protocol (hidden or divisor, batch and "
            "sequence decide how much is needed); what was computed is kept."
        ) from None
    results: dict[str, Any] = {
        "command": "train",
        "space": protocol.space,
        "architecture": architecture.to_json(),
        "training": training.to_json(),
        "protocol": {**protocol.to_json(), "hash": protocol.hash},
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint, "made_of": corpus.made_of},
        "test_loss": None if training.value is None else model.validate(corpus, "test"),
        **_standing(protocol, corpus, training),
        "device": device,
        "versions": versions(),
    }
    if training.value is not None:
        save_model(folder / WEIGHTS, model, architecture, training, corpus)
    _plot(folder / "curve.png", results)
    write_json(folder / "results.json", results)
    write_text(folder / "summary.md", "\n".join([f"# {architecture.key}", "", *lines(results), ""]))
    print("\n".join(lines(results)))
    print(
        f"folder: {folder} (summary.md, results.json, curve.png{', ' + WEIGHTS if training.value is not None else ''})"
    )
    return results


def lines(results: dict[str, Any]) -> list[str]:
    """Returns the answer, one fact a line."""
    training, found = results["training"], results["standing"]
    out = [f"architecture: {training['key']}, {training['parameters']:,} parameters with embedding and softmax"]
    if training["value"] is None:
        return [*out, f"validation loss: none, {training['reason']}"]
    out.append(
        f"validation loss: {training['value']:.4f} nats per token, perplexity {number(math.exp(training['value']))}; "
        f"test loss: {results['test_loss']:.4f}"
    )
    if training["skipped"]:
        out.append(f"updates left out because they were not finite: {training['skipped']}")
    if found:
        out.append(
            f"in {found['benchmark']}: rank {found['rank']:,} of {found['of']:,}, "
            f"percentile {found['percentile']:.1f}, regret {number(found['regret'])} nats"
        )
        if found["noise"]:
            better, worse = found["noise"]
            out.append(
                f"95% interval of one training's noise: rank {better['rank']:,} to {worse['rank']:,}, "
                f"regret {number(better['regret'])} to {number(worse['regret'])} nats"
            )
        out.append(f"table: {found['caveat']}")
    if results["note"]:
        out.append(f"note: {results['note']}")
    return [*out, f"seconds: {training['seconds']:.1f} of processor time"]


def _protocol(chosen: Choice, space: Space[Any]) -> Protocol:
    protocol = protocols.get(space.own_protocol.name if chosen.name == "mini" else chosen.name, **chosen.options)
    if protocol.space != space.name:
        raise ZeronasError(
            f"Protocol '{chosen.name}' trains architectures of space '{protocol.space}', but space={space.name}."
        )
    return protocol


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        float(torch.zeros(1, device=device))
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ZeronasError(
            f"The device {shown(wanted)} is not available; use auto, cpu or, with a GPU, cuda."
        ) from None
    return str(device)


def _standing(protocol: Protocol, corpus: Corpus, training: Training) -> dict[str, Any]:
    """Returns the place among a table's values, where protocol and text are the table's own, and a note if only one."""
    value = training.value
    benchmark = benchmarks.own(spaces.get(protocol.space))
    if value is None or not isinstance(benchmark, benchmarks.MiniTable) or benchmark.protocol.hash != protocol.hash:
        return {"standing": None, "note": ""}
    if benchmark.sheet["corpus"]["fingerprint"] != corpus.fingerprint:
        return {"standing": None, "note": corpus_note(benchmark) if corpus.name == "docstrings" else ""}
    entry = benchmark.by_key.get(training.key)  # an architecture of the table takes its own place in it
    own = None if entry is None else entry.value
    around = Noise(benchmark).standings(value, 1, entry is not None, own)
    standing = {
        "benchmark": benchmark.name,
        **vars(benchmark.standing(value, entry is not None, own)),
        "noise": None if around is None else [vars(end) for end in around],
        "caveat": benchmark.caveat,
    }
    return {"standing": standing, "note": ""}


def _plot(path: Path, results: dict[str, Any]) -> None:
    training = results["training"]
    figure, axes = plots.subplots()
    ax = axes[0, 0]
    ax.plot(*zip(*training["curve"], strict=True), marker="o", color=plots.COLOURS[0]) if training["curve"] else None
    ax.set_xlabel("updates")
    ax.set_ylabel("validation loss (nats per token)")
    figure.suptitle(f"{training['key']}, {results['protocol']['name']}", fontsize=11)
    plots.save(figure, path)


main = command(run, "train")


if __name__ == "__main__":
    sys.exit(guarded(main))
