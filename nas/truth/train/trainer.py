"""Trains one architecture under a protocol: deterministic on a CPU, resumable to the bit, divergence is a result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import spaces
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.truth.train.corpus import Corpus
from nas.truth.train.sealed import load, save
from spaces.language_model import LanguageModel
from spaces.protocol import Protocol

__all__ = ["CHECKPOINT", "WEIGHTS", "Training", "load_model", "make_model", "save_model", "train"]

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"

_EVERY = 30.0  # seconds after which a checkpoint is kept between evaluations
_SKIPPED = 20  # one in so many updates may be left out before a training counts as diverged
_DIVERGED = 1.5  # a validation loss above so many times that of guessing uniformly ends a training


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        key: of the architecture.
        seed: of weights, drop-out and the order of the text.
        value: validation loss after the last update, nats per predicted token; None where it diverged.
        reason: why there is no value, else "".
        curve: (updates, validation loss) at fixed updates.
        seconds: processor time of this process.
        skipped: updates left out because loss or gradient was not finite (a training of which more than one in twenty
            are has diverged, and so has one whose validation loss is above 1.5 ln V).
        parameters: all trainable ones, embedding and softmax included.
    """

    key: str
    seed: int
    value: float | None
    reason: str
    curve: tuple[tuple[int, float], ...]
    seconds: float
    parameters: int
    skipped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**asdict(self), "curve": [list(point) for point in self.curve]}


def train(
    architecture: Any,
    protocol: Protocol,
    corpus: Corpus,
    seed: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    report: Callable[[int, float], None] | None = None,
    until: int | None = None,
    each: Callable[[int], None] | None = None,
) -> tuple[Training, LanguageModel]:
    """Trains an architecture and returns what came out, and the trained model.

    Weights derive from (seed, key), the order of the text from the seed alone. On a CPU one thread is used, whatever
    torch's setting, so that the result depends on nothing else; another processor may round otherwise.

    Args:
        folder: where a checkpoint is kept after every evaluation, and every thirty seconds between them; a training
            found there is continued.
        report: called with (updates, validation loss) at every evaluation.
        until: stop after so many updates, an evaluated number of them; the schedule stays that of the whole protocol,
            so that with the same folder a later call goes on to the bit as if it had not stopped.
        each: called with the number of updates done before the first and after each of this call.

    Raises:
        ZeronasError: the corpus is too short, or the checkpoint is of another training, or cannot be read or written.
    """
    _check(corpus, protocol)
    with _alone(seeds.integer(seed, architecture.key, "training"), device):
        model = make_model(architecture, protocol, corpus.vocabulary).to(device)
        optimiser = _optimiser(model, protocol)
        identity = {"key": architecture.key, "seed": seed, "protocol": protocol.hash, "corpus": corpus.fingerprint}
        state = _State(0, [], 0.0, None)
        if folder is not None and (folder / CHECKPOINT).exists():
            state = _resume(folder / CHECKPOINT, identity, model, optimiser)
        begun, kept_at = time.process_time() - state.seconds, time.monotonic()
        reason = _explosion(state.curve, corpus.vocabulary)
        if each is not None:
            each(state.step)
        for step in range(state.step, protocol.steps if until is None else min(until, protocol.steps)):
            if reason:
                break
            rate = _rate(protocol, step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            model.train()
            optimiser.zero_grad()
            loss, state.carried = model.loss(corpus, step, seed, state.carried)
            finite = math.isfinite(float(loss.detach()))
            if finite:
                loss.backward()
                finite = math.isfinite(torch.nn.utils.clip_grad_norm_(model.parameters(), protocol.clip))
            if finite:
                optimiser.step()
            else:  # such as a state that overflows: left out, and the next update begins with a zero state
                state.carried = None
                state.skipped += 1
                if state.skipped > protocol.steps // _SKIPPED:
                    reason = f"diverged: {state.skipped} of {step + 1} updates were not finite"
                    break
            if each is not None:
                each(step + 1)
            evaluated = protocol.evaluated(step + 1)
            if evaluated:
                model.eval()
                state.curve.append((step + 1, model.validate(corpus)))
            if folder is not None and (evaluated or time.monotonic() - kept_at >= _EVERY):
                state.step, state.seconds, kept_at = step + 1, time.process_time() - begun, time.monotonic()
                _keep(folder / CHECKPOINT, identity, state, model, optimiser)
            if evaluated:
                if report is not None:
                    report(*state.curve[-1])
                reason = _explosion(state.curve, corpus.vocabulary)
        if not reason and not math.isfinite(state.curve[-1][1]):
            reason = "diverged: the validation loss is not finite"
        last = None if reason else state.curve[-1][1]
        kept = tuple(point for point in state.curve if math.isfinite(point[1]))
        count = sum(p.numel() for p in model.parameters())
        made = Training(architecture.key, seed, last, reason, kept, time.process_time() - begun, count, state.skipped)
        model.eval()
        return made, model


def make_model(architecture: Any, protocol: Protocol, vocabulary: int) -> LanguageModel:
    """Returns the untrained model of the protocol's space; weights come from torch's global generator.

    Args:
        vocabulary: number of ids of the corpus, which may be fewer than the protocol allows.

    Raises:
        ZeronasError: the space has no language model.
    """
    return spaces.get(protocol.space).language_model(architecture, protocol, vocabulary)


def _check(corpus: Corpus, protocol: Protocol) -> None:
    """Raises ZeronasError where the text is shorter than one update."""
    needed, have = protocol.shortest_text, len(corpus.splits["train"])
    if have < needed:
        raise ZeronasError(
            f"The corpus '{corpus.name}' has {have:,} tokens to train on, but an update of {protocol.batch} x "
            f"{protocol.sequence} needs at least {needed:,}; give more text, or smaller protocol.batch and "
            "protocol.sequence."
        )


def _explosion(curve: list[tuple[int, float]], vocabulary: int) -> str:
    """Returns why a training with this curve has diverged although its loss is finite, or ""."""
    uniform = math.log(vocabulary)
    if not curve or not _DIVERGED * uniform < curve[-1][1] < math.inf:
        return ""
    step, value = curve[-1]
    return f"diverged: the validation loss is {value:.3g} nats after {step} updates (guessing evenly: {uniform:.1f})"


def _optimiser(model: LanguageModel, protocol: Protocol) -> torch.optim.Optimizer:
    rate, decay = protocol.learning_rate, protocol.weight_decay
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay)
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, fused=True)


