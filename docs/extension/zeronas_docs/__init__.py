"""The Sphinx extension of the documentation site: sessions, metrics, figures and the reference."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from zeronas_docs import docstrings, mathml, metrics, reference, sessions

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Adds all parts to Sphinx."""
    for part in (docstrings, mathml, metrics, reference, sessions):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
