"""What stands around every command: bad input is one sentence and exit status 2, and the packages are zeronas's own."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experiments.composition import composition_sentence
from nas.core.errors import ZeronasError, did_you_mean, sentence

__all__ = ["guarded", "named", "open_mappings"]

_PACKAGES = ("nas", "spaces", "proxies", "conf", "experiments")


def guarded(command: Callable[[], int | None]) -> int:
    """Runs a command; whatever the user got wrong becomes one sentence on stderr and status 2.

    Also checks first that the packages found are zeronas's own: their names are short, and another distribution
    may own one of them.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises instead of printing a traceback of its own
    try:
        _check_packages()
        sys.argv[1:] = open_mappings(sys.argv[1:])
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


def named(known: Iterable[str], what: str) -> list[str]:
    """Returns the names that are the arguments of the command line, all that are known where there are none.

    Args:
        what: what they name, for the sentence.

    Raises:
        ZeronasError: a name is not known.
    """
    names = list(known)
    for name in sys.argv[1:]:
        if name not in names:
            raise ZeronasError(f"unknown {what} {name!r}.{did_you_mean(name, names)}")
    return sys.argv[1:] or names


def open_mappings(arguments: Sequence[str]) -> list[str]:
    # These are open mappings: features, fields, sizes of a network, members of a rank aggregation and the probes of
    # plug-ins' spaces, which no file of conf/probe knows, are added to them, which hydra spells with ++.
    from spaces import SPACES

    known = (Path(__file__).resolve().parent.parent / "conf" / "probe" / "micro.yaml").read_text(encoding="utf-8")
    others = [re.escape(name) for name in SPACES if not re.search(rf"^{re.escape(name)}:", known, re.MULTILINE)]
    names = "|".join(
        ["reduction", "protocol", "sizes", r"proxies\.[^.=]+\.members", *(f"probe\\.{name}" for name in others)]
    )
    return [f"++{a}" if re.match(rf"({names})\.\w", a) else _quoted(a) for a in arguments]


def _quoted(argument: str) -> str:
    # To hydra f(x) is a function of its own, so a formula is handed on as a quoted word.
    found = re.fullmatch(r"(proxies\.[\w.-]+\.formula=)([^'\"\\$]*\([^'\"\\$]*)", argument)
    return f"{found[1]}'{found[2]}'" if found else argument


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
