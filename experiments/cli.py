"""The console command ``zeronas``: finds the sub-command, and turns bad input into one sentence and exit status 2."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas import __version__
from nas.core.errors import ZeronasError, did_you_mean

__all__ = ["COMMANDS", "guarded", "main"]

#: sub-command -> what it does
COMMANDS = {
    "search": "propose architectures, score them untrained, report the best",
    "rank": "score every architecture of a benchmark and compare with the truth",
    "score": "score one architecture of your own: its proxies, sizes and, where known, its truth",
    "train": "train one architecture as a language model, and keep its weights",
    "compare": "collate finished searches: searched against the benchmark's best",
    "reduce": "the qualitative analysis: which features pay, and the reduced space they imply",
    "data": "list, fetch and check the public tables",
    "list": "list spaces, proxies, probes, searchers, benchmarks and reductions",
}

_PACKAGES = ("nas", "spaces", "proxies", "conf", "experiments")


def main() -> int:
    """Runs ``zeronas COMMAND [OVERRIDES]`` and returns the exit status."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"zeronas {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        print(f"Unknown command '{name}'.{did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    sys.argv = [f"zeronas {name}", *arguments[1:]]
    return guarded(lambda: importlib.import_module(f"experiments.commands.{name}").main())


def guarded(command: Callable[[], int | None]) -> int:
    """Runs a command; whatever the user got wrong becomes one sentence on stderr and status 2.

    Also checks first that the packages found are zeronas's own: their names are short, and another distribution
    may own one of them.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises instead of printing a traceback of its own
    try:
        _check_packages()
        sys.argv[1:] = _open_mappings(sys.argv[1:])
        return int(command() or 0)
    except ZeronasError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted; what was computed is kept, and the same command continues.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        sentence = _hydra_sentence(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
    return 2


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: zeronas COMMAND [KEY=VALUE ...] [-m for sweeps]",
            "",
            *lines,
            "",
            "zeronas COMMAND --help shows a command's keys. Example:",
            "  zeronas search space=rnn proxy=hidden_covariance searcher=evolution budget=2000 seed=0",
        ]
    )


def _open_mappings(arguments: Sequence[str]) -> list[str]:
    # These are open mappings: features, fields and the probes of plug-ins' spaces, which no file of conf/probe knows,
    # are added to them, which hydra spells with ++.
    from spaces import SPACES

    known = (Path(__file__).resolve().parent.parent / "conf" / "probe" / "micro.yaml").read_text(encoding="utf-8")
    others = [re.escape(name) for name in SPACES if not re.search(rf"^{re.escape(name)}:", known, re.MULTILINE)]
    names = "|".join(["reduction", "protocol", *(f"probe\\.{name}" for name in others)])
    return [f"++{a}" if re.match(rf"({names})\.\w", a) else a for a in arguments]


def _check_packages() -> None:
    home = Path(__file__).resolve().parent.parent
    for name in _PACKAGES:
        module = importlib.import_module(name)
        found = Path(next(iter(module.__path__))).resolve()
        if found.parent != home:
            raise ZeronasError(
                f"The package '{name}' was imported from '{found}', not from zeronas's own folder '{home}'; "
                "install zeronas in an environment of its own, or start it from its own folder."
            )


def _hydra_sentence(error: Exception) -> str | None:
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    from proxies.names import proxy_of

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        options = [str(option) for option in error.options or []]
        if group == "proxy" and proxy_of(name):
            return f"Unknown proxy '{name}'. Did you mean '{proxy_of(name)}', as it is called here?"
        if group and options:
            return f"Unknown {group} '{name}'.{did_you_mean(name, options)}"
        return f"There is no configuration '{error.missing_cfg_file}'."
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        groups = {path.name for folder in _folders() for path in folder.iterdir() if path.is_dir()}
        given = [a for a in sys.argv[1:] if a.partition("=")[0] in groups]
        return f"A group of settings takes the name of one of its choices, but got {' '.join(given)}."
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return None
    text = " ".join(str(error).split())
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        if key in _known_keys():
            return f"The setting '{key}' belongs to a choice that is not made here, or to another command."
        near = did_you_mean(key, _known_keys()) if _known_keys() else ""
        return f"There is no setting '{key}'.{near}"
    unknown = re.match(r"Could not override '?([\w@/.]+)'?\. No match in the defaults list", text)
    if unknown:
        return f"There is no group '{unknown.group(1)}'."
    if re.search(r"parsing override|mismatched|no viable|LexerNoViableAlt|token recognition", text):
        problem = re.split(r" See https| expecting ", text)[0]
        return f"The command line cannot be read ({problem}); settings are written KEY=VALUE, lists KEY=[A,B]."
    return text


def _folders() -> list[Path]:
    from experiments.commands.app import folders

    return folders()


def _known_keys() -> list[str]:
    from omegaconf import OmegaConf

    keys: set[str] = set()
    for path in [path for folder in _folders() for path in sorted(folder.glob("**/*.yaml"))]:
        loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        package = re.match(r"# @package (\S+)", path.read_text(encoding="utf-8"))
        prefix = "" if path.parent in _folders() else f"{path.parent.name}."
        if package:
            prefix = "" if package.group(1) == "_global_" else f"{package.group(1)}."
        if isinstance(loaded, dict):
            keys.update(_flat(loaded, prefix))
    return sorted(key for key in keys if not key.startswith(("hydra", "defaults")))


def _flat(mapping: dict[Any, Any], prefix: str) -> list[str]:
    keys: list[str] = []
    for key, value in mapping.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, dict):
            keys.extend(_flat(value, f"{prefix}{key}."))
    return keys


if __name__ == "__main__":
    sys.exit(main())
