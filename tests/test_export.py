"""``zeronas export``: what a run found comes out as files that are the find, and that can be used without the run."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import made_table
import spaces
from experiments import cli
from experiments.commands import export, search, train
from experiments.commands.arch import read_architecture
from nas.core.errors import ZeronasError
from nas.report.export import FILES, ONNX, write
from nas.truth.train import protocol as protocols
from nas.truth.train.trainer import make_model
from spaces import onnx_file
from spaces.bert.config import TYPE_OF, BertConfig, Layer
from spaces.rnn import onnx_graph
from spaces.rnn.cell import OPERATIONS
from spaces.rnn.network import CellNetwork
from spaces.rnn.plan import compile_plan

RNN, BERT = spaces.get("rnn"), spaces.get("bert")
TINY = ["probe.rnn.hidden=[4]", "probe.rnn.embedding=4", "probe.rnn.batch=2", "probe.rnn.steps=2"]
SMALL = {"vocabulary": 12, "embedding": 5, "hidden": (6, 4)}


def configuration(*operations: str | int) -> BertConfig:
    """A configuration with an operation each layer."""
    return BertConfig(128, tuple(Layer(TYPE_OF[one], one, 2 + 2 * (i % 2), 512, 1) for i, one in enumerate(operations)))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search with a truth."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from experiments.commands.app import plain

    folder = tmp_path_factory.mktemp("found")
    GlobalHydra.instance().clear()
    asked = ["searcher=random", "budget=12", "verify=2", "pool=benchmark", "benchmark=mini_rnn", f"run.dir={folder}"]
    with initialize_config_module(config_module="conf", version_base="1.3"):
        search.run(plain(compose(config_name="search", overrides=[*TINY, *asked])))
    return folder


@pytest.fixture
def exported(composed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Returns a function (what, *overrides) -> the folder of the files, small ones unless sizes are given.

    Pictures take most of the time, so they are empty unless they are drawn.
    """
    monkeypatch.chdir(tmp_path)
    draw = write.draw_architecture

    def make(arch: Any, *overrides: str, drawn: bool = False) -> Path:
        monkeypatch.setattr(write, "draw_architecture", draw if drawn else lambda path, *_: path.touch())
        sized = any(override.startswith(("sizes", "+sizes")) for override in overrides)
        bert = "space=bert" in overrides
        sizes: dict[str, Any] = {"vocabulary": 12} if bert else {**SMALL, "hidden": list(SMALL["hidden"])}  # type: ignore[call-overload]
        config = {**composed("export", *overrides), "arch": arch}
        return export.run(config if sized else {**config, "sizes": sizes}).folder

    return make


def loaded(folder: Path) -> ModuleType:
    """Imports the model.py of a folder as ``import model`` does there."""
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(folder: Path, name: str = "architecture.json") -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------------ the find


def test_the_find_comes_out_as_it_was_found(
    found: Path, exported: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, results = exported(str(found), "fresh=true", drawn=True), read(found, "results.json")
    told, chosen = read(folder), results["found"]
    assert folder == found / f"export-{chosen['key']}"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, ONNX])
    assert (
        told["key"]
        == chosen["key"]
        == RNN.parse(told["architecture"]).key
        == loaded(folder).SPACE.parse(loaded(folder).ARCHITECTURE).key
    )
    assert told["scores"] == chosen["scores"] and told["chosen_by"] == chosen["chosen_by"]
    truth = told["truth"]
    assert (truth["value"], truth["rank"], truth["of"]) == (
        chosen["truth"],
        chosen["standing"]["rank"],
        chosen["standing"]["of"],
    )
    assert (truth["unit"], truth["benchmark"]) == ("nats/token", "mini_rnn")
    assert truth["caveat"] == results["benchmark"]["caveat"] != ""
    assert told["run"]["versions"] == results["versions"] and told["run"]["fitness"] == "hidden_covariance"
    assert told["exported"]["versions"]["torch"] == results["versions"]["torch"]
    out = capsys.readouterr().out
    assert f"exported: {chosen['key']} ({chosen['chosen_by']})\n" in out
    assert f"; rank {truth['rank']:,} of {truth['of']:,}\n" in out
    assert "model.onnx: the largest difference from torch is " in out


