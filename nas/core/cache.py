"""Where files are kept that can be made or fetched again."""

from __future__ import annotations

from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Returns the user's cache folder of zeronas on this platform (it need not exist)."""
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("zeronas"))
