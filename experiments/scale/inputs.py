"""Bad inputs of every kind, and what the project makes of each: an answer, one sentence, or something worse.

Each input derives from (seed, kind, number). It is an example that was right, damaged: values put in the place of
others in what JSON decodes to, or bytes changed in its text. What must not happen is counted:

- "traceback": an exception that is not ``ZeronasError``, or a sentence that no terminal should print;
- "hang": more than 20 seconds of processor time;
- "lost": of journals, an answer that stands there whole and is not found, or one that is found and never was given.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from hydra import compose, initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

import spaces
from experiments.commands import search
from experiments.commands.app import plain
from experiments.composition import composition_sentence
from nas.core import seeds
from nas.core.errors import ZeronasError, is_printable, sentence
from nas.engine.journal import Journal
from nas.engine.trials import Evaluation, TrialId
from nas.report.compare import compare
from nas.report.finished import read_run
from nas.settings import RankSettings, ReduceSettings, ScoreSettings, SearchSettings, TrainSettings, make, read
from nas.truth import benchmarks
from proxies.base import Score

__all__ = ["KINDS", "SLOW", "Outcome", "fired"]

#: seconds after which an input hangs: of the processor's time, and of the clock's where it only waits
SLOW, _WAITING = 20.0, 600.0

#: what is put in the place of a value
_STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e300, -1e300, 2**31, 2**63, 10**30, 10**400, 10**6000),
    *(float("nan"), float("inf"), "", " ", "nan", "5", "x", "h_new_0", "h_prev_0", "linear", "n" * 300, "n" * 10**5),
    *("\x1b[2J", "a\nb", "a\tb", "\u202e", "\udc80", "\u2028", "\x00", "../x", "/", "~", "{}", "[]", "ünï ☃ 名"),
    *([], {}, [[]], [None], [1, 2], ["x"], {"": 1}, {"a": {"b": [1]}}, {"\x1b": 1}, [[]] * 50, list(range(1000))),
]
#: and in the place of bytes
_SCRAPS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"1e999", b"-", b"1" * 5000, b'"', b"'", b"\\", b"\\u0000"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", b" "),
    *(b'{"a":' * 2000, b"[" * 100_000, b'"' + b"x" * 10_000 + b'"', b"\xed\xb2\x80", b"0x10", b"1_000", b"01"),
]


class Outcome(NamedTuple):
    """What became of an input.

    Attributes:
        what: "taken", "refused", "traceback", "hang" or "lost".
        why: what a reader needs to find the fault; "" for the first two.
    """

    what: str
    why: str = ""


class _Lost(Exception):
    pass


class _Hang(BaseException):
    pass


@contextmanager
def _in_time() -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        raise _Hang

    clocks = ((signal.SIGALRM, signal.ITIMER_REAL, _WAITING), (signal.SIGPROF, signal.ITIMER_PROF, SLOW))
    before = [signal.signal(number, ring) for number, _, _ in clocks]
    for _, clock, seconds in clocks:
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for (number, clock, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def fired(kind: str, number: int, seed: int = 0) -> Outcome:
    """Fires one input of a kind and returns what became of it."""
    rng = seeds.generator(seed, "faults", kind, number)
    fire = KINDS[kind](rng)
    try:
        with _in_time():
            fire()
    except _Hang:
        return Outcome("hang", f"{kind} {number}")
    except _Lost as error:
        return Outcome("lost", f"{kind} {number}: {error}")
    except ZeronasError as error:
        told = sentence(error)
        return Outcome("refused") if is_printable(told) and len(told) > 10 else Outcome("traceback", f"says {told!r}")
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{kind} {number}: {type(error).__name__}: {str(error)[:100]} ({Path(at.filename).name}:{at.lineno})"
        return Outcome("traceback", why)
    return Outcome("taken")


def _pick(rng: np.random.Generator, choices: list[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _paths(value, (*path, key))


def _replaced(rng: np.random.Generator, data: Any, more: list[Any] | None = None) -> Any:
    """Returns data with one to three of its values changed, taken away or moved, or of its keys renamed."""
    data = copy.deepcopy(data)
    for _ in range(min(3, int(rng.geometric(0.7)))):
        paths = list(_paths(data))
        if not paths:
            return _pick(rng, _STRANGE)
        *outer, last = _pick(rng, paths)
        inner = data
        for part in outer:
            inner = inner[part]
        way = int(rng.integers(6))
        if way == 0:
            del inner[last]
        elif way == 1 and isinstance(inner, dict):
            inner[_pick(rng, [one for one in _STRANGE if isinstance(one, str)])] = inner.pop(last)
        elif way == 2 and more:
            inner[last] = copy.deepcopy(_pick(rng, more))
        elif way == 3 and len(paths) > 1:
            moved = data
            for part in _pick(rng, paths):
                moved = moved[part]
            inner[last] = copy.deepcopy(moved)
        else:
            inner[last] = copy.deepcopy(_pick(rng, _STRANGE))
    return data


def _damaged(rng: np.random.Generator, text: bytes) -> bytes:
    """Returns bytes with one to three places changed: bits, scraps put in or in the place of others, spans moved."""
    for _ in range(min(3, int(rng.geometric(0.7)))):
        at = int(rng.integers(len(text) + 1))
        length = int(rng.integers(1, 30))
        way = int(rng.integers(6))
        if way == 0 and at < len(text):
            text = text[:at] + bytes([text[at] ^ (1 << int(rng.integers(8)))]) + text[at + 1 :]
        elif way == 1:
            text = text[:at] + text[at + length :]
        elif way == 2:
            text = text[:at] + _pick(rng, _SCRAPS) + text[at:]
        elif way == 3:
            text = text[:at] + _pick(rng, _SCRAPS) + text[at + length :]
        elif way == 4:
            text = text[:at] + text[at : at + length] * 2 + text[at + length :]
        else:
            text = text[:at]
    return text


def _written(rng: np.random.Generator, data: Any, changed: Any) -> Any:
    """Returns what was changed, decoded, or as the text that it or the damaged original is written in."""
    way = int(rng.integers(3))
    if way == 0:
        return changed
    if way == 1:
        return _damaged(rng, json.dumps(data).encode())
    try:
        return json.dumps(changed)
    except ValueError:  # too many digits to be written
        return changed


def _read_architecture(name: str, given: Any) -> None:
    space = spaces.get(name)
    architecture = space.parse(given)
    again = space.parse(space.format(architecture))
    if again.key != architecture.key:
        raise _Lost(f"{architecture.key} is read again as {again.key}")
    space.describe(architecture)
    space.counts(architecture)
    architecture.to_graph()


def _recipe(rng: np.random.Generator) -> Callable[[], Any]:
    if rng.random() < 0.05:
        given: Any = _large(rng)
    else:
        cell = spaces.get("rnn").sample(rng).to_json()
        given = _written(rng, cell, _replaced(rng, cell, [*cell, {"op": "linear", "input": ["x", "h_prev_0"]}]))
    return lambda: _read_architecture("rnn", given)


def _large(rng: np.random.Generator) -> dict[str, Any]:
    """Returns a recipe of many nodes that are alike: branches that meet in a tree of sums, or one chain."""
    count = int(_pick(rng, [4, 8, 16, 32, 33, 100, 1000, 10_000]))
    recipe: dict[str, Any] = {f"a{i}": {"op": "linear", "input": ["x", "h_prev_0"]} for i in range(count)}
    if rng.random() < 0.5:
        for i in range(1, count):
            recipe[f"a{i}"] = {"op": "activation_tanh", "input": [f"a{i - 1}"]}
        recipe["h_new_0"] = {"op": "activation_tanh", "input": [f"a{count - 1}"]}
        return recipe
    names = list(recipe)
    while len(names) > 1:
        name = "h_new_0" if len(names) == 2 else f"s{len(recipe)}"
        recipe[name] = {"op": "elementwise_sum", "input": [names.pop(0), names.pop(0)]}
        names.append(name)
    return recipe


def _configuration(rng: np.random.Generator) -> Callable[[], Any]:
    made = spaces.get("bert").sample(rng).to_json()
    given = _written(rng, made, _replaced(rng, made))
    return lambda: _read_architecture("bert", given)


@cache
def _table_rows() -> list[list[Any]]:
    space = spaces.get("rnn")
    cells = [space.sample(seeds.generator(0, "faults", "table", number)) for number in range(12)]
    rows = [[space.format(cell), 4 + number / 10, f"row {number}"] for number, cell in enumerate(cells)]
    return [["architecture", "loss", "note"], *rows]


def _table_text(rows: list[list[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode(errors="surrogatepass")


def _changed_rows(rng: np.random.Generator) -> list[list[Any]]:
    """Returns the table with a row left out, there twice, or with a field that is another."""
    rows = copy.deepcopy(_table_rows())
    at, column, way = int(rng.integers(len(rows))), int(rng.integers(3)), int(rng.integers(4))
    if way == 0:
        del rows[at]
    elif way == 1:
        rows.insert(int(rng.integers(1, len(rows))), list(rows[at]))
    else:
        values = [value for value in _STRANGE if not isinstance(value, int) or abs(value) < 10**4000]
        rows[at][column] = _pick(rng, values)
    return rows


def _table(rng: np.random.Generator) -> Callable[[], Any]:
    by_fields, as_space = rng.random() < 0.6, rng.random() < 0.5
    given = _table_text(_changed_rows(rng)) if by_fields else _damaged(rng, _table_text(_table_rows()))

    def fire() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(given)
            if as_space:
                space = spaces.get("table", file=str(path), objective="loss", higher_is_better=["loss"])
                benchmark = benchmarks.get(space.benchmarks[0], None, space)
            else:
                space = spaces.get("rnn")
                benchmark = benchmarks.get("csv", None, space, file=str(path), value="loss", higher_is_better=False)
            for entry in benchmark.entries:
                space.describe(entry.architecture)

    return fire


@cache
def _journal_lines() -> tuple[list[bytes], dict[TrialId, Evaluation]]:
    space = spaces.get("rnn")
    with tempfile.TemporaryDirectory() as name:
        with Journal(Path(name), {"faults": 0}) as journal:
            for number in range(12):
                cell = space.sample(seeds.generator(0, "faults", "journal", number))
                score = Score(None, "constant units") if number % 5 == 4 else Score(number / 7, "", (number / 7, 0.5))
                scores = {"p": score, "q": Score(float(number))}
                measure, fidelity = ("truth", 0.5) if number % 4 == 3 else ("proxies", 1.0)
                answer = Evaluation(cell.key, scores, 0.25, {"pass": 0.125}, measure, fidelity)
                journal.add(answer, cell, (number // 4, number % 4))
        return (Path(name) / "journal.jsonl").read_bytes().splitlines(), dict(journal.known)


def _journal(rng: np.random.Generator) -> Callable[[], Any]:
    lines, answers = _journal_lines()
    if rng.random() < 0.3:
        order = rng.permutation(len(lines))[: int(rng.integers(1, len(lines) + 1))]
        given = b"\n".join(lines[i] for i in order) + b"\n" * int(rng.integers(2))
    else:
        given = _damaged(rng, b"\n".join(lines) + b"\n")

    def fire() -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "journal.jsonl"
            path.write_bytes(given)
            with Journal(Path(name), {"faults": 0}) as journal:
                found = dict(journal.known)
            whole = given[: given.rfind(b"\n") + 1].split(b"\n")
            wanted = {i: a for line, (i, a) in zip(lines, answers.items(), strict=True) if line in whole}
            if found != wanted:
                raise _Lost(f"{len(found)} answers are read of {len(wanted)} whole lines, or they are others")
            if path.read_bytes() != given[: given.rfind(b"\n") + 1]:
                raise _Lost("the file holds something else than its whole lines")

    return fire


_TINY = ["probe.rnn.hidden=[4]", "probe.rnn.embedding=4", "probe.rnn.batch=2", "probe.rnn.steps=2"]
_COMMANDS: dict[str, tuple[Any, list[str]]] = {
    "search": (SearchSettings, ["benchmark=none"]),
    "rank": (RankSettings, ["benchmark=mini_rnn"]),
    "score": (ScoreSettings, ["benchmark=none"]),
    "reduce": (ReduceSettings, ["benchmark=mini_rnn"]),
    "train": (TrainSettings, []),
}


@cache
def _composed(command: str) -> Any:
    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="conf", version_base="1.3"):
        return compose(config_name=command, overrides=_COMMANDS[command][1])


def _made(command: str, config: Mapping[str, Any]) -> None:
    kind = _COMMANDS[command][0]
    if kind is TrainSettings:
        read(config, TrainSettings)
        return
    settings = make(config, kind)
    _ = settings.identity, settings.folder


def _settings(rng: np.random.Generator) -> Callable[[], Any]:
    command = _pick(rng, list(_COMMANDS))
    config = plain(_composed(command))
    config["run"] = {"root": "runs", "dir": None}
    changed = _replaced(rng, config)
    return lambda: _made(command, changed if isinstance(changed, dict) else {"space": changed})


_TYPED = [
    *("null", "true", "-1", "0", "1", "1.5", "nan", "inf", "1e1000", str(10**30), str(10**400), "''", "abc", "[]"),
    *("[1,2]", "[a,[b,{c:1}]]", "{}", "{a:1}", "{1:2,a:3}", "{min:1,max:2}", "[true]", "???", "${seed}", "${nope}"),
    *("${", "'a\tb'", "'\x1b[31mred'", "'\udc80'", "n" * 300, "/" + "d/" * 3000, "[" * 60 + "]" * 60, "a=b", "a,b"),
    *("\\", "2026", "name", "{name:5}", "{name:random,foo:1}", "[name]", "1_000", " ", "random", "rnn", "bert"),
]


def _override(rng: np.random.Generator) -> Callable[[], Any]:
    command = _pick(rng, list(_COMMANDS))
    paths = [".".join(map(str, path)) for path in _paths(plain(_composed(command)))]
    key, value = _pick(rng, [path for path in paths if not path.startswith("hydra")]), _pick(rng, _TYPED)
    added = f"+{key}.{_pick(rng, ['foo', 'name', 'n' * 300, 'ünï'])}={value}"
    override = _pick(rng, [f"{key}={value}", f"{key}={value}", f"~{key}", f"++{key}={value}", added])

    def fire() -> None:
        config = copy.deepcopy(_composed(command))
        try:
            parsed = OverridesParser.create().parse_overrides([override])
            ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
            changed = plain(config)
        except ZeronasError:
            raise
        except Exception as error:
            told = composition_sentence(error)
            if told is None:
                raise
            raise ZeronasError(told) from None
        _made(command, changed)

    return fire


@cache
def _finished() -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="conf", version_base="1.3"), tempfile.TemporaryDirectory() as folder:
        asked = ["searcher=random", "budget=6", "verify=2", "pool=benchmark", "benchmark=mini_rnn", f"run.dir={folder}"]
        search.run(plain(compose(config_name="search", overrides=[*_TINY, *asked])))
        return dict(json.loads((Path(folder) / "results.json").read_text(encoding="utf-8")))


def _results(rng: np.random.Generator) -> Callable[[], Any]:
    data = _finished()
    changed = _replaced(rng, data)
    try:
        text = json.dumps(changed).encode()
    except ValueError:
        text = b"1"
    given = text if rng.random() < 0.7 else _damaged(rng, json.dumps(data).encode())

    def fire() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "run"
            folder.mkdir()
            (folder / "results.json").write_bytes(given)
            compare([read_run(folder)], Path(name))

    return fire


#: kind -> what makes an input of it of a random stream, ready to be fired
KINDS: dict[str, Callable[[np.random.Generator], Callable[[], Any]]] = {
    "recipe": _recipe,
    "configuration": _configuration,
    "table": _table,
    "journal": _journal,
    "settings": _settings,
    "override": _override,
    "results": _results,
}