def test_other_commands_read_what_was_exported(found: Path, exported: Callable[..., Path]) -> None:
    folder = exported(str(found), "folder=there", "onnx=false", drawn=True)
    key = read(found, "results.json")["found"]["key"]
    for given in ("there", "there/architecture.json"):
        assert read_architecture(RNN, given).key == key
        with pytest.raises(ZeronasError, match="holds an architecture of space 'rnn', but space=bert"):
            read_architecture(BERT, given)
    assert exported("there", "folder=again", "onnx=false", drawn=True) == Path("again")  # and so does export itself
    assert read(Path("again"))["key"] == key and read(Path("again"))["truth"] is None
    assert (folder / "architecture.svg").read_bytes() == (Path("again") / "architecture.svg").read_bytes()
    assert (folder / "architecture.png").read_bytes() == (Path("again") / "architecture.png").read_bytes()


def test_another_architecture_of_the_run_by_the_beginning_of_its_key(
    found: Path, exported: Callable[..., Path]
) -> None:
    key, table = read(found, "results.json")["found"]["key"], rows(found)
    others = [row for row in table if row["key"] != key]
    known = next(row for row in others if row["truth"])
    for row in (known, others[-1]):
        begin = next(
            row["key"][:n] for n in range(5, 25) if sum(r["key"].startswith(row["key"][:n]) for r in table) == 1
        )
        for given in (begin, row["key"]):
            told = read(exported(str(found), f"key={given}", "onnx=false", "fresh=true"))
            assert told["key"] == row["key"] == RNN.parse(told["architecture"]).key
            assert told["scores"] == {"hidden_covariance": float(row["hidden_covariance"])}
            if row["truth"]:
                assert told["truth"]["value"] == float(row["truth"])
            else:
                assert told["truth"] is None and told["no_truth"]
    assert read(exported(str(found), f"key={key}", "onnx=false", "fresh=true"))["truth"]["rank"] >= 1
    with pytest.raises(
        ZeronasError, match=r"^12 architectures of '.*table\.csv' have a key that begins with 'rnn-' \("
    ):
        exported(str(found), "key=rnn-")
    with pytest.raises(ZeronasError, match=r"has a key that begins with 'rnn-zz'; its 12 keys begin with 'rnn-'\.$"):
        exported(str(found), "key=rnn-zz")


