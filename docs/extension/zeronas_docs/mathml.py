"""Equations as MathML, which browsers draw themselves: no script, no font and no network is needed."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

__all__ = ["setup"]


#: what docutils puts between a function and an argument without brackets; most fonts give it no width
_APPLIED = re.compile(r"<mo>&ApplyFunction;</mo>(?=\s*<m(?!row|o)\w)")


def _inline(writer: Any, node: nodes.Element) -> None:
    writer.body.append(_spaced(tex2mathml(node.astext())))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.Element) -> None:
    writer.body.append(f'<div class="math">{_spaced(tex2mathml(node.astext(), as_block=True))}</div>')
    raise nodes.SkipNode


def _spaced(math: str) -> str:
    return _APPLIED.sub('<mspace width="0.1667em"></mspace>', math)


def setup(app: Sphinx) -> None:
    """Adds the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
