"""What the hydra apps share: a plain configuration in, one sentence and status 2 on bad input."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.composition import composition_sentence
from nas.core.errors import ZeronasError, sentence
from nas.core.files import commanded
from nas.core.registry import configurations
from nas.engine.evaluate import Scorer

__all__ = ["command", "plain", "prepared", "reported"]


class PluginConfigurations(SearchPathPlugin):
    """Lets hydra look for choices in the packages of plug-ins too, after zeronas's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds the packages."""
        for package in configurations():
            search_path.append("zeronas plug-in", f"pkg://{package}")


Plugins.instance().register(PluginConfigurations)


def plain(config: DictConfig) -> dict[str, Any]:
    """Returns the configuration as plain dicts and lists, interpolations resolved.

    Raises:
        ZeronasError: an interpolation refers to nothing, or a value is missing.
    """
    try:
        container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ZeronasError(composition_sentence(error)) from None
    assert isinstance(container, dict)
    return {str(key): _with_words(value) for key, value in container.items()}


def _with_words(value: Any) -> Any:
    """Returns a value whose mappings have words as keys, as JSON has; the command line reads {1: a} as a number's."""
    if isinstance(value, dict):
        return {str(key): _with_words(item) for key, item in value.items()}
    return [_with_words(item) for item in value] if isinstance(value, list) else value


def reported(run: Callable[[dict[str, Any]], Any], config: DictConfig) -> None:
    """Runs a command inside a hydra job; bad input ends the process with one sentence and status 2.

    hydra would wrap any other exception of a job; leaving the process keeps what earlier jobs of a sweep made. A run of
    a sweep that fails does not keep the others from running: it is told, and remembered for ``command``.
    """
    try:
        run(plain(config))
    except ZeronasError as error:
        if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
            print(sentence(error), file=sys.stderr)
            sys.exit(2)
        job = HydraConfig.get().job
        _failed.append(f"{job.num + 1} ({job.override_dirname})")
        print(sentence(f"Run {_failed[-1]} of the sweep failed: {error}"), file=sys.stderr)


#: runs of the sweep that failed, by number and settings
_failed: list[str] = []


def prepared(scorer: Scorer) -> str:
    """Returns in words how long the proxies took to be prepared for the space; nothing where that was no time."""
    return f", after the proxies were prepared in {scorer.prepared_in:.1f} s" if scorer.prepared_in >= 0.05 else ""


def command(run: Callable[[dict[str, Any]], Any], config_name: str) -> Callable[[], None]:
    """Returns the hydra app that composes ``conf/NAME.yaml`` from the command line and runs a command with it.

    Raises:
        ZeronasError: (the app) runs of a sweep failed.
    """

    def job(config: DictConfig) -> None:
        name = config_name.replace("_", "-")
        typed = OmegaConf.to_container(HydraConfig.get().overrides, resolve=False)  # seed=${nope} as it was typed
        assert isinstance(typed, dict)
        commanded(shlex.join(["zeronas", name, *typed["task"]]))
        reported(run, config)

    app: Callable[[], None] = hydra.main(config_path="pkg://conf", config_name=config_name, version_base="1.3")(job)

    def started() -> None:
        _failed.clear()
        app()
        if _failed:
            these = f"{len(_failed)} runs" if len(_failed) > 1 else "One run"
            raise ZeronasError(
                f"{these} of the sweep failed, the others are finished: {', '.join(_failed)}. Correct them and start "
                "the same sweep again: what is finished is not computed again."
            )

    return started
