"""Shared fixtures. A test that needs the public tables asks for ``data_dir``; in CI a missing folder is a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