def test_a_training_comes_out_with_its_loss(
    composed: Any, exported: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("one two three four five six\n" * 400, encoding="utf-8")
    small = ["hidden=[8]", "embedding=8", "batch=2", "sequence=4", "steps=8", "vocabulary=20", "cutoffs=[10]"]
    changed = [f"+protocol.{field}" for field in small]
    trained = train.run(composed("train", "arch=GRU", "corpus=text.txt", "device=cpu", *changed, "run.dir=trained"))
    told = read(exported("trained", "onnx=false"))
    assert told["key"] == RNN.known["GRU"].key and told["chosen_by"] == "trained"
    assert told["truth"]["value"] == trained["training"]["value"]
    assert told["run"]["training"]["test_loss"] == trained["test_loss"]
    assert "weights.pt' holds those trained; nas.truth.train.trainer.load_model reads them" in capsys.readouterr().out
    with pytest.raises(ZeronasError, match=r"^The training in 'trained' is that of rnn-\w+, not of 'rnn-0000'\.$"):
        exported("trained", "key=rnn-0000")


# ---------------------------------------------------------------------------------------------------- the module


def test_the_module_computes_what_the_trainer_does(exported: Callable[..., Path]) -> None:
    """With the trainer's weights its states are those of the trained language model, after every call."""
    protocol = protocols.get("mini_rnn", hidden=(6, 4), embedding=5)
    for name, cell in RNN.known.items():
        model = loaded(exported(name, f"folder={name}", "onnx=false"))
        trainer = make_model(cell, protocol, 12).eval()
        network = model.build(**SMALL).eval()
        network.embedding.load_state_dict(trainer.embedding.state_dict())  # type: ignore[union-attr,operator]
        network.rnn.load_state_dict(trainer.rnn.state_dict())  # type: ignore[union-attr,operator]
        tokens = torch.randint(0, 12, (9, 3), generator=torch.Generator().manual_seed(0))
        carried = state = None
        for part in tokens.split(4):
            hidden, carried = trainer.run(part, carried)  # type: ignore[operator]
            logits, state = network(part, state)
            assert torch.equal(logits, network.decoder(hidden))
            assert all(
                torch.equal(a, b) for x, y in zip(carried, state, strict=True) for a, b in zip(x, y, strict=True)
            )
        alone = model.build(vocabulary=None, embedding=5, hidden=(6, 4))
        alone.rnn.load_state_dict(network.rnn.state_dict())
        outputs, _ = alone(network.embedding(tokens))
        assert torch.equal(network.decoder(outputs), network(tokens)[0])
        assert all(not one.requires_grad for layer in network.detached(state) for one in layer)


def test_the_module_computes_what_the_probe_sees() -> None:
    from spaces.record import Needs

    probe = RNN.make_probe({"hidden": (6, 4), "embedding": 5, "batch": 3, "steps": 7, "vocabulary": 12})
    for seed in range(3):
        cell = RNN.sample(np.random.default_rng(seed))
        record = probe.observe(RNN, cell, Needs(frozenset({"forward"}), 2), 0)
        table, weights = probe.draw(compile_plan(cell), cell.key, 2, 0)  # type: ignore[attr-defined]
        network = CellNetwork(cell, **SMALL)  # type: ignore[arg-type]
        with torch.no_grad():
            for layer, (fused, bias) in zip(network.rnn.stack, weights, strict=True):
                layer.bias.copy_(bias)
                for register, weight in fused.items():
                    layer.weights[str(register)].copy_(weight)
            assert network.embedding is not None
            network.embedding.weight.copy_(table)
            _, state = network(torch.from_numpy(probe._ids(0).numpy()))  # type: ignore[attr-defined]
        for final, layer_state in zip(record.final, state, strict=True):
            torch.testing.assert_close(layer_state[0], final, rtol=1e-5, atol=1e-6)


def test_the_encoder_computes_what_the_trainer_does(exported: Callable[..., Path]) -> None:
    tokens = torch.randint(0, 12, (3, 10), generator=torch.Generator().manual_seed(0))
    protocol = protocols.get("mini_bert", divisor=1)
    for operations in (("SDP", "DCT"), ("DSC_", "DFT")):
        config = configuration(*(5 if one == "DSC_" else one for one in operations))
        folder = exported(config.to_json(), "space=bert", f"folder={operations[1]}", "onnx=false")
        trainer = make_model(config, protocol, 12).eval()
        network = loaded(folder).build(vocabulary=12).eval()
        network.load_state_dict(trainer.encoder.state_dict())  # type: ignore[union-attr,operator]
        assert torch.equal(network(tokens), trainer.encoder(tokens))  # type: ignore[operator]
        assert network.embeddings.dropout.p == 0.1


def test_the_reading_of_a_configuration_goes_with_it(exported: Callable[..., Path]) -> None:
    config = configuration("DFT", "DFT")
    folder = exported(config.to_json(), "space=bert", "bert_reading=trained", "onnx=false")
    assert read(folder)["space"] == {"name": "bert", "options": {"reading": "trained"}}
    assert {layer.operation for layer in loaded(folder).build(vocabulary=12).plan.layers} == {"SDP"}
    assert "SPACE = spaces.get('bert', reading='trained')\n" in (folder / "model.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("arch", ["LSTM", "bert"])
def test_the_example_in_the_docstring_trains(
    arch: str, exported: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The very text that model.py shows is run in the folder it lies in."""
    if arch == "bert":
        folder = exported(configuration("DCT", 5).to_json(), "space=bert", "onnx=false")
    else:
        folder = exported(arch, "onnx=false")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    written = (folder / "model.py").read_text(encoding="utf-8").split('"""')[1]
    example = textwrap.dedent(written[written.index("Example: ") :].partition("\n\n")[2])
    assert example.startswith("import torch\n\nimport model\n") and len(example.split("\n")) < 30
    names: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]):
        exec(compile(example, "example", "exec"), names)
    monkeypatch.delitem(sys.modules, "model")
    losses = names["losses"]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    assert f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats per " in capsys.readouterr().out


def test_drop_out_is_of_training_alone() -> None:
    network = CellNetwork(RNN.known["GRU"], dropout=0.5, **SMALL)  # type: ignore[arg-type]
    tokens = torch.randint(0, 12, (6, 2), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert not torch.equal(network(tokens)[0], network(tokens)[0])
    network.eval()
    assert torch.equal(network(tokens)[0], network(tokens)[0])


def test_what_the_network_cannot_take_is_told() -> None:
    network, tokens = CellNetwork(RNN.known["LSTM"], **SMALL), torch.zeros(3, 2, dtype=torch.int64)  # type: ignore[arg-type]
    for given in (tokens[0], tokens.float(), torch.zeros(3, 2, 5)):
        with pytest.raises(ZeronasError, match=r"^The network takes token ids of shape \(steps, streams\), but got"):
            network(given)
    with pytest.raises(ZeronasError, match=r"^The network takes vectors of shape"):
        CellNetwork(RNN.known["LSTM"], None)(tokens)
    _, state = network(tokens)
    for wrong in (state[:1], [layer[:1] for layer in state]):
        with pytest.raises(ZeronasError, match=r"^The network has 2 layers of 2 hidden states, but a state of another"):
            network(tokens, wrong)
    with pytest.raises(
        ZeronasError, match=r"^The network of a cell needs dropout to be a number from 0 to below 1, but"
    ):
        RNN.network(RNN.known["LSTM"], dropout=1.0)


def test_names_of_a_stranger_are_only_names(exported: Callable[..., Path]) -> None:
    """A recipe's names may hold whatever can be printed; in model.py they are letters of a literal."""
    name = 'a\'"""\\\'b); import os; ({{ x }}{% endif %}'
    recipe = {
        name: {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": [name]},
    }
    (Path("cell.json")).write_text(json.dumps(recipe), encoding="utf-8")
    folder = exported("cell.json", "onnx=false")
    model = loaded(folder)
    assert model.ARCHITECTURE.keys() == RNN.readable(RNN.parse(recipe)).to_json().keys()
    assert model.SPACE.parse(model.ARCHITECTURE) == RNN.parse(recipe) == RNN.parse(read(folder)["architecture"])


# ---------------------------------------------------------------------------------------------------------- ONNX


def session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def test_a_file_goes_on_from_its_own_states(exported: Callable[..., Path]) -> None:
    """Piece after piece through onnxruntime is the whole text through torch, for as many streams as are given."""
    folder = exported("LSTM", "seed=3")
    model, again = loaded(folder), session(folder / ONNX)
    network = model.build(**SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(1))
    assert model.to_onnx(network, "mine.onnx") < 1e-5
    mine = session(Path("mine.onnx"))
    names = [one.name for one in mine.get_inputs()]
    assert names == ["tokens", "state_0_0", "state_0_1", "state_1_0", "state_1_1"]
    assert names == [one.name for one in again.get_inputs()]
    tokens = torch.randint(0, 12, (11, 5), generator=torch.Generator().manual_seed(0))
    state = {name: np.zeros((5, 6 if name[6] == "0" else 4), dtype=np.float32) for name in names[1:]}
    pieces = []
    for part in tokens.split(4):
        logits, *after = mine.run(None, {"tokens": part.numpy(), **state})
        state = dict(zip(names[1:], after, strict=True))
        pieces.append(torch.from_numpy(logits))
    wanted, last = network(tokens)
    torch.testing.assert_close(torch.cat(pieces), wanted.detach(), rtol=1e-4, atol=1e-5)
    for value, name in zip([one for layer in last for one in layer], names[1:], strict=True):
        torch.testing.assert_close(torch.from_numpy(state[name]), value.detach(), rtol=1e-4, atol=1e-5)


def test_drawn_cells_of_all_operations_and_of_one_to_three_states(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = [RNN.reduce({"hidden_states": states}).sample(rng) for states in (1, 2, 3, 1, 2, 3)]
    cells.append(RNN.known["GRU"])  # the only one that blends
    assert {node.op for cell in cells for node in cell.nodes} == set(OPERATIONS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for cell in cells:
            for vocabulary in (9, None):
                network = RNN.network(cell, **{**SMALL, "vocabulary": vocabulary})
                assert RNN.to_onnx(network, tmp_path / "cell.onnx") < 1e-4
                assert network.training  # the file is of a copy
                inputs = session(tmp_path / "cell.onnx").get_inputs()
                assert inputs[0].name == ("vectors" if vocabulary is None else "tokens")
                assert len(inputs) == 1 + 2 * cell.states


@pytest.mark.parametrize("residual", [True, False])
def test_configurations_of_all_operations(residual: bool, tmp_path: Path) -> None:
    tokens = torch.randint(0, 12, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for config in (configuration("SDP", "WMA", "DFT", "DCT"), configuration(5, 9)):
            network = BERT.network(config, vocabulary=12, transform_residual=residual)
            assert BERT.to_onnx(network, tmp_path / "bert.onnx") < 1e-3
            (hidden,) = session(tmp_path / "bert.onnx").run(None, {"tokens": tokens.numpy()})
            wanted = network.eval()(tokens).detach()
            torch.testing.assert_close(torch.from_numpy(hidden), wanted, rtol=1e-3, atol=1e-3)


def test_a_file_that_computes_something_else_is_not_written(tmp_path: Path) -> None:
    cell, path = RNN.known["LSTM"], tmp_path / "wrong.onnx"
    one, other = (CellNetwork(cell, **SMALL) for _ in range(2))  # type: ignore[arg-type]
    with pytest.raises(ZeronasError, match=r"^No ONNX file is written: its output 'logits' differs from torch's by"):
        onnx_file.write_onnx(path, one, CellNetwork, onnx_graph.model, lambda _: onnx_graph.cases(other))
    with pytest.raises(ZeronasError, match=r"^An ONNX file is written of a CellNetwork, but got a Linear"):
        RNN.to_onnx(torch.nn.Linear(2, 2), path)
    assert not path.exists()


def test_states_that_overflow_are_equal_where_both_do(tmp_path: Path) -> None:
    """A drawn cell may overflow: infinities and NaN at the same places are no difference."""
    network = CellNetwork(RNN.known["RNN"], None, 3, (3,))
    inputs = {"vectors": torch.zeros(1, 1, 3), "state_0_0": torch.zeros(1, 3)}
    with torch.no_grad():
        network.rnn.stack[0].bias.fill_(torch.nan)
    wanted = {"outputs": torch.full((1, 1, 3), torch.nan), "new_state_0_0": torch.full((1, 3), torch.nan)}
    cases = [onnx_file.Case(inputs, wanted)]
    path = tmp_path / "nan.onnx"
    assert onnx_file.write_onnx(path, network, CellNetwork, onnx_graph.model, lambda _: cases) == 0.0
    wanted["outputs"] = torch.zeros(1, 1, 3)
    with pytest.raises(ZeronasError, match="its output 'outputs' differs from torch's by inf"):
        onnx_file.write_onnx(path, network, CellNetwork, onnx_graph.model, lambda _: cases)


def test_without_its_packages_all_other_files_are_written(
    exported: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxruntime" else object())
    folder = exported("LSTM")
    missing = "onnx and onnxruntime are not installed; the extra [onnx] of zeronas brings them."
    assert f"model.onnx: not written. No ONNX file can be written: {missing}\n" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    with pytest.raises(ZeronasError, match=r"^No ONNX file can be written: onnx and onnxruntime are not installed"):
        exported("LSTM", "onnx=true", "folder=asked")
    assert sorted(path.name for path in Path("asked").iterdir()) == sorted(FILES)
    with pytest.raises(ZeronasError, match="not installed"):
        loaded(folder).to_onnx(loaded(folder).build(**SMALL), "mine.onnx")


def test_what_no_file_can_hold_is_told_before_it_takes_memory(
    exported: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported("LSTM", "+sizes.vocabulary=2000000", "+sizes.embedding=300", "+sizes.hidden=[300]")
    out = capsys.readouterr().out
    assert "No ONNX file can be written: the weights take 4.8 GB, and a file holds 2; choose smaller sizes.\n" in out
    assert "model.py: 1,202,721,200 parameters (vocabulary 2000000, embedding 300, hidden (300,), dropout 0.0)" in out
    assert not (folder / ONNX).exists()


def test_a_space_of_another_package_has_a_module_too(
    exported: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported("GRU", "space=stack", "+sizes.input_size=3")
    outputs, _ = loaded(folder).build()(torch.zeros(2, 1, 3))
    assert outputs.shape == (2, 1, 32)
    assert "Space 'stack' does not say how its networks become ONNX files." in capsys.readouterr().out
    with pytest.raises(ZeronasError, match=r"^Space 'stack' cannot build a network of these sizes \(.*'depth'\)\.$"):
        exported("GRU", "space=stack", "+sizes.depth=3", "folder=other")


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def zeronas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Returns a function (arguments) -> (status, stdout, stderr), run in an empty folder without any table at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zeronas", "export", *arguments])
        try:
            status = cli.main()
        except SystemExit as left:
            status = int(left.code or 0)
        return (status, *capsys.readouterr())

    return run


def test_the_command_takes_run_folders_without_a_key(zeronas: Any, found: Path) -> None:
    status, out, err = zeronas(str(found), "folder=there", "onnx=false", "sizes.hidden=[8]", "sizes.vocabulary=9")
    assert (status, err) == (0, "") and "(vocabulary 9, embedding 128, hidden (8,), dropout 0.0)" in out
    assert "zeronas export " in read(Path("there"))["exported"]["command"]
    status, out, err = zeronas(str(found), "folder=there")
    assert (status, out) == (2, "")
    assert err == (
        "'there/architecture.json' is there already; use fresh=true to write it anew, or folder=FOLDER for another.\n"
    )
    recipe = json.dumps(RNN.known["RNN"].to_json())
    assert zeronas(recipe, "folder=inline", "onnx=false")[0] == 0
    assert read(Path("inline"))["key"] == RNN.known["RNN"].key


BAD = [
    ((), "An architecture is needed: arch=FILE with its JSON, a run folder, a key of a table, or one of RNN"),
    (("nothing",), "The architecture 'nothing' cannot be read (No such file or directory)"),
    (("RNN", "LSTM"), "One arch=NAME can be given at a time, but 2 were: 'RNN', 'LSTM'."),
    (("empty",), "The run folder 'empty' has no results.json: the run did not finish; run it again."),
    (("ranked",), "'ranked/results.json' is not the result of a search or a training, so it has no arch"),
    (("LSTM", "key=rnn-43b3"), "key=rnn-43b3 chooses an architecture of a run, but 'LSTM' is no run folder."),
    (("LSTM", "key=43"), "zeronas export needs key to be the key of an architecture, or its beginning, such as rnn-43"),
    (("LSTM", "onnx=maybe"), "zeronas export needs onnx to be true or false or auto, but got 'maybe'."),
    (("LSTM", "sizes.hiden=[4]"), "The network of a cell has no option 'hiden'. Did you mean 'hidden'?"),
    (("LSTM", "sizes.hidden=4"), "The network of a cell needs hidden to be a list of one or more, each a whole number"),
    (
        ("LSTM", "sizes.vocabulary=0"),
        "The network of a cell needs vocabulary to be a whole number of 1 or more or null",
    ),
    (("LSTM", "sizes=5"), "zeronas export needs sizes to be a group of settings, but got 5."),
    (("LSTM", "folder=/proc/no/such"), "The folder '/proc/no/such' cannot be written"),
    (("LSTM", "space=bert"), "The architecture 'LSTM' cannot be read (No such file or directory)"),
    (("LSTM", "onx=true"), "There is no setting 'onx'. Did you mean 'onnx'?"),
    (("c.json",), "Node 'h_new_0' has the unknown operation 'linea'."),
]


@pytest.mark.parametrize(("arguments", "start"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_status_two(
    zeronas: Any, tmp_path: Path, arguments: tuple[str, ...], start: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "ranked").mkdir()
    (tmp_path / "ranked" / "results.json").write_text('{"command": "rank"}', encoding="utf-8")
    (tmp_path / "c.json").write_text('{"h_new_0": {"op": "linea", "input": ["x", "h_prev_0"]}}', encoding="utf-8")
    status, out, err = zeronas(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(start) and err.count("\n") == 1 and "Traceback" not in err
    assert not list(tmp_path.glob("export-*"))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("found", "key"), "rnn-00000000000000000000", "its architecture 'rnn-00000000000000000000' has the key 'rnn-"),
        (("found", "architecture", "h_new_0"), 5, "Node 'h_new_0' is 5; expected"),
        (("found", "architecture"), None, "The recipe is a NoneType; expected a mapping"),
        (("found", "chosen_by"), "\x1b[31mred", r"found.chosen_by is '\x1b[31mred'"),
        (("found", "standing", "of"), "many", "found.standing.of is 'many'"),
        (("versions", "torch"), 2, "versions.torch is 2"),
        (("command_line",), ["rm"], "command_line is ['rm']"),
        (("found",), None, "found nothing, as no architecture has a score; choose one of its table.csv with key=KEY."),
        (("config", "space"), {"name": 5}, "config.space.name is 5"),
        (("config", "space"), {"name": "rnn", "self": 5}, "Space 'rnn' has no option 'self'. Available: sizes."),
        (("config", "space"), {"name": "bert"}, "was edited, or is another version's: The configuration "),
    ],
)
def test_a_run_that_was_edited_is_told(
    exported: Callable[..., Path], found: Path, tmp_path: Path, place: tuple[str, ...], value: Any, told: str
) -> None:
    results = read(found, "results.json")
    inner = results
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(ZeronasError) as error:
        exported("run")
    assert told in str(error.value)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("column", "text", "told"),
    [
        ("architecture", "{}", "'run/table.csv' was edited, or is another version's: The recipe is empty"),
        ("architecture", json.dumps(RNN.known["RNN"].to_json()), "has the key 'rnn-"),
        ("truth", "many", "Line 2 of 'run/table.csv', column 'truth': 'many' is no number."),
        ("hidden_covariance", None, "'run/table.csv' lacks the column 'hidden_covariance'"),
    ],
)
def test_a_table_that_was_edited_is_told(
    exported: Callable[..., Path], found: Path, tmp_path: Path, column: str, text: str | None, told: str
) -> None:
    key, table = read(found, "results.json")["found"]["key"], rows(found)
    row = next(row for row in table if row["key"] != key)
    header = [name for name in row if text is not None or name != column]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_bytes((found / "results.json").read_bytes())
    with (tmp_path / "run" / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerow({**row, column: text})
    with pytest.raises(ZeronasError) as error:
        exported("run", f"key={row['key']}")
    assert told in str(error.value)


def test_a_table_holds_no_networks(exported: Callable[..., Path], found: Path, tmp_path: Path) -> None:
    results = read(found, "results.json")
    space = spaces.get("table", **made_table.options())
    row = space.members()[0]
    results["config"]["space"] = {"name": "table", **made_table.options()}
    results["found"] |= {"key": row.key, "architecture": row.to_json()}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(ZeronasError, match=r"^Space 'table' holds what was measured of networks, and no networks\.$"):
        exported("run")
