"""Shared fixtures. A test that needs the public tables asks for ``data_dir``; in CI a missing folder is a failure.

The space of ``tests/plugin`` is there in all tests, here and in the processes they start, as if it were installed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from experiments.commands.app import plain
from nas.core.registry import load_plugins

PLUGIN = Path(__file__).parent / "plugin"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the plug-in's entry point visible without an installation: its metadata in a folder on the path."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # what pytest itself reads its settings with
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    folder = tempfile.TemporaryDirectory(prefix="zeronas-plugin-")
    config.add_cleanup(folder.cleanup)
    info = Path(folder.name) / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    points = project["entry-points"]["zeronas"].items()
    text = "\n".join(["[zeronas]", *(f"{point} = {module}" for point, module in points), ""])
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    paths = [folder.name, str(PLUGIN)]
    sys.path.extend(paths)
    os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *paths])
    load_plugins.cache_clear()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the public ground-truth files (environment variable NAS_DATA_DIR)."""
    folder = os.environ.get("NAS_DATA_DIR")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    reason = "needs the public tables: set NAS_DATA_DIR to a folder that holds them (`zeronas data fetch` makes one)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def composed() -> Callable[..., dict[str, Any]]:
    """Returns a function (command, *overrides) -> plain configuration."""

    def make(command: str, *overrides: str) -> dict[str, Any]:
        GlobalHydra.instance().clear()
        with initialize_config_module(config_module="conf", version_base="1.3"):
            return plain(compose(config_name=command, overrides=list(overrides)))

    return make
