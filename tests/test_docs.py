"""The documentation: every command in it is run or composed, every figure has its source, and the site builds offline.

Commands of ``session`` blocks are run by the build. All others, in the pages, the README and CONTRIBUTING, are composed
and made into the objects of a run, which fails on any name or value that is wrong, and run where that takes no time.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import spaces
from experiments import cli
from experiments.commands.data import _COMMANDS as DATA
from experiments.guard import open_mappings
from nas import search as searchers
from nas.engine.pools import SpacePool
from nas.settings import (
    CompareSettings,
    EvolveSettings,
    ExportSettings,
    FindSettings,
    PageSettings,
    RankSettings,
    ReduceSettings,
    ScoreSettings,
    ScreenSettings,
    SearchSettings,
    SharedSettings,
    TrainSettings,
    WatchSettings,
    make,
    read,
)
from nas.truth.train import protocol as protocols

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("*.rst")])
OTHERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

KINDS: dict[str, Any] = {
    "search": SearchSettings,
    "rank": RankSettings,
    "screen": ScreenSettings,
    "export": FindSettings,
    "score": ScoreSettings,
    "train": TrainSettings,
    "compare": CompareSettings,
    "report": PageSettings,
    "watch": WatchSettings,
    "export-study": ExportSettings,
    "reduce": ReduceSettings,
    "evolve-proxy": EvolveSettings,
}
#: of commands that set up a machine, which no test may do
SET_UP = (
    *("python3 -m venv .venv", "source .venv/bin/activate"),
    *(".venv/bin/pip install pre-commit", ".venv/bin/pre-commit install"),
)
#: settings of the launchers that the pages name; where the plug-in is installed it is asked whether it has them
LAUNCHERS = {
    "joblib": {"n_jobs"},
    "submitit_local": set[str](),
    "submitit_slurm": {"partition", "cpus_per_task", "mem_gb", "timeout_min", "array_parallelism"},
}
#: what stands for what a reader puts there
PLACES = {"COMMAND": "search", "FILE": "my.txt", "FOLDER": ".", "N": "10", "K": "3"}


# ------------------------------------------------------------------------------------------- what the pages hold


def fences(text: str) -> list[tuple[str, list[str]]]:
    """Returns (kind, lines) of the fenced blocks of a page in Markdown."""
    found = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return [(kind.strip(), body.splitlines()) for kind, body in found]


def spans(path: Path) -> list[str]:
    """Returns what stands between backticks in the prose of a page, on one line each."""
    text = re.sub(r"^```.*\n(?:.*\n)*?```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ticks = "``" if path.suffix == ".rst" else "`"
    return [" ".join(one.split()) for one in re.findall(rf"(?<!`){ticks}([^`]+){ticks}(?!`)", text)]


def joined(lines: list[str]) -> list[str]:
    """Returns the commands of a block, those that go on in the next line joined."""
    return [line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def commands(path: Path) -> list[str]:
    """Returns the commands of a page that no session runs."""
    begins = ("zeronas ", "make ", "pip ", "python -m ", "python3 -m ", ".venv/")
    blocks = [lines for kind, lines in fences(path.read_text(encoding="utf-8")) if kind in ("sh", "")]
    block = [line for lines in blocks for line in joined(lines) if kind_of(line) or line in SET_UP]
    return list(dict.fromkeys([*block, *(span for span in spans(path) if span.startswith(begins))]))


def kind_of(line: str) -> bool:
    return line.startswith(("zeronas ", "make ", "pip ", "python ")) and not re.match(r"zeronas +[\d.,]+ ", line)


ALL = [(path, command) for path in [*OTHERS, *PAGES] for command in commands(path)]


def test_the_pages_have_commands() -> None:
    assert len(ALL) > 40 and {path.name for path, _ in ALL} >= {"README.md", "clusters.md", "training.md"}
    for path in PAGES:  # a block of another kind would be looked at by nobody
        for kind, _ in fences(path.read_text(encoding="utf-8")):
            name = re.match(r"\{?([a-z]*)\}?", kind)
            assert name and name[1] in ("session", "artefact", "literalinclude", "toctree", "sh", "python"), (
                path,
                kind,
            )


# --------------------------------------------------------------------------------------------- what they say is so


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with what a reader brings, without the public tables."""
    cell = spaces.get("rnn").known["LSTM"]
    (tmp_path / "my_cell.json").write_text(spaces.get("rnn").format(cell), encoding="utf-8")
    (tmp_path / "my.txt").write_text("some words of a text\n", encoding="utf-8")
    (tmp_path / "my.csv").write_text("architecture,valid,test,loss,snip\na,1,1,1,2\nb,2,2,2,1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    return tmp_path


@pytest.mark.parametrize(("path", "command"), ALL, ids=[f"{path.name}: {command}"[:70] for path, command in ALL])
def test_a_command_is_one(path: Path, command: str, folder: Path, composed: Any, monkeypatch: Any) -> None:
    words = [PLACES.get(word, word) for word in shlex.split(command, comments=True)]
    if command in SET_UP or "..." in words:
        return
    if words[:2] in (["python", "-m"], ["python3", "-m"]):
        check_module(words[2], words[3:])
    elif words[0] == "make":
        check_target(words[1:], composed)
    elif words[0] == "pip":
        check_installed(words[1:])
    elif words[1] in ("list", "--version") or "--help" in words:
        monkeypatch.setattr(sys, "argv", words)
        try:
            assert cli.main() == 0
        except SystemExit as left:
            assert not left.code
    elif words[1] == "data":
        assert words[2] in DATA and len(words) == 3
    else:
        check_composed(words[1], words[2:], composed)


def check_module(module: str, arguments: list[str]) -> None:
    """Checks that a module can be run, and that it knows its arguments."""
    if module.endswith(".COMMAND"):
        module = module.replace("COMMAND", "search")
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec is not None and spec.origin is not None, module
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert '__name__ == "__main__"' in source
    imported = [
        Path(str(m.origin)) for m in map(importlib.util.find_spec, re.findall(r"^from (\S+)", source, re.M)) if m
    ]
    texts = [source, *(path.read_text(encoding="utf-8") for path in imported if path.is_relative_to(ROOT))]
    for argument in arguments:
        assert any(re.search(rf"[\"'/_]{argument}\b", text) for text in texts), (module, argument)


def check_target(words: list[str], composed: Any) -> None:
    """Checks that the Makefile has a target, and that its ARGS are settings of the main job."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [word for word in words if "=" not in word]
    assert targets and all(re.search(rf"^{target}:", recipe, re.MULTILINE) for target in targets)
    for word in words:
        if word.startswith("ARGS=") and targets == ["search"]:
            check_composed("search", ["experiment=ten_trainings", *shlex.split(word[5:])], composed)


def check_installed(words: list[str]) -> None:
    """Checks what pip is told to install: packages that lie here, with extras that they have."""
    assert words[0] == "install"
    rest = iter(words[1:])
    for word in rest:
        if word == "--constraint":
            assert (ROOT / next(rest)).is_file()
        elif word in ("-e", "--editable"):
            place, _, extra = next(rest).rstrip("]").partition("[")
            project = tomllib.loads((ROOT / place / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            assert not extra or extra in project["optional-dependencies"]
        else:
            assert word in ("--no-deps", "--quiet"), word


def check_composed(name: str, words: list[str], composed: Any) -> None:
    """Composes the settings of a command, each of a sweep's values once, and makes the objects of a run of them."""
    assert name in KINDS, name
    given, launcher = [], []
    rest = iter(words)
    for word in rest:
        if word == "--config-dir":
            assert (DOCS / "examples" / next(rest)).is_dir()
        elif word.startswith(("hydra/launcher=", "hydra.launcher.")):
            launcher.append(word)
        elif word != "-m":
            given.append(word)
    check_launcher(launcher)
    settings = open_mappings([word for word in given if "=" in word])
    paths = [word for word in given if "=" not in word]
    assert not paths or name in ("compare", "report", "watch", "export", "export-study"), paths
    assert "-m" in words or not any(sweep for sweep in map(values, settings) if len(sweep) > 1)
    for chosen in itertools.zip_longest(*map(values, settings)):
        overrides = [one if one is not None else values(word)[0] for one, word in zip(chosen, settings, strict=True)]
        check_settings(name, composed(name.replace("-", "_"), *overrides))


def values(override: str) -> list[str]:
    """Returns what an override sets, one or, of a sweep, several."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if not parsed.is_sweep_override():
        return [override]
    key = parsed.input_line.partition("=")[0] if parsed.input_line else ""
    return [f"{key}={value}" for value in parsed.sweep_string_iterator()]


def check_settings(name: str, config: dict[str, Any]) -> None:
    kind = KINDS[name]
    if kind is TrainSettings:
        given = read(config, kind)
        space = spaces.get(given.space.name, **given.space.options)
        protocol = given.protocol.name if given.protocol.name != "mini" else space.own_protocol.name
        assert protocols.get(protocol, **given.protocol.options).space == space.name
    elif issubclass(kind, SharedSettings):
        made = make(config, kind)
        if isinstance(made.given, SearchSettings):
            chosen = made.given.searcher
            searchers.get(chosen.name, SpacePool(made.space), 0, **chosen.options).prepare(list(made.proxies))
    else:
        read(config, kind)


def check_launcher(words: list[str]) -> None:
    """Checks the launcher of a sweep and its settings."""
    chosen = dict(word.split("=", 1) for word in words)
    name = chosen.pop("hydra/launcher", None)
    if name is None:
        assert not chosen
        return
    own = DOCS / "examples" / "launchers" / "hydra" / "launcher" / f"{name}.yaml"
    if own.exists():
        base, *lines = re.findall(r"^(?:  - )?(\w+)", own.read_text(encoding="utf-8").partition("\n")[2], re.MULTILINE)
        name, keys = base, set(lines)
    else:
        keys = {key.removeprefix("hydra.launcher.") for key in chosen}
    assert keys <= LAUNCHERS[name], (name, keys)
    package = "hydra_joblib_launcher" if name == "joblib" else "hydra_submitit_launcher"
    if importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(f"hydra_plugins.{package}"):
        config = importlib.import_module(f"hydra_plugins.{package}.config")
        conf = {"joblib": "JobLibLauncherConf", "submitit_local": "LocalQueueConf"}.get(name, "SlurmQueueConf")
        assert keys <= set(getattr(config, conf).__dataclass_fields__)


#: what must be chosen for some settings to be there
CONTEXTS = (
    ("search",),
    ("search", "searcher=bayes", "queries=10"),
    ("search", "queries=10"),
    ("search", "verify=3"),
    ("rank", "space=table", "space.file=my.csv", "space.objective=loss", "space.lower_is_better=[loss]"),
    ("search", "truth=train", "benchmark=mini_rnn"),
    ("search", "space=bert"),
    ("train", "arch=GRU"),
)


def fragments() -> Iterator[tuple[Path, str]]:
    """Yields (page, settings) of what a page names apart from a command."""
    for path in PAGES:
        for span in spans(path):
            if re.fullmatch(r"[a-z][\w./]*=[^=\s]+( [a-z][\w./]*=[^=\s]+)*", span):
                yield path, span


@pytest.mark.parametrize(("path", "settings"), sorted(set(fragments())), ids=str)
def test_settings_that_a_page_names_are_there(path: Path, settings: str, folder: Path, composed: Any) -> None:
    told = []
    for name, *context in CONTEXTS:
        try:
            keys = [word.partition("=")[0] for word in settings.split()]
            kept = [one for one in context if one.partition("=")[0] not in keys]
            check_composed(name, [*kept, *settings.split()], composed)
        except Exception as error:  # hydra has many kinds
            told.append(f"{name} {' '.join(context)}: {type(error).__name__} {error}"[:300])
        else:
            return
    raise AssertionError("\n".join(told))


def test_the_python_of_the_readme_runs(folder: Path, capsys: Any) -> None:
    blocks = [lines for kind, lines in fences((ROOT / "README.md").read_text(encoding="utf-8")) if kind == "python"]
    for lines in blocks:
        exec(compile("\n".join(lines), "README.md", "exec"), {})
    assert blocks and "hidden_covariance" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------- figures and claims


def test_no_figure_is_typed() -> None:
    """A decimal in the prose of a page is written by the build, from a result that is committed."""
    for path in PAGES:
        text = re.sub(r"^```.*\n(?:.*\n)*?```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"\{\{.*?\}\}|(`+).*?\1|:math:`.*?`", "", text, flags=re.DOTALL)
        assert not [one for one in re.findall(r"\d*\.\d+", text) if one not in ("3.11", "3.13")], path


def test_what_the_pages_say_of_the_results_is_so() -> None:
    """Sentences without figures that rest on results."""
    tables = json.loads((ROOT / "experiments/proxies/results/tables.json").read_text(encoding="utf-8"))
    assert tables["flexibert"]["noise"]["retest"]["tau"] is None  # "repeats too few architectures"
    assert tables["nas_bench_nlp"]["diverged"] == 0 < 50 < tables["mini_rnn"]["diverged"]
    nlp = tables["nas_bench_nlp"]["proxies"]
    ours, theirs = nlp["zeronas"], nlp["hidden_covariance"]
    assert ours["agreement_all"]["tie_broken"] > theirs["agreement_all"]["tie_broken"]  # "a higher tau ..."
    assert ours["top"]["median_rank"] > theirs["top"]["median_rank"]  # "... does not mean a better top"
    conf = (ROOT / "conf/experiment/ten_trainings.yaml").read_text(encoding="utf-8")
    for line in ("known: true", "start: 6", "spread: 2", "together: 2", "fidelity: 0.25", "queries: 10", "verify: 8"):
        assert re.search(rf"^ *{line}$", conf, re.MULTILINE), line
    assert "rungs: [0.5, 1.0]" in conf and "eta: 2.7" in conf and "seeds 1 and 2" in conf


def test_every_proxy_has_an_equation() -> None:
    sys.path.insert(0, str(DOCS / "extension"))
    try:
        from proxies.base import PROXIES
        from zeronas_docs.equations import EQUATIONS
    finally:
        sys.path.pop(0)
    own = {name for name in PROXIES if PROXIES.get(name).__module__.startswith("proxies.")}
    assert set(EQUATIONS) == own
    for name, equations in EQUATIONS.items():
        told = {equation.space for equation in equations}
        assert told <= {"", *PROXIES.kinds(name)} and len(told) == len(equations), name


# ------------------------------------------------------------------------------------------------------- examples


def test_the_examples_are_small_and_complete() -> None:
    for name in ("proxy", "searcher", "space"):
        home = DOCS / "examples" / name
        setup = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))
        tools = setup["tool"]["setuptools"]
        modules = {".".join(path.parent.relative_to(home).parts) for path in home.rglob("*.py")}
        assert modules == set(tools["packages"])  # all of it is installed
        (package,) = setup["project"]["entry-points"]["zeronas"].values()
        assert tools["package-data"] == {f"{package}.conf": ["**/*.yaml"]} and list(home.rglob("*.yaml"))
        for path in home.rglob("*.py"):
            code = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            assert len(code) < 60, path


def test_the_examples_do_what_they_say(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tests" / "docs_examples.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_table_of_the_examples_is_that_of_the_package() -> None:
    spec = importlib.util.spec_from_file_location("make_encoders", DOCS / "examples" / "table" / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.FILE.read_text(encoding="utf-8") == module.table()


# ---------------------------------------------------------------------------------------------------------- the site


class Page(HTMLParser):
    """Ids, links and what a browser loads by itself, of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids.update(filter(None, (found.get("id"), found.get("name") if tag == "a" else None)))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        elif tag == "link" and found.get("rel") not in ("search", "index", "next", "prev", "canonical"):
            self.loaded.append(str(found["href"]))
        elif found.get("src"):
            self.loaded.append(str(found["src"]))


def check_site(site: Path) -> None:
    """Checks that all links inside the site lead somewhere, and that nothing is loaded from elsewhere."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        for address in page.loaded:
            file = address.partition("?")[0]
            assert address.startswith("data:") or (path.parent / file).exists(), (path.name, address)
        for link in page.links:
            if link.startswith(("http://", "https://", "mailto:")):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), (path.name, link)
            if anchor and target in pages and "sessions" not in target.parts:
                assert anchor in pages[target].ids, (path.name, link)
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_the_site_builds_offline_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    options = ["--fail-on-warning", "--keep-going", "--jobs", "2", "--doctree-dir", str(tmp_path / "doctrees")]
    # a proxy that is not there stands for the network that need not be
    environment = {**os.environ, "PYTHONPATH": os.environ["PYTHONPATH"], "http_proxy": "http://127.0.0.1:9"}
    environment["https_proxy"] = environment["http_proxy"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(site)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check_site(site)
    # what the page says of its own example: selecting by the fitness helps, selecting by hidden covariance harms
    ranked = tmp_path / "sessions" / "reading-the-numbers" / "runs" / "ranked" / "results.json"
    curves = json.loads(ranked.read_text(encoding="utf-8"))["selection"]["proxies"]
    ours, theirs = (
        [point["quantile"] for point in curves[name]["points"]] for name in ("zeronas", "hidden_covariance")
    )
    assert ours[0] < ours[-1] and theirs[0] > theirs[-1]
