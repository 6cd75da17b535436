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
from nas.engine.evaluate import Task

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

    hydra would wrap any other exception of a job; leaving the process keeps what earlier jobs of a sweep made.
    """
    try:
        run(plain(config))
    except ZeronasError as error:
        print(sentence(f"{error}{_of_a_sweep()}"), file=sys.stderr)
        sys.exit(2)


def prepared(task: Task) -> str:
    """Returns in words how long the proxies took to be prepared for the space; nothing where that was no time."""
    return f", after the proxies were prepared in {task.prepared_in:.1f} s" if task.prepared_in >= 0.05 else ""


def _of_a_sweep() -> str:
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return ""
    job = HydraConfig.get().job
    return f" That was run {job.num + 1} of the sweep ({job.override_dirname}); those after it were not started."


def command(run: Callable[[dict[str, Any]], Any], config_name: str) -> Callable[[], None]:
    """Returns the hydra app that composes ``conf/NAME.yaml`` from the command line and runs a command with it."""

    def job(config: DictConfig) -> None:
        name = config_name.replace("_", "-")
        commanded(shlex.join(["zeronas", name, *HydraConfig.get().overrides.task]))
        reported(run, config)

    app: Callable[[], None] = hydra.main(config_path="pkg://conf", config_name=config_name, version_base="1.3")(job)
    return app
