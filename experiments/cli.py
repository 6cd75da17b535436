"""The console command ``zeronas``: finds the sub-command, and turns bad input into one sentence and exit status 2."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.composition import composition_sentence
from nas import __version__
from nas.core.errors import ZeronasError, did_you_mean, sentence

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
        print(sentence(f"Unknown command '{name[:60]}'.{did_you_mean(name, COMMANDS)}"), file=sys.stderr)
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
        print(sentence(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted; what was computed is kept, and the same command continues.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        told = composition_sentence(error)
        if told is None:
            raise
        print(sentence(told), file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(main())
