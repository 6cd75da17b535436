"""Docstrings as reStructuredText: they are written to be read in the source, and some of their habits mean more there.

``|x|`` is an absolute value and no substitution, ``x_`` a name and no link, and lines that are indented under a
paragraph are an example.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

__all__ = ["prepared", "setup"]

#: parts of a line that stand as they are
_LITERAL = re.compile(r"(``.+?``)")
#: a bar, and the last character of a name such as sigma_
_MARKS = re.compile(r"\||(?<=\w)_(?!\w)")
_INDENT = "    "


def prepared(lines: list[str]) -> list[str]:
    """Returns the lines of a docstring with absolute values escaped and examples marked as literal blocks."""
    found: list[str] = []
    paragraph = ""  # the last line of the paragraph above, "" where something else stands there
    literal = False
    for line in lines:
        if line.startswith(_INDENT) and paragraph and found and not found[-1]:
            found += [] if paragraph.endswith("::") else ["::", ""]
            literal = True
        if line and not line.startswith(" "):
            literal = False
        if line:
            paragraph = "" if line.startswith((" ", "- ")) or _is_section(line) else line
        found.append(line if literal else _escaped(line))
    return found


def _is_section(line: str) -> bool:
    return line in ("Args:", "Attributes:", "Class attributes:", "Raises:")


def _escaped(line: str) -> str:
    parts = _LITERAL.split(line)
    return "".join(part if part.startswith("``") else _MARKS.sub(r"\\\g<0>", part) for part in parts)


#: comments of attributes before napoleon took what stands before a colon for a type
_comments: dict[str, list[str]] = {}


def _before(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = prepared(lines)
    if what in ("attribute", "data", "property") and not any(map(_is_section, lines)):
        _comments[name] = list(lines)


def _after(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = _comments.pop(name, lines)


def setup(app: Sphinx) -> None:
    """Runs before napoleon does, and after it."""
    app.connect("autodoc-process-docstring", _before, priority=400)
    app.connect("autodoc-process-docstring", _after, priority=900)
