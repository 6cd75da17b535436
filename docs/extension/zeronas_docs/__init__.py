"""The Sphinx extension of the documentation site."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from zeronas_docs import docstrings, mathml, reference


def setup(app: Sphinx) -> dict[str, Any]:
    for part in (docstrings, mathml, reference):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
