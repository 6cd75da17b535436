"""The command line: one sentence and status 2 for whatever is wrong, imports that stay cheap, help that helps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from experiments import cli


@pytest.fixture
def zeronas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):  # type: ignore[no-untyped-def]
    """Returns a function (arguments) -> (status, stdout, stderr), run in an empty folder without any table at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zeronas", *arguments])
        try:
            status = cli.main()
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return run


BAD = [
    (("serch",), "Unknown command 'serch'. Did you mean 'search'? Available: "),
    (("search", "proxy=hidden_covarianc"), "Unknown proxy 'hidden_covarianc'. Did you mean 'hidden_covariance'?"),
    (("search", "space=rn"), "Unknown space 'rn'. Did you mean 'rnn'? Available: bert, rnn, stack, table."),
    (("search", "searcher=evolutoin"), "Unknown searcher 'evolutoin'. Did you mean 'evolution'?"),
    (("search", "probe=mikro"), "Unknown probe 'mikro'. Did you mean 'micro'?"),
    (("search", "benchmark=flexbert"), "Unknown benchmark 'flexbert'. Did you mean 'flexibert'?"),
    (("search", "budget=-5"), "zeronas search needs budget to be a whole number of 1 or more, but got -5."),
    (("search", "budget=many"), "zeronas search needs budget to be a whole number of 1 or more, but got 'many'."),
    (("search", "batch=0"), "zeronas search needs batch to be a whole number of 1 or more, but got 0."),
    (("search", "verify=-1"), "zeronas search needs verify to be a whole number of 0 or more, but got -1."),
    (("search", "seed=-1"), "zeronas search needs seed to be a whole number of 0 or more, but got -1."),
    (("search", "budgt=5"), "There is no setting 'budgt'. Did you mean 'budget'?"),
    (("search", "probe.rnn.stepz=3"), "There is no setting 'probe.rnn.stepz'. Did you mean 'probe.rnn.steps'?"),
    (
        ("search", "probe.rnn.steps=0"),
        "The probe of space 'rnn' needs steps to be a whole number of 1 or more, but got 0.",
    ),
    (("search", "probe.rnn.text=/no/such"), "The probe's text '/no/such' cannot be read (No such file or directory)"),
    (("search", "budget==5"), "The command line cannot be read (Error parsing override 'budget==5'"),
    (("search", "proxy=[a"), "The command line cannot be read (no viable alternative at input '[a')"),
    (("search", "proxies.hidden_covariance.layer=2"), "A proxy needs layer 2, but the probe has hidden sizes [64]"),
    (
        ("search", "proxies.hidden_covariance.axis=up"),
        "Unknown axis 'up' of proxy 'hidden_covariance'. Available: examples, units.",
    ),
    (("search", "fresh=no"), "zeronas search needs fresh to be true or false, but got 'no'."),
    (("search", "proxy=[]"), "At least one proxy is needed, but proxy=[] was given"),
    (
        ("search", "run=folder"),
        "zeronas search needs run to be a group of settings (run.root, run.dir), but got 'folder'.",
    ),
    (
        ("search", "space.sizes=5"),
        "Space 'rnn' needs sizes to be a group of settings (sizes.vocabulary, sizes.embedding, ",
    ),
    (
        ("search", "proxies.parameters=5", "proxy=parameters"),
        "zeronas search needs proxies.parameters to be a group of",
    ),
    (
        ("search", "searcher=optuna", "searcher.sampler=[tpe]"),
        "Searcher 'optuna' needs sampler to be tpe, gp, nsga2, nsga3 or random",
    ),
    (("search", "searcher.population=abc"), "Searcher 'evolution' needs population to be a whole number from 2 to"),
    (
        ("search", "executor.timeout=nan"),
        "zeronas search needs executor.timeout to be a number of 0.001 or more or null, but",
    ),
    (("search", "seed=9999999999999999999999"), "zeronas search needs seed to be a whole number from 0 to 9,223,"),
    (("search", "probe.rnn.hidden=64"), "The probe of space 'rnn' needs hidden to be a list of one or more, each a"),
    (("search", "space=bert", "probe.bert.train_mode=no"), "The probe of space 'bert' needs train_mode to be true"),
    (
        ("search", "proxy=swap", "proxies.swap.mu=[1]"),
        "Proxy 'swap' needs mu to be a number of 0 or more or null, but got [1].",
    ),
    (
        ("search", "proxy=zerolm", "space=bert", "proxies.zerolm.per_head=no"),
        "Proxy 'zerolm' needs per_head to be true",
    ),
    (
        ("search", "proxy=parameters", "proxies.hidden_covariance.layer=2"),
        "'proxies.hidden_covariance.layer' is not available here: it belongs to another option",
    ),
    (("search", "proxy=attention_confidence"), "Unknown proxy 'attention_confidence'. Did you mean 'head_confidence'"),
    (
        ("search", "data_dir=[5]"),
        "zeronas search needs data_dir to be the name of a file or folder or null, but got [5].",
    ),
    (("score", "arch=RNN", "draw=c.txt"), "'c.txt' cannot be drawn ("),
    (("search", "pool=benchmrk"), "Unknown pool 'benchmrk' of zeronas search. Did you mean 'benchmark'?"),
    (
        ("search", "executor.workers=0"),
        "zeronas search needs executor.workers to be a whole number from 1 to 1,024, but got 0.",
    ),
    (("search", "device=tpu"), "zeronas search needs device to be cpu, cuda, cuda:N or mps, but got 'tpu'."),
    (("search", "bert_reading=said", "space=bert"), "Unknown reading 'said' of BERT configurations."),
    (("search", "reduction.hidden_sizes=3"), "The reduction names 'hidden_sizes', which is no feature of space 'rnn'."),
    (("search", "reduction.hidden_states=7"), "The reduction wants hidden_states=7, but hidden_states takes one of: 1"),
    (("search", "reduction=paper"), "The reduction names 'hidden_size', which is no feature of space 'rnn'."),
    (("search", "searcher=nsga2"), "Searcher 'nsga2' needs two or more objectives, but got hidden_covariance alone;"),
    (
        ("search", "searcher=nsga3", "proxy=[snip,parameters]", "searcher.objectives=[snip,params]"),
        "Searcher 'nsga3' has the objective 'params', which is no proxy of this run. Did you mean 'parameters'?",
    ),
    (("search", "searcher.tournament=200"), "Searcher 'evolution' needs tournament <= population, but got ("),
    (
        ("search", "searcher=optuna", "searcher.sampler=tpee"),
        "Unknown sampler 'tpee' of searcher 'optuna'. Did you mean 'tpe'?",
    ),
    (("search", "benchmark=flexibert"), "Benchmark 'flexibert' holds architectures of space 'bert', but space 'rnn'"),
    (
        ("search", "benchmark=csv"),
        "benchmark.file must be a CSV file, such as benchmark.file=my_table.csv, but got null.",
    ),
    (("rank", "benchmark=csv", "benchmark.file=/no", "benchmark.value=a"), "benchmark=csv needs to know which values"),
    (("search", "data_dir=/no/such", "pool=benchmark"), "The data folder '/no/such' does not exist"),
    (("search", "run.dir=/proc/no/such"), "The run folder '/proc/no/such' cannot be written"),
    (("search", "verify=3", "benchmark=none"), "This command needs ground truth, but benchmark=none was chosen."),
    (("rank", "benchmark=none"), "This command needs ground truth, but benchmark=none was chosen."),
    (("rank", "limit=0"), "zeronas rank needs limit to be a whole number of 1 or more or null, but got 0."),
    (("compare",), "compare needs run folders, but none were given"),
    (("compare", "nothing"), "There is no run folder 'nothing'."),
    (("export-study",), "export-study needs run folders, but none were given"),
    (("export-study", "nothing"), "There is no run folder 'nothing'."),
    (("export-study", "a", "b"), "export-study was given 2 runs; name the file for them with file=FILE."),
    (("report",), "report needs run folders, but none were given"),
    (("report", "nothing"), "There is no run folder 'nothing'."),
    (("watch",), "watch needs run folders, but none were given"),
    (("watch", "nothing"), "There is no run folder 'nothing'."),
    (("watch", "a", "b"), "watch takes one run folder, but was given 2."),
    (("watch", "a", "once=perhaps"), "zeronas watch needs once to be true or false, but got 'perhaps'."),
    (("watch", "."), "The run folder '.' has no journal.jsonl: nothing was evaluated in it; watch takes the folder of"),
    (("list", "prox"), "Unknown kind 'prox'. Did you mean 'proxies'?"),
    (("score",), "An architecture is needed: arch=FILE with its JSON, a run folder, a key of a table, or one of RNN"),
    (("score", "arch=rnn-00000000000000000000"), "No available table holds the architecture 'rnn-0000"),
    (("train",), "An architecture is needed: arch=FILE"),
    (("train", "arch=LSTM", "protocol=mni"), "Unknown protocol 'mni'. Did you mean 'mini'?"),
    (("train", "arch=LSTM", "protocol=mini_bert"), "Protocol 'mini_bert' trains architectures of space 'bert'"),
    (
        ("train", "arch=LSTM", "protocol.stepz=3"),
        "Protocol 'mini_rnn' has no option 'stepz'. Did you mean 'steps'",
    ),
    (
        ("train", "arch=LSTM", "protocol.steps=-3"),
        "Protocol 'mini_rnn' needs steps to be a whole number of 1 or more, but got -3.",
    ),
    (("train", "arch=LSTM", "corpus=/no/such"), "The corpus '/no/such' cannot be read (No such file or directory)"),
    (("train", "arch=LSTM", "device=tpu"), "The device 'tpu' is not available; use auto, cpu or, with a GPU, cuda."),
    (
        ("train", "arch=LSTM", "run=foo"),
        "zeronas train needs run to be a group of settings (run.root, run.dir), but got 'foo'.",
    ),
    (("train", "arch=LSTM", "run.dir=/proc/no/such"), "The run folder '/proc/no/such' cannot be written"),
    (
        ("train", "arch=LSTM", "data_dir=true"),
        "zeronas train needs data_dir to be the name of a file or folder or null",
    ),
    (("train", "arch=LSTM", "device=meta"), "The device 'meta' is not available"),
    (
        ("train", "arch=LSTM", "corpus="),
        "zeronas train needs corpus to be the name of a file or folder or null, but got",
    ),
    (
        ("train", "arch=LSTM", "protocol=null"),
        "protocol must be one of mini, mini_bert, mini_rnn, tiny_stack, but got null.",
    ),
    (("train", "arch=LSTM", "~protocol.name"), "zeronas train needs protocol.name, which is not given."),
    (("train", "arch=nothing"), "The architecture 'nothing' cannot be read (No such file or directory)"),
    (("search", "truth=train"), "truth=train trains the verify=K best by proxy, but verify is 0"),
    (("score", "arch=nothing"), "The architecture 'nothing' cannot be read (No such file or directory)"),
    (("data", "chek"), "Unknown command 'data chek'. Did you mean 'check'?"),
    (("data", "check", "data_dir=/no/such"), "The data folder '/no/such' does not exist"),
]


