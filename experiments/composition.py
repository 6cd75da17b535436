"""Where configurations lie, and what hydra says of a command line that it cannot compose, as one sentence."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nas.core.errors import ZeronasError, did_you_mean
from nas.core.options import shown
from nas.core.registry import configurations

__all__ = ["composition_sentence", "folders"]

#: what hydra and omegaconf say -> what a user can do about it
_SENTENCES = {
    r"Error merging override (.*)": "The override {0} has a value of another kind than its setting.",
    r"In 'space/(.*)': Could not override 'proxy'": "Space {0} has no networks, so its members cannot be trained.",
    r"Could not delete from config\. '(.*)' does not exist": "{0} cannot be taken away: it is not there, or null.",
    r"Interpolation key '(.*)' not found full_key: (\S+)": "The setting {1} refers to {0}, which is not given.",
    r"Missing mandatory value: (\S+)": "The setting {0} is ???, which stands for a value that must be given.",
}


def composition_sentence(error: Exception) -> str | None:
    """Returns what is wrong with a command line that hydra or omegaconf refuse; None for an error of another kind."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    from proxies.names import proxy_of

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        options = [str(option) for option in error.options or []] or _choices(group)
        if group == "proxy" and proxy_of(name):
            return f"Unknown proxy '{name}'. Did you mean '{proxy_of(name)}', as it is called here?"
        if group and options:
            return f"Unknown {group} '{name}'.{did_you_mean(name, options)}"
        return f"There is no configuration '{error.missing_cfg_file}'."
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        groups = {path.name for folder in folders() for path in folder.iterdir() if path.is_dir()}
        for group, equals, value in (argument.partition("=") for argument in sys.argv[1:]):
            if equals and group in groups and not re.fullmatch(r"[\w.-]+", value.replace("null", "")):
                return f"{group} must be one of {', '.join(_choices(group))}, but got {value[:60]}."
        return "A group of settings must be the name of one of its choices; zeronas list shows them."
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return f"The command line cannot be applied to the settings ({error})." if _of_theirs(error) else None
    text = " ".join(str(error).split())
    unknown = re.match(r"Could not override '([^']+)'(?:\. To append to your config use \+[^=]*=(.))?", text)
    if unknown:
        key = unknown.group(1)
        if unknown.group(2) == "{":
            return (
                f"'{key}={{...}}' names a setting that {key} does not have; it could only be added, with ++{key}.NAME=."
            )
        if key in _known_keys():
            return (
                f"'{key}' is not available here: it belongs to another option (for example searcher=optuna) or another "
                "command."
            )
        return f"There is no setting {shown(key)}.{did_you_mean(key, _known_keys())}"
    unknown = re.match(r"Could not override '?([\w@/.]+)'?\. No match in the defaults list", text)
    if unknown:
        return f"There is no group '{unknown.group(1)}'."
    for pattern, words in _SENTENCES.items():
        if found := re.match(pattern, text):
            return words.format(*map(shown, found.groups()))
    if re.search(r"parsing override|mismatched|no viable|LexerNoViableAlt|token recognition", text):
        problem = re.split(r" See https| expecting ", text)[0]
        return f"The command line cannot be read ({problem}); settings are written KEY=VALUE, lists KEY=[A,B]."
    return text


def _of_theirs(error: Exception) -> bool:
    """Returns whether an error was raised inside omegaconf, such as a TypeError for a word where a list has numbers."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith("omegaconf.")


def folders() -> list[Path]:
    """Returns the folders of all configurations, zeronas's own first.

    Raises:
        ZeronasError: a plug-in cannot be loaded, or its package of configurations is not there.
    """
    found = []
    for package in ("conf", *configurations()):
        try:
            found.append(Path(str(resources.files(package))))
        except ModuleNotFoundError:
            raise ZeronasError(f"A plug-in names '{package}' as its configurations, which is no package.") from None
    return found


def _choices(group: str) -> list[str]:
    return sorted({path.stem for folder in folders() for path in folder.glob(f"{group}/*.yaml")}) if group else []


@cache
def _known_keys() -> list[str]:
    from omegaconf import OmegaConf

    keys: set[str] = set()
    for path in [path for folder in folders() for path in sorted(folder.glob("**/*.yaml"))]:
        loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        package = re.match(r"# @package (\S+)", path.read_text(encoding="utf-8"))
        prefix = "" if path.parent in folders() else f"{path.parent.name}."
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
