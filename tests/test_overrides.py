"""Whatever stands on the command line: a run, or one sentence and status 2, never a traceback.

Five hundred overrides are made of every key of every command and of values of all kinds. Hydra's own parser and its own
application read them, on a composition that is made once; the commands then run up to where they would compute. A few
go the whole way, in this process and in one of their own.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments import cli, guard
from experiments.commands.app import plain, reported
from nas.core import folders
from nas.engine.journal import Journal
from nas.report.export import write
from nas.settings import SearchSettings, make

COMMANDS = (
    *("search", "rank", "screen", "score", "train", "reduce", "evolve_proxy", "compare", "export", "export_study"),
    *("report", "watch"),
)
COUNT = 500

#: what makes the command one that stops soon, or goes on where it would otherwise stop
_TINY = ["probe.rnn.hidden=[4]", "probe.rnn.embedding=4", "probe.rnn.batch=2", "probe.rnn.steps=2"]
BASE = {
    "search": [*_TINY, "benchmark=none", "budget=1"],
    "rank": [*_TINY, "benchmark=mini_rnn", "limit=1"],
    "screen": [*_TINY, "benchmark=none", "budget=1"],
    "score": [*_TINY, "benchmark=none", "arch=RNN"],
    "train": ["arch=RNN", "corpus=text.txt", "protocol.steps=1", "device=cpu"],
    "reduce": ["benchmark=mini_rnn"],
    "evolve_proxy": [*_TINY, "benchmark=mini_rnn", "baselines=[]", "chain=0"],
    "compare": ["runs=[nothing]"],
    "export": ["arch=RNN", "onnx=false"],
    "export_study": ["runs=[nothing]"],
    "report": ["runs=[nothing]"],
    "watch": ["runs=[nothing]"],
}
#: keys that the composition lacks and people type
EXTRA = {
    "search": ["reduction.nodes", "reduction.state_growth", "probe.rnn.tokens_seed", "proxies.random", "proxies.a b"],
    "rank": ["reduction.parameters", "proxies.parameters"],
    "screen": ["probe.rnn.tokens_seed", "reduction.nodes"],
    "score": ["probe.bert.tokens_seed"],
    "train": ["protocol.hidden", "protocol.cutoffs", "protocol.vocabulary", "protocol.seeds", "protocol.optimiser"],
    "reduce": ["reduction.hidden_states"],
    "evolve_proxy": ["reduction.nodes"],
    "compare": [],
    "export": ["sizes.vocabulary", "sizes.embedding", "sizes.hidden", "sizes.dropout", "sizes.a b"],
    "export_study": [],
    "report": [],
    "watch": [],
}
#: a search that asks for truths, and what of its keys the others do not have
SURROGATE = ["searcher=bayes", "benchmark=mini_rnn", "queries=3", "verify=1"]
ASKING = ("searcher", "verify", "finalists", "rungs", "eta", "queries")
LONG = "n" * 300
VALUES = [
    *("null", "true", "no", "-1", "0", "1", "1.5", "nan", "inf", "-inf", "1e300", "1e1000", str(2**31), str(10**30)),
    *(str(10**400), "-" + str(10**400), "''", "abc", "[]", "[1,2]", "[a,[b,{c:1}]]", "{}", "{a:1}", "{1:2,a:3}"),
    *(
        "{min:1,max:2}",
        f"{{min:{10**400}}}",
        f"[{10**400}]",
        "[true]",
        "[null]",
        "???",
        "${seed}",
        "${nope}",
        "${",
        "0x10",
    ),
    *("'ünï ☃ 名'", "'a\u202eb'", "'a\tb'", "'a\nb'", "'\x1b[31mred'", "'\udc80'", "'it\\'s'", '"quoted"', "'a/b'"),
    *(LONG, f"'{LONG * 20}'", "/" + "d/" * 3000, "~nobody/x", "[" * 60 + "]" * 60, "{a:" * 30 + "1" + "}" * 30),
    *("[1,2", "a=b", "a,b", "\\", "2026", "name", "{name:5}", "{name:random,foo:1}", "[name]", "1_000", "e", " "),
]


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")


def generated(command: str, config: dict[str, Any]) -> list[str]:
    """Every override of the command: each key with each value, each key deleted, keys added; in an order of hashes."""
    keys = [*flat(config), *EXTRA[command]]
    found = [f"++{key}={value}" if key in EXTRA[command] else f"{key}={value}" for key in keys for value in VALUES]
    found += [f"~{key}" for key in keys] * 3
    found += [f"+{key}.foo={value}" for key in keys for value in ("1", "null", "[a]")]
    found += [f"+{name}={value}" for name in ("sede", "ünï", LONG, "a.b.c") for value in ("7", "{}", "null")]
    return sorted(found, key=lambda text: hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())


class Stopped(SystemExit):
    """The settings are made and the run folder is claimed."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder without any table at hand, where commands stop before they compute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    (tmp_path / "text.txt").write_text("one two three four five six\n" * 40, encoding="utf-8")

    def journal(*arguments: Any, **options: Any) -> Journal:
        with Journal(*arguments, **options):
            raise Stopped(0)

    @contextmanager
    def claimed(*arguments: Any, **options: Any) -> Iterator[Path]:
        with folders.claimed(*arguments, **options):
            raise Stopped(0)
        yield tmp_path

    def made(folder: Path, *told: str) -> Path:
        folders.made_folder(folder, *told)
        raise Stopped(0)

    monkeypatch.setattr(write, "made_folder", made)
    for name, attribute, instead in (
        ("search", "Journal", journal),
        ("rank", "Journal", journal),
        ("evolve_proxy", "Journal", journal),
        ("reduce", "claimed", claimed),
        ("train", "claimed", claimed),
    ):
        monkeypatch.setattr(importlib.import_module(f"experiments.commands.{name}"), attribute, instead)
    return tmp_path


