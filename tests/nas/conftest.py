"""Composes the configuration of a command as its hydra app does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from experiments.app import plain

Compose = Callable[..., dict[str, Any]]


@pytest.fixture
def composed() -> Compose:
    """Returns a function (command, *overrides) -> plain configuration."""

    def make(command: str, *overrides: str) -> dict[str, Any]:
        GlobalHydra.instance().clear()
        with initialize_config_module(config_module="conf", version_base="1.3"):
            return plain(compose(config_name=command, overrides=list(overrides)))

    return make
