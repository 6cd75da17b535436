"""What the hydra apps share: a plain configuration in, one sentence and status 2 on bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from nas.core.errors import ZeronasError
from nas.core.registry import configurations

__all__ = ["command", "folders", "plain", "reported"]


class PluginConfigurations(SearchPathPlugin):
    """Lets hydra look for choices in the packages of plug-ins too, after zeronas's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds the packages."""
        for package in configurations():
            search_path.append("zeronas plug-in", f"pkg://{package}")


Plugins.instance().register(PluginConfigurations)


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


def plain(config: DictConfig) -> dict[str, Any]:
    """Returns the configuration as plain dicts and lists, interpolations resolved."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def reported(run: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> None:
    """Runs a command inside a hydra job; bad input ends the process with one sentence and status 2.

    hydra would wrap any other exception of a job; leaving the process keeps what earlier jobs of a sweep made.
    """
    try:
        run(config)
    except ZeronasError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def command(run: Callable[[dict[str, Any]], Any], config_name: str) -> Callable[[], None]:
    """Returns the hydra app that composes ``conf/NAME.yaml`` from the command line and runs a command with it."""

    def job(config: DictConfig) -> None:
        reported(run, plain(config))

    app: Callable[[], None] = hydra.main(config_path="pkg://conf", config_name=config_name, version_base="1.3")(job)
    return app
