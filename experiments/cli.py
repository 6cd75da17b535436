"""The console command ``zeronas``: finds the sub-command and starts it."""

from __future__ import annotations

import importlib
import sys

from experiments.guard import guarded
from nas import __version__
from nas.core.errors import did_you_mean, sentence

__all__ = ["COMMANDS", "main"]

#: sub-command -> what it does
COMMANDS = {
    "search": "propose architectures, score them untrained, report the best",
    "rank": "score every architecture of a benchmark and compare with the truth",
    "screen": "score very many draws of a space, millions of them, and keep the best",
    "score": "score one architecture of your own: its proxies, sizes and, where known, its truth",
    "train": "train one architecture as a language model, and keep its weights",
    "compare": "collate finished searches: searched against the benchmark's best",
    "report": "one page of several runs, which opens in a browser, offline",
    "watch": "how far a run is that another process works on",
    "export": "the result of a run as files to use elsewhere: JSON, drawing, PyTorch module, ONNX",
    "export-study": "write finished searches as Optuna studies, for optuna-dashboard",
    "reduce": "the qualitative analysis: which features pay, and the reduced space they imply",
    "evolve-proxy": "find a proxy by genetic programming on half of a benchmark, and judge it on the other",
    "data": "list, fetch and check the public tables",
    "list": "list spaces, proxies, probes, searchers, benchmarks and reductions",
}


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
    module = name.replace("-", "_")
    return guarded(lambda: importlib.import_module(f"experiments.commands.{module}").main())


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


if __name__ == "__main__":
    sys.exit(main())
