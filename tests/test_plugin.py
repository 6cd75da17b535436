"""A space of another package (``tests/plugin``): nothing of zeronas knows it, and everything works on it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import spaces
from experiments.commands import search as search_app
from nas.core import seeds
from nas.core.errors import ZeronasError
from nas.core.registry import configurations, load_plugins
from nas.engine.evaluate import Scorer
from nas.truth import benchmarks
from nas.truth.train import corpus as corpora
from nas.truth.train import protocol as protocols
from nas.truth.train.trainer import load_model, save_model, train
from spaces.base import Space
from spaces.record import Needs, Probe, Record
from zeronas_stack.architecture import Layer, Stack
from zeronas_stack.probe import StackProbe
from zeronas_stack.space import StackSpace

ROOT = Path(__file__).parents[1]
THREE = Stack((Layer("LSTM", 16), Layer("GRU", 16), Layer("RNN", 32)), residual=True)


def zeronas(*arguments: str, folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the real command in another process, in an empty folder without public tables."""
    environment = {key: value for key, value in os.environ.items() if key != "NAS_DATA_DIR"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [path]), environment["PYTHONPATH"]])
    command = [sys.executable, "-m", "experiments.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Lines that count up from anywhere: after a word only one other follows."""
    path = tmp_path / "text.txt"
    starts = np.random.default_rng(0).integers(0, 20, 240)
    lines = [" ".join(f"w{(start + i) % 20}" for i in range(12)) for start in starts]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_nothing_of_zeronas_names_it() -> None:
    words = ("zeronas_stack", "tiny_stack", "stack_table", '"stack"', "'stack'", "space=stack", "StackSpace")
    read = 0
    for folder in ("nas", "proxies", "spaces", "experiments", "conf"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                content = path.read_text(encoding="utf-8")
                assert not [word for word in words if word in content], path
                read += 1
    assert read > 100


def test_an_entry_point_brings_space_benchmark_and_configurations() -> None:
    assert list(load_plugins()) == ["stack"] and configurations() == ["zeronas_stack.conf"]
    assert isinstance(spaces.get("stack"), StackSpace)
    assert protocols.get("tiny_stack", steps=3).steps == 3
    assert "stack_table" in benchmarks.BENCHMARKS


# ------------------------------------------------------------------------------------------------- by the command


def test_its_searcher_asks_for_truths_within_their_budget(tmp_path: Path) -> None:
    overrides = ("searcher=greedy", "searcher.draw=3", "budget=20", "queries=4", "run.dir=found")
    done = zeronas("search", "space=stack", "pool=benchmark", *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "found" / "results.json").read_text(encoding="utf-8"))
    assert results["queries_used"] == 4 == len(results["queries"])
    lines = [json.loads(line) for line in (tmp_path / "found" / "journal.jsonl").read_bytes().splitlines()]
    order = [line.get("measure", "proxies") for line in lines]
    assert order[:8] == [*["proxies"] * 3, "truth"] * 2 and order.count("truth") == 4  # while it searches
    assert results["found"]["truth"] == min(query["truth"] for query in results["queries"])
    for wrong, words in (
        (("searcher=greedy",), "asks for truths while it searches; say how many with queries=N"),
        (("searcher=random", "queries=4"), "queries=4 truths may be asked for, but searcher 'random' asks for none"),
    ):
        refused = zeronas("search", "space=stack", "budget=5", *wrong, folder=tmp_path)
        assert refused.returncode == 2 and words in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_it_is_searched_by_two_workers_and_looked_up_in_its_table(tmp_path: Path) -> None:
    overrides = ("searcher=random", "budget=12", "batch=4", "verify=2", "executor.workers=2", "run.dir=found")
    done = zeronas("search", "space=stack", "pool=benchmark", *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "found" / "results.json").read_text(encoding="utf-8"))
    assert results["evaluations"] == 12 and results["benchmark"]["name"] == "stack_table"
    known = benchmarks.get("stack_table").by_key
    assert results["found"]["truth"] == known[results["found"]["key"]].value
    table = (tmp_path / "found" / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 13 and all(",stack-" in line for line in table[1:])
    again = zeronas("score", "space=stack", "arch=found", "draw=stack.png", folder=tmp_path)
    assert f"key: {results['found']['key']}\n" in again.stdout
    assert (tmp_path / "stack.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_ranked_by_a_probe_of_its_own_settings(tmp_path: Path) -> None:
    overrides = ("proxy=[hidden_covariance,jacobian_cosine]", "resamples=10", "probe.stack.steps=5", "run.dir=ranked")
    done = zeronas("rank", "space=stack", *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stack_table: 24 of 24 unique architectures; ")
    results = json.loads((tmp_path / "ranked" / "results.json").read_text(encoding="utf-8"))
    assert results["config"]["probe"]["stack"] == {"steps": 5}


def test_it_is_trained_and_its_weights_come_back(text: Path, tmp_path: Path) -> None:
    overrides = (f"corpus={text}", "protocol.steps=6", "protocol.batch=2", "device=cpu", "run.dir=trained")
    done = zeronas("train", "space=stack", "arch=GRU", *overrides, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"training {spaces.get('stack').known['GRU'].key} under tiny_stack (" in done.stderr
    results = json.loads((tmp_path / "trained" / "results.json").read_text(encoding="utf-8"))
    model, words = load_model(tmp_path / "trained" / "weights.pt")
    corpus = corpora.from_files(text, 200)
    assert words == corpus.words and model.validate(corpus) == pytest.approx(results["training"]["value"], rel=1e-4)


BAD = [
    (("search", "space=stack", "probe.stack.stepz=5"), "The probe of space 'stack' has no option 'stepz'. Did you me"),
    (("search", "space=stack", "proxy=swap"), "Proxy 'swap' needs activations, which the probe of space 'stack' does"),
    (("search", "space=stack", "benchmark=mini_rnn"), "Benchmark 'mini_rnn' holds architectures of space 'rnn', but "),
    (("search", "space=stack", "gate=sampler"), "gate=sampler needs statistics to look at, but space 'stack' names n"),
    (("search", "space=stak"), "Unknown space 'stak'. Did you mean 'stack'? Available: bert, rnn, stack, table."),
    (
        ("score", "space=stack"),
        "An architecture is needed: arch=FILE with its JSON, a run folder, a key of a table, or",
    ),
    (("score", "space=stack", "arch=rnn-00000000000000000000"), "'rnn-00000000000000000000' is the key of an archi"),
    (("score", "space=stack", "arch={layers: [], residual: no}"), "layers of a stack is a list of 1 to 4 layers, but"),
    (("train", "arch=LSTM", "protocol=tiny_stack"), "Protocol 'tiny_stack' trains architectures of space 'stack', but"),
]


@pytest.mark.parametrize(("arguments", "start"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...],
    start: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from experiments import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["zeronas", *arguments])
    with pytest.raises(SystemExit) as left:
        sys.exit(cli.main())
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.startswith(start) and err.count("\n") == 1


def test_a_plug_in_that_breaks_is_told(tmp_path: Path) -> None:
    info = tmp_path / "site" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[zeronas]\nbroken = no_such_module\n", encoding="utf-8")
    done = zeronas("list", "spaces", folder=tmp_path, path=str(tmp_path / "site"))
    assert done.returncode == 2
    assert done.stderr == (
        "The plug-in 'broken' (no_such_module) cannot be loaded: ModuleNotFoundError: No module named "
        "'no_such_module'.\n"
    )


# --------------------------------------------------------------------------------------------------- in detail


def test_a_search_trains_what_its_table_lacks(
    text: Path, composed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = dataclasses.replace(corpora.from_files(text, 200), made_of={"torch": "1"})
    monkeypatch.setattr(corpora, "docstrings", lambda vocabulary=200: small)
    monkeypatch.chdir(tmp_path)
    overrides = ("space=stack", "searcher=random", "budget=6", "verify=1", "truth=train", "run.dir=found")
    results = search_app.run(composed("search", *overrides))
    assert results["benchmark"]["name"] == "stack_table"
    assert results["found"]["key"] not in benchmarks.get("stack_table").by_key
    (journal,) = (tmp_path / "runs" / "trained").glob("stack_table-*.jsonl")
    assert json.loads(journal.read_text(encoding="utf-8"))["value"] == results["found"]["truth"]


def test_equal_stacks_are_one() -> None:
    """Where no neighbours are equally wide, the flag adds nothing."""
    layers = (Layer("RNN", 16), Layer("RNN", 32))
    assert Stack(layers, True) == Stack(layers, False) and Stack(layers, True).key == Stack(layers).key
    assert THREE.adds == [False, True, False] and dataclasses.replace(THREE, residual=False) != THREE


def test_parameters_are_those_of_the_module() -> None:
    space = spaces.get("stack")
    module = space.build(THREE)
    rest = 1_000 * 32 + 1_000 * (32 + 1)  # embedding and softmax
    assert space.counts(THREE).parameters == rest + sum(p.numel() for p in module.parameters())


def test_the_record_holds_what_torchs_own_pass_gives() -> None:
    """States and gradients of a pass step by step are those of the layers' own pass over whole sequences."""
    needs = Needs(frozenset({"forward", "backward", "weights"}), 1)
    space, probe = spaces.get("stack"), StackProbe(embedding=8, batch=3, steps=5, vocabulary=30)
    record = probe.observe(space, THREE, needs, seed=4)
    assert record.embedding is not None and [h.shape for h in record.hidden] == [(5, 3, 16), (5, 3, 16), (5, 3, 32)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(4, THREE.key, "weights"))
        module = space.build(THREE, input_size=8)
    x = record.embedding.clone().requires_grad_()
    y: Any = x
    for number, (layer, adds) in enumerate(zip(module.layers, module.adds, strict=True)):
        out, _ = layer(y)
        states = torch.cat([record.hidden[number][1:], record.final[number][None]])
        torch.testing.assert_close(states, out)
        assert not record.hidden[number][0].any()  # the zero state comes first
        y = y + out if adds else out
    torch.testing.assert_close(module(record.embedding)[0], y)
    y.sum().backward()
    torch.testing.assert_close(record.embedding_grad, x.grad)
    matrices = [p for layer in module.layers for p in (layer.weight_ih_l0, layer.weight_hh_l0)]
    for weight, matrix in zip(record.weights, matrices, strict=True):
        assert weight.grad is not None and torch.equal(weight.value, matrix)
        torch.testing.assert_close(weight.grad, matrix.grad)
    # the last state of the last layer is read by the sum alone
    assert torch.equal(record.final_grads[-1], torch.ones(3, 32))
    assert probe.observe(space, THREE, Needs(frozenset({"shapes"}), 0), 4).hidden == []


def test_a_training_is_repeatable_learns_and_resumes_to_the_bit(text: Path, tmp_path: Path) -> None:
    corpus = corpora.from_files(text, 200)
    protocol = protocols.get("tiny_stack", steps=80, evaluations=4, learning_rate=2e-2, dropout=0.1)
    whole, model = train(THREE, protocol, corpus, seed=1)
    assert whole.value is not None and whole.value < 1.5 < math.log(20)
    steps: list[int] = []

    def stop_at_second(step: int, value: float) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(THREE, protocol, corpus, seed=1, folder=tmp_path, report=stop_at_second)
    resumed, again = train(THREE, protocol, corpus, seed=1, folder=tmp_path)
    assert resumed.curve == whole.curve
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    save_model(tmp_path / "w.pt", model, THREE, whole, corpus)
    assert load_model(tmp_path / "w.pt")[0].validate(corpus) == model.validate(corpus)


# ------------------------------------------------------------------------------------- what a space may lack


class Bare(StackSpace):
    """A space that can be drawn and counted, and nothing else."""

    name = "bare"
    probe: ClassVar[type[Probe] | None] = None  # type: ignore[assignment]
    protocols: ClassVar[dict[str, Any]] = {}
    benchmarks = ()
    language_model = Space.language_model  # type: ignore[assignment]


def test_what_a_space_lacks_is_told() -> None:
    space = Bare()
    assert not space.is_key("bare-") and space.is_key("bare-00ff") and not space.is_key("rnn-00ff")
    with pytest.raises(ZeronasError, match=r"^Space 'bare' has no probe, so its members cannot be scored\.$"):
        space.make_probe()
    untrained = r"^Space 'bare' has no language model, so its members cannot be trained\.$"
    with pytest.raises(ZeronasError, match=untrained):
        _ = space.own_protocol
    with pytest.raises(ZeronasError, match=untrained):
        space.language_model(THREE, protocols.get("tiny_stack"), 40)
    assert benchmarks.own(space) is None


def test_a_probe_that_does_not_give_what_a_proxy_needs_is_told() -> None:
    import proxies

    class Blind(StackProbe):
        gives = frozenset({"shapes"})

        def observe(self, *arguments: Any, **options: Any) -> Record:
            raise AssertionError

    with pytest.raises(ZeronasError) as error:
        Scorer(spaces.get("stack"), Blind(), {"h": proxies.get("hidden_covariance")}, 0)
    assert str(error.value) == "Proxy 'h' needs forward, which the probe of space 'stack' does not give."