def ended(command: Callable[[], Any]) -> int:
    try:
        return guard.guarded(command)
    except SystemExit as left:
        return int(left.code or 0)


def one_sentence(err: str) -> bool:
    text = err.removesuffix("\n")
    return 10 < len(text) <= 600 and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


@pytest.mark.parametrize(("command", "group"), [*((command, "") for command in COMMANDS), ("search", "bayes")])
def test_generated_overrides(
    command: str, group: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeronas"])
    monkeypatch.setattr(guard, "_check_packages", lambda: None)
    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="conf", version_base="1.3"):
        base = compose(config_name=command, overrides=[*map(opened, BASE[command]), *(SURROGATE if group else [])])
    run = importlib.import_module(f"experiments.commands.{command}").run
    assert ended(lambda: reported(run, base)) == (
        2 if command in ("compare", "export_study", "report", "watch") else 0
    )  # there is no such run
    wrong = []
    made = generated(command, plain(base))
    if group:
        made = [override for override in made if override.lstrip("+~").startswith(ASKING)]
    for override in made[: COUNT // len(COMMANDS) + 1]:

        def job(override: str = override) -> None:
            config = copy.deepcopy(base)
            parsed = OverridesParser.create().parse_overrides([override])
            ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
            reported(run, config)

        capsys.readouterr()
        try:
            status = ended(job)
        except Exception as error:
            wrong.append((override[:100], repr(error)[:300]))
            continue
        err = capsys.readouterr().err
        if status not in (0, 2) or (status == 2 and not one_sentence(err)):
            wrong.append((override[:100], status, err[:700]))
    assert wrong == []


def opened(override: str) -> str:
    return guard.open_mappings([override])[0]


#: what a sentence must say, by command line
NAMED = [
    (("search", "~seed"), "zeronas search needs seed, which is not given."),
    (("search", "~executor.workers"), "zeronas search needs executor.workers, which is not given."),
    (("search", "~space.name"), "zeronas search needs space.name, which is not given."),
    (("search", "+sede=7"), "zeronas search has no option 'sede'. Did you mean 'seed'?"),
    (
        ("search", "+executor.worker=1"),
        "zeronas search has no option 'executor.worker'. Did you mean 'executor.workers'?",
    ),
    (("search", "space.name=[]"), "zeronas search needs space.name to be a word, but got []."),
    (
        ("search", "proxy=expression", "proxies.expression.formula=5"),
        "Proxy 'expression' needs formula to be a word, but",
    ),
    (
        ("search", "proxy=expression", "proxies.expression.formula=sum(std(hiden))"),
        "The formula 'sum(std(hiden))' has 'hiden' at place 9, which is no leaf. Did you mean 'hidden'?",
    ),
    (
        ("search", "proxy=expression", f"proxies.expression.formula={'log(' * 500}depth{')' * 500}"),
        "A formula has at most 2,000 characters, but this one has 2,505.",
    ),
    (
        ("evolve-proxy", "benchmark=mini_rnn", "elites=100"),
        "zeronas evolve-proxy needs elites < population, but got (100, 100).",
    ),
    (
        ("evolve-proxy", "benchmark=mini_rnn", "baselines=[parametres]"),
        "Unknown proxy 'parametres'. Did you mean 'parameters'?",
    ),
    (("evolve-proxy", "benchmark=mini_rnn", "architectures=5"), "zeronas evolve-proxy needs architectures to be a"),
    (("evolve-proxy", "benchmark=mini_rnn", "longest=41"), "zeronas evolve-proxy needs longest to be a whole number"),
    (("evolve-proxy", "benchmark=none"), "This command needs ground truth, but benchmark=none was chosen."),
    (("evolve-proxy", "benchmark=mini_rnn", "reduction.nodes={min:24}"), "The halves of 'mini_rnn' hold "),
    (("search", "searcher.name={a:1}"), "zeronas search needs searcher.name to be a word, but got {'a': 1}."),
    (("search", "executor.timeout=1e300"), "zeronas search needs executor.timeout to be a number from 0.001 to"),
    (
        ("search", f"budget={10**400}"),
        "zeronas search needs budget to be a whole number from 1 to 2,147,483,647, but got",
    ),
    (
        ("search", "run.dir=[1,2]"),
        "zeronas search needs run.dir to be the name of a file or folder or null, but got [1",
    ),
    (("search", "run.root=null"), "zeronas search needs run.root to be the name of a file or folder, but got null."),
    (("search", f"run.dir={LONG}"), "The run folder 'nnnn"),
    (("search", "probe.rnn.text=5"), "The probe's text '5' cannot be read (No such file or directory)"),
    (("search", f"probe.rnn.text={LONG}"), "The probe's text 'nnnn"),
    (
        ("search", "+probe.rnn.tokens_seed=foo"),
        "The probe of space 'rnn' needs tokens_seed to be a whole number of 0 or",
    ),
    (
        ("search", "reduction.nodes={1:2,a:3}"),
        "The reduction's range for 'nodes' has the key '1'; only min and max are",
    ),
    (
        ("search", f"reduction.nodes={{max:{10**400}}}"),
        "The reduction's range for 'nodes' has the bound a whole number",
    ),
    (
        ("search", f"space.sizes.vocabulary={10**400}"),
        "Space 'rnn' needs sizes.vocabulary to be a whole number from 1 to",
    ),
    (("search", "++space.rule=5"), "Space 'rnn' has no option 'rule'. Available: sizes."),
    (("search", "+searcher.pool=5"), "Searcher 'evolution' has no option 'pool'."),
    (("search", f"data_dir={LONG}", "pool=benchmark"), "The data folder 'nnnn"),
    (("search", "queries=-1"), "zeronas search needs queries to be a whole number of 0 or more or null, but got -1."),
    (
        ("search", "gate=sampler", "gate.tail=0.5"),
        "zeronas search needs gate.tail to be a number from 0 to below 0.5, but got 0.5.",
    ),
    (
        ("search", "region=sampler", "region.share=0.4"),
        "zeronas search needs region.share to be a number from 0.5 to 1, but got 0.4.",
    ),
    (("search", "region=sample"), "Unknown region 'sample'. Did you mean 'sampler'? Available: none, sampler."),
    (("search", "gate=sampler", "gate.name=random"), "Unknown gate.name 'random' of zeronas search. Available: none"),
    (
        ("search", "proxy=rank_aggregation", "proxies.rank_aggregation.members.size.name=state_siz"),
        "Unknown proxy 'state_siz'. Did you mean 'state_size'?",
    ),
    (
        ("search", "proxy=rank_aggregation", "proxies.rank_aggregation.members.cost=5"),
        "Proxy 'rank_aggregation' needs members.cost to be a group of settings (members.cost.name and its",
    ),
    (("search", "gate.tail=0.1"), "'gate.tail' is not available here: it belongs to another option"),
    (
        ("score", "arch=RNN", "draw=true"),
        "zeronas score needs draw to be the name of a file or folder or null, but got",
    ),
    (("score", f"arch={LONG}"), "The architecture 'nnnn"),
    (("score", 'arch=\'{"h_new_0": {}, "h_new_0": {}}\''), "The key 'h_new_0' is there twice"),
    (("compare", "runs=5"), "zeronas compare needs runs to be a list, each the name of a file or folder, but got 5."),
    (
        ("compare", "runs=null"),
        "zeronas compare needs runs to be a list, each the name of a file or folder, but got null.",
    ),
    (("compare", LONG), "There is no run folder 'nnnn"),
    (("train", "arch=RNN", f"corpus={LONG}"), "The corpus 'nnnn"),
    (
        ("train", "arch=RNN", "protocol.cutoffs=[5000]"),
        "Protocol 'mini_rnn' needs cutoffs in increasing order, the last",
    ),
    (("train", "arch=RNN", "protocol=[a]"), "Unknown protocol 'a'. Available: mini, mini_bert, mini_rnn"),
    (("data", "check", f"data_dir={LONG}"), "The data folder 'nnnn"),
    (("search", "probe.bert.steps=0"), "The probe of space 'bert' needs steps to be a whole number from 1 to 512, but"),
    (("search", "seed=???"), "The setting 'seed' is ???"),
    (("search", "seed=${nope}"), "The setting 'seed' refers to 'nope', which is not given."),
    (
        ("search", "space=bert", "~bert_reading"),
        "The setting 'space.reading' refers to 'bert_reading', which is not given.",
    ),
    (("search", "~data_dir"), "'data_dir' cannot be taken away: it is not there, or null."),
    (("search", "run={a:1}"), "'run={...}' names a setting that run does not have"),
    (("search", "run.dir.x=1"), "There is no setting 'run.dir.x'."),
    (("search", "space=null"), "space must be one of bert, rnn, stack, table, but got null."),
    (("search", "space={a:1}"), "'space={...}' names a setting that space does not have"),
    (("search", "~space"), "zeronas search needs space, which is not given."),
    (("search", "~searcher"), "zeronas search needs searcher, which is not given."),
    (("search", "~executor"), "zeronas search needs executor, which is not given."),
    (("search", "proxy=null"), "proxy must be one of activation_distance, az_nas, column, columns, depth,"),
    (
        ("search", "experiment=nope"),
        "Unknown experiment 'nope'. Did you mean 'none'? Available: flexibert_",
    ),
    (("search", "~rungs.0"), "The command line cannot be applied to the settings (list indices must be integers"),
    (("search", "seed=1,2"), "Ambiguous value for argument 'seed=1,2'"),
]


@pytest.mark.parametrize(("arguments", "start"), NAMED, ids=[" ".join(a)[:60] for a, _ in NAMED])
def test_a_wrong_setting_is_named_as_it_was_typed(
    arguments: tuple[str, ...],
    start: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeronas", *arguments])
    try:
        status = cli.main()
    except SystemExit as left:
        status = int(left.code or 0)
    err = capsys.readouterr().err
    assert status == 2 and err.startswith(start) and one_sentence(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "~seed"),
        ("search", f"seed={10**400}"),
        ("score", f"arch={'n' * 5000}"),
        ("compare", "a=b\\"),
        ("train", "arch=RNN", "device='\x1b[31m'"),
    ],
)
def test_the_process_says_the_same(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and one_sentence(done.stderr)


def test_a_run_folder_may_have_any_name(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equals signs, backslashes, quotes and commas: the folder is found, and told to hold no finished search."""
    for name in ("a=b", "a\\b", "it's", "a,b", "\\'", "ends\\", "x[1]"):
        Path(name).mkdir()
        monkeypatch.setattr(sys, "argv", ["zeronas", "compare", name])
        with pytest.raises(SystemExit):
            cli.main()
        assert "has no results.json: the search did not finish" in capsys.readouterr().err


def test_a_sweep_runs_what_can_run_and_names_what_failed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeronas", "score", "-m", *BASE["score"], "seed=0,nope,2"])
    assert cli.main() == 2
    out, err = capsys.readouterr()
    assert out.count("key: rnn-") == 2
    settings = ",".join(sorted([*BASE["score"], "seed=nope"]))
    assert err == (
        f"Run 2 ({settings}) of the sweep failed: zeronas score needs seed to be a whole number of 0 or more, but got "
        "'nope'.\n"
        f"One run of the sweep failed, the others are finished: 2 ({settings}). Correct them and start the same sweep "
        "again: what is finished is not computed again.\n"
    )


def test_results_and_identity_keep_the_plain_configuration(composed: Any) -> None:
    config = composed("search", "seed=3", "++reduction.nodes=[4]")
    settings = make(config, SearchSettings)
    assert settings.config == config and json.loads(json.dumps(settings.identity))["seed"] == 3
    assert (
        settings.given.budget == 2000 and settings.given.queries is None and settings.given.searcher.name == "evolution"
    )