@pytest.mark.parametrize(("arguments", "start"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_status_two(zeronas, arguments: tuple[str, ...], start: str) -> None:  # type: ignore[no-untyped-def]
    status, _, err = zeronas(*arguments)
    assert status == 2
    assert err.startswith(start)
    assert err.count("\n") == 1
    assert "Traceback" not in err


RECIPES = [
    ({}, "The recipe is empty"),
    (
        {"h_new_0": {"op": "linea", "input": ["x", "h_prev_0"]}},
        "Node 'h_new_0' has the unknown operation 'linea'. Did you",
    ),
    ({"h_new_0": {"op": "linear", "input": ["x"]}}, "Node 'h_new_0' (linear) takes 2 or 3 inputs, but got 1: [x]."),
    ({"h_new_0": {"op": "linear", "input": ["x", "h_prev_1"]}}, "Node 'h_new_0' reads the unknown node 'h_prev_1'."),
    (
        {
            "a": {"op": "linear", "input": ["x", "b"]},
            "b": {"op": "activation_tanh", "input": ["a"]},
            "h_new_0": {"op": "elementwise_sum", "input": ["b", "h_prev_0"]},
        },
        "The recipe has a cycle: ",
    ),
    (
        {
            "a": {"op": "activation_tanh", "input": ["h_new_0"]},
            "h_new_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        },
        "Node 'a' reaches no output",
    ),
]


@pytest.mark.parametrize(("recipe", "start"), RECIPES, ids=[start[:24] for _, start in RECIPES])
def test_a_malformed_recipe_is_named(zeronas, tmp_path: Path, recipe: dict[str, object], start: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "cell.json").write_text(json.dumps(recipe))
    status, _, err = zeronas("score", "arch=cell.json", "benchmark=none")
    assert status == 2
    assert err.startswith(start)
    assert err.count("\n") == 1


def test_a_model_that_memory_cannot_hold_is_told(zeronas) -> None:  # type: ignore[no-untyped-def]
    status, _, err = zeronas("train", "arch=LSTM", "protocol.hidden=[10000000]", "run.dir=large", "device=cpu")
    assert status == 2
    assert err.splitlines()[1].startswith("There is not enough memory to train rnn-") and "Traceback" not in err


def test_a_malformed_bert_configuration_is_named(zeronas, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bert.json").write_text('{"hidden_size": 256, "nas_config": {"encoder_layers": []}}')
    status, _, err = zeronas("score", "arch=bert.json", "space=bert", "benchmark=none")
    assert (status, err) == (2, "encoder_layers has 0 layers, but 2 or 4 are needed.\n")


def test_score_prints_a_known_cell(zeronas) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = zeronas("score", "arch=LSTM", "draw=lstm.png")
    assert status == 0
    assert "key: rnn-9a352c1b9d7de6f2bf43\n" in out
    assert "parameters: 10,896,400;" in out  # 4 million embedding, 10,000 biases, 4 gates in three layers
    assert Path("lstm.png").read_bytes().startswith(b"\x89PNG")


def test_help_and_version(zeronas) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = zeronas("--help")
    assert status == 0
    assert all(command in out for command in cli.COMMANDS)
    status, out, _ = zeronas("--version")
    assert (status, out.split()[0]) == (0, "zeronas")
    assert zeronas()[0] == 2


def test_list_names_everything_registered(zeronas) -> None:  # type: ignore[no-untyped-def]
    import proxies
    from nas.search import SEARCHERS
    from nas.truth.benchmarks import BENCHMARKS

    status, out, _ = zeronas("list")
    assert status == 0
    for name in [*proxies.PROXIES, *SEARCHERS, *BENCHMARKS, "rnn", "bert", "micro", "paper"]:
        assert name in out


def test_list_tells_which_published_proxies_are_missing(zeronas) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = zeronas("list", "proxies")
    assert status == 0
    said = "two works by Fan and Yang (2024; one of Transformers by expressivity and trainability"
    assert said in " ".join(out.split())
    assert said not in " ".join(zeronas("list", "probes")[1].split())


def test_imports_are_cheap() -> None:
    heavy = "{'torch', 'optuna', 'pydantic', 'matplotlib'} & set(sys.modules)"
    code = f"import nas, spaces, proxies, sys; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_search_that_needs_none_of_them_loads_no_heavy_package() -> None:
    heavy = "{'torch', 'scipy', 'sklearn', 'optuna', 'matplotlib', 'networkx'} & set(sys.modules)"
    code = f"import experiments.commands.search, experiments.commands.watch, sys; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_foreign_package_is_named(zeronas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    foreign = ModuleType("spaces")
    foreign.__path__ = [str(tmp_path / "site" / "spaces")]
    monkeypatch.setitem(sys.modules, "spaces", foreign)
    status, _, err = zeronas("list")
    assert status == 2
    assert err.startswith(
        f"The package 'spaces' was imported from '{tmp_path / 'site' / 'spaces'}', not from zeronas's"
    )
