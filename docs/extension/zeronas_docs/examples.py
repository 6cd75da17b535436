"""The plug-in packages of ``docs/examples``, seen as if they were installed: their metadata in a folder on the path."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

__all__ = ["FOLDER", "PACKAGES", "install"]

FOLDER = Path(__file__).parents[2] / "examples"
#: folders under ``FOLDER`` that hold a package each
PACKAGES = ("proxy", "searcher", "space")


def install(metadata: Path) -> None:
    """Makes the packages and their entry points visible to this process and to those that it starts.

    Args:
        metadata: an empty folder, which is needed as long as they are.
    """
    from nas.core.registry import load_plugins

    paths = [str(metadata)]
    for package in PACKAGES:
        project = tomllib.loads((FOLDER / package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        info = metadata / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(header, encoding="utf-8")
        points = [f"{name} = {module}" for name, module in project["entry-points"]["zeronas"].items()]
        (info / "entry_points.txt").write_text("\n".join(["[zeronas]", *points, ""]), encoding="utf-8")
        paths.append(str(FOLDER / package))
    sys.path += paths
    os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *paths])
    load_plugins.cache_clear()
