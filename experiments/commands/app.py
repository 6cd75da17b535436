"""What the hydra apps share: a plain configuration in, one sentence and status 2 on bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from nas.core.errors import ZeronasError, sentence

__all__ = ["command", "plain", "reported"]


def plain(config: DictConfig) -> dict[str, Any]:
    """Returns the configuration as plain dicts and lists, interpolations resolved."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): _with_words(value) for key, value in container.items()}


def _with_words(value: Any) -> Any:
    """Returns a value whose mappings have words as keys, as JSON has; the command line reads {1: a} as a number's."""
    if isinstance(value, dict):
        return {str(key): _with_words(item) for key, item in value.items()}
    return [_with_words(item) for item in value] if isinstance(value, list) else value


def reported(run: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> None:
    """Runs a command inside a hydra job; bad input ends the process with one sentence and status 2.

    hydra would wrap any other exception of a job; leaving the process keeps what earlier jobs of a sweep made.
    """
    try:
        run(config)
    except ZeronasError as error:
        print(sentence(error), file=sys.stderr)
        sys.exit(2)


def command(run: Callable[[dict[str, Any]], Any], config_name: str) -> Callable[[], None]:
    """Returns the hydra app that composes ``conf/NAME.yaml`` from the command line and runs a command with it."""

    def job(config: DictConfig) -> None:
        reported(run, plain(config))

    app: Callable[[], None] = hydra.main(config_path="pkg://conf", config_name=config_name, version_base="1.3")(job)
    return app
