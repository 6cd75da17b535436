"""``.. modules:: PACKAGE``: what the public modules of a package define, from their docstrings.

Names in signatures are links: they are looked up where the signature is written, as Python does.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["PACKAGES", "defined", "modules", "setup"]

#: what is documented: package -> what a reader finds in it; its sub-packages have entries of their own
PACKAGES = {
    "spaces": "search spaces, and what a probe sees of an untrained architecture",
    "spaces.rnn": "recurrent cells",
    "spaces.bert": "BERT configurations",
    "spaces.table": "a table as a space",
    "proxies": "zero-cost proxies",
    "proxies.expression": "proxies that are formulas",
    "nas.engine": "trials, pools, the journal and the loop that joins them",
    "nas.search": "searchers",
    "nas.truth": "who answers a query",
    "nas.truth.benchmarks": "tables of truths",
    "nas.truth.train": "trainings",
    "nas.judge": "rank correlations, regret, noise and tests",
    "nas.settings": "settings of the commands",
    "nas.core": "the registry, options, seeds, files and errors",
}


def modules(package: str) -> list[str]:
    """Returns the names of a package and of the modules directly in it, those that define something public."""
    path = getattr(importlib.import_module(package), "__path__", ())
    names = [f"{package}.{one.name}" for one in pkgutil.iter_modules(path) if not one.ispkg]
    return [name for name in [package, *sorted(names)] if defined(name)]


@cache
def defined(name: str) -> tuple[str, ...]:
    """Returns the public names that a module defines itself; what it hands on from others is left out."""
    module = importlib.import_module(name)
    here: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            here.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            here |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return tuple(one for one in getattr(module, "__all__", ()) if one in here)


class Modules(SphinxDirective):
    """Sections, one for each module, with all that it defines."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns the sections."""
        lines: list[str] = []
        for name in modules(self.arguments[0]):
            members = ", ".join(defined(name))
            lines += [f"``{name}``", "-" * (len(name) + 4), ""]
            lines += [f".. automodule:: {name}", f"   :members: {members}", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Packages(SphinxDirective):
    """The list of the packages, each with what a reader finds in it."""

    def run(self) -> list[nodes.Node]:
        """Returns the list and the hidden table of contents."""
        folder = self.env.docname.rpartition("/")[0]
        lines = [f"- :doc:`{package} </{folder}/{package}>`: {what}" for package, what in PACKAGES.items()]
        lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {package}" for package in PACKAGES)]
        return self.parse_text_to_nodes("\n".join(lines))


@cache
def _places() -> dict[str, str]:
    """Returns the full names of all that is documented by its last name, where only one thing has it."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        for module in modules(package):
            for name in defined(module):
                found.setdefault(name, []).append(f"{module}.{name}")
    return {name: places[0] for name, places in found.items() if len(places) == 1}


def _link(app: Sphinx, doctree: nodes.document) -> None:
    """Gives each name of a signature its full name, so that nothing is left to guess by its ending."""
    for node in doctree.findall(pending_xref):
        if node.get("refdomain") == "py" and node.attributes.pop("refspecific", False):
            node["reftarget"] = _full(node["reftarget"], node.get("py:module"))


def _full(name: str, module: str | None) -> str:
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if inspect.isclass(found) or inspect.isfunction(found):
        return f"{found.__module__}.{found.__qualname__}"
    return _places().get(name, name)


def setup(app: Sphinx) -> None:
    """Adds the directive and the links."""
    app.add_directive("modules", Modules)
    app.add_directive("packages", Packages)
    app.connect("doctree-read", _link)