def _rate(protocol: Protocol, step: int) -> float:
    """Returns the learning rate of update ``step`` (from 0): linear warm-up, then the schedule."""
    if step < protocol.warmup:
        return protocol.learning_rate * (step + 1) / (protocol.warmup + 1)
    if protocol.schedule == "constant":
        return protocol.learning_rate
    share = (step - protocol.warmup) / max(1, protocol.steps - protocol.warmup)
    return protocol.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


@dataclass
class _State:
    step: int
    curve: list[tuple[int, float]]
    seconds: float
    carried: Any
    skipped: int = 0


@contextmanager
def _alone(seed: int, device: str) -> Iterator[None]:
    """Seeds torch inside and leaves its generators and threads outside as they were."""
    threads = torch.get_num_threads()
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        try:
            if not devices:
                torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)


def _keep(
    path: Path, identity: dict[str, Any], state: _State, model: LanguageModel, optimiser: torch.optim.Optimizer
) -> None:
    content = {
        "identity": identity,
        "step": state.step,
        "curve": [list(point) for point in state.curve],
        "seconds": state.seconds,
        "carried": state.carried,
        "skipped": state.skipped,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        content["random_cuda"] = torch.cuda.get_rng_state_all()
    save(path, content)


def _resume(path: Path, identity: dict[str, Any], model: LanguageModel, optimiser: torch.optim.Optimizer) -> _State:
    content = load(path, "; delete it, or start over with fresh=true")
    before = content.get("identity")
    differs = [k for k in identity if not isinstance(before, dict) or before.get(k) != identity[k]]
    if differs:
        raise ZeronasError(
            f"The checkpoint '{path}' is of another training ({', '.join(differs)} differ); "
            "choose another folder or delete it."
        )
    try:
        model.load_state_dict(content["model"])
        optimiser.load_state_dict(content["optimiser"])
        torch.set_rng_state(content["random"])
        if "random_cuda" in content and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(content["random_cuda"])
        carried = content["carried"]
        if carried is not None:
            device = next(model.parameters()).device
            carried = [tuple(s.to(device) for s in layer) for layer in carried]
        curve = [(int(step), float(value)) for step, value in content["curve"]]
        return _State(int(content["step"]), curve, float(content["seconds"]), carried, int(content["skipped"]))
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ZeronasError(
            f"The checkpoint '{path}' is damaged ({type(error).__name__}); delete it, or start over with fresh=true."
        ) from None


def save_model(path: Path, model: LanguageModel, architecture: Any, training: Training, corpus: Corpus) -> None:
    """Writes weights, vocabulary, architecture and protocol as plain values, for ``load_model``.

    Raises:
        ZeronasError: the file cannot be written.
    """
    protocol = model.protocol
    content = {
        "space": protocol.space,
        "architecture": architecture.to_json(),
        "protocol": {**protocol.to_json(), "kind": type(protocol).__name__},
        "words": list(corpus.words),
        "training": training.to_json(),
        "weights": model.state_dict(),
    }
    save(path, content)


def load_model(path: Path | str) -> tuple[LanguageModel, tuple[str, ...]]:
    """Returns a saved model, in evaluation mode on the CPU, and its vocabulary (id -> word).

    The file is read with ``weights_only``: it can hold tensors and plain values, and no code. Its SHA-256 is checked.

    Raises:
        ZeronasError: the file cannot be read, is damaged, or is no such file.
    """
    content = load(Path(path))
    try:
        space = spaces.get(content["space"])
        fields = dict(content["protocol"])
        kind = {type(named).__name__: type(named) for named in space.protocols.values()}[fields.pop("kind")]
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        protocol = kind(**values)
        words = tuple(content["words"])
        architecture = space.parse(content["architecture"])
        with torch.random.fork_rng(devices=[]):
            model = make_model(architecture, protocol, len(words))
        model.load_state_dict(content["weights"])
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ZeronasError(f"'{path}' is no saved model of zeronas ({type(error).__name__}: {error}).") from None
    return model.eval(), words
